import symgraph as sg

x = sg.placeholder("float32", (), name="x")
y = sg.placeholder("float32", (), name="y")
sg.function([x], x * 2, defaults={y: 1.0})
