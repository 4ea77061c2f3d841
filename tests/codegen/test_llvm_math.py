import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph
from bench.ulp import CASES, drawn, kernel, measured, some, widest
from symgraph.codegen.llvm_math import FUNCTIONS
from symgraph.graph.op import OPS

pytestmark = pytest.mark.cpu

DTYPES = ("float32", "float64")
BOTH = list(itertools.product(FUNCTIONS, DTYPES))


def special_values(dtype):
    info = np.finfo(dtype)
    positive = [0, info.smallest_subnormal, info.tiny, 1e-20, 0.5, 1, 1.5, 2, 3, 100, 1e5, 1e20, info.max]
    return np.array([*positive, *(-x for x in positive), -0.0, np.inf, -np.inf, np.nan], dtype)


def arguments_of(name, dtype, count):
    rng = np.random.default_rng(3)
    return [some(CASES[name], np.dtype(dtype), count, rng) for _ in range(CASES[name].arguments)]


def bits(values):
    """The bytes of numbers; NaN has one sign."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values).tobytes()


def test_every_function_has_a_limit():
    assert set(FUNCTIONS) == set(CASES)


@pytest.mark.parametrize("name, dtype", BOTH)
def test_errors_are_within_the_limit(name, dtype):
    found = measured(name, dtype, 8_000, every=1 << 15)

    assert found.worst <= CASES[name].limit, found.at
    assert 0 == found.wrong


OF_SCIPY = {"gammaln", "digamma", "lbeta", "gammainc", "gammaincc", "betainc"}
"""SciPy's own overflow where the arguments do."""


@pytest.mark.parametrize("name, dtype", BOTH)
def test_special_values_are_those_of_numpy(name, dtype):
    values = special_values(dtype)
    if name in OF_SCIPY:
        size = np.abs(values)
        values = values[~(np.isfinite(values) & (size > 0) & ((size < 1e-10) | (size > 1e4)))]
    given = [x.ravel() for x in np.meshgrid(*[values] * CASES[name].arguments)]
    with np.errstate(all="ignore"):
        expected = OPS[name].numpy(*given)

    found = kernel(name, dtype, widest(dtype), 2)(*given)

    least = np.finfo(dtype).smallest_subnormal
    for mark in (np.isnan, np.isinf, lambda x: np.abs(x) <= least, lambda x: np.isnan(x) | np.signbit(x)):
        differ = mark(expected) != mark(found)
        assert [] == list(zip(*(x[differ] for x in (*given, expected, found)), strict=True))


@pytest.mark.parametrize("name, dtype", BOTH)
def test_bits_are_the_same_for_all_lanes_and_levels(name, dtype):
    given = arguments_of(name, dtype, 2_000)
    expected = kernel(name, dtype, widest(dtype), 2)(*given)

    for lanes, level in ((0, 2), (4, 0), (8, 0), (16, 0), (widest(dtype), 0)):
        assert bits(expected) == bits(kernel(name, dtype, lanes, level)(*given)), (lanes, level)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "peak", [0.0, -0.3, 0.3466, 60.123, -93.7, 223.9, 224.1, -224.1, 1535.7, 12345.678, -3e6]
)
def test_softmax_is_exact_below_any_peak(dtype, peak):
    rng = np.random.default_rng(5)
    below = np.concatenate([rng.uniform(-800, 0, 997), -(10.0 ** rng.uniform(-9, 2, 1000)), [-np.inf, -1e30]])
    rows = np.concatenate([[0], below]).astype(dtype) + np.asarray(peak, dtype)
    x = symgraph.placeholder(dtype, ("n", "k"), name="x")

    found = symgraph.function([x], symgraph.softmax(x))(rows[None])[0]

    powers = np.exp(rows.astype(np.longdouble) - rows[0].astype(np.longdouble))
    expected = powers / powers.sum()
    apart = np.abs(found - expected) / np.spacing(expected.astype(dtype)).astype(np.longdouble)
    assert apart[np.isfinite(rows)].max() <= 4
    assert [0] == found[~np.isfinite(rows)].tolist()


def test_arguments_hold_the_special_places():
    (given,) = list(drawn(CASES["exp"], "float64", 1_000, 64))[-1]

    assert {0.0, np.inf, -np.inf, 1.0, 709.78} <= set(given.tolist())
    assert np.isnan(given).any()
