import symgraph as sg

x = sg.placeholder("float32", ("n", 3), name="x")
for row in x:
    print(row)
