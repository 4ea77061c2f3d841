import symgraph as sg

i, x = sg.placeholder("int64", (), name="i"), sg.placeholder("float64", (), name="x")
f = sg.function([i, x], sg.switch(i, [lambda: x, lambda: -x]))
f(2, 1.0)
