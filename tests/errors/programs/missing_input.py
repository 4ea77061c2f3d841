import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
y = sg.placeholder("float32", ("n",), name="y")
sg.function([x], x * y)
