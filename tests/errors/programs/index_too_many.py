import symgraph as sg

x = sg.placeholder("float32", (4, 3), name="x")
x[0, 1, 2]
