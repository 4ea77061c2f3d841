import symgraph as sg

x = sg.placeholder("float32", (2,), name="x")
y = sg.placeholder("float32", (3,), name="y")
sg.stack([x, y])
