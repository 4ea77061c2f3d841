"""Stability is semantics: both suites in drawn respellings, dtypes and shapes, with intermediates as outputs."""

import zlib

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.walk import transform
from tests.optimizations.respell import intermediates, respelt
from tests.optimizations.suite import GRADIENTS, STABILITY

RESPELLINGS = 20
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e308, 1.5, -2.0])


def generator(check, number):
    return np.random.default_rng([zlib.crc32(str(check).encode()), number])


def test_the_suites_are_whole():
    assert 41 == len(STABILITY) == len(set(map(str, STABILITY)))
    assert 12 == len(GRADIENTS)


@pytest.mark.parametrize("check", STABILITY, ids=str)
def test_stability(check):
    for number in range(RESPELLINGS):
        rng = generator(check, number)
        dtype = ["float64", "float64", "float32"][rng.integers(3)]
        at = check.at if dtype == "float64" or check.at32 is None else check.at32
        found, rounded = run(check, at, dtype, rng)
        truth = check.exactly(rounded)
        assert_near(found, truth, 1e-12 if dtype == "float64" else 2e-6, (number, dtype))


def run(check, at, dtype, rng):
    """The value of a respelling on a row among others, and the argument as the dtype holds it."""
    row = np.atleast_1d(np.array(at, dtype))
    rows = np.stack([np.full_like(row, 0.5), row])
    shapes = [("n", rows.shape[1]), (2, rows.shape[1]), ("n", "k")]
    x = sg.placeholder(dtype, shapes[rng.integers(3)], name="x")
    root = respelt(check.build(x), rng)
    inner = intermediates(root)
    others = [inner[i] for i in rng.integers(len(inner), size=2)] if inner and rng.integers(2) else []
    if rng.integers(3) == 0:
        root = index_between(root, x, rng)
    result = sg.function([x], [root, *others])(rows)[0][-1]
    if isinstance(at, tuple):
        return result, tuple(map(float, row))
    return result[0], float(row[0])


def index_between(root, x, rng):
    """The expression with an index between an intermediate and its uses, and on other ways to the input."""
    inner = [node for node in intermediates(root) if node.shape == x.shape] or [x]
    middle = inner[rng.integers(len(inner))]
    return transform([root], lambda node: node, {x: x[1:], middle: middle[1:]})[0]


def assert_near(found, truth, limit, where):
    pairs = zip(found, truth, strict=True) if isinstance(truth, list) else [(found, truth)]
    for value, exact in pairs:
        with mpmath.workdps(50):
            error = abs(mpmath.mpf(float(value)) - exact)
            assert error <= limit * abs(exact) + mpmath.mpf("1e-320"), (
                float(value),
                mpmath.nstr(exact, 20),
                where,
            )


@pytest.mark.parametrize("slope", GRADIENTS, ids=str)
def test_gradient_safety(slope):
    for number in range(RESPELLINGS):
        rng = generator(slope, number)
        dtype = ["float64", "float32"][rng.integers(2)]
        row = np.atleast_1d(np.array(slope.at, dtype))
        rows = np.stack([row, row])
        x = sg.placeholder(dtype, ("n", row.size), name="x")
        root = respelt(slope.build(x), rng)
        (gradient,) = sg.grad(root.sum(), [x])
        found = sg.function([x], [gradient, *intermediates(root)[: rng.integers(3)]])(rows)[0]

        np.testing.assert_allclose(
            found, np.broadcast_to(slope.slope, found.shape), rtol=1e-6, err_msg=str(number)
        )


KEPT = {
    "x*0": (lambda x: x * 0, lambda x: x * 0),
    "x-x": (lambda x: x - x, lambda x: x - x),
    "x/x": (lambda x: x / x, lambda x: x / x),
    "exp(log(x))": (lambda x: sg.exp(sg.log(x)), lambda x: np.exp(np.log(x))),
    "sqrt(x)**2": (lambda x: sg.sqrt(x) ** 2, lambda x: np.sqrt(x) ** 2),
    "x*y/y": (lambda x: x * 3.0 / 3.0, lambda x: x * 3.0 / 3.0),
    "x+0.0": (lambda x: x + 0.0, lambda x: x + 0.0),
    "0.0-x": (lambda x: 0.0 - x, lambda x: 0.0 - x),
    "x*1": (lambda x: x * 1, lambda x: x * 1),
    "--x": (lambda x: sg.negative(-x), lambda x: x),
    "(x+1)-1": (lambda x: (x + 1) - 1, lambda x: (x + 1) - 1),
    "x*x-x*x": (lambda x: x * x - x * x, lambda x: x * x - x * x),
}


@pytest.mark.parametrize("ours, theirs", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_ieee_results_are_kept(ours, theirs, dtype):
    x = sg.placeholder(dtype, ("n",), name="x")
    with np.errstate(all="ignore"):
        at = EDGES.astype(dtype)
        expected = theirs(at)
    found = sg.function([x], ours(x))(at)
    numbers = ~np.isnan(expected)

    np.testing.assert_array_equal(found, expected)
    assert np.signbit(expected[numbers]).tolist() == np.signbit(found[numbers]).tolist()


def test_integers_wrap_around():
    x = sg.placeholder("int32", ("n",), name="x")
    at = np.array([2**31 - 1, -(2**31), 7], "int32")
    f = sg.function([x], [(x + 1) - 1, x * 2 // 2, x * 3 + x * 5])
    with np.errstate(over="ignore"):
        expected = [(at + np.int32(1)) - np.int32(1), at * np.int32(2) // np.int32(2), at * np.int32(8)]

    assert [each.tolist() for each in expected] == [each.tolist() for each in f(at)]
