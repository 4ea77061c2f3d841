import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
sg.einsum("ijk->i", x)
