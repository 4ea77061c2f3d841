import symgraph as sg

w = sg.variable(0.0, name="w")
session = sg.Session()
session.close()
session.run(w)
