import symgraph as sg

c = sg.constant(1.0)
sg.function([c], c * 2)
