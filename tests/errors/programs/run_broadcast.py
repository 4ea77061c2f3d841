import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
y = sg.placeholder("float32", ("m",), name="y")
f = sg.function([x, y], x * y)
f([1.0, 2.0], [1.0, 2.0, 3.0])
