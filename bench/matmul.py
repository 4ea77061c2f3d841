"""How fast products of matrices are on one thread, beside NumPy's, and how long their code takes to compile.

    python bench/matmul.py              a table; units are 10^9 multiplications and additions a second
    python bench/matmul.py --level 0    with the code that runs first

What counts is ``2 * m * k * n``. Figures are the best of some rounds in which both take their turn.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from graph import machine, positive

from symgraph.codegen.llvm_matmul import blocks, print_matmul, room
from symgraph.codegen.llvm_printer import module
from symgraph.graph.types import dtype
from symgraph.runtime.cpu import Loader, compiled, host

Array = np.ndarray[Any, Any]
CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
SIZES = (
    (512, 512, 512),
    (1024, 1024, 1024),
    (64, 784, 512),
    (64, 100, 300),
    (64, 512, 10),
    (4, 784, 512),
    (1, 784, 512),
    (784, 512, 1),
    (2048, 64, 64),
    (32, 32, 32),
    (8, 8, 8),
)
TRANSPOSED = SIZES[:3]
"""What is measured with transposed operands too."""
TURN = 2e-3
"""Seconds that a turn takes, at least."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=25, help="rounds of each measurement (default 25)")
    parser.add_argument("--level", type=int, choices=range(4), default=2, help="of the code (default 2)")
    arguments = parser.parse_args(argv)
    print(machine())
    cases = [(sizes, "") for sizes in SIZES] + [(sizes, how) for how in "AB" for sizes in TRANSPOSED]
    for row in ("float32", "float64"):
        print(
            ", ".join(f"level {level}: {milliseconds(row, level):.0f} ms" for level in (0, 2)), "to compile"
        )
        function = loaded(row, arguments.level)
        print(f"{row:36}{'ours':>8}{'NumPy':>8}{'ratio':>8}")
        for (m, k, n), how in cases:
            rates = measured(
                function, operand(row, m, k, how == "A"), operand(row, k, n, how == "B"), arguments
            )
            name = f"{m} x {k} x {n}{how and f', {how} transposed'}"
            print(f"{name:36}{rates[0]:8.1f}{rates[1]:8.1f}{rates[0] / rates[1]:8.2f}")


def measured(function: Callable[..., None], a: Array, b: Array, arguments: argparse.Namespace) -> list[float]:
    """The rates of ours and of NumPy's."""
    (m, k), n = a.shape, b.shape[1]
    c, expected = np.empty((m, n), a.dtype), np.empty((m, n), a.dtype)
    work = np.empty(room(m, n, k, dtype(a.dtype.name), host()) + 64, np.uint8)
    addresses = [x.ctypes.data for x in (a, b, c, work[-work.ctypes.data % 64 :])]
    table = (ctypes.c_int64 * 12)(*addresses, m, n, k, *a.strides, *b.strides, c.strides[0])
    end = blocks(m)
    calls = (lambda: function(table, 0, end), lambda: np.matmul(a, b, out=expected))
    for call in calls:
        call()
    np.testing.assert_allclose(c, expected, rtol=1e-3)
    work_done = 2.0 * m * n * k
    best = [float("inf")] * len(calls)
    for _ in range(arguments.rounds):
        for place, call in enumerate(calls):
            repeats = max(1, int(TURN / seconds(call, 1)))
            best[place] = min(best[place], seconds(call, repeats))
    return [work_done / each / 1e9 for each in best]


def seconds(call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def operand(row: str, rows: int, columns: int, transposed: bool) -> Array:
    order = "F" if transposed else "C"
    return np.asarray(np.random.default_rng(1).random((rows, columns)), row, order=order)


def milliseconds(row: str, level: int) -> float:
    """What it takes to print and compile the function, at best."""

    def make() -> None:
        compiled(module([print_matmul(dtype(row), host())], host()), level)

    return 1e3 * min(seconds(make, 1) for _ in range(5))


LOADER = Loader()


def loaded(row: str, level: int) -> Callable[..., None]:
    native = print_matmul(dtype(row), host())
    LOADER.load(compiled(module([native], host()), level))
    return CALL(LOADER.address(native.name))


if __name__ == "__main__":
    sys.exit(main())
