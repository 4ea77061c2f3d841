import symgraph as sg

sg.parse("""
def main(x: i32[n]):
    v0: i32[n] = exp(x)
    return v0
""")
