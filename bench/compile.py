"""How long the passes take from graph to graph, and from graph to plan, and how that grows with the program.

    python bench/compile.py             a table beside the targets
    python bench/compile.py --json      the same as JSON, with every round's times

README.md in this folder says how to read it. It measures the symgraph that is installed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

from graph import PROGRAMS, Program, Row, machine, new_input, positive, table

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=5, help="rounds of each measurement (default 5)")
    parser.add_argument("--largest", type=positive, default=20_000, help="the most nodes (default 20000)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every round")
    arguments = parser.parse_args(argv)
    rows = [row for program in PROGRAMS[:2] for row in measured(program, arguments.rounds, arguments.largest)]
    rows += [planned(program, arguments.rounds) for program in PROGRAMS[:2]]
    if arguments.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(machine())
        print(table(rows))


def measured(program: Program, rounds: int, largest: int) -> list[Row]:
    """The passes on a program of 1,000 nodes with its gradient, and the time of a node as the program grows."""
    sizes = [1000, *itertools.takewhile(lambda size: size <= largest, (2500 * 2**i for i in range(20)))]
    seconds(program, sizes[0])
    times = [[seconds(program, size) for size in sizes] for _ in range(rounds)]
    columns = list(zip(*times, strict=True))
    first = [1e3 * each for each in columns[0]]
    best = [min(column) / size for column, size in zip(columns, sizes, strict=True)]
    growth = [each / best[0] for each in best[1:]]
    name = program.__name__
    return [
        Row(f"{name}: passes on 1,000 nodes and their gradient", statistics.median(first), "ms", 80, first),
        Row(
            f"{name}: time of a node, to {sizes[-1]:,} nodes, over that at 1,000",
            max(growth),
            "x",
            1.2,
            growth,
        ),
    ]


def planned(program: Program, rounds: int) -> Row:
    """The time from a graph of 1,000 nodes, as the passes left it, to its plan."""
    times = []
    for _ in range(rounds + 1):
        x = new_input()
        built = optimize(graph([x], [program(x, 1000)]), sg.Options())[-1].graph
        start = time.process_time()
        plan(built)
        times.append(1e3 * (time.process_time() - start))
    name = f"{program.__name__}: from graph to plan, 1,000 nodes"
    return Row(name, statistics.median(times[1:]), "ms", 60, times[1:])


def seconds(program: Program, nodes: int) -> float:
    """Processor time of all passes on a program and its gradient."""
    x = new_input()
    loss = program(x, nodes).sum()
    built = graph([x], [loss, sg.grad(loss, x)])
    start = time.process_time()
    optimize(built, sg.Options())
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
