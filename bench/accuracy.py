"""How far unstable expressions are from the truth in float32, as written and as the passes leave them.

    python bench/accuracy.py               the table
    python bench/accuracy.py --markdown    docs/accuracy.md

Errors are in units in the last place of the exact result, the worst over some hundred arguments between the smallest
and the largest float32, where the exact result is a float32 in range; "wrong" is a NaN or an infinity in place of a
number. The truth is computed in high precision, from the arguments as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import symgraph as sg
from symgraph.debug.exact import exact
from symgraph.debug.ulps import ulps
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize

e = sg.exp
ROWS = np.array(
    [
        [0, 1, 2],
        [100, 99, 0],
        [-100, -100.5, 3],
        [0, 100, -100],
        [1e-3, -1e-3, 0],
        [20, -17, 2],
        [-90, -91, -95],
    ],
    np.float32,
)


@dataclass(frozen=True)
class Case:
    """An expression as a user writes it, and where it is tried: everywhere, or on rows."""

    text: str
    build: Callable[[sg.Node], sg.Node]
    low: float = -3e38
    high: float = 3e38
    rows: bool = False


CASES = (
    Case("log(1 + x)", lambda x: sg.log(1 + x), low=-0.9),
    Case("exp(x) - 1", lambda x: e(x) - 1, high=88),
    Case("log(1 + exp(x))", lambda x: sg.log(1 + e(x))),
    Case("log(1 - exp(x))", lambda x: sg.log(1 - e(x)), high=-1e-38),
    Case("log(sigmoid(x))", lambda x: sg.log(sg.sigmoid(x))),
    Case("log(1 - sigmoid(x))", lambda x: sg.log(1 - sg.sigmoid(x)), low=-2000, high=2000),
    Case("1 - sigmoid(x)", lambda x: 1 - sg.sigmoid(x)),
    Case("1 / (1 + exp(-x))", lambda x: 1 / (1 + e(-x))),
    Case("exp(x) / (1 + exp(x))", lambda x: e(x) / (1 + e(x))),
    Case("log(exp(x))", lambda x: sg.log(e(x))),
    Case("sqrt(x * x)", lambda x: sg.sqrt(x * x)),
    Case("log(x * x)", lambda x: sg.log(x * x)),
    Case("(1 - cos(x)) / x**2", lambda x: (1 - sg.cos(x)) / x**2, low=-1, high=1),
    Case("sqrt(x + 1) - sqrt(x)", lambda x: sg.sqrt(x + 1) - sg.sqrt(x), low=0),
    Case("(e**x - e**-x) / (e**x + e**-x)", lambda x: (e(x) - e(-x)) / (e(x) + e(-x))),
    Case("log(x + sqrt(x * x + 1))", lambda x: sg.log(x + sg.sqrt(x * x + 1)), low=-1e30, high=1e30),
    Case("1 - erf(x)", lambda x: 1 - sg.erf(x), low=-10, high=10),
    Case("x * log(x)", lambda x: x * sg.log(x), low=0),
    Case("1 + tanh(x)", lambda x: 1 + sg.tanh(x)),
    Case("log(sum(exp(x)))", lambda x: sg.log(e(x).sum(axis=1)), rows=True),
    Case("log(softmax(x))", lambda x: sg.log(sg.softmax(x)), rows=True),
    Case("exp(x) / sum(exp(x))", lambda x: e(x) / e(x).sum(axis=1, keepdims=True), rows=True),
    Case("log(exp(x) / sum(exp(x)))", lambda x: sg.log(e(x) / e(x).sum(axis=1, keepdims=True)), rows=True),
    Case("mean(x * x) - mean(x)**2", lambda x: (x * x).mean(axis=1) - x.mean(axis=1) ** 2, rows=True),
    Case("sqrt(sum(x * x))", lambda x: sg.sqrt((x * x).sum(axis=1)), rows=True),
)


@dataclass(frozen=True)
class Errors:
    """The worst error among numbers, and how many results are no number where the truth is one."""

    worst: float
    wrong: int

    def __str__(self) -> str:
        worst = f"{self.worst:.1f}" if self.worst < 1e4 else f"{self.worst:.0e}"
        return worst + (f", {self.wrong} wrong" if self.wrong else "")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print docs/accuracy.md")
    arguments = parser.parse_args(argv)
    rows = [(case.text, *measured(case)) for case in CASES]
    if arguments.markdown:
        print(page(rows), end="")
        return
    for text, count, before, after in rows:
        print(f"{text:<34} {count:>5}   {before!s:>18}   {after!s:>10}")


def measured(case: Case) -> tuple[int, Errors, Errors]:
    """How many arguments were tried, and the errors before and after the passes."""
    x = sg.placeholder("float32", ("n", 3) if case.rows else ("n",), name="x")
    at = np.concatenate([ROWS, ROWS * np.float32(0.1)]) if case.rows else arguments_of(case)
    built = graph([x], [case.build(x)])
    made = optimize(built, sg.Options())[-1].graph
    truth = exact(built.outputs[0], {x: at})
    representable = np.vectorize(
        lambda value: 2.0**-126 <= abs(value) <= 3.4e38 or value == 0, otypes=[bool]
    )(truth)
    return int(representable.sum()), *(
        errors(schedule(each.roots, [x]).run([at])[0], truth, representable) for each in (built, made)
    )


def arguments_of(case: Case) -> np.ndarray:
    sizes = np.concatenate([np.geomspace(1e-38, 3e38, 300), np.linspace(0.01, 120, 200)]).astype(np.float32)
    both = np.concatenate([-sizes[::-1], sizes])
    return both[(both >= case.low) & (both <= case.high)]


def errors(found: np.ndarray, truth: np.ndarray, representable: np.ndarray) -> Errors:
    apart = ulps(found, truth)[representable]
    numbers = np.isfinite(apart)
    return Errors(float(apart[numbers].max(initial=0.0)), int((~numbers).sum()))


def page(rows: Sequence[tuple[str, int, Errors, Errors]]) -> str:
    lines = [
        "# Accuracy\n",
        (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2],
        "`python bench/accuracy.py --markdown` makes this page.\n",
        "| expression | arguments | as written | as compiled |",
        "|---|---|---|---|",
        *(f"| `{text}` | {count} | {before} | {after} |" for text, count, before, after in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
