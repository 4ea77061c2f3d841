"""The elements that a key picks from an array of any strides, and the loops over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from symgraph.graph.dims import Dim, Size, dim_max, dim_min, same, slice_size
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.types import DType, broadcast_shapes
from symgraph.ops.index import index
from symgraph.ops.keys import Gather, Item, NewAxis, Slice
from symgraph.ops.update import update
from symgraph.optimizations.plan import Call, Step, View
from symgraph.runtime.nests import Lying, stretched


def picks(step: Step, combines: Callable[[str, DType], bool]) -> bool:
    """Whether a step reads or writes by indices, arrays of sizes that are known before the call; what a mode other than
    "set" does, ``combines`` has to know."""
    if not isinstance(step, Call) or isinstance(step, View):
        return False
    node = step.node
    if node.op is update.op:
        mode = node.attrs.mode  # type: ignore[union-attr]
        if mode != "set" and not combines(mode, node.row):
            return False
    elif node.op is not index.op:
        return False
    return all(size.source is None for size in sizes_of(node))


def sizes_of(node: Node) -> frozenset[Size]:
    """The sizes that a step depends on."""
    assert node.attrs is not None
    return node.attrs.symbols().union(*(type_symbols(x.type) for x in (*node.inputs, node)))


class Picked(NamedTuple):
    """The loops over what is picked: the outer ones over whole axes, those over the arrays of indices, and the inner
    ones. Strides are bytes."""

    outer: tuple[int, ...]
    gathered: tuple[int, ...]
    """The shape of the arrays of indices, broadcast against one another."""
    inner: tuple[int, ...]
    strides: list[int]
    """In the array, of the loops over whole axes."""
    along: list[list[int]]
    """In each array of indices, of the loops over these."""
    start: int
    """From the array's first element to the first that is picked if all indices are 0."""
    axes: list[tuple[int, int]]
    """For each array of indices the size of its axis, and from one place there to the next."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of all loops: the shape of what is picked."""
        return (*self.outer, *self.gathered, *self.inner)

    @property
    def places(self) -> int:
        """How many places arrays of indices can name."""
        return prod(size for size, _ in self.axes)

    @property
    def through(self) -> list[int]:
        """The strides in the array of all loops; those over indices go where these say."""
        outer = len(self.outer)
        return [*self.strides[:outer], *[0] * len(self.gathered), *self.strides[outer:]]

    @property
    def around(self) -> list[list[int]]:
        """The strides in each array of indices of all loops."""
        before, after = [0] * len(self.outer), [0] * len(self.inner)
        return [[*before, *own, *after] for own in self.along]

    def parts(self, strides: Sequence[int]) -> tuple[list[int], list[int]]:
        """The strides of an array along all loops: of those over whole axes, and of those over indices."""
        first, last = len(self.outer), len(self.outer) + len(self.gathered)
        return [*strides[:first], *strides[last:]], list(strides[first:last])


def picked(x: Lying, indices: Sequence[Lying], items: Sequence[Item]) -> Picked:
    """Raises IndexError and ValueError where NumPy does, but for what stands in the arrays of indices, and for sizes
    that are not known."""
    gathered: tuple[Any, ...] = broadcast_shapes(*(each.shape for each in indices))
    own = iter(zip(x.shape, strides_of(x), strict=True))
    plain: list[tuple[int, int]] = []
    axes: list[tuple[int, int]] = [(0, 0)] * len(indices)
    places: list[int] = []
    at = 0
    start = 0
    for place, item in enumerate(items):
        if isinstance(item, NewAxis):
            plain.append((1, 0))
            continue
        size, stride = next(own)
        if isinstance(item, Slice):
            first, count = taken(item, size)
            start += first * stride
            plain.append((count, item.step * stride))
            continue
        at = at if places else len(plain)
        places.append(place)
        if isinstance(item, Gather):
            axes[item.array] = size, stride
        else:
            if isinstance(item, int) and isinstance(size, int) and not -size <= item < size:
                raise IndexError(f"index {item} is out of bounds for size {size}")
            start += from_front(item, size) * stride
    if places and places[-1] - places[0] + 1 != len(places):
        at = 0  # apart, their axes stand in front
    sizes, strides = [size for size, _ in plain], [stride for _, stride in plain]
    along = [spread(each, gathered) for each in indices]
    return Picked(tuple(sizes[:at]), gathered, tuple(sizes[at:]), strides, along, start, axes)


def taken(item: Slice, size: Dim) -> tuple[Any, Any]:
    """The first element of an axis that a slice takes, and how many.

    >>> taken(Slice(None, None, -2), 6), taken(Slice(-3, None), 6), taken(Slice(-9, 2), 6), taken(Slice(4, 9), 3)
    ((5, 3), (3, 3), (0, 2), (0, 0))
    """
    count = slice_size(item.start, item.stop, item.step, size)
    if count == 0:
        return 0, 0
    if item.start is None:
        return (0 if item.step > 0 else size - 1), count
    place = from_front(item.start, size)
    return (dim_max(dim_min(place, size), 0) if item.step > 0 else dim_min(place, size - 1)), count


def from_front(place: Dim, size: Dim) -> Any:
    """The same place of an axis, counted from its first element; -1 is the last of ``size``."""
    if isinstance(place, int):
        return place if place >= 0 else place + size
    return place - size * dim_max(dim_min(place, 0), -1)


def strides_of(x: Lying) -> list[int]:
    """The bytes from one element to the next along each axis; where there is one, as in an array in order, so that one
    text serves all sizes."""
    found: list[int] = []
    inner = x.itemsize
    for size, stride in reversed(list(zip(x.shape, x.strides, strict=True))):
        if size != 1:
            inner = stride
        found.append(inner)
        inner *= size
    return found[::-1]


def spread(x: Lying, sizes: Sequence[int]) -> list[int]:
    """The same for the axes of a shape that an array is broadcast to. Raises ValueError where it does not fit."""
    if not agree(broadcast_shapes(x.shape, tuple(sizes)), sizes):
        raise ValueError(f"{x.shape} does not broadcast to {tuple(sizes)}")
    count = len(x.shape)
    own = zip(x.shape, strides_of(x), sizes[len(sizes) - count :], strict=True)
    return [
        *[0] * (len(sizes) - count),
        *(0 if size == 1 != to else stretched(step, size, to) for size, step, to in own),
    ]


def agree(shape: Sequence[Dim], other: Sequence[Dim]) -> bool:
    """Whether two shapes are the same, or may be."""
    return len(shape) == len(other) and all(
        same(a, b) is not False for a, b in zip(shape, other, strict=True)
    )
