"""Logistic regression as one wrote it for Theano: shared state, ``function``, ``updates``, ``givens``."""

import numpy as np

import symgraph as sg

rng = np.random.default_rng(0)
examples, features = 400, 30
data_x = rng.normal(size=(examples, features))
data_y = (data_x @ rng.normal(size=features) + rng.normal(size=examples) > 0).astype("float64")

# Declare symbolic variables; the data are shared variables, as one kept them on the device.
x = sg.placeholder("float64", ("n", features), name="x")
y = sg.placeholder("float64", ("n",), name="y")
w = sg.variable(rng.normal(size=features), name="w")
b = sg.variable(0.0, name="b")
shared_x = sg.variable(data_x, name="shared_x", trainable=False)
shared_y = sg.variable(data_y, name="shared_y", trainable=False)

# Construct the expression graph.
p_1 = 1 / (1 + sg.exp(-(x @ w) - b))
prediction = p_1 > 0.5
xent = -y * sg.log(p_1) - (1 - y) * sg.log(1 - p_1)
cost = xent.mean() + 0.01 * (w**2).sum()
gw, gb = sg.grad(cost, [w, b])

# Compile. `givens` puts the shared data where x and y stood; a slice of it would do as well.
rate = sg.placeholder("float64", (), name="rate")
train = sg.function(
    [rate],
    [prediction, xent],
    updates=[(w, w - rate * gw), (b, b - rate * gb)],
    givens={x: shared_x, y: shared_y},
    defaults={rate: 0.1},
    name="train",
)
predict = sg.function([x], prediction, name="predict")


def main(steps: int = 200) -> tuple[list[float], float]:
    """Train; return the loss of each step and the accuracy on the training data."""
    losses = []
    for _ in range(steps):
        _, errors = train()
        losses.append(float(errors.mean()))
    accuracy = float(np.mean(predict(data_x) == data_y))
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; {100 * accuracy:.0f} % of the training set is right")
    return losses, accuracy


if __name__ == "__main__":
    main()
