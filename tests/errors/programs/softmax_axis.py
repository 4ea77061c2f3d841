import symgraph as sg

x = sg.placeholder("float32", ("n", 3), name="x")
sg.softmax(x, axis=5)
