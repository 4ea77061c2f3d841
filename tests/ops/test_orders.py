"""Long orders are those of NumPy's stable sort, bit for bit, whatever is equal among the elements."""

import numpy as np
import pytest

import symgraph as sg

LONG = 1 << 12


def drawn(dtype, kind):
    rng = np.random.default_rng(0)
    if kind == "few values":
        return rng.integers(0, 5, LONG).astype(dtype)
    if kind == "all different":
        return rng.permutation(LONG).astype(dtype)
    if kind == "one value":
        return np.ones(LONG, dtype)
    found = (rng.normal(size=LONG) * 100).astype(dtype)
    if np.dtype(dtype).kind == "f":
        found[::7], found[::11], found[::5] = -0.0, 0.0, np.nan
        found[::13], found[::17] = np.inf, -np.inf
        found[::10] = -found[::10]  # NaN of the other sign
    return found


@pytest.mark.parametrize("kind", ["few values", "all different", "one value", "anything"])
@pytest.mark.parametrize("dtype", ["int8", "int32", "uint64", "float16", "float32", "float64"])
@pytest.mark.parametrize("descending", [False, True])
def test_long_orders(dtype, kind, descending):
    array = drawn(dtype, kind)
    x = sg.placeholder(dtype, ("n",), name="x")
    f = sg.function([x], [sg.argsort(x, descending=descending), sg.sort(x, descending=descending)])
    order, values = f(array)

    expected = np.argsort(array, kind="stable")
    if descending:
        expected = (len(array) - 1 - np.argsort(array[::-1], kind="stable"))[::-1]
    np.testing.assert_array_equal(order, expected)
    assert values.tobytes() == array[expected].tobytes()


def test_along_any_axis_and_apart():
    array = np.random.default_rng(0).integers(0, 9, (3, LONG, 2)).astype("int64")
    x = sg.placeholder("int64", array.shape, name="x")
    f = sg.function([x], [sg.argsort(x, axis=1), sg.sort(x[:, ::-1], axis=1)])
    order, values = f(array)

    np.testing.assert_array_equal(order, np.argsort(array, axis=1, kind="stable"))
    np.testing.assert_array_equal(values, np.sort(array, axis=1))
