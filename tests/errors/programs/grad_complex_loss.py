import symgraph as sg

z = sg.placeholder("complex64", (), name="z")
sg.grad(z * z, z)
