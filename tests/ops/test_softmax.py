"""Softmax and its kin of nothing: of no exponentials the sum is 0 and its logarithm -inf. And of NaN."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, OutOfBoundsError, ShapeError
from symgraph.ops.reduce import supremum

ROWS = {
    "softmax": lambda x: sg.softmax(x, axis=1),
    "log_softmax": lambda x: sg.log_softmax(x, axis=1),
    "shares": lambda x: sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True),
    "logarithms of shares": lambda x: sg.log(sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)),
    "less the logsumexp": lambda x: x - sg.logsumexp(x, axis=1, keepdims=True),
}
"""Functions that are as large as their argument."""
SUMS = {
    "logsumexp": lambda x: sg.logsumexp(x, axis=1),
    "log of the sum of exp": lambda x: sg.log(sg.sum(sg.exp(x), axis=1)),
    "log of some sums of exp": lambda x: sg.log(sg.sum(sg.exp(x), axis=1)[::-1]),
    "supremum": lambda x: supremum(x * 2, axis=1),
}
"""Functions that are -inf of nothing."""
SIZES = (("n", "m"), ("n", 0), (2, 0))
DTYPES = ("float16", "bfloat16", "float32", "float64")
BACKENDS = ("numpy", pytest.param("llvm", marks=pytest.mark.cpu))


def nothing(dtype="float64", shape=("n", "m")):
    x = sg.placeholder(dtype, shape, name="x")
    return x, np.zeros((2, 0), x.dtype)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("f", [*ROWS.values(), *SUMS.values()], ids=[*ROWS, *SUMS])
@pytest.mark.parametrize("backend", BACKENDS)
def test_passes_keep_what_comes_of_nothing(f, shape, backend):
    for dtype in DTYPES:
        x, array = nothing(dtype, shape)
        expected = np.full(2, -np.inf) if f in SUMS.values() else array

        for found in (sg.evaluate(f(x), {x: array}), compiled(x, f(x), backend)(array)):
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found.astype("float64"), expected.astype("float64"))


def compiled(x, outputs, backend):
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    return sg.function([x], outputs, options=sg.Options(backend=backend))


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_program_serves_rows_with_elements_and_without(backend):
    x, array = nothing()
    f = compiled(x, [sg.softmax(x, axis=1), sg.logsumexp(x, axis=0), sg.logsumexp(x)], backend)
    some = np.log([[1.0, 3.0], [1.0, 1.0]])

    for given, expected in (
        (some, [[[0.25, 0.75], [0.5, 0.5]], np.log([2.0, 4.0]), np.log(6.0)]),
        (array, [array, np.zeros(0), -np.inf]),
        (array.T, [array.T, [-np.inf, -np.inf], -np.inf]),
        (some, [[[0.25, 0.75], [0.5, 0.5]], np.log([2.0, 4.0]), np.log(6.0)]),
    ):
        for found, want in zip(f(given), expected, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_nothing_are_nothing(backend):
    x, array = nothing()
    t = sg.placeholder("float64", ("n", "m"), name="t")
    for f in (*ROWS.values(), *SUMS.values()):
        slope = sg.grad(f(x).sum(), [x])[0]
        curvature = sg.grad((slope * x).sum(), [x])[0]
        (tangent,) = sg.jvp([f(x)], [x], [t])
        options = sg.Options(backend=backend)
        found = sg.function([x, t], [slope, curvature, tangent], options=options)(array, array)

        assert [(2, 0), (2, 0)] == [each.shape for each in found[:2]]
        np.testing.assert_array_equal(found[2], np.zeros(2) if f in SUMS.values() else array)


def test_batches_of_nothing():
    x = sg.placeholder("float64", ("k", "m"), name="x")
    f = sg.vmap(lambda row: (sg.softmax(row), sg.logsumexp(row), supremum(row)))
    shares, total, top = sg.function([x], f(x))(np.zeros((3, 0)))

    assert (3, 0) == shares.shape
    np.testing.assert_array_equal([total, top], np.full((2, 3), -np.inf))


def test_losses_of_no_classes():
    x, array = nothing()
    p = sg.placeholder("float64", ("n", "m"), name="p")
    i = sg.placeholder("int64", ("n",), name="i")
    of_places = sg.function([x, i], sg.cross_entropy(x, i))

    np.testing.assert_array_equal(sg.function([x, p], sg.cross_entropy(x, p))(array, array), [0, 0])
    assert (0,) == of_places(array[:0], np.zeros(0, "int64")).shape
    with pytest.raises(OutOfBoundsError, match=r"test_softmax\.py"):
        of_places(array, np.zeros(2, "int64"))


def test_the_largest_of_nothing_raises_beside_a_softmax():
    x, array = nothing()
    f = sg.function([x], [sg.softmax(x, axis=1), sg.max(x, axis=1)])

    assert "supremum" not in str(f.plan)
    with pytest.raises(ShapeError, match=r"max.*test_softmax\.py"):
        f(array)


def test_a_supremum_is_of_floats():
    with pytest.raises(DTypeError, match="no int32 is below all others"):
        supremum(sg.placeholder("int32", ("n",), name="x"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_supremum_is_of_numbers(backend, axis):
    """And where one of them is NaN, so is what it is for."""
    x = sg.placeholder("float32", ("n", "m"), name="x")
    array = np.random.default_rng(0).normal(size=(40, 70)).astype("float32")
    array[3, :], array[:, 5], array[7, 9], array[20, 30] = np.nan, np.nan, np.inf, np.nan
    top, shares, total = sg.function(
        [x], [supremum(x, axis=axis), sg.softmax(x, axis=axis), sg.logsumexp(x, axis=axis)],
        options=sg.Options(backend=backend),
    )(array)  # fmt: skip
    is_nan = np.isnan(array).any(axis=axis)

    np.testing.assert_array_equal(top, np.fmax.reduce(array, axis, initial=-np.inf))
    np.testing.assert_array_equal(np.isnan(total), is_nan)
    assert np.isnan(np.compress(is_nan, shares, axis=1 - axis)).all()
