"""Indexing as NumPy has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.dims import Dim, Size, dim_max, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node, size_value
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.types import INT64, TensorType, as_shape
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import maximum, minimum
from symgraph.ops.axes import one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.create import iota, zeros
from symgraph.ops.declare import ALL, cast_to, macro, op
from symgraph.ops.keys import (
    Item,
    Slice,
    check_items,
    indexed_shape,
    numpy_key,
    parse_key,
    plain_key,
)
from symgraph.ops.shape import ravel, reshape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IndexAttrs(Attrs):
    """An item for each axis of the input, and for each new axis."""

    items: tuple[Item, ...]


_KEYS = (
    1, -1, slice(1, None), slice(None, None, -2), (0, 1), (slice(None), None, 1), (..., 0), (None, ..., slice(0, 1)),
    [0, 1, 1], ([0, 1], [2, 0]), (slice(None), [2, 0]), ([[0], [1]], [0, 2]), (0, [1, 1]), (Ellipsis,), (),
    (slice(-2, None), -1),
)  # fmt: skip


def _numpy_index(x: Any, key: Any) -> Any:
    return x[plain_key(key)]


@op(
    IndexAttrs, dtypes=ALL, reference=_numpy_index,
    cases=[case(draw(2, 3), key) for key in _KEYS]
    + [case(draw(5), slice(None, 0)), case(draw(0, 3), slice(None)), case(draw(2, 3, 4), (0, slice(None), [1, 2]))],
)  # fmt: skip
def index(x: ArrayLike, key: Any) -> Node:
    """``x[key]`` as NumPy has it: ints, slices, ``None``, ``...``, arrays of integers, boolean masks, nested lists.

    Arrays of indices broadcast against one another; their axes stand where they stood when they are neighbours, else
    in front. A mask selects the elements where it is true, and their number is known at the call.

    >>> evaluate(index([[1, 2, 3], [4, 5, 6]], (slice(None), -1)))
    array([3, 6])

    Raises OutOfBoundsError for an index outside its axis, at the call where the sizes are not known before it.
    """
    x = as_node(x)
    items, arrays = parse_key(x, key)
    if all(item == Slice() for item in items):
        return x
    return index.op(x, *arrays, items=items)


@index.infer
def _(x: TensorType, *arrays: TensorType, items: tuple[Item, ...]) -> TensorType:
    check_items(x, arrays, items)
    return TensorType(x.dtype, indexed_shape(x.shape, [array.shape for array in arrays], items))


@index.numpy
def _(x: Array, *arrays: Array, items: tuple[Item, ...]) -> Array:
    return x[(*numpy_key(items, arrays), ...)]  # no scalar, but a view of one element


@index.vjp
def _(g: Node, x: Node, *arrays_and_out: Any, items: tuple[Item, ...]) -> Slopes:
    *arrays, _ = arrays_and_out
    start = zeros(x.shape, g.row)
    return (FUNCTIONS["update"].op(start, g, *arrays, items=items, mode="add"), *(0 for _ in arrays))  # type: ignore[attr-defined]


@macro(
    dtypes=ALL,
    cases=[case(draw(5), [0, 4, 0]), case(draw(2, 3), [2, 0], axis=1), case(draw(2, 3), [[0], [1]], axis=0),
           case(draw(2, 3), 1, axis=-1), case(draw(2, 3), [0, 5])],
)  # fmt: skip
def take(x: ArrayLike, indices: ArrayLike, axis: AxisLike = None) -> Node:
    """The elements at these places along an axis, or of the raveled array.

    >>> evaluate(take([10, 20, 30], [2, 0]))
    array([30, 10])
    """
    x, indices = as_node(x), integers(indices)
    if axis is None:
        x, axis = ravel(x), 0
    return index(x, (slice(None),) * one_axis(axis, x) + (indices,))


def _along_reference(x: Any, indices: Any, axis: Any = -1) -> Any:
    return np.take_along_axis(x, np.asarray(indices), axis)


@macro(
    dtypes=ALL, reference=_along_reference,
    cases=[case(draw(4), [3, 0]), case(draw(2, 3), [[0, 2], [1, 1]], axis=1, symbolic=False),
           case(draw(2, 3), [[1, 0, 1]], axis=0, symbolic=False)],
)  # fmt: skip
def take_along_axis(x: ArrayLike, indices: ArrayLike, axis: int = -1) -> Node:
    """Along an axis, for each of the other places, the elements that the array of indices names there.

    >>> evaluate(take_along_axis([[10, 20], [30, 40]], [[1], [0]], axis=1))
    array([[20],
           [30]])
    """
    x, indices = as_node(x), integers(indices)
    return index(x, _along(x, indices, one_axis(axis, x)))


def integers(indices: Any) -> Node:
    """An array of indices, which a mask is not; raises DTypeError."""
    node = as_node(np.zeros(0, np.int64) if isinstance(indices, (list, tuple)) and not indices else indices)
    if not node.row.is_integer:
        raise DTypeError(f"indices are integers, not {node.row.name}; x[mask] selects by a mask")
    return node


def _along(x: Node, indices: Node, axis: int) -> tuple[Node, ...]:
    if indices.ndim != x.ndim:
        raise ShapeError(f"the indices are {indices.type}; their rank must be that of {x.type}")
    return tuple(
        indices if i == axis else reshape(iota(size), (*(1,) * i, size, *(1,) * (x.ndim - 1 - i)))
        for i, size in enumerate(x.shape)
    )


def dynamic_reference(x: Any, starts: Any, sizes: Any) -> Any:
    places = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, sizes, strict=True)]
    return x[tuple(slice(s, s + k) for s, k in zip(places, sizes, strict=True))]


@macro(
    dtypes=ALL, reference=dynamic_reference,
    cases=[case(draw(5), [1], [3]), case(draw(3, 4), [9, -5], [2, 2]), case(draw(3, 4), [0, 1], [3, 1])],
)  # fmt: skip
def dynamic_slice(x: ArrayLike, starts: Sequence[ArrayLike], sizes: Sequence[int]) -> Node:
    """A block of known sizes from places that are known at the call, moved inwards where it would stick out.

    >>> evaluate(dynamic_slice([1, 2, 3, 4], [9], [2]))
    array([3, 4])
    """
    x = as_node(x)
    return index(x, block_key(x, starts, sizes))


def block_key(x: Node, starts: Sequence[ArrayLike], sizes: Sequence[Dim]) -> tuple[Node, ...]:
    many = isinstance(starts, (list, tuple, np.ndarray)) or (isinstance(starts, Node) and starts.ndim)
    starts, sizes = list(starts) if many else [starts], as_shape(sizes)
    if len(starts) != x.ndim or len(sizes) != x.ndim:
        raise ShapeError(f"{len(starts)} starts and {len(sizes)} sizes for {x.ndim} axes")
    places = []
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        whole_axis = x.shape[axis]
        if same(dim_max(size, whole_axis), whole_axis) is False:
            raise ShapeError(f"a block of {size} does not fit axis {axis} of {x.type}")
        last = _as_number(whole_axis - size)
        # The 0 comes last, so that a block that turns out too long at the call sticks out and is refused.
        first = maximum(minimum(cast_to(integers(start), INT64), last), 0)
        shape = (*(1,) * axis, size, *(1,) * (x.ndim - 1 - axis))
        places.append(reshape(first + iota(size), shape))
    return tuple(places)


def _as_number(size: Dim) -> Any:
    return size_value(size) if isinstance(size, Size) else size
