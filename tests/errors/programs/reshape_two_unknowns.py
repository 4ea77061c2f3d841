import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
x.reshape(-1, -1)
