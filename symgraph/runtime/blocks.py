"""The parts of arrays that a kernel works on at a time: blocks of rows, or parts of one long row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from symgraph.codegen.layout import axis_of
from symgraph.codegen.printed import Room, View
from symgraph.runtime.nests import collapsed
from symgraph.runtime.rooms import Block, Rooms, Slices, Space

Array = np.ndarray[Any, Any]


class Way(Enum):
    """How an array becomes another over the same memory; the first are the fastest."""

    ITSELF = 0
    RESHAPED = 1
    ANEW = 2
    STRIDED = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """How an array is seen as one over a space."""

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    way: Way

    def __call__(self, array: Array) -> Array:
        if self.way is Way.ITSELF:
            return array
        if self.way is Way.RESHAPED:
            return array.reshape(self.shape)
        if self.way is Way.ANEW:
            return np.ndarray(self.shape, array.dtype, array, 0, self.strides)
        return as_strided(array, self.shape, self.strides)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A space with neighbouring axes as one where every array allows it, and the arrays over it."""

    space: Space
    parts: tuple[Seen | Room, ...]


def arrangement(wanted: Sequence[View | Room], arrays: Mapping[str, Array], space: Space) -> Arrangement:
    """The arrangement for arrays of these shapes and strides."""
    known = [_strides(x, arrays, space) for x in wanted if isinstance(x, View)]
    sizes, steps, rank = collapsed((*space.rows, *space.columns), known, len(space.rows))
    rows, columns = tuple(sizes[:rank]), tuple(sizes[rank:])
    left = iter(steps)
    found: list[Seen | Room] = []
    for x in wanted:
        if isinstance(x, Room):
            found.append(x)
            continue
        array, new = arrays[x.access.param.name], next(left)
        shape = space.shape(rows, columns if x.swept else (1,) * len(columns))
        step = space.shape(new[:rank], new[rank:])
        found.append(Seen(x.access.param.name, shape, step, _way(array, shape, step)))
    return Arrangement(Space(space.variables, rows, columns, space.upright), tuple(found))


def _way(array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Way:
    if array.flags.c_contiguous:
        if prod(shape) == array.size and _is_in_order(shape, strides, array.itemsize):
            return Way.ITSELF if shape == array.shape else Way.RESHAPED
        if array.size and array.dtype.isbuiltin == 1:
            return Way.ANEW
    return Way.STRIDED


def _is_in_order(shape: Sequence[int], strides: Sequence[int], size: int) -> bool:
    for count, stride in zip(reversed(shape), reversed(strides), strict=True):
        if count != 1 and stride != size:
            return False
        size *= count
    return True


RowBlock = tuple[Any, tuple[int, ...]]
"""The index of some rows, None for all, and how many they are along each axis."""


def row_blocks(space: Space, block: Block) -> list[RowBlock]:
    """The blocks of rows that a kernel works on one after the other."""
    found = [(space.some_rows(at), _shape(at)) for at in slices(space.rows, block.rows)]
    return [(None, found[0][1])] if len(found) == 1 else found


def blocks(
    parts: Sequence[Array | None], space: Space, rows: Sequence[RowBlock], rooms: Rooms
) -> Iterator[tuple[Array, ...]]:
    """What a kernel works on, block by block; a part that is None is a room."""
    for index, shape in rows:
        room = iter(rooms.of(shape, space.columns))
        if index is None:
            yield tuple([next(room) if x is None else x for x in parts])
        else:
            yield tuple([next(room) if x is None else x[index] for x in parts])


@dataclass(frozen=True, slots=True)
class Parts:
    """Some rows in parts, which can be walked again."""

    arrays: tuple[Array | None, ...]
    rooms: Rooms
    space: Space
    rows: tuple[int, ...]
    columns: int

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        for at in slices(self.space.columns, self.columns):
            index = self.space.some_columns(at)
            room = iter(self.rooms.of(self.rows, _shape(at)))
            yield tuple([next(room) if x is None else x[index] for x in self.arrays])


def long_rows(
    wanted: Sequence[View | Room], parts: Sequence[Array | None], space: Space, block: Block, rooms: Rooms
) -> Iterator[tuple[tuple[Array, ...], Parts]]:
    """One row after the other, or some together: what belongs to them as a whole, and their parts."""
    pairs = list(zip(wanted, parts, strict=True))
    held, parted = rooms.only(swept=False), rooms.only(swept=True)
    for at in slices(space.rows, block.rows):
        index, some = space.some_rows(at), _shape(at)
        kept = rooms.whole(some)
        room = iter(held.of(some, (1,) * len(space.columns)))
        own = tuple(next(room) if part is None else part[index] for x, part in pairs if not x.swept)
        row = tuple(kept.get(x) if part is None else part[index] for x, part in pairs if x.swept)
        yield own, Parts(row, parted, space, some, block.columns)


def _shape(at: Slices) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in at)


def slices(shape: Sequence[int], elements: int) -> Iterator[Slices]:
    """The index space in parts of at most so many elements: one axis in pieces, those inside it whole."""
    if 0 in shape:
        return
    inner, axis = 1, len(shape)
    while axis and inner * shape[axis - 1] <= elements:
        axis -= 1
        inner *= shape[axis]
    whole = tuple(slice(0, size) for size in shape[axis:])
    if not axis:
        yield whole
        return
    step = max(1, elements // inner)
    size = shape[axis - 1]
    pieces = [slice(start, min(start + step, size)) for start in range(0, size, step)]
    for outer in itertools.product(*(range(size) for size in shape[: axis - 1])):
        before = tuple(slice(i, i + 1) for i in outer)
        for piece in pieces:
            yield (*before, piece, *whole)


def _strides(x: View, arrays: Mapping[str, Array], space: Space) -> tuple[int, ...]:
    """The bytes between neighbours along each axis of the space; 0 along those that the array has not."""
    array = arrays[x.access.param.name]
    found = [0] * len(space.variables)
    for dim, size, stride in zip(x.access.index, array.shape, array.strides, strict=True):
        if size != 1 and (axis := axis_of(dim, space.variables)) is not None:
            found[axis] = stride
    return tuple(found)
