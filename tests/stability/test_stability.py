"""Stability is semantics: 41 hard points in 20 spellings each; and what is not unstable keeps IEEE's results."""

import zlib

import numpy as np
import pytest

import symgraph as sg
from tests.stability.respell import SPELLINGS, in_other_words, spelling, with_arrays
from tests.stability.suite import DTYPES, SLOPES, STABILITY

EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e308, 1.5, -2.0])


def test_the_suites_are_whole():
    assert 41 == len(set(map(str, STABILITY)))
    assert 12 == len(set(map(str, SLOPES)))


@pytest.mark.parametrize("number", range(SPELLINGS))
@pytest.mark.parametrize("check", STABILITY, ids=str)
def test_values_are_right_however_they_are_spelt(check, number):
    for dtype in DTYPES:
        said = spelling(number, str(check), check.build, check.point(dtype))
        f = sg.function([said.x], [said.root, *said.others])
        check.assert_right(f(said.array)[0][said.place], dtype, f)


@pytest.mark.parametrize("check", [*STABILITY, *SLOPES], ids=str)
def test_spellings_differ_in_no_bit_as_they_are_written(check):
    """Without passes, one NumPy call for each op."""
    rng = np.random.default_rng(zlib.crc32(str(check).encode()))
    for dtype in DTYPES:
        with np.errstate(over="ignore", under="ignore"):
            edges = np.concatenate([EDGES, check.point(dtype).ravel(), rng.standard_normal(20)]).astype(dtype)
        x = sg.placeholder(dtype, (10, 3), name="x")
        at = {x: rng.choice(edges, (10, 3))}
        root = check.build(x)
        for _ in range(SPELLINGS):
            said = with_arrays(in_other_words(root, rng), rng)

            assert_same_bits(sg.evaluate(root, at), sg.evaluate(said, at), said)


KEPT = {
    "x*0": lambda x, y: x * 0,
    "x-x": lambda x, y: x - x,
    "x/x": lambda x, y: x / x,
    "x*x-x*x": lambda x, y: x * x - x * x,
    "exp(log(x))": lambda x, y: np.exp(np.log(x)),
    "sqrt(x)**2": lambda x, y: np.sqrt(x) ** 2,
    "x*y/y": lambda x, y: x * y / y,
    "x+y-y": lambda x, y: x + y - y,
    "x+1-1": lambda x, y: x + 1 - 1,
    "x+0.0": lambda x, y: x + 0.0,
    "x-0.0": lambda x, y: x - 0.0,
    "0-x": lambda x, y: 0 - x,
    "x*1": lambda x, y: x * 1,
    "-(-x)": lambda x, y: np.negative(-x),
    "-(x-y)": lambda x, y: -(x - y),
    "x*y+x": lambda x, y: x * y + x,
    "x<y,x>=y": lambda x, y: np.where(x < y, x, np.where(x >= y, y, 7)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("meaning", KEPT.values(), ids=KEPT)
def test_ieee_results_are_kept(meaning, dtype):
    with np.errstate(all="ignore"):
        at = [np.ravel(each).astype(dtype) for each in np.meshgrid(EDGES, EDGES)]
        expected = meaning(*at)
    x, y = (sg.placeholder(dtype, ("n",), name=name) for name in "xy")
    rng = np.random.default_rng(np.dtype(dtype).itemsize)
    for number in range(SPELLINGS):
        root = meaning(x, y)
        root = with_arrays(in_other_words(root, rng), rng) if number else root
        f = sg.function([x, y], [root, y])

        assert_same_bits(expected, f(*at)[0], f)


def test_integers_wrap_around():
    at = np.array([2**31 - 1, -(2**31), 2**30, 7, 0, -1], "int32")
    x = sg.placeholder("int32", ("n",), name="x")

    def meanings(x):
        return [
            x + 1 - 1,
            x * 2 // 2,
            x * 3 + x * 5,
            np.negative(-x),
            abs(x),
            x * x,
            0 - x,
            x * 2 - x,
            (x + x) // 2,
        ]

    with np.errstate(over="ignore"):
        expected = meanings(at)
    for one, meaning in zip(expected, meanings(x), strict=True):
        f = sg.function([x], meaning)

        assert one.dtype == f(at).dtype
        assert one.tolist() == f(at).tolist(), f


def assert_same_bits(expected, found, program):
    """NaN in the same places, and every other bit the same."""
    expected, found = np.asarray(expected), np.asarray(found)
    numbers = ~np.isnan(expected)

    assert expected.dtype == found.dtype
    assert expected.shape == found.shape
    assert np.isnan(expected).tolist() == np.isnan(found).tolist(), program
    assert expected[numbers].tobytes() == found[numbers].tobytes(), program
