import symgraph as sg

x = sg.placeholder("float32", (), name="x")
sg.function([x], x, updates={x: x + 1})
