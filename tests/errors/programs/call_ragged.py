import symgraph as sg

x = sg.placeholder("float32", ("n", "m"), name="x")
f = sg.function([x], x * 2)
f([[1.0, 2.0], [3.0]])
