import numpy as np

import symgraph as sg

x = sg.placeholder("float32", ("n", 784), name="x")
w = sg.variable(np.zeros((100, 10), "float32"), name="w")
x @ w
