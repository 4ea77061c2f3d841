"""Special functions, by scipy.special."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, GradientError
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import TensorType
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import abs, minimum, sign, where
from symgraph.ops.cases import Draw, case, draw
from symgraph.ops.comparison import isinf
from symgraph.ops.declare import FLOAT, FLOATS, Function, Loop, P, cast_to, op, primitive, settled
from symgraph.ops.math import clip, largest, whole, xlog1py, xlogy
from symgraph.ops.scipy_door import special
from symgraph.ops.transcendental import exp


def _floats(*kinds: Any) -> Loop:
    row = FLOAT.row(*settled(kinds))
    return (row,) * len(kinds), row


def _scipy(name: str, **meta: Any) -> Callable[[Callable[P, Node]], Function[P, Node]]:
    """A primitive that scipy.special has."""
    return primitive(special(name), _floats, dtypes=FLOATS, reference=f"scipy.special.{name}", **meta)


@_scipy("erf", onnx="Erf")
def erf(x: ArrayLike) -> Node:
    """The error function ``2/√π ∫₀ˣ exp(-t²) dt``.

    >>> evaluate(erf([0.0, 1.0]))
    array([0.        , 0.84270079])
    """


@erf.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (2 / math.sqrt(np.pi) * bell(x, 1.0))


@_scipy("erfc")
def erfc(x: ArrayLike) -> Node:
    """``1 - erf(x)``, exact where that is small.

    >>> evaluate(erfc([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """


@erfc.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (-2 / math.sqrt(np.pi) * bell(x, 1.0))


def bell(x: Node, rate: float) -> Node:
    """``exp(-rate * x²)``, of which all derivatives are 0 at infinity."""
    near = clip(x, -100, 100)
    return exp(near * near * -rate)


@_scipy("erfcx")
def erfcx(x: ArrayLike) -> Node:
    """``exp(x²) * erfc(x)``, which falls as slowly as ``1 / x``.

    >>> evaluate(erfcx([0.0, 1000.0]))
    array([1.00000000e+00, 5.64189301e-04])
    """


@erfcx.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    far = x > 15  # where the difference below cancels; DLMF 7.12.1
    inverse = 1 / where(far, x, 15)
    series: Node | float = 1
    half = 0.5 * inverse * inverse
    for k in range(21, 1, -2):
        series = 1 - k * half * series
    near = 2 * where(far, 0, x) * out - 2 / math.sqrt(np.pi)
    return g * where(far, -series * inverse * inverse / math.sqrt(np.pi), near)


@_scipy("erfinv", sample=(-0.9, 0.9))
def erfinv(x: ArrayLike) -> Node:
    """The inverse of ``erf`` on ``[-1, 1]``.

    >>> evaluate(erfinv([0.0, 1.0]))
    array([ 0., inf])
    """


@erfinv.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (math.sqrt(np.pi) / 2 * exp(out * out))


@_scipy("ndtr")
def ndtr(x: ArrayLike) -> Node:
    """The probability that a standard normal variable is at most ``x``.

    >>> evaluate(ndtr([0.0, -10.0]))
    array([5.00000000e-01, 7.61985302e-24])
    """


@ndtr.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (bell(x, 0.5) / math.sqrt(2 * np.pi))


@_scipy("log_ndtr")
def log_ndtr(x: ArrayLike) -> Node:
    """``log(ndtr(x))``, exact in both tails.

    >>> evaluate(log_ndtr([0.0, -100.0]))
    array([-6.93147181e-01, -5.00552421e+03])
    """


@log_ndtr.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    below, above = where(x < 0, x, 0), where(x < 0, 0, x)
    far = -min(1e8, largest(x))
    near = where(x < far, far, below)
    left = math.sqrt(2 / np.pi) / erfcx(near * -math.sqrt(0.5)) + where(x < far, far - x, 0)
    return g * where(x < 0, left, bell(above, 0.5) / math.sqrt(2 * np.pi) / ndtr(above))


@_scipy("ndtri", sample=(0.05, 0.95))
def ndtri(x: ArrayLike) -> Node:
    """The inverse of ``ndtr`` on ``[0, 1]``.

    >>> evaluate(ndtri([0.5, 0.975]))
    array([0.        , 1.95996398])
    """


@ndtri.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (math.sqrt(2 * np.pi) * exp(0.5 * out * out))


@_scipy("gammaln", sample=(0.3, 5), tolerance=16)
def gammaln(x: ArrayLike) -> Node:
    """The logarithm of the absolute value of the gamma function.

    >>> evaluate(gammaln([1.0, 5.0]))
    array([0.        , 3.17805383])
    """


@gammaln.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * digamma(x)


@_scipy("digamma", sample=(0.3, 5), tolerance=8)
def digamma(x: ArrayLike) -> Node:
    """The derivative of ``gammaln``.

    >>> evaluate(digamma([1.0, 2.0]))
    array([-0.57721566,  0.42278434])
    """


@digamma.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * polygamma(1, x)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OrderAttrs(Attrs):
    order: int


def _polygamma_reference(n: Any, x: Any) -> Any:
    return special("polygamma")(np.asarray(n, x.dtype), x)


@op(OrderAttrs, elementwise=True, dtypes=FLOATS, sample=(0.5, 5), reference=_polygamma_reference, tolerance=16,
    cases=[case(1, draw(3)), case(2, draw(2, 2)), case(3, draw()), case(0, draw(2)), case(1, draw(0))])  # fmt: skip
def polygamma(n: int, x: ArrayLike) -> Node:
    """The ``n``-th derivative of ``digamma``.

    >>> evaluate(polygamma(1, [1.0, 2.0]))
    array([1.64493407, 0.64493407])
    """
    x, order = as_node(x), whole("the order of a derivative", n)
    if order < 0:
        raise ArgumentError(f"the order of a derivative is not negative: {order}")
    (row,), _ = _floats(x.row)
    return polygamma.op(cast_to(x, row), order=order) if order else digamma(x)


@polygamma.infer
def _(x: TensorType, order: int) -> TensorType:
    FLOAT.row(x.dtype)
    return x


@polygamma.numpy
def _(x: Array, order: int) -> Array:
    return special("polygamma")(np.asarray(order, x.dtype), x)


@polygamma.vjp
def _(g: Node, x: Node, out: Node, order: int) -> Slopes:
    return g * polygamma(order + 1, x)


@primitive(
    special("betaln"), _floats, dtypes=FLOATS, sample=(0.5, 4), reference="scipy.special.betaln", tolerance=8
)
def lbeta(a: ArrayLike, b: ArrayLike) -> Node:
    """The logarithm of the absolute value of the beta function.

    >>> evaluate(lbeta(2.0, 3.0))
    array(-2.48490665)
    """


@lbeta.vjp
def _(g: Node, a: Node, b: Node, out: Node) -> Slopes:
    both = digamma(a + b)
    return g * (digamma(a) - both), g * (digamma(b) - both)


def _none(name: str, argument: str) -> GradientError:
    return GradientError(f"{name} has a derivative in x, and none here in {argument}")


def _whole(*shape: Any) -> Draw:
    """Integers have no gradient, so that what has none in these arguments is tried in ``x`` alone."""
    return draw(*shape, interval=(1, 4), dtype="int8")


_GAMMA_CASES = [
    case(2.5, draw(3)), case(0.7, draw(2, 3)), case(_whole(3), draw(3)), case(_whole(2, 1), draw(3)),
    case(_whole(), draw()), case(_whole(1), draw(0)),
]  # fmt: skip


def _gamma_density(a: Node, x: Node) -> Node:
    """The derivative of ``gammainc`` in ``x``; 0 at infinity."""
    x = minimum(x, largest(x))
    return exp(xlogy(a - 1, x) - x - gammaln(a))


@_scipy("gammainc", sample=(0.5, 4), tolerance=16, cases=_GAMMA_CASES)
def gammainc(a: ArrayLike, x: ArrayLike) -> Node:
    """The regularised lower incomplete gamma function; its derivative is known in ``x`` alone.

    >>> evaluate(gammainc(1.0, [0.0, 1.0]))
    array([0.        , 0.63212056])
    """


@gammainc.vjp
def _(g: Node, a: Node, x: Node, out: Node) -> Slopes:
    return _none("gammainc", "a"), g * _gamma_density(a, x)


@_scipy("gammaincc", sample=(0.5, 4), tolerance=16, cases=_GAMMA_CASES)
def gammaincc(a: ArrayLike, x: ArrayLike) -> Node:
    """The regularised upper incomplete gamma function; its derivative is known in ``x`` alone.

    >>> evaluate(gammaincc(1.0, [0.0, 1.0]))
    array([1.        , 0.36787944])
    """


@gammaincc.vjp
def _(g: Node, a: Node, x: Node, out: Node) -> Slopes:
    return _none("gammaincc", "a"), -g * _gamma_density(a, x)


_BETA_CASES = [
    case(2.5, 0.7, draw(3)), case(_whole(2, 1), 1.5, draw(3)), case(_whole(), _whole(), draw()),
    case(_whole(3), _whole(2, 1), draw(3)), case(2.5, _whole(1), draw(0)),
]  # fmt: skip


@_scipy("betainc", sample=(0.1, 0.9), tolerance=16, cases=_BETA_CASES)
def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Node:
    """The regularised incomplete beta function on ``[0, 1]``; its derivative is known in ``x`` alone.

    >>> evaluate(betainc(2.0, 3.0, [0.0, 0.5, 1.0]))
    array([0.    , 0.6875, 1.    ])
    """


@betainc.vjp
def _(g: Node, a: Node, b: Node, x: Node, out: Node) -> Slopes:
    slope = exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - lbeta(a, b))
    return _none("betainc", "a"), _none("betainc", "b"), g * slope


@_scipy("i0", tolerance=8)
def i0(x: ArrayLike) -> Node:
    """The modified Bessel function of the first kind of order 0.

    >>> evaluate(i0([0.0, 1.0]))
    array([1.        , 1.26606588])
    """


@i0.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * i1(x)


@_scipy("i1", tolerance=8)
def i1(x: ArrayLike) -> Node:
    """The modified Bessel function of the first kind of order 1.

    >>> evaluate(i1([0.0, 1.0]))
    array([0.       , 0.5651591])
    """


@i1.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * where(isinf(out), abs(out), i0(x) - _divided(x, out, 1))


@_scipy("i0e", tolerance=8)
def i0e(x: ArrayLike) -> Node:
    """``exp(-|x|) * i0(x)``, which does not overflow.

    >>> evaluate(i0e([0.0, 1000.0]))
    array([1.        , 0.01261724])
    """


@i0e.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (i1e(x) - sign(x) * out)


@_scipy("i1e", tolerance=8)
def i1e(x: ArrayLike) -> Node:
    """``exp(-|x|) * i1(x)``, which does not overflow.

    >>> evaluate(i1e([0.0, 1000.0]))
    array([0.        , 0.01261093])
    """


@i1e.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (i0e(x) - out * sign(x) - _divided(x, out, exp(-abs(x))))


def _divided(x: Node, out: Node, scale: Node | float) -> Node:
    """``out / x`` for ``scale * i1(x)``; near 0 by its power series (DLMF 10.25.2), which has derivatives."""
    near = abs(x) < 1
    small, far = where(near, x, 0), where(near, 1, x)
    square = small * small
    series: Node | float = 1
    for k in range(9, 0, -1):
        series = 1 + square * series / (4 * k * (k + 1))
    return where(near, 0.5 * scale * series, out / far)
