import symgraph as sg

a = sg.placeholder("bool", (2,), name="a")
a - a
