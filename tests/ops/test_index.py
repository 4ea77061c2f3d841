"""Indexing and updates beyond single calls: what may be named twice, and what is known to lie outside."""

import numpy as np
import pytest

import symgraph as sg


def test_a_factor_put_in_place_has_a_slope():
    x = sg.placeholder("float64", (3,), name="x")
    v = sg.placeholder("float64", (), name="v")
    gx, gv = sg.grad(x.at[1].multiply(v).sum(), [x, v])

    assert sg.evaluate([gx, gv], {x: [1.0, 2.0, 3.0], v: 5.0})[0].tolist() == [1, 5, 1]
    assert sg.evaluate(gv, {x: [1.0, 2.0, 3.0], v: 5.0}) == 2


def test_factors_of_a_mask_have_slopes():
    x = sg.placeholder("float64", (3,), name="x")
    v = sg.placeholder("float64", (2,), name="v")
    gv = sg.grad(x.at[np.array([True, False, True])].multiply(v).sum(), v)

    assert sg.evaluate(gv, {x: [1.0, 2.0, 3.0], v: [5.0, 6.0]}).tolist() == [1, 3]


@pytest.mark.parametrize("places", [[0, 0], [0, -3], sg.placeholder("int64", (2,), name="i")], ids=str)
def test_factors_of_one_element_have_no_slope(places):
    x = sg.placeholder("float64", (3,), name="x")
    v = sg.placeholder("float64", (2,), name="v")
    loss = x.at[places].multiply(v).sum()

    assert sg.grad(loss, x).shape == (3,)
    with pytest.raises(sg.GradientError, match="named twice"):
        sg.grad(loss, v)


def test_a_complex_factor_is_conjugated():
    x = sg.placeholder("complex128", (2,), name="x")
    g = sg.grad(x.at[0].multiply(2j).real.sum(), x)

    assert sg.evaluate(g, {x: [1.0, 1.0]}).tolist() == [-2j, 1]


def test_known_indices_outside_are_refused_when_built():
    x = sg.placeholder("float64", (3,), name="x")
    with pytest.raises(sg.OutOfBoundsError, match="index 9 is outside axis 0, whose size is 3"):
        x[[0, 9]]


@pytest.mark.parametrize("f", [sg.take, sg.scatter_add], ids=lambda f: f.name)
def test_a_mask_is_no_array_of_indices(f):
    x = sg.placeholder("float64", (2,), name="x")
    with pytest.raises(sg.DTypeError, match="indices are integers"):
        f(x, [True, False], *([1.0] if f is sg.scatter_add else []))


def test_a_block_longer_than_its_axis_is_refused():
    x = sg.placeholder("float64", ("n",), name="x")
    with pytest.raises(sg.ShapeError, match="a block of 7 does not fit"):
        sg.dynamic_slice(sg.placeholder("float64", (5,), name="y"), [0], [7])
    with pytest.raises(sg.OutOfBoundsError):
        sg.evaluate(sg.dynamic_slice(x, [0], [7]), {x: np.zeros(5)})


def test_numbers_of_repeats_fit_the_axis_at_the_call():
    x = sg.placeholder("float64", ("n",), name="x")
    y = sg.repeat(x, [1, 0, 2])

    assert sg.evaluate(y, {x: [1.0, 2.0, 3.0]}).tolist() == [1, 3, 3]
    with pytest.raises(sg.ShapeError):
        sg.evaluate(y, {x: [1.0, 2.0, 3.0, 4.0]})


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_an_empty_axis_cannot_be_padded_with_itself(mode):
    x = sg.placeholder("float64", ("n",), name="x")
    with pytest.raises(sg.OutOfBoundsError):
        sg.evaluate(sg.pad(x, 1, mode), {x: np.zeros(0)})


def test_linspace_of_singles_is_single():
    low, high = sg.placeholder("float32", (), name="low"), sg.placeholder("float32", (), name="high")

    assert sg.linspace(low, high, 5).dtype == np.float32
    n = sg.placeholder("float64", ("n",), name="x").shape[0]
    assert sg.linspace(0.0, 1.0, n).shape == (n,)
