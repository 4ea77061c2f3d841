"""Train a network on 1,797 real handwritten digits (UCI, 1998): this is what ``symgraph demo`` runs.

Two hidden layers, Adam, mini-batches; a quarter of the digits is held out. One compiled step serves every batch size.
"""

import itertools
import time
from importlib import resources
from typing import Any

import numpy as np
from tqdm import tqdm

import symgraph as sg


def load_digits(seed: int = 0) -> tuple[np.ndarray, ...]:
    """The digits in a drawn order: training images and labels, held-out images and labels."""
    with resources.files("symgraph").joinpath("data/digits.npz").open("rb") as file:
        data = np.load(file)
        images, labels = data["images"], data["labels"]
    order = np.random.default_rng(seed).permutation(len(labels))
    images = images[order].reshape(-1, 64).astype("float32") / 16
    labels = labels[order].astype("int64")
    held_out = len(labels) // 4
    return images[held_out:], labels[held_out:], images[:held_out], labels[:held_out]


def network(
    sizes: tuple[int, ...] = (64, 128, 64, 10), seed: int = 0
) -> tuple[sg.Node, sg.Node, list[sg.Variable]]:
    """Placeholders, logits and weights of a fully connected network."""
    rng = np.random.default_rng(seed)
    x = sg.placeholder("float32", ("batch", sizes[0]), name="x")
    weights = []
    hidden = x
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        start = rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out))
        w = sg.variable(start, name=f"w{layer}", dtype="float32")
        b = sg.variable(np.zeros(fan_out), name=f"b{layer}", dtype="float32")
        weights += [w, b]
        hidden = hidden @ w + b
        if fan_out != sizes[-1]:
            hidden = sg.relu(hidden)
    return x, hidden, weights


def adam(
    loss: sg.Node,
    weights: list[sg.Variable],
    rate: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> dict[sg.Variable, sg.Node]:
    """Updates by Adam (Kingma and Ba, ICLR 2015, algorithm 1)."""
    step = sg.variable(0.0, name="step", dtype="float32", trainable=False)
    now = step + 1
    updates = {step: now}
    for w, g in zip(weights, sg.grad(loss, weights), strict=True):
        m = sg.variable(np.zeros_like(w.value), name=f"{w.name}_m", trainable=False)
        v = sg.variable(np.zeros_like(w.value), name=f"{w.name}_v", trainable=False)
        new_m = beta1 * m + (1 - beta1) * g
        new_v = beta2 * v + (1 - beta2) * g * g
        size = rate * sg.sqrt(1 - beta2**now) / (1 - beta1**now)
        updates |= {m: new_m, v: new_v, w: w - size * new_m / (sg.sqrt(new_v) + epsilon)}
    return updates


def step_by_hand(x: np.ndarray, t: np.ndarray, state: dict[str, Any], rate: float = 2e-3) -> float:
    """The same step as one would write it in NumPy, to compare."""
    weights, means, squares = state["weights"], state["means"], state["squares"]
    hidden = [x]
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        hidden.append(hidden[-1] @ w + b)
        if w is not weights[-2]:
            hidden[-1] = np.maximum(hidden[-1], 0)
    shifted = hidden[-1] - hidden[-1].max(1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(1, keepdims=True)
    rows = np.arange(len(t))
    loss = (np.log(total[:, 0]) - shifted[rows, t]).mean()
    g = powers / total
    g[rows, t] -= 1
    g /= np.float32(len(t))
    step = state["step"] = state["step"] + 1
    size = np.float32(rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
    for n in reversed(range(0, len(weights), 2)):
        back = g @ weights[n].T * (hidden[n // 2] > 0)
        for k, slope in ((n, hidden[n // 2].T @ g), (n + 1, g.sum(0))):
            means[k] = 0.9 * means[k] + 0.1 * slope
            squares[k] = 0.999 * squares[k] + 0.001 * slope * slope
            weights[k] = weights[k] - size * means[k] / (np.sqrt(squares[k]) + 1e-8)
        g = back
    return float(loss)


def compare(train: sg.CompiledFunction, weights: list[sg.Variable], x: np.ndarray, t: np.ndarray) -> None:
    """Say how long a step takes, compiled and by hand: the least of steps that take turns."""
    kept = [w.value for w in weights]
    zeros = [[np.zeros_like(w) for w in kept] for _ in range(2)]
    state = {"weights": kept, "means": zeros[0], "squares": zeros[1], "step": 0}
    times: dict[str, list[float]] = {"compiled": [], "by hand": []}
    for _ in range(60):
        for name, step in (
            ("compiled", lambda: train(x, t)),
            ("by hand", lambda: step_by_hand(x, t, state)),
        ):
            started = time.perf_counter()
            step()
            times[name].append(1e6 * (time.perf_counter() - started))
    ours, theirs = map(min, times.values())
    print(
        f"a step of {len(x)} images takes {ours:.0f} µs at best, "
        f"and {theirs:.0f} µs by hand in NumPy: {theirs / ours:.1f} x"
    )


def main(epochs: int = 30, batch: int = 64, options: sg.Options | None = None) -> float:
    """Train, report the accuracy on held-out digits, and return it."""
    train_x, train_t, test_x, test_t = load_digits()
    x, logits, weights = network()
    t = sg.placeholder("int64", ("batch",), name="t")
    loss = sg.cross_entropy(logits, t).mean()

    started = time.perf_counter()
    train = sg.function([x, t], loss, updates=adam(loss, weights), name="train", options=options)
    predict = sg.function([x], sg.argmax(logits, axis=1), name="predict", options=options)
    built = time.perf_counter() - started
    started = time.perf_counter()
    train(train_x[:batch], train_t[:batch])
    first = time.perf_counter() - started
    print(
        f"built and differentiated in {1e3 * built:.0f} ms; first step, which compiles, in {1e3 * first:.0f} ms\n"
    )
    print(predict)

    rng = np.random.default_rng(1)
    started = time.perf_counter()
    with tqdm(range(epochs), desc="training", unit="epoch") as progress:
        for _ in progress:
            order = rng.permutation(len(train_t))
            losses = [train(train_x[i], train_t[i]) for i in np.split(order, range(batch, len(order), batch))]
            progress.set_postfix(loss=f"{np.mean(losses):.4f}")
    accuracy = float(np.mean(predict(test_x) == test_t))
    print(f"\n{100 * accuracy:.1f} % of {len(test_t)} held-out digits are right,", end=" ")
    print(f"after {time.perf_counter() - started:.1f} s of training")
    show_some(test_x, predict(test_x), test_t)
    compare(train, weights, train_x[:batch], train_t[:batch])
    return accuracy


def show_some(images: np.ndarray, guesses: np.ndarray, labels: np.ndarray, count: int = 6) -> None:
    """The first few held-out digits in characters, with what the network takes them for."""
    shades = np.array(list(" .:-=+*#%"))
    rows = [["".join(shades[np.intp(line * 8)]) for line in image.reshape(8, 8)] for image in images[:count]]
    print("\n" + "\n".join("   ".join(lines) for lines in zip(*rows, strict=True)))
    print("   ".join(f"{f'{g} (is {t})':8}" for g, t in zip(guesses[:count], labels[:count], strict=True)))


if __name__ == "__main__":
    main()
