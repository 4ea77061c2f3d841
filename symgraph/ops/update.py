"""An array with some of its elements replaced: ``x.at[key].set(value)`` and scattering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, GradientError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, ITEM, Attrs, ConstantAttrs, as_node
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.types import TensorType, TupleType
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import astype, conj, where
from symgraph.ops.axes import one_axis
from symgraph.ops.broadcast import sum_to
from symgraph.ops.cases import case, draw
from symgraph.ops.create import full, iota, ones_like, zeros
from symgraph.ops.declare import ALL, NUMBERS, REALS, cast_to, macro, op
from symgraph.ops.index import block_key, dynamic_reference, index, integers
from symgraph.ops.keys import (
    Gather,
    Item,
    NewAxis,
    check_items,
    indexed_shape,
    numpy_key,
    parse_key,
    plain_key,
)
from symgraph.ops.nonzero import nonzero
from symgraph.ops.shape import reshape

MODES = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UpdateAttrs(Attrs):
    """``mode`` is set, add, multiply, min or max."""

    items: tuple[Item, ...]
    mode: str


def _numpy_update(x: Any, value: Any, key: Any, mode: Any = "set") -> Any:
    x = x.copy()
    if mode == "set":
        x[plain_key(key)] = value
    else:
        combine(mode, x, plain_key(key), np.asarray(value, x.dtype))
    return x


_UPDATE_CASES = [
    case(draw(2, 3), draw(3), 1),
    case(draw(2, 3), draw(), (slice(None), 0)),
    case(draw(4), draw(2), slice(1, None, 2)),
    case(draw(4), draw(3), [0, 2, 3]),
    case(draw(4), draw(3), [0, 2, 3], mode="add"),
    case(draw(4), draw(3), [0, 2, 2], mode="add"),
    case(draw(2, 3), draw(2), ([0, 1], [2, 2]), mode="add"),
    case(draw(4), draw(3), [0, 2, 2], mode="max"),
    case(draw(4), draw(3), [0, 2, 2], mode="min"),
    case(draw(4), draw(3), [0, 2, 3], mode="multiply"),
    case(draw(2, 3), draw(), (slice(None), 1), mode="multiply"),
    case(draw(2, 3), draw(2, 1), ([0, 1], slice(None)), mode="multiply"),
    case(draw(4), draw(0), slice(0, 0)),
]


def combine(mode: str, out: Array, key: Any, value: Array) -> None:
    """One element of the value after the other into those that a key with arrays names.

    The value is broadcast here, since ``ufunc.at`` of NumPy 2.4 reads past its end where an array of one axis is
    indexed by one of two.
    """
    MODES[mode].at(out, key, np.broadcast_to(value, np.shape(out[key])))


@op(UpdateAttrs, dtypes=NUMBERS, reference=_numpy_update, cases=_UPDATE_CASES)
def update(x: ArrayLike, value: ArrayLike, key: Any, mode: str = "set") -> Node:
    """``x`` with the elements at ``x[key]`` set to a value, or with the value added to them, and so on.

    ``x.at[key].set(value)`` says the same. Where an index is named twice, ``set`` keeps the last value and the others
    take all. ``value`` broadcasts to the shape of ``x[key]`` and takes the dtype of ``x``.

    >>> evaluate(update([1, 2, 3], 9, 1))
    array([1, 9, 3])
    """
    x = as_node(x)
    if mode != "set" and mode not in MODES:
        raise ArgumentError(f"mode is one of set, {', '.join(MODES)}, not {mode!r}")
    value = as_node(value, x.row)
    if not np.can_cast(value.dtype, x.dtype, "same_kind"):
        raise DTypeError(f"a value of {value.row.name} does not fit {x.row.name}; convert it with astype")
    items, arrays = parse_key(x, key)
    return update.op(x, cast_to(value, x.row), *arrays, items=items, mode=mode)


@update.infer
def _(
    x: TensorType,
    value: TensorType,
    *arrays: TensorType,
    items: tuple[Item, ...],
    mode: str,
) -> TensorType:
    if value.dtype is not x.dtype or (mode != "set" and mode not in MODES):
        raise DTypeError(f"takes values of {x.dtype.name} and a mode, not {value.dtype.name} and {mode!r}")
    check_items(x, arrays, items)
    place = indexed_shape(x.shape, [array.shape for array in arrays], items)
    if len(value.shape) > len(place) or any(
        same(a, b) is False and same(a, 1) is False
        for a, b in zip(value.shape[::-1], place[::-1], strict=False)
    ):
        raise ShapeError(f"a value of shape {value.shape} does not broadcast to the indexed shape {place}")
    return x


@update.numpy
def _(x: Array, value: Array, *arrays: Array, items: tuple[Item, ...], mode: str) -> Array:
    key = numpy_key(items, arrays)
    narrow = x.dtype.kind in "fV" and x.dtype.itemsize == 2
    out = x.astype(np.float32) if narrow else x.copy()
    value = value.astype(out.dtype)
    if mode == "set":
        out[key] = value
    elif arrays:
        combine(mode, out, key, value)
    else:
        out[key] = MODES[mode](out[key], value)
    return out.astype(x.dtype, copy=False)


@update.vjp
def _(
    g: Node,
    x: Node,
    value: Node,
    *arrays_and_out: Any,
    items: tuple[Item, ...],
    mode: str,
) -> Slopes:
    *arrays, out = arrays_and_out
    rest = tuple(0 for _ in arrays)

    def at(array: Node) -> Node:
        return index.op(array, *arrays, items=items)

    def put(start: Node, new: Node, how: str) -> Node:
        return update.op(start, new, *arrays, items=items, mode=how)

    if mode == "add":
        return (g, sum_to(at(g), value.shape), *rest)
    if mode == "set":
        kept = put(g, zeros((), g.row), "set")
        stayed = at(g) if _named_once(x, arrays, items) else _last_of_each(at, put, x, at(g))
        return (kept, sum_to(stayed, value.shape), *rest)
    if mode == "multiply":
        slope_x = g * conj(put(ones_like(x), value, "multiply"))
        if not _named_once(x, arrays, items):  # a factor's slope would be the product of the others
            text = "multiply has no derivative in the value where an index may be named twice"
            return (slope_x, GradientError(f"{text}; use a mask, or x * y of whole arrays"), *rest)
        return (slope_x, sum_to(at(g * conj(x)), value.shape), *rest)
    mine, theirs = x == out, value == at(out)
    shares = put(astype(mine, g.row), astype(theirs, g.row), "add")
    slope_x = where(mine, g / where(mine, shares, 1), 0)
    slope_value = where(theirs, at(g) / where(theirs, at(shares), 1), 0)
    return (slope_x, sum_to(slope_value, value.shape), *rest)


def _last_of_each(
    at: Callable[[Node], Node], put: Callable[[Node, Node, str], Node], x: Node, g: Node
) -> Node:
    """``g`` where a value was written and stayed; 0 where a later one took its place."""
    numbers = reshape(iota(g.size), g.shape)
    winners = at(put(full(x.shape, -1, "int64"), numbers, "set"))
    return where(winners == numbers, g, 0)


def _named_once(x: Node, arrays: Sequence[Node], items: tuple[Item, ...]) -> bool:
    """Whether no element is named twice for sure: one mask says where, or the indices are known and differ."""
    wide = [array for array in arrays if array.ndim]
    masks = {array.inputs[0] for array in wide if array.op is ITEM and array.inputs[0].op is nonzero.op}
    if len(masks) == 1:
        (mask,) = masks
        assert isinstance(mask.type, TupleType)
        return len(set(wide)) == len(wide) == len(mask.type.items)
    if any(array.op is not CONSTANT for array in wide):
        return False
    axes = [item for item in items if not isinstance(item, NewAxis)]
    columns = []
    for item, size in zip(axes, x.shape, strict=True):
        if isinstance(item, Gather) and arrays[item.array].ndim:
            known = arrays[item.array].attrs
            assert isinstance(known, ConstantAttrs)
            places = _from_front(known.value, size)
            if places is None:
                return False
            columns.append(places)
    rows = np.array([column.ravel() for column in np.broadcast_arrays(*columns)])
    return not columns or len(np.unique(rows, axis=1).T) == len(rows.T)


def _from_front(places: np.ndarray, size: Dim) -> np.ndarray | None:
    """Indices that differ when they name different places; None where only the call can tell."""
    places = places.astype(np.int64)
    if isinstance(size, int):
        return np.where(places < 0, places + size, places)
    return None if (places < 0).any() and (places >= 0).any() else places


class At:
    """``x.at``: indexed, it offers ``set``, ``add``, ``multiply``, ``min`` and ``max``."""

    __slots__ = ("_key", "_x")

    def __init__(self, x: Node, key: Any = None) -> None:
        self._x = x
        self._key = key

    def __getitem__(self, key: Any) -> At:
        return At(self._x, (key,))

    def set(self, value: Any) -> Node:
        """A copy of x in which the elements are the value."""
        return self._update(value, "set")

    def add(self, value: Any) -> Node:
        """A copy of x in which the value is added to the elements."""
        return self._update(value, "add")

    def multiply(self, value: Any) -> Node:
        """A copy of x in which the elements are multiplied by the value."""
        return self._update(value, "multiply")

    def min(self, value: Any) -> Node:
        """A copy of x in which an element is the smaller of it and the value."""
        return self._update(value, "min")

    def max(self, value: Any) -> Node:
        """A copy of x in which an element is the larger of it and the value."""
        return self._update(value, "max")

    def _update(self, value: Any, mode: str) -> Node:
        if self._key is None:
            raise ArgumentError("x.at is indexed first: x.at[0].set(1)")
        return update(self._x, value, self._key[0], mode)


FUNCTIONS["__at__"] = At


def _scattered(mode: str) -> Callable[..., Any]:
    return lambda x, indices, updates, axis=0: _numpy_update(
        x, updates, (slice(None),) * axis + (np.asarray(indices),), mode
    )


_SCATTERED = [
    case(draw(5), [0, 3], draw(2)),
    case(draw(3, 2), [2, 0], draw(2, 2)),
    case(draw(3, 2), [1], draw(3, 1), axis=1),
    case(draw(4), 2, draw()),
]
_REPEATED = [*_SCATTERED, case(draw(4), [1, 1, 3], draw(3))]


@macro(dtypes=REALS, cases=_SCATTERED, reference=_scattered("set"))
def scatter_set(x: ArrayLike, indices: ArrayLike, updates: ArrayLike, axis: int = 0) -> Node:
    """``x`` with the slices at these places along an axis set to the updates.

    >>> evaluate(scatter_set([1, 2, 3], [0, 2], [8, 9]))
    array([8, 2, 9])
    """
    return _scatter(x, indices, updates, axis, "set")


@macro(dtypes=REALS, cases=_REPEATED, reference=_scattered("add"))
def scatter_add(x: ArrayLike, indices: ArrayLike, updates: ArrayLike, axis: int = 0) -> Node:
    """``x`` with updates added to the slices at these places along an axis; repeated places take all.

    >>> evaluate(scatter_add([1, 2, 3], [0, 0], [10, 20]))
    array([31,  2,  3])
    """
    return _scatter(x, indices, updates, axis, "add")


@macro(dtypes=REALS, cases=_REPEATED, reference=_scattered("min"))
def scatter_min(x: ArrayLike, indices: ArrayLike, updates: ArrayLike, axis: int = 0) -> Node:
    """``x`` with the smaller of each slice and its updates at these places along an axis.

    >>> evaluate(scatter_min([1, 2, 3], [0, 2], [5, 0]))
    array([1, 2, 0])
    """
    return _scatter(x, indices, updates, axis, "min")


@macro(dtypes=REALS, cases=_REPEATED, reference=_scattered("max"))
def scatter_max(x: ArrayLike, indices: ArrayLike, updates: ArrayLike, axis: int = 0) -> Node:
    """``x`` with the larger of each slice and its updates at these places along an axis.

    >>> evaluate(scatter_max([1, 2, 3], [0, 2], [5, 0]))
    array([5, 2, 3])
    """
    return _scatter(x, indices, updates, axis, "max")


def _scatter(x: ArrayLike, indices: ArrayLike, updates: ArrayLike, axis: AxisLike, mode: str) -> Node:
    x, indices = as_node(x), integers(indices)
    return update(x, updates, (slice(None),) * one_axis(axis, x) + (indices,), mode)


@macro(
    dtypes=ALL, cases=[case(draw(5), draw(2), [1]), case(draw(3, 4), draw(2, 2), [9, -5])],
    reference=lambda x, block, starts: _put_block(x.copy(), block, starts),
)  # fmt: skip
def dynamic_update_slice(x: ArrayLike, block: ArrayLike, starts: Sequence[ArrayLike]) -> Node:
    """``x`` with a block put at places that are known at the call, moved inwards where it would stick out.

    >>> evaluate(dynamic_update_slice([1, 2, 3, 4], [8, 9], [1]))
    array([1, 8, 9, 4])
    """
    x = as_node(x)
    block = as_node(block, x.row)
    return update.op(x, cast_to(block, x.row), *parse_key(x, block_key(x, starts, block.shape))[1],
                     items=tuple(Gather(i) for i in range(x.ndim)), mode="set")  # fmt: skip


def _put_block(x: Any, block: Any, starts: Any) -> Any:
    dynamic_reference(x, starts, block.shape)[...] = block
    return x
