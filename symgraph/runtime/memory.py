"""Memory for calls: an arena for each call that runs at the same time, and fresh arrays for results."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.optimizations.memory import ALIGNMENT

Array = np.ndarray[Any, Any]

_MOST_CACHED = 1000


class Arena:
    """Bytes, and what was made of them for calls to come."""

    __slots__ = ("cache", "memory")

    def __init__(self, memory: Array) -> None:
        self.memory = memory
        self.cache: dict[object, Any] = {}


class Memory:
    """Arenas that calls take and give back, from any thread."""

    def __init__(self) -> None:
        self._free: list[Arena] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> Arena:
        """At least so many bytes, aligned; what is too small is given up."""
        with self._lock:
            found = self._free.pop() if self._free else None
        return found if found is not None and found.memory.nbytes >= size else self.arena(size)

    def give(self, arena: Arena) -> None:
        if len(arena.cache) > _MOST_CACHED:
            arena.cache.clear()
        with self._lock:
            self._free.append(arena)

    def arena(self, size: int) -> Arena:
        """New bytes, whose first lies at a multiple of `ALIGNMENT`."""
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        return Arena(memory[start : start + size])

    def result(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """An array for the caller."""
        return np.empty(shape, dtype)
