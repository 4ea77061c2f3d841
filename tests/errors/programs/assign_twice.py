import symgraph as sg

w = sg.variable(0.0, name="w")
with sg.Session() as session:
    session.run([sg.assign(w, 1.0), sg.assign(w, 2.0)])
