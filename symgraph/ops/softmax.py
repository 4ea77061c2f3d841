"""Sums of exponentials and what is made of them: logsumexp, softmax, log_softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, Op, as_node, register
from symgraph.graph.types import TensorType, broadcast_shapes
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import abs, astype, rint, where
from symgraph.ops.axes import check_axis, many_axes
from symgraph.ops.cases import case, draw, reduction_cases
from symgraph.ops.comparison import isfinite
from symgraph.ops.declare import FLOAT, FLOATS, cast_to, op
from symgraph.ops.reduce import ReduceAttrs, kept, sum, supremum, widened
from symgraph.ops.shape import squeeze
from symgraph.ops.transcendental import exp, log1p


def _logsumexp_reference(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.sum(np.exp(x.astype(np.float64)), axis, keepdims=keepdims)).astype(x.dtype)


@op(
    ReduceAttrs, onnx="ReduceLogSumExp", dtypes=FLOATS, reference=_logsumexp_reference, cases=reduction_cases(),
)  # fmt: skip
def logsumexp(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """``log(sum(exp(x)))`` over axes, over all by default, which neither overflows nor underflows.

    Where every element is ``-inf``, and over nothing, it is ``-inf``, with slope 0.

    >>> evaluate(logsumexp([1000.0, 1000.0]))
    array(1000.69314718)
    """
    x = _as_float(x)
    axes = many_axes(axis, x)
    return logsumexp.op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@logsumexp.body
def _(x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    wide = widened(x)
    shift, _ = _shift(wide, axes)
    total = shift + _log_sum(wide - shift, axes)
    return cast_to(total if keepdims else squeeze(total, axes), x.row)


def _shift(x: Node, axes: tuple[int, ...]) -> tuple[Node, Node]:
    """The largest element where it is finite, else 0, which takes nothing away; and the largest element, ``-inf`` of
    nothing."""
    top = supremum.op(x, axes=axes, keepdims=True)
    return where(isfinite(top), top, 0), top


def exp_of_difference(x: Node, y: Node) -> Node:
    """``exp(x - y)``, with what the difference loses to rounding put back: ``exp`` makes it ``|x - y|`` times as large.

    Algorithm: D. E. Knuth, *The Art of Computer Programming* 2, 4.2.2, theorem B.
    """
    difference = x - y
    back = x - difference
    lost = (x - (difference + back)) + (back - y)
    e = exp(difference)
    rest = e * lost
    return e + where(
        rest > -np.inf, rest, 0
    )  # infinity knows none: it makes NaN, or an infinity that takes e away


def _scaled_exp(x: Array, less: Array, n: Array) -> Array:
    """In steps as `exp_of_difference`: first ``n * log(2)`` is added, then ``less`` subtracted."""
    high, low = _LN2[8 * x.dtype.itemsize]
    first, lost = _two_sum(x, n * x.dtype.type(high))
    total, more = _two_sum(first, -less)
    e = np.exp(total)
    rest = e * (lost + more + n * x.dtype.type(low))
    found: Array = e + np.where(rest > -np.inf, rest, x.dtype.type(0))
    return found


def _two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


def _scaled_exp_type(x: TensorType, less: TensorType, n: TensorType) -> TensorType:
    return TensorType(x.dtype, broadcast_shapes(x.shape, less.shape, n.shape))


scaled_exp = register(Op("scaled_exp", _scaled_exp_type, _scaled_exp, elementwise=True))
"""``exp(x - less) * 2**n`` for integers ``n`` and ``less`` below 1, where it is at most ``2**60``: rounded as `exp`."""

_LN2 = {32: (0.693145751953125, 1.4286068202862268e-06), 64: (0.6931471805601177, -1.7239444525614835e-13)}
"""By bits: ``log(2)`` in two parts. A few of the first are exact."""


def _log_sum(below: Node, axes: tuple[int, ...]) -> Node:
    """``log(sum(exp(below)))`` where the largest is 0: by ``log1p`` of the others, which may be tiny."""
    first = astype(below == 0, below.row)
    others = sum.op(exp(below) - first, axes=axes, keepdims=True)
    ties = sum.op(first, axes=axes, keepdims=True)
    return log1p(others + (ties - 1))


@logsumexp.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    out = kept(out, axes, keepdims)
    return kept(g, axes, keepdims) * where(out == -np.inf, 0, softmax.op(x, axes=axes))


_SOFTMAX_CASES = [
    case(draw(5)),
    case(draw(2, 3)),
    case(draw(2, 3), axis=0),
    case(draw(2, 3, 4), axis=(0, -1)),
    case(draw(2, 3), axis=None),
    case(draw(2, 1)),
    case(draw(0, 3)),
    case(draw(3, 0)),
    case(draw()),
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SoftmaxAttrs(Attrs):
    axes: tuple[int, ...]


def _softmax_reference(x: Any, axis: Any = -1) -> Any:
    e = np.exp(x.astype(np.float64))
    return (e / np.sum(e, axis if x.ndim else None, keepdims=True)).astype(x.dtype)


@op(
    SoftmaxAttrs, onnx="Softmax", dtypes=FLOATS, reference=_softmax_reference, cases=_SOFTMAX_CASES
)  # fmt: skip
def softmax(x: ArrayLike, axis: int = -1) -> Node:
    """``exp(x) / sum(exp(x))`` along an axis or several, which does not overflow.

    NaN where every element is ``-inf``, and for ``inf``.

    >>> evaluate(softmax([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    x = _as_float(x)
    return softmax.op(x, axes=_softmax_axes(axis, x))


@softmax.body
def _(x: Node, axes: tuple[int, ...]) -> Node:
    wide = widened(x)
    e = _exp_below(wide, _shift(wide, axes)[0])
    return cast_to(e * (1 / sum.op(e, axes=axes, keepdims=True)), x.row)


def _softmax_type(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    """That of ``x``: to find it by the body takes as long as to build a few layers."""
    if not x.dtype.is_float:
        raise DTypeError(f"takes floating-point values, not {x.dtype.name}")
    for axis in axes:
        check_axis(axis, x.shape)
    return x


softmax.infer(_softmax_type)


def _exp_below(x: Node, peak: Node) -> Node:
    """``exp(x - peak)`` where ``x`` is not above the peak, rounded as `exp` is, and 1 at the peak."""
    high, low = _LN2[x.row.bits]
    # Of large numbers all that count are near the peak: what is subtracted from them is exact.
    shift = where(abs(peak) > _LARGE[x.row.bits], peak, 0)
    top = peak - shift
    n = rint(top * (1 / math.log(2)))
    return scaled_exp(x - shift, (top - n * high) - n * low, -n)


_LARGE = {32: 224, 64: 1536}
"""By bits: of what is less, small numbers are multiples of ``log(2)``; of what is more, ``x`` is at least half where
``exp(x - peak)`` is not 0."""


@softmax.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...]) -> Slopes:
    return out * (g - sum.op(g * out, axes=axes, keepdims=True))


def _log_softmax_reference(x: Any, axis: Any = -1) -> Any:
    return np.log(_softmax_reference(x.astype(np.float64), axis)).astype(x.dtype)


@op(
    SoftmaxAttrs, onnx="LogSoftmax", dtypes=FLOATS, reference=_log_softmax_reference, cases=_SOFTMAX_CASES
)  # fmt: skip
def log_softmax(x: ArrayLike, axis: int = -1) -> Node:
    """``log(softmax(x))`` along an axis or several, exact where the softmax is tiny.

    >>> evaluate(log_softmax([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    x = _as_float(x)
    return log_softmax.op(x, axes=_softmax_axes(axis, x))


@log_softmax.body
def _(x: Node, axes: tuple[int, ...]) -> Node:
    wide = widened(x)
    shift, top = _shift(wide, axes)
    below = wide - shift
    return cast_to(below - where(isfinite(top), _log_sum(below, axes), top), x.row)


log_softmax.infer(_softmax_type)


@log_softmax.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...]) -> Slopes:
    return g - exp(out) * sum.op(g, axes=axes, keepdims=True)


def _as_float(x: ArrayLike) -> Node:
    x = as_node(x)
    return cast_to(x, FLOAT.row(x.row))


def _softmax_axes(axis: AxisLike, x: Node) -> tuple[int, ...]:
    return many_axes(None if axis == -1 and x.ndim == 0 else axis, x)
