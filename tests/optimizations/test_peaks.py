"""Peaks of whole programs: near their lower bounds, and kept below limits."""

import math
import re
from functools import partial

import numpy as np
import pytest

import symgraph as sg
from bench.programs import PROGRAMS, adam, chain, lstm, multilayer, training
from symgraph.options import DEFAULT


def network(layers=16):
    """The gradient of a network of equal layers, whose activations are 2 MiB for 1,024 rows."""
    return multilayer(layers, 256, sg.tanh, "float64")


def stated(program, limit=None, **sizes):
    return program.compiled(limit).memory(**{**program.sizes, **sizes})


# Without a limit


def test_a_chain_takes_blocks_and_no_array():
    small, large = (stated(chain(20), n=n) for n in (10**5, 10**7))

    assert small.peak == small.lower_bound == large.peak < 2**20
    assert large.results == 8 * 10**7


@pytest.mark.parametrize("ops", [1, 2, 7, 50])
def test_a_longer_chain_takes_no_more(ops):
    assert stated(chain(ops)).peak < 2**20


def test_programs_are_near_the_lower_bound():
    names = [
        "network of 8 layers",
        "transformer block, gradient",
        "LSTM of 20 steps",
        "k-means",
        "Jacobi stencil",
    ]
    found = [stated(PROGRAMS[name]()) for name in names]
    ratios = [each.peak / each.lower_bound for each in found]

    assert math.exp(sum(map(math.log, ratios)) / len(ratios)) <= 1.1
    assert all(each.elsewhere <= 0.05 * each.peak for each in found)


def test_a_network_keeps_what_backward_reads_and_little_more():
    size = 8 * 1024 * 256

    assert 15 * size <= stated(network(), n=1024).peak <= 19 * size


def test_no_step_of_training_keeps_all_slopes():
    """The update of a weight takes over when its slope is there, and results cost nothing."""
    program = training(adam)
    slopes = sum(4 * w.value.size for w in program.updates if w.name in ("w0", "w1", "w2"))

    assert stated(program, n=1).peak < 1.1 * slopes + 8 * DEFAULT.block


# With one


def test_a_limit_of_a_quarter_changes_no_bit():
    program = network()
    limit = stated(program, n=1024).peak // 4
    free, under = program.compiled(), program.compiled(limit)
    arguments = program.arguments({"n": 1024})

    assert under.memory(n=1024).peak <= limit
    assert 0 < under.memory(n=1024).extra
    for expected, found in zip(free(*arguments), under(*arguments), strict=True):
        np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize(
    "make", [PROGRAMS["network of 8 layers"], PROGRAMS["transformer block, gradient"], partial(lstm, 8, 128)]
)
def test_a_smaller_limit_never_uses_more(make):
    program = make()
    plain = stated(program, n=512)
    found = [plain]
    for step in range(1, 12):
        limit = plain.peak * (12 - step) // 12
        try:
            found.append(stated(program, limit, n=512))
        except sg.MemoryLimitError:
            break
        assert found[-1].peak <= limit
    peaks, extras = [each.peak for each in found], [each.extra for each in found]

    assert len(found) > 2
    assert sorted(peaks, reverse=True) == peaks
    assert extras[0] == min(extras) <= 0.01  # what is spent without being asked


def test_a_limit_above_the_peak_changes_nothing():
    program = network(4)
    plain = stated(program)
    under = stated(program, plain.peak)

    assert (plain.peak, 0.0) == (under.peak, under.extra)
    assert len(plain.turns) == len(under.turns)


def test_an_impossible_limit_names_the_least_and_who_holds_it():
    program = network(4)
    with pytest.raises(sg.MemoryLimitError) as caught:
        stated(program, 1000, n=1024)
    text = str(caught.value)
    (least,) = (
        int(each.replace(",", "")) for each in re.findall(r"the least that is possible is ([\d,]+)", text)
    )

    assert text.startswith("memory_limit is 1,000 bytes")
    assert re.search(r"at \w+ there are \w+ \(programs.py:\d+\) 2,097,152", text)
    assert least == stated(program, least, n=1024).peak
    with pytest.raises(sg.MemoryLimitError):
        stated(program, least - 1, n=1024)


def test_a_call_says_it_too():
    program = network(4)
    f = program.compiled(1000)
    with pytest.raises(sg.MemoryLimitError, match="the least that is possible is"):
        f(*program.arguments({"n": 64}))
