import numpy as np

import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
f = sg.function([x], x * 2)
f(np.zeros((3, 1), "float32"))
