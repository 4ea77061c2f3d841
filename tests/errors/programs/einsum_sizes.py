import symgraph as sg

x = sg.placeholder("float32", (2, 3), name="x")
y = sg.placeholder("float32", (4, 5), name="y")
sg.einsum("ij,jk->ik", x, y)
