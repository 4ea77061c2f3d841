"""Order: sorting, searching sorted arrays, and distinct values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import fresh
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, Op, as_node, items
from symgraph.graph.types import INT64, TensorType, TupleType, promote
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.axes import check_axis, one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import FLOATS, INTEGERS, cast_to, macro, op
from symgraph.ops.index import take, take_along_axis
from symgraph.ops.orders import sorted_values, stable_order
from symgraph.ops.shape import reshape

_ORDERED = ("bool", *INTEGERS, *FLOATS)
_SORT_CASES = (
    case(draw(7)),
    case(draw(7), descending=True),
    case(draw(2, 3), axis=0),
    case(draw(4, 3), axis=0, descending=True),
    case(draw(2, 3, 4), axis=1),
    case(draw(2, 3), stable=False),
    case(draw(1)),
    case(draw(0)),
    case(draw(2, 0)),
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SortAttrs(Attrs):
    axis: int
    descending: bool


def _argsort_reference(x: Any, axis: Any = -1, descending: bool = False, stable: bool = True) -> Any:
    # Python's own sort, which is stable when reversed too.
    def order(row: Array) -> Array:
        return np.array(sorted(range(len(row)), key=lambda i: row[i], reverse=descending), np.int64)

    rows = np.moveaxis(x, axis, -1)
    out = np.empty(rows.shape, np.int64)
    for place in np.ndindex(rows.shape[:-1]):
        out[place] = order(rows[place])
    return np.moveaxis(out, -1, axis)


def _sort_reference(x: Any, axis: Any = -1, descending: bool = False, stable: bool = True) -> Any:
    return np.take_along_axis(x, _argsort_reference(x, axis, descending), axis)


@op(SortAttrs, dtypes=_ORDERED, reference=_sort_reference, cases=_SORT_CASES)
def sort(x: ArrayLike, axis: int = -1, descending: bool = False, stable: bool = True) -> Node:
    """``x`` in order along an axis; NaN counts as the largest value.

    Equal elements keep their order whether or not ``stable`` asks for it. Without an axis (None) the elements are
    taken in row-major order.

    >>> evaluate(sort([3.0, 1.0, 2.0]))
    array([1., 2., 3.])
    """
    return _sorted(sort.op, x, axis, descending)


@sort.infer
def _(x: TensorType, axis: int, descending: bool) -> TensorType:
    check_axis(axis, x.shape)
    return _check_ordered(x)


@sort.numpy
def _(x: Array, axis: int, descending: bool) -> Array:
    if descending or x.dtype.kind == "V":
        return np.take_along_axis(x, _order(x, axis, descending), axis)
    return sorted_values(x, axis)


@sort.vjp
def _(g: Node, x: Node, out: Node, axis: int, descending: bool) -> Slopes:
    order = argsort.op(x, axis=axis, descending=descending)
    return take_along_axis(g, argsort.op(order, axis=axis, descending=False), axis)


@op(SortAttrs, dtypes=_ORDERED, reference=_argsort_reference, cases=_SORT_CASES)
def argsort(x: ArrayLike, axis: int = -1, descending: bool = False, stable: bool = True) -> Node:
    """The indices, int64, that put ``x`` in order along an axis; NaN counts as the largest value.

    Equal elements keep their order whether or not ``stable`` asks for it. Without an axis (None) the elements are
    taken in row-major order.

    >>> evaluate(argsort([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    return _sorted(argsort.op, x, axis, descending)


@argsort.infer
def _(x: TensorType, axis: int, descending: bool) -> TensorType:
    check_axis(axis, x.shape)
    return TensorType(INT64, _check_ordered(x).shape)


@argsort.numpy
def _(x: Array, axis: int, descending: bool) -> Array:
    return _order(x, axis, descending)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SearchAttrs(Attrs):
    side: str


@op(
    SearchAttrs, dtypes=_ORDERED,
    cases=[
        case([-2, 0, 0, 1], draw(5)),
        case([-2, 0, 0, 1], draw(2, 3), side="right"),
        case([1, 0, -2], draw(4), sorter=[2, 1, 0]),
        case([0], draw()),
        case([1, 2], draw(0)),
        case([-2, -1], draw(1)),
    ],
)  # fmt: skip
def searchsorted(x1: ArrayLike, x2: ArrayLike, side: str = "left", sorter: ArrayLike | None = None) -> Node:
    """Where the elements of ``x2`` belong in the sorted vector ``x1``, as int64.

    ``side="left"`` gives the place before elements that are equal, ``"right"`` the one behind them. ``sorter`` holds
    indices that sort ``x1``. NaN counts as the largest value. What an unsorted ``x1`` gives is not defined.

    >>> evaluate(searchsorted([1.0, 2.0, 3.0], [2.0, 2.5]))
    array([1, 2])
    """
    if side not in ("left", "right"):
        raise ArgumentError(f'side is "left" or "right", not {side!r}')
    x1, x2 = as_node(x1), as_node(x2)
    row = promote(x1.row, x2.row)
    x1, x2 = cast_to(x1, row), cast_to(x2, row)
    if sorter is not None:
        x1 = take(x1, sorter, 0)
    return searchsorted.op(x1, x2, side=side)


@searchsorted.infer
def _(x1: TensorType, x2: TensorType, side: str) -> TensorType:
    if x1.rank != 1:
        raise ShapeError(f"what is searched is a vector, not {x1}")
    if x1.dtype is not x2.dtype:
        raise DTypeError("takes two arrays of one dtype; a node does not promote its inputs")
    _check_ordered(x1)
    return TensorType(INT64, x2.shape)


@searchsorted.numpy
def _(x1: Array, x2: Array, side: Any) -> Array:
    return np.asarray(np.searchsorted(_comparable(x1), _comparable(x2), side), np.int64)


# Distinct values


class UniqueAll(NamedTuple):
    """What ``unique_all`` gives."""

    values: Node
    indices: Node
    inverse_indices: Node
    counts: Node


class UniqueCounts(NamedTuple):
    """What ``unique_counts`` gives."""

    values: Node
    counts: Node


class UniqueInverse(NamedTuple):
    """What ``unique_inverse`` gives."""

    values: Node
    inverse_indices: Node


def _unique_reference(x: Any) -> Any:
    values, indices, inverse, counts = np.unique(x, True, True, True, equal_nan=False)
    return values, indices, inverse.reshape(x.shape), counts


_UNIQUE_META: dict[str, Any] = {
    "dtypes": _ORDERED,
    "sample": (-3, 3),
    "cases": (
        case(draw(7)),
        case(draw(2, 3)),
        case(draw(1)),
        case(draw(0)),
        case(draw()),
        case(draw(2, 0, 3)),
    ),
}


@op(binds_sizes=True, reference=_unique_reference, **_UNIQUE_META)
def unique_all(x: ArrayLike) -> UniqueAll:
    """The distinct values in order, where each comes first, which one each element is, and how often each comes.

    Their number is known at the call. Every NaN is distinct; 0.0 and -0.0 are one value. ``indices`` count in
    row-major order.

    >>> evaluate(unique_all([3, 1, 3]))
    UniqueAll(values=array([1, 3]), indices=array([1, 0]), inverse_indices=array([1, 0, 1]), counts=array([1, 2]))
    """
    x = as_node(x)
    flat = x if x.ndim == 1 else reshape(x, (x.size,))
    indices, inverse, counts = items(unique_all.op(flat))
    inverse = inverse if x.ndim == 1 else reshape(inverse, x.shape)
    return UniqueAll(take(flat, indices, 0), indices, inverse, counts)


@unique_all.infer
def _(x: TensorType) -> TupleType:
    _check_ordered(x)
    if x.rank != 1:
        raise ShapeError(f"takes a vector, not {x}")
    some = TensorType(INT64, (fresh("u"),))
    return TupleType((some, TensorType(INT64, x.shape), some))


@unique_all.numpy
def _(x: Array) -> tuple[Array, ...]:
    _, *found = np.unique(_comparable(x), True, True, True, equal_nan=False)
    return tuple(np.asarray(part, np.int64) for part in found)


@macro(reference=lambda x: _unique_reference(x)[0], **_UNIQUE_META)
def unique_values(x: ArrayLike) -> Node:
    """The distinct values in order; their number is known at the call.

    >>> evaluate(unique_values([3, 1, 3]))
    array([1, 3])
    """
    return unique_all(x).values


@macro(reference=lambda x: _unique_reference(x)[::3], **_UNIQUE_META)
def unique_counts(x: ArrayLike) -> UniqueCounts:
    """The distinct values in order, and how often each comes.

    >>> evaluate(unique_counts([3, 1, 3]))
    UniqueCounts(values=array([1, 3]), counts=array([1, 2]))
    """
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


@macro(reference=lambda x: _unique_reference(x)[::2], **_UNIQUE_META)
def unique_inverse(x: ArrayLike) -> UniqueInverse:
    """The distinct values in order, and for each element which of them it is.

    >>> evaluate(unique_inverse([3, 1, 3]))
    UniqueInverse(values=array([1, 3]), inverse_indices=array([1, 0, 1]))
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def _sorted(how: Op, x: ArrayLike, axis: AxisLike, descending: bool) -> Node:
    x = as_node(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    return how(x, axis=one_axis(axis, x), descending=bool(descending))


def _order(x: Array, axis: int, descending: bool) -> Array:
    x = _comparable(x)
    if not descending:
        return stable_order(x, axis)
    # Backwards twice, so that equal elements keep their order.
    order: Array = np.flip(stable_order(np.flip(x, axis), axis), axis)
    return np.asarray(x.shape[axis] - 1 - order, np.int64)


def _comparable(x: np.ndarray) -> np.ndarray:
    """NumPy's order of bfloat16 does not know NaN; float32 holds every such value."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


def _check_ordered(x: TensorType) -> TensorType:
    if x.dtype.is_complex:
        raise DTypeError(f"takes real values, not {x.dtype.name}: complex numbers have no order")
    return x
