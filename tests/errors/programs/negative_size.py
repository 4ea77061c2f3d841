import symgraph as sg

sg.placeholder("float32", (-1,), name="x")
