import symgraph as sg

sg.parse("""
def main(x: f32[n]):
    v0: f32[m] = exp(x)
    return v0
""")
