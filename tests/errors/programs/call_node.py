import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
f = sg.function([x], x * 2)
f(x)
