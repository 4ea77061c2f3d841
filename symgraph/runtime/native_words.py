"""What `inner.ll` reads: machine words that say which steps run, on arrays at which addresses."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from symgraph.runtime.code import CALL, Function
from symgraph.runtime.memory import Arena
from symgraph.runtime.pool import pool
from symgraph.runtime.prepared import KernelCall

Array = np.ndarray[Any, Any]

_INTERRUPTED, _FAILED = 3, 4
"""What the word for trouble says where Python's code was interrupted, and where it failed. 1 is an index out of bounds,
and 2 an exception that is set."""


class Last(threading.local):
    """What Python's code raised in a step, of each thread."""

    failure: Exception | None = None


LAST = Last()


class Coded(Protocol):
    """A step that is a function of machine code."""

    function: Function
    first: int
    """The place of the first array's address in its tables."""
    turns: int
    chunk: int

    def tables(self, addresses: Sequence[int], arena: Arena, trouble: int) -> list[list[int]]: ...


# Where the arrays of a part lie


class Fixed(NamedTuple):
    """At one address."""

    address: int


class Outer(NamedTuple):
    """In an array of the loop or branch: the place of its address in the table, so many bytes after it, and by how many
    further from one turn to the next but one."""

    place: int
    offset: int = 0
    step: int = 0


Base: TypeAlias = Fixed | Outer


class Lying(NamedTuple):
    """How an array lies, wherever."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> Lying:
        """An empty one is in order, so that its rows are; NumPy's has strides of 0."""
        found = cls(array.shape, array.dtype, array.strides)
        return found if array.size else found.in_order

    @property
    def in_order(self) -> Lying:
        """One of the same size whose rows follow each other."""
        strides, step = [], self.dtype.itemsize
        for size in reversed(self.shape):
            strides.append(step)
            step *= max(size, 1)
        return Lying(self.shape, self.dtype, tuple(reversed(strides)))

    @property
    def row(self) -> Lying:
        """One along axis 0."""
        return Lying(self.shape[1:], self.dtype, self.strides[1:])

    def array(self) -> Array:
        """One that lies so, whose numbers nobody knows."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        reach = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        before = -sum(x for x in reach if x < 0)
        memory = np.empty(before + sum(x for x in reach if x > 0) + self.dtype.itemsize, np.uint8)
        return np.ndarray(self.shape, self.dtype, memory, before, self.strides)

    def at(self, address: int) -> Array:
        """The one that lies there."""
        described = {
            "data": (address, False), "shape": self.shape, "strides": self.strides,
            "typestr": f"|V{self.dtype.itemsize}", "version": 3,
        }  # fmt: skip
        holder = type("", (), {"__array_interface__": described})()
        return np.asarray(holder).view(self.dtype)


def place_of(x: Array, arrays: Sequence[Array]) -> tuple[int, int] | None:
    """Which of some arrays an array lies in, and how many bytes after that one's first number; None for memory of a
    program."""
    at = x.ctypes.data
    for n, other in enumerate(arrays):
        begin = other.ctypes.data
        low, high = np.lib.array_utils.byte_bounds(other) if other.size else (begin, begin)
        if low <= at < max(high, low + 1):
            return n, int(at - begin)
    return None


# Words


class Words:
    """Tables and lists of machine words, which stay as long as this."""

    def __init__(self, arena: Arena, trouble: int) -> None:
        self.arena, self.trouble = arena, trouble
        self._alive: list[object] = []
        self._rows: list[tuple[Array, int, Function]] = []

    def moved(self) -> None:
        """There is better code for some step."""
        for words, n, function in self._rows:
            words[n] = function.address

    def list(self, words: Sequence[int]) -> int:
        """Their address."""
        return int(self._kept(words).ctypes.data)

    def counted(self, rows: Sequence[Sequence[int]]) -> tuple[int, int]:
        """The address of the words of some rows, and how many rows."""
        return self.list([word for row in rows for word in row]), len(rows)

    def steps(self, rows: Sequence[Row]) -> tuple[int, int]:
        """The address of the rows of steps, and how many."""
        words = self._kept([word for row in rows for word in row.words])
        for n, row in enumerate(rows):
            if row.function is not None:
                self._rows.append((words, 6 * n, row.function))
                row.function.follow(self)
        return int(words.ctypes.data), len(rows)

    def keep(self, thing: object) -> None:
        self._alive.append(thing)

    def _kept(self, words: Sequence[int]) -> Array:
        made = np.array([*words, 0], np.int64)
        self._alive.append(made)
        return made


class Row(NamedTuple):
    """A step, as `inner.ll` reads it."""

    words: tuple[int, int, int, int, int, int]
    function: Function | None


@dataclass(slots=True, eq=False)
class Lane:
    """Steps in their order, and what moves or sets words of their tables."""

    rows: list[Row] = field(default_factory=list)
    patches: list[tuple[int, int, int]] = field(default_factory=list)
    moving: list[tuple[int, int]] = field(default_factory=list)

    def add(
        self, words: Words, call: Coded, lying: Sequence[Array], bases: Sequence[Base | None], at: int = 0
    ) -> None:
        """A step on arrays that lie so; where a base is None, at their own address. ``at`` is 0 or 1, the first turn in
        which it runs."""
        addresses = [int(x.ctypes.data) for x in lying]
        tables, function = call.tables(addresses, words.arena, words.trouble), call.function
        self._enter(
            words, tables, function, (function.address, call.turns, call.chunk), call.first, bases, at
        )

    def add_python(
        self,
        words: Words,
        call: KernelCall,
        lying: Sequence[Array],
        bases: Sequence[Base | None],
        at: int = 0,
    ) -> None:
        """The same, of a step that is Python's."""
        addresses = [int(x.ctypes.data) for x in lying]
        address = _thunk(words, call, [Lying.of(x) for x in lying])
        self._enter(words, [addresses], None, (address, 1, 1), 0, bases, at)

    def _enter(
        self,
        words: Words,
        tables: Sequence[Sequence[int]],
        function: Function | None,
        runs: tuple[int, int, int],
        first: int,
        bases: Sequence[Base | None],
        at: int,
    ) -> None:
        address, turns, chunk = runs
        length, threads = len(tables[0]), len(tables)
        begin = words.list([word for table in tables for word in table])
        if threads > 1:
            pool().want(threads)
        self.rows.append(Row((address, begin, turns, chunk, 8 * length, threads), function))
        for thread in range(threads):
            for n, base in enumerate(bases):
                word = begin + 8 * (thread * length + first + n)
                match base:
                    case Fixed(there):
                        ctypes.c_int64.from_address(word).value = there
                    case Outer(place, offset, step):
                        self.patches.append((word, place, offset + at * step))
                        if step:
                            self.moving.append((word, 2 * step))


def _thunk(words: Words, call: KernelCall, lying: Sequence[Lying]) -> int:
    """The address of a function that calls Python's code on arrays at the addresses of its table."""

    def run(table: int, first: int, end: int) -> None:
        try:
            addresses = (ctypes.c_int64 * len(lying)).from_address(table)
            with np.errstate(all="ignore"):
                call([each.at(address) for each, address in zip(lying, addresses, strict=True)], words.arena)
        except Exception as error:
            LAST.failure = error
            ctypes.c_int64.from_address(words.trouble).value = _FAILED
        except BaseException:
            ctypes.c_int64.from_address(words.trouble).value = _INTERRUPTED

    made = CALL(run)
    words.keep(made)
    return ctypes.cast(made, ctypes.c_void_p).value or 0
