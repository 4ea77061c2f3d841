"""Functions of complex numbers: NumPy's values at the edges, small errors elsewhere."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg

DTYPES = ("complex64", "complex128")
FLOAT = {"complex64": np.float32, "complex128": np.float64}
WIDER = {"complex64": np.complex128, "complex128": np.clongdouble}

OF_ONE = {
    "negative": np.negative,
    "conj": np.conj,
    "reciprocal": np.reciprocal,
    "abs": np.abs,
    "real": np.real,
    "imag": np.imag,
    "sign": np.sign,
    "rint": np.rint,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "logical_not": np.logical_not,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
}
OF_TWO = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
LIMITS = dict.fromkeys((*OF_ONE, *OF_TWO), 5.0)
"""In units of the last place of the size of the result."""
NAMES = [(name, dtype) for dtype in DTYPES for name in (*OF_ONE, *OF_TWO)]
LONG_PRECISION = np.finfo(np.longdouble).nmant >= 63


def pairs(parts, dtype):
    real, imag = np.meshgrid(np.array(parts, FLOAT[dtype]), np.array(parts, FLOAT[dtype]), indexing="ij")
    found = np.empty(real.size, dtype)
    found.real, found.imag = real.ravel(), imag.ravel()
    return found


def special_values(dtype):
    info = np.finfo(FLOAT[dtype])
    sizes = [0, 1, 0.5, 2, info.max, info.tiny, info.smallest_subnormal, np.inf]
    return pairs([*sizes, *(-x for x in sizes), np.nan], dtype)


def drawn(dtype, count):
    rng = np.random.default_rng(5)
    span = 15 if dtype == "complex64" else 100

    def around(center, least):
        return center + 10.0 ** rng.uniform(least, 0, count) * np.exp(1j * rng.uniform(-np.pi, np.pi, count))

    far = 10.0 ** rng.uniform(-span, span, count) * np.exp(1j * rng.uniform(-np.pi, np.pi, count))
    quarters = rng.uniform(-80, 80, count) + 1j * np.round(rng.uniform(-40, 40, count)) * np.pi / 2
    plain = rng.uniform(-3, 3, count) + 1j * rng.uniform(-3, 3, count)
    circle = np.exp(1j * rng.uniform(-np.pi, np.pi, count))
    every = [
        plain,
        far,
        quarters,
        circle,
        circle * around(1, -8),
        *(around(x, -10) for x in (1, -1, 1j, -1j)),
    ]
    return np.concatenate(every).astype(dtype)


def function(name, dtype):
    x, y = (sg.placeholder(dtype, ("n",), name=each) for each in "xy")
    inputs = [x] if name in OF_ONE else [x, y]
    return sg.function(inputs, getattr(sg, name)(*inputs), options=sg.Options(backend="llvm", threads=1))


def arguments(name, values):
    if name in OF_ONE:
        return [values]
    return [x.ravel() for x in np.meshgrid(values, values)]


def reference(name):
    return OF_ONE[name] if name in OF_ONE else OF_TWO[name]


def plain_product(x, y):
    """As NumPy has it where processors do not round sums of products once."""
    found = np.empty_like(x)
    found.real = x.real * y.real - x.imag * y.imag
    found.imag = x.real * y.imag + x.imag * y.real
    return found


def parts_of(x):
    return (x.real, x.imag) if x.dtype.kind == "c" else (x,)


def differing(name, given, found, expected):
    """Where parts are NaN, infinite or of a sign that NumPy's are not."""
    assert found.dtype == expected.dtype
    if found.dtype == bool:
        return found != expected
    wrong = np.zeros(found.shape, bool)
    for mine, its in zip(parts_of(found), parts_of(expected), strict=True):
        wrong |= np.isnan(mine) != np.isnan(its)
        known = ~(np.isnan(mine) | np.isnan(its))
        wrong |= known & (np.isinf(mine) != np.isinf(its))
        wrong |= known & (np.signbit(mine) != np.signbit(its))
    return wrong & ~loose(name, given, found, expected)


def loose(name, given, found, expected):
    """Where NumPy's results are less exact, or have a sign that C99 does not say."""
    x = given[0]
    if name == "sign":  # the size overflows, or is rounded to the least number
        info = np.finfo(x.real.dtype)
        return np.isfinite(x) & (np.isinf(np.abs(x)) | (np.abs(x) < info.tiny))
    if name == "expm1":  # infinity times 0
        return (x.imag == 0) & (x.real > 1)
    if name in ("sinh", "sin"):
        ends = (x.real, x.imag) if name == "sinh" else (x.imag, x.real)
        return np.isinf(ends[0]) & ~np.isfinite(ends[1])
    if name == "log1p":  # the size of 1 + x overflows, and is 1 for small x
        small = (np.abs(x.real) < 1e-20) | (np.abs(x.imag) < 1e-20)
        return (small & np.isfinite(found)) | (
            (np.abs(x.real) > 1e30) & (np.abs(x.imag) > 1e30) & np.isfinite(found)
        )
    return np.zeros(found.shape, bool)


@pytest.mark.cpu
@pytest.mark.parametrize("name, dtype", NAMES)
def test_special_values_are_those_of_numpy(name, dtype):
    given = arguments(name, special_values(dtype))
    with np.errstate(all="ignore"):
        expected = (plain_product if name == "multiply" else reference(name))(*given)

    found = function(name, dtype)(*given)

    wrong = differing(name, given, found, expected)
    assert [] == list(zip(*(x[wrong] for x in (*given, found, expected)), strict=True))[:8]


@pytest.mark.cpu
@pytest.mark.skipif(not LONG_PRECISION, reason="the truth has no more bits than the results")
@pytest.mark.parametrize("name, dtype", NAMES)
def test_errors_are_small_beside_the_size(name, dtype):
    values = drawn(dtype, 2_000)
    given = [values] if name in OF_ONE else [values, np.random.default_rng(6).permutation(values)]
    wide = [x.astype(WIDER[dtype]) for x in given]
    with np.errstate(all="ignore"):
        truth = truth_of(name, wide)

    found = function(name, dtype)(*given)

    if found.dtype == bool:
        assert np.array_equal(truth, found)
        return
    info = np.finfo(FLOAT[dtype])
    size = np.abs(truth)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(size, info.tiny).astype(info.dtype)).astype(size.dtype)
        errors = np.abs(found.astype(truth.dtype) - truth) / unit
    fits = size < info.max / 4
    assert np.isfinite(found[fits]).all()
    worst = np.argmax(np.where(fits, errors, 0))
    assert errors[worst] <= LIMITS[name], [x[worst] for x in given]


def truth_of(name, wide):
    if name == "exp2":
        return np.exp(wide[0] * np.log(wide[0].real.dtype.type(2)))
    if name == "log1p":  # NumPy loses small numbers
        x, y = wide[0].real, wide[0].imag
        near = np.log1p(2 * x + x * x + y * y) / 2 + 1j * np.arctan2(y, 1 + x)
        return np.where(np.abs(wide[0]) < 0.5, near, np.log(1 + wide[0]))
    return reference(name)(*wide)


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_expm1_and_log1p_keep_small_numbers(dtype):
    values = (drawn(dtype, 500)[:500] * FLOAT[dtype](1e-9)).astype(dtype)
    eps = np.finfo(FLOAT[dtype]).eps

    for name in ("expm1", "log1p"):
        found = function_of_one(name, dtype)(values)
        assert (np.abs(found - values) <= 4 * max(eps, 1e-8) * np.abs(values)).all()


def function_of_one(name, dtype):
    x = sg.placeholder(dtype, ("n",), name="x")
    return sg.function([x], getattr(sg, name)(x), options=sg.Options(backend="llvm", threads=1))


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_are_those_of_numpy(dtype):
    rng = np.random.default_rng(7)
    x, y = (sg.placeholder(dtype, ("n",), name=each) for each in "xy")
    power = sg.function([x, y], x**y, options=sg.Options(backend="llvm"))
    bases = (rng.uniform(-3, 3, 4000) + 1j * rng.uniform(-3, 3, 4000)).astype(dtype)
    whole = rng.integers(-9, 10, 4000).astype(dtype)
    others = (rng.uniform(-4, 4, 4000) + 1j * rng.uniform(-4, 4, 4000)).astype(dtype)
    eps = np.finfo(FLOAT[dtype]).eps

    for exponents in (whole, others):
        expected = np.power(bases.astype(WIDER[dtype]), exponents.astype(WIDER[dtype]))
        exponent = np.abs(exponents * np.log(bases)) if dtype == "complex128" else 0
        limit = (24 + 4 * exponent) * eps * np.abs(expected)
        assert (np.abs(power(bases, exponents) - expected) <= limit).all()


@pytest.mark.cpu
def test_powers_of_zero_and_to_zero():
    x, y = (sg.placeholder("complex128", ("n",), name=each) for each in "xy")
    power = sg.function([x, y], x**y, options=sg.Options(backend="llvm"))
    bases = np.array([0, 0, 0, 0, 0, np.inf, np.nan, 2, -1j])
    exponents = np.array([0, 2, 0.5 + 1j, -1, 1j, 0, 0, 0, 0])
    with np.errstate(all="ignore"):
        expected = np.power(bases, exponents)

    np.testing.assert_array_equal(expected, power(bases, exponents))


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_what_is_special(dtype):
    x, y = (sg.placeholder(dtype, ("n",), name=each) for each in "xy")
    power = sg.function([x, y], x**y, options=sg.Options(backend="llvm"))
    values = pairs([0, 1, -0.5, np.inf, -np.inf, np.nan], dtype)
    bases, exponents = (z.ravel() for z in np.meshgrid(values, values))
    products = (exponents.imag == 0) & (np.abs(exponents.real) < 100)  # of an infinity: NumPy's begin with 1
    bases, exponents = bases[~products], exponents[~products]
    with np.errstate(all="ignore"):
        expected = np.power(bases.astype("complex128"), exponents.astype("complex128")).astype(dtype)

    found = power(bases, exponents)

    for mark in (np.isnan, np.isinf):
        for part in ("real", "imag"):
            wrong = mark(getattr(found, part)) != mark(getattr(expected, part))
            assert (
                []
                == list(zip(bases[wrong], exponents[wrong], found[wrong], expected[wrong], strict=True))[:8]
            )
