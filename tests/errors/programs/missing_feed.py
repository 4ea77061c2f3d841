import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
with sg.Session() as session:
    session.run(x * 2)
