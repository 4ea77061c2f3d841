import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
i = sg.placeholder("int64", (), name="i")
f = sg.function([x, i], x[i])
f([1.0, 2.0], 5)
