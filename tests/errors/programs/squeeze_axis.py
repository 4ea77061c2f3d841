import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
sg.squeeze(x, axis=0)
