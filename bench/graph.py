"""How long graphs take to build, differentiate and print, and how that grows with their size.

    python bench/graph.py             a table beside the targets
    python bench/graph.py --json      the same as JSON, with every round's times

README.md in this folder says how to read it. It measures the symgraph that is installed.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import symgraph as sg

Program = Callable[[sg.Node, int], sg.Node]
"""Builds a program of about so many nodes on an input f64[n, 8]."""


def chain(x: sg.Node, nodes: int) -> sg.Node:
    """Elementwise, each step on the one before: four nodes a step."""
    y = x
    for _ in range(nodes // 4):
        y = sg.tanh(y * x + 0.5) - y
    return y


def layers(x: sg.Node, nodes: int) -> sg.Node:
    """A deep network: a product, a bias, a maximum and a sum for each layer."""
    w = sg.constant(np.full((8, 8), 0.1))
    b = sg.constant(np.full(8, 0.1))
    y = x
    for _ in range(nodes // 4):
        y = y + sg.maximum(y @ w + b, 0)
    return y


def shared(x: sg.Node, nodes: int) -> sg.Node:
    """``y = y + y``: as many paths as 2 to the power of the nodes."""
    y = x
    for _ in range(nodes):
        y = y + y
    return y


PROGRAMS = (chain, layers, shared)


@dataclass(frozen=True)
class Row:
    """One figure: the median of its rounds, or the worst of the ratios between sizes."""

    name: str
    value: float
    unit: str
    target: float | None = None
    rounds: Sequence[float] = field(default=(), repr=False)

    @property
    def verdict(self) -> str:
        return "" if self.target is None else "ok" if self.value <= self.target else "MISSED"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _arguments(argv)
    rows = [
        *thousand_nodes(arguments.rounds),
        *growth(arguments.rounds, arguments.largest),
        *long_chain(arguments.slow_rounds, arguments.chain),
        *nested_sharing(arguments.rounds),
    ]
    if arguments.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(machine())
        print(table(rows))


def thousand_nodes(rounds: int) -> list[Row]:
    """A graph of 1,000 nodes and its gradient."""
    times = [_times(chain, 1000) for _ in range(rounds + 1)][1:]  # the first one fills caches
    return [
        _median("build 1,000 nodes", [each.build for each in times], "ms", target=15),
        _median("gradient of 1,000 nodes", [each.gradient for each in times], "ms", target=60),
        _median("print 1,000 nodes", [each.printing for each in times], "ms"),
    ]


def growth(rounds: int, largest: int) -> list[Row]:
    """For each program, the largest ratio of the times of sizes that double up to the largest."""
    sizes = [largest // 2**i for i in range(4, -1, -1)]
    rows = []
    for program in PROGRAMS:
        _times(program, sizes[0])
        # All sizes in every round, so that a slow minute of the machine slows all of them.
        times = [[_times(program, size) for size in sizes] for _ in range(rounds)]
        for what in ("build", "gradient", "printing"):
            # Another program on the machine only adds time, so the least of the rounds is the nearest to the truth.
            best = [min(getattr(each, what) for each in column) for column in zip(*times, strict=True)]
            ratios = [large / small for small, large in itertools.pairwise(best)]
            name = f"{program.__name__}: {what}, time(2n)/time(n), worst to {largest:,} nodes"
            rows.append(Row(name, max(ratios), "x", target=2.2, rounds=ratios))
        # Python's first full collections fall into some sizes and not into others: the same without them.
        best = [min(each.build - each.collecting for each in column) for column in zip(*times, strict=True)]
        ratios = [large / small for small, large in itertools.pairwise(best)]
        rows.append(
            Row(f"{program.__name__}: build, the collector's time left out", max(ratios), "x", rounds=ratios)
        )
    return rows


def long_chain(rounds: int, ops: int) -> list[Row]:
    """A chain of 100,000 ops, built, printed, differentiated and evaluated."""
    parts: dict[str, list[float]] = {"built": [], "printed": [], "differentiated": [], "evaluated": []}
    for _ in range(rounds):
        x = new_input()
        clock = _Clock()
        y = chain(x, ops)
        parts["built"].append(clock.lap())
        sg.show(y)
        parts["printed"].append(clock.lap())
        (slope,) = sg.grad(y.sum(), [x])
        parts["differentiated"].append(clock.lap())
        sg.evaluate([y, slope], {x: np.full((2, 8), 0.5)})
        parts["evaluated"].append(clock.lap())
        del y, slope
    rows = [_median(f"chain of {ops:,} ops {what}", times, "s") for what, times in parts.items()]
    total = [sum(each) for each in zip(*parts.values(), strict=True)]
    return [*rows, _median(f"chain of {ops:,} ops, all of these", total, "s", target=20)]


def nested_sharing(rounds: int) -> list[Row]:
    """``y = y + y`` 60 times: built, printed, differentiated and evaluated, which none may do path by path."""
    times = []
    for _ in range(rounds):
        x = new_input()
        clock = _Clock()
        y = shared(x, 60)
        sg.show(y)
        (slope,) = sg.grad(y.sum(), [x])
        found = sg.evaluate(slope, {x: np.ones((1, 8))})
        times.append(clock.lap())
        assert (found == 2.0**60).all()
    return [_median("y = y + y 60 times: build, print, gradient, value", times, "ms")]


@dataclass(frozen=True)
class Times:
    """Seconds; ``collecting`` is the garbage collector's part of ``build``."""

    build: float
    collecting: float
    gradient: float
    printing: float


def _times(program: Program, nodes: int) -> Times:
    x = new_input()
    clock = _Clock()
    with _Collector() as collector:
        y = program(x, nodes)
    build = clock.lap()
    loss = y.sum()
    clock.lap()
    slopes = sg.grad(loss, [x])
    gradient = clock.lap()
    sg.show(y)
    printing = clock.lap()
    del y, loss, slopes
    return Times(build, collector.seconds, gradient, printing)


class _Collector:
    """The time that Python's garbage collector takes inside."""

    seconds = 0.0

    def __enter__(self) -> _Collector:
        gc.callbacks.append(self._told)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._told)

    def _told(self, phase: str, _: object) -> None:
        now = time.process_time()
        self.seconds += now if phase == "stop" else -now


class _Clock:
    """Laps of this process's own time; the collector runs before the first, and as usual during them."""

    def __init__(self) -> None:
        gc.collect()
        self._start = time.process_time()

    def lap(self) -> float:
        now = time.process_time()
        seconds, self._start = now - self._start, now
        return seconds


def new_input() -> sg.Node:
    """An input with a name of its own: equal programs would be the nodes that exist already."""
    return sg.placeholder("float64", ("n", 8), name=f"x{next(_numbers)}")


_numbers = itertools.count()


def _median(name: str, seconds: Sequence[float], unit: str, target: float | None = None) -> Row:
    scale = {"s": 1.0, "ms": 1e3}[unit]
    rounds = [each * scale for each in seconds]
    return Row(name, statistics.median(rounds), unit, target, rounds)


def table(rows: Sequence[Row]) -> str:
    width = max(len(row.name) for row in rows)
    lines = [f"{'':<{width}}  {'median':>9}     {'target':>8}"]
    for row in rows:
        target = "" if row.target is None else f"<= {row.target:g}"
        figure = f"{row.name:<{width}}  {row.value:>9.2f} {row.unit:<2}  {target:>8}  {row.verdict:<6}"
        ratios = [f"{each:.2f}" for each in row.rounds if row.unit == "x"]
        lines.append("  ".join([figure, *ratios]).rstrip())
    return "\n".join(lines)


def machine() -> str:
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, symgraph {sg.__version__}"
    return f"{platform.machine()}, {os.cpu_count()} cores; {versions}"


def _arguments(argv: Sequence[str] | None) -> Any:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument(
        "--rounds", type=positive, default=7, help="rounds of each small measurement (default 7)"
    )
    parser.add_argument(
        "--slow-rounds", type=positive, default=3, help="rounds of the long chain (default 3)"
    )
    parser.add_argument(
        "--largest", type=positive, default=50_000, help="the most nodes for growth (default 50000)"
    )
    parser.add_argument(
        "--chain", type=positive, default=100_000, help="ops of the long chain (default 100000)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with every round")
    return parser.parse_args(argv)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
