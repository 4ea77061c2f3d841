"""Drawn kernels with branches that some rows take: what no row asks for is left out, and nobody reads it."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.optimizations.plan import plan
from symgraph.options import Target
from symgraph.runtime.numpy_backend import NumpyProgram
from tests.fuzz.test_storage import Poisoned

x = sg.placeholder("float64", ("n", "k"), name="x")


def drawn(rng):
    """Values of rows and of all elements, made of each other."""
    axis = int(rng.integers(2))
    rows, full = [sg.sum(x, axis=axis, keepdims=True), sg.max(x, axis=axis, keepdims=True)], [x]

    def row():
        return rows[rng.integers(len(rows))]

    def element():
        return full[rng.integers(len(full))]

    for kind in rng.integers(7, size=rng.integers(4, 14)):
        match kind:
            case 0:
                rows.append(sg.where(row() > row() * 0.5, row(), row()))
            case 1:
                reduction = [sg.sum, sg.max, sg.min][rng.integers(3)]
                rows.append(reduction(element(), axis=axis, keepdims=True))
            case 2:
                rows.append(sg.sum(element() * element(), axis=axis, keepdims=True) * 0.1)
            case 3:
                full.append(sg.tanh(element() * 0.3 - row() * 0.1))
            case 4:
                full.append(sg.where(row() > 0.3, element(), row()))
            case 5:
                rows.append(row() * 0.5 + sg.tanh(row()))
            case 6:
                full.append(-abs(sg.maximum(element(), row())) + 0.1)
    return [rows[-1], full[-1] + x, rows[-2] + rows[0]]


@pytest.mark.parametrize("seed", range(25))
def test_rows_take_what_was_computed_for_them(seed):
    rng = np.random.default_rng(seed)
    outputs = drawn(rng)
    planned = plan(graph([x], outputs))
    for shape in ((5, 6), (1, 9), (7, 1), (3, 40)):
        array = rng.normal(size=shape)
        expected = sg.evaluate(outputs, {x: array})
        for block in (1, 7, 1 << 16):
            results = NumpyProgram(planned, Target(block=block), Poisoned()).run([array])
            for one, found in zip(expected, results, strict=True):
                np.testing.assert_allclose(one, found, rtol=1e-8, atol=1e-9)
