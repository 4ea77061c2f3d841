"""Kernels as NumPy calls: selects keep every bit, and nothing that a kernel uses is hidden by the name of an array."""

import numpy as np
import pytest

import symgraph as sg

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
     ("x", "x__1"), ("parts", "begun"), ("maximum", "add")],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(3, 4), (2, 100_000)])
def test_arrays_may_be_called_like_anything_in_a_kernel(names, shape):
    a, b = (sg.placeholder("float32", ("n", "k"), name=name) for name in names)
    first, second = np.random.default_rng(0).uniform(-2, 2, (2, *shape)).astype("float32")
    peak = sg.max(a - b, axis=1, keepdims=True)
    made = sg.where(a > 0, sg.exp(b), np.nan) + 0.5 * a[:, :1] + (a - b) / peak
    peaks = np.max(first - second, axis=1, keepdims=True)
    expected = np.where(first > 0, np.exp(second), np.float32(np.nan)) + 0.5 * first[:, :1]

    np.testing.assert_allclose(
        sg.function([a, b], made)(first, second), expected + (first - second) / peaks, rtol=1e-4
    )
