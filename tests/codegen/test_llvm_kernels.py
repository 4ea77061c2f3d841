"""Kernels as machine code: every kernel of drawn programs by itself, from memory that is full of garbage."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.llvm_printer import unspoken
from symgraph.graph.evaluate import bind_sizes, schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.runtime.memory import Memory
from symgraph.runtime.native import NativeKernel
from tests.fuzz.drawing import draw_group
from tests.fuzz.test_fuzz import described, first_seed  # noqa: F401

GROUPS, PROGRAMS = 6, 40
SIZES = (0, 1, 2, 3, 7, 16, 37)


def garbage(shape, dtype, strange):
    """An array of bytes 0xA5, or one whose elements lie apart, or not aligned."""
    size = int(np.prod(shape)) * dtype.itemsize
    if strange == "apart":
        return np.full((*shape, 2), 0xA5, np.uint8).astype(dtype)[..., 0]
    memory = np.full(size + 64, 0xA5, np.uint8)
    start = 1 if strange == "unaligned" else 0
    return memory[start : start + size].view(dtype).reshape(shape)


@pytest.mark.parametrize("group", range(GROUPS))
def test_drawn_kernels(group, first_seed):  # noqa: F811
    run = 0
    for seed, program in draw_group(group, PROGRAMS, first_seed, sizes=SIZES):
        given = [node for node, _ in program.inputs]
        arrays = [array for _, array in program.inputs]
        built = optimize(graph(given, [node for node, _ in program.values]), sg.Options())[-1].graph
        planned = plan(built, given)
        for kernel in planned.kernels:
            native = NativeKernel(kernel)
            if unspoken(native.loops):
                continue
            known = schedule([*kernel.needs, *kernel.writes], given).run(arrays)
            values = dict(zip((*kernel.needs, *kernel.writes), known, strict=True))
            sizes = bind_sizes([*given, *values], [*arrays, *values.values()])
            for strange in ("in order", "apart", "unaligned"):
                lying = []
                for node in native.nodes:
                    lying.append(garbage(values[node].shape, node.dtype, strange))
                    if node not in set(kernel.writes):
                        lying[-1][...] = values[node]
                call = native.call(lying, sizes, 0)
                call(lying, Memory().arena(native.needs(sizes).room or 0))
                run += 1
                every = (*kernel.needs, *kernel.nodes)
                narrowest = min((node.dtype.itemsize for node in every if node.row.is_float), default=8)
                for node, found in zip(native.nodes, lying, strict=True):
                    agree(found, values[node], narrowest, f"{native.loops}\n{described(seed, program)}")
    assert run


def agree(found, expected, narrowest, message):
    """Within what a few operations lose in the narrowest floats that are among them."""
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected, err_msg=message)
        return
    limit = {2: 2e-2, 4: 2e-4, 8: 1e-9}[narrowest]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            found.astype(float), np.asarray(expected, float), rtol=limit, atol=limit, err_msg=message
        )
