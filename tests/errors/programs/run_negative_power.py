import symgraph as sg

k = sg.placeholder("int64", (), name="k")
f = sg.function([k], 2**k)
f(-1)
