"""What denormal numbers cost: an average that decays, of 100,000 elements, as it is and with ``flush_denormals``.

python bench/denormals.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import symgraph as sg

SIZE, ROUNDS = 100_000, 101


def main() -> None:
    """Print the microseconds of a call on one thread, the median of rounds."""
    print(f"{'':24}{'normal':>10}{'denormal':>10}")
    for dtype in ("float32", "float64"):
        x = sg.placeholder(dtype, ("n",), name="x")
        least = np.finfo(dtype).tiny
        rows: dict[str, Callable[[np.ndarray], np.ndarray]] = {"NumPy": lambda x: x * x.dtype.type(0.9)}
        for fast in (False, True):
            options = sg.Options(threads=1, flush_denormals=fast)
            rows["flushed" if fast else "symgraph"] = sg.function([x], 0.9 * x, options=options)
        for name, call in rows.items():
            times = [microseconds(call, np.full(SIZE, value, dtype)) for value in (1.0, least / 16)]
            print(f"{dtype + ', ' + name:24}" + "".join(f"{each:10.1f}" for each in times))


def microseconds(call: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call(x)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[5:])


if __name__ == "__main__":
    main()
