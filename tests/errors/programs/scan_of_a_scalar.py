import symgraph as sg

x = sg.placeholder("float64", (), name="x")
sg.map(lambda row: row * 2, x)
