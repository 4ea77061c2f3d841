import symgraph as sg

sg.placeholder("float32", (2,), name="my input")
