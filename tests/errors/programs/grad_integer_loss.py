import symgraph as sg

x = sg.placeholder("float32", (), name="x")
sg.grad(x.astype("int32"), x)
