import symgraph as sg

x = sg.placeholder("float64", (3,), name="x")
y = sg.while_loop(lambda c: c.sum() < 10, lambda c: c * 2, x)
sg.grad(y.sum(), x)
