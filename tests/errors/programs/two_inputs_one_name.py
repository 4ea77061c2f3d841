import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
other = sg.placeholder("float64", ("n",), name="x")
sg.function([x, other], x * other)
