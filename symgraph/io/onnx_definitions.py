"""Ops that ONNX has no operator for, said by others that it has. 16-bit floats are computed in float32."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from symgraph.codegen.coefficients import CENTERS, POLYNOMIALS
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.types import BY_NAME
from symgraph.ops.arithmetic import abs as size_of
from symgraph.ops.arithmetic import floor, fmod, maximum, minimum, where
from symgraph.ops.comparison import isinf, signbit
from symgraph.ops.create import iota, ones, ones_like, zeros, zeros_like
from symgraph.ops.declare import cast_to
from symgraph.ops.index import index
from symgraph.ops.join import pad
from symgraph.ops.loops import scan
from symgraph.ops.reduce import max as max_of
from symgraph.ops.reduce import sum as sum_of
from symgraph.ops.shape import moveaxis
from symgraph.ops.transcendental import atan, exp, log, log1p, sqrt
from symgraph.ops.update import update

Definition = Callable[..., Node]
DEFINITIONS: dict[str, Definition] = {}
"""What ops mean in ops that ONNX can say, from inputs and attributes."""


def defined(*names: str) -> Callable[[Definition], Definition]:
    """Declare what ops mean: ``@defined("erfc")``."""

    def declare(build: Definition) -> Definition:
        @wraps(build)
        def wide(*inputs: Node, **attrs: Any) -> Node:
            row = inputs[0].row
            if not row.is_float or row.bits > 16:
                return build(*inputs, **attrs)
            return cast_to(build(*(cast_to(x, BY_NAME["float32"]) for x in inputs), **attrs), row)

        DEFINITIONS.update(dict.fromkeys(names, wide))
        return build

    return declare


# Signs and quotients


@defined("signbit")
def sign_bit(x: Node) -> Node:
    """Of 0, that of its reciprocal; a NaN counts as positive."""
    return where(x == 0, 1 / x, x) < 0


@defined("copysign")
def copy_sign(x: Node, y: Node) -> Node:
    return where(signbit(y), -size_of(x), size_of(x))


@defined("floor_divide")
def floor_quotient(x: Node, y: Node) -> Node:
    """NumPy's: the quotient of what ``fmod`` leaves, which is a whole number but for rounding."""
    rest = fmod(x, y)
    quotient = (x - rest) / y
    quotient = where((rest != 0) & ((rest < 0) != (y < 0)), quotient - 1, quotient)
    below = floor(quotient)
    whole = where(quotient - below > 0.5, below + 1, below)
    return where(y == 0, x / y, where(quotient == 0, copy_sign(zeros_like(x), x / y), whole))


@defined("hypot")
def hypotenuse(x: Node, y: Node) -> Node:
    x, y = size_of(x), size_of(y)
    large, small = maximum(x, y), minimum(x, y)
    ratio = where(large == 0, 0, small / large)
    return where(isinf(x) | isinf(y), np.inf, large * sqrt(1 + ratio * ratio))


@defined("atan2")
def angle(y: Node, x: Node) -> Node:
    """That of the point with positive coordinates, at most 45 degrees, mirrored."""
    a, b = size_of(x), size_of(y)
    large, small = maximum(a, b), minimum(a, b)
    found = atan(where(large == 0, 0, where(isinf(a) & isinf(b), 1, small / large)))
    found = where(b > a, np.pi / 2 - found, found)
    found = where(signbit(x), np.pi - found, found)
    return where(signbit(y), -found, found)


# The error function, its inverse, and the distribution of normal variables


def _polynomial(x: Node, name: str) -> Node:
    values = POLYNOMIALS[name][x.row.bits]
    found = values[-1] * ones_like(x)
    for value in reversed(values[:-1]):
        found = found * x + value
    return found


def _erfcx(t: Node) -> Node:
    """``exp(t²) * erfc(t)`` from 0 on: a polynomial in ``(t - k) / (t + k)``, divided by ``t + k``."""
    turn = CENTERS["erfcx"][t.row.bits]
    return _polynomial(1 - 2 * turn / (t + turn), "erfcx") / (t + turn)


def _bell(t: Node, rate: float) -> Node:
    """``exp(-rate * t²)`` from 0 on: the square of what ``t`` has before a few bits is exact."""
    t = minimum(t, 64.0)
    high = floor(t * 16) / 16
    return exp(-rate * high * high) * exp(-rate * (t - high) * (t + high))


@defined("erfcx")
def scaled_erfc(x: Node) -> Node:
    t = size_of(x)
    found = _erfcx(t)
    return where(x < 0, 2 * _bell(t, -1.0) - found, found)


@defined("erfc")
def complement_of_erf(x: Node) -> Node:
    t = size_of(x)
    tail = _bell(t, 1.0) * _erfcx(t)
    return where(x < 0, 2 - tail, tail)


def _normal_tail(t: Node) -> Node:
    return _bell(t, 0.5) * _erfcx(t * math.sqrt(0.5)) * 0.5


@defined("ndtr")
def normal(x: Node) -> Node:
    tail = _normal_tail(size_of(x))
    return where(x > 0, 1 - tail, tail)


@defined("log_ndtr")
def log_of_normal(x: Node) -> Node:
    """Below -1 the logarithm of the scaled tail, less the square."""
    t = size_of(x)
    far = log(_erfcx(t * math.sqrt(0.5)) * 0.5) - t * t * 0.5
    tail = _normal_tail(t)
    return where(x < -1, far, log1p(where(x > 0, -tail, tail - 1)))


def _piece(x: Node, name: str) -> Node:
    return _polynomial(x - CENTERS[name][x.row.bits], name)


def _inverse_curve(w: Node, root: Node) -> Node:
    """``erfinv(x) / x`` as a function of ``w = -log(1 - x²)``, whose root is given too."""
    beyond = _piece(root, "erfinv beyond")
    if w.row.bits == 64:
        beyond = where(root < 4, beyond, _piece(root, "erfinv far"))
    return where(w < (5.0 if w.row.bits == 32 else 6.25), _piece(w, "erfinv"), beyond)


@defined("erfinv")
def inverse_of_erf(x: Node) -> Node:
    t = size_of(x)
    w = -log((1 - t) * (t + 1))
    return where(t == 1, x * np.inf, x * _inverse_curve(w, sqrt(w)) + 0.0)


@defined("ndtri")
def inverse_of_normal(x: Node) -> Node:
    w = -log(x * 4 * (1 - x))
    root = sqrt(maximum(w, 0))
    far = _piece(root, "ndtri far")
    if x.row.bits == 64:
        far = where(root < 12, far, _piece(root, "ndtri farther"))
    curve = where(w > (16.0 if x.row.bits == 32 else 37.0), far, _inverse_curve(w, root))
    found = (x * 2 - 1) * math.sqrt(2) * curve
    return where(x == 0, -np.inf, where(x == 1, np.inf, found))


# Sums, products, windows


@defined("softmax")
def softmax_of_axes(x: Node, axes: tuple[int, ...]) -> Node:
    powers = exp(x - max_of(x, axis=axes, keepdims=True))
    return powers / sum_of(powers, axis=axes, keepdims=True)


@defined("sum_to")
def summed_to(x: Node, shape: tuple[Dim, ...]) -> Node:
    """Each element is added where its place is, or at 0 of an axis whose size turns out to be 1."""
    x = sum_of(x, axis=tuple(range(x.ndim - len(shape))))
    for axis, size in enumerate(shape):
        if same(x.shape[axis], size) is not True:
            place = minimum(iota(x.shape[axis]), index(iota(size), -1))
            before = x.shape[:axis]
            empty = zeros((*before, size, *x.shape[axis + 1 :]), x.row)
            x = update(empty, x, (*(slice(None) for _ in before), place), "add")
    return x


@defined("shift")
def shifted(x: Node, axis: int, by: int) -> Node:
    """Padded in front, or behind, and cut."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (max(by, 0), max(-by, 0))
    size = x.shape[axis]
    start = max(-by, 0)
    key = [slice(None)] * x.ndim
    key[axis] = slice(start, size + start)
    return index(pad(x, widths), tuple(key))


@defined("cumulative_prod")
def products(x: Node, axis: int, reverse: bool, exclusive: bool) -> Node:
    def step(before: Node, row: Node) -> tuple[Node, Node]:
        return before * row, before if exclusive else before * row

    rows = moveaxis(x, axis, 0)
    return moveaxis(scan(step, ones(rows.shape[1:], x.row), rows, reverse=reverse)[1], 0, axis)


@defined("linear_recurrence")
def recurrence(a: Node, b: Node, axis: int, reverse: bool, lagged: bool) -> Node:
    """``lagged`` multiplies with the coefficient of the turn before."""

    def step(before: tuple[Node, Node, Node], row: tuple[Node, Node]) -> tuple[tuple[Node, Node, Node], Node]:
        (h, last, first), (factor, term) = before, row
        h = where(first, term, (last if lagged else factor) * h + term)
        return (h, factor, first & False), h

    a, b = moveaxis(a, axis, 0), moveaxis(b, axis, 0)
    zero = zeros(b.shape[1:], b.row)
    start = zero, zero, ones(b.shape[1:], "bool")
    return moveaxis(scan(step, start, (a, b), reverse=reverse)[1], 0, axis)
