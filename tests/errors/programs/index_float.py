import symgraph as sg

x = sg.placeholder("float32", (4, 3), name="x")
x[1.5]
