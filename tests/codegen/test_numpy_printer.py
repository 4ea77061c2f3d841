"""Kernels as NumPy calls: selects keep every bit, and nothing that a kernel uses is hidden by the name of an array."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.optimizations.plan import plan
from symgraph.options import Target
from symgraph.runtime.numpy_backend import NumpyProgram

FLOATS = ["float16", "bfloat16", "float32", "float64"]
ODD = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-40, -1e-310, 1.5, -7.0]


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8)


def drawn(shape, dtype, seed):
    """Odd numbers in memory of different orders."""
    with np.errstate(all="ignore"):
        array = np.random.default_rng(seed).choice(ODD, size=shape)
        array = np.nan_to_num(array) if dtype not in FLOATS else array
        array = array.astype(sg.placeholder(dtype, (), name="x").dtype)
    return [array, np.asfortranarray(array), np.repeat(array, 2, axis=0)[::2], array[::-1]][seed % 4]


def selects(c, x, y):
    """Every way in which numbers, arrays and zeros meet, and the same with ``numpy.where``."""
    for a, b in [(x, y), (x, 0), (0, y), (x, -0.0), (1.5, y), (x, np.nan), (2.5, -1.0), (1, 0), (0, 3)]:
        yield sg.where(c, a, b), a, b


@pytest.mark.parametrize("dtype", [*FLOATS, "int8", "int32", "int64", "uint64", "bool", "complex64"])
@pytest.mark.parametrize(
    "shapes", [((7, 9),) * 3, ((7, 1), (7, 9), (1, 9)), ((7, 9), (7, 1), (7, 1)), ((300, 250),) * 3]
)
def test_a_select_keeps_every_bit(dtype, shapes):
    condition = np.random.default_rng(0).random(shapes[0]) < 0.5
    first, second = drawn(shapes[1], dtype, 1), drawn(shapes[2], dtype, 2)
    c = sg.placeholder("bool", condition.shape, name="c")
    x, y = (sg.placeholder(dtype, array.shape, name=name) for name, array in (("x", first), ("y", second)))
    known = {c: condition, x: first, y: second}
    for made, a, b in selects(c, x, y):
        if made.row is not x.row:
            continue  # a number of another kind
        a, b = (known[each] if isinstance(each, sg.Node) else x.dtype.type(each) for each in (a, b))
        inputs = [node for node in (c, x, y) if node in set(sg.toposort([made]))]
        found = sg.function(inputs, made)(*[known[node] for node in inputs])

        assert np.array_equal(bits(np.where(condition, a, b)), bits(found))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_a_select_writes_over_what_it_reads(dtype):
    c = sg.placeholder("bool", ("n",), name="c")
    x, y = (sg.placeholder(dtype, ("n",), name=name) for name in "xy")
    condition = np.random.default_rng(0).random(100_000) < 0.5
    arrays = [np.arange(100_000).astype(dtype), -np.arange(100_000).astype(dtype)]
    expected = np.where(condition, *arrays)
    for donated in ([x], [y], [x, y]):
        given = [array.copy() for array in arrays]
        found = sg.function([c, x, y], sg.where(c, x, y), donate=donated)(condition, *given)

        assert np.array_equal(expected, found)
        assert any(np.shares_memory(found, array) for array in given)


@pytest.mark.parametrize(
    "names",
    [("exp", "copyto"), ("c0", "r0"), ("rows", "once"), ("c", "float32"), ("int32", "t0"), ("columns", "add_up"),
     ("x", "x__1"), ("parts", "begun"), ("maximum", "add"), ("ended", "argmax"), ("find_first", "find_part")],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(3, 4), (2, 100_000)])
def test_arrays_may_be_called_like_anything_in_a_kernel(names, shape):
    a, b = (sg.placeholder("float32", ("n", "k"), name=name) for name in names)
    first, second = np.random.default_rng(0).uniform(-2, 2, (2, *shape)).astype("float32")
    peak = sg.max(a - b, axis=1, keepdims=True)
    made = sg.where(a > 0, sg.exp(b), np.nan) + 0.5 * a[:, :1] + (a - b) / peak
    made = made + sg.argmax(a - b, axis=1, keepdims=True)
    peaks = np.max(first - second, axis=1, keepdims=True)
    expected = np.where(first > 0, np.exp(second), np.float32(np.nan)) + 0.5 * first[:, :1]
    expected = expected + np.argmax(first - second, axis=1)[:, None]

    np.testing.assert_allclose(
        sg.function([a, b], made)(first, second), expected + (first - second) / peaks, rtol=1e-4
    )


EXTREME = [1.0, 1e200, 1e-200, 0.0, np.nan, np.inf, 1e308, 5e-324]


def mixed(rows, scales):
    """Rows of which some have squares out of range."""
    array = np.random.default_rng(0).normal(size=(len(rows), 40))
    with np.errstate(all="ignore"):
        return array * np.array([scales[n] for n in rows])[:, None]


@pytest.mark.parametrize("block", [1, 7, 40, 90, 1 << 16])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_row_has_the_same_norm_whatever_the_others_are(block, axis):
    x = sg.placeholder("float64", ("n", "k"), name="x")
    lay = np.asarray if axis else np.transpose
    planned = plan(sg.function([x], sg.norm(x, axis=axis))._program.stages[-1].graph)
    program = NumpyProgram(planned, Target(block=block))
    for n in range(1, 8):
        rows = mixed([0, n, 0, 0, n], EXTREME)
        (together,) = program.run([lay(rows)])
        (plain,) = program.run([lay(mixed([0] * 5, EXTREME))])

        assert np.array_equal(bits(together[[0, 2, 3]]), bits(plain[[0, 2, 3]]))
        with np.errstate(all="ignore"):
            expected = np.array([np.abs(row).max() * np.linalg.norm(row / np.abs(row).max()) for row in rows])
        known = np.isfinite(expected)
        np.testing.assert_allclose(expected[known], together[known], rtol=1e-12, atol=5e-323)


def test_a_sweep_that_no_row_needs_is_left_out():
    x = sg.placeholder("float64", ("n", "k"), name="x")
    y = sg.placeholder("float64", ("n", "k"), name="y")
    source = sg.function([x, y], sg.norm(x - y, axis=1)).source("numpy")
    first, _, second = source.partition("if not ")

    assert first.count("add_up") == second.count("            add_up") == 1
    assert "if " not in sg.function([x], sg.where(sg.sum(x, axis=1) > 0, x[:, 0], 2.0)).source("numpy")


@pytest.mark.parametrize("wanted", [False, True])
def test_what_a_branch_alone_reads_is_computed_where_some_row_takes_it(wanted):
    x = sg.placeholder("float64", ("n", "k"), name="x")
    total, largest = sg.sum(x, axis=1, keepdims=True), sg.max(x, axis=1, keepdims=True)
    again = sg.sum(sg.exp(x - total), axis=1, keepdims=True) * 2
    branches = (again, largest) if wanted else (largest, again)
    f = sg.function([x], [sg.where(largest > 1, *branches), total])
    for seed in range(4):
        array = np.random.default_rng(seed).uniform(0, [0.5, 2, 1.2, 0.9][seed], (6, 5))
        sums, peaks = array.sum(1, keepdims=True), array.max(1, keepdims=True)
        others = np.exp(array - sums).sum(1, keepdims=True) * 2
        expected = np.where(peaks > 1, *((others, peaks) if wanted else (peaks, others)))

        np.testing.assert_allclose(expected, f(array)[0], rtol=1e-13)
    assert (" if " + ("r" if wanted else "not r")) in f.source("numpy")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("donated", [False, True])
def test_an_extreme_of_an_array_and_a_number_keeps_every_bit(dtype, donated):
    x = sg.placeholder(dtype, ("n", "k"), name="x")
    column = sg.placeholder(dtype, ("n", 1), name="column")
    first, second = drawn((30, 40), dtype, 0), drawn((30, 1), dtype, 0)
    for made, expected in [
        (sg.maximum(x, 1), np.maximum(first, first.dtype.type(1))),
        (sg.minimum(column, x), np.minimum(second, first)),
        (sg.maximum(x, sg.max(x, axis=1, keepdims=True)), np.maximum(first, first.max(1, keepdims=True))),
        (sg.clip(x, 1, 2), np.clip(first, first.dtype.type(1), first.dtype.type(2))),
    ]:
        inputs = [node for node in (x, column) if node in set(sg.toposort([made]))]
        arrays = {x: first.copy(), column: second}
        f = sg.function(inputs, made, donate=[x] if donated else [])

        np.testing.assert_array_equal(expected, f(*[arrays[node] for node in inputs]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minus_an_absolute_value_has_its_sign_bit_set(dtype):
    x = sg.placeholder(dtype, ("n", "k"), name="x")
    array = drawn((6, 7), dtype, 0)
    for given in (array, array[:, ::2], array.T):
        found = sg.function([x], -abs(x))(given)

        np.testing.assert_array_equal(-np.abs(given), found)
        assert np.signbit(found[~np.isnan(found)]).all()
