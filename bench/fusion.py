"""Whether fusion ever costs time: drawn programs as compiled, beside the same programs with a kernel for each op.

    python bench/fusion.py             a line for each graph, and a summary
    python bench/fusion.py --json      the same as JSON

README.md in this folder says how to read it. It measures the symgraph that is installed.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from elementwise import Call, in_turn, keep_freed_memory
from graph import machine, positive

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.runtime.numpy_backend import NumpyProgram

Array = np.ndarray[Any, Any]
Pair = tuple[sg.Node, Array]
Program = Callable[..., Any]

SHAPES = {("n", "k"): (400, 500), ("k",): (500,), ("n", 1): (400, 1)}
FEW = 4
"""How long the axes are of arrays whose elements cost nothing."""
SLOWER = 0.95


def softmax(m: Any, x: Any, axis: int) -> Any:
    powers = m.exp(x - m.max(x, axis=axis, keepdims=True))
    return powers / m.sum(powers, axis=axis, keepdims=True)


ELEMENTWISE: tuple[tuple[int, Program], ...] = (
    (2, lambda m, x, y: x + y),
    (2, lambda m, x, y: x - y),
    (2, lambda m, x, y: x * y),
    (2, lambda m, x, y: x / (y * y + 1)),
    (2, lambda m, x, y: m.maximum(x, y)),
    (2, lambda m, x, y: m.minimum(x, y)),
    (3, lambda m, x, y, z: m.where(x > y, y, z)),
    (1, lambda m, x: 0.5 * x + 1.25),
    (1, lambda m, x: -x),
    (1, lambda m, x: m.abs(x)),
    (1, lambda m, x: m.square(x)),
    (1, lambda m, x: m.sqrt(m.abs(x))),
    (1, lambda m, x: m.tanh(x)),
    (1, lambda m, x: m.exp(-m.abs(x))),
    (1, lambda m, x: m.log(x * x + 1)),
    (1, lambda m, x: m.sin(x)),
)
"""How many values each takes, and what it makes of them, in `symgraph` or in `numpy`."""
REDUCTIONS: tuple[Program, ...] = (
    lambda m, x, axis: m.sum(x, axis=axis, keepdims=True) / 100,
    lambda m, x, axis: m.mean(x, axis=axis, keepdims=True),
    lambda m, x, axis: m.max(x, axis=axis, keepdims=True),
    lambda m, x, axis: m.var(x, axis=axis, keepdims=True),
    softmax,
)


@dataclass(frozen=True)
class Drawn:
    """A program of some ops, with arrays for its inputs; what nothing reads comes out."""

    seed: int
    ops: int
    inputs: Sequence[Pair]
    outputs: Sequence[Pair]


@dataclass
class Row:
    """How long a graph takes with a kernel for each op over how long it takes as compiled; once, or twice if slower."""

    seed: int
    ops: int
    kernels: int
    apart: int
    milliseconds: float
    ratios: list[float]
    work: float
    """The ratio without what a call costs on arrays of a few elements, which fusion saves for each step."""

    @property
    def is_slower(self) -> bool:
        return len(self.ratios) > 1 and all(ratio < SLOWER for ratio in self.ratios)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _arguments(argv)
    keep_freed_memory()
    seeds = range(arguments.seed, arguments.seed + arguments.graphs)
    rows = [measured(drawn(seed), arguments.rounds) for seed in seeds]
    for row in rows:
        if row.ratios[0] < SLOWER:
            row.ratios += measured(drawn(row.seed), arguments.rounds).ratios
    if arguments.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(machine())
        print(table(rows))


def drawn(seed: int) -> Drawn:
    """5 to 40 ops on arrays of 200,000 elements, rows and columns; what is not finite, or large, is drawn again."""
    rng = np.random.default_rng(seed)
    dtype = ("float64", "float32")[rng.integers(2)]
    shapes = [("n", "k"), ("n", "k"), *(list(SHAPES)[i] for i in rng.integers(3, size=2))]
    inputs = []
    for number, sizes in enumerate(shapes):
        array = rng.uniform(-2, 2, SHAPES[sizes]).astype(dtype)
        inputs.append((sg.placeholder(dtype, sizes, name=f"x{number}"), array))
    values = list(inputs)
    read = set(range(len(inputs)))
    wanted = len(inputs) + int(rng.integers(5, 41))
    while len(values) < wanted:
        with np.errstate(all="ignore"):
            places, made = _step(rng, values)
        if np.all(np.isfinite(made[1])) and np.abs(made[1]).max() < 1e3:
            read.update(places)
            values.append(made)
    outputs = [pair for place, pair in enumerate(values) if place not in read]
    return Drawn(seed, wanted - len(inputs), inputs, outputs)


def _step(rng: np.random.Generator, values: Sequence[Pair]) -> tuple[list[int], Pair]:
    """An op on values drawn before, the latest ones more often; and where those stand."""

    def pick() -> int:
        return max(len(values) - 1 - int(rng.exponential(4)), 0)

    if rng.integers(5) == 0:
        program, axis = REDUCTIONS[rng.integers(len(REDUCTIONS))], (0, -1)[rng.integers(2)]
        places, numbers = [pick()], (axis,)
    else:
        count, program = ELEMENTWISE[rng.integers(len(ELEMENTWISE))]
        places, numbers = [pick() for _ in range(count)], ()
    nodes, arrays = zip(*(values[place] for place in places), strict=True)
    return places, (program(sg, *nodes, *numbers), np.asarray(program(np, *arrays, *numbers)))


def measured(program: Drawn, rounds: int) -> Row:
    """The ratio of medians, after seeing that both find what NumPy finds."""
    given = [x for x, _ in program.inputs]
    arrays = [array for _, array in program.inputs]
    built = optimize(graph(given, [x for x, _ in program.outputs]), sg.Options())[-1].graph
    plans = {"fused": plan(built, given), "apart": plan(built, given, fuse=False)}
    few = [array[tuple(slice(FEW) for _ in array.shape)].copy() for array in arrays]
    calls = {}
    for name, each in plans.items():
        compiled = NumpyProgram(each)
        _check(compiled.run(arrays), program)
        compiled.run(few)
        calls[name], calls[f"{name}, few"] = _call(compiled, arrays), _call(compiled, few)
    times = {name: statistics.median(each) for name, each in in_turn(calls, rounds).items()}
    work = {name: times[name] - times[f"{name}, few"] for name in plans}
    return Row(
        program.seed,
        program.ops,
        len(plans["fused"].kernels),
        len(plans["apart"].kernels),
        times["fused"],
        [times["apart"] / times["fused"]],
        work["apart"] / work["fused"],
    )


def _call(compiled: NumpyProgram, arrays: Sequence[Array]) -> Call:
    return lambda: compiled.run(arrays)


def _check(results: Sequence[Array], program: Drawn) -> None:
    """Raise AssertionError where a result is not NumPy's."""
    for result, (_, expected) in zip(results, program.outputs, strict=True):
        limit = 1e-7 if expected.dtype == np.float64 else 5e-2
        near = np.isclose(result, expected, rtol=limit, atol=limit)
        assert near.mean() > 0.999, (program.seed, near.mean())  # a rounding may change what where() takes


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'seed':>4}  {'ops':>3}  {'kernels':>7}  {'apart':>5}  {'ms':>7}  {'work':>5}  apart/compiled"]
    for row in sorted(rows, key=lambda row: row.ratios[0]):
        ratios = "  ".join(f"{each:.2f}" for each in row.ratios) + ("  SLOWER" if row.is_slower else "")
        counts = f"{row.seed:>4}  {row.ops:>3}  {row.kernels:>7}  {row.apart:>5}"
        lines.append(f"{counts}  {row.milliseconds:>7.2f}  {row.work:>5.2f}  {ratios}")
    slower = sum(row.is_slower for row in rows)
    longer = sum(row.ratios[0] < 1 / 1.05 for row in rows)
    mean = statistics.geometric_mean(row.ratios[0] for row in rows)
    work = [row.work for row in rows]
    return "\n".join(
        [
            *lines,
            "",
            f"geometric mean: {mean:.2f} x; of the work alone {statistics.geometric_mean(work):.2f} x",
            f"least: {min(row.ratios[0] for row in rows):.2f} x; of the work alone {min(work):.2f} x",
            f"slower than 1.05 x in the first measurement: {longer} of {len(rows)}",
            f"slower in both measurements: {slower}  <= 0  {'MISSED' if slower else 'ok'}",
        ]
    )


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=9, help="rounds of each measurement (default 9)")
    parser.add_argument("--graphs", type=positive, default=50, help="how many graphs (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="the first graph's seed (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
