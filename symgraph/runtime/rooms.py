"""Memory for what a kernel holds between two calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.printed import Room, View
from symgraph.graph.dims import Size
from symgraph.optimizations.memory import aligned

Array = np.ndarray[Any, Any]
Slices = tuple[slice, ...]

NARROW = 16
"""How many columns of an upright space are worked on at a time if all rows are: the more rows, the longer the runs of
neighbours in memory."""
FEWEST = 16
"""No fewer rows than so many, which are such neighbours, are worked on where a whole row is kept."""
SMALL = 16
"""So many blocks of an upright space are worked on as one: its parts would be short."""


@dataclass(frozen=True, slots=True)
class Space:
    """The loops of a kernel at one call: the sizes of its rows and of its columns.

    An ``upright`` one has neighbours in memory along the rows: its columns are the first axes of blocks.
    """

    variables: tuple[Size, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    upright: bool

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of the columns, counted from the end."""
        start = -len(self.columns) - (len(self.rows) if self.upright else 0)
        return tuple(range(start, start + len(self.columns)))

    def shape(self, rows: Sequence[int], columns: Sequence[int]) -> tuple[int, ...]:
        """The shape of a block."""
        return (*columns, *rows) if self.upright else (*rows, *columns)

    def some_rows(self, at: Slices) -> Any:
        """The index of some rows of an array."""
        return (..., *at) if self.upright else (*at, ...)

    def some_columns(self, at: Slices) -> Any:
        return (*at, ...) if self.upright else (..., *at)


@dataclass(frozen=True, slots=True)
class Block:
    """The most rows and columns that a kernel works on at a time, and how long a row is."""

    rows: int
    columns: int
    whole: int

    @classmethod
    def of(cls, space: Space, elements: int, *, keeps: bool) -> Block:
        """Blocks of about so many elements; ``keeps`` says whether whole rows are kept."""
        rows, columns = prod(space.rows), prod(space.columns)
        if not is_long(space, elements):
            if space.upright:
                return cls(rows, columns, columns)
            return cls(min(rows, max(1, elements // max(1, columns))), columns, columns)
        if not space.upright:
            return cls(1, min(columns, elements), columns)
        together = min(rows, max(1, elements // min(columns, NARROW)))
        if keeps:
            together = min(together, max(FEWEST, 4 * elements // columns))
        return cls(together, min(columns, max(1, elements // together)), columns)


def is_long(space: Space, elements: int) -> bool:
    """Whether rows are worked on in parts."""
    columns = prod(space.columns)
    if space.upright:
        return prod(space.rows) * columns > SMALL * elements
    return bool(space.columns) and columns > 2 * elements


class Rooms:
    """An array for each room, in the shape of each block."""

    def __init__(self, rooms: Iterable[tuple[Room, Array]], space: Space) -> None:
        self._rooms, self._space = tuple(rooms), space
        self._shaped: dict[tuple[int, ...], list[Array]] = {}

    @classmethod
    def cut(cls, wanted: Iterable[View | Room], block: Block, space: Space, memory: Array) -> Rooms:
        """Rooms one after the other in a piece of memory, each for a block of this size."""
        found, start = [], 0
        for x in wanted:
            if isinstance(x, Room):
                end = start + _bytes(x, block)
                found.append((x, memory[start:end]))
                start = aligned(end)
        return cls(found, space)

    def only(self, *, swept: bool, whole: bool = False) -> Rooms:
        return Rooms(
            (pair for pair in self._rooms if (pair[0].swept, pair[0].whole) == (swept, whole)), self._space
        )

    def whole(self, rows: Sequence[int]) -> dict[View | Room, Array]:
        """The arrays for whole rows."""
        shape = self._space.shape(rows, self._space.columns)
        return {x: np.ndarray(shape, x.row.numpy, memory) for x, memory in self._rooms if x.whole}

    def of(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> list[Array]:
        key = (*rows, *columns)
        if key not in self._shaped:
            shape, few = self._space.shape(rows, columns), self._space.shape(rows, (1,) * len(columns))
            self._shaped[key] = [
                np.ndarray(shape if x.swept else few, x.row.numpy, memory) for x, memory in self._rooms
            ]
        return self._shaped[key]


def room_bytes(wanted: Iterable[View | Room], block: Block) -> int:
    """The memory that rooms take for blocks of this size."""
    return sum(aligned(_bytes(x, block)) for x in wanted if isinstance(x, Room))


def _bytes(room: Room, block: Block) -> int:
    columns = block.whole if room.whole else block.columns
    return block.rows * (columns if room.swept else 1) * room.row.numpy.itemsize
