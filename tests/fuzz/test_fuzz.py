"""Drawn programs: the evaluator is NumPy, types and sizes hold, text reads back, derivatives are slopes."""

from contextlib import contextmanager

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import symbols
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.graph.op import as_node
from tests.fuzz.drawing import draw_group

GROUPS, OF_ANY_KIND, SMOOTH = 10, 35, 15  # 10 groups of 35 and 15 programs: 500


@pytest.fixture
def first_seed(request):
    """Programs are drawn from this seed and those after it."""
    return request.config.getoption("--fuzz-seed")


def tolerance(program):
    """Rounding of the least precise dtype in a program, which reaches the others."""
    return 5e-4 if any(array.dtype in ("float32", "complex64") for _, array in program.values) else 1e-9


def described(seed, program):
    return f"seed {seed}:\n{sg.show([node for node, _ in program.values])}"


@contextmanager
def told(seed, program, *parts):
    """What fails meanwhile says in which program, and in which parts of it: texts that would take long each time."""
    try:
        yield
    except Exception as error:
        for part in (*parts, described(seed, program)):
            error.add_note(str(part))
        raise


def inputs_of(program):
    return dict(program.inputs)


@pytest.fixture(scope="module", params=range(GROUPS))
def drawn(request):
    """A group of programs with their seeds."""
    first = request.config.getoption("--fuzz-seed")
    return list(draw_group(request.param, OF_ANY_KIND, first))


def test_drawn_programs_mean_what_numpy_means(drawn):
    for seed, program in drawn:
        nodes = [node for node, _ in program.values]
        results = sg.evaluate(nodes, inputs_of(program))
        rounding = tolerance(program)
        for node, (_, expected), result in zip(nodes, program.values, results, strict=True):
            with told(seed, program):
                assert expected.dtype == result.dtype == node.dtype, node
                assert expected.shape == result.shape, node
                assert_shape_is_inferred(node, result, program.sizes)
                limit = rounding if result.dtype.kind in "fc" else 0
                np.testing.assert_allclose(result, expected, rtol=limit, atol=limit, err_msg=repr(node))


def assert_shape_is_inferred(node, result, sizes):
    decided_before = [all(size.source is None for size in symbols(dim)) for dim in node.shape]
    inferred = [
        evaluate_dim(dim, sizes) for dim, known in zip(node.shape, decided_before, strict=True) if known
    ]
    actual = [size for size, known in zip(result.shape, decided_before, strict=True) if known]

    assert inferred == actual, node


def test_drawn_programs_read_back_into_the_same_graph(drawn):
    for seed, program in drawn:
        g = graph([node for node, _ in program.inputs], [node for node, _ in program.values[-5:]])

        assert sg.parse(sg.show(g)) is g, described(seed, program)
        sg.verify(g)


@pytest.mark.parametrize("group", range(GROUPS))
def test_first_and_second_derivatives_of_drawn_programs_are_slopes(group, first_seed):
    for seed, program in draw_group(group, SMOOTH, first_seed, smooth=True):
        loss = as_node(0.0)
        for node, _ in program.values[-4:]:
            loss = loss + (sg.sin(node * 0.1)).sum()
        nodes = [node for node, _ in program.inputs]
        directions = [program.rng.normal(size=array.shape) for _, array in program.inputs]
        slope = directional(loss, nodes, directions)
        curvature = directional(slope, nodes, directions)

        at = [array for _, array in program.inputs]
        with told(seed, program):
            assert_slope(loss, slope, nodes, at, directions)
            assert_slope(slope, curvature, nodes, at, directions)


def directional(loss, nodes, directions):
    """The derivative along a direction, as a node."""
    gradients = sg.grad(loss, nodes, disconnected="zero")
    return sum(((g * v).sum() for g, v in zip(gradients, directions, strict=True)), start=as_node(0.0))


def assert_slope(value, slope, nodes, at, directions):
    run = schedule([value], nodes).run

    def along(step):
        return float(run([a + step * v for a, v in zip(at, directions, strict=True)])[0])

    expected, doubt = difference_quotient(along)
    found = float(sg.evaluate(slope, dict(zip(nodes, at, strict=True))))
    scale = max(1.0, abs(expected))

    assert doubt <= 1e-5 * scale, f"differences do not settle: {expected} ± {doubt}"
    assert abs(found - expected) <= 1e-6 * scale + 2 * doubt, (found, expected, doubt)


def difference_quotient(f):
    """The slope at 0, and by how much it may be wrong: central differences extrapolated until they settle.

    C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982).
    """
    best, doubt, before = 0.0, np.inf, []
    for i in range(8):
        h = 0.02 / 3**i
        row = [(f(h) - f(-h)) / (2 * h)]
        for j, coarse in enumerate(before):
            row.append(row[j] + (row[j] - coarse) / (9 ** (j + 1) - 1))
            error = max(abs(row[-1] - row[j]), abs(row[-1] - coarse))
            if error < doubt:
                best, doubt = row[-1], error
        before = row
    return best, doubt
