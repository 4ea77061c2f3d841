"""The tour: build, print, differentiate, run – and what an error looks like."""

import numpy as np

import symgraph as sg

# Build. A placeholder has a dtype, sizes and a name. "n" is a symbolic size: it may be any number at the call, and
# one name is one size wherever it stands.
x = sg.placeholder("float64", ("n", 3), name="x")
w = sg.variable([0.5, -0.5, 1.0], name="w")
y = sg.tanh(x @ w)
print(y)  # a node: its op, its type, and the line of yours that made it

# Equal expressions are one node, so nothing is computed twice.
assert sg.tanh(x @ w) is y

# Differentiate. A gradient is a graph like any other, and differentiates again.
loss = (y * y).sum()
(gw,) = sg.grad(loss, [w])

# Compile and run: NumPy in, NumPy out.
f = sg.function([x], {"loss": loss, "slope": gw}, name="loss_and_slope")
points = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
print(f(points))
print(f(np.ones((5, 3)))["loss"])  # another size: the same program

# Print. The text is a subset of Python and reads back into the same graph.
print(f)
assert sg.parse(f.show(), variables={"w": w}) is f.graph

# State. Updates see the values from before the call; a failed call changes nothing.
step = sg.function([x], loss, updates={w: w - 0.1 * gw})
print("loss falls:", [round(float(step(points)), 4) for _ in range(4)])

# NumPy's own functions build nodes as well.
z = np.exp(-x).mean(axis=0)
print(z, "=", z.eval({x: points}))

# Sizes are expressions, and broadcasting that only the call can decide is decided at the call.
a = sg.placeholder("float64", ("a",), name="a")
b = sg.placeholder("float64", ("b",), name="b")
total = (a * b).sum()
both = sg.function([a, b], sg.grad(total, [a, b]))
print(a[1:], a * b)
print(both([1.0, 2.0, 3.0], [10.0]))  # b turned out to be 1: its slope is the sum over what it met

# Errors say what was given, what was expected, and which lines of yours made it.
try:
    x + sg.placeholder("float64", ("n", 4), name="other")
except sg.ShapeError as error:
    print(error)
try:
    f(points.astype("float32")[:, :2])
except sg.ShapeError as error:
    print(error)


def main() -> np.ndarray:
    """What the tests look at."""
    values: np.ndarray = f(points)
    return values
