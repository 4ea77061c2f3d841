import symgraph as sg

x = sg.placeholder("float32", (), name="x")
float(x * 2)
