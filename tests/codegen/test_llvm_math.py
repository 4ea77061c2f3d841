import itertools

import mpmath
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
    rng, case = np.random.default_rng(3), CASES[name]
    given = [some(case, np.dtype(dtype), count, rng) for _ in range(case.arguments)]
    if case.arguments < 3:
        return given
    fitting = case.fitting(given[0][STRANGE:], rng)  # most of what is drawn apart is outside, which is NaN
    return [np.concatenate([x[:STRANGE], y]) for x, y in zip(given, fitting, strict=True)]


def bits(values):
    """The bytes of numbers; NaN has one sign."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values).tobytes()


def test_every_function_has_a_limit():
    assert set(FUNCTIONS) == set(CASES)


SLOWLY = {"betainc", "gammainc", "gammaincc"}
"""What takes mpmath seconds to compute."""
STRANGE = 100
"""Of three arguments that need not fit each other."""


@pytest.mark.parametrize("name, dtype", BOTH)
def test_errors_are_within_the_limit(name, dtype):
    found = measured(name, dtype, 3_000 if name in SLOWLY else 8_000, every=1 << 15)

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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [1, 2, 3, 8])
def test_polygamma_is_exact_above_0_and_relative_to_its_terms_below(order, dtype):
    rng = np.random.default_rng(5)
    above = np.concatenate([rng.uniform(0.1, 40, 300), 10.0 ** rng.uniform(-3, 3, 100)]).astype(dtype)
    below = -rng.uniform(0, 9, 100).astype(dtype)
    x = symgraph.placeholder(dtype, ("n",), name="x")
    run = symgraph.function([x], symgraph.polygamma(order, x), options=symgraph.Options(backend="llvm"))

    expected, terms = np.array([zeta_sum(order, mpmath.mpf(float(each))) for each in [*above, *below]]).T
    found = run(np.concatenate([above, below])).astype(np.longdouble)

    apart = np.abs(found - expected) / np.spacing(terms.astype(dtype))
    assert apart[: above.size].max() <= (4 if order <= 3 else 6)
    assert apart[above.size :].max() <= 8
    assert [np.inf * (-1) ** (order + 1)] * 4 == run(np.array([0.0, -0.0, -2.0, -np.inf], dtype)).tolist()
    assert 0.0 == run(np.array([np.inf], dtype))[0] and np.isnan(run(np.array([np.nan], dtype))[0])


def zeta_sum(order, x):
    """``order! * Σ ±(x + k)**-(order + 1)``, and the same of sizes."""
    with mpmath.workdps(40):
        powers = [(x + k) ** -(order + 1) for k in range(12)]
        rest = mpmath.zeta(order + 1, x + 12)
        factor = mpmath.factorial(order)
        total = (-1) ** (order + 1) * factor * (mpmath.fsum(powers) + rest)
        return [
            np.longdouble(str(total)),
            np.longdouble(str(factor * (mpmath.fsum(map(abs, powers)) + rest))),
        ]


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32", "uint64"])
def test_integer_powers_and_reciprocals_are_those_of_numpy(dtype):
    info, rng = np.iinfo(dtype), np.random.default_rng(5)
    edges = np.array([0, 1, 2, info.max, info.min], dtype)
    values = np.concatenate([rng.integers(info.min, info.max, 200, dtype, endpoint=True), edges])
    x = symgraph.placeholder(dtype, ("n",), name="x")
    llvm = symgraph.Options(backend="llvm")

    for exponent in (0, 1, 2, 3, 7, 31, 63):
        run = symgraph.function([x], x**exponent, options=llvm)
        assert np.power(values, np.array(exponent, dtype)).tolist() == run(values).tolist()
        assert "loops of NumPy" not in str(run.explain())
    safe = values[values != 0]
    assert (
        np.reciprocal(safe).tolist()
        == symgraph.function([x], symgraph.reciprocal(x), options=llvm)(safe).tolist()
    )


def test_arguments_hold_the_special_places():
    (given,) = list(drawn(CASES["exp"], "float64", 1_000, 64))[-1]

    assert {0.0, np.inf, -np.inf, 1.0, 709.78} <= set(given.tolist())
    assert np.isnan(given).any()
