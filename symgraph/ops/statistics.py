"""Averages and spread."""

from __future__ import annotations

from math import prod as product
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, size_value
from symgraph.graph.types import FLOAT64, DType
from symgraph.graph.types import dtype as dtype_row
from symgraph.ops.annotations import ArrayLike, AxisLike, DTypeLike, Slopes
from symgraph.ops.arithmetic import astype, conj, maximum, real
from symgraph.ops.axes import many_axes
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw, in_float32, reduction_cases
from symgraph.ops.declare import ALL, INEXACTS, cast_to, macro, op
from symgraph.ops.reduce import ReduceAttrs, kept, sum, widened
from symgraph.ops.shape import expand_dims
from symgraph.ops.transcendental import sqrt


@op(ReduceAttrs, onnx="ReduceMean", dtypes=ALL, reference=in_float32("mean"), cases=reduction_cases())
def mean(x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Node:
    """The arithmetic mean over axes, over all by default; NaN over nothing.

    Of integers and bools in float64; 16-bit floats are averaged in float32.

    >>> evaluate(mean([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([2., 3.])
    """
    x = as_node(x)
    x, axes = as_inexact(x, dtype), many_axes(axis, x)
    return mean.op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@mean.body
def _(x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    if not x.row.is_inexact:
        raise DTypeError(f"takes floating-point or complex values, not {x.row.name}")
    total = sum.op(widened(x), axes=axes, keepdims=keepdims)
    return cast_to(total / _count(x, axes, total.row), x.row)


def _var_reference(
    x: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: bool = False, correction: Any = None
) -> Any:
    ddof = ddof if correction is None else correction
    return in_float32("var")(x, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)


def _std_reference(
    x: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: bool = False, correction: Any = None
) -> Any:
    ddof = ddof if correction is None else correction
    return in_float32("std")(x, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)


_VAR_CASES = [
    *reduction_cases(),
    case(draw(2, 3), axis=1, ddof=1),
    case(draw(2, 3), axis=1, correction=0.5, keepdims=True),
]
_STD_CASES = [  # off variance 0, where there is no gradient
    case(draw(5)),
    case(draw(2, 3), axis=1, ddof=1),
    case(draw(2, 3), axis=0, correction=0.5, keepdims=True),
    case(draw(2, 3, 4), axis=(0, -1)),
    case(draw(2, 3), keepdims=True),
    case(draw(0, 3), axis=1),
    case(draw(0)),
]


@op(ReduceAttrs, dtypes=ALL, reference=_var_reference, cases=_VAR_CASES)
def var(
    x: ArrayLike,
    axis: AxisLike = None,
    dtype: DTypeLike | None = None,
    ddof: ArrayLike = 0,
    keepdims: bool = False,
    correction: ArrayLike | None = None,
) -> Node:
    """The variance over axes: the sum of ``abs(x - mean(x))**2``, over ``n - ddof``.

    ``correction`` is the Array API's name for ``ddof``. Made in two passes, so that a large mean costs no accuracy.
    Of integers and bools in float64; 16-bit floats are treated in float32. A divisor that is not positive counts as
    0, and gives NaN or inf.

    >>> evaluate(var([1.0, 2.0, 3.0, 4.0]))
    array(1.25)
    """
    x = as_node(x)
    x, axes = as_inexact(x, dtype), many_axes(axis, x)
    if correction is not None and not (isinstance(ddof, int) and ddof == 0):
        raise ArgumentError("ddof and correction are the same; give one")
    ddof = as_node(ddof if correction is None else correction)
    if ddof.row.is_complex or ddof.shape:
        raise ArgumentError(f"ddof is a real number, not {ddof.type}")
    return var.op(x, cast_to(ddof, real(widened(x)).row), axes=axes, keepdims=bool(keepdims))


@var.body
def _(x: Node, ddof: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    if not x.row.is_inexact:
        raise DTypeError(f"takes floating-point or complex values, not {x.row.name}")
    off = _centred(x, axes)
    total = sum.op(real(off * conj(off)), axes=axes, keepdims=keepdims) if axes else real(off * conj(off))
    return cast_to(total / _freedom(x, ddof, axes), real(x).row)


@var.vjp
def _(g: Node, x: Node, ddof: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    freedom = _freedom(x, ddof, axes)
    slope = kept(g, axes, keepdims) * (2 / freedom) * _centred(x, axes)
    of_ddof = g * out / freedom
    return slope, sum.op(
        of_ddof, axes=tuple(range(of_ddof.ndim)), keepdims=False
    ) if of_ddof.ndim else of_ddof


@macro(dtypes=ALL, reference=_std_reference, cases=_STD_CASES)
def std(
    x: ArrayLike,
    axis: AxisLike = None,
    dtype: DTypeLike | None = None,
    ddof: ArrayLike = 0,
    keepdims: bool = False,
    correction: ArrayLike | None = None,
) -> Node:
    """The standard deviation over axes: the square root of ``var``.

    Where it is 0 its gradient is NaN, as in JAX: the square root has no slope there.

    >>> evaluate(std([1.0, 2.0, 3.0, 4.0], ddof=1))
    array(1.29099445)
    """
    return sqrt(var(x, axis, dtype, ddof, keepdims, correction))


def _average_reference(x: Any, axis: Any = None, weights: Any = None, keepdims: Any = False) -> Any:
    return np.average(x, axis, np.asarray(weights) if weights is not None else None, keepdims=keepdims)


@macro(
    dtypes=INEXACTS, reference=in_float32(_average_reference),
    cases=[
        case(draw(2, 3)),
        case(draw(2, 3), axis=0),
        case(draw(2, 3), axis=1, weights=draw(3, interval=(0.5, 2))),
        case(draw(2, 3), weights=draw(2, 3, interval=(0.5, 2)), keepdims=True),
        case(draw(2, 3, 4), axis=(0, 2), weights=draw(2, 3, 4, interval=(0.5, 2))),
    ],
)  # fmt: skip
def average(
    x: ArrayLike, axis: AxisLike = None, weights: ArrayLike | None = None, keepdims: bool = False
) -> Node:
    """The weighted mean over axes; ``weights`` are of the shape of ``x``, or a vector along the one axis.

    >>> evaluate(average([1.0, 2.0], weights=[3.0, 1.0]))
    array(1.25)
    """
    x = as_node(x)
    if weights is None:
        return mean(x, axis, keepdims=keepdims)
    weights, axes = as_node(weights), many_axes(axis, x)
    if weights.ndim == 1 and x.ndim > 1:
        if len(axes) != 1:
            raise ShapeError(f"weights {weights.type} for {x.type} need one axis")
        weights = expand_dims(weights, tuple(range(1, x.ndim - axes[0])))
    elif weights.ndim != x.ndim:
        raise ShapeError(f"weights {weights.type} do not fit {x.type}")
    weights = broadcast_to(weights, x.shape)
    return sum(x * weights, axes, keepdims=keepdims) / sum(weights, axes, keepdims=keepdims)


def as_inexact(x: Node, wanted: DTypeLike | None) -> Node:
    """``x`` in the dtype that is asked for; integers and bools in float64 else."""
    return cast_to(x, dtype_row(wanted) if wanted is not None else x.row if x.row.is_inexact else FLOAT64)


def _size(x: Node, axes: tuple[int, ...]) -> Dim:
    return product((x.shape[axis] for axis in axes), start=1)


def _count(x: Node, axes: tuple[int, ...], row: DType) -> Node:
    """How many elements are reduced to one, in this dtype."""
    return astype(size_value(_size(x, axes)), row)


def _centred(x: Node, axes: tuple[int, ...]) -> Node:
    wide = widened(x)
    return wide - (mean.op(wide, axes=axes, keepdims=True) if axes else wide)


def _freedom(x: Node, ddof: Node, axes: tuple[int, ...]) -> Node:
    return maximum(_count(x, axes, ddof.row) - ddof, 0)
