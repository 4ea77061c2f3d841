import symgraph as sg

x = sg.placeholder("float32", (3,), name="x")
n = sg.placeholder("float32", ("n",), name="y").shape[0]
sg.function([x], x * n)
