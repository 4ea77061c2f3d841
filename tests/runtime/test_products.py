"""Products of matrices and vectors as steps of machine code: of any sizes, however the operands lie."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime.native_product import NativeProduct

FORMS = {
    "matrices": (("m", "k"), ("k", "n")),
    "matrix and vector": (("m", "k"), ("k",)),
    "vector and matrix": (("k",), ("k", "n")),
    "vectors": (("k",), ("k",)),
}
SIZES = [(1, 1, 1), (0, 3, 2), (3, 0, 2), (2, 3, 0), (1000, 20, 7), (7, 33, 200), (64, 784, 96), (97, 65, 33)]
SIZES += [(130, 70, 257)]
LYING = {
    "in order": np.copy,
    "backwards": lambda x: x[::-1],
    "turned": np.asfortranarray,
    "apart": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_products_are_numpys(form, dtype):
    rng = np.random.default_rng(0)
    x, y = (sg.placeholder(dtype, shape, name=name) for shape, name in zip(FORMS[form], "xy", strict=True))
    f = sg.function([x, y], x @ y)
    assert [type(made) for made in f._program.executor.compiled.codes.values()] == [NativeProduct]
    for m, k, n in SIZES:
        sizes = {"m": m, "k": k, "n": n}
        a, b = (rng.normal(size=[sizes[size] for size in shape]).astype(dtype) for shape in FORMS[form])
        terms = np.abs(a).astype("float64") @ np.abs(b).astype("float64")
        for lying in LYING.values():
            for other in LYING.values():
                found, expected = f(lying(a), other(b)), lying(a) @ other(b)
                assert found.shape == expected.shape
                assert found.dtype == expected.dtype
                assert np.all(np.abs(found - expected) <= 4 * np.finfo(dtype).eps * (terms + 1))


BATCHES = [
    ((4,), (4,)),
    ((4,), ()),
    ((), (4,)),
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((2, 1, 3), (1, 4, 1)),
    ((0, 2), (1,)),
    ((1, 1), (1,)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_batches_of_products_are_numpys(batches, dtype):
    rng = np.random.default_rng(1)
    for m, k, n in [(5, 7, 3), (1, 4, 9), (8, 0, 2), (17, 33, 65), (129, 65, 130)]:
        for one, other in [((m, k), (k, n)), ((m, k), (k,)), ((k,), (k, n))]:
            if (len(one) == 1 and batches[0]) or (len(other) == 1 and batches[1]):
                continue
            a, b = (
                rng.normal(size=batch + shape).astype(dtype)
                for batch, shape in zip(batches, (one, other), strict=True)
            )
            x, y = (
                sg.placeholder(dtype, array.shape, name=name)
                for array, name in zip((a, b), "xy", strict=True)
            )
            f = sg.function([x, y], x @ y, options=sg.Options(threads=2))
            for lying in LYING.values():
                found, expected = f(lying(a), lying(b)), lying(a) @ lying(b)
                assert found.shape == expected.shape
                np.testing.assert_allclose(found, expected, rtol=0, atol=np.finfo(dtype).eps * 40 * (k + 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_large_products_in_loops_and_gradients(dtype, threads):
    rng, options = np.random.default_rng(2), sg.Options(threads=threads)
    a, b = rng.normal(size=(130, 200)).astype(dtype), (rng.normal(size=(200, 200)) / 14).astype(dtype)
    x, w = sg.placeholder(dtype, (None, 200), name="x"), sg.placeholder(dtype, (200, 200), name="w")
    weight = sg.variable(b, name="weight")
    given, kept = (sg.fori_loop(0, 4, lambda _, h, y=y: sg.tanh(h @ y), x) for y in (w, weight))
    of_given = sg.function([x, w], given, options=options)
    of_weight = sg.function([x], kept, options=options)
    slopes = sg.function([x, w], sg.grad(sg.sum(sg.square(sg.tanh(x @ w) @ w)), [x, w]), options=options)

    exact, y = np.float64(a), np.float64(b)
    for _ in range(4):
        exact = np.tanh(exact @ y)
    hidden = np.tanh(np.float64(a) @ y)
    above = 2 * hidden @ y
    below = above @ y.T * (1 - hidden**2)

    for _ in range(3):
        first, second = of_given(a, b), of_weight(a)
        assert first.tobytes() == second.tobytes()
        np.testing.assert_allclose(first, exact, rtol=0, atol=40 * np.finfo(dtype).eps)
        wanted = (below @ y.T, hidden.T @ above + np.float64(a).T @ below)
        for found, right in zip(slopes(a, b), wanted, strict=True):
            np.testing.assert_allclose(
                found, right, rtol=0, atol=40 * np.finfo(dtype).eps * np.abs(right).max()
            )


@pytest.mark.parametrize("form", FORMS)
def test_sizes_that_do_not_fit_are_refused(form):
    one, two = (tuple(f"{size}_{n}" for size in shape) for n, shape in enumerate(FORMS[form]))
    x, y = sg.placeholder("float64", one, name="x"), sg.placeholder("float64", two, name="y")
    with pytest.raises(sg.ShapeError, match="test_products"):
        sg.function([x, y], x @ y)(np.ones((3,) * len(one)), np.ones((2,) * len(two)))
