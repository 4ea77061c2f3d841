"""How much memory calls take: planned before them, and seen by the operating system.

    python bench/memory.py              tables beside the targets
    python bench/memory.py --json       the same as JSON, with every round's times

README.md in this folder says how to read it. It measures the symgraph that is installed.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from graph import Row, machine, positive, table
from programs import PROGRAMS, Program, chain, convolved, multilayer, residual_images

import symgraph as sg
from symgraph import Node, Size
from symgraph.optimizations.lives import shape_of
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import Kernel, Plan, Step, View, plan
from symgraph.optimizations.storage import Storage

MB = 1e6

LARGE: Mapping[str, tuple[Callable[[], Program], Mapping[str, int]]] = {
    "chain of 20 ops": (chain, {"n": 10**7}),
    "network of 64 layers": (functools.partial(multilayer, 64, 256, sg.tanh, "float64"), {"n": 1024}),
    "transformer block, gradient": (PROGRAMS["transformer block, gradient"], {"n": 256}),
    "LSTM of 20 steps": (PROGRAMS["LSTM of 20 steps"], {"n": 8000}),
    "autoencoder": (PROGRAMS["autoencoder"], {"n": 40_000}),
    "k-means": (PROGRAMS["k-means"], {"n": 1_000_000}),
}
"""What is also run, at sizes at which the arrays are most of the memory."""

STATED = ("transformer block, gradient", "LSTM of 20 steps", "autoencoder", "k-means")
"""Those of them whose high-water mark is compared with what was stated."""

ALONE = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",  # what is freed goes back, so that the high-water mark is of what is in use
    "NUMPY_MADVISE_HUGEPAGE": "0",
}
"""The environment of what is measured."""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _arguments(argv)
    if arguments.child:
        request = json.loads(arguments.child)
        print(json.dumps(_CHILDREN[request.pop("what")](**request)))
        return
    planned = [looked_at(name, make()) for name, make in PROGRAMS.items()]
    rows = [
        *one_chain(),
        *deep_network(arguments.rounds),
        *many_programs(planned),
        *large_network(arguments.batch),
        *stated_and_seen(),
    ]
    if arguments.json:
        programs = [asdict(each) for each in planned]
        found = {"machine": machine(), "rows": [asdict(row) for row in rows], "programs": programs}
        print(json.dumps(found, indent=2))
    else:
        print(machine())
        print(table(rows))
        print()
        print(programs_table(planned))


def one_chain() -> list[Row]:
    """Elementwise ops on 10^7 numbers: above the argument and the result."""
    seen = high_water("chain of 20 ops")
    return [
        Row("chain of 20 ops on 10^7 float64: planned", seen.planned / MB, "MB", 64),
        Row("chain of 20 ops on 10^7 float64: high-water mark", seen.seen / MB, "MB", 64),
    ]


def deep_network(rounds: int) -> list[Row]:
    """A network of 64 layers under limits: kept, and at what cost of time."""
    name = "network of 64 layers"
    free = high_water(name)
    fractions = (2, 4, 8)
    limits = [free.planned // fraction for fraction in fractions]
    rows = [
        Row(f"{name}: planned, no limit", free.planned / MB, "MB"),
        Row(f"{name}: high-water mark, no limit", free.seen / MB, "MB"),
    ]
    times = _in_a_process(what="times", program=name, limits=[None, *limits], rounds=rounds)
    for fraction, limit, own in zip(fractions, limits, times[1:], strict=True):
        under = high_water(name, limit)
        ratios = [slow / fast for slow, fast in zip(own, times[0], strict=True)]
        text = f"{name}, limit 1/{fraction}"
        rows += [
            Row(f"{text}: planned", under.planned / MB, "MB", limit / MB),
            Row(f"{text}: high-water mark", under.seen / MB, "MB", 1.02 * limit / MB),
            Row(f"{text}: planned extra work", 100 * under.extra, "%"),
            Row(f"{text}: time", statistics.median(ratios), "x", {4: 1.35}.get(fraction), ratios),
        ]
    return rows


@dataclass(frozen=True)
class Planned:
    """Bytes that are planned for a program, above arguments, variables and results."""

    name: str
    peak: int
    lower_bound: int
    elsewhere: int
    """What libraries allocate of it."""
    needed: int
    """What some step needs in any order of steps."""
    steps: int
    """What all steps write, in arrays of their own."""
    ops: int
    """What all ops write, in arrays of their own."""


def looked_at(name: str, program: Program) -> Planned:
    f = program.compiled()
    storage = f.memory(**program.sizes)
    sizes = sizes_of(program)
    apart = unfused(f)
    return Planned(
        name,
        storage.peak,
        storage.lower_bound,
        storage.elsewhere,
        needed(f.plan, sizes, storage),
        written(f.plan, sizes),
        written(apart, sizes),
    )


def many_programs(planned: Sequence[Planned]) -> list[Row]:
    """Of those that need any memory: a program that is one kernel may need none."""
    planned = [each for each in planned if each.peak]
    text = f"{len(planned)} programs: peak over"
    bound = [p.peak / p.lower_bound for p in planned]
    elsewhere = sum(each.elsewhere for each in planned) / sum(each.peak for each in planned)
    return [
        Row(f"{text} lower bound, geometric mean", _mean(bound), "x", 1.1),
        Row(f"{text} lower bound, worst", max(bound), "x"),
        Row(f"{text} what any order of steps needs, mean", _mean(p.peak / p.needed for p in planned), "x"),
        Row(f"{text} what all steps write, mean", _mean(p.peak / p.steps for p in planned if p.steps), "x"),
        Row(f"{text} what all ops write, mean", _mean(p.peak / p.ops for p in planned), "x"),
        Row(f"{len(planned)} programs: allocated by libraries", 100 * elsewhere, "%"),
    ]


def large_network(batch: int) -> list[Row]:
    """ResNet-50 and its gradient, which is planned and never run."""
    start = time.process_time()
    program = residual_images(batch)
    f = program.compiled()
    storage = f.memory()
    seconds = time.process_time() - start
    summed = residual_images(batch, first=convolved).compiled().memory()
    apart = unfused(f)
    held = forward_read_backward(apart, {})
    layers = sum(_bytes(x, {}) for x in program.layers)
    name = f"ResNet-50, batch {batch}"
    rows = [
        Row(f"{name}: built, compiled and planned", seconds, "s", 60),
        Row(f"{name}: all ops' values", written(apart, {}) / MB, "MB"),
        Row(f"{name}: ops' forward values, read backward", held / MB, "MB"),
        Row(f"{name}: steps' forward values, read backward", forward_read_backward(f.plan, {}) / MB, "MB"),
        Row(f"{name}: what layers would keep", layers / MB, "MB"),
        Row(f"{name}: planned", storage.peak / MB, "MB"),
        Row(f"{name}: planned, of ops' forward values, read backward", 100 * storage.peak / held, "%", 50),
        Row(f"{name}: planned, the first convolution as 49 products", summed.peak / MB, "MB"),
    ]
    for percent in (50, 40, 30, 20):
        limit = held * percent // 100
        text = f"{name}, limit at {percent} % of them"
        start = time.process_time()
        try:
            under = program.compiled(limit).memory()
        except sg.MemoryLimitError as error:
            found = [Row(f"{text}: the least that is possible", _least(error) / MB, "MB", limit / MB)]
        else:
            found = [Row(f"{text}: planned", under.peak / MB, "MB", limit / MB)]
            found.append(Row(f"{text}: planned extra work", 100 * under.extra, "%"))
        rows += [*found, Row(f"{text}: compiled and planned", time.process_time() - start, "s", 60)]
    return rows


def _least(error: sg.MemoryLimitError) -> int:
    """The bytes that the message of a limit that is too small names."""
    found = re.search(r"possible is ([\d,]+)", str(error))
    assert found is not None
    return int(found[1].replace(",", ""))


def stated_and_seen() -> list[Row]:
    """How far what was stated before the run is from the high-water mark of the run."""
    rows = []
    for name in STATED:
        seen = high_water(name)
        rows += [
            Row(f"{name}: stated", seen.planned / MB, "MB"),
            Row(f"{name}: high-water mark", seen.seen / MB, "MB"),
            Row(f"{name}: off by", 100 * abs(seen.seen / seen.planned - 1), "%", 2),
        ]
    return rows


# Figures of plans


def sizes_of(program: Program) -> dict[Size, int]:
    """The program's sizes by the symbols that its inputs have."""
    symbols = {size for node in program.inputs for size in node.shape if isinstance(size, Size)}
    return {size: program.sizes[str(size)] for size in symbols}


def unfused(f: sg.CompiledFunction) -> Plan:
    """A step for each op, after the rules."""
    return plan(optimize(f.graph, sg.Options())[-1].graph, fuse=False)


def written(made: Plan, sizes: Mapping[Size, int]) -> int:
    """The bytes of all values but results, each in an array of its own that stays."""
    return sum(_values(made, sizes).values())


def forward_read_backward(made: Plan, sizes: Mapping[Size, int]) -> int:
    """The bytes of what the first result is computed from and other steps read too: they stay until it is there."""
    values, base, writer = _values(made, sizes), _bases(made), _writers(made)
    wanted, forward = [base(made.results[0])], set[Step]()
    for x in wanted:
        if x in writer and writer[x] not in forward:
            forward.add(writer[x])
            wanted += map(base, writer[x].needs)
    rest = [step for step in made.steps if step not in forward and not isinstance(step, View)]
    read = {base(x) for step in rest for x in step.needs}
    return sum(values.get(x, 0) for x in read if x in writer and writer[x] in forward)


def needed(made: Plan, sizes: Mapping[Size, int], storage: Storage) -> int:
    """No order of the steps has a lower peak, unless steps run again.

    At each step there are the values that come from steps before it, in any order, and go to steps after it; what it
    has to itself; and what it writes, over what it is the last to read where it is a kernel.
    """
    rooms = {buffer.name: buffer.size for buffer in storage.arena.buffers}
    values, base, writer = _values(made, sizes), _bases(made), _writers(made)
    steps = [step for step in made.steps if not isinstance(step, View)]
    number = {step: n for n, step in enumerate(steps)}
    reads = [{base(x) for x in step.needs} & values.keys() for step in steps]
    before = [0] * len(steps)
    after = [0] * len(steps)
    readers = dict.fromkeys(values, 0)
    for n, read in enumerate(reads):
        for x in read:
            readers[x] |= 1 << n
            before[n] |= before[number[writer[x]]] | 1 << number[writer[x]]
    for n in reversed(range(len(steps))):
        for m in range(len(steps)):
            if before[n] >> m & 1:
                after[m] |= 1 << n
    highest = 0
    for n, step in enumerate(steps):
        held = [x for x in values if before[n] >> number[writer[x]] & 1]
        stay = sum(values[x] for x in held if readers[x] & after[n])
        die = sum(values[x] for x in reads[n] if not readers[x] & after[n])
        made_here = sum(values.get(x, 0) for x in step.writes)
        if isinstance(step, Kernel):
            own = max(die, made_here) + rooms.get(f"blocks of {step.name}", 0)
        else:
            own = die + made_here
        highest = max(highest, stay + own)
    return highest


def _values(made: Plan, sizes: Mapping[Size, int]) -> dict[Node, int]:
    """The bytes of what steps leave to each other."""
    results = set(map(_bases(made), made.results))
    steps = (step for step in made.steps if not isinstance(step, View))
    return {x: _bytes(x, sizes) for step in steps for x in step.writes if x not in results}


def _writers(made: Plan) -> dict[Node, Step]:
    return {x: step for step in made.steps if not isinstance(step, View) for x in step.writes}


def _bases(made: Plan) -> Callable[[Node], Node]:
    """What a view is taken of; itself for any other value."""
    views = {step.node for step in made.steps if isinstance(step, View)}

    def base(x: Node) -> Node:
        while x in views:
            x = x.inputs[0]
        return x

    return base


def _bytes(x: Node, sizes: Mapping[Size, int]) -> int:
    """0 where the data decide the size."""
    shape = shape_of(x, sizes)
    return 0 if shape is None else math.prod(shape) * x.dtype.itemsize


def _mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    return statistics.geometric_mean(values)


# Runs in processes of their own


@dataclass(frozen=True)
class Seen:
    """Bytes above arguments, variables and results."""

    planned: int
    seen: int
    extra: float


@functools.cache
def high_water(program: str, limit: int | None = None) -> Seen:
    """The peak that a large program states, and by how much the process grew during a call."""
    return Seen(**_in_a_process(what="high water", program=program, limit=limit))


def _in_a_process(**request: Any) -> Any:
    command = [sys.executable, __file__, "--child", json.dumps(request)]
    done = subprocess.run(command, env={**os.environ, **ALONE}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _high_water(program: str, limit: int | None) -> dict[str, float]:
    f, arguments, sizes = _ready(program, limit)
    storage = f.memory(**sizes)
    gc.collect()
    before = _status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the mark is what is in use now
    results = f(*arguments)
    grown = _status("VmHWM") - before - storage.results
    assert all(np.all(np.isfinite(each)) for each in results)
    return {"planned": storage.peak, "seen": grown, "extra": storage.extra}


def _times(program: str, limits: Sequence[int | None], rounds: int) -> list[list[float]]:
    """Processor time of calls under each limit, which take turns."""
    calls = [_ready(program, limit)[0] for limit in limits]
    _, arguments, _ = _ready(program, None)
    times: list[list[float]] = [[] for _ in limits]
    for at in range(rounds + 1):
        for f, own in zip(calls, times, strict=True):
            start = time.process_time()
            f(*arguments)
            if at:
                own.append(time.process_time() - start)
    return times


def _ready(name: str, limit: int | None) -> tuple[sg.CompiledFunction, list[np.ndarray], Mapping[str, int]]:
    """A function that has been called with small arguments, so that its code is there, and large ones."""
    make, sizes = LARGE[name]
    program = make()
    f = program.compiled(limit)
    f(*program.arguments({"n": 1}))
    for dtype in ("float32", "float64"):
        np.matmul(np.ones((20_000, 256), dtype), np.ones((256, 1024), dtype))  # the library's own memory
    return f, program.arguments(sizes), sizes


def _status(what: str) -> int:
    """Bytes that the system says of this process."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{what}:"))


_CHILDREN: Mapping[str, Callable[..., Any]] = {"high water": _high_water, "times": _times}


# Tables


def programs_table(planned: Sequence[Planned]) -> str:
    """Bytes in MB; the peak over the lower bound; what of the peak libraries allocate; the peak over others."""
    width = max(len(each.name) for each in planned)
    head = ("peak MB", "bound MB", "ratio", "libraries", "any order", "all steps", "all ops")
    lines = [f"{'':<{width}}" + "".join(f"{text:>11}" for text in head)]
    for p in planned:
        ratio = p.peak / p.lower_bound if p.peak else 1.0
        cells = [f"{p.peak / MB:.3f}", f"{p.lower_bound / MB:.3f}", f"{ratio:.3f}"]
        others = (p.needed, p.steps, p.ops)
        cells += [
            f"{p.elsewhere / max(p.peak, 1):.1%}",
            *(f"{p.peak / each:.3f}" if each else "" for each in others),
        ]
        lines.append(f"{p.name:<{width}}" + "".join(f"{text:>11}" for text in cells))
    return "\n".join(lines)


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=5, help="rounds of each time (default 5)")
    parser.add_argument("--batch", type=positive, default=32, help="images of the large network (default 32)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every round")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
