import symgraph as sg

sg.parse("def main(x: f32[n]:")
