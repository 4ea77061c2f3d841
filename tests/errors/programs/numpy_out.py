import numpy as np

import symgraph as sg

x = sg.placeholder("float32", (3,), name="x")
np.exp(x, out=np.zeros(3, "float32"))
