import symgraph as sg

x = sg.placeholder("float32", (0, 3), name="x")
x.max(axis=0)
