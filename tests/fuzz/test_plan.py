"""Drawn programs as plans of kernels: the same results as the evaluator, in blocks of any size."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.lower import lower
from symgraph.codegen.verify_loops import verify_loops
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.options import Target
from symgraph.runtime.numpy_backend import NumpyProgram
from tests.fuzz.drawing import draw_group, loss_and_gradients
from tests.fuzz.test_fuzz import first_seed, told, tolerance  # noqa: F401

GROUPS, OF_ANY_KIND, SMOOTH = 10, 20, 7
BLOCKS = (1, 3, 1 << 15)


@pytest.mark.parametrize("group", range(GROUPS))
def test_plans_mean_what_programs_mean(group, first_seed):  # noqa: F811
    for seed, program in draw_group(group, OF_ANY_KIND, first_seed):
        with told(seed, program):
            assert_planned([node for node, _ in program.values], program)


@pytest.mark.parametrize("group", range(GROUPS))
def test_plans_mean_what_gradients_mean(group, first_seed):  # noqa: F811
    for seed, program in draw_group(group, SMOOTH, first_seed, smooth=True):
        with told(seed, program):
            assert_planned(loss_and_gradients(program), program)


def assert_planned(outputs, program):
    given = [node for node, _ in program.inputs]
    arrays = [array for _, array in program.inputs]
    built = optimize(graph(given, outputs), sg.Options())[-1].graph
    planned = plan(built)
    for kernel in planned.kernels:
        verify_loops(lower(kernel))
    expected = schedule(built.roots, given).run(arrays)
    for block in BLOCKS:
        results = NumpyProgram(planned, Target(block=block)).run(arrays)
        for a, b in zip(expected, results, strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert a.shape == b.shape and a.dtype == b.dtype
            limit = tolerance(program) if a.dtype.kind in "fc" else 0
            np.testing.assert_allclose(b, a, rtol=limit, atol=limit)
