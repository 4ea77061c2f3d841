import symgraph as sg

x = sg.placeholder("float32", (), name="x")
if x > 0:
    print("positive")
