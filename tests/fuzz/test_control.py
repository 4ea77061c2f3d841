"""Drawn programs of loops and branches, one inside the other, beside the same programs as plain Python."""

import itertools

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.graph import graph

pytestmark = pytest.mark.usefixtures("as_first_compiled")

GROUPS, PROGRAMS, DERIVED = 4, 6, 3
WIDTH = 3


class Plain:
    """Loops and branches of Python, over arrays of NumPy."""

    tanh, sin = np.tanh, np.sin

    def stack(self, values):
        return np.stack(values)

    def total(self, x):
        return x.sum()

    def scan(self, f, init, xs, reverse):
        rows, carry = [None] * len(xs), init
        for n in range(len(xs) - 1, -1, -1) if reverse else range(len(xs)):
            carry, rows[n] = f(carry, xs[n])
        return carry, np.stack(rows) if rows else np.zeros((0, WIDTH))

    def fori(self, count, body, init):
        for i in range(count):
            init = body(float(i), init)
        return init

    def repeat(self, test, body, init, most):
        for _ in range(most):
            if not test(init):
                break
            init = body(init)
        return init

    def cond(self, test, first, second):
        return first() if test else second()

    def switch(self, x, ways):
        return ways[int(np.floor(abs(x))) % len(ways)]()


class Symbolic:
    """The same by symgraph."""

    tanh, sin = staticmethod(sg.tanh), staticmethod(sg.sin)

    def stack(self, values):
        return sg.stack(values)

    def total(self, x):
        return x.sum()

    def scan(self, f, init, xs, reverse):
        return sg.scan(f, init, xs, reverse=reverse, checkpoint=self.checkpoint)

    def fori(self, count, body, init):
        return sg.fori_loop(
            0, count, lambda i, x: body(i.astype("float64"), x), init, checkpoint=self.checkpoint
        )

    def repeat(self, test, body, init, most):
        return sg.while_loop(test, body, init, max_steps=most)

    def cond(self, test, first, second):
        return sg.cond(test, first, second)

    def switch(self, x, ways):
        return sg.switch(sg.floor(sg.abs(x)).astype("int64") % len(ways), ways)

    def __init__(self, checkpoint=None):
        self.checkpoint = checkpoint


def draw_part(rng, depth, count):
    """A function of a library and ``count`` vectors to one vector: drawn steps, each on values before it."""
    steps = []
    for _ in range(rng.integers(2, 6)):
        kinds = ["add", "subtract", "multiply", "tanh", "sin", "half"]
        kind = rng.choice(kinds + ["scan", "fori", "repeat", "cond", "switch"] * 2 if depth else kinds)
        steps.append(DRAW[kind](rng, depth, count + len(steps)))

    def run(lib, values):
        values = list(values)
        for step in steps:
            values.append(lib.tanh(step(lib, values)))
        return values[-1] + values[0] * 0.1

    return run


def picks(rng, count, many):
    return [max(0, count - 1 - int(rng.exponential(2))) for _ in range(many)]


def draw_binary(apply):
    def draw(rng, depth, count):
        a, b = picks(rng, count, 2)
        return lambda lib, values: apply(values[a], values[b])

    return draw


def draw_unary(apply):
    def draw(rng, depth, count):
        (a,) = picks(rng, count, 1)
        return lambda lib, values: apply(lib, values[a])

    return draw


def draw_scan(rng, depth, count):
    init, other, *rows = picks(rng, count, int(rng.integers(3, 6)))
    body, row = draw_part(rng, depth - 1, 4), draw_part(rng, 0, 3)
    reverse, last = bool(rng.integers(2)), bool(rng.integers(2))

    def step(lib, values):
        def turn(carry, x):
            after = body(lib, [carry[0], carry[1], x, values[other]])
            return (after, carry[0]), row(lib, [carry[0], x, values[other]])

        carry, stacked = lib.scan(
            turn, (values[init], values[other]), lib.stack([values[n] for n in rows]), reverse
        )
        return carry[0] + carry[1] * 0.5 if last else carry[0] + stacked.sum(0)

    return step


def draw_fori(rng, depth, count):
    init, other = picks(rng, count, 2)
    body, turns = draw_part(rng, depth - 1, 2), int(rng.integers(0, 5))
    return lambda lib, values: lib.fori(
        turns, lambda i, x: body(lib, [x, values[other] + i * 0.1]), values[init]
    )


def draw_repeat(rng, depth, count):
    init, other = picks(rng, count, 2)
    body, most, bound = draw_part(rng, depth - 1, 2), int(rng.integers(0, 5)), float(rng.uniform(-1, 2))

    def step(lib, values):
        return lib.repeat(
            lambda x: lib.total(x) < bound, lambda x: body(lib, [x, values[other]]) + 0.1, values[init], most
        )

    return step


def draw_cond(rng, depth, count):
    test, a, b = picks(rng, count, 3)
    ways = [draw_part(rng, depth - 1, 2) for _ in range(2)]

    def step(lib, values):
        first, second = (lambda way=way: way(lib, [values[a], values[b]]) for way in ways)
        return lib.cond(lib.total(values[test]) > 0.01, first, second)

    return step


def draw_switch(rng, depth, count):
    test, a, b = picks(rng, count, 3)
    ways = [draw_part(rng, depth - 1, 2) for _ in range(3)]

    def step(lib, values):
        given = [lambda way=way: way(lib, [values[a], values[b]]) for way in ways]
        return lib.switch(lib.total(values[test]) * 3, given)

    return step


DRAW = {
    "add": draw_binary(lambda a, b: a + b),
    "subtract": draw_binary(lambda a, b: a - b),
    "multiply": draw_binary(lambda a, b: a * b),
    "tanh": draw_unary(lambda lib, a: lib.tanh(a)),
    "sin": draw_unary(lambda lib, a: lib.sin(a * 2)),
    "half": draw_unary(lambda lib, a: a * 0.5 + 0.1),
    "scan": draw_scan,
    "fori": draw_fori,
    "repeat": draw_repeat,
    "cond": draw_cond,
    "switch": draw_switch,
}


def drawn(request, group):
    first = request.config.getoption("--fuzz-seed") + group * PROGRAMS
    for seed in range(first, first + PROGRAMS):
        rng = np.random.default_rng(seed)
        program, checkpoint = draw_part(rng, 2, 2), rng.choice([None, 2, "sqrt"])
        inputs = [sg.placeholder("float64", (WIDTH,), name=name) for name in "ab"]
        arrays = [rng.normal(size=WIDTH) for _ in inputs]
        result = program(Symbolic(checkpoint if checkpoint is None else _of(checkpoint)), inputs)
        used = [x for x in inputs if x in set(sg.toposort([result]))]
        yield seed, program, dict(zip(inputs, arrays, strict=True)), used, result


def _of(checkpoint):
    return int(checkpoint) if checkpoint != "sqrt" else "sqrt"


@pytest.mark.parametrize("group", range(GROUPS))
def test_values(request, group):
    for seed, program, feed, used, result in drawn(request, group):
        expected = program(Plain(), feed.values())
        given = [feed[x] for x in used]
        np.testing.assert_allclose(
            sg.evaluate(result, feed), expected, rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}"
        )
        for backend in ("numpy", "llvm"):
            f = sg.function(used, result, options=sg.Options(backend=backend, verify=True))
            for _ in range(4):  # by Python, and without it
                np.testing.assert_allclose(
                    f(*given), expected, rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}, {backend}"
                )


@pytest.mark.parametrize("group", range(GROUPS))
def test_text_reads_back(request, group):
    for seed, _, feed, _, result in drawn(request, group):
        g = graph(feed, [result])

        assert sg.parse(sg.show(g)) is g, f"seed {seed}"
        sg.verify(g)


@pytest.mark.parametrize("group", range(GROUPS))
def test_derivatives(request, group):
    for seed, _, feed, used, result in itertools.islice(drawn(request, group), DERIVED):
        loss = sg.sin(result).sum()
        slopes = sg.grad(loss, used)
        rng = np.random.default_rng(seed)
        directions = [rng.normal(size=WIDTH) for _ in used]
        step = 1e-6
        above, below = (
            sg.evaluate(
                loss, feed | {x: feed[x] + sign * step * d for x, d in zip(used, directions, strict=True)}
            )
            for sign in (1, -1)
        )
        slope = (above - below) / (2 * step)
        (tangent,) = sg.jvp([loss], used, directions)
        f = sg.function(used, [*slopes, tangent])
        for _ in range(3):
            *found, forward = f(*(feed[x] for x in used))
        backward = sum((g * d).sum() for g, d in zip(found, directions, strict=True))

        assert backward == pytest.approx(forward, rel=1e-8, abs=1e-10), f"seed {seed}"
        assert backward == pytest.approx(slope, rel=1e-4, abs=1e-5), f"seed {seed}"
