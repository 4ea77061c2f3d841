import numpy as np

import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
sg.function([], x.sum(), givens={x: np.zeros(3)})
