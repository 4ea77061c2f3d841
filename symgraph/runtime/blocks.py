"""The parts of arrays that a kernel works on at a time: blocks of rows, or parts of one long row."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from symgraph.codegen.numpy_printer import Room, View
from symgraph.graph.dims import Dim, Size, symbols
from symgraph.optimizations.memory import aligned

Array = np.ndarray[Any, Any]
Slices = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """The loops of a kernel at one call: the sizes of its rows and of its columns."""

    variables: tuple[Size, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of the columns, counted from the end."""
        return tuple(range(-len(self.columns), 0))


def arranged(
    wanted: Sequence[View | Room], arrays: Mapping[str, Array], space: Space
) -> tuple[Space, list[Array | Room]]:
    """The arrays as views over rows and columns, with neighbouring axes as one where every array allows it."""
    strides = [_strides(x, arrays, space) if isinstance(x, View) else None for x in wanted]
    known = [each for each in strides if each is not None]
    shape = (*space.rows, *space.columns)
    groups = _merged(shape, known, len(space.rows))
    rows = sum(group[0] < len(space.rows) for group in groups)
    sizes = tuple(prod(shape[axis] for axis in group) for group in groups)
    found: list[Array | Room] = []
    for x, own in zip(wanted, strides, strict=True):
        if own is None:
            assert isinstance(x, Room)
            found.append(x)
            continue
        assert isinstance(x, View)
        new = tuple(own[group[-1]] for group in groups)
        ones = sizes if x.swept else sizes[:rows] + (1,) * (len(sizes) - rows)
        found.append(as_strided(arrays[x.access.param.name], ones, new))
    return Space(space.variables, sizes[:rows], sizes[rows:]), found


def blocks(
    parts: Sequence[Array | Room], space: Space, elements: int, rooms: Rooms
) -> Iterator[tuple[Array, ...]]:
    """What a kernel works on, block by block of some rows, each of at most so many elements."""
    for at in slices(space.rows, max(1, elements // max(1, prod(space.columns)))):
        shape = tuple(part.stop - part.start for part in at)
        room = iter(rooms.of(shape, space.columns))
        yield tuple(next(room) if isinstance(x, Room) else _part(x, at) for x in parts)


@dataclass(frozen=True, slots=True)
class Parts:
    """One row in parts; it can be walked again."""

    arrays: tuple[Array | Room, ...]
    rooms: Rooms
    columns: tuple[int, ...]
    rank: int
    elements: int

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        one = (1,) * self.rank
        for at in slices(self.columns, self.elements):
            shape = tuple(part.stop - part.start for part in at)
            room = iter(self.rooms.of(one, shape))
            index: Any = (..., *at)
            yield tuple(next(room) if isinstance(x, Room) else x[index] for x in self.arrays)


def long_rows(
    wanted: Sequence[View | Room], parts: Sequence[Array | Room], space: Space, elements: int, rooms: Rooms
) -> Iterator[tuple[tuple[Array, ...], Parts]]:
    """Row by row: what belongs to the row as a whole, and its parts."""
    rank = len(space.rows)
    kept = rooms.whole((*(1,) * rank, *space.columns))
    whole = [part for x, part in zip(wanted, parts, strict=True) if not x.swept]
    swept = [part for x, part in zip(wanted, parts, strict=True) if x.swept]
    held = rooms.only(swept=False).of((1,) * rank, (1,) * len(space.columns))
    parted = rooms.only(swept=True, whole=False)
    for at in slices(space.rows, 1):
        room = iter(held)
        own = tuple(next(room) if isinstance(x, Room) else _part(x, at) for x in whole)
        row = tuple(kept.get(x, x) if isinstance(x, Room) else _part(x, at) for x in swept)
        yield own, Parts(row, parted, space.columns, rank, elements)


def _part(x: Array, at: Slices) -> Array:
    """A view, also of an array without axes."""
    part: Array = x[at] if at else x
    return part


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


def add_up(x: Array, axes: tuple[int, ...], out: Array, room: Array) -> None:
    """The sum along the last axes, which stay with size 1; there is room for a copy of ``x``.

    NumPy sums pairwise along the last axis of a contiguous array and one by one along any other.
    """
    if not x.flags.c_contiguous:
        np.copyto(room, x)
        x = room
    rows = x.shape[: x.ndim - len(axes)]
    np.add.reduce(
        x.reshape(*rows, prod(x.shape[x.ndim - len(axes) :])), axis=-1, dtype=x.dtype, out=out.reshape(rows)
    )


class Rooms:
    """Memory for what lies between calls: an array for each room, in the shape of each block."""

    def __init__(self, rooms: Iterable[tuple[Room, Array]]) -> None:
        self._rooms = tuple(rooms)
        self._shaped: dict[tuple[int, ...], list[Array]] = {}

    @classmethod
    def cut(cls, wanted: Iterable[View | Room], block: Block, memory: Array) -> Rooms:
        """Rooms one after the other in a piece of memory, each for a block of this size."""
        found, start = [], 0
        for x in wanted:
            if isinstance(x, Room):
                end = start + _bytes(x, block)
                found.append((x, memory[start:end]))
                start = aligned(end)
        return cls(found)

    def only(self, *, swept: bool, whole: bool = False) -> Rooms:
        return Rooms(pair for pair in self._rooms if pair[0].swept is swept and pair[0].whole is whole)

    def whole(self, shape: tuple[int, ...]) -> dict[Room, Array]:
        """The arrays for whole rows."""
        return {x: np.ndarray(shape, x.row.numpy, memory) for x, memory in self._rooms if x.whole}

    def of(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> list[Array]:
        shape = (*rows, *columns)
        if shape not in self._shaped:
            few = (*rows, *(1,) * len(columns))
            self._shaped[shape] = [
                np.ndarray(shape if x.swept else few, x.row.numpy, memory) for x, memory in self._rooms
            ]
        return self._shaped[shape]


@dataclass(frozen=True, slots=True)
class Block:
    """The most rows and columns that a kernel works on at a time, and how long a row is."""

    rows: int
    columns: int
    whole: int

    @classmethod
    def of(cls, space: Space, elements: int, *, long: bool) -> Block:
        rows, columns = prod(space.rows), prod(space.columns)
        if long:
            return cls(1, min(columns, elements), columns)
        return cls(min(rows, max(1, elements // max(1, columns))), columns, columns)


def room_bytes(wanted: Iterable[View | Room], block: Block) -> int:
    """The memory that rooms take for blocks of this size."""
    return sum(aligned(_bytes(x, block)) for x in wanted if isinstance(x, Room))


def _bytes(room: Room, block: Block) -> int:
    columns = block.whole if room.whole else block.columns
    return block.rows * (columns if room.swept else 1) * room.row.numpy.itemsize


def _strides(x: View, arrays: Mapping[str, Array], space: Space) -> tuple[int, ...]:
    """The bytes between neighbours along each axis of the space; 0 along those that the array has not."""
    array = arrays[x.access.param.name]
    found = [0] * len(space.variables)
    for dim, size, stride in zip(x.access.index, array.shape, array.strides, strict=True):
        if size != 1 and (axis := _axis(dim, space.variables)) is not None:
            found[axis] = stride
    return tuple(found)


def _axis(dim: Dim, variables: Sequence[Size]) -> int | None:
    """Which loop an index follows."""
    used = symbols(dim) if isinstance(dim, Size) else ()
    return next((axis for axis, variable in enumerate(variables) if variable in used), None)


def _merged(shape: Sequence[int], strides: Sequence[Sequence[int]], rows: int) -> list[list[int]]:
    """Groups of neighbouring axes that are one; axes of rows and of columns stay apart."""
    groups: list[list[int]] = []
    for axis, size in enumerate(shape):
        if groups and axis != rows:
            last = groups[-1][-1]
            if all(own[last] == own[axis] * size for own in strides):
                groups[-1].append(axis)
                continue
        groups.append([axis])
    return groups
