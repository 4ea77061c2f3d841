"""Where extrema are: the first of several, NaN before all, in blocks and in parts of what is longer."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ShapeError
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.plan import plan
from symgraph.options import Target
from symgraph.runtime.numpy_backend import NumpyProgram

DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int64", "bool"]


def drawn(rng, shape, dtype):
    """Few different numbers, so that most extrema are there more than once; with NaN here and there."""
    row = sg.placeholder(dtype, (), name="x").row
    array = np.asarray(rng.integers(0, 2 if dtype == "bool" else 5, shape)).astype(row.numpy)
    if row.is_float and rng.integers(2):
        array[rng.random(shape) < 0.05] = np.nan
        array[rng.random(shape) < 0.2] = rng.choice([np.inf, -np.inf])
    return np.asfortranarray(array) if rng.integers(2) else array


def places(y):
    """Along each axis and along all, with the extremum beside some, and of what is repeated along an axis."""
    for place, most in ((sg.argmax, sg.max), (sg.argmin, sg.min)):
        yield from (place(y), most(y), place(y, axis=0), place(y, axis=1, keepdims=True), most(y, axis=1))
        yield from (place(y, axis=2), most(y, axis=2), place(sg.transpose(y)), place(y, keepdims=True))
        yield from (place(y, axis=0) * 2 + 1, place(sg.broadcast_to(y[:, :1], y.shape), axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_places_are_those_of_whole_arrays(dtype, seed):
    rng = np.random.default_rng(seed)
    x = sg.placeholder(dtype, ("n", "m", "k"), name="x")
    seen = [x, sg.transpose(x, (2, 0, 1)), x[::-1, :, ::2]][seed]
    for computed in (seen, sg.maximum(seen, seen[:1])):
        outputs = list(places(computed))
        planned = plan(graph([x], outputs))
        for shape in ((3, 4, 5), (1, 1, 7), (2, 1, 2), (11, 5, 17)):
            array = drawn(rng, shape, dtype)
            expected = schedule(outputs, [x]).run([array])
            for block in (1, 7, 64, 1 << 16):
                found = NumpyProgram(planned, Target(block=block)).run([array])
                for a, b in zip(expected, found, strict=True):
                    assert np.asarray(a).dtype == b.dtype and np.asarray(a).shape == b.shape
                    np.testing.assert_array_equal(np.asarray(a).astype("float64"), b.astype("float64"))


def test_the_first_of_equal_elements_is_found_in_another_part():
    x = sg.placeholder("float32", ("n", "k"), name="x")
    f = sg.function([x], [sg.argmax(sg.abs(x), axis=1), sg.argmin(sg.abs(x), axis=1)])
    array = np.ones((2, 2_000_000), "float32")
    array[0, [1_500_000, 1_999_999]] = -3
    array[1, [1_800_000, 1_900_000]] = np.nan, -np.inf

    np.testing.assert_array_equal([[1_500_000, 1_800_000], [0, 1_800_000]], f(array))


@pytest.mark.parametrize("shape", [(0, 0), (3, 0)])
@pytest.mark.parametrize("extremum", [sg.argmax, sg.argmin, sg.max, sg.min])
def test_nothing_has_no_extremum(shape, extremum):
    x = sg.placeholder("float32", ("n", "k"), name="x")
    f = sg.function([x], [sg.tanh(x), extremum(sg.tanh(x), axis=1)])

    assert (0,) == f(np.zeros((0, 3), "float32"))[1].shape
    with pytest.raises(ShapeError, match=f"{extremum.op.name}.*test_places.py"):
        f(np.zeros(shape, "float32"))
