"""Kernels as machine code: printed and compiled for each way that the arrays of a call lie in memory."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.aliasing import in_place
from symgraph.codegen.layout import Layout, is_upright
from symgraph.codegen.llvm_printer import Native, print_native
from symgraph.codegen.loops import Reduce, statements
from symgraph.codegen.lower import arrays_of, lower
from symgraph.codegen.vectorized import room_of
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.optimizations.cost import typical
from symgraph.optimizations.groups import EXTREMES
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Kernel
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.fields import begin_of
from symgraph.runtime.memory import Arena
from symgraph.runtime.nests import arranged
from symgraph.runtime.pool import pool
from symgraph.runtime.shares import Shares, shares

Array = np.ndarray[Any, Any]
_CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class NativeKernel:
    """A kernel, with a function for each layout that was met."""

    def __init__(self, kernel: Kernel, threads: int = 1) -> None:
        self.step = self.kernel = kernel
        self._threads = threads
        self.loops = lower(kernel)
        self.nodes = (*arrays_of(kernel), *kernel.writes)
        self.names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        self.needs_columns = any(
            isinstance(x, Reduce) and x.op in EXTREMES for x, _, _ in statements(self.loops)
        )
        self._room = room_of(self.loops, host(), upright=is_upright(self.loops))
        by_name = dict(zip(self.names, self.nodes, strict=True))
        self._in_place = tuple((by_name[a], by_name[b]) for a, b in sorted(in_place(self.loops)))
        self._printed: dict[Layout, Native] = {}
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call, and what may be the same array."""
        try:
            _, columns = self.space(sizes)
        except UnboundSize:
            return Needs()
        return Needs(self._shares(sizes, columns).bytes, True, self._in_place)

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
        by_name = dict(zip(self.names, arrays, strict=True))
        layout, turns, steps = arranged(self.loops, by_name, rows, columns)
        fails = self.needs_columns and not prod(columns)
        (function,) = code().functions([self._native(layout)])
        self.functions.add(function)
        tail = [*turns, *itertools.chain(*steps)]
        first = turns[0] if layout.rows else 1
        return NativeCall(function, len(arrays), tail, first, room, self._shares(sizes, columns), fails=fails)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native:
        """The text for arrays of these shapes and strides."""
        layout, _, _ = arranged(self.loops, dict(zip(self.names, arrays, strict=True)), *self.space(sizes))
        return self._native(layout)

    def texts(self) -> list[Native]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            shapes = [tuple(map(typical, node.shape)) for node in self.nodes]
            arrays = [np.empty(shape, node.dtype) for shape, node in zip(shapes, self.nodes, strict=True)]
            by_name = dict(zip(self.names, arrays, strict=True))
            rows = [typical(size) for size in self.kernel.rows.values()]
            columns = [typical(size) for size in self.kernel.columns.values()]
            self._native(arranged(self.loops, by_name, rows, columns)[0])
        return list(self._printed.values())

    def _shares(self, sizes: Mapping[Size, int], columns: Sequence[int]) -> Shares:
        rows, _ = self.space(sizes)
        return shares(self.kernel, sizes, self._threads, prod(rows), self._room.bytes(prod(columns)))

    def _native(self, layout: Layout) -> Native:
        if layout not in self._printed:
            self._printed[layout] = print_native(self.loops, layout, host())
        return self._printed[layout]


class NativeCall:
    """A function of machine code on arrays of these shapes and strides.

    Its table has the addresses of the arrays and of its room, and the words of ``tail``; if it ``checks`` indices, the
    address of a word that is not 0 once one was out of bounds. Threads that share its first loop have a table each,
    since each has a room of its own.
    """

    first = 0
    """The place of the first array's address."""

    def __init__(
        self,
        function: Function,
        arrays: int,
        tail: Sequence[int],
        turns: int,
        room: int,
        shared: Shares,
        *,
        fails: bool,
        checks: bool = False,
        chunks: int | None = None,
    ) -> None:
        self.function, self.fails, self.checks, self._room = function, fails, checks, room
        self._address, self._call = 0, _CALL(0)
        self.turns = turns
        """Of the first loop."""
        self.chunk = shared.chunk(turns, chunks) if chunks is not None else shared.chunk(turns)
        """Turns that a thread claims at a time."""
        self._shared = shared if self.chunk < turns else Shares()
        self._tail = list(tail)
        self._type = (ctypes.c_int64 * (arrays + 1 + len(self._tail) + checks)) * self._shared.threads

    def tables(self, addresses: Sequence[int], arena: Arena, trouble: int) -> list[list[int]]:
        """The words that the function reads in each thread, for arrays and a word for trouble at these addresses."""
        room = arena.memory.ctypes.data + self._room
        last = [trouble] if self.checks else []
        every = range(self._shared.threads)
        return [[*addresses, room + self._shared.room_of(n), *self._tail, *last] for n in every]

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        if self.fails:
            raise ValueError("there is no extremum along an axis of size 0")
        tables, trouble = arena.cache.get(self) or self._made(len(arrays), arena)
        for n, x in enumerate(arrays):
            address = begin_of(x)
            for table in tables:
                table[n] = address
        if len(tables) > 1:
            pool().run(self.function.address, tables, self.turns, self.chunk)
            return
        address = self.function.address
        if self._address != address:  # in this order: another thread that finds the address has what calls it
            self._call = _CALL(address)
            self._address = address
        self._call(ctypes.addressof(tables), 0, self.turns)
        if trouble.value:
            trouble.value = 0
            raise IndexError("an index is out of bounds")

    def _made(self, arrays: int, arena: Arena) -> tuple[Any, ctypes.c_int64]:
        """The tables and the word for trouble of calls in this arena."""
        tables, trouble = self._type(), ctypes.c_int64()
        for table, words in zip(
            tables, self.tables([0] * arrays, arena, ctypes.addressof(trouble)), strict=True
        ):
            table[:] = words
        arena.cache[self] = tables, trouble
        return tables, trouble
