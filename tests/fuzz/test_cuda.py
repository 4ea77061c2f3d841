"""Drawn programs as CUDA C on the simulator: the same results as the evaluator, in any order of threads."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.runtime import emulator
from symgraph.runtime.cuda_backend import CudaProgram
from tests.derived.test_cuda import Collector
from tests.fuzz.drawing import draw_group, loss_and_gradients
from tests.fuzz.test_fuzz import described, first_seed, tolerance  # noqa: F401

GROUPS, OF_ANY_KIND, SMOOTH = 4, 30, 10

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]


@pytest.mark.parametrize("group", range(GROUPS))
def test_cuda_means_what_programs_mean(group, first_seed, thorough):  # noqa: F811
    if group and not thorough:
        pytest.skip("pytest -m cuda_text runs it")
    drawn = list(draw_group(group, OF_ANY_KIND if thorough else 10, first_seed))
    check([(seed, program, [node for node, _ in program.values]) for seed, program in drawn])


@pytest.mark.parametrize("group", range(GROUPS))
def test_cuda_means_what_gradients_mean(group, first_seed, thorough):  # noqa: F811
    if group and not thorough:
        pytest.skip("pytest -m cuda_text runs it")
    drawn = list(draw_group(group, SMOOTH if thorough else 4, first_seed, smooth=True))
    check([(seed, program, loss_and_gradients(program)) for seed, program in drawn])


def check(programs):
    """All kernels are compiled together."""
    device = Collector()
    made = []
    for seed, program, outputs in programs:
        given = [node for node, _ in program.inputs]
        built = optimize(graph(given, outputs), sg.Options())[-1].graph
        each = CudaProgram(plan(built), device)
        arrays = [array for _, array in program.inputs]
        each.prepared(arrays)
        made.append(
            (each, arrays, schedule(built.roots, given).run(arrays), described(seed, program), program)
        )
    for each, arrays, expected, where, program in made:
        found = []
        for device.seed in (0, 1, 2):
            found.append(each.run(arrays))
        for a, *results in zip(expected, *found, strict=True):
            a, b = np.asarray(a), results[0]
            assert a.shape == b.shape and a.dtype == b.dtype, where
            assert len({np.asarray(x).tobytes() for x in results}) == 1, where
            limit = tolerance(program) if a.dtype.kind in "fc" else 0
            np.testing.assert_allclose(b, a, rtol=limit, atol=limit, err_msg=where)
