import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
x @ 2.0
