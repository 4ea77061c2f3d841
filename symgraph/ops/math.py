"""More elementwise functions, each declared by its body."""

from __future__ import annotations

import builtins
import operator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from symgraph.errors import ArgumentError, DTypeError
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import TensorType
from symgraph.ops.annotations import ArrayLike, Slopes
from symgraph.ops.arithmetic import abs, astype, maximum, minimum, remainder, rint, where
from symgraph.ops.cases import case, draw
from symgraph.ops.comparison import isfinite, isinf, isnan
from symgraph.ops.declare import (
    FLOAT,
    INEXACTS,
    NUMBER,
    NUMBERS,
    REALS,
    alias,
    elementwise,
    macro,
    op,
)
from symgraph.ops.transcendental import atanh, cos, exp, exp2, expm1, log, log1p, sin

LN2 = float(np.log(2.0))


@elementwise(NUMBER)
def square(x: Node) -> Node:
    """``x * x``.

    >>> evaluate(square([1.0, -3.0]))
    array([1., 9.])
    """
    return x * x


@elementwise(FLOAT, sample=(-0.5, 4))
def logaddexp(x: Node, y: Node) -> Node:
    """``log(exp(x) + exp(y))`` without overflow; ``-inf`` for two of ``-inf``.

    >>> evaluate(logaddexp(1000.0, 1000.0))
    array(1000.69314718)
    """
    return maximum(x, y) + log1p(exp(-abs(_difference(x, y))))


@logaddexp.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    difference = _difference(x, y)
    return g * sigmoid(difference), g * sigmoid(-difference)


def _difference(x: Node, y: Node) -> Node:
    """``x - y``, and 0 for equal infinities."""
    return where((x == y) & isinf(x), 0, x - y)


@elementwise(FLOAT, sample=(-0.5, 4))
def logaddexp2(x: Node, y: Node) -> Node:
    """``log2(2**x + 2**y)`` without overflow.

    >>> evaluate(logaddexp2(1000.0, 1000.0))
    array(1001.)
    """
    gap = abs(_difference(x, y))
    return maximum(x, y) + where(gap == 0, 1, log1p(exp2(-gap)) * _LOG2E)


@logaddexp2.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    nats = _difference(x, y) * _LN2
    return g * sigmoid(nats), g * sigmoid(-nats)


_LN2 = float(np.log(2.0))
_LOG2E = float(np.log2(np.e))


@elementwise(FLOAT, onnx="Sigmoid", sample=(-30, 30), reference="scipy.special.expit")
def sigmoid(x: Node) -> Node:
    """``1 / (1 + exp(-x))``, exact in both tails.

    >>> evaluate(sigmoid([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    e = exp(-abs(x))
    return maximum(astype(x >= 0, x.row), e) / (1 + e)


@sigmoid.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (out * sigmoid(-x))


@elementwise(FLOAT, onnx="Softplus", sample=(-30, 30), reference=lambda x: np.logaddexp(x, x.dtype.type(0)))
def softplus(x: Node) -> Node:
    """``log(1 + exp(x))``, which neither overflows nor loses small values.

    >>> evaluate(softplus([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return maximum(x, 0) + log1p(exp(-abs(x)))


@softplus.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * sigmoid(x)


@elementwise(FLOAT, sample=(-30, 30), reference="scipy.special.log_expit")
def log_sigmoid(x: Node) -> Node:
    """``log(sigmoid(x))``, exact in both tails.

    >>> evaluate(log_sigmoid([-1000.0, 0.0]))
    array([-1.00000000e+03, -6.93147181e-01])
    """
    return -softplus(-x)


@log_sigmoid.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * sigmoid(-x)


def _log1mexp_reference(x: Any) -> Any:
    return np.where(x > -1, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


@elementwise(FLOAT, sample=(-30, -0.05), reference=_log1mexp_reference, tolerance=4)
def log1mexp(x: Node) -> Node:
    """``log(1 - exp(x))`` for ``x <= 0``, exact at both ends; NaN above.

    >>> evaluate(log1mexp([-1e-20, -50.0]))
    array([-4.60517019e+01, -1.92874985e-22])

    Formula: M. Mächler, "Accurately Computing log(1 - exp(-|a|))", R package Rmpfr, 2012.
    """
    near = where(x > 0, np.nan, x)  # abs(expm1) is 1 - exp there
    return where(x > -LN2, log(abs(expm1(near))), log1p(-exp(x)))


@log1mexp.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return -g / expm1(-x)


@elementwise(FLOAT, sample=(0.05, 0.95), reference="scipy.special.logit", tolerance=4)
def logit(x: Node) -> Node:
    """``log(x / (1 - x))``, the inverse of sigmoid, exact around 0.5 too.

    >>> evaluate(logit([0.5, 1.0]))
    array([ 0., inf])
    """
    return where(abs(x - 0.5) < 0.25, 2 * atanh(2 * x - 1), log(x) - log1p(-x))


@logit.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / (x * (1 - x))


@elementwise(FLOAT, sample=((-3, 3), (0.3, 3)), reference="scipy.special.xlogy")
def xlogy(x: Node, y: Node) -> Node:
    """``x * log(y)``, which is 0 where ``x`` is 0 and ``y`` is not NaN; at ``(0, 0)`` both slopes are 0.

    >>> evaluate(xlogy(0.0, 0.0))
    array(0.)
    """
    nothing = (x == 0) & ~isnan(y)
    return where(nothing, 0, x * log(where(nothing, 1, y)))


@xlogy.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    y = where((x == 0) & (y == 0), 1, y)
    return g * log(y), g * (x / y)


@elementwise(FLOAT, sample=((-3, 3), (-0.6, 3)), reference="scipy.special.xlog1py")
def xlog1py(x: Node, y: Node) -> Node:
    """``x * log(1 + y)``, which is 0 where ``x`` is 0 and ``y`` is not NaN; at ``(0, -1)`` both slopes are 0.

    >>> evaluate(xlog1py(0.0, -1.0))
    array(0.)
    """
    nothing = (x == 0) & ~isnan(y)
    return where(nothing, 0, x * log1p(where(nothing, 0, y)))


@xlog1py.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    y = where((x == 0) & (y == -1), 0, y)
    return g * log1p(y), g * (x / (1 + y))


@elementwise(FLOAT, sample=(0.2, 2.7), tolerance=4)
def sinc(x: Node) -> Node:
    """``sin(πx) / (πx)``, 1 at 0.

    >>> evaluate(sinc([0.0, 0.5, 1.0]).round(12))
    array([1.        , 0.63661977, 0.        ])
    """
    safe = where(x == 0, 1, abs(x))
    return where(x == 0, 1, _turned(safe)[0] / (safe * np.pi))


@sinc.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * _sinc_slope(x)


def _sinc_slope(x: Node) -> Node:
    """The derivative of ``sinc``; near 0, where its terms cancel, by its Taylor series."""
    near = abs(x) < 0.35
    small, far = where(near, x, 0) * np.pi, where(near, 1, x)
    square = small * small
    series: Node | float = 1
    for k in range(9, 0, -1):
        series = 1 - square * series / (2 * k * (2 * k + 3))
    sine, cosine = _turned(far)
    return where(near, small * series * (-np.pi / 3), (cosine - sine / (far * np.pi)) / far)


def _turned(x: Node) -> tuple[Node, Node]:
    """``sin(πx)`` and ``cos(πx)``, from the distance to the nearest integer, which is exact for large ``x`` too."""
    nearest = rint(x)
    angle = (x - nearest) * np.pi
    sign = 1 - 2 * remainder(nearest, 2)
    return sign * sin(angle) + 0.0, sign * cos(angle)  # + 0.0, which makes 0.0 of -0.0


@elementwise(FLOAT)
def deg2rad(x: Node) -> Node:
    """Degrees in radians.

    >>> evaluate(deg2rad(180.0))
    array(3.14159265)
    """
    return x * (np.pi / 180)


@elementwise(FLOAT)
def rad2deg(x: Node) -> Node:
    """Radians in degrees.

    >>> evaluate(rad2deg(np.pi))
    array(180.)
    """
    return x * (180 / np.pi)


@macro(
    dtypes=REALS, sample=(0, 9),
    cases=[case(draw(5), 2, 6), case(draw(5), None, 4), case(draw(2, 3), draw(3), 9), case(draw(), 1),
           case(draw(0), 1, 2), case(draw(4), min=3), case(draw(4))],
    reference=lambda x, min=None, max=None: np.clip(x, min, max),
)  # fmt: skip
def clip(x: ArrayLike, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Node:
    """``x`` with what lies below ``min`` raised to it and what lies above ``max`` lowered to it.

    >>> evaluate(clip([-1.0, 0.5, 2.0], 0, 1))
    array([0. , 0.5, 1. ])
    """
    x = as_node(x)
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RoundAttrs(Attrs):
    decimals: int


@op(
    RoundAttrs, elementwise=True, dtypes=NUMBERS, tolerance=2,
    cases=[
        case(draw(5)), case(draw(2, 3), 2), case(draw(4, interval=(-90, 90)), decimals=-1), case(draw()), case(draw(0)),
    ],
)  # fmt: skip
def round(x: ArrayLike, decimals: int = 0) -> Node:
    """``x`` rounded to so many decimals, halves to even; to tens, hundreds, … where ``decimals`` is negative.

    What has no digits beyond ``decimals`` stays as it is, where NumPy overflows.

    >>> evaluate(round([0.5, 1.25], 1))
    array([0.5, 1.2])

    Raises ArgumentError for decimals that are no int, DTypeError for bool.
    """
    x, places = as_node(x), whole("decimals", decimals)
    if x.row.kind == "bool":
        raise DTypeError("takes numeric values, not bool")
    if not x.row.is_inexact and places >= 0:
        return x
    return round.op(x, decimals=places) if places else rint(x)


@round.infer
def _(x: TensorType, decimals: int) -> TensorType:
    if x.dtype.kind == "bool":
        raise DTypeError("takes numeric values, not bool")
    return x


@round.body
def _(x: Node, decimals: int) -> Node:
    scale = float(f"1e{builtins.abs(decimals)}")
    if x.row.is_inexact and scale > largest(x):
        return x if decimals >= 0 else where(isfinite(x), x * 0.0, x)
    if decimals >= 0:
        scaled = x * scale
        return where(isfinite(scaled), rint(scaled) / scale, x)
    tens = rint(x / scale)
    return astype(where(tens == 0, tens, tens * scale), x.row)


@round.vjp
def _(g: Node, x: Node, out: Node, decimals: int) -> Slopes:
    return 0


def largest(x: Node) -> float:
    """The largest finite number in the dtype of a floating-point or complex node."""
    return float(ml_dtypes.finfo(x.dtype).max)  # type: ignore[no-untyped-call]


def whole(name: str, value: Any) -> int:
    """An argument that has to be an int; raises ArgumentError."""
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name} is an int, not {value!r}") from None


@macro(dtypes=INEXACTS, cases=[case(draw(3)), case(draw(2), nan=1.0), case(draw(0))])
def nan_to_num(
    x: ArrayLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Node:
    """``x`` with NaN replaced by ``nan``, infinities by other values, the largest finite ones by default.

    >>> evaluate(nan_to_num([float("nan"), 1.0]))
    array([0., 1.])
    """
    x = as_node(x)
    if x.row.is_complex:
        return nan_to_num(x.real, nan, posinf, neginf) + 1j * nan_to_num(x.imag, nan, posinf, neginf)
    if not x.row.is_float:
        return x
    x = where(isnan(x), nan, x)
    x = where(isinf(x) & (x > 0), largest(x) if posinf is None else posinf, x)
    return where(isinf(x) & (x < 0), -largest(x) if neginf is None else neginf, x)


@macro(
    dtypes=REALS, differentiable=False,
    cases=[case(draw(3), draw(3)), case(draw(2, 1), draw(3)), case(draw(3), draw(3), atol=1.0)],
)  # fmt: skip
def isclose(
    x: ArrayLike, y: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Node:
    """Whether ``|x - y| <= atol + rtol * |y|``, elementwise; equal infinities are close.

    >>> evaluate(isclose([1.0, 2.0], [1.0 + 1e-9, 2.1]))
    array([ True, False])
    """
    x, y = as_node(x), as_node(y)
    close = isfinite(y) & (abs(x * 1.0 - y * 1.0) <= atol + rtol * abs(y * 1.0)) | (x == y)
    return close | (isnan(x) & isnan(y)) if equal_nan else close


@elementwise(FLOAT, sample=((-3, 3), (-3, 3)))
def heaviside(x: Node, y: Node) -> Node:
    """0 for negative ``x``, 1 for positive, ``y`` at 0.

    >>> evaluate(heaviside([-1.0, 0.0, 2.0], 0.5))
    array([0. , 0.5, 1. ])
    """
    return where(isnan(x), x, where(x == 0, y, astype(x > 0, x.row)))


for _name, _function in {"around": round, "degrees": rad2deg, "radians": deg2rad}.items():
    alias(_name, _function)
