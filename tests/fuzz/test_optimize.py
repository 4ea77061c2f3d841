"""Drawn programs through the passes: the same results, types and sizes, nothing left to do, and no more work."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.graph.op import PLACEHOLDER
from symgraph.graph.walk import leaves, toposort
from symgraph.optimizations.cost import cost, node_cost
from symgraph.optimizations.pattern import MOVES
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.rules import BITS, SHARPER
from tests.fuzz.drawing import draw_group, loss_and_gradients
from tests.fuzz.test_fuzz import first_seed, told, tolerance  # noqa: F401

GROUPS, OF_ANY_KIND, SMOOTH = 10, 70, 30  # 10 groups of 70 and 30 programs: 1,000
CHECKED = sg.Options(verify=True)


@pytest.mark.parametrize("group", range(GROUPS))
def test_the_passes_keep_what_programs_mean(group, first_seed):  # noqa: F811
    for seed, program in draw_group(group, OF_ANY_KIND, first_seed):
        with told(seed, program):
            assert_kept([node for node, _ in program.values], program)


@pytest.mark.parametrize("group", range(GROUPS))
def test_the_passes_keep_gradients(group, first_seed):  # noqa: F811
    for seed, program in draw_group(group, SMOOTH, first_seed, smooth=True):
        with told(seed, program):
            assert_kept(loss_and_gradients(program), program)


def assert_kept(outputs, program):
    given = [node for node, _ in program.inputs]
    built = graph(given, outputs)
    stages = optimize(built, CHECKED)
    made = stages[-1].graph
    arrays = [array for _, array in program.inputs]
    before = schedule(built.roots, given).run(arrays)
    after = schedule(made.roots, given).run(arrays)
    exactly = all(each.rule.keeps is BITS for stage in stages for each in stage.fired) and not sums(
        built.roots
    )
    for old, new, a, b in zip(built.roots, made.roots, before, after, strict=True):
        assert old.ndim == new.ndim and old.row is new.row
        assert a.shape == b.shape and a.dtype == b.dtype
        limit = 0 if exactly or a.dtype.kind not in "fc" else tolerance(program)
        np.testing.assert_allclose(b, a, rtol=limit, atol=limit)

    assert optimize(made, sg.Options())[-1].graph is made
    assert {x for x in leaves(made.roots) if x.op is PLACEHOLDER} <= set(given)
    fired = [each for stage in stages for each in stage.fired]
    sharper = sum(added(each.before, each.after) for each in fired if each.rule.keeps is SHARPER)
    assert cost(made.roots) <= cost(built.roots) + sharper


def sums(roots):
    """Whether anything is added up, in an order that NumPy chooses by the layout in memory."""
    return any(
        node.inputs
        and node.row.kind in ("float", "complex")
        and not node.op.elementwise
        and node.op not in MOVES
        for node in toposort(roots)
        if isinstance(node.type, sg.TensorType)
    )


def added(before, after):
    """What the nodes cost that one node needs and the other does not, as softplus(x) beside log(1 + exp(x))."""
    known = set(toposort([before]))
    return sum(node_cost(node) for node in toposort([after]) if node not in known)
