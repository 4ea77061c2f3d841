import symgraph as sg

x = sg.placeholder("float32", ("n", 3), name="x")
y = sg.placeholder("float32", ("n", 4), name="y")
sg.maximum(x, y)
