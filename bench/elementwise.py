"""How fast compiled programs run on one thread, beside the same programs in NumPy and in numexpr.

    python bench/elementwise.py             a table beside the targets
    python bench/elementwise.py --backend numpy
    python bench/elementwise.py --json      the same as JSON, with every round's times

README.md in this folder says how to read it. It measures the symgraph that is installed, and what it runs on: NumPy.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import numpy as np
import scipy.special
from graph import machine, positive
from workloads import adam, horner, leaky_relu, mixed_chain

import symgraph as sg

try:
    import numexpr
except ImportError:
    numexpr = None

Array = np.ndarray[Any, Any]
Call = Callable[[], Any]

COLUMNS = 1000
TARGETS = {100_000: 1.0, 10_000_000: 1.5}
"""For each size, how many times as fast as NumPy those bound by memory are to be: the geometric mean."""
NUMEXPR_TARGET = 1.0
"""The same for numexpr, on chains of arithmetic."""


@dataclass(frozen=True)
class Workload:
    """A program as a function of a namespace, `symgraph` or `numpy`, and its arrays."""

    name: str
    program: Callable[..., Any]
    inputs: Mapping[str, tuple[str, ...]]
    """The sizes of each array: ``n`` is all elements, or the rows of 1,000 ``columns``."""
    between: tuple[float, float] = (-2.0, 2.0)
    text: str = ""
    """The program for numexpr, where that can say it."""
    chain: bool = False
    """Whether it is arithmetic alone, for which numexpr is made."""
    by_memory: bool = True
    """Whether memory bounds it: no transcendental function of every element is computed."""


# Chains


def scaled_sum(m: Any, x: Any, y: Any) -> Any:
    return 2.5 * x + y


def _horner_text() -> str:
    text = "a"
    for place, term in enumerate("bca" * 5):
        text = f"({text} * y - {term})" if place % 2 else f"({text} * x + {term})"
    return text


def gelu(m: Any, x: Any) -> Any:
    return 0.5 * x * (1 + m.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def black_scholes(m: Any, spot: Any, strike: Any, years: Any, rate: Any, volatility: Any) -> Any:
    ndtr = scipy.special.ndtr if m is np else m.ndtr
    spread = volatility * m.sqrt(years)
    d1 = (m.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    return spot * ndtr(d1) - strike * m.exp(-rate * years) * ndtr(d1 - spread)


# Reductions


def variance(m: Any, x: Any) -> Any:
    return m.var(x)


def squared_error(m: Any, x: Any, y: Any) -> Any:
    return m.mean(m.square(x - y))


def distance(m: Any, x: Any, y: Any) -> Any:
    return m.sqrt(m.sum(m.square(x - y), axis=-1))


def logsumexp(m: Any, x: Any) -> Any:
    peak = m.max(x, axis=-1, keepdims=True)
    return m.log(m.sum(m.exp(x - peak), axis=-1, keepdims=True)) + peak


# Rows and columns


def softmax(m: Any, x: Any) -> Any:
    powers = m.exp(x - m.max(x, axis=-1, keepdims=True))
    return powers / m.sum(powers, axis=-1, keepdims=True)


def rms_norm(m: Any, x: Any, scale: Any) -> Any:
    return x / m.sqrt(m.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale


def layer_norm(m: Any, x: Any, scale: Any, shift: Any) -> Any:
    centred = x - m.mean(x, axis=-1, keepdims=True)
    return centred / m.sqrt(m.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * scale + shift


def z_score(m: Any, x: Any) -> Any:
    return (x - m.mean(x, axis=0)) / m.std(x, axis=0)


def _each(names: str, *sizes: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names.split(), sizes)


_ROWS = _each("x", "n", "columns")
_COLUMN = _each("scale shift", "columns")

WORKLOADS = (
    Workload("2.5 x + y", scaled_sum, _each("x y", "n"), text="2.5 * x + y", chain=True),
    Workload("Horner, 30 ops", horner, _each("x y a b c", "n"), (-0.9, 0.9), text=_horner_text(), chain=True),
    Workload(
        "sqrt, abs, maximum, 10 ops",
        mixed_chain,
        _each("x y z", "n"),
        (0.1, 2.0),
        text="maximum(sqrt(abs(x * y - z)), z) * 0.5 + abs(x) - sqrt(y)",
        chain=True,
    ),
    Workload("leaky relu", leaky_relu, _each("x", "n"), text="where(x > 0, x, 0.01 * x)", chain=True),
    Workload(
        "GELU",
        gelu,
        _each("x", "n"),
        text="0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x)))",
        by_memory=False,
    ),
    Workload(
        "Black-Scholes",
        black_scholes,
        _each("spot strike years rate volatility", "n"),
        (0.2, 1.0),
        by_memory=False,
    ),
    Workload("Adam", adam, _each("p g mean square", "n"), (0.1, 2.0)),
    Workload("variance of all", variance, _each("x", "n")),
    Workload("mean squared error", squared_error, _each("x y", "n")),
    Workload("distance of rows", distance, _each("x y", "n", "columns")),
    Workload("logsumexp of rows", logsumexp, _ROWS, by_memory=False),
    Workload("softmax of rows", softmax, _ROWS, by_memory=False),
    Workload("RMS norm of rows", rms_norm, {**_ROWS, "scale": ("columns",)}),
    Workload("layer norm of rows", layer_norm, {**_ROWS, **_COLUMN}),
    Workload("z-score of columns", z_score, _ROWS),
)


@dataclass(frozen=True)
class Row:
    """Milliseconds a call, medians of the rounds; numexpr's are missing where it cannot say the program."""

    name: str
    elements: int
    dtype: str
    chain: bool
    by_memory: bool
    ours: float
    by_numpy: float
    by_numexpr: float | None
    rounds: Mapping[str, Sequence[float]] = field(repr=False)

    @property
    def over_numpy(self) -> float:
        return self.by_numpy / self.ours

    @property
    def over_numexpr(self) -> float | None:
        return None if self.by_numexpr is None else self.by_numexpr / self.ours


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _arguments(argv)
    keep_freed_memory()
    rows = [
        measured(workload, size, dtype, arguments.rounds, arguments.backend)
        for size in arguments.sizes
        for dtype in arguments.dtypes
        for workload in WORKLOADS
        if re.search(arguments.only, workload.name)
    ]
    if arguments.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(machine() + (f", numexpr {numexpr.__version__}" if numexpr else "; numexpr is not installed"))
        print(table(rows))


def measured(workload: Workload, size: int, dtype: str, rounds: int, backend: str | None) -> Row:
    """The times of everyone who can say the program, in turn, after seeing that all find the same."""
    arrays = _arrays(workload, size, np.dtype(dtype))
    calls = {
        "ours": _ours(workload, arrays, backend),
        "by_numpy": lambda: workload.program(np, *arrays.values()),
    }
    if numexpr and workload.text:
        calls["by_numexpr"] = _by_numexpr(workload.text, arrays)
    _check(calls, np.dtype(dtype))
    times = in_turn(calls, rounds)
    medians = {name: statistics.median(each) for name, each in times.items()}
    return Row(
        workload.name,
        size,
        dtype,
        workload.chain,
        workload.by_memory,
        medians["ours"],
        medians["by_numpy"],
        medians.get("by_numexpr"),
        times,
    )


def in_turn(calls: Mapping[str, Call], rounds: int, turn: float = 0.02) -> dict[str, list[float]]:
    """Milliseconds a call for each round; whoever begins one round is the last of the next."""
    repeats = {name: max(1, round(turn / max(_seconds(call, 1), 1e-6))) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(rounds):
        for name in order:
            times[name].append(1e3 * _seconds(calls[name], repeats[name]))
        order = [*order[1:], order[0]]
    return times


def keep_freed_memory() -> None:
    """From here on the C library keeps what is freed up to 30 MB, as in any process that has freed as much before."""
    for size in (10, 20, 30):
        np.ones(size << 17)


def _seconds(call: Call, repeats: int) -> float:
    """This process's own time for a call."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def _arrays(workload: Workload, size: int, dtype: np.dtype[Any]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, sizes in workload.inputs.items():
        rows = size // COLUMNS if "columns" in sizes else size
        shape = [rows if each == "n" else COLUMNS for each in sizes]
        arrays[name] = rng.uniform(*workload.between, prod(shape)).astype(dtype).reshape(shape)
    return arrays


def _ours(workload: Workload, arrays: Mapping[str, Array], backend: str | None) -> Call:
    inputs = [
        sg.placeholder(str(array.dtype), workload.inputs[name], name=name) for name, array in arrays.items()
    ]
    options = sg.Options(backend=backend)
    compiled = sg.function(inputs, workload.program(sg, *inputs), options=options)
    return lambda: compiled(*arrays.values())


def _by_numexpr(text: str, arrays: Mapping[str, Array]) -> Call:
    """The text compiled once; of float32, its numbers are arguments, since numexpr takes them for float64."""
    dtype = next(iter(arrays.values())).dtype
    given: dict[str, Any] = dict(arrays)
    if dtype == np.float32:
        for number in dict.fromkeys(re.findall(r"\d+\.\d+", text)):
            name = f"c{len(given)}"
            given[name] = dtype.type(number)
            text = text.replace(number, name)
    row = {np.dtype("float32"): float, np.dtype("float64"): numexpr.necompiler.double}[dtype]
    compiled = numexpr.NumExpr(text, [(name, row) for name in given])
    return lambda: compiled(*given.values())


def _check(calls: Mapping[str, Call], dtype: np.dtype[Any]) -> None:
    """Raise AssertionError where two find different things."""
    limit = 1e-9 if dtype == np.float64 else 2e-4
    expected = calls["by_numpy"]()
    for name, call in calls.items():
        found = call()
        pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
        for a, b in pairs:
            assert np.asarray(a).dtype == dtype or name == "by_numexpr", (name, np.asarray(a).dtype)
            np.testing.assert_allclose(a, b, rtol=limit, atol=limit, err_msg=name)


def table(rows: Sequence[Row]) -> str:
    width = max(len(row.name) for row in rows)
    lines = []
    for size in dict.fromkeys(row.elements for row in rows):
        for dtype in dict.fromkeys(row.dtype for row in rows):
            title = f"{size:,} {dtype}"
            lines += [
                "",
                f"{title:<{width}}  {'ours':>8}  {'NumPy':>8}  {'numexpr':>8}     NumPy/ours  numexpr/ours",
            ]
            lines += [_line(row, width) for row in rows if (row.elements, row.dtype) == (size, dtype)]
        lines += ["", *_summary([row for row in rows if row.elements == size], size)]
    return "\n".join(lines)


def _line(row: Row, width: int) -> str:
    by_numexpr = "" if row.by_numexpr is None else f"{row.by_numexpr:.3f}"
    ratio = "" if row.over_numexpr is None else f"{row.over_numexpr:.2f}"
    times = f"{row.ours:>8.3f}  {row.by_numpy:>8.3f}  {by_numexpr:>8} ms"
    return f"{row.name:<{width}}  {times}  {row.over_numpy:>10.2f}  {ratio:>12}".rstrip()


def _summary(rows: Sequence[Row], size: int) -> list[str]:
    means = [
        (
            f"NumPy/ours at {size:,} elements, bound by memory",
            [row.over_numpy for row in rows if row.by_memory],
            TARGETS.get(size),
        ),
        (f"NumPy/ours at {size:,} elements, all", [row.over_numpy for row in rows], None),
        (
            f"numexpr/ours at {size:,} elements, chains of arithmetic",
            [row.over_numexpr for row in rows if row.chain and row.over_numexpr is not None],
            NUMEXPR_TARGET,
        ),
    ]
    lines = []
    for name, ratios, target in means:
        if ratios:
            mean = statistics.geometric_mean(ratios)
            verdict = "" if target is None else f">= {target:g}  {'ok' if mean >= target else 'MISSED'}"
            lines.append(f"{name}: {mean:.2f} x  {verdict}".rstrip())
    return lines


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=9, help="rounds of each measurement (default 9)")
    parser.add_argument(
        "--sizes",
        type=positive,
        nargs="+",
        default=list(TARGETS),
        help="elements (default 100000 and 10000000)",
    )
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"], help="default: both")
    parser.add_argument(
        "--backend", choices=("llvm", "numpy"), help="what kernels become (default: the best)"
    )
    parser.add_argument("--only", default="", help="a regular expression for the names of workloads")
    parser.add_argument("--json", action="store_true", help="print JSON, with every round")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
