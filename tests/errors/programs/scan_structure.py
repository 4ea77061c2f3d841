import symgraph as sg

xs = sg.placeholder("float64", ("n",), name="xs")
sg.scan(lambda c, x: ((c[0] + x, c[1], x), None), (0.0, 1.0), xs)
