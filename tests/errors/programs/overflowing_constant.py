import symgraph as sg

x = sg.placeholder("int8", (2,), name="x")
x + 300
