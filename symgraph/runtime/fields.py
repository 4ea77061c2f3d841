"""The fields of NumPy's arrays, read from memory: what `entry.ll` does too, and whether they lie where it looks."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_DATA, _RANK, _SIZES, _DTYPE, _FLAGS = 16, 24, 32, 56, 64
"""Bytes from the beginning of an array object."""


@cache
def lie_as_expected() -> bool:
    """Whether arrays of this NumPy in this Python have their fields where NumPy has had them since 1.7."""
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    for x in (np.zeros((2, 3, 4)), np.zeros((5, 4), np.int16)[::2, 1:], np.zeros(()), np.zeros((0, 2), bool)):
        at = id(x)
        rank = ctypes.c_int.from_address(at + _RANK).value
        sizes = ctypes.c_void_p.from_address(at + _SIZES).value
        if rank != x.ndim or (
            rank and list((ctypes.c_ssize_t * rank).from_address(sizes or 0)) != list(x.shape)
        ):
            return False
        flags = ctypes.c_int.from_address(at + _FLAGS).value
        known = (
            ctypes.c_uint32.from_address(at).value == sys.getrefcount(x) - 1
            and ctypes.c_void_p.from_address(at + 8).value == id(np.ndarray)
            and ctypes.c_void_p.from_address(at + _DATA).value == x.ctypes.data
            and ctypes.c_void_p.from_address(at + _DTYPE).value == id(x.dtype)
            and bool(flags & 1) == x.flags.c_contiguous
            and bool(flags & 0x100) == x.flags.aligned
        )
        if not known:
            return False
    return True


def _read(x: Array) -> int:
    return ctypes.c_void_p.from_address(id(x) + _DATA).value or 0


def _asked(x: Array) -> int:
    return int(x.ctypes.data)


begin_of = _read if lie_as_expected() else _asked
"""The address of an array's first number."""
