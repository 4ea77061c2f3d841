import symgraph as sg

sg.placeholder("float32", (2.5,), name="x")
