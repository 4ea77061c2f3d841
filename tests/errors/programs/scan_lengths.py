import symgraph as sg

xs, ys = sg.placeholder("float64", (3,), name="xs"), sg.placeholder("float64", (4,), name="ys")
sg.scan(lambda c, row: (c, row[0] + row[1]), 0.0, (xs, ys))
