import symgraph as sg

x = sg.placeholder("float64", (3,), name="x")
sg.while_loop(lambda c: c < 10, lambda c: c * 2, x)
