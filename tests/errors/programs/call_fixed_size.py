import numpy as np

import symgraph as sg

x = sg.placeholder("float32", ("n", 3), name="x")
f = sg.function([x], x * 2)
f(np.zeros((2, 4), "float32"))
