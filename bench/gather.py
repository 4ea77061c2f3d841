"""Reads and writes by arrays of indices beside NumPy's: ``x[i]``, ``x.at[i].set(v)``, ``x.at[i].add(v)``.

python bench/gather.py              a table; units are microseconds a call
python bench/gather.py --rows 1000  of arrays of so many rows, which the caches hold
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from graph import machine, positive

import symgraph as sg

Array = np.ndarray[Any, Any]
CASES = ((64, 1), (10_000, 1), (1_000_000, 1), (64, 64), (10_000, 64), (100_000, 64))
"""Indices, and elements of a row."""
TURN = 5e-3
"""Seconds that a turn takes, at least."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=25, help="rounds of each measurement (default 25)")
    parser.add_argument("--rows", type=positive, default=100_000, help="of the array (default 100000)")
    arguments = parser.parse_args(argv)
    print(machine())
    print(f"{'float32':16}{'indices':>10}{'row':>6}{'ours':>10}{'NumPy':>10}{'NumPy/ours':>12}")
    for count, width in CASES:
        for name, ours, theirs in calls(arguments.rows, count, width):
            np.testing.assert_array_equal(theirs(), ours())
            a, b = measured((ours, theirs), arguments.rounds)
            print(f"{name:16}{count:10}{width:6}{a:10.2f}{b:10.2f}{b / a:12.2f}", flush=True)


def calls(
    rows: int, count: int, width: int
) -> Iterator[tuple[str, Callable[[], Array], Callable[[], Array]]]:
    """What is measured: ours, and NumPy's."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((rows, width)[: 1 + (width > 1)]).astype("float32")
    places = rng.integers(0, rows, count)
    values = rng.standard_normal((count, *array.shape[1:])).astype("float32")
    x = sg.placeholder("float32", ("rows", width)[: array.ndim], name="x")
    i = sg.placeholder("int64", ("n",), name="i")
    v = sg.placeholder("float32", ("n", width)[: array.ndim], name="v")
    read, added = sg.function([x, i], x[i]), sg.function([x, i, v], x.at[i].add(v))
    written, summed = (
        sg.function([x, i, v], x.at[i].set(v)),
        sg.function([x, i, v], sg.zeros(x.shape, "float32").at[i].add(v)),
    )

    def write() -> Array:
        y = array.copy()
        y[places] = values
        return y

    def add(start: Array) -> Array:
        np.add.at(start, places, values)
        return start

    yield "read", lambda: read(array, places), lambda: np.take(array, places, axis=0)
    yield "set", lambda: written(array, places, values), write
    yield "add", lambda: added(array, places, values), lambda: add(array.copy())
    yield "add to zeros", lambda: summed(array, places, values), lambda: add(np.zeros_like(array))


def measured(functions: Sequence[Callable[[], Array]], rounds: int) -> list[float]:
    """Microseconds of a call of each, processor time: medians over rounds in which all take their turn."""
    often = []
    for function in functions:
        for _ in range(10):  # better code comes meanwhile
            function()
            time.sleep(0.01)
        start = time.perf_counter()
        function()
        often.append(max(1, int(TURN / (time.perf_counter() - start))))
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, n, found in zip(functions, often, times, strict=True):
            start = time.process_time()
            for _ in range(n):
                function()
            found.append((time.process_time() - start) / n * 1e6)
    return [statistics.median(each) for each in times]


if __name__ == "__main__":
    main()
