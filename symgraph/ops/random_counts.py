"""Draws of counts: the Poisson and the binomial distribution.

Small means are counted out, and large ones proposed and refused as by W. Hörmann, *The transformed rejection method for
generating Poisson random variables* and *The generation of binomial random variates* (both 1993). All is computed in
float64. What an element is given depends on its own place alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, constant
from symgraph.graph.types import as_shape, broadcast_shapes
from symgraph.ops.annotations import ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.arithmetic import abs, astype, floor, minimum, where
from symgraph.ops.cases import case, draw
from symgraph.ops.create import zeros
from symgraph.ops.declare import cast_to, macro
from symgraph.ops.loops import while_loop
from symgraph.ops.random_bits import KEY, Key, as_key
from symgraph.ops.random_discrete import dtype_of
from symgraph.ops.random_gamma import reference_number, until_found
from symgraph.ops.random_keys import folded, reference_folded
from symgraph.ops.random_uniform import FLOAT64, Asked, fitted, inner
from symgraph.ops.reduce import any
from symgraph.ops.special import gammaln
from symgraph.ops.transcendental import log, log1p, sqrt

_FEW = 10
"""Below this mean, counts are counted out."""


def _proposed(
    key: Key,
    shape: tuple[Dim, ...],
    is_wanted: Node,
    center: Node,
    spread: Node,
    slope: Node,
    squeeze: Node,
    factor: Node,
    log_density: Callable[[Node], Node],
    last: Node | float,
) -> Node:
    """Counts by transformed rejection, from 0 to ``last``; 0 where none is wanted.

    A uniform number ``u`` around 0 proposes ``floor((2 slope / (1/2 - |u|) + spread) u + center)``. Another, ``v``,
    takes it where it is below ``squeeze`` in the middle, or below the density, known but for a factor, over that of
    what is proposed.
    """

    def propose(turn: Node, found: Node) -> Node:
        u = _number(key, 2 * turn, shape) - 0.5
        v = _number(key, 2 * turn + 1, shape)
        margin = 0.5 - abs(u)
        count = floor((2 * slope / margin + spread) * u + center)
        is_possible = (count >= 0) & (count <= last)
        k = where(is_possible, count, 0)
        over = log(v * factor / (slope / (margin * margin) + spread))
        taken = ((margin >= 0.07) & (v <= squeeze)) | (is_possible & (over <= log_density(k)))
        return where((found < 0) & taken, count, found)

    start = where(is_wanted, constant(-1.0, FLOAT64), zeros(shape, FLOAT64))
    return until_found(propose, start, lambda found: found < 0)


def _counted(
    key: Key, shape: tuple[Dim, ...], is_wanted: Node, limit: Node, wait: Callable[[Node], Node]
) -> Node:
    """How many waits, each made of a number in (0, 1), end before their sum is above a limit, or 0."""

    def turn(state: tuple[Node, Node, Node]) -> tuple[Node, Node, Node]:
        n, count, waited = state
        waited = waited + wait(_number(key, n, shape))
        return n + 1, where(waited <= limit, count + 1, count), waited

    start = where(is_wanted, zeros(shape, FLOAT64), math.inf)
    count: Node
    _, count, _ = while_loop(
        lambda state: any(state[2] <= limit),
        turn,
        (constant(0, "int64"), zeros(shape, FLOAT64), start),
    )
    return count


def _number(key: Key, data: Node, shape: tuple[Dim, ...]) -> Node:
    return inner(Asked(folded(key, data), shape, FLOAT64, ()))


def _parameters(shape: ShapeLike | None, *params: ArrayLike) -> tuple[tuple[Dim, ...], list[Node]]:
    nodes = [as_node(x) for x in params]
    for x in nodes:
        if x.row.is_complex or x.row.kind == "bool":
            raise DTypeError(f"takes real parameters, not {x.type}")
    sizes = broadcast_shapes(*[x.shape for x in nodes], ()) if shape is None else as_shape(shape)
    return sizes, [fitted(cast_to(x, FLOAT64), sizes) for x in nodes]


def _reference_proposed(
    key: Any, place: int, center: float, spread: float, slope: float, squeeze: float, factor: float,
    log_density: Callable[[float], float], last: float,
) -> int:  # fmt: skip
    turn = 0
    while True:
        u, v = (
            float(reference_number(reference_folded(key, 2 * turn + n), place, np.float64)) for n in (0, 1)
        )
        turn += 1
        u -= 0.5
        margin = 0.5 - math.fabs(u)
        count = math.floor((2 * slope / margin + spread) * u + center)
        if margin >= 0.07 and v <= squeeze:
            return count
        over = math.log(v * factor / (slope / (margin * margin) + spread))
        if 0 <= count <= last and over <= log_density(count):
            return count


def _reference_counted(key: Any, place: int, limit: float, wait: Callable[[float], float]) -> int:
    turn, waited = 0, 0.0
    while waited <= limit:
        waited += wait(float(reference_number(reference_folded(key, turn), place, np.float64)))
        turn += 1
    return turn - 1


# What users say


def _reference_log_poisson(mean: float, k: float) -> float:
    return k * math.log(mean) - mean - math.lgamma(k + 1)


def _poisson_reference(key: Any, mean: Any, shape: Any = None, dtype: Any = "int64") -> Any:
    sizes = np.shape(mean) if shape is None else shape
    found = []
    for place, each in enumerate(np.broadcast_to(np.asarray(mean, np.float64), sizes).ravel().tolist()):
        if each < _FEW:
            found.append(_reference_counted(key, place, each, lambda u: -math.log(u)))
            continue
        spread = 0.931 + 2.53 * math.sqrt(each)
        found.append(
            _reference_proposed(
                key, place, each + 0.43, spread, -0.059 + 0.02483 * spread, 0.9277 - 3.6224 / (spread - 2),
                1.1239 + 1.1328 / (spread - 3.4),
                partial(_reference_log_poisson, each), math.inf,
            )
        )  # fmt: skip
    return np.array(found, dtype).reshape(sizes)


@macro(
    namespace="random", dtypes=("float64",), reference=_poisson_reference, differentiable=False, sample=(0.5, 30),
    cases=[case(KEY, draw(5)), case(KEY, 100.0, (2, 3)), case(KEY, draw(3), (2, 3), dtype="int32"), case(KEY, 0.0, 3),
           case(KEY, draw(0))],
)  # fmt: skip
def poisson(
    key: ArrayLike, mean: ArrayLike, shape: ShapeLike | None = None, dtype: DTypeLike = "int64"
) -> Node:
    """Counts of the Poisson distribution with this mean, up to 10¹²; -1 where the mean is negative or NaN.

    The shape is that of the mean where none is given. The mean gets no gradient.

    >>> evaluate(random.poisson(random.key(0), 4.0, 5))
    array([5, 6, 5, 5, 3])

    Raises DTypeError for a dtype or a mean of other kinds, ShapeError for a mean that does not fit the shape,
    ArgumentError for more than 2³² numbers.
    """
    row, pair = dtype_of(dtype), as_key(key)
    sizes, (mean,) = _parameters(shape, mean)
    is_valid, is_few = mean >= 0, mean < _FEW
    few = _counted(pair, sizes, is_valid & is_few, where(is_few, mean, 0), lambda u: -log(u))
    large = where(is_few | (mean != mean), _FEW, mean)
    spread = 0.931 + 2.53 * sqrt(large)
    many = _proposed(
        pair,
        sizes,
        mean >= _FEW,
        center=large + 0.43,
        spread=spread,
        slope=-0.059 + 0.02483 * spread,
        squeeze=0.9277 - 3.6224 / (spread - 2),
        factor=1.1239 + 1.1328 / (spread - 3.4),
        log_density=lambda k: k * log(large) - large - gammaln(k + 1),
        last=math.inf,
    )
    return astype(where(is_valid, where(is_few, few, many), -1), row)


def _reference_trials(rate: float, u: float) -> float:
    return math.floor(math.log(u) / rate) + 1


def _binomial_reference(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = "int64") -> Any:
    sizes = np.broadcast_shapes(np.shape(n), np.shape(p)) if shape is None else shape
    pairs = zip(
        *(np.broadcast_to(np.asarray(x, np.float64), sizes).ravel().tolist() for x in (n, p)), strict=True
    )
    found = []
    for place, (count, share) in enumerate(pairs):
        less = min(share, 1 - share)
        if less * count < _FEW:
            drawn = 0
            if less > 0 and count > 0:
                rate = math.log1p(-less)
                drawn = _reference_counted(key, place, count, partial(_reference_trials, rate))
        else:
            deviation = math.sqrt(count * less * (1 - less))
            spread = 1.15 + 2.53 * deviation
            slope = -0.0873 + 0.0248 * spread + 0.01 * less
            mode = math.floor((count + 1) * less)

            def log_density(k: float, count: float = count, less: float = less, mode: float = mode) -> float:
                first = math.lgamma(mode + 1) + math.lgamma(count - mode + 1)
                rest = math.lgamma(k + 1) + math.lgamma(count - k + 1)
                return first - rest + (k - mode) * math.log(less / (1 - less))

            drawn = _reference_proposed(
                key, place, count * less + 0.5, spread, slope, 0.92 - 4.2 / spread,
                (2.83 + 5.1 / spread) * deviation, log_density, count,
            )  # fmt: skip
        found.append(count - drawn if share > 0.5 else drawn)
    return np.array(found).astype(dtype).reshape(sizes)


@macro(
    namespace="random", dtypes=("float64",), reference=_binomial_reference, differentiable=False, sample=(0, 1),
    cases=[case(KEY, 10, draw(5)), case(KEY, 100, draw(3), (2, 3)), case(KEY, [3, 1000], draw(2)), case(KEY, 0, 0.5, 3),
           case(KEY, 5, draw(0), dtype="int32")],
)  # fmt: skip
def binomial(
    key: ArrayLike,
    n: ArrayLike,
    p: ArrayLike,
    shape: ShapeLike | None = None,
    dtype: DTypeLike = "int64",
) -> Node:
    """How many of ``n`` trials, up to 10¹², succeed with probability ``p``; -1 where ``n`` or ``p`` cannot be such.

    The shape is that of the parameters where none is given. ``p`` gets no gradient.

    >>> evaluate(random.binomial(random.key(0), 10, 0.5, 5))
    array([7, 7, 5, 5, 6])

    Raises DTypeError for a dtype or parameters of other kinds, ShapeError for parameters that do not fit the shape,
    ArgumentError for more than 2³² numbers.
    """
    row, pair = dtype_of(dtype), as_key(key)
    sizes, (n, p) = _parameters(shape, n, p)
    is_valid = (n >= 0) & (p >= 0) & (p <= 1)
    less = minimum(p, 1 - p)
    is_few = n * less < _FEW
    is_wanted = is_valid & (less > 0) & (n > 0)
    rate = log1p(-where(is_wanted, less, 0.5))
    few = _counted(pair, sizes, is_wanted & is_few, n, lambda u: floor(log(u) / rate) + 1)
    is_many = is_wanted & (n * less >= _FEW)
    trials, share = where(is_many, n, 40), where(is_many, less, 0.5)
    deviation = sqrt(trials * share * (1 - share))
    spread = 1.15 + 2.53 * deviation
    mode = floor((trials + 1) * share)
    at_mode = gammaln(mode + 1) + gammaln(trials - mode + 1)
    odds = log(share / (1 - share))
    many = _proposed(
        pair,
        sizes,
        is_many,
        center=trials * share + 0.5,
        spread=spread,
        slope=-0.0873 + 0.0248 * spread + 0.01 * share,
        squeeze=0.92 - 4.2 / spread,
        factor=(2.83 + 5.1 / spread) * deviation,
        log_density=lambda k: at_mode - gammaln(k + 1) - gammaln(trials - k + 1) + (k - mode) * odds,
        last=trials,
    )
    count = where(is_few, few, many)
    return astype(where(is_valid, where(p > 0.5, n - count, count), -1), row)
