import symgraph as sg

x = sg.placeholder("float64", (3,), name="x")
sg.vmap(lambda a, b: a + b, in_axes=(0, 0, 0))(x, x)
