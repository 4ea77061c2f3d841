"""Variables as machine code finds them: where their arrays stand, and whether somebody is about to change them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Lock:
    """A re-entrant lock that tells machine code, at ``address``, how often it is held."""

    __slots__ = ("_count", "_lock", "address")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._count = ctypes.c_int64()
        self.address = ctypes.addressof(self._count)

    def acquire(self, *, blocking: bool = True) -> bool:
        """Whether it is held by this thread now."""
        held = self._lock.acquire(blocking=blocking)
        self._count.value += held
        return held

    def release(self) -> None:
        self._count.value -= 1
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Kept(NamedTuple):
    """Arrays that are not given by the caller, and those that a call leaves to others: each has a place."""

    read: Sequence[int] = ()
    """Addresses of words with the address of an array object."""
    written: Sequence[int] = ()
    """The same of those that get a new array."""
    guard: Callable[[], bool] | None = None
    """Says False where nobody is reading or writing some of them."""
    locks: Sequence[Lock] = ()
    """To be held by who writes, from before it reads."""
    write: Callable[[Sequence[Array]], None] | None = None
    """Writes all that are written."""
    owners: Sequence[object] = ()
    """The objects that the places lie in."""

    def enter(self) -> bool:
        """Take all locks, if nobody has one of them."""
        for n, lock in enumerate(self.locks):
            if not lock.acquire(blocking=False):
                self._release(n)
                return False
        return True

    def leave(self, arrays: Sequence[Array] | None) -> None:
        """Write, if there is what to write, and give the locks back."""
        try:
            if arrays is not None and self.write is not None:
                self.write(arrays)
        finally:
            self._release(len(self.locks))

    def _release(self, count: int) -> None:
        for lock in self.locks[:count]:
            lock.release()


def places_of(owners: Sequence[object], arrays: Sequence[Array]) -> list[int] | None:
    """Where objects with slots have these arrays, one each; None where they are not found."""
    places = []
    for owner, array in zip(owners, arrays, strict=True):
        size = object.__sizeof__(owner) // 8
        words = (ctypes.c_void_p * size).from_address(id(owner))
        found = [n for n in range(2, size) if words[n] == id(array)]
        if len(found) != 1 or not lies_in_order(array):
            return None
        places.append(id(owner) + 8 * found[0])
    return places


def lies_in_order(x: Any) -> bool:
    return type(x) is np.ndarray and bool(x.flags.c_contiguous and x.flags.aligned)
