"""Where arrays lie: after which pointer, in sizes and strides that may be known only at the call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.index import index
from symgraph.ops.shape import expand_dims, reshape, squeeze, transpose
from symgraph.runtime.nests import stretched
from symgraph.runtime.picked import picked


@dataclass(frozen=True, slots=True)
class Place:
    """An array, as `symgraph.runtime.nests` wants to know it."""

    pointer: str
    """A register or a constant of LLVM."""
    offset: Dim
    """From there to the first element, in bytes."""
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    dtype: np.dtype[Any]

    @classmethod
    def in_order(cls, pointer: str, offset: Dim, shape: Sequence[Dim], dtype: np.dtype[Any]) -> Place:
        return cls(pointer, offset, tuple(shape), ordered(shape, dtype.itemsize), dtype)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def lies_in_order(self) -> bool:
        """Whether the elements follow each other; False where that is not known."""
        return all(
            size == 1 or stride == wanted
            for size, stride, wanted in zip(
                self.shape, self.strides, ordered(self.shape, self.itemsize), strict=True
            )
        )

    def part(self, axis: int, begin: Dim, size: Dim) -> Place:
        """Some neighbours along an axis."""
        shape = (*self.shape[:axis], size, *self.shape[axis + 1 :])
        return replace(self, offset=self.offset + begin * self.strides[axis], shape=shape)

    def backwards(self, axis: int) -> Place:
        """The same elements, the last along an axis first."""
        step = self.strides[axis]
        strides = (*self.strides[:axis], -step, *self.strides[axis + 1 :])
        return replace(self, offset=self.offset + (self.shape[axis] - 1) * step, strides=strides)

    def row(self, pointer: str) -> Place:
        """What has an index along axis 0, where that begins at a pointer."""
        return replace(self, pointer=pointer, offset=0, shape=self.shape[1:], strides=self.strides[1:])

    def spread(self, shape: Sequence[Dim]) -> Place:
        """The same elements for every place of a shape with more axes, or longer ones."""
        missing = len(shape) - len(self.shape)
        strides: list[Any] = [0] * missing
        sizes: Sequence[Any] = shape[missing:]
        for own, size, stride in zip(self.shape, sizes, self.strides, strict=True):
            strides.append(0 if own == 1 and size != 1 else stretched(stride, own, size))
        return replace(self, shape=tuple(shape), strides=tuple(strides))


def ordered(shape: Sequence[Dim], itemsize: int) -> tuple[Dim, ...]:
    """The strides of an array in order."""
    strides: list[Dim] = []
    step: Dim = itemsize
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return tuple(reversed(strides))


def seen(node: Node, x: Place) -> Place:
    """A view of an array; ``x`` lies in order where the view is a reshape."""
    attrs: Any = node.attrs
    if node.op is transpose.op:
        axes = attrs.axes
        shape, strides = (tuple(own[axis] for axis in axes) for own in (x.shape, x.strides))
        return replace(x, shape=shape, strides=strides)
    if node.op is index.op:
        there = picked(x, (), attrs.items)
        return replace(x, offset=x.offset + there.start, shape=there.sizes, strides=tuple(there.strides))
    if node.op is broadcast_to.op:
        return x.spread(node.shape)
    if node.op is squeeze.op:
        left = [axis for axis in range(len(x.shape)) if axis not in attrs.axes]
        return replace(x, shape=node.shape, strides=tuple(x.strides[axis] for axis in left))
    if node.op is expand_dims.op:
        own = iter(x.strides)
        strides = tuple(0 if axis in attrs.axes else next(own) for axis in range(node.ndim))
        return replace(x, shape=node.shape, strides=strides)
    assert node.op is reshape.op, node.op.name
    return Place.in_order(x.pointer, x.offset, node.shape, x.dtype)
