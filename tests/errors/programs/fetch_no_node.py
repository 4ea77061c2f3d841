import symgraph as sg

with sg.Session() as session:
    session.run("loss")
