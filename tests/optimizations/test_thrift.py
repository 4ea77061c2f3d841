"""Cheap repeats: valid, within their allowance, and never a higher peak."""

import random

import pytest

from symgraph.optimizations.order import Step, peak
from symgraph.optimizations.thrift import thrifty

SIZE = 1 << 20


def drawn(seed):
    """Steps that read a few of the latest values and a few of any, write up to three, and cost what comes."""
    rng = random.Random(seed)
    steps, sizes, cost = [], [SIZE], []
    for _ in range(rng.randint(1, 60)):
        near = [max(0, len(sizes) - 1 - rng.randrange(4)) for _ in range(rng.randint(1, 2))]
        far = [rng.randrange(len(sizes)) for _ in range(rng.randint(0, 2))]
        writes = range(len(sizes), len(sizes) + rng.randint(1, 3))
        steps.append(Step(tuple(dict.fromkeys(near + far)), tuple(writes)))
        sizes += [rng.choice((0, 64, SIZE, 3 * SIZE)) for _ in writes]
        cost.append(rng.choice((0.0, 1.0, 1.0, 10.0, float("inf"))))
    keep = [value for value in range(1, len(sizes)) if rng.random() < 0.1]
    return steps, sizes, cost, keep


@pytest.mark.parametrize("seed", range(200))
def test_drawn_repeats_keep_their_word(seed):
    steps, sizes, cost, keep = drawn(seed)
    for allowance in (0, 1, 5, 50):
        found = thrifty(steps, sizes, cost, allowance, keep)
        first = list(dict.fromkeys(found.order))
        assert first == list(range(len(steps))), "without the repeats it is the order as given"
        assert found.extra <= allowance
        assert found.peak <= peak(steps, sizes, keep)
        written = {0}
        for n in found.order:
            assert written.issuperset(steps[n].reads)
            written.update(steps[n].writes)
        for interval in found.intervals:
            writer = next(n for n, step in enumerate(steps) if interval.value in step.writes)
            assert found.order[interval.first] == writer


def test_an_early_copy_that_is_read_late_is_made_again():
    """A copy of each layer's input is what its gradient reads: made again, one is there at a time."""
    layers = 10
    steps, sizes, cost = [], [SIZE], []

    def step(price, *reads, size=SIZE):
        steps.append(Step(reads, (len(sizes),)))
        sizes.append(size)
        cost.append(price)
        return len(sizes) - 1

    values, copies = [0], []
    for _ in range(layers):
        copies.append(step(1, values[-1], size=4 * SIZE))
        values.append(step(1000, copies[-1]))
    g = values[-1]
    for value, copy in zip(reversed(values[1:]), reversed(copies), strict=True):
        g = step(1000, g, value, copy)
    plain = thrifty(steps, sizes, cost, 0)
    assert plain.extra == 0
    assert plain.peak > 4 * layers * SIZE
    all_again = thrifty(steps, sizes, cost, layers)
    assert all_again.extra == layers - 1  # the last is read at once
    assert all_again.peak <= (layers + 4 + 2) * SIZE
    assert thrifty(steps, sizes, cost, 3).peak < plain.peak
