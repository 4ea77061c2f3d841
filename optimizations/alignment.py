"""How the axes of one value lie along the axes of another: what a reader sees through moves that copy nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.shape import expand_dims, squeeze, transpose

Axes = tuple[int | None, ...]
"""For each axis of a value, the axis of the reader that it lies along; None where it is 1 long."""


class Read(NamedTuple):
    """A value as a reader sees it."""

    source: Node
    axes: Axes

    def along(self, mine: Axes) -> Axes:
        """The axes along which the value lies, where its reader lies along these."""
        return tuple([None if place is None else mine[place] for place in self.axes])


def own_axes(shape: tuple[Dim, ...]) -> Axes:
    """The axes of a reader that has those of one value."""
    if 1 in shape:
        return tuple([None if size == 1 else axis for axis, size in enumerate(shape)])
    return _first(len(shape))


@cache
def _first(rank: int) -> Axes:
    """One object for all values, of which there are as many as nodes."""
    return tuple(range(rank))


def seen_through(x: Node) -> Read:
    """The value behind the moves at ``x``, and along which axes of ``x`` its own lie.

    >>> from symgraph import placeholder
    >>> x = placeholder("float32", ("n", "k"), name="x")
    >>> seen_through(transpose(x)).axes
    (1, 0)
    >>> seen_through(expand_dims(x, 1)).axes
    (0, 2)
    """
    axes = own_axes(x.shape)
    while x.op in _MOVES and (behind := _behind(x, axes)) is not None:
        x, axes = x.inputs[0], behind
    return Read(x, axes)


def is_source(x: Node) -> bool:
    """Whether readers see the value itself, through no moves."""
    return x.op not in _MOVES


def aligned(read: Read, rank: int, reader: int) -> Read:
    """The read of an operand with ``rank`` axes, by an elementwise op whose result has ``reader`` axes."""
    shift = reader - rank
    if not shift:
        return read
    return Read(read.source, tuple(None if axis is None else axis + shift for axis in read.axes))


_MOVES = frozenset(f.op for f in (transpose, expand_dims, squeeze, broadcast_to))


def _behind(x: Node, axes: Axes) -> Axes | None:
    """The axes of the input of a move, for those of the move; None where the call decides them."""
    if x.op is transpose.op:
        found: list[int | None] = [None] * x.ndim
        for place, axis in enumerate(x.attrs.axes):  # type: ignore[union-attr]
            found[axis] = axes[place]
        return tuple(found)
    if x.op is expand_dims.op:
        return tuple(axis for place, axis in enumerate(axes) if place not in x.attrs.axes)  # type: ignore[union-attr]
    if x.op is squeeze.op:
        rest = iter(axes)
        gone = x.attrs.axes  # type: ignore[union-attr]
        if any(x.inputs[0].shape[place] != 1 for place in gone):  # the call decides whether it is
            return None
        return tuple(None if place in gone else next(rest) for place in range(x.inputs[0].ndim))
    source = x.inputs[0]
    return _of_broadcast(source.shape, axes[x.ndim - source.ndim :], x.shape[x.ndim - source.ndim :])


def _of_broadcast(source: Sequence[object], axes: Axes, target: Sequence[object]) -> Axes | None:
    """None where the data decide at the call whether an axis is repeated."""
    if any(size != 1 and size is not to and size != to for size, to in zip(source, target, strict=True)):
        return None
    return tuple(None if size == 1 else axis for size, axis in zip(source, axes, strict=True))
