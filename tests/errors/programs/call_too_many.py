import symgraph as sg

x = sg.placeholder("float32", (), name="x")
f = sg.function([x], x * 2, name="double")
f(1.0, 2.0)
