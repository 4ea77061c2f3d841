"""Scaled dot-product attention learns to look things up: which value belongs to a key that was asked for, with noise.

A. Vaswani and others, "Attention Is All You Need", NeurIPS 2017, equation 1. A batch has pairs of keys and values, and
questions that are keys with noise; what is learned is how questions and keys are compared.
"""

import numpy as np

import symgraph as sg

WIDTH = 16


def attention(queries: sg.Node, keys: sg.Node, values: sg.Node) -> sg.Node:
    """``softmax(queries @ keysᵀ / sqrt(width)) @ values``: the values, weighted by how their keys fit each query."""
    scores = queries @ keys.swapaxes(-1, -2) / np.sqrt(WIDTH)
    return sg.softmax(scores, axis=-1) @ values


def lookups(
    rng: np.random.Generator, batch: int = 16, pairs: int = 12, questions: int = 4
) -> list[np.ndarray]:
    """Keys, values, questions, and the values that are asked for."""
    keys = rng.normal(size=(batch, pairs, WIDTH))
    values = rng.normal(size=(batch, pairs, WIDTH))
    asked = rng.integers(0, pairs, (batch, questions))[..., None]
    noise = rng.normal(0, 0.3, (batch, questions, WIDTH))
    queries = np.take_along_axis(keys, asked, 1) + noise
    return [x.astype("float32") for x in (keys, values, queries, np.take_along_axis(values, asked, 1))]


def main(steps: int = 200, rate: float = 2.0, options: sg.Options | None = None) -> list[float]:
    """Learn by gradient descent; return the mean squared error of every step."""
    rng = np.random.default_rng(0)
    keys, values, queries, wanted = inputs = [
        sg.placeholder("float32", ("batch", size, WIDTH), name=name)
        for name, size in (("keys", "pairs"), ("values", "pairs"), ("queries", "asked"), ("wanted", "asked"))
    ]
    of_queries, of_keys = (
        sg.variable(
            np.eye(WIDTH, dtype="float32") + rng.normal(0, 0.1, (WIDTH, WIDTH)).astype("float32"), name=name
        )
        for name in ("of_queries", "of_keys")
    )
    found = attention(queries @ of_queries, keys @ of_keys, values)
    loss = sg.mean((found - wanted) ** 2)
    slopes = sg.grad(loss, [of_queries, of_keys])
    updates = {w: w - rate * g for w, g in zip((of_queries, of_keys), slopes, strict=True)}
    learn = sg.function(inputs, loss, updates=updates, name="learn", options=options)
    losses = [float(learn(*lookups(rng))) for _ in range(steps)]
    for n in range(0, steps, max(1, steps // 8)):
        print(f"step {n:4}   mean squared error {losses[n]:.4f}")
    print(f"step {steps - 1:4}   mean squared error {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main()
