"""The bandwidth of the machine's memory, in which symgraph has no part: a triad ``a = b + s * c``, as in STREAM."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers.peer import Ready

try:
    import numba
except ImportError:
    numba = None

HOW = "a loop compiled by numba" if numba else "numpy.copyto, without numba"


def triad(elements: int, dtype: np.dtype[Any]) -> tuple[Ready, int]:
    """Into an array that is there, and the bytes that it moves: what is read and what is written."""
    a, b, c = (np.full(elements, value, dtype) for value in (0.0, 1.0, 2.0))
    if numba is None:
        return Ready(np.copyto, [a, b]), 2 * a.nbytes
    parallel = numba.get_num_threads() > 1

    def loop(a: Any, b: Any, c: Any, s: Any) -> None:
        for i in numba.prange(a.size):
            a[i] = b[i] + s * c[i]

    return Ready(numba.njit(loop, parallel=parallel), [a, b, c, dtype.type(3)]), 3 * a.nbytes
