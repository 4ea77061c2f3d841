"""Reverse mode: what derived tests cannot say op by op."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.node import make
from symgraph.graph.op import Op


def value(node, feed):
    return sg.evaluate(node, feed)


def scalar(name="x", dtype="float64"):
    return sg.placeholder(dtype, (), name=name)


def test_one_node_gives_one_gradient_and_a_list_a_list():
    x = scalar()

    assert 6.0 == value(sg.grad(x * x, x), {x: 3.0})
    assert [6.0] == [value(g, {x: 3.0}) for g in sg.grad(x * x, [x])]


def test_with_respect_to_intermediate_values_and_what_lies_before_them():
    x = scalar()
    hidden = x * 3
    gh, gx = sg.grad(hidden * hidden, [hidden, x])

    assert (12.0, 36.0) == (value(gh, {x: 2.0}), value(gx, {x: 2.0}))


def test_gradient_of_a_node_with_respect_to_itself_is_one():
    x = scalar()

    assert 1.0 == value(sg.grad(x, x), {x: 2.0})


def test_the_slope_of_a_sum_is_no_factor():
    x = sg.placeholder("float64", ("n",), name="x")

    assert sg.cos(x) is sg.grad(sg.sum(sg.sin(x)), x)


def test_gradients_differentiate_again():
    x = scalar()
    y = x
    for k in range(4, 0, -1):
        y = sg.grad(x**4 if k == 4 else y, x)

    assert 24.0 == value(y, {x: 1.7})


def test_disconnected_inputs_raise_or_are_zero():
    x, y = scalar("x"), sg.placeholder("float64", ("n",), name="y")
    with pytest.raises(sg.GradientError, match="depends on y not at all"):
        sg.grad(x * 2, [x, y])
    (_, gy) = sg.grad(x * 2, [x, y], disconnected="zero")

    assert [0.0, 0.0] == value(gy, {y: [1.0, 2.0]}).tolist()


def test_a_slope_of_zero_connects():
    x = scalar()

    assert 0.0 == value(sg.grad(sg.floor(x), x), {x: 1.5})


def test_a_slope_through_comparisons_alone_is_zero():
    x = scalar()

    assert 0.0 == value(sg.grad(sg.grad(sg.relu(x), x), x), {x: 1.5})
    assert 0.0 == value(sg.grad((x > 1).astype("float64"), x), {x: 1.5})


def test_kinks_follow_the_usual_subgradients():
    x = scalar()

    assert 0.0 == value(sg.grad(abs(x), x), {x: 0.0})
    assert 0.0 == value(sg.grad(sg.relu(x), x), {x: 0.0})
    assert 0.5 == value(sg.grad(sg.maximum(x, 0.0), x), {x: 0.0})


def test_complex_gradients_point_uphill():
    z = scalar("z", "complex128")
    loss = sg.real(z * sg.conj(z))
    at = 3.0 + 4.0j

    assert 2 * at == value(sg.grad(loss, z), {z: at})


def test_a_real_input_of_a_complex_expression_has_a_real_gradient():
    x = scalar()
    g = sg.grad(sg.abs(x * 1j + 3.0), x)

    assert np.float64 == g.dtype
    assert np.isclose(0.8, value(g, {x: 4.0}))


def test_stop_gradient():
    x = scalar()

    assert 3.0 == value(sg.grad(x * sg.stop_gradient(x), x), {x: 3.0})


def test_vjp_of_several_outputs():
    x = sg.placeholder("float64", (2,), name="x")
    (g,) = sg.vjp([x * 2, x * x], [x], [[1.0, 1.0], [10.0, 0.0]])

    assert [22.0, 2.0] == value(g, {x: [1.0, 5.0]}).tolist()


def test_custom_gradient_replaces_the_derivative_and_the_value_stays():
    @sg.custom_gradient
    def straight_through(x):
        return sg.floor(x), lambda g: g

    x = scalar()
    y = straight_through(x * 2)

    assert 3.0 == value(y, {x: 1.7})
    assert 2.0 == value(sg.grad(y, x), {x: 1.7})


def test_custom_gradient_of_several_arguments_and_results():
    @sg.custom_gradient
    def both(x, y):
        return (x * y, x + y), lambda g, h: (g * 100, h * 1000)

    x, y = scalar("x"), scalar("y")
    product, total = both(x, y)
    gx, gy = sg.grad(product + 2 * total, [x, y])
    feed = {x: 2.0, y: 3.0}

    assert (6.0, 5.0, 100.0, 2000.0) == tuple(value(node, feed) for node in (product, total, gx, gy))


def test_custom_gradient_captures_and_nests_and_prints():
    scale = scalar("scale")

    @sg.custom_gradient
    def inner(x):
        return x * scale, lambda g: g * scale * 2

    @sg.custom_gradient
    def outer(x):
        return inner(x) + 1, lambda g: g * sg.exp(x)

    x = scalar()
    y = outer(x)
    feed = {x: 0.0, scale: 5.0}
    f = sg.function([x, scale], [y, sg.grad(y, x), sg.grad(inner(x), x)])

    assert [1.0, 1.0, 10.0] == [float(v) for v in f(0.0, 5.0)]
    assert 1.0 == value(y, feed)
    assert sg.parse(f.show()) is f.graph


def test_a_gradient_through_data_dependent_sizes():
    x = sg.placeholder("float64", ("n",), name="x")
    kept = x[x > 1]
    loss = (kept * kept).sum() / kept.shape[0]
    g = sg.grad(loss, x)

    assert [0.0, 2.0, 3.0] == value(g, {x: [0.5, 2.0, 3.0]}).tolist()


def test_the_checker_finds_a_wrong_gradient():
    @sg.custom_gradient
    def wrong(x):
        return sg.sin(x), lambda g: g * sg.cos(x) * 1.01

    x = sg.placeholder("float64", ("n",), name="x")
    with pytest.raises(sg.GradientError, match=r"x\[\d\] is .* and differences give"):
        sg.check_gradient(wrong(x).sum(), [x], {x: [0.1, 0.2]})
    (right,) = sg.check_gradient(sg.sin(x), [x], {x: [0.1, 0.2]})
    assert right.error < 1e-9


def test_a_long_chain_has_a_gradient():
    x = scalar()
    y = x
    for _ in range(5_000):
        y = sg.sin(y) + x
    assert np.isfinite(value(sg.grad(y, x), {x: 0.3}))


def test_a_rule_that_forgets_an_input_raises():
    forgetful = Op("forgetful", infer=lambda x, y: x, numpy=np.add, vjp=lambda g, x, y, out: (g, None))
    x, y = scalar("x"), scalar("y")
    z = make(forgetful, (x, y))

    assert 1.0 == value(sg.grad(z, x), {x: 2.0, y: 3.0})
    with pytest.raises(sg.GradientError, match="the derivative of forgetful gives None for <y"):
        sg.grad(z, y)


def test_what_custom_gradient_reads_from_outside_is_not_connected():
    scale, x = scalar("scale"), scalar("x")

    @sg.custom_gradient
    def scaled(x):
        return x * scale, lambda g: g * scale

    with pytest.raises(sg.GradientError, match="depends on scale through stop_gradient only"):
        sg.grad(scaled(x), scale)


def test_a_branch_not_taken_poisons_no_gradient():
    v = sg.placeholder("float64", ("n",), name="v")
    loss = sg.where(v > 0, sg.sqrt(v), 0).sum()
    first = sg.grad(loss, v)
    second = sg.grad(first.sum(), v)

    assert [0.0, 0.25] == value(first, {v: [0.0, 4.0]}).tolist()
    assert [0.0, -0.03125] == value(second, {v: [0.0, 4.0]}).tolist()


def test_selections_under_different_conditions_meet():
    x = scalar()
    root = sg.sqrt(x)
    slope = sg.grad(sg.where(x > 0, root, 0) + sg.where(x > 1, root, 0), x)
    either = sg.grad(sg.where(x > 2, root, 3 * root), x)

    assert [0.0, 0.5, 0.5] == [value(slope, {x: at}) for at in (0.0, 1.0, 4.0)]
    assert [1.5, 0.25] == [value(either, {x: at}) for at in (1.0, 4.0)]


def test_slopes_that_are_zero_by_convention():
    x = scalar()

    assert 0.0 == value(sg.grad(0 * sg.sqrt(abs(x)), x), {x: 0.0})
    assert 0.0 == value(sg.grad(x / x, x), {x: 0.0})
