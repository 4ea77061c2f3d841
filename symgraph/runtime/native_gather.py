"""Reads and writes by arrays of indices as machine code: ``x[i]``, ``x.at[i].set(value)``, ``x.at[i].add(value)``, …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from symgraph.codegen.denormals import flushing
from symgraph.codegen.layout import Step as Stride
from symgraph.codegen.llvm_gather import Indices, Loops, Move, combines, moved_as, print_move
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.machine import Machine
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import attributes_of
from symgraph.graph.types import DType, dtype
from symgraph.ops.index import index
from symgraph.ops.keys import Gather, Item
from symgraph.ops.update import update
from symgraph.optimizations.cost import BYTE, START, typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.native import NativeCall
from symgraph.runtime.nests import Lying, collapsed
from symgraph.runtime.picked import Picked, agree, picked, picks, sizes_of, spread, strides_of
from symgraph.runtime.shares import Shares, sharing

Array = np.ndarray[Any, Any]

_WIDE, _PARTS = 128, 1
"""Bytes that an index names from which on it takes longer to write them than to see whose they are; and how often a
thread claims places, for which it looks at all indices."""


class Indexed(Lying, Protocol):
    """An array of indices."""

    @property
    def dtype(self) -> np.dtype[Any]: ...


def is_gather(step: Step) -> bool:
    """Whether there is machine code for a step that reads or writes by indices."""
    return picks(step, combines)


class NativeGather:
    """A step that reads or writes by indices."""

    def __init__(self, step: Call, threads: int = 1, machine: Machine | None = None) -> None:
        self.step, self.node = step, step.node
        self._threads, self._machine = threads, machine or host()
        self.nodes = (*step.node.inputs, step.node)
        self.functions: set[Function] = set()
        self._attributes = attributes_of(step.node)
        self._printed: dict[str, Native] = {}

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """No room; what is updated may be written over."""
        try:
            for x in self.nodes:
                for size in x.shape:
                    evaluate_dim(size, sizes)
        except UnboundSize:
            return Needs()
        return Needs(0, True, ((self.node.inputs[0], self.node),) if self.node.op is update.op else ())

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> NativeCall:
        """For arrays of these shapes and strides. Raises IndexError and ValueError for shapes that NumPy refuses."""
        move, tail, turns = self._moved(arrays, sizes)
        (function,) = code().functions([self._native(move)])
        self.functions.add(function)
        given = function, tail, turns, room
        if move.copied is None:
            return NativeCall(*given, self._shares(arrays, turns), fails=False, checks=bool(move.indices))
        shared = Shares() if move.owner is None else self._shares(arrays, turns)
        return NativeCall(*given, shared, fails=False, checks=bool(move.indices), chunks=_PARTS)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native | None:
        """The text for arrays of these shapes and strides; None for shapes that NumPy refuses."""
        try:
            return self._native(self._moved(arrays, sizes)[0])
        except (IndexError, ValueError):
            return None

    def texts(self) -> list[Native]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            arrays = [np.empty(tuple(map(typical, x.shape)), x.dtype) for x in self.nodes]
            sizes = {size: typical(size) for size in sizes_of(self.node)}
            self.printed_for(arrays, sizes)
        return list(self._printed.values())

    def _native(self, move: Move) -> Native:
        native = flushing(print_move(move, host()), self._machine)
        return self._printed.setdefault(native.name, native)

    def _moved(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> tuple[Move, list[int], int]:
        """The function for such arrays, the words of its table after the addresses, and the turns of its first loop."""
        *read, y = arrays
        attributes = self._attributes(sizes)
        items, row = attributes["items"], self.node.row
        if self.node.op is index.op:
            return read_at(row, read[0], read[1:], y, items)
        owner = self._owner(arrays, items)
        return written_at(row, read[0], read[1], read[2:], y, items, attributes["mode"], owner)

    def _owner(self, arrays: Sequence[Array], items: Sequence[Item]) -> int | None:
        """The array of indices that names places along the first axis, if threads share these."""
        first, y = items[0] if items else None, arrays[-1]
        if not isinstance(first, Gather) or any(x.size == 0 for x in arrays):
            return None
        if prod(picked(y, arrays[2:-1], items).inner) * y.itemsize < _WIDE:
            return None
        return first.array if self._shares(arrays, len(y)).threads > 1 else None

    def _shares(self, arrays: Sequence[Array], turns: int) -> Shares:
        """Those of turns on arrays that are read and written as a whole, but for what indices pick from."""
        nbytes = sum(x.nbytes for x in arrays[1:]) + arrays[-1].nbytes
        return Shares(sharing(min(self._threads, turns), START + BYTE * nbytes))


def read_at(
    row: DType, x: Lying, indices: Sequence[Indexed], y: Lying, items: Sequence[Item]
) -> tuple[Move, list[int], int]:
    """The function that reads ``x`` by indices to ``y``, the words of its table, and the turns of its first loop."""
    there = picked(x, indices, items)
    if not agree(y.shape, there.sizes):
        raise ValueError(f"{there.sizes} elements for {y.shape}")
    loops = _loops(there, indices, [there.through, strides_of(y), *there.around])
    moved, parts = moved_as(row)
    move = Move(moved, parts, "read", loops.form(row, indices, plain=1), loops.indices(indices))
    return move, [*_words(there), *loops.words], loops.sizes[0]


def written_at(
    row: DType,
    x: Lying,
    value: Lying,
    indices: Sequence[Indexed],
    y: Lying,
    items: Sequence[Item],
    mode: str,
    owner: int | None = None,
) -> tuple[Move, list[int], int]:
    """The same of the function that makes ``y`` of ``x`` with a value at indices; with an ``owner``, if that goes along
    the first loop, the turns are places along the first axis, which this array of indices names."""
    there = picked(y, indices, items)
    loops = _loops(there, indices, [spread(value, there.sizes), there.through, *there.around])
    copied = _merged(x.shape, [strides_of(x), strides_of(y)])
    moved, parts = moved_as(row) if mode == "set" else (row, 1)
    form = loops.form(row, indices, plain=0)
    along = loops.indices(indices)
    owner = owner if owner is not None and along[owner].depth == 1 else None
    move = Move(moved, parts, mode, form, along, copied.form(row), owner)
    if owner is None:
        return move, [*copied.words, *_words(there), *loops.words], loops.sizes[0]
    turns = x.shape[0]
    return move, [*copied.words, copied.sizes[0] // turns, *_words(there), *loops.words], turns


class _Loops(NamedTuple):
    """The sizes of loops, and the bytes that a turn of each goes: in what is read, in what is written, and in each
    array of indices."""

    sizes: list[int]
    strides: list[list[int]]
    depths: list[int]
    """Of how many loops each array of indices stands inside."""

    @property
    def words(self) -> list[int]:
        rows = zip(self.sizes, *self.strides, strict=True)
        return [word for row in rows for word in row]

    def form(self, row: DType, arrays: Sequence[Indexed] = (), *, plain: int = 1) -> Loops:
        """What the text depends on; the indices do not name places of what is read (``plain`` is 0) or written (1)."""
        size, count = row.numpy.itemsize, len(self.sizes)
        last = [own[-1] for own in self.strides]
        if count in self.depths:
            own = zip(arrays, self.depths, last[2:], strict=True)
            near = all(step == x.itemsize for x, depth, step in own if depth == count)
            return Loops(count, Stride.FAR, near and last[plain] == size)
        read, written = last[:2]
        if written != size or read not in (0, size) or (read == 0 and size > 8):
            return Loops(count, Stride.FAR)
        return Loops(count, Stride.NONE if read == 0 else Stride.UNIT)

    def indices(self, arrays: Sequence[Indexed]) -> tuple[Indices, ...]:
        return tuple(Indices(dtype(x.dtype), depth) for x, depth in zip(arrays, self.depths, strict=True))


def _words(there: Picked) -> list[int]:
    return [there.start, *(word for axis in there.axes for word in axis)]


def _loops(there: Picked, indices: Sequence[Indexed], strides: Sequence[Sequence[int]]) -> _Loops:
    """Loops over what is picked; where that is nothing, over the indices that NumPy looks at all the same."""
    if prod(there.sizes) != 0:
        return _merged(there.sizes, strides)
    if prod(there.gathered) != 0:
        none = [0] * (len(there.gathered) + 1)
        return _merged((*there.gathered, 0), [none, none, *([*own, 0] for own in there.along)])
    return _Loops([0], [[0] for _ in strides], [min(len(each.shape), 1) for each in indices])


def _merged(sizes: Sequence[int], strides: Sequence[Sequence[int]]) -> _Loops:
    """Neighbours that all arrays go through as through one are one loop."""
    left, found, _ = collapsed(sizes, strides)
    if not left:
        left, found = [1], [[0] for _ in strides]
    depths = [max((n + 1 for n, step in enumerate(own) if step != 0), default=0) for own in found[2:]]
    return _Loops(left, found, depths)
