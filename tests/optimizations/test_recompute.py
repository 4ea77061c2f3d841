"""Recomputing: schedules are valid, keep their peaks, and cost little on networks of many layers."""

import itertools
import math
import random

import pytest

from symgraph.optimizations.memory import aligned
from symgraph.optimizations.order import Step, peak
from symgraph.optimizations.recompute import recompute, schedules, smallest
from symgraph.optimizations.schedule import Interval
from tests.effort import measured

SIZE = 1 << 20
"""The bytes of each large value in the networks below."""


class Program:
    """Steps with sizes, costs and results, one call a step; value 0 is given from outside."""

    def __init__(self):
        self.steps, self.sizes, self.cost, self.keep = [], [SIZE], [], []

    def step(self, cost, reads, *sizes):
        writes = tuple(range(len(self.sizes), len(self.sizes) + len(sizes)))
        self.steps.append(Step(tuple(reads), writes))
        self.sizes += sizes
        self.cost.append(cost)
        return writes

    @property
    def parts(self):
        return self.steps, self.sizes, self.cost, self.keep

    @property
    def peak(self):
        return peak(self.steps, self.sizes, self.keep)

    def at(self, limit):
        found = recompute(self.steps, self.sizes, self.cost, int(limit), self.keep)
        if found is not None:
            check(self, found)
            assert found.peak <= limit
        return found

    def times(self, limit):
        """The whole cost under a limit, as a multiple of the cost without one."""
        return 1 + self.at(limit).extra / sum(self.cost)


def chain(layers):
    """Each layer forward, then each layer backward, which reads what went in and what came out."""
    p = Program()
    h = [0]
    for _ in range(layers):
        h += p.step(1, [h[-1]], SIZE)
    (g,) = p.step(1, [h[-1]], SIZE)
    for i in reversed(range(layers)):
        g, result = p.step(2, [g, h[i], h[i + 1]], SIZE, 64)
        p.keep.append(result)
    return p


def perceptron(layers):
    """A matrix product and a function of it each layer; what is between them is not read backward."""
    p = Program()
    h = [0]
    for _ in range(layers):
        (product,) = p.step(10, [h[-1]], SIZE)
        h += p.step(1, [product], SIZE)
    (g,) = p.step(1, [h[-1]], SIZE)
    for i in reversed(range(layers)):
        (slope,) = p.step(1, [g, h[i + 1]], SIZE)
        p.keep += p.step(10, [slope, h[i]], 64)
        (g,) = p.step(10, [slope], SIZE)
    return p


def skipping(layers):
    """A chain in which each layer also reads what went into the layer two before it."""
    p = Program()
    h = [0]
    for i in range(layers):
        h += p.step(1, [h[i], h[i - 2]] if i >= 2 else [h[i]], SIZE)
    g = {layers: p.step(1, [h[-1]], SIZE)[0]}
    for i in reversed(range(layers)):
        later = [g[i + 3]] if i + 3 <= layers else []
        g[i], result = p.step(2, [g[i + 1], h[i], h[i + 1], *later], SIZE, 64)
        p.keep.append(result)
    return p


def drawn(seed):
    """Any steps: several results or none, results that nothing reads, steps that must not run twice."""
    r = random.Random(seed)
    p = Program()
    reach = r.choice([3, 10, 1000])
    for _ in range(r.randrange(1, 50)):
        near = range(max(0, len(p.sizes) - reach), len(p.sizes))
        far = range(len(p.sizes))
        reads = [r.choice(near if r.random() < 0.7 else far) for _ in range(r.randrange(4))]
        sizes = [
            0 if r.random() < 0.05 else int(2 ** r.uniform(0, 14))
            for _ in range(r.choice([0, 1, 1, 1, 2, 3]))
        ]
        p.step(math.inf if r.random() < 0.1 else r.choice([0, 1, 1, 2.5, 10]), reads, *sizes)
    p.keep += [v for v in range(len(p.sizes)) if r.random() < 0.1]
    return p


def check(p, s):
    """Runs a schedule by its intervals alone."""
    written = {value: n for n, step in enumerate(p.steps) for value in step.writes}
    first = [n for at, n in enumerate(s.order) if n not in s.order[:at]] if len(s.order) < 1000 else None
    assert first is None or first == list(range(len(p.steps)))
    assert set(range(len(p.steps))) == set(s.order)

    spans = {}
    for i in s.intervals:
        assert i.first <= i.last < len(s.order)
        assert written[i.value] == s.order[i.first]
        spans.setdefault(i.value, []).append((i.first, i.last))
    live = [0] * len(s.order)
    for value, parts in spans.items():
        assert all(a[1] < b[0] for a, b in itertools.pairwise(parts)), "an interval ends before the next one"
        for a, b in parts:
            for at in range(a, b + 1):
                live[at] += aligned(p.sizes[value])
    assert max(live, default=0) == s.peak

    there = {(value, at) for value, parts in spans.items() for a, b in parts for at in range(a, b + 1)}
    last_use = {}
    for at, n in enumerate(s.order):
        for value in p.steps[n].reads:
            if value in written:
                assert (value, at) in there
                (begin,) = [a for a, b in spans[value] if a <= at <= b]
                assert begin < at
                last_use[value, begin] = at
        for value in p.steps[n].writes:
            assert (value, at) in there
            assert value in p.keep or at in [a for a, _ in spans[value]]
    for value, parts in spans.items():
        if value in p.keep:
            assert [(s.order.index(written[value]), len(s.order) - 1)] == parts
        else:
            assert all(b == last_use.get((value, a), a) for a, b in parts), "no longer than it is read"

    again = [n for at, n in enumerate(s.order) if n in s.order[:at]] if len(s.order) < 1000 else []
    assert math.isfinite(s.extra)
    if first is not None:
        assert sum(p.cost[n] for n in again) == pytest.approx(s.extra)


# Any steps


@pytest.mark.parametrize("seed", range(300))
def test_drawn_schedules_are_valid(seed):
    p = drawn(seed)
    found = list(schedules(*p.parts))

    for s in found:
        check(p, s)
    assert tuple(range(len(p.steps))) == found[0].order
    assert (p.peak, 0) == (found[0].peak, found[0].extra)
    assert all(a.peak > b.peak for a, b in itertools.pairwise(found))
    assert found[-1] == smallest(*p.parts)


@pytest.mark.parametrize("seed", range(15))
def test_a_limit_leaves_out_the_head_and_changes_nothing_else(seed):
    p = drawn(seed)
    found = list(schedules(*p.parts))
    limits = {s.peak + d for s in found for d in (-1, 0, 1)} | {0, p.peak // 2}

    for limit in limits:
        assert [s for s in found if s.peak <= limit] == list(schedules(*p.parts, limit=limit))


def test_they_are_made_when_asked_for():
    p = chain(2000)
    first, lines = measured(lambda: next(schedules(*p.parts)))

    assert 0 == first.extra
    assert lines < 500_000  # measured: 218,077


def test_no_step():
    assert [()] == [s.order for s in schedules([], [], [])]
    assert 0 == smallest([], [], []).peak
    assert recompute([], [], [], 0) is not None


# Networks


@pytest.mark.parametrize(
    "network, divisor, times",
    [
        (chain, 2, 1.2),
        (chain, 4, 1.28),
        (chain, 8, 1.65),
        (perceptron, 2, 1.2),
        (perceptron, 4, 1.3),
        (perceptron, 8, 1.7),
        (skipping, 1.5, 1.14),
        (skipping, 2, 1.25),
        (skipping, 2.5, 1.5),
    ],
)
def test_networks_of_64_layers(network, divisor, times):
    p = network(64)

    assert p.times(p.peak / divisor) <= times


def test_a_chain_runs_in_the_memory_of_a_few_layers():
    p = chain(64)

    assert p.times(2 * math.sqrt(2 * 64) * SIZE) <= 1.3
    assert smallest(*p.parts).peak < 6 * SIZE


def test_a_small_value_stays_in_place_of_what_is_computed_from_it():
    """The total is cheap to keep and dear to make; the large value is neither."""
    p = Program()
    (total,) = p.step(100, [0], 64)
    (large,) = p.step(1, [total], SIZE)
    (loss,) = p.step(1, [large], 64)
    (between,) = p.step(1, [loss], SIZE)
    (end,) = p.step(1, [between], 64)
    p.keep += p.step(1, [end, large], 64)
    found = p.at(1.5 * SIZE)

    assert (0, 1, 2, 3, 4, 1, 5) == found.order
    assert 1 == found.extra


# What a run writes


def test_results_that_nothing_reads_again_are_there_for_one_run():
    p = Program()
    a, b = p.step(1, [0], SIZE, SIZE)
    (c,) = p.step(1, [a, b], 64)
    (d,) = p.step(1, [c], 2 * SIZE)
    (e,) = p.step(1, [d], 64)
    p.keep += p.step(1, [e, a], 64)
    found = p.at(2.5 * SIZE)

    assert (0, 1, 2, 3, 0, 4) == found.order
    assert {Interval(a, 0, 1), Interval(a, 4, 5), Interval(b, 0, 1), Interval(b, 4, 4)} <= set(
        found.intervals
    )


def test_a_result_that_is_kept_is_written_again_in_its_place():
    p = Program()
    a, kept = p.step(1, [0], SIZE, 64)
    p.keep.append(kept)
    (c,) = p.step(1, [a], 64)
    (d,) = p.step(1, [c], SIZE)
    (e,) = p.step(1, [d], 64)
    p.step(1, [e, a], 64)
    found = p.at(1.5 * SIZE)

    assert (0, 1, 2, 3, 0, 4) == found.order
    assert [Interval(kept, 0, 5)] == [i for i in found.intervals if i.value == kept]


def test_a_step_of_infinite_cost_runs_once():
    p = chain(16)
    p.cost[3] = math.inf
    found = list(schedules(*p.parts))

    assert len(found) > 3
    for s in found:
        check(p, s)
        assert 1 == s.order.count(3)


def test_an_impossible_limit_has_no_schedule():
    p = chain(16)
    lowest = smallest(*p.parts).peak

    assert p.at(lowest) is not None
    assert p.at(lowest - 1) is None
    assert p.at(3 * SIZE) is None


# Time


def test_the_work_grows_with_the_chain():
    def work(layers):
        p = chain(layers)
        found, lines = measured(lambda: recompute(*p.parts[:3], p.peak // 8, p.keep))

        assert found.extra <= sum(p.cost) / 3
        return lines

    assert work(1200) < 2.3 * work(600)


def test_a_chain_of_ten_thousand_steps():
    p = chain(5000)

    assert recompute(*p.parts[:3], p.peak // 8, p.keep).extra <= sum(p.cost) / 3
