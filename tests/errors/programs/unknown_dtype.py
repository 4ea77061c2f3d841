import symgraph as sg

sg.placeholder("float23", (2,), name="x")
