"""Programs that run.py measures, as functions of a namespace.

A program is said once, as ``program(m, *arrays)``: ``m`` has NumPy's names for each library in turn, and a few more
that are single functions in many (`peers.peer`). It takes the arrays of ``inputs`` in order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from models import Training

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Input:
    """An array of numbers drawn evenly from an interval; sizes are numbers, or names that a case gives numbers."""

    shape: tuple[int | str, ...]
    between: tuple[float, float] = (-2.0, 2.0)
    dtype: str | None = None
    """None is the dtype of the case."""

    def drawn(self, name: str, sizes: Mapping[str, int], dtype: np.dtype[Any]) -> Array:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        shape = [sizes[size] if isinstance(size, str) else size for size in self.shape]
        return np.asarray(rng.uniform(*self.between, shape)).astype(self.dtype or dtype)


@dataclass(frozen=True)
class Workload:
    name: str
    program: Callable[..., Any]
    """With ``updates`` it returns a result or None, and the new values of its weights."""
    inputs: Mapping[str, Input]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("float32"))
    sizes: Mapping[str, int] = field(default_factory=dict)
    label: str = ""
    """The table that it stands in."""
    weights: frozenset[str] = frozenset()
    """Inputs that stay between calls: variables, where a library has them."""
    updates: bool = False
    training: Training | None = None
    bound_by_memory: bool = False
    """Whether its time at large sizes is that of moving its inputs and results."""
    target: float | None = None
    """What its ratio to the best peer is to be, or its time in seconds."""
    tiny: Mapping[str, int] = field(default_factory=dict)
    """Sizes at which it takes no memory to speak of."""
    flushes: bool = False
    """Whether the processor is told to take denormal numbers as 0 meanwhile, whoever computes."""

    def arrays(self) -> dict[str, Array]:
        return {name: each.drawn(name, self.sizes, self.dtype) for name, each in self.inputs.items()}


def alike(text: str, *shape: int | str, between: tuple[float, float] = (-2.0, 2.0)) -> dict[str, Input]:
    """Inputs of these names, all alike."""
    return {name: Input(shape, between) for name in text.split()}


# Elementwise


def arithmetic(m: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    return 2.0 * a + 3.0 * b - c / d


def horner(m: Any, x: Any, y: Any, a: Any, b: Any, c: Any) -> Any:
    """30 operations: ``((a * x + b) * y - c) * x + …``, every other term taken away."""
    result = a
    for place, term in enumerate((b, c, a) * 5):
        result = result * (y if place % 2 else x)
        result = result - term if place % 2 else result + term
    return result


def mixed_chain(m: Any, x: Any, y: Any, z: Any) -> Any:
    """10 operations."""
    return m.maximum(m.sqrt(m.abs(x * y - z)), z) * 0.5 + m.abs(x) - m.sqrt(y)


def leaky_relu(m: Any, x: Any) -> Any:
    return m.where(x > 0, x, 0.01 * x)


def waves(m: Any, x: Any) -> Any:
    return m.sin(x) * m.cos(x) + m.exp(-(x * x))


def black_scholes(m: Any, spot: Any, strike: Any, years: Any, rate: Any, volatility: Any) -> Any:
    """The prices of a call and of a put."""
    spread = volatility * m.sqrt(years)
    d1 = (m.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    paid = strike * m.exp(-rate * years)
    call = spot * m.ndtr(d1) - paid * m.ndtr(d1 - spread)
    return call, call - spot + paid


def adam(m: Any, p: Any, g: Any, mean: Any, square: Any) -> Any:
    """The tenth update of a parameter, and of its two averages."""
    mean = 0.9 * mean + 0.1 * g
    square = 0.999 * square + 0.001 * g * g
    step = mean / (1 - 0.9**10) / (m.sqrt(square / (1 - 0.999**10)) + 1e-8)
    return p - 0.001 * step, mean, square


_X = alike("x", "n")
_POSITIVE = (0.2, 1.0)

ELEMENTWISE = (
    Workload("2a + 3b - c/d", arithmetic, alike("a b c d", "n", between=(0.1, 2.0)), bound_by_memory=True),
    Workload(
        "sqrt, abs, maximum: 10 ops",
        mixed_chain,
        alike("x y z", "n", between=(0.1, 2.0)),
        bound_by_memory=True,
    ),
    Workload("Horner: 30 ops", horner, alike("x y a b c", "n", between=(-0.9, 0.9))),
    Workload("leaky relu", leaky_relu, _X, bound_by_memory=True),
    Workload("GELU, tanh", lambda m, x: m.gelu_tanh(x), _X),
    Workload("GELU, erf", lambda m, x: m.gelu_erf(x), _X),
    Workload("sigmoid", lambda m, x: m.sigmoid(x), _X),
    Workload("softplus", lambda m, x: m.softplus(x), _X),
    Workload("sin x cos x + exp(-x^2)", waves, _X),
    Workload(
        "Black-Scholes", black_scholes, alike("spot strike years rate volatility", "n", between=_POSITIVE)
    ),
    Workload("Adam", adam, alike("p g mean square", "n", between=(0.1, 2.0)), bound_by_memory=True),
)


# Rows

_TABLE = alike("x", "rows", "columns")
_VECTOR = alike("scale shift", "columns")


def squared_error(m: Any, x: Any, y: Any) -> Any:
    return m.mean(m.square(x - y))


ROWS = (
    Workload("sum of all", lambda m, x: m.sum(x), _TABLE),
    Workload("sum, axis 0", lambda m, x: m.sum(x, axis=0), _TABLE),
    Workload("sum, axis 1", lambda m, x: m.sum(x, axis=1), _TABLE),
    Workload("variance of all", lambda m, x: m.var(x), _TABLE),
    Workload("mean squared error", squared_error, alike("x y", "rows", "columns")),
    Workload("softmax", lambda m, x: m.softmax(x), _TABLE),
    Workload("logsumexp", lambda m, x: m.logsumexp(x), _TABLE),
    Workload("layer norm", lambda m, x, scale, shift: m.layer_norm(x, scale, shift), {**_TABLE, **_VECTOR}),
    Workload("RMS norm", lambda m, x, scale: m.rms_norm(x, scale), {**_TABLE, "scale": Input(("columns",))}),
    Workload(
        "x * row + column",
        lambda m, x, row, column: x * row + column,
        {**_TABLE, "row": Input(("columns",)), "column": Input(("rows", 1))},
    ),
    Workload(
        "x.T + z",
        lambda m, x, z: x.T + z,
        {**_TABLE, "z": Input(("columns", "rows"))},
    ),
)


# Calls


def hundred(m: Any, x: Any) -> Any:
    y = x
    for n in range(50):
        y = y * x + 0.01 * n
    return y


_FOUR = alike("x", 4, between=(0.1, 0.9))

CALLS = (
    Workload("x + 1", lambda m, x: x + 1, _FOUR),
    Workload("3 ops", lambda m, x: m.exp(x * 2) + x, _FOUR, target=0.25e-6),
    Workload("100 ops", hundred, _FOUR, target=1e-6),
    Workload(
        "one variable updated",
        lambda m, v, x: (None, (v + x,)),
        {"v": Input((4,)), **_FOUR},
        weights=frozenset("v"),
        updates=True,
        target=0.5e-6,
    ),
)
