import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
sg.function([x, x], x * 2)
