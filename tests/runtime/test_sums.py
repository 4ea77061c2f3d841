"""Sums of blocks: along any axes, of any length, as accurate as NumPy's."""

import math

import numpy as np
import pytest

from symgraph.runtime.sums import add_up

LENGTHS = [0, 1, 7, 128, 1025, 20_000]


def error(found, terms):
    """In units in the last place of the sum of absolute values."""
    exact = math.fsum(terms)
    return abs(float(found) - exact) / max(math.fsum(map(abs, terms)), 1e-300) / np.finfo(found.dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", LENGTHS)
def test_sums_are_as_accurate_as_numpys(dtype, length):
    rows = np.random.default_rng(0).normal(size=(5, length)).astype(dtype)
    total = np.empty((5, 1), dtype)
    add_up(rows, (-1,), total, np.empty_like(rows))

    for row, found in zip(rows, total[:, 0], strict=True):
        assert error(found, row.astype(float)) < 2


@pytest.mark.parametrize("lay", [np.asarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]])
@pytest.mark.parametrize(
    "shape, axes", [((4, 3, 50), (-2, -1)), ((50, 7), (-2,)), ((9, 5, 6), (-3, -2)), ((8,), (-1,))]
)
def test_sums_along_any_axes_have_the_same_bits_in_any_order(lay, shape, axes):
    array = np.random.default_rng(0).normal(size=shape)
    out = np.empty(tuple(1 if axis - len(shape) in axes else n for axis, n in enumerate(shape)))
    again = np.empty_like(out)
    add_up(array, axes, out, np.empty(shape))
    add_up(lay(array), axes, again, np.empty(shape))

    np.testing.assert_allclose(array.sum(axes, keepdims=True), out, rtol=1e-13)
    np.testing.assert_array_equal(out, again)


def test_integers_are_summed_in_their_own_dtype():
    out = np.empty((2, 1), np.int8)
    add_up(np.full((2, 3), 100, np.int8), (-1,), out, np.empty((2, 3), np.int8))

    np.testing.assert_array_equal([[44], [44]], out)
