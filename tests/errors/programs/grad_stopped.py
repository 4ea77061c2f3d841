import symgraph as sg

x = sg.placeholder("float32", (), name="x")
sg.grad(sg.stop_gradient(x) * 2, x)
