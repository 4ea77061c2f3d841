"""The elements that a key picks from an array of any strides, and the loops over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np

from symgraph.graph.dims import Size
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.types import DType
from symgraph.ops.index import index
from symgraph.ops.keys import Gather, Item, NewAxis, Slice
from symgraph.ops.update import update
from symgraph.optimizations.plan import Call, Step, View


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


class Lying(Protocol):
    """An array, of which only matters how it lies."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def strides(self) -> tuple[int, ...]: ...

    @property
    def itemsize(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Picked:
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
    """Raises IndexError and ValueError where NumPy does, but for what stands in the arrays of indices."""
    gathered = np.broadcast_shapes(*(each.shape for each in indices))
    own = iter(zip(x.shape, strides_of(x), strict=True))
    plain: list[tuple[int, int]] = []
    axes = [(0, 0)] * len(indices)
    places: list[int] = []
    at = start = 0
    for place, item in enumerate(items):
        if isinstance(item, NewAxis):
            plain.append((1, 0))
            continue
        size, stride = next(own)
        if isinstance(item, Slice):
            taken = range(*slice(item.start, item.stop, item.step).indices(size))
            start += taken.start * stride if taken else 0
            plain.append((len(taken), taken.step * stride))
            continue
        at = at if places else len(plain)
        places.append(place)
        if isinstance(item, Gather):
            axes[item.array] = size, stride
        else:
            assert isinstance(item, int)
            if not -size <= item < size:
                raise IndexError(f"index {item} is out of bounds for size {size}")
            start += (item if item >= 0 else item + size) * stride
    if places and places[-1] - places[0] + 1 != len(places):
        at = 0  # apart, their axes stand in front
    sizes, strides = [size for size, _ in plain], [stride for _, stride in plain]
    along = [spread(each, gathered) for each in indices]
    return Picked(tuple(sizes[:at]), gathered, tuple(sizes[at:]), strides, along, start, axes)


def strides_of(x: Lying) -> list[int]:
    """The bytes from one element to the next along each axis; where there is one, as in an array in order, so that one
    text serves all sizes."""
    found, inner = [], x.itemsize
    for size, stride in reversed(list(zip(x.shape, x.strides, strict=True))):
        if size != 1:
            inner = stride
        found.append(inner)
        inner *= size
    return found[::-1]


def spread(x: Lying, sizes: Sequence[int]) -> list[int]:
    """The same for the axes of a shape that an array is broadcast to. Raises ValueError where it does not fit."""
    if np.broadcast_shapes(x.shape, tuple(sizes)) != tuple(sizes):
        raise ValueError(f"{x.shape} does not broadcast to {tuple(sizes)}")
    count = len(x.shape)
    own = zip(x.shape, strides_of(x), sizes[len(sizes) - count :], strict=True)
    return [*[0] * (len(sizes) - count), *(0 if size == 1 != to else step for size, step, to in own)]
