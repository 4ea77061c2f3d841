import symgraph as sg

x = sg.placeholder("float64", (3,), name="x")
sg.cond(x.sum() > 0, lambda: (x, x), lambda: [x, x])
