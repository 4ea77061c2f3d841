"""The bytes of a graph: equal for equal programs, different where anything differs that is computed."""

import gc

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.digest import Unsaid, said
from symgraph.graph.graph import graph


def known(op):
    return True


def of(make):
    return said(make(), known)


def program(size=3, dtype="float64", op=sg.exp, number=2.0, name="x", axis=0):
    x = sg.placeholder(dtype, ("n", size), name=name)
    return graph([x], [(op(x) * number).sum(axis=axis)])


def test_what_is_built_again_is_the_same():
    first = of(program)
    gc.collect()

    assert first == of(program)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 4}, {"dtype": "float32"}, {"op": sg.tanh}, {"number": -2.0}, {"number": 2.5}, {"name": "y"},
        {"axis": 1}, {"axis": (0, 1)}, {"size": "m"},
    ],
)  # fmt: skip
def test_what_differs_is_another(change):
    assert of(program) != of(lambda: program(**change))


@pytest.mark.parametrize(
    "a, b",
    [
        (0.0, -0.0), (np.float32(1), np.float64(1)), (1, True), (np.zeros(3), np.zeros((3, 1))),
        (np.arange(5000.0), np.arange(5000.0) + (np.arange(5000) == 4999)),
    ],
)  # fmt: skip
def test_constants_differ_by_their_bits(a, b):
    x = sg.placeholder("float64", (), name="x")

    def one(value):
        return said(graph([x], [sg.constant(value), x]), known)

    assert one(a) == one(a)
    assert one(a) != one(b)


def test_the_order_of_inputs_outputs_and_operands_counts():
    x, y = (sg.placeholder("float64", (), name=name) for name in "xy")
    programs = [
        graph([x, y], [x - y, x]), graph([y, x], [x - y, x]), graph([x, y], [y - x, x]), graph([x, y], [x, x - y]),
        graph([x, y], [x - y]),
    ]  # fmt: skip

    assert len(programs) == len({said(each, known) for each in programs})


def test_updates_and_their_variables_count():
    v, w = (sg.variable(np.zeros(2), name=name) for name in "vw")
    x = sg.placeholder("float64", (2,), name="x")
    programs = [graph([x], [v + w], updates) for updates in ({}, {v: v + x}, {w: v + x}, {v: w + x})]

    assert len(programs) == len({said(each, known) for each in programs})


def test_inner_graphs_count():
    x = sg.placeholder("float64", (3,), name="x")

    def looped(times, factor):
        return said(graph([x], [sg.fori_loop(0, times, lambda i, y: y * factor, x)]), known)

    assert looped(4, 2.0) == looped(4, 2.0)
    assert 3 == len({looped(4, 2.0), looped(5, 2.0), looped(4, 3.0)})


def test_a_graph_that_stands_in_many_places_is_said_once():
    x = sg.placeholder("float64", (), name="x")

    def turn(i, y):
        for n in range(50):
            y = sg.sin(y) + n
        return y

    def chained(count):
        y = x
        for _ in range(count):
            y = sg.fori_loop(0, 3, turn, y)
        return said(graph([x], [y]), known)

    assert len(chained(40)) < 3 * len(chained(1))
    assert chained(2) != chained(1)


def test_ops_that_are_not_known_are_not_said():
    with pytest.raises(Unsaid, match="exp"):
        said(program(), lambda op: op.name != "exp")
