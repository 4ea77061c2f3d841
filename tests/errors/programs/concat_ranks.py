import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
y = sg.placeholder("float32", (2,), name="y")
sg.concat([x, y])
