"""How fast products of matrices are on one thread, beside NumPy's, how exact, and how long their code takes to compile.

    python bench/matmul.py              a table; units are 10^9 multiplications and additions a second
    python bench/matmul.py --level 0    with the code that runs first

What counts is ``2 * m * k * n``. Figures are the best of some rounds in which all take their turn. "Cut" are products
whose numbers are cut into pieces, on processors that multiply tiles of bfloat16. Errors are the worst of all numbers,
in roundings of the sum of the magnitudes that are added up: of products that are cut, that are not, and NumPy's.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from graph import machine, positive

from symgraph.codegen.llvm_matmul import blocks, is_cut, print_matmul, room
from symgraph.codegen.llvm_pieces import has_tiles
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
        functions = {cut: loaded(row, arguments.level, cut=cut) for cut in (True, False)}
        print(f"{row:36}{'cut':>8}{'ours':>8}{'NumPy':>8}{'ratio':>8}{'errors':>18}")
        for (m, k, n), how in cases:
            a, b = operand(row, m, k, how == "A"), operand(row, k, n, how == "B")
            name = f"{m} x {k} x {n}{how and f', {how} transposed'}"
            print(f"{name:36}{line(measured(functions, a, b, arguments))}")


def line(found: dict[str, tuple[float, float]]) -> str:
    """Of a table: rates, the best of ours beside NumPy's, errors."""
    rates, errors = ({name: each[n] for name, each in found.items()} for n in range(2))
    ratio = max(rates.get("cut", 0), rates["ours"]) / rates["NumPy"]
    names = ("cut", "ours", "NumPy")
    shown = "".join(f"{rates[name]:8.1f}" if name in rates else f"{'':8}" for name in names)
    return f"{shown}{ratio:8.2f}" + "".join(
        f"{errors[name]:6.1f}" if name in errors else f"{'':6}" for name in names
    )


def measured(
    functions: dict[bool, Callable[..., None]], a: Array, b: Array, arguments: argparse.Namespace
) -> dict[str, tuple[float, float]]:
    """The rates and errors of ours, cut or not, and of NumPy's."""
    (m, k), n = a.shape, b.shape[1]
    row = dtype(a.dtype.name)
    results = {name: np.empty((m, n), a.dtype) for name in ("cut", "ours", "NumPy")}
    most = max(room(m, n, k, row, host(), cut=cut) for cut in functions)
    work = np.empty(most + 64, np.uint8)
    work = work[-work.ctypes.data % 64 :]
    calls = {
        name: call_of(functions[cut], a, b, results[name], work, cut=cut)
        for name, cut in (("cut", True), ("ours", False))
        if not cut or is_cut(m, n, k, row, host())
    }
    calls["NumPy"] = lambda: np.matmul(a, b, out=results["NumPy"])
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(arguments.rounds):
        for name, call in calls.items():
            repeats = max(1, int(TURN / seconds(call, 1)))
            best[name] = min(best[name], seconds(call, repeats))
    exact, terms = np.longdouble(a) @ np.longdouble(b), np.abs(np.float64(a)) @ np.abs(np.float64(b))
    unit = np.finfo(a.dtype).eps / 2 * terms
    return {
        name: (2e-9 * m * n * k / best[name], float(np.max(np.abs(results[name] - exact) / unit)))
        for name in calls
    }


def call_of(
    function: Callable[..., None], a: Array, b: Array, c: Array, work: Array, *, cut: bool
) -> Callable[[], Any]:
    """A call with arrays that stay meanwhile."""
    (m, k), n = a.shape, b.shape[1]
    addresses = [x.ctypes.data for x in (a, b, c, work)]
    table = (ctypes.c_int64 * 12)(*addresses, m, n, k, *a.strides, *b.strides, c.strides[0])
    return partial(function, table, 0, blocks(m, cut=cut))


def seconds(call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def operand(row: str, rows: int, columns: int, transposed: bool) -> Array:
    order = "F" if transposed else "C"
    return np.asarray(np.random.default_rng(1).standard_normal((rows, columns)), row, order=order)


def milliseconds(row: str, level: int) -> float:
    """What it takes to print and compile the function, at best."""

    def make() -> None:
        compiled(module([print_matmul(dtype(row), host())], host()), level)

    return 1e3 * min(seconds(make, 1) for _ in range(5))


LOADER = Loader()


def loaded(row: str, level: int, *, cut: bool) -> Callable[..., None]:
    """The function for products that are cut, if there are such, or for the others."""
    native = print_matmul(dtype(row), host(), cut=cut and has_tiles(dtype(row), host()))
    LOADER.load(compiled(module([native], host()), level))
    return CALL(LOADER.address(native.name))


if __name__ == "__main__":
    sys.exit(main())
