import symgraph as sg

sg.scan(lambda c, x: (c + 1, None), 0.0)
