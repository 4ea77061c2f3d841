import symgraph as sg

z = sg.placeholder("complex64", (2,), name="z")
z < z
