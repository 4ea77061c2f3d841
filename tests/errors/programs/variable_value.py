import numpy as np

import symgraph as sg

w = sg.variable(np.zeros(3), name="w")
w.value = np.zeros(4)
