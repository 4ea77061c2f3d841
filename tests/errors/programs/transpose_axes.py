import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
sg.transpose(x, (0, 0))
