"""A line fitted as one wrote it for TensorFlow 1: placeholders, assignments, a session, ``feed_dict``."""

import numpy as np

import symgraph as sg

x = sg.placeholder("float32", ("n",), name="x")
y = sg.placeholder("float32", ("n",), name="y")
slope = sg.variable(0.0, name="slope", dtype="float32")
offset = sg.variable(0.0, name="offset", dtype="float32")
steps = sg.variable(0, name="steps", trainable=False)

prediction = slope * x + offset
loss = ((prediction - y) ** 2).mean()
g_slope, g_offset = sg.grad(loss, [slope, offset])
train = sg.group(
    sg.assign(slope, slope - 0.1 * g_slope),
    sg.assign(offset, offset - 0.1 * g_offset),
    sg.assign_add(steps, 1),
)


def main() -> dict[str, np.ndarray]:
    """Fit ``y = 3x - 1`` in a session and return slope, offset and the number of steps."""
    rng = np.random.default_rng(0)
    with sg.Session() as sess:
        for _ in range(200):
            xs = rng.uniform(-1, 1, 50).astype("float32")
            ys = 3 * xs - 1 + rng.normal(0, 0.01, 50).astype("float32")
            _, value = sess.run([train, loss], feed_dict={x: xs, y: ys})
        fitted: dict[str, np.ndarray] = sess.run({"slope": slope, "offset": offset, "steps": steps})
        print(
            f"loss {value:.5f}, y = {fitted['slope']:.3f} x + {fitted['offset']:.3f}, {fitted['steps']} steps"
        )
        # Any node can be fed, not placeholders alone: here the prediction, so that nothing before it runs.
        print("loss of a perfect prediction:", sess.run(loss, {prediction: ys, y: ys}))
    print("outside the session the variable is as it was:", slope.value)
    return fitted


if __name__ == "__main__":
    main()
