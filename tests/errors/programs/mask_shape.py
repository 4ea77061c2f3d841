import symgraph as sg

x = sg.placeholder("float32", (4, 3), name="x")
mask = sg.placeholder("bool", (5,), name="mask")
x[mask]
