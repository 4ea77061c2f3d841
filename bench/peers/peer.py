"""What a peer is, and the names that programs are written with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Names = Any
"""A namespace with NumPy's functions, as one library has them."""


class CannotSay(Exception):
    """A program that a peer has no words for."""


def as_arrays(results: Any) -> list[Array]:
    """What a call returned, as NumPy arrays; None is nothing."""
    each = results if isinstance(results, list | tuple) else [] if results is None else [results]
    return [np.asarray(x) for x in each]


@dataclass(frozen=True)
class Ready:
    """What is timed is ``function(*arguments)``, and ``wait`` of it where results come later."""

    function: Callable[..., Any]
    arguments: Sequence[Any]
    wait: Callable[[Any], Any] | None = None
    arrays: Callable[[Any], list[Array]] = as_arrays
    """What a call returned, as NumPy arrays."""
    state: Callable[[], list[Array]] = field(default=list)
    """What the weights are now, of a program that updates them."""

    def __call__(self) -> Any:
        result = self.function(*self.arguments)
        return result if self.wait is None else self.wait(result)


class Peer(Protocol):
    version: str

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        """The workload as this library's users would write it, compiled or about to be at the first call.

        Raises anything for what it cannot say.
        """

    def settle(self) -> None:
        """Wait for what goes on in the background, after some calls and before they are timed."""


def stepping(step: Callable[..., Any], weights: Sequence[Any]) -> tuple[Callable[..., Any], list[Any]]:
    """For libraries whose functions return new weights: a call that takes data, and what it keeps the weights in."""
    kept = list(weights)

    def call(*data: Any) -> Any:
        result, kept[:] = step(tuple(kept), *data)
        return result

    return call, kept


def split(workload: Any, arrays: Mapping[str, Array]) -> tuple[list[Array], list[Array]]:
    """The arrays that stay between calls, and those that a call is given."""
    weights = [x for name, x in arrays.items() if name in workload.weights]
    return weights, [x for name, x in arrays.items() if name not in workload.weights]


# Names

PLAIN = [
    "abs",
    "cos",
    "erf",
    "exp",
    "log",
    "log1p",
    "max",
    "maximum",
    "mean",
    "mean_cross_entropy",
    "minimum",
    "sin",
    "sqrt",
    "sum",
    "tanh",
    "value_and_grad",
    "var",
    "where",
]


def names(library: Any, /, **own: Any) -> Names:
    """The library's functions, with ``own`` for what it names otherwise and compositions for what it does not have."""
    m = SimpleNamespace()
    for name in (*PLAIN, *_COMPOSED):
        if (found := own.get(name) or getattr(library, name, None)) is not None:
            setattr(m, name, found)
        else:
            setattr(m, name, partial(_COMPOSED.get(name, partial(_unsaid, name)), m))
    return m


def _unsaid(name: str, m: Names, *operands: Any) -> Any:
    raise CannotSay(name)


def _softmax(m: Names, x: Any) -> Any:
    powers = m.exp(x - m.max(x, axis=-1, keepdims=True))
    return powers / m.sum(powers, axis=-1, keepdims=True)


def _logsumexp(m: Names, x: Any) -> Any:
    peak = m.max(x, axis=-1, keepdims=True)
    return m.log(m.sum(m.exp(x - peak), axis=-1, keepdims=True)) + peak


def _layer_norm(m: Names, x: Any, scale: Any, shift: Any) -> Any:
    centred = x - m.mean(x, axis=-1, keepdims=True)
    return centred / m.sqrt(m.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * scale + shift


def _softplus(m: Names, x: Any) -> Any:
    return m.maximum(x, 0) + m.log1p(m.exp(-m.abs(x)))


_COMPOSED: Mapping[str, Callable[..., Any]] = {
    "gelu_erf": lambda m, x: 0.5 * x * (1 + m.erf(x * 0.7071067811865476)),
    "gelu_tanh": lambda m, x: 0.5 * x * (1 + m.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
    "layer_norm": _layer_norm,
    "logsumexp": _logsumexp,
    "matmul": lambda m, x, y: operator.matmul(x, y),
    "ndtr": lambda m, x: 0.5 * (1 + m.erf(x * 0.7071067811865476)),
    "relu": lambda m, x: m.maximum(x, 0),
    "rms_norm": lambda m, x, scale: x / m.sqrt(m.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale,
    "sigmoid": lambda m, x: 1 / (1 + m.exp(-x)),
    "softmax": _softmax,
    "softplus": _softplus,
    "square": lambda m, x: x * x,
}
