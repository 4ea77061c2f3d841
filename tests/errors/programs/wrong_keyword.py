import symgraph as sg

x = sg.placeholder("float32", ("n", 3), name="x")
sg.sum(x, axes=0)
