import numpy as np

import symgraph as sg

x = sg.placeholder("float32", (4, 3), name="x")
w = sg.variable(np.zeros(3, "float32"), name="w")
sg.function([x], x.sum(), updates={w: w + x})
