"""Weights as products read them: copied once, for as long as they do not change.

The array of a variable is never written: a variable that changes gets another array. So a copy is that of an array
object, and holds for as long as this is the one that is read; the arrays of constants never change.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary

import numpy as np

from symgraph.runtime.code import CALL, Function
from symgraph.runtime.fields import begin_of
from symgraph.runtime.memory import Pages

Array = np.ndarray[Any, Any]

_WORTH, _EARLY = 8, 2
"""So many products have to come before a weight changes, if it is to be copied after that; and so often it may change
earlier, as one does that is loaded after a first try."""


class Lying:
    """Where a matrix lies in an array, and how much its panels are."""

    __slots__ = ("across", "begin", "bytes", "columns", "down", "panels", "room", "rows")

    def __init__(
        self,
        begin: int,
        columns: int,
        rows: int,
        down: int,
        across: int,
        panels: int,
        bytes: int,
        room: int = 0,
    ) -> None:
        """It begins after so many bytes, and so many lie from a row to the next ``down``, and from a column to the next
        ``across``. The panels are made in a ``room`` of so many bytes."""
        self.begin, self.columns, self.rows, self.down, self.across = begin, columns, rows, down, across
        self.panels, self.bytes, self.room = panels, bytes, room

    @property
    def words(self) -> tuple[int, int, int, int, int, int, int, int]:
        """All of it, in the order in which it is made."""
        sizes = (self.begin, self.columns, self.rows, self.down, self.across)
        return (*sizes, self.panels, self.bytes, self.room)


class Panels:
    """The copy of a matrix that lies in an array."""

    __slots__ = ("__weakref__", "lying", "memory", "source")

    def __init__(self, source: Array, lying: Lying, memory: Array) -> None:
        self.source, self.lying, self.memory = source, lying, memory


_KNOWN: WeakValueDictionary[tuple[int, str, tuple[int, ...]], Panels] = WeakValueDictionary()
"""By the array, which stays as long as its panels, the function and the place: programs that read the same weight share
its copy."""


def _panels(function: Function, source: Array, lying: Lying) -> Panels:
    key = (id(source), function.name, lying.words)
    found = _KNOWN.get(key)
    if found is None:  # several threads may make it
        found = _KNOWN[key] = _made(function, source, lying)
    return found


def _made(function: Function, source: Array, lying: Lying) -> Panels:
    begin, n, k, down, across, panels, size, room = lying.words
    pages = Pages.of(size)
    pages.fill(0)
    memory, work = pages.array((size,), np.dtype(np.uint8)), np.empty(room, np.uint8)
    made, matrix = begin_of(memory), begin_of(source) + begin
    words = (0, made, 0, begin_of(work), 0, n, k, 0, 0, down, across, 0, matrix)
    CALL(function.address)((ctypes.c_int64 * len(words))(*words), 0, panels)
    return Panels(source, lying, memory)


class Reader(Protocol):
    """What reads a copy without asking for it."""

    @property
    def calls(self) -> int:
        """How often."""


class Weight:
    """A matrix that a step multiplies by in every call; the copy is that of its last array."""

    def __init__(self) -> None:
        self._known: Panels | None = None
        self._asked = 0
        """How often, since it changed."""
        self.readers: WeakSet[Reader] = WeakSet()
        """Those of the last copy."""
        self._early = 0
        """How often it changed early."""

    @property
    def is_steady(self) -> bool:
        """Whether it changes seldom."""
        return self._early <= _EARLY

    def panels(self, function: Function, source: Array, lying: Lying) -> Panels | None:
        """The copy of a matrix, which the function of its products makes; None where it changes too often."""
        if not self.is_steady:
            return None
        known = self._known
        if known is None or known.source is not source or known.lying.words != lying.words:
            uses = self._asked + sum(reader.calls for reader in self.readers)
            self._early += known is not None and uses < _WORTH
            if not self.is_steady:
                self._known = None
                return None
            self._known = known = _panels(function, source, lying)
            self._asked, self.readers = 0, WeakSet()
        self._asked += 1
        return known
