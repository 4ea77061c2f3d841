"""A public check of gradients against differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.autodiff.reverse import vjp
from symgraph.errors import GradientError
from symgraph.graph.evaluate import Array, schedule, variable_values
from symgraph.graph.node import Node


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """What was found for one input: the largest error relative to ``max(1, largest slope)``."""

    input: Node
    error: float
    gradient: Array
    differences: Array


def check_gradient(
    output: Node,
    inputs: Sequence[Node],
    feed: Mapping[Node, Any],
    *,
    tolerance: float = 1e-6,
    step: float = 1e-3,
    seed: int = 0,
) -> list[GradientCheck]:
    """Compare the gradient of a node with central differences; raise when they disagree.

    An output that is no scalar is checked along one random direction. Differences are Richardson-extrapolated from
    steps ``step`` and ``step / 2``; inputs must be float64 or complex128, since in less nothing could be told apart.

    >>> x = placeholder("float64", ("n",), name="x")
    >>> (found,) = check_gradient(exp(x).sum(), [x], {x: [0.0, 1.0]})
    >>> found.error < 1e-9
    True

    Raises GradientError naming the input and element that is furthest off.
    """
    for x in inputs:
        if x.row.name not in ("float64", "complex128"):
            raise GradientError(f"differences need float64 or complex128, and {x!r} is {x.row.name}")
    given = {node: np.array(value, node.dtype) for node, value in feed.items()}
    given.update((node, value) for node, value in variable_values([output]).items() if node not in given)
    nodes = list(given)
    missing = [x for x in inputs if x not in given]
    if missing:
        raise GradientError(f"no value is given for {missing[0]!r}")
    forward = schedule([output], nodes)
    base = forward.run(list(given.values()))[0]
    weights = _direction(base, seed)
    slopes = schedule(vjp([output], inputs, [weights]), nodes).run(list(given.values()))
    found = []
    for x, slope in zip(inputs, slopes, strict=True):

        def loss(value: Array, x: Node = x) -> float:
            arrays = [value if node is x else array for node, array in given.items()]
            return float(np.sum((np.conj(weights) * forward.run(arrays)[0]).real))

        differences = _differences(loss, given[x], step)
        error = _error(np.asarray(slope), differences)
        if not error <= tolerance:
            raise GradientError(_report(x, np.asarray(slope), differences, error, tolerance))
        found.append(GradientCheck(x, error, np.asarray(slope), differences))
    return found


def _direction(base: Array, seed: int) -> Array:
    if base.ndim == 0 and base.dtype.kind == "f":
        return np.ones_like(base)
    rng = np.random.default_rng(seed)
    weights: Any = rng.uniform(0.5, 1.5, base.shape)
    if base.dtype.kind == "c":
        weights = weights + 1j * rng.uniform(0.5, 1.5, base.shape)
    return np.asarray(weights, dtype=base.dtype)


def _differences(loss: Any, at: Array, step: float) -> Array:
    """Central differences in each real coordinate; for a complex one the pair as ``∂a + i ∂b``."""
    slopes = np.zeros_like(at)
    directions = (1.0, 1j) if at.dtype.kind == "c" else (1.0,)
    for place in np.ndindex(at.shape):
        for direction in directions:
            slopes[place] += direction * _slope(loss, at, place, direction, step)
    return slopes


def _slope(loss: Any, at: Array, place: tuple[int, ...], direction: complex, step: float) -> float:
    h = step * max(1.0, abs(at[place]))

    def central(h: float) -> float:
        up, down = at.copy(), at.copy()
        up[place] += direction * h
        down[place] -= direction * h
        return float((loss(up) - loss(down)) / (2 * h))

    return (4 * central(h / 2) - central(h)) / 3


def _error(slope: Array, differences: Array) -> float:
    if not slope.size:
        return 0.0
    scale = max(1.0, float(np.max(np.abs(differences))))
    return float(np.max(np.abs(slope - differences))) / scale


def _report(x: Node, slope: Array, differences: Array, error: float, tolerance: float) -> str:
    worst = np.unravel_index(np.argmax(np.nan_to_num(np.abs(slope - differences), nan=np.inf)), slope.shape)
    place = f"[{', '.join(map(str, worst))}]" if worst else ""
    return (
        f"the gradient with respect to {x.name or x.op.name}{place} is {slope[worst]} "
        f"and differences give {differences[worst]} (error {error:.1e}, tolerance {tolerance:.0e})"
    )
