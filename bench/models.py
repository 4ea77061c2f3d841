"""Models and steps of training that workloads are made of, with gradients by hand for NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

RATE = 0.01


@dataclass(frozen=True)
class Model:
    """``loss(m, parameters, *data)``; ``by_hand(parameters, *data)`` is its value and its gradient, in NumPy."""

    shapes: dict[str, tuple[int, ...]]
    """Of the parameters, by their names, in order."""
    loss: Callable[..., Any]
    by_hand: Callable[..., Any]
    logits: Callable[..., Any]

    @property
    def parameters(self) -> int:
        return len(self.shapes)


def value_and_gradient(model: Model) -> Callable[..., Any]:
    """A program of the parameters and the data: the loss and its gradient, one list."""

    def program(m: Any, *given: Any) -> Any:
        loss, slopes = m.value_and_grad(model, given[: model.parameters], *given[model.parameters :])
        return [loss, *slopes]

    return program


def logistic(features: int) -> Model:
    """The mean of ``log(1 + exp(z)) - t z``, where z is ``x @ w + b`` and t is what a line of data says."""

    def logits(m: Any, parameters: Any, x: Any) -> Any:
        w, b = parameters
        return m.matmul(x, w) + b

    def loss(m: Any, parameters: Any, x: Any, t: Any) -> Any:
        z = logits(m, parameters, x)
        return m.mean(m.softplus(z) - t * z)

    def by_hand(parameters: Any, x: Any, t: Any) -> Any:
        z = logits(np, parameters, x)
        value = np.mean(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - t * z)
        slope = (1 / (1 + np.exp(-z)) - t) / len(x)
        return value, [x.T @ slope, slope.sum()]

    return Model({"w": (features,), "b": ()}, loss, by_hand, logits)


def network(layers: Sequence[int]) -> Model:
    """Linear layers with relu between them, and the mean of the cross entropy."""
    return _network(layers, lambda m, z: m.relu(z), lambda z, y: z > 0)


def tanh_network(layers: Sequence[int]) -> Model:
    return _network(layers, lambda m, z: m.tanh(z), lambda z, y: 1 - y * y)


def sines(length: int) -> Model:
    """The sum of ``sin(sin(… x))``."""

    def chain(m: Any, parameters: Any) -> Any:
        (y,) = parameters
        for _ in range(length):
            y = m.sin(y)
        return y

    def by_hand(parameters: Any) -> Any:
        (y,) = parameters
        slope = np.ones_like(y)
        for _ in range(length):
            y, slope = np.sin(y), slope * np.cos(y)
        return y.sum(), [slope]

    return Model({"x": (8,)}, lambda m, parameters: m.sum(chain(m, parameters)), by_hand, chain)


def gelu_network(layers: Sequence[int]) -> Model:
    """The same with GELU by tanh."""

    def slope(z: Any, y: Any) -> Any:
        bent = np.tanh(0.7978845608028654 * (z + 0.044715 * z * z * z))
        inner = 0.7978845608028654 * (1 + 0.134145 * z * z)
        return 0.5 * (1 + bent) + 0.5 * z * (1 - bent * bent) * inner

    return _network(layers, lambda m, z: m.gelu_tanh(z), slope)


def _network(layers: Sequence[int], bend: Callable[..., Any], slope_of: Callable[..., Any]) -> Model:
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (before, after) in enumerate(pairwise(layers)):
        shapes |= {f"w{number}": (before, after), f"b{number}": (after,)}

    def logits(m: Any, parameters: Any, x: Any) -> Any:
        y = m.matmul(x, parameters[0]) + parameters[1]
        for place in range(2, len(parameters), 2):
            y = m.matmul(bend(m, y), parameters[place]) + parameters[place + 1]
        return y

    def loss(m: Any, parameters: Any, x: Any, t: Any) -> Any:
        return m.mean_cross_entropy(logits(m, parameters, x), t)

    def by_hand(parameters: Any, x: Any, t: Any) -> Any:
        from peers.numpy_and_numba import NUMPY

        before, bent = [], [x]
        for place in range(0, len(parameters), 2):
            z = bent[-1] @ parameters[place] + parameters[place + 1]
            before.append(z)
            bent.append(bend(NUMPY, z))
        value = NUMPY.mean_cross_entropy(before[-1], t)
        slope = NUMPY.softmax(before[-1])
        slope[np.arange(len(t)), t] -= 1
        slope /= len(t)
        slopes: list[Any] = []
        for place in reversed(range(len(before))):
            slopes = [bent[place].T @ slope, slope.sum(axis=0), *slopes]
            if place:
                slope = (slope @ parameters[2 * place].T) * slope_of(before[place - 1], bent[place])
        return value, slopes

    return Model(shapes, loss, by_hand, logits)


@dataclass(frozen=True)
class Training:
    """A program of parameters, what the optimizer keeps, and data: the loss, and the new values of the first two."""

    model: Model
    optimizer: str
    rate: float = RATE

    @property
    def state(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what the optimizer keeps: for Adam two averages for each parameter, and the steps so far."""
        if self.optimizer == "SGD":
            return {}
        kept = {f"{kind}_{name}": shape for kind in "mv" for name, shape in self.model.shapes.items()}
        return {**kept, "steps": ()}

    def __call__(self, m: Any, *given: Any) -> Any:
        count = self.model.parameters
        parameters, kept = given[:count], given[count : count + len(self.state)]
        loss, slopes = m.value_and_grad(self.model, parameters, *given[count + len(kept) :])
        if self.optimizer == "SGD":
            return loss, tuple(p - self.rate * g for p, g in zip(parameters, slopes, strict=True))
        *averages, steps = kept
        steps = steps + 1
        means = [0.9 * a + 0.1 * g for a, g in zip(averages[:count], slopes, strict=True)]
        squares = [0.999 * a + 0.001 * g * g for a, g in zip(averages[count:], slopes, strict=True)]
        first, second = 1 - m.exp(steps * np.log(0.9).item()), 1 - m.exp(steps * np.log(0.999).item())
        new = [
            p - self.rate * (a / first) / (m.sqrt(s / second) + 1e-8)
            for p, a, s in zip(parameters, means, squares, strict=True)
        ]
        return loss, (*new, *means, *squares, steps)
