import symgraph as sg

w = sg.variable(0.0, name="w")
sg.function([], w, updates=[(w, w + 1), (w, w + 2)])
