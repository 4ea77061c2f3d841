import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
x.sum(axis=(0, -2))
