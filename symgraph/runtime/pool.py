"""Threads for long loops: `pool.ll` and its memory. They start when first wanted, and sleep while nothing is to do."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from functools import cache
from typing import Any

import numpy as np

from symgraph.codegen.beside import text_beside
from symgraph.runtime.code import FIRST, code
from symgraph.runtime.cpu import Loader, host
from symgraph.runtime.fields import begin_of

_PATIENCE = 2000
"""How often a thread looks for work before it sleeps: some 50 microseconds."""
_MOST = 255
"""Workers at most."""
_LINE, _FIRST = 64, 320
"""Bytes of a line of the cache, and before that of the first thread."""
_OWNER, _WORKERS = 128, 256
_TICKET, _ASLEEP, _LOCK = 0, 8, 16
"""In the line of a thread."""


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """The workers of this process."""

    def __init__(self) -> None:
        text = text_beside(__file__, "pool.ll") + _relax()
        self._loader = Loader()
        self._loader.load(code().made(text, FIRST))
        self.share = self._loader.address("share")
        """Where the function of the same name in `pool.ll` begins."""
        self.wait = self._loader.address("await")
        """The same of the function that waits for a word."""
        self._share = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 4)(self.share)
        self._work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self._loader.address("worker"))
        self._memory = np.zeros(_FIRST + _LINE * (_MOST + 2), np.uint8)
        self.address = -(-self._memory.ctypes.data // _LINE) * _LINE
        self._word(264, _PATIENCE)
        self._word(272, _yield())
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._alone)

    def run(self, function: int, tables: np.ndarray[Any, Any], turns: int, chunk: int) -> None:
        """All turns of the function at this address, by as many threads as there are tables."""
        share, at = len(tables), begin_of(tables)
        self.want(share)
        self._share(self.address, function, at, tables.strides[0], turns, chunk, share)

    def want(self, share: int) -> None:
        """Start workers, so that as many threads may share a loop, the caller one of them."""
        if len(self._threads) >= share - 1:
            return
        with self._lock:
            for n in range(len(self._threads) + 1, min(share, _MOST + 1)):
                self._word(_FIRST + _LINE * n + _LOCK, _new_lock())
                thread = threading.Thread(
                    target=self._work, args=(self.address, n), name=f"symgraph worker {n}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
                self._word(_WORKERS, n)

    def _word(self, place: int, value: int) -> None:
        ctypes.c_int64.from_address(self.address + place).value = value

    def _alone(self) -> None:
        """In a copy of the process, which has no other thread: as if nothing had been wanted."""
        self._lock, self._threads = threading.Lock(), []
        for place in (_OWNER, _WORKERS):
            self._word(place, 0)
        for n in range(_MOST + 1):
            for place in (_TICKET, _ASLEEP):
                self._word(_FIRST + _LINE * n + place, 0)


@cache
def pool() -> Pool:
    """That of this process."""
    return Pool()


def _new_lock() -> int:
    """A lock of Python's that is held, and has to be released once for each time that somebody waits for it."""
    allocate, acquire = (
        getattr(ctypes.pythonapi, f"PyThread_{name}") for name in ("allocate_lock", "acquire_lock")
    )
    allocate.restype, acquire.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]
    lock: int = allocate()
    acquire(lock, 0)
    return lock


def _relax() -> str:
    """The function that tells the processor that a thread is waiting."""
    triple = host().triple
    if triple.startswith(("x86_64", "i686", "amd64")):
        name, kinds, given = "llvm.x86.sse2.pause", "", ""
    elif triple.startswith(("aarch64", "arm64")):
        name, kinds, given = "llvm.aarch64.hint", "i32", "i32 1"
    else:
        return "\ndefine internal void @relax() {\n  ret void\n}\n"
    return f"""
declare void @{name}({kinds})

define internal void @relax() {{
  call void @{name}({given})
  ret void
}}
"""


def _yield() -> int:
    """Where the system's function begins that lets another thread run; 0 where it is not found."""
    is_windows = sys.platform == "win32"
    library: Any = ctypes.CDLL("kernel32" if is_windows else None)
    function = getattr(library, "SwitchToThread" if is_windows else "sched_yield", None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function is not None else 0
