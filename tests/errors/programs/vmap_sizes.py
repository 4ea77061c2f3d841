import symgraph as sg

x, y = sg.placeholder("float64", (3,), name="x"), sg.placeholder("float64", (4,), name="y")
sg.vmap(lambda a, b: a + b)(x, y)
