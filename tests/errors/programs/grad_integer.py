import symgraph as sg

k = sg.placeholder("int64", (), name="k")
sg.grad(sg.exp(k), k)
