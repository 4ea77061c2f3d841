import symgraph as sg

x = sg.placeholder("int32", ("n",), name="x")
with sg.Session() as session:
    session.run(x * 2, {x: [1.5]})
