"""Drawn programs as plans: none costs more, by the estimate, than a step for each op."""

import pytest

import symgraph as sg
from symgraph.graph.evaluate import bind_sizes
from symgraph.graph.graph import graph
from symgraph.optimizations.lives import shape_of
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.optimizations.step_cost import step_cost
from tests.fuzz.drawing import draw_program, loss_and_gradients
from tests.fuzz.test_fuzz import described, first_seed  # noqa: F401

GROUPS, OF_ANY_KIND, SMOOTH = 10, 25, 8


@pytest.mark.parametrize("group", range(GROUPS))
def test_fusion_never_costs_more(group, first_seed):  # noqa: F811
    for seed in range(first_seed + group * OF_ANY_KIND, first_seed + (group + 1) * OF_ANY_KIND):
        program = draw_program(seed)
        assert_not_dearer([program.values[-1][0], program.values[len(program.values) // 2][0]], program, seed)


@pytest.mark.parametrize("group", range(GROUPS))
def test_fusion_of_gradients_never_costs_more(group, first_seed):  # noqa: F811
    for seed in range(first_seed + group * SMOOTH, first_seed + (group + 1) * SMOOTH):
        program = draw_program(seed, smooth=True)
        assert_not_dearer(loss_and_gradients(program), program, seed)


def assert_not_dearer(outputs, program, seed):
    given = [node for node, _ in program.inputs]
    built = optimize(graph(given, outputs), sg.Options())[-1].graph
    small = bind_sizes(given, [array for _, array in program.inputs])
    large = {size: 10_000 * number if number > 1 else number for size, number in small.items()}
    plans = [plan(built, fuse=fuse) for fuse in (True, False)]
    for sizes in (small, large):
        if all(fit(x, sizes) for step in plans[1].steps for x in step.writes):
            fused, apart = (sum(step_cost(step, sizes) for step in each.steps) for each in plans)
            assert fused <= apart, described(seed, program)


def fit(node, sizes):
    """Whether the sizes go together: 2 * m may be n, and m and n 1 and 2, but not 1 and 20,000."""
    try:
        shape_of(node, sizes)
    except sg.ShapeError:
        return False
    return True
