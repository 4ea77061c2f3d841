"""Memory for calls: an arena for each call that runs at the same time, and arrays for results."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextvars import Context
from math import prod
from sys import getrefcount
from typing import Any

import numpy as np

from symgraph.optimizations.memory import ALIGNMENT
from symgraph.runtime.fields import begin_of

Array = np.ndarray[Any, Any]

_MOST_CACHED = 1000
LARGE = 1 << 20
"""Bytes from which on results are recycled: the operating system takes such memory back when it is freed, and clearing
new pages costs more than writing them."""
_MOST_IDLE = 4
_SILENT = Context()
_SILENT.run(np.seterr, all="ignore")


class Pages(np.ndarray[Any, Any]):
    """Bytes that a result lies in, and after it another."""

    @classmethod
    def of(cls, size: int) -> Pages:
        return cls((size + ALIGNMENT,), np.uint8)

    @property
    def begin(self) -> int:
        """The first address that is a multiple of `ALIGNMENT`."""
        return -(-begin_of(self) // ALIGNMENT) * ALIGNMENT

    def array(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """An array from there on."""
        return np.ndarray(shape, dtype, self, -begin_of(self) % ALIGNMENT)


def is_own(array: Array) -> bool:
    """Whether nobody else can reach the memory of a result."""
    return array.base is None or isinstance(array.base, Pages)


def unshared(results: Iterable[Any], taken: Iterable[Array] = ()) -> list[Array]:
    """The results as arrays that can be written and that nobody else can reach: copies of those that are views, given
    twice, or among what is taken."""
    seen = set(map(id, taken))
    fresh = []
    for result in results:
        array = np.asarray(result)
        if id(array) in seen or not is_own(array) or not array.flags.writeable:
            array = array.copy(order="C")
        seen.add(id(array))
        fresh.append(array)
    return fresh


class Arena:
    """Bytes, what was made of them for calls to come, and a context in which NumPy is silent.

    To enter that takes a tenth of the time of ``np.errstate``; but it has no context variables of the caller's.
    """

    __slots__ = ("cache", "memory", "silent")

    def __init__(self, memory: Array) -> None:
        self.memory = memory
        self.cache: dict[object, Any] = {}
        self.silent = _SILENT.copy()

    @property
    def begin(self) -> int:
        """The address of the first byte, of memory that is the processor's."""
        return begin_of(self.memory)


class Memory:
    """Arenas that calls take and give back, from any thread."""

    def __init__(self) -> None:
        self._free: list[Arena] = []
        self._pages: list[Pages] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> Arena:
        """At least so many bytes, aligned; what is too small is given up."""
        try:
            found = self._free.pop()  # one thread's alone, as is append
        except IndexError:
            return self.arena(size)
        return found if found.memory.nbytes >= size else self.arena(size)

    def give(self, arena: Arena) -> None:
        if len(arena.cache) > _MOST_CACHED:
            arena.cache.clear()
        self._free.append(arena)

    def arena(self, size: int) -> Arena:
        """New bytes, whose first lies at a multiple of `ALIGNMENT`."""
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -begin_of(memory) % ALIGNMENT
        return Arena(memory[start : start + size])

    def result(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """An array for the caller, in memory that no other array has."""
        size = prod(shape) * dtype.itemsize
        if size < LARGE:
            return np.empty(shape, dtype)
        with self._lock:
            idle = [pages for pages in self._pages if getrefcount(pages) == _UNSEEN]
            found = next((pages for pages in idle if pages.nbytes == size + ALIGNMENT), None)
            if found is None:
                if len(idle) >= _MOST_IDLE:
                    self._pages = [pages for pages in self._pages if getrefcount(pages) != _UNSEEN]
                found = Pages.of(size)
                self._pages.append(found)
            return found.array(shape, dtype)


def _references() -> int:
    """How many references there are to pages that only a list and a loop over it hold."""
    (count,) = [getrefcount(pages) for pages in [Pages(0)]]
    return count


_UNSEEN = _references()
