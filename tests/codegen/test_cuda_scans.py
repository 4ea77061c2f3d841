"""Cumulative sums and products, and recurrences, as CUDA C, beside the evaluator: axes, directions, dtypes, sizes."""

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import cuda_forms
from symgraph.graph.evaluate import bind_sizes
from symgraph.ops.scan import cumulative_prod, cumulative_sum, linear_recurrence
from symgraph.optimizations.plan import Call
from symgraph.runtime import cuda_scan, emulator, nvrtc
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.cuda_scan import CudaScan, is_cuda_scan
from symgraph.runtime.device import text_of
from symgraph.runtime.simulator import Simulator
from tests.codegen import cuda_cases
from tests.codegen.test_cuda_gather import LAYOUTS, SEEDS, bits, shifted

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]
WAYS = tuple(itertools.product((False, True), (False, True)))
"""Reverse, and exclusive."""
SHAPES = (
    (7,),
    (1, 1),
    (0, 3),
    (3, 0),
    (3, 5),
    (64, 100),
    (2, 33),
    (300, 8),
    (5, 1024),
    (2, 3, 40),
    (3, 40, 6),
)


class Case(cuda_cases.Case):
    """With the arrays as they were given."""

    def __init__(self, device, node, arrays, *, over=False):
        assert is_cuda_scan(Call(node))
        self.arrays = arrays
        sizes = bind_sizes(list(node.inputs), arrays)
        super().__init__(node, CudaScan(Call(node), device), sizes, arrays, -1 if over else None)


def check(device, cases, *, exact=False):
    device.load([kernel for case in cases for kernel in case.kernels()])
    for case in cases:
        attributes = case.node.attrs.fields()
        with np.errstate(all="ignore"):
            wanted = case.node.op.numpy(*case.arrays, **attributes)
        found = []
        for device.seed in SEEDS:
            found.append(case.run())
            assert bits(found[-1]).tobytes() == bits(found[0]).tobytes()
        if exact or case.node.row.is_integer:
            np.testing.assert_array_equal(wanted, found[0])
            continue
        wide = [x.astype("c16" if case.node.row.is_complex else "f8") for x in case.arrays]
        wanted = case.node.op.numpy(*wide, **attributes)
        least = (
            1e-2
            if case.node.row.bits == 16
            else 2e-6
            if case.node.row.name in ("float32", "complex64")
            else 1e-14
        )
        size = max(1.0, float(np.max(np.abs(wanted.astype("c16")), initial=0)))
        np.testing.assert_allclose(
            found[0].astype("c16"), wanted.astype("c16"), rtol=least, atol=least * size
        )


def placed(row, shape, name="x"):
    return sg.placeholder(row, tuple(f"n{axis}" for axis in range(len(shape))), name=name)


def draw(row, shape, seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    found = rng.normal(size=shape) * spread
    if row.startswith("complex"):
        found = found + 1j * rng.normal(size=shape)
    return found.astype(np.dtype(row))


@pytest.mark.parametrize(
    "row", ("float32", "float64", "float16", "int64", "int8", "uint16", "complex64", "complex128")
)
def test_sums(row):
    device, cases = Simulator(), []
    for n, shape in enumerate(SHAPES):
        for axis, (m, (reverse, exclusive)) in itertools.product(range(len(shape)), enumerate(WAYS)):
            node = cumulative_sum.op(placed(row, shape), axis=axis, reverse=reverse, exclusive=exclusive)
            lay = LAYOUTS[(n + m + axis) % len(LAYOUTS)]
            cases.append(Case(device, node, [lay(draw(row, shape))]))
            if m == 0:
                cases.append(Case(device, node, [draw(row, shape)], over=True))
    check(device, cases)


@pytest.mark.parametrize("row", ("float32", "float16", "int64", "uint8"))
def test_products(row):
    device, cases = Simulator(), []
    for n, shape in enumerate(SHAPES):
        for axis, (m, (reverse, exclusive)) in itertools.product(range(len(shape)), enumerate(WAYS)):
            node = cumulative_prod.op(placed(row, shape), axis=axis, reverse=reverse, exclusive=exclusive)
            lay = LAYOUTS[(n + m + axis) % len(LAYOUTS)]
            cases.append(Case(device, node, [lay(draw(row, shape))], over=m == 3))
    check(device, cases, exact=True)


@pytest.mark.parametrize("row", ("float32", "float64", "float16"))
def test_recurrences(row):
    device, cases = Simulator(), []
    for n, shape in enumerate(SHAPES):
        for axis, (m, (reverse, lagged)) in itertools.product(range(len(shape)), enumerate(WAYS)):
            a, b = placed(row, shape, "a"), placed(row, shape, "b")
            node = linear_recurrence.op(a, b, axis=axis, reverse=reverse, lagged=lagged)
            lay, other = (LAYOUTS[(n + m + k) % len(LAYOUTS)] for k in range(2))
            arrays = [lay(draw(row, shape, spread=0.7)), other(draw(row, shape, 1))]
            cases.append(Case(device, node, arrays, over=m == 3))
    check(device, cases, exact=True)


@pytest.mark.parametrize(
    "shape, axis", [((1, 40_000), 1), ((3, 33_333), 1), ((40_000, 2), 0), ((2, 5000, 3), 1)]
)
def test_long_rows_are_cut(shape, axis):
    device, cases = Simulator(), []
    for row, (reverse, exclusive), lay in zip(
        ("float32", "int32", "float64", "int64"), WAYS, (shifted, *LAYOUTS), strict=False
    ):
        node = cumulative_sum.op(placed(row, shape), axis=axis, reverse=reverse, exclusive=exclusive)
        cases += [
            Case(device, node, [lay(draw(row, shape))]),
            Case(device, node, [draw(row, shape)], over=True),
        ]
    node = cumulative_prod.op(placed("int32", shape), axis=axis, reverse=False, exclusive=False)
    cases.append(Case(device, node, [draw("int32", shape) | 1]))
    check(device, cases)
    assert all(len(case.kernels()) == 2 for case in cases)


def test_how_an_array_lies_changes_no_bit():
    device, x = Simulator(), placed("float32", (3, 4096))
    node = cumulative_sum.op(x, axis=1, reverse=False, exclusive=False)
    array = draw("float32", (3, 4096))
    found = [Case(device, node, [lay(array)]).run() for lay in LAYOUTS]

    assert len({bits(each).tobytes() for each in found}) == 1


def test_zero_has_its_sign_and_infinity_its_place():
    device = Simulator()
    strange = np.array([-0.0, -0.0, 0.0, -0.0, 1e30, 1e30, np.inf, 1, -np.inf, 1, np.nan, 1] * 9, "float32")
    for op, (reverse, exclusive) in itertools.product((cumulative_sum.op, cumulative_prod.op), WAYS):
        for array in (strange[:4], strange, strange[:6]):
            node = op(placed("float32", array.shape), axis=0, reverse=reverse, exclusive=exclusive)
            with np.errstate(all="ignore"):
                wanted = op.numpy(array, axis=0, reverse=reverse, exclusive=exclusive)
            found = Case(device, node, [array]).run()
            np.testing.assert_array_equal(wanted, found)
            known = ~np.isnan(wanted)
            np.testing.assert_array_equal(np.signbit(wanted[known]), np.signbit(found[known]))


def test_a_product_overflows_where_numpys_does():
    device = Simulator()
    array = np.array([[0.0, *[1e30] * 99], [1e30, *[1e-30] * 99], [1e-30] * 50 + [1e30] * 50], "float32")
    node = cumulative_prod.op(placed("float32", array.shape), axis=1, reverse=False, exclusive=False)

    check(device, [Case(device, node, [array])], exact=True)


def test_large_arrays_have_wide_indices(monkeypatch):
    monkeypatch.setattr(cuda_forms, "_NEAR", 1)
    monkeypatch.setattr(cuda_scan, "PART", 64)
    device, cases = Simulator(), []
    for shape, axis in (((3, 5000), 1), ((3, 100), 1), ((300, 8), 0), ((3, 5), 1)):
        node = cumulative_sum.op(placed("float32", shape), axis=axis, reverse=False, exclusive=False)
        cases.append(Case(device, node, [draw("float32", shape)]))
    check(device, cases)
    assert all("const long long" in kernel.text for case in cases for kernel in case.kernels())


def test_gradients_in_programs():
    x = sg.placeholder("float32", ("n", "m"), name="x")
    total = sg.sum(sg.cumprod(x, 1) ** 2) + sg.sum(sg.cumsum(x, 0) ** 2)
    outputs = [total, *sg.grad(total, [x])]
    array = draw("float32", (30, 20), spread=1.0)
    plan = sg.function([x], outputs).plan
    wanted = sg.evaluate(outputs, {x: array})
    first = None
    for seed in SEEDS:
        program = CudaProgram(plan, Simulator(seed))
        assert any(isinstance(each, CudaScan) for each in program.codes.values())
        found = program.run([array])
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
        first = first or found
        assert [bits(a).tobytes() for a in found] == [bits(a).tobytes() for a in first]


def test_what_is_left_to_a_library():
    z, x, mask = (
        sg.placeholder("complex64", ("n",), name="z"),
        sg.placeholder("float32", ("n",), name="x"),
        sg.placeholder("bool", ("n",), name="mask"),
    )

    assert not is_cuda_scan(Call(sg.cumprod(z)))
    assert not is_cuda_scan(Call(sg.cumsum(x[mask])))
    assert not is_cuda_scan(Call(sg.sort(x)))


def test_the_text_compiles():
    if not nvrtc.available():
        pytest.skip("there is no NVRTC")
    device, kernels = Simulator(), {}
    for row, shape, axis in (
        ("float32", (8, 4096), 1), ("float16", (1, 70_000), 1), ("int64", (40_000, 2), 0), ("int8", (64, 100), 1),
    ):  # fmt: skip
        for op in (cumulative_sum.op, cumulative_prod.op):
            node = op(placed(row, shape), axis=axis, reverse=False, exclusive=row == "int8")
            kernels |= {each.functions[0]: each for each in Case(device, node, [draw(row, shape)]).kernels()}
    a, b = (placed("float32", (64, 100), name) for name in "ab")
    node = linear_recurrence.op(a, b, axis=1, reverse=True, lagged=True)
    arrays = [draw("float32", (64, 100))] * 2
    kernels |= {each.functions[0]: each for each in Case(device, node, arrays).kernels()}
    for architecture in nvrtc.ARCHITECTURES:
        for name, found in nvrtc.report(text_of(list(kernels.values())), architecture).items():
            assert not found.spilled, name
            assert not found.stack, name
            assert not found.doubles, name
