import symgraph as sg

x = sg.placeholder("float32", (2,), name="x")
x + object()
