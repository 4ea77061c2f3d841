import symgraph as sg

x = sg.placeholder("float64", (), name="x")
sg.switch(x, [lambda: x, lambda: -x])
