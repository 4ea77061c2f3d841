import numpy as np

import symgraph as sg

x = sg.placeholder("float32", (3,), name="x")
np.asarray(x * 2)
