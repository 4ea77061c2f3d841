import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
sg.grad(x * 2, x)
