import symgraph as sg

x = sg.placeholder("float32", (), name="x")
y = sg.placeholder("float32", (), name="y")
f = sg.function([x, y], x * y, name="product")
f(1.0)
