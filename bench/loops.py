"""Loops beside numba, JAX and torch: scans of short bodies, their gradients, memory, a GRU, Newton's method, branches.

python bench/loops.py                   tables; a minute or two
python bench/loops.py --only scan gru   some of them

Peers that are not installed are left out, and named. Times are those of the processor, medians over rounds in which all
take their turn; a peer's cell is its time over ours. Nothing is timed before its results have been compared.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from graph import machine, positive
from peers import environment, keep_to

import symgraph as sg

Array = np.ndarray[Any, Any]
Call = Callable[[], Any]
Peers = SimpleNamespace
"""Libraries by name, those that are installed."""

STEPS, WIDTH = 10_000, 8
TURN = 5e-3
"""Seconds that a turn takes, at least."""
MULTIPLE = 5.0
"""Of the forward pass, what a gradient is asked to take at most."""
LENGTHS = (1_000, 4_000, 16_000, 64_000)
ALONE = sg.Options(threads=1)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=15, help="rounds of each measurement (default 15)")
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES), help="default: all")
    arguments = parser.parse_args(argv)
    os.environ.update(environment(1))
    keep_to(1)
    peers = installed()
    missing = [name for name in PEERS if not hasattr(peers, name)]
    versions = [machine(), *(f"{name} {each.__version__}" for name, each in vars(peers).items())]
    print(f"{', '.join(versions)}; one thread")
    if missing:
        print(f"not installed: {', '.join(missing)}")
    for name in arguments.only:
        print()
        TABLES[name](peers, arguments.rounds)


PEERS = ("numba", "jax", "torch")


def installed() -> Peers:
    found = Peers()
    for name in PEERS:
        try:
            setattr(found, name, importlib.import_module(name))
        except ImportError:
            continue
    if hasattr(found, "jax"):
        found.jax.config.update("jax_enable_x64", True)
    if hasattr(found, "torch"):
        found.torch.set_num_threads(1)
    return found


# Scans


@dataclass(frozen=True)
class Body:
    """A turn, as a function of a namespace: it takes parameters, carry and row, and gives the next carry."""

    name: str
    turn: Callable[[Any], Callable[[Any, Any, Any], Any]]
    shape: tuple[int, ...] = (WIDTH,)
    rows: bool = False
    stacked: bool = False
    numba: bool = True
    """Whether numba can say it."""


def rotated(m: Any, a: Any, c: Any, r: Any) -> Any:
    return m.stack([a[0] * c[0] - a[1] * c[1], a[1] * c[0] + a[0] * c[1]]) + 0.3


BODIES = (
    Body("logistic map: a c (1 - c)", lambda m: lambda a, c, r: a * c * (1 - c)),
    Body("tanh(a c + r), along rows", lambda m: lambda a, c, r: m.tanh(a * c + r), rows=True),
    Body("(a c + r) / 2, stacked", lambda m: lambda a, c, r: (a * c + r) * 0.5, rows=True, stacked=True),
    Body("Horner and sin, a scalar", lambda m: lambda a, c, r: m.sin(((a * c + 0.5) * c + 0.2) * c + 1), ()),
    Body("rotation: two numbers, stacked", lambda m: partial(rotated, m), (2,), numba=False),
)


def arguments_of(body: Body) -> tuple[Array, Array, Array]:
    """Parameters with which small errors die out, the first carry, and rows."""
    rng = np.random.default_rng(0)
    low, high = (2.6, 3.4) if body is BODIES[0] else (0.2, 0.7)
    shapes = body.shape, body.shape, (STEPS, *body.shape)
    a, c, r = (
        rng.uniform(*span, shape)
        for span, shape in zip(((low, high), (0.2, 0.6), (-1, 1)), shapes, strict=True)
    )
    return np.asarray(a), np.asarray(c), r


def by_numpy(body: Body, a: Array, c: Array, rows: Array) -> list[Array]:
    turn, out = body.turn(np), []
    for row in rows:
        c = turn(a, c, row)
        out.append(c)
    return [c, np.array(out)] if body.stacked else [c]


def ours(body: Body) -> tuple[list[sg.Node], list[sg.Node]]:
    """Placeholders and results."""
    a, c = (sg.placeholder("float64", body.shape, name=name) for name in "ac")
    rows = sg.placeholder("float64", (STEPS, *body.shape), name="rows")
    turn = body.turn(sg)

    def step(c: sg.Node, row: sg.Node | None) -> tuple[sg.Node, sg.Node | None]:
        after = turn(a, c, row)
        return after, after if body.stacked else None

    last, out = sg.scan(step, c, rows if body.rows else None, length=STEPS)
    return [a, c, rows] if body.rows else [a, c], [last, out] if body.stacked else [last]


def jax_scan(jax: Any, body: Body) -> Callable[..., Any]:
    turn = body.turn(jax.numpy)

    def run(a: Any, c: Any, *rows: Any) -> Any:
        def step(c: Any, row: Any) -> Any:
            after = turn(a, c, row)
            return after, after if body.stacked else None

        last, out = jax.lax.scan(step, c, rows[0] if rows else None, length=STEPS)
        return [last, out] if body.stacked else [last]

    return run


def jax_while(jax: Any, body: Body) -> Callable[..., Any]:
    turn = body.turn(jax.numpy)

    def run(a: Any, c: Any, *rows: Any) -> Any:
        def step(state: Any) -> Any:
            n, c, out = state
            after = turn(a, c, rows[0][n] if rows else None)
            return n + 1, after, out.at[n].set(after) if body.stacked else out

        out = jax.numpy.zeros((STEPS, *body.shape) if body.stacked else ())
        _, last, out = jax.lax.while_loop(lambda state: state[0] < STEPS, step, (0, c, out))
        return [last, out] if body.stacked else [last]

    return run


def numba_elements(numba: Any, body: Body) -> Callable[..., Any]:
    """Loops over numbers, with a copy of the carry."""
    turn, width, stacked = numba.njit(body.turn(np)), WIDTH, body.stacked
    if not body.shape:
        return numba_arrays(numba, body)

    @numba.njit
    def run(a: Array, c: Array, rows: Array) -> Any:
        c = c.copy()
        out = np.empty((STEPS if stacked else 0, width))
        for n in range(STEPS):
            for k in range(width):
                c[k] = turn(a[k], c[k], rows[n, k])
                if stacked:
                    out[n, k] = c[k]
        return c, out

    return run  # type: ignore[no-any-return]


def numba_arrays(numba: Any, body: Body) -> Callable[..., Any]:
    """Expressions of arrays, as one would write them for NumPy; of numbers where the carry is one."""
    turn, width, stacked = numba.njit(body.turn(np)), WIDTH, body.stacked

    @numba.njit
    def run(a: Any, c: Any, rows: Array) -> Any:
        out = np.empty((STEPS if stacked else 0, width))
        for n in range(STEPS):
            c = turn(a, c, rows[n])
            if stacked:
                out[n] = c
        return c, out

    return run  # type: ignore[no-any-return]


def scans(peers: Peers, rounds: int) -> None:
    names = ["numba, elements", "numba, arrays", "JAX scan", "JAX while"]
    print(line(f"{STEPS:,} turns, {WIDTH} float64", ["ns a turn", *names]))
    for body in BODIES:
        a, c, rows = arguments_of(body)
        inputs, outputs = ours(body)
        f = sg.function(inputs, outputs, options=ALONE)
        given = [a, c, rows][: len(inputs)]
        calls: dict[str, Call] = {"ours": partial(f, *given)}
        if body.numba and hasattr(peers, "numba"):
            plain = [x if x.ndim else float(x) for x in (a, c)]
            for name, make in zip(names, (numba_elements, numba_arrays), strict=False):
                calls[name] = partial(make(peers.numba, body), *plain, rows)
        if hasattr(peers, "jax"):
            for name, make in zip(names[2:], (jax_scan, jax_while), strict=True):
                calls[name] = jitted(peers.jax, make(peers.jax, body), given)
        compare(calls, by_numpy(body, a, c, rows))
        print(row(body.name, measured(calls, rounds), names, 1e9 / STEPS))


# Gradients


def gradients(peers: Peers, rounds: int) -> None:
    """Of the mean square of all carries, so that slopes do not die out on the way; for value and gradient together."""
    print(line("gradient over forward", ["ns a turn", "ours", f"<= {MULTIPLE:g}", "JAX", "JAX/ours"]))
    for body in (replace(each, stacked=True) for each in BODIES):
        inputs, outputs = ours(body)
        given = list(arguments_of(body))[: len(inputs)]
        loss = (outputs[1] ** 2).mean()
        f = sg.function(inputs, loss, options=ALONE)
        g = sg.function(inputs, [loss, *sg.grad(loss, inputs)], options=ALONE)
        check_slope(f, g, given)
        calls = {"forward": partial(f, *given), "ours": partial(g, *given)}
        if hasattr(peers, "jax"):
            calls |= jax_gradient(peers.jax, body, given)
            compare({"JAX": calls["JAX"]}, calls["ours"]())
        times = measured(calls, rounds)
        multiple = ratio(times, "ours", "forward")
        cells = [f"{1e9 / STEPS * statistics.median(times['ours']):.4g}", f"{multiple:.2f}"]
        cells.append("ok" if multiple <= MULTIPLE else "MISSED")
        if "JAX" in times:
            cells += [shown(ratio(times, "JAX", base)) for base in ("JAX forward", "ours")]
        print(line(body.name, cells))


def jax_gradient(jax: Any, body: Body, given: Sequence[Array]) -> dict[str, Call]:
    scan = jax_scan(jax, body)

    def value(*given: Any) -> Any:
        return (scan(*given)[1] ** 2).mean()

    slope = jax.value_and_grad(value, argnums=tuple(range(len(given))))
    both = jitted(jax, lambda *given: jax.tree.leaves(slope(*given)), given)
    return {"JAX forward": jitted(jax, value, given), "JAX": both}


def check_slope(f: Callable[..., Any], g: Callable[..., Any], given: Sequence[Array]) -> None:
    """Along one direction, beside the difference of two values."""
    rng = np.random.default_rng(1)
    along = [rng.normal(size=x.shape) for x in given]
    there, back = ([x + s * v for x, v in zip(given, along, strict=True)] for s in (1e-6, -1e-6))
    slope = sum(np.sum(a * v) for a, v in zip(g(*given)[1:], along, strict=True))
    np.testing.assert_allclose(slope, (f(*there) - f(*back)) / 2e-6, rtol=1e-5)


# Memory of gradients


def memory(peers: Peers, rounds: int) -> None:
    """Kilobytes above arguments and results: planned, and what NumPy holds after the call that needed them first."""
    print(line("gradient of tanh(a c + r), 64 wide", [f"{n:,} turns" for n in LENGTHS] + ["64,000/1,000"]))
    lengths = sg.placeholder("float64", ("n",), name="lengths")
    a = sg.placeholder("float64", (64,), name="a")
    values = np.linspace(0.1, 0.9, 64)
    slopes, functions = {}, {}
    for checkpoint in (None, "sqrt", 1, 16):
        turns = lengths.shape[0]
        last, _ = sg.scan(
            lambda c, _: (sg.tanh(a * c + 0.1), None), a / 2, length=turns, checkpoint=checkpoint
        )
        g = functions[checkpoint] = sg.function([lengths, a], sg.grad(last.sum(), a), options=ALONE)
        planned, seen = [], []
        for n in LENGTHS:
            planned.append(g.memory(n=n).peak / 1e3)
            tracemalloc.start()
            slopes[checkpoint, n] = g(np.zeros(n), values)
            seen.append(_held() / 1e3)
            tracemalloc.stop()
            np.testing.assert_allclose(slopes[checkpoint, n], slopes[None, n], rtol=1e-12)
        for name, sizes in (("planned, kB", planned), ("seen, kB", seen)):
            cells = [*(f"{each:,.0f}" for each in sizes), f"{sizes[-1] / sizes[0]:.1f} x"]
            print(line(f"checkpoint={checkpoint!r:8}{name:>14}", cells))
    calls = {str(name): partial(g, np.zeros(LENGTHS[1]), values) for name, g in functions.items()}
    times = measured(calls, rounds)
    print(
        "time over that of None: " + ", ".join(f"{name} {ratio(times, name, 'None'):.2f}" for name in times)
    )


def _held() -> int:
    """Bytes of arrays that are alive and were made since tracing began."""
    ours = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(each.size for each in tracemalloc.take_snapshot().filter_traces([ours]).traces)


# A recurrent network


def gru(m: Any, scan: Any, xs: Any, wx: Any, wh: Any, bx: Any, bh: Any) -> Any:
    """The mean square of the last state of a gated recurrent unit, as torch has it."""

    def step(h: Any, x: Any) -> Any:
        y, n = h @ wh + bh, h.shape[-1]
        reset, keep = m.sigmoid(x[:, :n] + y[:, :n]), m.sigmoid(x[:, n : 2 * n] + y[:, n : 2 * n])
        return (1 - keep) * m.tanh(x[:, 2 * n :] + reset * y[:, 2 * n :]) + keep * h, None

    last, _ = scan(step, m.zeros((xs.shape[1], wh.shape[0]), dtype=str(xs.dtype)), xs @ wx + bx)
    return (last * last).mean()


def network(peers: Peers, rounds: int, steps: int = 500, batch: int = 16, size: int = 64) -> None:
    rng = np.random.default_rng(0)
    shapes = {"xs": (steps, batch, size), **dict.fromkeys(("wx", "wh"), (size, 3 * size))}
    shapes |= dict.fromkeys(("bx", "bh"), (3 * size,))
    given = [
        (rng.normal(size=shape) * (1 if name == "xs" else 0.1)).astype("float32")
        for name, shape in shapes.items()
    ]
    inputs = [sg.placeholder("float32", shape, name=name) for name, shape in shapes.items()]
    value = gru(sg, sg.scan, *inputs)
    outputs = [value, *sg.grad(value, inputs[1:])]
    f = sg.function(inputs, [value], options=ALONE)
    g, flushed = (
        sg.function(inputs, outputs, options=replace(ALONE, flush_denormals=x)) for x in (False, True)
    )
    forward, both = (
        {"ours": partial(f, *given)},
        {"ours": partial(g, *given), "flushed": partial(flushed, *given)},
    )
    if hasattr(peers, "jax"):
        forward["JAX"], both["JAX"] = _jax_gru(peers.jax, given)
    if hasattr(peers, "torch"):
        forward["torch"], both["torch"] = _torch_gru(peers.torch, given)
    names = SimpleNamespace(zeros=np.zeros, tanh=np.tanh, sigmoid=lambda x: 1 / (1 + np.exp(-x)))
    compare(forward, [gru(names, _fold, *(x.astype("float64") for x in given))], 1e-4)
    compare(both, both["ours"](), 1e-3)
    print(line(f"GRU of {size}, {steps} turns, batch {batch}", ["ms", "JAX", "torch"]))
    a, b = measured(forward, rounds), measured(both, rounds)
    print(row("forward", a, ["JAX", "torch"], 1e3))
    print(row("forward and gradient", b, ["JAX", "torch"], 1e3))
    as_xla = {**b, "ours": b["flushed"]}  # as XLA does it
    print(row("the same, flushed", as_xla, ["JAX", "torch"], 1e3))
    for name, text in (("ours", ""), ("flushed", ", flushed")):
        print(f"gradient over forward{text}: {ratio({'a': a['ours'], 'b': b[name]}, 'b', 'a'):.2f}")


def _fold(step: Any, h: Any, xs: Any) -> Any:
    for x in xs:
        h, _ = step(h, x)
    return h, None


def _jax_gru(jax: Any, given: Sequence[Array]) -> tuple[Call, Call]:
    m = SimpleNamespace(zeros=jax.numpy.zeros, tanh=jax.numpy.tanh, sigmoid=jax.nn.sigmoid)
    value = partial(gru, m, jax.lax.scan)
    slope = jax.value_and_grad(value, argnums=(1, 2, 3, 4))
    both = jitted(jax, lambda *given: jax.tree.leaves(slope(*given)), given)
    return jitted(jax, lambda *given: [value(*given)], given), both


def _torch_gru(torch: Any, given: Sequence[Array]) -> tuple[Call, Call]:
    """Its own GRU, whose loop is C++; it has the weights transposed."""
    xs, wx, wh, bx, bh = (torch.tensor(x) for x in given)
    layer = torch.nn.GRU(xs.shape[-1], wh.shape[0])
    with torch.no_grad():
        for own, value in zip(layer.parameters(), (wx.T, wh.T, bx, bh), strict=True):
            own.copy_(value)

    def forward() -> Any:
        with torch.no_grad():
            return [(layer(xs)[1] ** 2).mean().numpy()]

    def both() -> Any:
        layer.zero_grad()
        loss = (layer(xs)[1] ** 2).mean()
        loss.backward()
        return [loss.detach().numpy(), *(each.grad.numpy().T for each in layer.parameters())]

    return forward, both


# Newton's method, and branches

EXCENTRICITY = 0.9


def kepler(m: Any, loop: Any, mean: Any) -> Any:
    """The ``e`` with ``e - EXCENTRICITY * sin(e) = mean``, when no correction is large any more."""

    def correction(e: Any) -> Any:
        return (e - EXCENTRICITY * m.sin(e) - mean) / (1 - EXCENTRICITY * m.cos(e))

    def step(state: Any) -> Any:
        e = state[0] - state[1]
        return e, correction(e)

    start = mean + EXCENTRICITY
    return loop(lambda state: abs(state[1]).max() > 1e-12, step, (start, correction(start)))[0]


def newton(peers: Peers, rounds: int) -> None:
    names = ["numba, elements", "JAX while"]
    print(line("while_loop, Newton", ["µs", *names]))
    for count in (1, 1_000, 100_000):
        given = np.linspace(0.01, 3, count)
        mean = sg.placeholder("float64", (count,), name="mean")
        f = sg.function([mean], [kepler(sg, sg.while_loop, mean)], options=ALONE)
        calls: dict[str, Call] = {"ours": partial(f, given)}
        if hasattr(peers, "numba"):
            calls[names[0]] = partial(_numba_newton(peers.numba), given)
        if hasattr(peers, "jax"):
            calls[names[1]] = _jax_newton(peers.jax, given)
        compare(calls, [kepler(np, _while, given)])
        print(row(f"{count:,} of Kepler's equations", measured(calls, rounds), names, 1e6))


def _while(condition: Any, body: Any, state: Any) -> Any:
    while condition(state):
        state = body(state)
    return state


def _jax_newton(jax: Any, given: Array) -> Call:
    return jitted(jax, lambda mean: [kepler(jax.numpy, jax.lax.while_loop, mean)], [given])


def _numba_newton(numba: Any) -> Callable[[Array], Any]:
    """All take as many turns as the slowest, as in the others."""
    k = EXCENTRICITY

    @numba.njit
    def run(mean: Array) -> Any:
        e = mean + k
        d = (e - k * np.sin(e) - mean) / (1 - k * np.cos(e))
        largest = np.abs(d).max()
        while largest > 1e-12:
            largest = 0.0
            for n in range(e.size):
                e[n] -= d[n]
                d[n] = (e[n] - k * np.sin(e[n]) - mean[n]) / (1 - k * np.cos(e[n]))
                largest = max(largest, abs(d[n]))
        return (e,)

    return run  # type: ignore[no-any-return]


def walk(scan: Any, cond: Any, start: Any, rows: Any) -> Any:
    """A walk that is turned round where it has gone too far: a branch in each turn."""

    def step(c: Any, row: Any) -> Any:
        return cond((c * c).sum() > 50, lambda: c * -0.25, lambda: c + row), None

    return scan(step, start, rows)[0]


def branches(peers: Peers, rounds: int) -> None:
    rows = np.random.default_rng(0).normal(size=(STEPS, WIDTH))
    given = sg.placeholder("float64", rows.shape, name="rows")
    last = walk(sg.scan, sg.cond, sg.zeros((WIDTH,)), given)
    f = sg.function([given], [last], options=ALONE)
    slope = sg.function([given], [last, sg.grad(last.sum(), given)], options=ALONE)
    names = ["numba, elements", "JAX scan"]
    calls: dict[str, Call] = {"ours": partial(f, rows)}
    if hasattr(peers, "numba"):
        calls[names[0]] = partial(_numba_walk(peers.numba), rows)
    if hasattr(peers, "jax"):
        calls[names[1]] = _jax_walk(peers.jax, rows)
    compare(calls, [walk(_fold, lambda p, yes, no: yes() if p else no(), np.zeros(WIDTH), rows)])
    print(line(f"cond in a scan of {STEPS:,} turns", ["ns a turn", *names]))
    print(row("c / -4 if |c|² > 50 else c + r", measured(calls, rounds), names, 1e9 / STEPS))
    times = measured({"forward": calls["ours"], "both": partial(slope, rows)}, rounds)
    print(f"gradient over forward: {ratio(times, 'both', 'forward'):.2f}")


def _jax_walk(jax: Any, rows: Array) -> Call:
    start = jax.numpy.zeros(WIDTH)
    return jitted(jax, lambda rows: [walk(jax.lax.scan, jax.lax.cond, start, rows)], [rows])


def _numba_walk(numba: Any) -> Callable[[Array], Any]:
    width = WIDTH

    @numba.njit
    def run(rows: Array) -> Any:
        c = np.zeros(width)
        for n in range(rows.shape[0]):
            total = 0.0
            for k in range(width):
                total += c[k] * c[k]
            for k in range(width):
                c[k] = c[k] * -0.25 if total > 50 else c[k] + rows[n, k]
        return (c,)

    return run  # type: ignore[no-any-return]


TABLES: Mapping[str, Callable[[Peers, int], None]] = {
    "scan": scans,
    "gradient": gradients,
    "memory": memory,
    "gru": network,
    "newton": newton,
    "cond": branches,
}


# What they share


def jitted(jax: Any, function: Callable[..., Any], given: Sequence[Array]) -> Call:
    compiled, there = jax.jit(function), [jax.numpy.asarray(x) for x in given]
    return lambda: jax.block_until_ready(compiled(*there))


def compare(calls: Mapping[str, Call], expected: Sequence[Any], rtol: float = 1e-9) -> None:
    """Raises where a call finds something else."""
    for name, call in calls.items():
        for found, x in zip(call(), expected, strict=False):
            np.testing.assert_allclose(found, x, rtol=rtol, atol=rtol * np.abs(x).max(), err_msg=name)


def measured(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Seconds of a call of each, processor time, in rounds in which all take their turn."""
    often = {}
    for name, call in calls.items():
        for _ in range(10):  # better code comes meanwhile
            call()
            time.sleep(0.01)
        start = time.perf_counter()
        call()
        often[name] = max(1, int(TURN / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(often[name]):
                call()
            times[name].append((time.process_time() - start) / often[name])
    return times


def ratio(times: Mapping[str, list[float]], name: str, base: str) -> float:
    """The median over rounds."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def shown(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def line(name: str, cells: Sequence[str]) -> str:
    return (f"{name:34}" + "".join(f"{cell:>17}" for cell in cells)).rstrip()


def row(name: str, times: Mapping[str, list[float]], peers: Sequence[str], scale: float) -> str:
    """Our time and those of peers over ours."""
    cells = [f"{scale * statistics.median(times['ours']):.4g}"]
    cells += [shown(ratio(times, each, "ours")) if each in times else "" for each in peers]
    return line(name, cells)


if __name__ == "__main__":
    main()
