"""Kernels as machine code: printed and compiled for each way that the arrays of a call lie in memory."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.aliasing import in_place
from symgraph.codegen.denormals import flushing
from symgraph.codegen.layout import Layout, is_upright
from symgraph.codegen.llvm_printer import Native, print_native
from symgraph.codegen.loops import Reduce, all_of
from symgraph.codegen.lower import arrays_of, lower, updated_by
from symgraph.codegen.machine import Machine
from symgraph.codegen.row_blocks import blocks, bytes_of_blocks, can_be_shared, most_blocks, sweeps, units
from symgraph.codegen.vectorized import lanes_of, room_of
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.optimizations.cost import typical
from symgraph.optimizations.groups import EXTREMES
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.memory import aligned
from symgraph.optimizations.plan import Kernel
from symgraph.optimizations.step_cost import step_cost
from symgraph.runtime.code import CALL, Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.fields import begin_of
from symgraph.runtime.memory import Arena
from symgraph.runtime.nests import arranged, with_blocks, without_single
from symgraph.runtime.pool import pool
from symgraph.runtime.shares import LONG, Shares, part, shares, sharing

Array = np.ndarray[Any, Any]

_FEW = 8
"""What a kernel goes through is so many times what it writes where it reduces."""


class NativeKernel:
    """A kernel, with a function for each layout that was met."""

    def __init__(self, kernel: Kernel, threads: int = 1, machine: Machine | None = None) -> None:
        self.step = self.kernel = kernel
        self._threads, self._machine = threads, machine or host()
        self.loops = lower(kernel)
        self.nodes = (*arrays_of(kernel), *kernel.writes)
        self.names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        self.needs_columns = any(isinstance(x, Reduce) and x.op in EXTREMES for x in all_of(self.loops))
        self._room = room_of(self.loops, self._machine, upright=is_upright(self.loops))
        by_name = dict(zip(self.names, self.nodes, strict=True))
        self._in_place = tuple((by_name[a], by_name[b]) for a, b in sorted(in_place(self.loops)))
        self._lanes = lanes_of(self.loops, self._machine)
        self._printed: dict[Layout, Native] = {}
        self._known: tuple[Any, tuple[Layout, list[int], list[list[int]]]] | None = None
        """What arrays that lie somehow were arranged as at last."""
        self._shared: tuple[Any, Shares] | None = None
        """How it was shared among threads at last, for some sizes."""
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call, and what may be the same array."""
        try:
            rows, columns = self.space(sizes)
        except UnboundSize:
            return Needs()
        size = self._shares(sizes).bytes
        if self._threads_of_blocks(sizes, rows, columns) > 1:
            upright = is_upright(self.loops)
            count = units(rows, self._lanes, upright=upright)
            most = most_blocks(prod(columns), upright=upright)
            size = aligned(size) + count * bytes_of_blocks(self.loops, self._lanes, most)
        return Needs(size, True, self._in_place)

    def space(self, sizes: Mapping[Size, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The sizes of the loops over rows, and over columns."""
        rows, columns = (
            tuple(evaluate_dim(size, sizes) for size in axes.values())
            for axes in (self.kernel.rows, self.kernel.columns)
        )
        return rows, columns

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> NativeCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        rows, columns = self.space(sizes)
        layout, turns, steps = self._arranged(arrays, sizes)
        (function,) = code().functions([self._native(layout)])
        self.functions.add(function)
        tail = [*turns, *itertools.chain(*steps)]
        own = self._shares(sizes)
        if layout.is_shared:
            upright = layout.vector < layout.rows
            count = len(sweeps(self.loops)) * blocks(turns[layout.rows :], upright=upright)
            meets = units(turns[: layout.rows], self._lanes, upright=upright), aligned(own.bytes)
            shared = Shares(self._threads_of_blocks(sizes, rows, columns), is_common=True)
            return NativeCall(function, tail, count, room, shared, fails=False, meets=meets)
        first = turns[0] if layout.rows else 1
        fails = self.needs_columns and not prod(columns)
        grain = self._lanes if layout.vector == 0 and layout.rows else 1
        some = self._part(arrays, layout, first, steps) if layout.rows else first
        return NativeCall(function, tail, first, room, own, fails=fails, grain=grain, part=some)

    def _part(
        self, arrays: Sequence[Array], layout: Layout, turns: int, steps: Sequence[Sequence[int]]
    ) -> int:
        """How many turns of the first loop one thread does at a time.

        All of them where they are strips of the arrays, which are slower on the way back: a processor reads ahead. But
        a kernel that reads strips and writes little, as a sum of columns does, gains more than that.
        """
        nbytes, written = (
            sum(x.nbytes for x in some) for some in (arrays, arrays[-len(self.loops.writes) :])
        )
        in_vectors = layout.vector == 0
        if not _is_outermost(steps) and not (in_vectors and _FEW * written <= nbytes):
            return turns
        return part(turns, nbytes, in_vectors=in_vectors)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native:
        """The text for arrays of these shapes and strides."""
        return self._native(self._arranged(arrays, sizes)[0])

    def texts(self) -> list[Native]:
        """What runs in the end of what has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            shapes = [tuple(map(typical, node.shape)) for node in self.nodes]
            arrays = [np.empty(shape, node.dtype) for shape, node in zip(shapes, self.nodes, strict=True)]
            by_name = dict(zip(self.names, arrays, strict=True))
            rows = [typical(size) for size in self.kernel.rows.values()]
            columns = [typical(size) for size in self.kernel.columns.values()]
            self._native(with_blocks(*arranged(self.loops, by_name, rows, columns), shared=False)[0])
        return [native.fastest for native in self._printed.values()]

    def _arranged(
        self, arrays: Sequence[Array], sizes: Mapping[Size, int]
    ) -> tuple[Layout, list[int], list[list[int]]]:
        """The layout, the sizes of its loops, and the bytes that a turn of each goes in each access; found once where
        it is asked twice."""
        key = tuple([n for x in arrays for n in (*x.shape, *x.strides)]), tuple(sizes.items())
        known = self._known
        if known is None or known[0] != key:
            self._known = known = key, self._laid(arrays, sizes)
        return known[1]

    def _laid(
        self, arrays: Sequence[Array], sizes: Mapping[Size, int]
    ) -> tuple[Layout, list[int], list[list[int]]]:
        rows, columns = self.space(sizes)
        found = arranged(self.loops, dict(zip(self.names, arrays, strict=True)), rows, columns)
        shared = self._threads_of_blocks(sizes, rows, columns) > 1
        laid = with_blocks(*found, shared=shared)
        return without_single(*laid) if not shared and self._shares(sizes).threads > 1 else laid

    def _threads_of_blocks(
        self, sizes: Mapping[Size, int], rows: Sequence[int], columns: Sequence[int]
    ) -> int:
        """How many threads share the blocks of rows; 1 where there are rows enough for all, or these are short."""
        threads, upright = self._threads, is_upright(self.loops)
        if threads == 1 or 0 in (*rows, *columns) or not can_be_shared(self.loops):
            return 1
        count = units(rows, self._lanes, upright=upright)
        if count > 1 and (count % threads == 0 or count >= 2 * threads or self._room.kept):
            return 1
        cost = step_cost(self.kernel, sizes)
        most = most_blocks(prod(columns), upright=upright)
        return sharing(min(threads, most // 2), cost) if cost > LONG else 1

    def _shares(self, sizes: Mapping[Size, int]) -> Shares:
        """Found once where it is asked twice: the costs of all nodes are added up for it."""
        key = tuple(sizes.items())
        known = self._shared
        if known is None or known[0] != key:
            rows, columns = self.space(sizes)
            room = self._room.bytes(prod(columns))
            found = shares(self.kernel, sizes, self._threads, prod(rows), room)
            self._shared = known = key, found
        return known[1]

    def _native(self, layout: Layout) -> Native:
        if layout not in self._printed:
            updated = updated_by(self.kernel)
            native = print_native(self.loops, layout, self._machine, quick=True, updated=updated)
            self._printed[layout] = flushing(native, self._machine)
        return self._printed[layout]


def _is_outermost(steps: Sequence[Sequence[int]]) -> bool:
    """Whether no other loop goes further in an array than the first, of those that this goes along."""
    return all(own[0] == 0 or abs(own[0]) == max(map(abs, own)) for own in steps)


class NativeCall:
    """A function of machine code on arrays of these shapes and strides.

    Its table has the addresses of the arrays and of its room, and the words of ``tail``; if it ``checks`` indices, the
    address of a word that is not 0 once one was out of bounds. Threads that share its first loop have a table each,
    since each has a room of its own; what they claim is a multiple of the ``grain``. A ``part`` is what they do at a
    time at most, and one thread alone too: all turns, or so many that it is worth while to go there and back. Where
    threads share the blocks of rows, the room is common, and ``meets`` says how many rows there are, or vectors of
    rows, and with which byte the part of the room begins where what blocks reduce to is left: the tables have the
    address of that, and of the words where threads meet.
    """

    first = 0
    """The place of the first array's address."""

    def __init__(
        self,
        function: Function,
        tail: Sequence[int],
        turns: int,
        room: int,
        shared: Shares,
        *,
        fails: bool,
        checks: bool = False,
        chunks: int | None = None,
        grain: int = 1,
        meets: tuple[int, int] | None = None,
        part: int | None = None,
    ) -> None:
        self.function, self.fails, self.checks, self._room = function, fails, checks, room
        self._address, self._call = 0, CALL(0)
        self.turns = turns
        """Of the first loop."""
        chunk = shared.chunk(turns, chunks) if chunks is not None else shared.chunk(turns)
        chunk = -(-chunk // grain) * grain
        self._shared = shared if chunk < turns else Shares()
        some = turns if part is None else part
        if self._shared.threads == 1:
            chunk = some
        elif meets is not None:
            chunk = -chunk
        else:
            chunk = min(chunk, -(-some // grain) * grain)
        self.chunk = chunk
        """Turns that a thread does at a time; less than 0 where some wait for those before, which are claimed first."""
        self._tail = list(tail)
        self._meets = meets

    def tables(self, addresses: Sequence[int], arena: Arena, trouble: int) -> list[list[int]]:
        """The words that the function reads in each thread, for arrays and a word for trouble at these addresses."""
        room = arena.begin + self._room
        last = [trouble] if self.checks else []
        if self._meets is not None:
            rows, left = self._meets
            met = np.array([pool().wait, pool().address, *[0] * rows], np.int64)
            arena.cache[object()] = met
            last = [room + left, begin_of(met)]
        every = range(self._shared.threads)
        return [[*addresses, room + self._shared.room_of(n), *self._tail, *last] for n in every]

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        if self.fails:
            raise ValueError("there is no extremum along an axis of size 0")
        tables, at, trouble = arena.cache.get(self) or self._made(len(arrays), arena)
        for n, x in enumerate(arrays):
            tables[:, n] = begin_of(x)
        address = self.function.address
        is_known = self._address == address
        if self.chunk < self.turns and (is_known or len(tables) > 1):  # a first call waits for no pool
            pool().run(address, tables, self.turns, self.chunk)
        else:
            if not is_known:
                # In this order: another thread that finds the address has what calls it.
                self._call = CALL(address)
                self._address = address
            self._call(at, 0, self.turns)
        if trouble.value:
            trouble.value = 0
            raise IndexError("an index is out of bounds")

    def _made(self, arrays: int, arena: Arena) -> tuple[Array, int, ctypes.c_int64]:
        """The tables, where they begin, and the word for trouble of calls in this arena."""
        trouble = ctypes.c_int64()
        tables = np.array(self.tables([0] * arrays, arena, ctypes.addressof(trouble)), np.int64)
        made = arena.cache[self] = tables, begin_of(tables), trouble
        return made
