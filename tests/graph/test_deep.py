"""Depth costs nothing but time: no walk recurses."""

import sys

import numpy as np

import symgraph as sg


def test_a_chain_of_100_000_ops_builds_prints_differentiates_and_evaluates():
    x = sg.placeholder("float64", (), name="x")
    limit = sys.getrecursionlimit()
    y = x
    for _ in range(50_000):
        y = sg.sin(y) + x
    f = sg.function([x], [y, sg.grad(y, x)])
    value, slope = f(0.3)

    expected, change = 0.3, 1.0
    for _ in range(50_000):
        expected, change = np.sin(expected) + 0.3, np.cos(expected) * change + 1
    assert limit == sys.getrecursionlimit()
    assert 100_001 < len(f.show().splitlines())
    assert np.isclose(expected, value, rtol=1e-12)
    assert np.isclose(change, slope, rtol=1e-9)
