import symgraph as sg

x = sg.placeholder("float64", ("n",), name="x")
f = sg.function([x], sg.log(x) + 1, options=sg.Options(watch=True))
f([1.0, -1.0])
