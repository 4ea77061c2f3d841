import symgraph as sg

xs = sg.placeholder("float64", ("n", 3), name="xs")
sg.scan(lambda c, x: (c + x, None), sg.zeros(()), xs)
