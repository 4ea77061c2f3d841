import symgraph as sg

x = sg.placeholder("float32", (), name="x")
sg.assign(x, 1.0)
