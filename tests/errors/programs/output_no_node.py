import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
sg.function([x], {"y": "x"})
