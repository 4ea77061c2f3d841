import symgraph as sg

x = sg.placeholder("float32", (), name="x")
y = sg.placeholder("float32", (), name="y")
sg.grad(x * 2, [x, y])
