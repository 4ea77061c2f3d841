import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
sg.broadcast_to(x, (2, 4))
