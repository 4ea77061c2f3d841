"""Updates by arrays of indices."""

import numpy as np
import pytest

import symgraph as sg


@pytest.mark.parametrize("backend", ["numpy", None])
@pytest.mark.parametrize("mode", ["add", "max", "set"])
def test_values_are_broadcast_along_indices_of_more_axes(mode, backend):
    x, i = sg.placeholder("float64", (7,), name="x"), sg.placeholder("int64", ("a", "b"), name="i")
    value = sg.placeholder("float64", ("b",), name="value")
    y = sg.update(x, value, i, mode=mode)
    f = sg.function([x, i, value], y, options=sg.Options(backend=backend))
    arrays = np.arange(7.0), np.array([[1, 2], [4, 4], [0, 6]]), np.array([10.0, 20.0])
    expected = {
        "add": [10, 11, 22, 3, 34, 5, 26],
        "max": [10, 10, 20, 3, 20, 5, 20],
        "set": [10, 10, 20, 3, 20, 5, 20],
    }[mode]

    np.testing.assert_array_equal(f(*arrays), expected)
    np.testing.assert_array_equal(sg.evaluate(y, dict(zip((x, i, value), arrays, strict=True))), expected)
