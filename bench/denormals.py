"""What denormal numbers cost: 100,000 elements that decay, in a product and in a variable that is updated, as it is and
with ``flush_denormals``.

python bench/denormals.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

import symgraph as sg

SIZE, ROUNDS = 100_000, 101
SETTLING = 0.3
"""Seconds in which better code takes the place of the first."""

Call = Callable[[np.ndarray], object]


def main() -> None:
    """Print the microseconds of a call on one thread, the median of rounds."""
    print(f"{'':34}{'normal':>10}{'denormal':>10}")
    for what, numpy, made in (("product", product_by_numpy, product), ("update", update_by_numpy, update)):
        for dtype in ("float32", "float64"):
            numbers = [np.full(SIZE, x, dtype) for x in (1.0, np.finfo(dtype).tiny / 16)]
            ways: dict[str, Callable[[np.ndarray], Call]] = {"NumPy": numpy}
            for fast in (False, True):
                options = sg.Options(threads=1, flush_denormals=fast)
                ways["flushed" if fast else "symgraph"] = partial(made, options)
            for name, way in ways.items():
                times = [microseconds(way(x), x) for x in numbers]
                print(f"{f'{what}, {dtype}, {name}':34}" + "".join(f"{each:10.1f}" for each in times))


def product(options: sg.Options, like: np.ndarray) -> Call:
    x = sg.placeholder(str(like.dtype), like.shape, name="x")
    return sg.function([x], 0.9 * x, options=options)


def product_by_numpy(like: np.ndarray) -> Call:
    return lambda x: x * x.dtype.type(0.9)


def update(options: sg.Options, like: np.ndarray) -> Call:
    """An average that begins as what it is an average of, and so stays about as large."""
    x, average = sg.placeholder(str(like.dtype), like.shape, name="x"), sg.variable(like, name="average")
    return sg.function([x], None, updates={average: 0.9 * average + 0.1 * x}, options=options)


def update_by_numpy(like: np.ndarray) -> Call:
    number, average = like.dtype.type, like.copy()

    def call(x: np.ndarray) -> None:
        average[:] = number(0.9) * average + number(0.1) * x

    return call


def microseconds(call: Call, x: np.ndarray) -> float:
    begin = time.perf_counter()
    while time.perf_counter() < begin + SETTLING:
        call(x)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call(x)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


if __name__ == "__main__":
    main()
