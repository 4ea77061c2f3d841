"""Reductions: many elements along some axes become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, Op, as_node
from symgraph.graph.types import BOOL, FLOAT32, INT64, TensorType
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, DTypeLike, Slopes
from symgraph.ops.arithmetic import astype, conj, maximum, where
from symgraph.ops.axes import many_axes, one_axis, reduced_shape
from symgraph.ops.broadcast import broadcast_to, pairwise_sum
from symgraph.ops.cases import case, draw, in_float32, reduction_cases
from symgraph.ops.declare import ALL, FLOATS, INTEGERS, cast_to, macro, op
from symgraph.ops.scan import accumulator, cumulative_prod
from symgraph.ops.shape import expand_dims, reshape

T = TypeVar("T", Node, TensorType)

_ORDERED = ("bool", *INTEGERS, *FLOATS)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReduceAttrs(Attrs):
    """The axes counted from the front and sorted; ``keepdims`` leaves them in with size 1."""

    axes: tuple[int, ...]
    keepdims: bool = False


@op(ReduceAttrs, onnx="ReduceSum", dtypes=ALL, reference=in_float32("sum"), cases=reduction_cases())
def sum(x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Node:
    """The sum over axes, over all by default; 0 over nothing.

    Bools and small integers are summed in 64 bits, 16-bit floats in float32. Floats are summed pairwise.

    >>> evaluate(sum([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([4., 6.])
    """
    x = as_node(x)
    x, axes = cast_to(x, accumulator(x.row, dtype)), many_axes(axis, x)
    return sum.op(x, axes=axes, keepdims=bool(keepdims)) if axes else _numeric(x)


@sum.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    _numeric(x)
    return TensorType(x.dtype, reduced_shape(x.shape, axes, keepdims))


@sum.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return pairwise_sum(x, axes).reshape(reduced_shape(x.shape, axes, keepdims))


@sum.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    return broadcast_to(kept(g, axes, keepdims), x.shape)


@op(
    ReduceAttrs, onnx="ReduceProd", dtypes=ALL, sample=(-2, 2), reference=in_float32("prod"), cases=reduction_cases()
)  # fmt: skip
def prod(x: ArrayLike, axis: AxisLike = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Node:
    """The product over axes, over all by default; 1 over nothing.

    Bools and small integers are multiplied in 64 bits, 16-bit floats in float32. The derivative divides by nothing,
    so it is right where elements are 0.

    >>> evaluate(prod([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([3., 8.])
    """
    x = as_node(x)
    x, axes = cast_to(x, accumulator(x.row, dtype)), many_axes(axis, x)
    return prod.op(x, axes=axes, keepdims=bool(keepdims)) if axes else _numeric(x)


@prod.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    _numeric(x)
    return TensorType(x.dtype, reduced_shape(x.shape, axes, keepdims))


@prod.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    wide = np.float32 if x.dtype.kind in "fV" and x.dtype.itemsize == 2 else x.dtype
    return np.asarray(np.prod(x, axes, dtype=wide, keepdims=keepdims)).astype(x.dtype, copy=False)


@prod.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    g = kept(g, axes, keepdims)
    # One axis after the other: the slope in an element is the product of what is before it and behind it.
    parts = [x]
    for axis in axes[:-1]:
        parts.append(prod.op(parts[-1], axes=(axis,), keepdims=True))
    for part, axis in zip(reversed(parts), reversed(axes), strict=True):
        before, behind = (
            cumulative_prod.op(part, axis=axis, reverse=reverse, exclusive=True) for reverse in (False, True)
        )
        g = g * conj(before * behind)
    return g


@op(
    ReduceAttrs, onnx="ReduceMax", dtypes=_ORDERED, reference=in_float32("max"), cases=reduction_cases(empty=False)
)  # fmt: skip
def max(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The largest element over axes, over all by default; NaN when one is NaN.

    Elements that are largest together share the gradient equally. Raises ShapeError over an axis of size 0.

    >>> evaluate(max([[1.0, 2.0], [3.0, 0.0]], axis=1))
    array([2., 3.])
    """
    x = as_node(x)
    axes = many_axes(axis, x)
    return max.op(x, axes=axes, keepdims=bool(keepdims)) if axes else _ordered(x)


@max.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    return _extremum_type(x, axes, keepdims)


@max.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.max(x, axes, keepdims=keepdims))


@max.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    return _shared(g, x, out, axes, keepdims)


def _largest_number(x: Array, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(np.where(np.isnan(x), -np.inf, x), axis, keepdims=keepdims, initial=-np.inf)


@op(
    ReduceAttrs, onnx="ReduceMax", dtypes=FLOATS, reference=in_float32(_largest_number), cases=reduction_cases(),
    public=False,
)  # fmt: skip
def supremum(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The largest number of floats over axes, over all by default: ``-inf`` where there is none, since NaN is none.

    >>> evaluate(supremum([[1.0, np.nan], [np.nan, np.nan]], axis=1))
    array([  1., -inf])
    """
    x = as_node(x)
    axes = many_axes(axis, x)
    return supremum.op(x, axes=axes, keepdims=bool(keepdims)) if axes else _floating(x)


@supremum.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    _floating(x)
    return TensorType(x.dtype, reduced_shape(x.shape, axes, keepdims))


@supremum.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    found = np.fmax.reduce(x, axes, keepdims=True, initial=-np.inf)
    return np.asarray(found if keepdims else np.squeeze(found, axes))


@supremum.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    return _shared(g, x, out, axes, keepdims, may_be_none=True)


@op(
    ReduceAttrs, onnx="ReduceMin", dtypes=_ORDERED, reference=in_float32("min"), cases=reduction_cases(empty=False)
)  # fmt: skip
def min(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The smallest element over axes, over all by default; NaN when one is NaN.

    Elements that are smallest together share the gradient equally. Raises ShapeError over an axis of size 0.

    >>> evaluate(min([[1.0, 2.0], [3.0, 0.0]], axis=1))
    array([1., 0.])
    """
    x = as_node(x)
    axes = many_axes(axis, x)
    return min.op(x, axes=axes, keepdims=bool(keepdims)) if axes else _ordered(x)


@min.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    return _extremum_type(x, axes, keepdims)


@min.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.min(x, axes, keepdims=keepdims))


@min.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    return _shared(g, x, out, axes, keepdims)


@op(ReduceAttrs, dtypes=ALL, cases=reduction_cases())
def any(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """Whether some element over axes is true (not zero); False over nothing.

    >>> evaluate(any([[0, 1], [0, 0]], axis=1))
    array([ True, False])
    """
    x = as_node(x)
    x, axes = cast_to(x, BOOL), many_axes(axis, x)
    return any.op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@any.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    return _truth_type(x, axes, keepdims)


@any.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.any(x, axes, keepdims=keepdims))


@op(ReduceAttrs, dtypes=ALL, cases=reduction_cases())
def all(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """Whether every element over axes is true (not zero); True over nothing.

    >>> evaluate(all([[0, 1], [1, 1]], axis=1))
    array([False,  True])
    """
    x = as_node(x)
    x, axes = cast_to(x, BOOL), many_axes(axis, x)
    return all.op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@all.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    return _truth_type(x, axes, keepdims)


@all.numpy
def _(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.all(x, axes, keepdims=keepdims))


@macro(dtypes=ALL, sample=(-1.5, 1.5), cases=reduction_cases())
def count_nonzero(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """How many elements over axes are not zero, as int64.

    >>> evaluate(count_nonzero([[0, 1], [2, 3]], axis=1))
    array([1, 2])
    """
    return sum(astype(as_node(x), BOOL), axis, INT64, keepdims)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ArgAttrs(Attrs):
    axis: int
    keepdims: bool = False


_ARG_CASES = [*reduction_cases(empty=False, tuples=False), case(draw()), case(draw(2, 3), keepdims=True)]


@op(ArgAttrs, onnx="ArgMax", dtypes=_ORDERED, cases=_ARG_CASES)
def argmax(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The index of the largest element along an axis, the first if there are several; that of the first NaN.

    Without an axis, the index in row-major order. Raises ShapeError along an axis of size 0.

    >>> evaluate(argmax([[1.0, 2.0], [3.0, 3.0]], axis=1))
    array([1, 0])
    """
    return _extremum_index(argmax.op, as_node(x), axis, keepdims)


@argmax.infer
def _(x: TensorType, axis: int, keepdims: bool) -> TensorType:
    return TensorType(INT64, _extremum_type(x, (axis,), keepdims).shape)


@argmax.numpy
def _(x: Array, axis: int, keepdims: bool) -> Array:
    return np.asarray(np.argmax(_sortable(x), axis, keepdims=keepdims))


@op(ArgAttrs, onnx="ArgMin", dtypes=_ORDERED, cases=_ARG_CASES)
def argmin(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The index of the smallest element along an axis, the first if there are several; that of the first NaN.

    Without an axis, the index in row-major order. Raises ShapeError along an axis of size 0.

    >>> evaluate(argmin([[1.0, 2.0], [3.0, 3.0]], axis=1))
    array([0, 0])
    """
    return _extremum_index(argmin.op, as_node(x), axis, keepdims)


@argmin.infer
def _(x: TensorType, axis: int, keepdims: bool) -> TensorType:
    return TensorType(INT64, _extremum_type(x, (axis,), keepdims).shape)


@argmin.numpy
def _(x: Array, axis: int, keepdims: bool) -> Array:
    return np.asarray(np.argmin(_sortable(x), axis, keepdims=keepdims))


def widened(x: Node) -> Node:
    """16-bit floats in float32, anything else as it is."""
    return cast_to(x, FLOAT32) if x.row.is_float and x.row.bits == 16 else x


def kept(x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    """A reduction's result with the reduced axes back in as 1."""
    return x if keepdims else expand_dims(x, axes)


def _shared(
    g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool, *, may_be_none: bool = False
) -> Node:
    found = x == kept(out, axes, keepdims)
    count = sum.op(astype(found, x.row), axes=axes, keepdims=True)
    if may_be_none:
        count = maximum(count, 1)  # forward mode shares what moves among the elements, and 0 / 0 is NaN
    return where(found, kept(g, axes, keepdims) / count, 0)


def _numeric(x: T) -> T:
    row = x.row if isinstance(x, Node) else x.dtype
    if row.kind == "bool":
        raise DTypeError("takes numeric values, not bool")
    return x


def _ordered(x: T) -> T:
    row = x.row if isinstance(x, Node) else x.dtype
    if row.is_complex:
        raise DTypeError(f"takes real values, not {row.name}: complex numbers have no order")
    return x


def _floating(x: T) -> T:
    row = x.row if isinstance(x, Node) else x.dtype
    if not row.is_float:
        raise DTypeError(f"takes floating-point values, not {row.name}: no {row.name} is below all others")
    return x


def _extremum_type(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    _ordered(x)
    shape = reduced_shape(x.shape, axes, keepdims)
    for axis in axes:
        if x.shape[axis] == 0:
            raise ShapeError(f"axis {axis} of {x} has size 0, so there is no extremum")
    return TensorType(x.dtype, shape)


def _truth_type(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    if x.dtype is not BOOL:
        raise DTypeError(f"takes bool, not {x.dtype.name}; a node does not convert its inputs")
    return TensorType(BOOL, reduced_shape(x.shape, axes, keepdims))


def _extremum_index(index: Op, x: Node, axis: AxisLike, keepdims: bool) -> Node:
    if axis is not None:
        return index(x, axis=one_axis(axis, x), keepdims=bool(keepdims))
    found = index(reshape(x, (x.size,)), axis=0, keepdims=False)
    return reshape(found, (1,) * x.ndim) if keepdims else found


def _sortable(x: np.ndarray) -> np.ndarray:
    """NumPy's order of bfloat16 does not know NaN; float32 holds every such value."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x
