import numpy as np

import symgraph as sg

x = sg.placeholder("float32", (4, 3), name="x")
bias = sg.variable(np.zeros(4, "float32"), name="bias")
x + bias
