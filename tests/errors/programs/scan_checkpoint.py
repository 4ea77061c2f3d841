import symgraph as sg

xs = sg.placeholder("float64", ("n",), name="xs")
sg.scan(lambda c, x: (c + x, None), 0.0, xs, checkpoint="log")
