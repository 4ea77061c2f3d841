"""Exact values: against NumPy where that is right, and against what is known where it is not."""

import itertools
import math

import ml_dtypes
import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph.debug.exact import exact
from symgraph.debug.reference import operations
from symgraph.debug.ulps import nearest, ulps
from tests.derived.declared import calls, failures, flat

INF, NAN = math.inf, math.nan

# Ops on float64 that speak of its bits, not of numbers.
WITHOUT_MEANING = {"nextafter"}
OF_A_LIBRARY = {"svdvals"}

# Factorisations, transforms and random bits have no exact meaning; their own tests compare them with NumPy.
DECLARED = {
    name: f
    for name, f in operations().items()
    if name == f.name and f.cases and "float64" in f.dtypes and "." not in name
}


def scalar(name="x", dtype="float64"):
    return sg.placeholder(dtype, (), name=name)


def value(f, *arguments):
    nodes = [scalar(f"x{i}") for i in range(len(arguments))]
    return exact(f(*nodes), dict(zip(nodes, arguments, strict=True)))[()]


def relative_error(found, wanted):
    with mpmath.workdps(80):
        return abs(found / mpmath.mpf(wanted) - 1)


@pytest.mark.parametrize("name", sorted(DECLARED.keys() - WITHOUT_MEANING))
def test_declared_ops_mean_what_numpy_means(name):
    def check(call):
        outputs = call.outputs()
        if any(node.op.name in OF_A_LIBRARY for node in sg.toposort(outputs)):
            return
        expected = sg.evaluate(outputs, call.feed())
        for node, array, truth in zip(flat(outputs), expected, exact(outputs, call.feed()), strict=True):
            assert array.shape == truth.shape
            found = nearest(truth, node.dtype) if truth.dtype == object else truth
            np.testing.assert_allclose(found, array, rtol=1e-13, atol=1e-13)

    f = DECLARED[name]

    assert "" == failures(f, ((call, lambda call=call: check(call)) for call in calls(f, ["float64"])))


@pytest.mark.parametrize("name", sorted(WITHOUT_MEANING))
def test_an_op_without_exact_meaning_is_refused_by_name(name):
    x = scalar()
    with pytest.raises(sg.RunError, match=f"{name} has no exact meaning"):
        exact(DECLARED[name](x, x), {x: 1.0})


SPECIAL = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, INF, -INF, NAN)
ONES = "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan atan sinh cosh tanh asinh acosh asin acos floor rint"
MORE = "atanh abs sign negative reciprocal isnan isinf isfinite erf erfc ndtr i0e sigmoid softplus relu silu sinc"
TWOS = (
    "add subtract multiply divide pow maximum minimum less equal not_equal remainder fmod floor_divide hypot"
)


@pytest.mark.parametrize("name", f"{ONES} {MORE} {TWOS} atan2 logaddexp logaddexp2 xlogy copysign".split())
def test_special_values_follow_ieee(name):
    f = DECLARED[name]
    arity = len(f.cases[0].args)
    columns = np.array(list(itertools.product(SPECIAL, repeat=arity))).T
    nodes = [sg.placeholder("float64", ("n",), name=f"x{i}") for i in range(arity)]
    feed = dict(zip(nodes, columns, strict=True))
    wanted = sg.evaluate(f(*nodes), feed)

    truth = exact(f(*nodes), feed)

    found = nearest(truth, "float64") if truth.dtype == object else truth
    np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-15)


def test_poles_and_undefined_values():
    assert -mpmath.inf == value(sg.log, 0.0)
    assert mpmath.inf == value(sg.divide, 1.0, -0.0)
    assert mpmath.isnan(value(sg.divide, 0.0, 0.0))
    assert mpmath.isnan(value(sg.subtract, INF, INF))
    assert mpmath.isnan(value(sg.sqrt, -1.0))
    assert mpmath.isnan(value(sg.log, -1.0))
    assert not value(sg.less, NAN, 1.0)


@pytest.mark.parametrize(
    "f, x, wanted",
    [
        (lambda x: 1 - sg.cos(x), 1e-300, lambda x: x * x / 2),
        (lambda x: sg.log(1 + x), 1e-300, lambda x: x),
        (lambda x: sg.exp(x) - (1 + x), 1e-300, lambda x: x * x / 2),
        (lambda x: sg.sqrt(x + 1) - sg.sqrt(x), 1e30, lambda x: 1 / (mpmath.sqrt(x + 1) + mpmath.sqrt(x))),
        (lambda x: (sg.exp(x) - sg.exp(-x)) / (sg.exp(x) + sg.exp(-x)), 1e-200, lambda x: x),
        (lambda x: sg.lbeta(x, 1.0), 1e300, lambda x: -mpmath.log(x)),
        (lambda x: sg.remainder(x, 0.3), 1e300, lambda x: x % mpmath.mpf(0.3)),
    ],
)
def test_what_cancels_gets_more_digits(f, x, wanted):
    with mpmath.workdps(700):
        truth = wanted(mpmath.mpf(x))

    assert relative_error(value(f, x), truth) < 1e-58


@pytest.mark.parametrize(
    "f",
    [
        lambda v: v,
        lambda v: sg.reshape(sg.transpose(v), (2, 3))[1:],
        lambda v: v.sum(axis=1),
        lambda v: v * np.array([[1.0], [2.0], [3.0]]),
        lambda v: sg.where(v > 0.4, 1.0, v),
        lambda v: sg.matmul(v, sg.transpose(v)),
        lambda v: sg.max(v, axis=0, keepdims=True),
        lambda v: sg.sort(v, axis=1),
    ],
)
def test_elements_that_run_again_mix_with_others(f):
    x = sg.placeholder("float64", (3, 2), name="x")
    at = {x: np.array([[1e-200, 0.0], [1.0, 1e-90], [1e-150, 2.0]])}
    cancels, does_not = 1 - sg.cos(x), 2 * sg.sin(x / 2) * sg.sin(x / 2)

    for found, wanted in zip(exact(f(cancels), at).ravel(), exact(f(does_not), at).ravel(), strict=True):
        assert found == wanted or relative_error(found, wanted) < 1e-58


@pytest.mark.parametrize(
    "f", [lambda v: sg.maximum(v, 0), sg.sqrt, lambda v: sg.exp(sg.log(v)), sg.ceil, sg.sign]
)
def test_a_sign_that_rounding_hides_is_not_guessed(f):
    x = sg.placeholder("float64", ("n",), name="x")
    at = {x: 10.0 ** -np.arange(60, 300, 16)}

    for found, wanted in zip(exact(f(1 - sg.cos(x)), at), exact(f(x * x), at), strict=True):
        assert found > wanted / 3


def test_nothing_overflows():
    assert relative_error(value(sg.exp, 1e5), mpmath.workdps(80)(mpmath.exp)(1e5)) < 1e-58
    assert 1e5 == nearest(value(lambda x: sg.log(sg.exp(x)), 1e5), "float64")
    assert -1e300 == nearest(value(lambda x: sg.log(sg.sigmoid(x)), -1e300), "float64")


def test_what_cancels_altogether_is_zero():
    assert 0 == value(lambda x: x - x, 1.3)
    assert 0 == value(lambda x: sg.log(sg.exp(x)) - x, 1.3)


def test_what_no_digits_decide_is_refused():
    with pytest.raises(sg.RunError, match="do not decide"):
        value(lambda x: sg.floor(sg.log(sg.exp(x))), 3.0)
    with pytest.raises(sg.RunError, match="do not decide"):
        value(lambda x: sg.exp(sg.exp(x)), 1e300)


def test_what_cannot_be_computed_hurts_only_where_it_matters():
    assert 1 == value(lambda x: sg.sigmoid(sg.exp(x)), 1e300)


def test_constants_are_what_their_bits_say_and_casts_keep_the_number():
    x = scalar("x", "float32")
    tenth = exact(x * 1, {x: 0.1})[()]
    third = exact((sg.astype(x, "float64") / 3).astype("float32"), {x: 1.0})[()]

    assert float(np.float32(0.1)) == tenth
    assert relative_error(third * 3, 1) < 1e-14  # the product is in mpmath's own precision
    assert 1 == exact(sg.astype(x, "int32"), {x: 1.9})


def test_complex_values():
    z = scalar("z", "complex128")
    product = exact(z * sg.conj(z), {z: 3 + 4j})[()]

    assert 25 == product
    assert np.isclose(np.exp(1 + 2j), nearest(exact(sg.exp(z), {z: 1 + 2j}), "complex128"))


def test_several_outputs_variables_and_structure():
    x, w = sg.placeholder("float64", ("n",), name="x"), sg.variable([1.0, 2.0], name="w")
    top, order = exact((sg.max(x * w), sg.argsort(-x)), {x: [3.0, 4.0]})

    assert 8 == top
    assert [1, 0] == order.tolist()


def test_nearest_rounds_to_a_dtype():
    with mpmath.workdps(60):
        half_up = mpmath.mpf(1) + mpmath.mpf(2) ** -24
        above = half_up + mpmath.mpf(10) ** -50
        third = mpmath.mpf(1) / 3
        small = mpmath.mpf(2) ** -149

        assert 1.0 == nearest(half_up, "float32")
        assert np.nextafter(np.float32(1), np.float32(2)) == nearest(above, "float32")
        assert 1 / 3 == nearest(third, "float64")
        assert ml_dtypes.bfloat16(1 / 3) == nearest(third, ml_dtypes.bfloat16)
        assert np.float32(1e-45) == nearest(small * 0.6, "float32")
        assert 0 == nearest(small * 0.5, "float32")
        assert 3 * np.float32(1e-45) == nearest(small * 2.7, "float32")
        assert 5e-324 == nearest(mpmath.mpf(2) ** -1075 * 1.01, "float64")
        assert np.finfo("float32").max == nearest(
            mpmath.mpf(2) ** 128 * (1 - mpmath.mpf(2) ** -24.99), "float32"
        )
        assert -INF == nearest(-(mpmath.mpf(2) ** 128), "float32")
        assert INF == nearest(mpmath.mpf(2) ** 128 * (1 - mpmath.mpf(2) ** -25), "float32")
        assert [0.0, -INF] == nearest([mpmath.mpf(0), -mpmath.inf], "float16").tolist()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_nearest_of_a_float_is_the_float(dtype):
    bits = np.dtype(dtype).itemsize
    floats = np.random.default_rng(0).integers(0, 256, (200, bits), np.uint8).view(dtype).ravel()

    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(floats.astype("float64"), nearest(floats, dtype).astype("float64"))


def test_ulps():
    one = np.float32(1)
    with mpmath.workdps(60):
        above = 1 + mpmath.mpf(2) ** -24
        truth = np.array([mpmath.mpf(1), above, mpmath.inf, mpmath.nan, mpmath.nan, mpmath.mpf(10) ** 50])
    found = np.array([np.nextafter(one, INF), 1, 3, NAN, 1, INF], "float32")

    assert [1.0, 0.5, INF, 0.0, INF, 0.0] == ulps(found, truth).tolist()
    assert 1.0 == ulps(np.float64(5e-324), mpmath.mpf(0))
    assert 2.0 == ulps(np.float64(1 + 2**-51), mpmath.mpf(1))
