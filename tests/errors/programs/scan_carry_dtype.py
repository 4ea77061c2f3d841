import symgraph as sg

xs = sg.placeholder("float64", ("n",), name="xs")
sg.scan(lambda c, x: (c + x, None), sg.zeros((), "float32"), xs)
