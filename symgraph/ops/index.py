"""Indexing as NumPy has it, and its inverse: an array with some elements replaced."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, GradientError, OutOfBoundsError, ShapeError
from symgraph.graph.dims import Dim, Size, same, slice_size
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node, size_value
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.types import TensorType, broadcast_shapes
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.axes import one_axis
from symgraph.ops.broadcast import sum_to
from symgraph.ops.cases import case, draw
from symgraph.ops.create import full, iota, ones_like, zeros
from symgraph.ops.declare import ALL, FLOATS, INTEGERS, cast_to, macro, op
from symgraph.ops.nonzero import nonzero
from symgraph.ops.shape import ravel, reshape


@dataclass(frozen=True, slots=True)
class Slice(Attrs):
    """``start:stop:step`` of an axis."""

    start: Dim | None = None
    stop: Dim | None = None
    step: int = 1


@dataclass(frozen=True, slots=True)
class NewAxis(Attrs):
    """An axis of size 1 that the input does not have."""


@dataclass(frozen=True, slots=True)
class Gather(Attrs):
    """An axis read at the places that an array of indices names: which of the op's arrays of indices."""

    array: int


Item: TypeAlias = Dim | Slice | NewAxis | Gather


@dataclass(frozen=True, slots=True)
class IndexAttrs(Attrs):
    """An item for each axis of the input, and for each new axis."""

    items: tuple[Dim | Slice | NewAxis | Gather, ...]


_KEYS = (
    1, -1, slice(1, None), slice(None, None, -2), (0, 1), (slice(None), None, 1), (..., 0), (None, ..., slice(0, 1)),
    [0, 1, 1], ([0, 1], [2, 0]), (slice(None), [2, 0]), ([[0], [1]], [0, 2]), (0, [1, 1]), (Ellipsis,), (),
    (slice(-2, None), -1),
)  # fmt: skip


def _numpy_index(x, key):
    return x[_plain(key)]


def _plain(key):
    return (
        tuple(map(_plain, key)) if isinstance(key, tuple) else np.array(key) if isinstance(key, list) else key
    )


@op(
    IndexAttrs, dtypes=ALL, reference=_numpy_index,
    cases=[case(draw(2, 3), key) for key in _KEYS]
    + [case(draw(5), slice(None, 0)), case(draw(0, 3), slice(None)), case(draw(2, 3, 4), (0, slice(None), [1, 2]))],
)  # fmt: skip
def index(x, key):
    """``x[key]`` as NumPy has it: ints, slices, ``None``, ``...``, arrays of integers, boolean masks, nested lists.

    Arrays of indices broadcast against one another; their axes stand where they stood when they are neighbours, else
    in front. A mask selects the elements where it is true, and their number is known at the call.

    >>> evaluate(index([[1, 2, 3], [4, 5, 6]], (slice(None), -1)))
    array([3, 6])

    Raises OutOfBoundsError for an index outside its axis, at the call where the sizes are not known before it.
    """
    x = as_node(x)
    items, arrays = _parsed(x, key)
    if all(item == Slice() for item in items):
        return x
    return index.op(x, *arrays, items=items)


@index.infer
def index(x, *arrays, items):
    _check_items(x, arrays, items)
    return TensorType(x.dtype, _indexed_shape(x.shape, [array.shape for array in arrays], items))


@index.numpy
def index(x, *arrays, items):
    return np.asarray(x[_numpy_key(items, arrays)])


@index.vjp
def index(g, x, *arrays_and_out, items):
    *arrays, _ = arrays_and_out
    start = zeros(x.shape, g.row)
    return (update.op(start, g, *arrays, items=items, mode="add"), *(None for _ in arrays))


# Replacing elements

_MODES = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


@dataclass(frozen=True, slots=True)
class UpdateAttrs(Attrs):
    """``mode`` is set, add, multiply, min or max."""

    items: tuple[Dim | Slice | NewAxis | Gather, ...]
    mode: str


def _numpy_update(x, value, key, mode="set"):
    x = x.copy()
    if mode == "set":
        x[_plain(key)] = value
    else:
        _MODES[mode].at(x, _plain(key), np.asarray(value, x.dtype))
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
    case(draw(4), draw(0), slice(0, 0)),
]


@op(UpdateAttrs, dtypes=(*INTEGERS, *FLOATS), reference=_numpy_update, cases=_UPDATE_CASES)
def update(x, value, key, mode="set"):
    """``x`` with the elements at ``x[key]`` set to a value, or with the value added to them, and so on.

    ``x.at[key].set(value)`` says the same. Where an index is named twice, ``set`` keeps the last value and the others
    take all. ``value`` broadcasts to the shape of ``x[key]`` and takes the dtype of ``x``.

    >>> evaluate(update([1, 2, 3], 9, 1))
    array([1, 9, 3])
    """
    x = as_node(x)
    if mode != "set" and mode not in _MODES:
        raise ArgumentError(f"mode is one of set, {', '.join(_MODES)}, not {mode!r}")
    value = as_node(value, x.row)
    if not np.can_cast(value.dtype, x.dtype, "same_kind"):
        raise DTypeError(f"a value of {value.row.name} does not fit {x.row.name}; convert it with astype")
    items, arrays = _parsed(x, key)
    return update.op(x, cast_to(value, x.row), *arrays, items=items, mode=mode)


@update.infer
def update(x, value, *arrays, items, mode):
    if value.dtype is not x.dtype or (mode != "set" and mode not in _MODES):
        raise DTypeError(f"takes values of {x.dtype.name} and a mode, not {value.dtype.name} and {mode!r}")
    _check_items(x, arrays, items)
    place = _indexed_shape(x.shape, [array.shape for array in arrays], items)
    if len(value.shape) > len(place) or any(
        same(a, b) is False and same(a, 1) is False
        for a, b in zip(value.shape[::-1], place[::-1], strict=False)
    ):
        raise ShapeError(f"a value of shape {value.shape} does not broadcast to the indexed shape {place}")
    return x


@update.numpy
def update(x, value, *arrays, items, mode):
    key = _numpy_key(items, arrays)
    narrow = x.dtype.kind in "fV" and x.dtype.itemsize == 2
    out = x.astype(np.float32) if narrow else x.copy()
    value = value.astype(out.dtype)
    if mode == "set":
        out[key] = value
    elif arrays:
        _MODES[mode].at(out, key, value)
    else:
        out[key] = _MODES[mode](out[key], value)
    return out.astype(x.dtype, copy=False)


@update.vjp
def update(g, x, value, *arrays_and_out, items, mode):
    *arrays, out = arrays_and_out
    rest = tuple(None for _ in arrays)

    def at(array: Node) -> Node:
        return index.op(array, *arrays, items=items)

    def put(start: Node, new: Node, how: str) -> Node:
        return update.op(start, new, *arrays, items=items, mode=how)

    if mode == "add":
        return (g, sum_to(at(g), value.shape), *rest)
    if mode == "set":
        kept = put(g, zeros((), g.row), "set")
        return (kept, sum_to(_last_of_each(at, put, x, at(g), arrays), value.shape), *rest)
    if mode == "multiply":
        if value.row.is_inexact and value.inputs:
            raise GradientError(
                "the product with a computed value has no derivative here; use x * y of whole arrays"
            )
        return (g * put(ones_like(x), value, "multiply"), None, *rest)
    mine, theirs = x == out, value == at(out)
    shares = put(astype(mine, g.row), astype(theirs, g.row), "add")
    slope_x = where(mine, g / where(mine, shares, 1), 0)
    slope_value = where(theirs, at(g) / where(theirs, at(shares), 1), 0)
    return (slope_x, sum_to(slope_value, value.shape), *rest)


def _last_of_each(at, put, x: Node, g: Node, arrays: list[Node]) -> Node:
    """``g`` where a value was written and stayed; 0 where a later one took its place."""
    if not arrays:
        return g
    numbers = reshape(iota(g.size), g.shape)
    winners = at(put(full(x.shape, -1, "int64"), numbers, "set"))
    return where(winners == numbers, g, 0)


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

# Functions over one axis


@macro(
    dtypes=ALL,
    cases=[case(draw(5), [0, 4, 0]), case(draw(2, 3), [2, 0], axis=1), case(draw(2, 3), [[0], [1]], axis=0),
           case(draw(2, 3), 1, axis=-1), case(draw(2, 3), [0, 5])],
)  # fmt: skip
def take(x, indices, axis=None):
    """The elements at these places along an axis, or of the raveled array.

    >>> evaluate(take([10, 20, 30], [2, 0]))
    array([30, 10])
    """
    x, indices = as_node(x), as_node(indices)
    if axis is None:
        x, axis = ravel(x), 0
    return index(x, (slice(None),) * one_axis(axis, x) + (indices,))


def _along_reference(x, indices, axis=-1):
    return np.take_along_axis(x, np.asarray(indices), axis)


@macro(
    dtypes=ALL, reference=_along_reference,
    cases=[case(draw(4), [3, 0]), case(draw(2, 3), [[0, 2], [1, 1]], axis=1, symbolic=False),
           case(draw(2, 3), [[1, 0, 1]], axis=0, symbolic=False)],
)  # fmt: skip
def take_along_axis(x, indices, axis=-1):
    """Along an axis, for each of the other places, the elements that the array of indices names there.

    >>> evaluate(take_along_axis([[10, 20], [30, 40]], [[1], [0]], axis=1))
    array([[20],
           [30]])
    """
    x, indices = as_node(x), as_node(indices)
    return index(x, _along(x, indices, one_axis(axis, x)))


def _along(x: Node, indices: Node, axis: int) -> tuple[Node, ...]:
    if indices.ndim != x.ndim:
        raise ShapeError(f"the indices are {indices.type}; their rank must be that of {x.type}")
    return tuple(
        indices if i == axis else reshape(iota(size), (*(1,) * i, size, *(1,) * (x.ndim - 1 - i)))
        for i, size in enumerate(x.shape)
    )


def _scattered(mode: str):
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


@macro(dtypes=FLOATS + INTEGERS, cases=_SCATTERED, reference=_scattered("set"))
def scatter_set(x, indices, updates, axis=0):
    """``x`` with the slices at these places along an axis set to the updates.

    >>> evaluate(scatter_set([1, 2, 3], [0, 2], [8, 9]))
    array([8, 2, 9])
    """
    return _scatter(x, indices, updates, axis, "set")


@macro(dtypes=FLOATS + INTEGERS, cases=_REPEATED, reference=_scattered("add"))
def scatter_add(x, indices, updates, axis=0):
    """``x`` with updates added to the slices at these places along an axis; repeated places take all.

    >>> evaluate(scatter_add([1, 2, 3], [0, 0], [10, 20]))
    array([31,  2,  3])
    """
    return _scatter(x, indices, updates, axis, "add")


@macro(dtypes=FLOATS + INTEGERS, cases=_REPEATED, reference=_scattered("min"))
def scatter_min(x, indices, updates, axis=0):
    """``x`` with the smaller of each slice and its updates at these places along an axis.

    >>> evaluate(scatter_min([1, 2, 3], [0, 2], [5, 0]))
    array([1, 2, 0])
    """
    return _scatter(x, indices, updates, axis, "min")


@macro(dtypes=FLOATS + INTEGERS, cases=_REPEATED, reference=_scattered("max"))
def scatter_max(x, indices, updates, axis=0):
    """``x`` with the larger of each slice and its updates at these places along an axis.

    >>> evaluate(scatter_max([1, 2, 3], [0, 2], [5, 0]))
    array([5, 2, 3])
    """
    return _scatter(x, indices, updates, axis, "max")


def _scatter(x, indices, updates, axis, mode: str) -> Node:
    x, indices = as_node(x), as_node(indices)
    return update(x, updates, (slice(None),) * one_axis(axis, x) + (indices,), mode)


def _dynamic_reference(x, starts, sizes):
    places = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, sizes, strict=True)]
    return x[tuple(slice(s, s + k) for s, k in zip(places, sizes, strict=True))]


@macro(
    dtypes=ALL, reference=_dynamic_reference,
    cases=[case(draw(5), [1], [3]), case(draw(3, 4), [9, -5], [2, 2]), case(draw(3, 4), [0, 1], [3, 1])],
)  # fmt: skip
def dynamic_slice(x, starts, sizes):
    """A block of known sizes from places that are known at the call, moved inwards where it would stick out.

    >>> evaluate(dynamic_slice([1, 2, 3, 4], [9], [2]))
    array([3, 4])
    """
    x = as_node(x)
    return index(x, _block(x, starts, sizes))


@macro(
    dtypes=ALL, cases=[case(draw(5), draw(2), [1]), case(draw(3, 4), draw(2, 2), [9, -5])],
    reference=lambda x, block, starts: _put_block(x.copy(), block, starts),
)  # fmt: skip
def dynamic_update_slice(x, block, starts):
    """``x`` with a block put at places that are known at the call, moved inwards where it would stick out.

    >>> evaluate(dynamic_update_slice([1, 2, 3, 4], [8, 9], [1]))
    array([1, 8, 9, 4])
    """
    x = as_node(x)
    block = as_node(block, x.row)
    return update.op(x, cast_to(block, x.row), *_parsed(x, _block(x, starts, block.shape))[1],
                     items=tuple(Gather(i) for i in range(x.ndim)), mode="set")  # fmt: skip


def _put_block(x, block, starts):
    _dynamic_reference(x, starts, block.shape)[...] = block
    return x


def _block(x: Node, starts, sizes) -> tuple[Node, ...]:
    starts, sizes = list(starts), list(sizes)
    if len(starts) != x.ndim or len(sizes) != x.ndim:
        raise ShapeError(f"{len(starts)} starts and {len(sizes)} sizes for {x.ndim} axes")
    places = []
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        first = FUNCTIONS["clip"](as_node(start), 0, _as_number(x.shape[axis] - size))
        shape = (*(1,) * axis, size, *(1,) * (x.ndim - 1 - axis))
        places.append(reshape(first + iota(size), shape))
    return tuple(places)


def _as_number(size: Dim) -> Any:
    return size_value(size) if isinstance(size, Size) else size


# Keys


def _parsed(x: Node, key: Any) -> tuple[tuple[Item, ...], list[Node]]:
    """The items that a key spells, one for each axis, and the arrays of indices among them."""
    parts = _with_axes(x, [_normal(part) for part in (key if isinstance(key, tuple) else (key,))])
    items: list[Item] = []
    arrays: list[Node] = []
    for part in parts:
        match part:
            case None:
                items.append(NewAxis())
            case slice():
                items.append(_as_slice(part))
            case Node() if part.row.kind == "bool":
                axis = sum(not isinstance(item, NewAxis) for item in items)
                for places in _mask_places(part, x, axis):
                    items.append(Gather(len(arrays)))
                    arrays.append(places)
            case Node():
                items.append(Gather(len(arrays)))
                arrays.append(part)
            case _:
                items.append(part)
    return tuple(items), arrays


def _normal(part: Any) -> Any:
    """One part of a key: None, Ellipsis, a slice, a size, or a node of integers or booleans."""
    if part is None or part is Ellipsis or isinstance(part, (slice, Size)):
        return part
    if isinstance(part, (bool, np.bool_)):
        raise ArgumentError("a single True or False is no index here; use an array of booleans")
    if isinstance(part, (int, np.integer)):
        return int(part)
    if not isinstance(part, (Node, list, tuple, np.ndarray)):
        raise ArgumentError(
            f"an index is an int, a slice, None, ..., or an array of integers or booleans, not {part!r}"
        )
    node = as_node(np.asarray(part, np.int64) if isinstance(part, list) and not part else part)
    if node.row.kind == "bool" and node.ndim == 0:
        raise ArgumentError("a single boolean is no index here; use sg.where")
    if not node.row.is_integer and node.row.kind != "bool":
        raise ArgumentError(f"an array of indices has integers or booleans, not {node.row.name}")
    return node


def _with_axes(x: Node, parts: list[Any]) -> list[Any]:
    """The parts with ``...`` spelled out and with whole slices for the axes that are left."""
    used = sum(_axes_of(part) for part in parts)
    if used > x.ndim:
        raise OutOfBoundsError(f"{used} indices for {x.ndim} axes")
    gaps = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(gaps) > 1:
        raise ArgumentError("only one ... can stand in an index")
    at = gaps[0] if gaps else len(parts)
    return [*parts[:at], *[slice(None)] * (x.ndim - used), *parts[at + len(gaps) :]]


def _axes_of(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, Node) and part.row.kind == "bool" else 1


def _as_slice(part: slice) -> Slice:
    step = 1 if part.step is None else operator.index(part.step)
    if step == 0:
        raise ArgumentError("the step of a slice cannot be 0")
    return Slice(_bound(part.start), _bound(part.stop), step)


def _bound(value: Any) -> Dim | None:
    if value is None or isinstance(value, Size):
        return value
    if isinstance(value, Node):
        raise ArgumentError("a bound of a slice is no node; sg.dynamic_slice starts where a node says")
    return operator.index(value)


def _mask_places(mask: Node, x: Node, axis: int) -> tuple[Node, ...]:
    shape = x.shape[axis : axis + mask.ndim]
    for i, (a, b) in enumerate(zip(mask.shape, shape, strict=True)):
        if same(a, b) is False:
            raise OutOfBoundsError(
                f"the mask is {mask.type}, and axis {axis + i} of {x.type} is {b}, not {a}"
            )
    return nonzero(reshape(mask, shape))


# Types and keys of NumPy's


def _check_items(x: TensorType, arrays, items: tuple[Item, ...]) -> None:
    axes = [item for item in items if not isinstance(item, NewAxis)]
    if len(axes) != len(x.shape):
        raise ShapeError(f"{len(axes)} items for the {len(x.shape)} axes of {x}")
    gathered = [item.array for item in items if isinstance(item, Gather)]
    if sorted(gathered) != list(range(len(arrays))) or not all(array.dtype.is_integer for array in arrays):
        raise ShapeError(f"{len(arrays)} arrays of indices do not go with {items}")
    for axis, (item, size) in enumerate(zip(axes, x.shape, strict=True)):
        if isinstance(item, int) and isinstance(size, int) and not -size <= item < size:
            raise OutOfBoundsError(f"index {item} is outside axis {axis}, whose size is {size}")
        if isinstance(item, Slice) and item.step == 0:
            raise ShapeError("the step of a slice cannot be 0")


def _indexed_shape(
    shape: tuple[Dim, ...], arrays: list[tuple[Dim, ...]], items: tuple[Item, ...]
) -> tuple[Dim, ...]:
    """NumPy's rule: the axes of arrays of indices stand at the first of them, or in front when they are apart."""
    advanced = any(isinstance(item, Gather) and arrays[item.array] for item in items)
    gathered = broadcast_shapes(*arrays) if arrays else ()
    sizes = iter(shape)
    out: list[Dim] = []
    places: list[int] = []
    at = 0
    for place, item in enumerate(items):
        if isinstance(item, NewAxis):
            out.append(1)
            continue
        size = next(sizes)
        if isinstance(item, Slice):
            out.append(slice_size(item.start, item.stop, item.step, size))
        else:
            at = at if places else len(out)
            places.append(place)
    if not advanced:
        return tuple(out)
    if places[-1] - places[0] + 1 != len(places):
        at = 0
    return (*out[:at], *gathered, *out[at:])


def _numpy_key(items: tuple[Item, ...], arrays) -> tuple[Any, ...]:
    def one(item: Item) -> Any:
        match item:
            case Slice():
                return slice(item.start, item.stop, item.step)
            case NewAxis():
                return None
            case Gather():
                return arrays[item.array]
        return item

    return tuple(map(one, items))
