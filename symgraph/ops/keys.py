"""What stands in brackets: an item for each axis, parsed from what a user wrote, and its rule for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import ArgumentError, OutOfBoundsError, ShapeError
from symgraph.graph.dims import Dim, Size, same, slice_size
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, Attrs, as_node
from symgraph.graph.types import TensorType, broadcast_shapes
from symgraph.ops.annotations import Array
from symgraph.ops.math import whole
from symgraph.ops.nonzero import nonzero
from symgraph.ops.shape import reshape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slice(Attrs):
    """``start:stop:step`` of an axis."""

    start: Dim | None = None
    stop: Dim | None = None
    step: int = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NewAxis(Attrs):
    """An axis of size 1 that the input does not have."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gather(Attrs):
    """An axis read at the places that an array of indices names: which of the op's arrays of indices."""

    array: int


Item: TypeAlias = Dim | Slice | NewAxis | Gather


def parse_key(x: Node, key: Any) -> tuple[tuple[Item, ...], list[Node]]:
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
                _check_places(part, x, axis=sum(not isinstance(item, NewAxis) for item in items))
                items.append(Gather(len(arrays)))
                arrays.append(part)
            case _:
                items.append(part)
    return tuple(items), arrays


def _check_places(array: Node, x: Node, axis: int) -> None:
    """Refuse known indices outside an axis of known size."""
    size = x.shape[axis]
    if array.op is CONSTANT and isinstance(size, int):
        places = array.attrs.value  # type: ignore[union-attr]
        outside = places[(places < -size) | (places >= size)]
        if outside.size:
            raise OutOfBoundsError(f"index {outside[0]} is outside axis {axis}, whose size is {size}")


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
    step = 1 if part.step is None else whole("the step of a slice", part.step)
    if step == 0:
        raise ArgumentError("the step of a slice cannot be 0")
    return Slice(_bound(part.start), _bound(part.stop), step)


def _bound(value: Any) -> Dim | None:
    if value is None or isinstance(value, Size):
        return value
    if isinstance(value, Node):
        raise ArgumentError("a bound of a slice is no node; sg.dynamic_slice starts where a node says")
    return whole("a bound of a slice", value)


def _mask_places(mask: Node, x: Node, axis: int) -> tuple[Node, ...]:
    shape = x.shape[axis : axis + mask.ndim]
    for i, (a, b) in enumerate(zip(mask.shape, shape, strict=True)):
        if same(a, b) is False:
            raise OutOfBoundsError(
                f"the mask is {mask.type}, and axis {axis + i} of {x.type} is {b}, not {a}"
            )
    return nonzero(reshape(mask, shape))


def check_items(x: TensorType, arrays: Sequence[TensorType], items: tuple[Item, ...]) -> None:
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


def indexed_shape(
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


def numpy_key(items: tuple[Item, ...], arrays: Sequence[Array]) -> tuple[Any, ...]:
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


def plain_key(key: Any) -> Any:
    """A key of lists as one of arrays, as NumPy wants it."""
    return (
        tuple(map(plain_key, key))
        if isinstance(key, tuple)
        else np.array(key)
        if isinstance(key, list)
        else key
    )
