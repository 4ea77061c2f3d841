"""Running totals along an axis, and the linear recurrence that their derivatives are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.dims import same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, Op, as_node
from symgraph.graph.types import BY_NAME, INT64, DType, TensorType
from symgraph.graph.types import dtype as dtype_row
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, DTypeLike, Slopes
from symgraph.ops.arithmetic import conj
from symgraph.ops.axes import check_axis, one_axis
from symgraph.ops.broadcast import broadcast_arrays, broadcast_to
from symgraph.ops.cases import case, draw, in_float32
from symgraph.ops.declare import INEXACT, INEXACTS, NUMBERS, cast_to, macro, op
from symgraph.ops.join import concat
from symgraph.ops.shape import reshape

_CASES = (
    case(draw(5)),
    case(draw(5), include_initial=True),
    case(draw(2, 3), axis=0),
    case(draw(2, 3), axis=-1),
    case(draw(2, 3), axis=1, include_initial=True),
    case(draw(1, 3), axis=0),
    case(draw(0)),
    case(draw(0), include_initial=True),
    case(draw(2, 0), axis=0),
)
_FLAT_CASES = (
    case(draw(5)),
    case(draw(2, 3)),
    case(draw(2, 3), axis=-1),
    case(draw(2, 3), axis=0),
    case(draw()),
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScanAttrs(Attrs):
    """``reverse`` starts at the end; ``exclusive`` leaves each element out of its own total."""

    axis: int
    reverse: bool
    exclusive: bool


@op(ScanAttrs, onnx="CumSum", dtypes=("bool", *NUMBERS), reference=in_float32("cumulative_sum"), cases=_CASES)
def cumulative_sum(
    x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Node:
    """The sums of the first 1, 2, … elements along an axis; with ``include_initial``, of the first 0, 1, 2, ….

    The axis can be left out for one dimension. Small integers are summed in 64 bits.

    >>> evaluate(cumulative_sum([1.0, 2.0, 3.0]))
    array([1., 3., 6.])
    """
    return _scan(cumulative_sum.op, as_node(x), axis, dtype, 0 if include_initial else None)


@cumulative_sum.infer
def _(x: TensorType, axis: int, reverse: bool, exclusive: bool) -> TensorType:
    return _check_scan(x, axis)


@cumulative_sum.numpy
def _(x: Array, axis: int, reverse: bool, exclusive: bool) -> Array:
    return _accumulate(np.add, x, axis, reverse, exclusive)


@cumulative_sum.vjp
def _(g: Node, x: Node, out: Node, axis: int, reverse: bool, exclusive: bool) -> Slopes:
    return cumulative_sum.op(g, axis=axis, reverse=not reverse, exclusive=exclusive)


@op(
    ScanAttrs, dtypes=("bool", *NUMBERS), sample=(-2, 2), reference=in_float32("cumulative_prod"), cases=_CASES
)  # fmt: skip
def cumulative_prod(
    x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Node:
    """The products of the first 1, 2, … elements along an axis; with ``include_initial``, of the first 0, 1, 2, ….

    The axis can be left out for one dimension. Small integers are multiplied in 64 bits. The derivative divides by
    nothing, so it is right where elements are 0.

    >>> evaluate(cumulative_prod([1.0, 2.0, 3.0]))
    array([1., 2., 6.])
    """
    return _scan(cumulative_prod.op, as_node(x), axis, dtype, 1 if include_initial else None)


@cumulative_prod.infer
def _(x: TensorType, axis: int, reverse: bool, exclusive: bool) -> TensorType:
    return _check_scan(x, axis)


@cumulative_prod.numpy
def _(x: Array, axis: int, reverse: bool, exclusive: bool) -> Array:
    return _accumulate(np.multiply, x, axis, reverse, exclusive)


@cumulative_prod.vjp
def _(g: Node, x: Node, out: Node, axis: int, reverse: bool, exclusive: bool) -> Slopes:
    # The slope of the k-th product in x[j] is (product before j) * (product from behind j to k).
    behind = linear_recurrence.op(conj(x), g, axis=axis, reverse=not reverse, lagged=not exclusive)
    if exclusive:
        return conj(out) * shift(behind, 1 if reverse else -1, axis)
    return conj(cumulative_prod.op(x, axis=axis, reverse=reverse, exclusive=True)) * behind


@macro(dtypes=("bool", *NUMBERS), reference=in_float32("cumsum"), cases=_FLAT_CASES)
def cumsum(x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None) -> Node:
    """``cumulative_sum``, which without an axis takes the elements in row-major order.

    >>> evaluate(cumsum([[1, 2], [3, 4]]))
    array([ 1,  3,  6, 10])
    """
    x = as_node(x)
    return cumulative_sum(_flat(x) if axis is None else x, axis, dtype)


@macro(dtypes=("bool", *NUMBERS), sample=(-2, 2), reference=in_float32("cumprod"), cases=_FLAT_CASES)
def cumprod(x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None) -> Node:
    """``cumulative_prod``, which without an axis takes the elements in row-major order.

    >>> evaluate(cumprod([[1, 2], [3, 4]]))
    array([ 1,  2,  6, 24])
    """
    x = as_node(x)
    return cumulative_prod(_flat(x) if axis is None else x, axis, dtype)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecurrenceAttrs(Attrs):
    """``reverse`` starts at the end; ``lagged`` multiplies each value by the coefficient of its own place."""

    axis: int
    reverse: bool
    lagged: bool


def _recurrence_reference(a: Any, b: Any, axis: Any = -1, reverse: Any = False) -> Any:
    a, b = np.broadcast_arrays(a, b)
    rows = [(np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0)) for x in (a, b)]
    h, total = np.zeros_like(rows[1]), 0
    for i, (coefficient, term) in enumerate(zip(*rows, strict=True)):
        total = h[i] = coefficient * total + term
    h = np.moveaxis(h, 0, axis)
    return np.flip(h, axis) if reverse else h


@op(
    RecurrenceAttrs, dtypes=INEXACTS, sample=(-1.5, 1.5), reference=in_float32(_recurrence_reference),
    cases=[
        case(draw(5), draw(5)),
        case(draw(5), draw(5), reverse=True),
        case(draw(2, 3), draw(3), axis=-1),
        case(draw(2, 3), draw(2, 3), axis=0),
        case(draw(), draw(4)),
        case(draw(1), draw(1)),
        case(draw(0), draw(0)),
        case(draw(2, 0), draw(2, 0), axis=0),
    ],
)  # fmt: skip
def linear_recurrence(a: ArrayLike, b: ArrayLike, axis: int = -1, reverse: bool = False) -> Node:
    """``h[k] = a[k] * h[k-1] + b[k]`` along an axis, from 0; ``reverse`` begins at the end with ``h[k+1]``.

    >>> evaluate(linear_recurrence(0.5, [8.0, 0.0, 1.0]))
    array([8., 4., 3.])
    """
    a, b = as_node(a), as_node(b)
    row = INEXACT.row(a.row, b.row)
    a, b = broadcast_arrays(cast_to(a, row), cast_to(b, row))
    return linear_recurrence.op(a, b, axis=one_axis(axis, b), reverse=bool(reverse), lagged=False)


@linear_recurrence.infer
def _(a: TensorType, b: TensorType, axis: int, reverse: bool, lagged: bool) -> TensorType:
    if a.dtype is not b.dtype or not b.dtype.is_inexact:
        raise DTypeError("takes two arrays of one floating-point or complex dtype")
    if a.rank != b.rank or any(same(m, n) is False for m, n in zip(a.shape, b.shape, strict=True)):
        raise ShapeError("takes two arrays of one shape")
    check_axis(axis, b.shape)
    return b


@linear_recurrence.numpy
def _(a: Array, b: Array, axis: int, reverse: bool, lagged: bool) -> Array:
    if a.shape != b.shape:
        raise ShapeError("takes two arrays of one shape")
    wide = np.float32 if _is_short(b) else b.dtype
    coefficients, terms = (_from_start(x.astype(wide, copy=False), axis, reverse) for x in (a, b))
    h = np.empty(terms.shape, wide)
    for k in range(len(terms)):
        h[k] = terms[k] + coefficients[k - lagged] * h[k - 1] if k else terms[k]
    return _to_place(h, axis, reverse).astype(b.dtype, copy=False)


@linear_recurrence.vjp
def _(g: Node, a: Node, b: Node, out: Node, axis: int, reverse: bool, lagged: bool) -> Slopes:
    back = linear_recurrence.op(conj(a), g, axis=axis, reverse=not reverse, lagged=not lagged)
    step = -1 if reverse else 1
    if lagged:
        return conj(out) * shift(back, -step, axis), back
    return back * conj(shift(out, step, axis)), back


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShiftAttrs(Attrs):
    axis: int
    by: int


def _shift_reference(x: Any, by: Any, axis: Any = -1) -> Any:
    index = np.arange(x.shape[axis]) - by
    taken = np.take(x, np.clip(index, 0, None), axis, mode="clip") if x.size else x
    outside = (index < 0) | (index >= x.shape[axis])
    return np.moveaxis(np.where(outside, x.dtype.type(0), np.moveaxis(taken, axis, -1)), -1, axis)


@op(
    ShiftAttrs, dtypes=("bool", *NUMBERS), reference=_shift_reference,
    cases=[
        case(draw(5), 1),
        case(draw(5), -2),
        case(draw(2, 3), 1, axis=0),
        case(draw(2, 3), -7),
        case(draw(1), 1),
        case(draw(0), 1),
        case(draw(2, 3), 0),
    ],
)  # fmt: skip
def shift(x: ArrayLike, by: int, axis: int = -1) -> Node:
    """``x`` moved by some places along an axis; what is moved out is lost, and zeros move in.

    >>> evaluate(shift([1.0, 2.0, 3.0], 1))
    array([0., 1., 2.])
    """
    x = as_node(x)
    return shift.op(x, axis=one_axis(axis, x), by=int(by))


@shift.infer
def _(x: TensorType, axis: int, by: int) -> TensorType:
    check_axis(axis, x.shape)
    return x


@shift.numpy
def _(x: Array, axis: int, by: int) -> Array:
    out = np.zeros_like(x)
    size = x.shape[axis]
    if abs(by) < size:
        source, target = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
        target[max(by, 0) : size + min(by, 0)] = source[max(-by, 0) : size - max(by, 0)]
    return out


@shift.vjp
def _(g: Node, x: Node, out: Node, axis: int, by: int) -> Slopes:
    return shift.op(g, axis=axis, by=-by)


def accumulator(row: DType, wanted: object) -> DType:
    """The dtype in which sums and products are made: 64 bits for bools and small integers, as NumPy does."""
    if wanted is not None:
        return dtype_row(wanted)
    if row.is_inexact:
        return row
    return BY_NAME["uint64"] if row.kind == "uint" else INT64


def _scan(scan: Op, x: Node, axis: AxisLike, dtype: DTypeLike | None, initial: int | None) -> Node:
    if axis is None and x.ndim != 1:
        raise ShapeError(f"needs an axis for {x.type}, which has {x.ndim}")
    axis = one_axis(0 if axis is None else axis, x)
    x = cast_to(x, accumulator(x.row, dtype))
    total = scan(x, axis=axis, reverse=False, exclusive=False)
    if initial is None:
        return total
    shape = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
    return concat([broadcast_to(as_node(initial, x.row), shape), total], axis)


def _flat(x: Node) -> Node:
    return x if x.ndim == 1 else reshape(x, (x.size,))


def _check_scan(x: TensorType, axis: int) -> TensorType:
    check_axis(axis, x.shape)
    if x.dtype.kind == "bool":
        raise DTypeError("takes numeric values, not bool")
    return x


def _accumulate(ufunc: np.ufunc, x: np.ndarray, axis: int, reverse: bool, exclusive: bool) -> np.ndarray:
    wide = np.float32 if _is_short(x) else x.dtype
    rows = _from_start(x, axis, reverse)
    totals = np.full(rows.shape, ufunc.identity, wide)
    if exclusive:
        ufunc.accumulate(rows[:-1], axis=0, dtype=wide, out=totals[1:])
    else:
        ufunc.accumulate(rows, axis=0, dtype=wide, out=totals)
    return _to_place(totals, axis, reverse).astype(x.dtype, copy=False)


def _from_start(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    rows = np.moveaxis(x, axis, 0)
    return rows[::-1] if reverse else rows


def _to_place(rows: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    return np.moveaxis(rows[::-1] if reverse else rows, 0, axis)


def _is_short(x: np.ndarray) -> bool:
    return x.dtype.kind in "fV" and x.dtype.itemsize == 2
