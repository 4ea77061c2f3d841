"""Kernels as machine code: every kernel of drawn programs by itself, from memory that is full of garbage."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.llvm_math import FUNCTIONS
from symgraph.codegen.spoken import unspoken
from symgraph.graph.evaluate import bind_sizes, schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.runtime.memory import Memory
from symgraph.runtime.native import NativeKernel
from tests.fuzz.drawing import draw_group
from tests.fuzz.test_fuzz import first_seed, told  # noqa: F401

pytestmark = pytest.mark.usefixtures("either_text")

GROUPS, PROGRAMS = 6, 12
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
                narrowest = min((width(node.row) for node in every if node.row.is_inexact), default=8)
                jumps = jumping(kernel)
                for node, found in zip(native.nodes, lying, strict=True):
                    if node in jumps:
                        continue
                    with told(seed, program, native.loops):
                        agree(found, values[node], narrowest)
    assert run


JUMPS = {
    "floor",
    "ceil",
    "trunc",
    "rint",
    "sign",
    "floor_divide",
    "remainder",
    "fmod",
    "argmax",
    "argmin",
    "astype",
}
JUMPS |= {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


def jumping(kernel):
    """The nodes that another rounding of something before them in the kernel may change as a whole."""
    rounded, found = set(), set()
    for node in kernel.nodes:
        before = set(node.inputs)
        if node.op.name in FUNCTIONS or node.op.name in ("sum", "prod") or before & rounded:
            rounded.add(node)
        narrows = node.op.name != "astype" or not node.row.is_float
        if before & found or (node.op.name in JUMPS and narrows and before & rounded):
            found.add(node)
    return found


def width(row):
    """Bytes of a float, or of a part of a complex number."""
    return row.bits // (16 if row.is_complex else 8)


def agree(found, expected, narrowest, message=""):
    """Within what a few operations lose in the narrowest floats that are among them."""
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected, err_msg=message)
        return
    limit = {2: 2e-2, 4: 2e-4, 8: 1e-9}[narrowest]
    wide = complex if found.dtype.kind == "c" else float
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            found.astype(wide), np.asarray(expected, wide), rtol=limit, atol=limit, err_msg=message
        )


def rows_of(shape, dtype):
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=shape) * 3
    return drawn.astype(dtype) if np.dtype(dtype).kind != "b" else drawn > 0


ONE = {
    "axpy": lambda x: 2.5 * x + x,
    "sum of rows": lambda x: sg.sum(x * 2, axis=-1),
    "sum of columns": lambda x: sg.sum(x * 2, axis=0),
    "sum of all": lambda x: sg.sum(x * 2),
    "sum of the middle": lambda x: sg.sum(x * 2, axis=1),
    "product": lambda x: sg.prod(sg.tanh(x) + 1.5, axis=-1),
    "largest": lambda x: sg.max(-x, axis=-1),
    "place of the largest": lambda x: sg.argmax(x.round() * 1.0, axis=-1),
    "place in columns": lambda x: sg.argmin(x.round() * 1.0, axis=0),
    "place in all": lambda x: sg.argmax(x.round() + 1.0),
    "variance": lambda x: sg.var(x, axis=-1),
    "softmax": lambda x: sg.softmax(x, axis=-1),
    "softmax of columns": lambda x: sg.softmax(x, axis=0),
    "log-softmax": lambda x: sg.log_softmax(x, axis=-1),
    "z-score": lambda x: (x - x.mean(0)) / (sg.std(x, axis=0) + 1),
    "transpose": lambda x: x.T * 2 + 1,
    "first row": lambda x: x * x[0] + x[..., :1],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(3, 5, 7), (37, 20, 3), (2, 1030, 1), (1, 1, 5003), (0, 3, 2), (65, 1, 16)]
)
@pytest.mark.parametrize("name", ONE)
def test_kernels_of_known_programs(name, shape, dtype):
    x = sg.placeholder(dtype, ("n", "m", "k"), name="x")
    compiled = sg.function([x], ONE[name](x), options=sg.Options(backend="llvm"))
    array = rows_of(shape, dtype)
    try:
        sg.evaluate(ONE[name](x), {x: array})
    except sg.SymgraphError as error:
        with pytest.raises(type(error)):
            compiled(array)
        return
    for given in (array, array[::-1][:, ::-1], array.transpose(2, 0, 1).copy().transpose(1, 2, 0)):
        expected = sg.evaluate(ONE[name](x), {x: given})
        agree(compiled(given), expected, np.dtype(dtype).itemsize, name)
    if array.size:
        array.flat[array.size // 2] = np.nan
        agree(compiled(array), sg.evaluate(ONE[name](x), {x: array}), np.dtype(dtype).itemsize, name)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("strange", [(), (2,), (0, 5), tuple(range(9))])
def test_what_only_some_rows_ask_for(axis, strange):
    """The norm scales rows whose squares leave the range; the others do not see that."""
    array = np.random.default_rng(0).normal(size=(9, 70))
    for n, row in enumerate(strange):
        array[row] *= 1e200 if n % 2 else 1e-200
    x = sg.placeholder("float64", ("n", "m"), name="x")
    f = sg.function([x], sg.norm(x, axis=axis), options=sg.Options(backend="llvm"))
    with np.errstate(all="ignore"):
        scale = np.abs(array).max(1)
        expected = scale * np.linalg.norm(array / scale[:, None], axis=1)

    np.testing.assert_allclose(f(array if axis else array.T.copy()), expected, rtol=1e-13)


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, -0.0, 0.0])
@pytest.mark.parametrize("shape", [(3, 5), (2, 70), (70, 2), (1, 1)])
def test_lanes_that_are_left_out_are_no_element(value, shape):
    x = sg.placeholder("float32", ("n", "m"), name="x")
    array = np.full(shape, value, "float32")
    for axis in (0, 1):
        for reduce in (sg.max, sg.min, sg.sum, sg.prod, sg.argmax, sg.argmin):
            f = sg.function([x], reduce(x, axis=axis), options=sg.Options(backend="llvm"))
            with np.errstate(invalid="ignore"):
                expected = getattr(np, reduce.__name__)(array, axis=axis)

            np.testing.assert_array_equal(f(array), expected, err_msg=reduce.__name__)
