"""Programs whose memory is looked at: thirty of machine learning, statistics and physics, a chain, and a large one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import symgraph as sg

Node = sg.Node


@dataclass(frozen=True)
class Program:
    """What a function is made of, and the sizes at which it is looked at."""

    inputs: Sequence[Node]
    outputs: Sequence[Node]
    sizes: Mapping[str, int] = field(default_factory=dict)
    updates: Mapping[Any, Node] = field(default_factory=dict)
    loss: Node | None = None
    """What a gradient was taken of: what it is computed from are forward values."""
    layers: Sequence[Node] = ()
    """What whole layers would keep, were they ops: the inputs of normalizations and of what follows them."""

    def compiled(self, limit: int | None = None) -> sg.CompiledFunction:
        options = sg.Options(memory_limit=limit)
        return sg.function(list(self.inputs), list(self.outputs), dict(self.updates), options=options)

    def arguments(self, sizes: Mapping[str, int] | None = None) -> list[np.ndarray]:
        """Arrays for a call: small normal numbers, and integers that are 0."""
        known = {**self.sizes, **(sizes or {})}
        rng = np.random.default_rng(0)
        arrays = []
        for node in self.inputs:
            shape = tuple(known[str(size)] if isinstance(size, sg.Size) else size for size in node.shape)
            if node.dtype.kind == "f":
                arrays.append((0.1 * rng.standard_normal(shape, np.float32)).astype(node.dtype))
            else:
                arrays.append(np.full(shape, 0, node.dtype))
        return arrays


# Building blocks


class Weights:
    """Inputs that stand for weights, in the order in which a program asks for them."""

    def __init__(self, dtype: str = "float32") -> None:
        self.all: list[Node] = []
        self._dtype = dtype

    def __call__(self, *shape: int) -> Node:
        node = sg.placeholder(self._dtype, shape, name=f"w{len(self.all)}")
        self.all.append(node)
        return node


def data(*shape: Any, name: str = "x", dtype: str = "float32") -> Node:
    return sg.placeholder(dtype, shape, name=name)


def dense(x: Node, out: int, weights: Weights) -> Node:
    return x @ weights(x.shape[-1], out) + weights(out)


def normed(x: Node, weights: Weights) -> Node:
    """Layer normalization."""
    size = x.shape[-1]
    centred = x - sg.mean(x, axis=-1, keepdims=True)
    scale = sg.sqrt(sg.mean(sg.square(centred), axis=-1, keepdims=True) + 1e-5)
    return centred / scale * weights(size) + weights(size)


def network(x: Node, widths: Sequence[int], weights: Weights, activation: Callable[[Node], Node]) -> Node:
    for width in widths[:-1]:
        x = activation(dense(x, width, weights))
    return dense(x, widths[-1], weights)


def slopes(
    loss: Node, inputs: Sequence[Node], weights: Weights, sizes: Mapping[str, int], *more: Node
) -> Program:
    """The loss and its gradient."""
    wanted = [*weights.all, *more]
    return Program([*inputs, *weights.all], [loss, *sg.grad(loss, wanted)], sizes, loss=loss)


# Networks


def multilayer(
    depth: int, width: int, activation: Callable[[Node], Node], dtype: str = "float32", n: int = 2048
) -> Program:
    """The gradient of a network of equal layers."""
    x, t, weights = data("n", width, dtype=dtype), data("n", width, name="t", dtype=dtype), Weights(dtype)
    y = network(x, [width] * depth, weights, activation)
    return slopes(sg.mean(sg.square(y - t)), [x, t], weights, {"n": n})


def residual(depth: int = 12) -> Program:
    x, t, weights = data("n", 128), data("n", 128, name="t"), Weights()
    y = x
    for _ in range(depth):
        y = y + network(normed(y, weights), [256, 128], weights, sg.silu)
    return slopes(sg.mean(sg.square(y - t)), [x, t], weights, {"n": 2048})


def attention(x: Node, heads: int, weights: Weights) -> Node:
    batch, length, width = x.shape
    each = width // heads

    def split(y: Node) -> Node:
        return sg.transpose(sg.reshape(y, (batch, length, heads, each)), (0, 2, 1, 3))

    q, k, v = (split(dense(x, width, weights)) for _ in range(3))
    scores = q @ sg.transpose(k, (0, 1, 3, 2)) * each**-0.5
    mixed = sg.transpose(sg.softmax(scores) @ v, (0, 2, 1, 3))
    return dense(sg.reshape(mixed, (batch, length, width)), width, weights)


def block(x: Node, heads: int, weights: Weights) -> Node:
    """A transformer's block, normalized before each part."""
    x = x + attention(normed(x, weights), heads, weights)
    return x + network(normed(x, weights), [4 * x.shape[-1], x.shape[-1]], weights, sg.gelu)


def transformer() -> Program:
    x, weights = data("n", 128, 128), Weights()
    y = block(x, 4, weights)
    return Program([x, *weights.all], [y], {"n": 16})


def transformer_gradient(blocks: int = 1, n: int = 16) -> Program:
    x, t, weights = data("n", 128, 128), data("n", 128, 128, name="t"), Weights()
    y = x
    for _ in range(blocks):
        y = block(y, 4, weights)
    return slopes(sg.mean(sg.square(y - t)), [x, t], weights, {"n": n})


def lstm(steps: int = 20, width: int = 64) -> Program:
    x, t, weights = data(steps, "n", width), data("n", width, name="t"), Weights()
    w, u, b = weights(width, 4 * width), weights(width, 4 * width), weights(4 * width)
    h = c = sg.zeros((x.shape[1], width), "float32")
    for step in range(steps):
        i, f, o, g = sg.split(x[step] @ w + h @ u + b, 4, axis=1)
        c = sg.sigmoid(f) * c + sg.sigmoid(i) * sg.tanh(g)
        h = sg.sigmoid(o) * sg.tanh(c)
    return slopes(sg.mean(sg.square(h - t)), [x, t], weights, {"n": 256})


def autoencoder() -> Program:
    x, weights = data("n", 784), Weights()
    y = network(x, [256, 64, 16, 64, 256, 784], weights, sg.relu)
    return slopes(sg.mean(sg.binary_cross_entropy(y, sg.sigmoid(x))), [x], weights, {"n": 1024})


def variational() -> Program:
    """A variational autoencoder; its noise is given."""
    x, noise, weights = data("n", 784), data("n", 32, name="noise"), Weights()
    mean, spread = sg.split(network(x, [256, 64], weights, sg.softplus), 2, axis=1)
    y = network(mean + sg.exp(0.5 * spread) * noise, [256, 784], weights, sg.softplus)
    divergence = -0.5 * sg.sum(1 + spread - sg.square(mean) - sg.exp(spread), axis=1)
    loss = sg.mean(sg.sum(sg.binary_cross_entropy(y, sg.sigmoid(x)), axis=1) + divergence)
    return slopes(loss, [x, noise], weights, {"n": 1024})


def contrastive() -> Program:
    """Two views of the same examples, and the loss that tells which belong together."""
    a, b, weights = data("n", 256, name="a"), data("n", 256, name="b"), Weights()
    w, v = weights(256, 256), weights(256, 64)

    def embedded(x: Node) -> Node:
        y = sg.relu(x @ w) @ v
        return y / sg.sqrt(sg.sum(sg.square(y), axis=1, keepdims=True) + 1e-6)

    scores = embedded(a) @ embedded(b).T / 0.1
    labels = sg.arange(a.shape[0])
    loss = sg.mean(sg.cross_entropy(scores, labels) + sg.cross_entropy(scores.T, labels))
    return slopes(loss, [a, b], weights, {"n": 1024})


def embeddings() -> Program:
    """Words and their neighbours, among drawn others."""
    words, others, weights = data("n", dtype="int64"), data("n", 8, name="others", dtype="int64"), Weights()
    table, context = weights(5000, 64), weights(5000, 64)
    scores = sg.einsum("nd,nkd->nk", sg.take(table, words, axis=0), sg.take(context, others, axis=0))
    loss = sg.mean(sg.cross_entropy(scores, sg.zeros((words.shape[0],), "int64")))
    return slopes(loss, [words, others], weights, {"n": 2048})


# Images


def places(x: Node, size: int, stride: int = 1, around: float = 0.0) -> list[Node]:
    """Images [batch, height, width, channels] as seen from each place of a kernel, with ``around`` outside of them."""
    _, height, width, _ = x.shape
    rows, columns = (-(-each // stride) for each in (height, width))
    if size > 1:
        edge = (size // 2, size // 2)
        x = sg.pad(x, ((0, 0), edge, edge, (0, 0)), constant_values=around)
    down = [slice(i, i + (rows - 1) * stride + 1, stride) for i in range(size)]
    across = [slice(j, j + (columns - 1) * stride + 1, stride) for j in range(size)]
    return [x[:, i, j] for i in down for j in across]


def convolved(x: Node, w: Node, stride: int = 1) -> Node:
    """A convolution as a sum of products, one for each place of the kernel: nothing is copied nine times."""
    size, _, channels, out = w.shape
    each = sg.reshape(w, (size * size, channels, out))
    return functools.reduce(sg.add, (seen @ each[n] for n, seen in enumerate(places(x, size, stride))))


def gathered(x: Node, w: Node, stride: int = 1) -> Node:
    """A convolution as one product, of all places of the kernel beside each other (im2col)."""
    size, _, channels, out = w.shape
    return sg.concat(places(x, size, stride), axis=3) @ sg.reshape(w, (size * size * channels, out))


def batch_normed(x: Node, weights: Weights) -> Node:
    """With the statistics of the batch."""
    mean = sg.mean(x, axis=(0, 1, 2), keepdims=True)
    centred = x - mean
    scale = sg.sqrt(sg.mean(sg.square(centred), axis=(0, 1, 2), keepdims=True) + 1e-5)
    return centred / scale * weights(x.shape[-1]) + weights(x.shape[-1])


def images(convolution: Callable[[Node, Node], Node] = convolved, n: int = 32) -> Program:
    """Two convolutions and a linear layer."""
    x, t, weights = data("n", 28, 28, 8), data("n", name="t", dtype="int64"), Weights()
    y = sg.relu(convolution(x, weights(3, 3, 8, 16)))
    y = sg.relu(convolution(y, weights(3, 3, 16, 16)))
    logits = dense(sg.mean(y, axis=(1, 2)), 10, weights)
    return slopes(sg.mean(sg.cross_entropy(logits, t)), [x, t], weights, {"n": n})


def residual_images(
    batch: int = 32,
    side: int = 224,
    blocks: Sequence[int] = (3, 4, 6, 3),
    width: int = 64,
    first: Callable[[Node, Node, int], Node] = gathered,
) -> Program:
    """ResNet-50 (He et al. 2016) and its gradient: bottleneck blocks, statistics of the batch.

    Convolutions are sums of products; the ``first`` has three channels, for which im2col is no large matrix.
    """
    x, t, weights = data(batch, side, side, 3), data(batch, name="t", dtype="int64"), Weights()
    kept: list[Node] = []

    def keep(y: Node) -> Node:
        kept.append(y)
        return y

    def layer(y: Node, size: int, out: int, stride: int = 1) -> Node:
        made = (first if y is x else convolved)(y, weights(size, size, y.shape[-1], out), stride)
        return batch_normed(keep(made), weights)

    def bottleneck(y: Node, out: int, stride: int) -> Node:
        inside = keep(sg.relu(layer(y, 1, out // 4)))
        inside = keep(sg.relu(layer(inside, 3, out // 4, stride)))
        inside = layer(inside, 1, out)
        return keep(sg.relu(inside + (y if y.shape == inside.shape else layer(y, 1, out, stride))))

    y = keep(sg.relu(layer(x, 7, width, 2)))
    y = keep(functools.reduce(sg.maximum, places(y, 3, 2, -np.inf)))
    for stage, count in enumerate(blocks):
        for at in range(count):
            y = bottleneck(y, 4 * width * 2**stage, 2 if stage and not at else 1)
    logits = dense(sg.mean(y, axis=(1, 2)), 1000, weights)
    made = slopes(sg.mean(sg.cross_entropy(logits, t)), [x, t], weights, {})
    return replace(made, layers=kept)


# Steps of training


def training(rule: Callable[[Any, Node], Mapping[Any, Node]]) -> Program:
    """A step on variables, which the rule makes of each weight and its slope."""
    x, t = data("n", 256), data("n", name="t", dtype="int64")
    rng = np.random.default_rng(0)
    y, variables = x, []
    for at, (rows, columns) in enumerate([(256, 512), (512, 512), (512, 10)]):
        w = sg.variable(0.05 * rng.standard_normal((rows, columns)), name=f"w{at}", dtype="float32")
        b = sg.variable(np.zeros(columns), name=f"b{at}", dtype="float32")
        y = y @ w + b if columns == 10 else sg.relu(y @ w + b)
        variables += [w, b]
    loss = sg.mean(sg.cross_entropy(y, t))
    updates: dict[Any, Node] = {}
    for w, g in zip(variables, sg.grad(loss, variables), strict=True):
        updates |= rule(w, g)
    return Program([x, t], [loss], {"n": 512}, updates, loss=loss)


def _like(w: Any, name: str) -> Any:
    return sg.variable(np.zeros_like(w.value), name=f"{w.name}_{name}", trainable=False)


def descent(w: Any, g: Node) -> Mapping[Any, Node]:
    """With momentum."""
    v = _like(w, "v")
    new = 0.9 * v - 0.01 * g
    return {v: new, w: w + new}


def root_mean_square(w: Any, g: Node) -> Mapping[Any, Node]:
    s = _like(w, "s")
    new = 0.9 * s + 0.1 * sg.square(g)
    return {s: new, w: w - 0.001 * g / (sg.sqrt(new) + 1e-8)}


def adam(w: Any, g: Node) -> Mapping[Any, Node]:
    m, v, step = _like(w, "m"), _like(w, "v"), sg.variable(0.0, name=f"{w.name}_n", dtype="float32")
    now = step + 1
    new_m, new_v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * sg.square(g)
    size = 0.001 * sg.sqrt(1 - sg.pow(0.999, now)) / (1 - sg.pow(0.9, now))
    return {step: now, m: new_m, v: new_v, w: w - size * new_m / (sg.sqrt(new_v) + 1e-8)}


# Statistics


def softmax_regression() -> Program:
    x, t, w, b = data("n", 64), data("n", 10, name="t"), data(64, 10, name="w"), data(10, name="b")
    loss = sg.mean(sg.cross_entropy(x @ w + b, sg.softmax(t)))
    slope_w, slope_b = sg.grad(loss, [w, b])
    return Program([x, t, w, b], [loss, w - 0.1 * slope_w, b - 0.1 * slope_b], {"n": 20_000}, loss=loss)


def newton() -> Program:
    """The gradient and the second derivatives of a logistic regression."""
    x, t, w = (
        data("n", 50, dtype="float64"),
        data("n", name="t", dtype="float64"),
        data(50, name="w", dtype="float64"),
    )
    p = sg.sigmoid(x @ w)
    slope = x.T @ (p - t) + 0.1 * w
    second = x.T @ (x * (p * (1 - p))[:, None]) + 0.1 * sg.eye(50)
    return Program([x, t, w], [slope, second], {"n": 20_000})


def means() -> Program:
    """A step of k-means."""
    x, centres = data("n", 16), data(32, 16, name="centres")
    far = sg.sum(sg.square(x), axis=1)[:, None] - 2 * x @ centres.T + sg.sum(sg.square(centres), axis=1)
    nearest = sg.argmin(far, axis=1)
    member = sg.one_hot(nearest, 32)
    count = sg.sum(member, axis=0)
    new = (member.T @ x) / sg.maximum(count, 1.0)[:, None]
    return Program([x, centres], [new, sg.sum(sg.min(far, axis=1))], {"n": 20_000})


def expectation() -> Program:
    """The step of a mixture of normal distributions that says who belongs where."""
    x, mean = data("n", 8, dtype="float64"), data(16, 8, name="mean", dtype="float64")
    spread, share = data(16, 8, name="spread", dtype="float64"), data(16, name="share", dtype="float64")
    off = (x[:, None, :] - mean) / sg.exp(spread)
    scores = sg.log_softmax(share) - 0.5 * sg.sum(sg.square(off), axis=2) - sg.sum(spread, axis=1)
    total = sg.logsumexp(scores, axis=1, keepdims=True)
    return Program([x, mean, spread, share], [sg.exp(scores - total), sg.mean(total)], {"n": 10_000})


def maximization() -> Program:
    """The step that follows it: new means, spreads and shares."""
    x, member = data("n", 8, dtype="float64"), data("n", 16, name="member", dtype="float64")
    member_of = sg.softmax(member, axis=1)
    count = sg.sum(member_of, axis=0)
    mean = member_of.T @ x / count[:, None]
    square = member_of.T @ sg.square(x) / count[:, None]
    return Program(
        [x, member], [mean, sg.sqrt(square - sg.square(mean) + 1e-9), count / x.shape[0]], {"n": 20_000}
    )


def factors() -> Program:
    """A step of the factorization of a matrix of which some elements are known."""
    r, known = data("n", 500, name="r"), data("n", 500, name="known")
    u, v = data("n", 20, name="u"), data(500, 20, name="v")
    loss = sg.sum(sg.square((r - u @ v.T) * known)) + 0.1 * (sg.sum(sg.square(u)) + sg.sum(sg.square(v)))
    slope_u, slope_v = sg.grad(loss, [u, v])
    return Program([r, known, u, v], [u - 1e-3 * slope_u, v - 1e-3 * slope_v, loss], {"n": 1000}, loss=loss)


def kernel_regression() -> Program:
    """The slopes of a regression by distances, with respect to the points and the weights."""
    x, y, a = (
        data("n", 8, dtype="float64"),
        data("n", name="y", dtype="float64"),
        data("n", name="a", dtype="float64"),
    )
    squares = sg.sum(sg.square(x), axis=1)
    far = squares[:, None] + squares - 2 * x @ x.T
    near = sg.exp(-0.5 * far)
    loss = sg.mean(sg.square(near @ a - y)) + 0.1 * (a @ (near @ a))
    return Program([x, y, a], [loss, *sg.grad(loss, [x, a])], {"n": 800}, loss=loss)


def components() -> Program:
    """The first principal component by ten products."""
    x, v = data("n", 100, dtype="float64"), data(100, name="v", dtype="float64")
    centred = x - sg.mean(x, axis=0)
    for _ in range(10):
        v = centred.T @ (centred @ v)
        v = v / sg.sqrt(sg.sum(sg.square(v)))
    return Program(_inputs(v), [v, sg.mean(sg.square(centred @ v))], {"n": 5000})


def ranks() -> Program:
    """Quantiles, and the mean above one of them, of sums: sorting is a library's."""
    x, w = data("n", 64, dtype="float64"), data(64, name="w", dtype="float64")
    losses = sg.sort(-(sg.exp(x) - 1) @ w)
    worst = losses[-100:]
    drawdown = sg.max(sg.cumsum(losses) - 2 * sg.sort(losses[::-1]))
    return Program([x, w], [worst.mean(), drawdown, sg.median(losses)], {"n": 20_000})


# Physics and finance


def conjugate() -> Program:
    """Ten steps of conjugate gradients on a dense matrix."""
    a, b = data("n", "n", name="a", dtype="float64"), data("n", name="b", dtype="float64")
    x, r = sg.zeros_like(b), b
    p, size = r, r @ r
    for _ in range(10):
        ap = a @ p
        alpha = size / (p @ ap)
        x, r = x + alpha * p, r - alpha * ap
        new = r @ r
        p, size = r + new / size * p, new
    return Program([a, b], [x, size], {"n": 1000})


def options() -> Program:
    """Black and Scholes: the price of an option and its slopes."""
    spot, strike, time = (data("n", name=name, dtype="float64") for name in ("spot", "strike", "time"))
    t = sg.abs(time) + 0.1
    spread = 0.3 * sg.sqrt(t)
    d1 = (sg.log(sg.exp(spot - strike)) + (0.05 + 0.5 * 0.09) * t) / spread
    price = sg.exp(spot) * sg.ndtr(d1) - sg.exp(strike - 0.05 * t) * sg.ndtr(d1 - spread)
    return Program([spot, strike, time], [price, *sg.grad(sg.sum(price), [spot, time])], {"n": 100_000})


def stencil(steps: int = 10, side: int = 500) -> Program:
    """Steps of Jacobi's method for a plate whose edge keeps its heat."""
    x = data(side, side, dtype="float64")
    y = x
    for _ in range(steps):
        inside = 0.25 * (y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:])
        y = sg.concat([y[:1], sg.concat([y[1:-1, :1], inside, y[1:-1, -1:]], axis=1), y[-1:]], axis=0)
    return Program([x], [y])


def reaction(steps: int = 5) -> Program:
    """Two substances that spread and react (Gray and Scott), on a torus."""
    u, v = data("n", 256, name="u"), data("n", 256, name="v")

    def spread(x: Node) -> Node:
        return sum((sg.roll(x, by, axis) for by in (1, -1) for axis in (0, 1)), start=-4 * x)

    a, b = u, v
    for _ in range(steps):
        made = a * b * b
        a, b = a + 0.16 * spread(a) - made + 0.06 * (1 - a), b + 0.08 * spread(b) + made - 0.122 * b
    return Program([u, v], [a, b], {"n": 256})


def bodies() -> Program:
    """A step of bodies that attract each other."""
    x, v, m = (
        data("n", 3, dtype="float64"),
        data("n", 3, name="v", dtype="float64"),
        data("n", name="m", dtype="float64"),
    )
    off = x[None, :, :] - x[:, None, :]
    far = sg.sum(sg.square(off), axis=2) + 1e-3
    force = sg.sum(off * (m / (far * sg.sqrt(far)))[:, :, None], axis=1)
    new = v + 0.01 * force
    return Program([x, v, m], [x + 0.01 * new, new], {"n": 400})


def _inputs(*roots: Node) -> list[Node]:
    return [node for node in sg.toposort(roots) if node.op.name == "placeholder"]


def chain(ops: int = 20, n: int = 10**7) -> Program:
    """Elementwise ops, each on the one before."""
    x = data("n", dtype="float64")
    y = x
    for at in range(ops):
        y = (sg.tanh(y), y * x, y + 0.5, y - x)[at % 4]
    return Program([x], [y], {"n": n})


PROGRAMS: Mapping[str, Callable[[], Program]] = {
    "network of 2 layers": lambda: multilayer(2, 256, sg.relu),
    "network of 8 layers": lambda: multilayer(8, 128, sg.gelu),
    "network of 16 layers": lambda: multilayer(16, 128, sg.tanh, "float64"),
    "residual network": residual,
    "transformer block": transformer,
    "transformer block, gradient": transformer_gradient,
    "LSTM of 20 steps": lstm,
    "autoencoder": autoencoder,
    "variational autoencoder": variational,
    "contrastive loss": contrastive,
    "embeddings": embeddings,
    "convolutions": images,
    "convolutions by im2col": lambda: images(gathered),
    "training step, momentum": lambda: training(descent),
    "training step, RMSProp": lambda: training(root_mean_square),
    "training step, Adam": lambda: training(adam),
    "softmax regression": softmax_regression,
    "logistic regression, Newton": newton,
    "k-means": means,
    "mixture, expectation": expectation,
    "mixture, maximization": maximization,
    "matrix factors": factors,
    "kernel regression": kernel_regression,
    "principal component": components,
    "ranks": ranks,
    "conjugate gradients": conjugate,
    "Black-Scholes": options,
    "Jacobi stencil": stencil,
    "reaction and diffusion": reaction,
    "bodies": bodies,
}
