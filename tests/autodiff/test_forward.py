"""Forward mode: what derived tests cannot say op by op."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.autodiff.forward import pushforward
from symgraph.graph.evaluate import schedule
from symgraph.graph.node import make
from symgraph.graph.op import Op
from symgraph.graph.walk import toposort
from tests.effort import measured
from tests.stability.respell import SPELLINGS, spelling
from tests.stability.suite import DTYPES, SLOPES


def value(node, feed):
    return sg.evaluate(node, feed)


def scalar(name="x", dtype="float64"):
    return sg.placeholder(dtype, (), name=name)


def matrix(name, dtype="float64"):
    return sg.placeholder(dtype, (4, 5), name=name)


def test_one_output_gives_one_tangent_and_a_list_a_list():
    x = scalar()

    assert 60.0 == value(sg.jvp(x * x, x, 10.0), {x: 3.0})
    assert [60.0, 1.0] == [value(t, {x: 3.0}) for t in sg.jvp([x * x, x / 10], [x], [10.0])]


def test_inputs_move_by_their_own_tangent_and_by_what_they_were_computed_from():
    x = scalar()
    hidden = x * 3
    y = hidden * hidden

    assert 12.0 == value(sg.jvp(y, [hidden], [1.0]), {x: 2.0})
    assert 36.0 == value(sg.jvp(y, [x], [1.0]), {x: 2.0})
    assert 48.0 == value(sg.jvp(y, [hidden, x], [1.0, 1.0]), {x: 2.0})


def test_what_does_not_depend_on_an_input_has_tangent_zero():
    x, y = scalar("x"), sg.placeholder("float64", ("n",), name="y")

    assert [0.0, 0.0] == value(sg.jvp(y * 2, x, 1.0), {y: [1.0, 2.0]}).tolist()
    assert 0.0 == value(sg.jvp(sg.floor(x) + sg.stop_gradient(x), x, 1.0), {x: 1.5})
    assert 0.0 == value(sg.jvp((x > 1).astype("float64"), x, 1.0), {x: 1.5})


def test_tangents_differentiate_again_in_both_modes():
    x = scalar()
    slope = sg.jvp(x**4, x, 1.0)

    assert 48.0 == value(sg.jvp(slope, x, 1.0), {x: 2.0})
    assert 48.0 == value(sg.grad(slope, x), {x: 2.0})
    assert 48.0 == value(sg.jvp(sg.grad(x**4, x), x, 1.0), {x: 2.0})


def test_tangents_broadcast_and_take_the_type_of_their_input():
    x = sg.placeholder("float32", ("n", 3), name="x")
    t = sg.jvp(sg.exp(x).sum(axis=0), x, 1.0)

    assert "f32[3]" == str(t.type)
    with pytest.raises(sg.GradientError, match=r"tangent of f32\[n, 3\] is f64\[3\]; dtypes must agree"):
        sg.jvp(x, x, np.ones(3))


def test_misuse_is_refused():
    x, n = scalar(), sg.placeholder("int64", (), name="n")
    with pytest.raises(sg.GradientError, match="1 inputs and 2 tangents"):
        sg.jvp(x * 2, [x], [1.0, 2.0])
    with pytest.raises(sg.GradientError, match="only floating-point and complex"):
        sg.jvp(x * 2, n, 1)
    with pytest.raises(sg.GradientError, match="with respect to nodes, not str"):
        sg.jvp(x * 2, ["x"], [1.0])


def test_an_op_without_a_derivative_is_named_with_its_line():
    x = scalar()
    odd = make(Op("odd", infer=lambda x: x, numpy=lambda x: x), (x,))
    with pytest.raises(sg.GradientError, match=r"odd has no derivative(.|\n)*test_forward\.py"):
        sg.jvp(odd * 2, x, 1.0)


def test_custom_gradients_are_transposed():
    @sg.custom_gradient
    def straight_through(x):
        return sg.floor(x), lambda g: g

    @sg.custom_gradient
    def rotated(x, y):
        return (x * y, x), lambda g, h: (g * 10 + h, g)

    x, y = scalar("x"), scalar("y")

    assert 2.0 == value(sg.jvp(straight_through(x * 2), x, 1.0), {x: 1.7})
    ts = sg.jvp(rotated(x, y), [x, y], [1.0, 5.0])
    assert [15.0, 1.0] == [value(t, {x: 3.0, y: 4.0}) for t in ts]


def test_a_custom_gradient_that_is_not_linear_is_named_with_its_line():
    @sg.custom_gradient
    def clipped(x):
        return x, lambda g: sg.clip(g, -1.0, 1.0)

    x = scalar()
    with pytest.raises(
        sg.GradientError, match=r"call has a derivative that is not linear(.|\n)*test_forward\.py"
    ):
        sg.jvp(clipped(x) * 100.0, x, 1.0)


def test_complex_tangents():
    z, t = scalar("z", "complex128"), 1 - 2j
    at = 3.0 + 4.0j

    assert np.isclose(np.exp(at) * t, value(sg.jvp(sg.exp(z), z, t), {z: at}))
    assert np.isclose(np.conj(t), value(sg.jvp(sg.conj(z), z, t), {z: at}))
    assert np.isclose((np.conj(at) * t).real / 5, value(sg.jvp(sg.abs(z), z, t), {z: at}))


def test_linearize_gives_the_outputs_and_a_function_that_shares_what_is_no_tangent():
    x, y = scalar("x"), scalar("y")
    out, along = sg.linearize([sg.exp(x) * y, x], [x, y])
    a, b = along(1.0, 0.0), along(0.0, 1.0)
    at = {x: 0.0, y: 7.0}

    assert [7.0, 0.0] == [value(node, at) for node in out] == [value(node, at) for node in [a[0], b[1]]]
    assert [1.0, 1.0] == [value(node, at) for node in (a[1], b[0])]


def test_hvp_is_the_hessian_times_a_vector():
    x = sg.placeholder("float64", (3,), name="x")
    w = sg.placeholder("float64", (3, 3), name="w")
    loss = (sg.tanh(w @ x) ** 2).sum()
    rng = np.random.default_rng(3)
    at, vs = (
        {x: rng.normal(size=3), w: rng.normal(size=(3, 3))},
        [rng.normal(size=3), rng.normal(size=(3, 3))],
    )
    products = sg.hvp(loss, [x, w], vs)
    gradients = sg.grad(loss, [x, w])
    reverse = sg.grad(sum((g * v).sum() for g, v in zip(gradients, vs, strict=True)), [x, w])

    for a, b in zip(products, reverse, strict=True):
        np.testing.assert_allclose(value(b, at), value(a, at), rtol=1e-12)


# Stability


@pytest.mark.parametrize("check", SLOPES, ids=str)
def test_tangents_are_right_where_gradients_are(check):
    for number in range(SPELLINGS):
        for dtype in DTYPES:
            said = spelling(number, str(check), check.build, check.point(dtype))
            direction = np.random.default_rng(number).choice([1.0, -2.0, 3.0], said.array.shape)
            along = sg.jvp(said.root.sum(), said.x, direction.astype(dtype))
            slope = sg.grad(said.root.sum(), said.x)
            found, gradient = schedule([along, slope], [said.x]).run([said.array])

            np.testing.assert_allclose(found, np.sum(direction * gradient), rtol=1e-5, atol=1e-6)


def taken(x):
    return sg.where(x > 0, x, 0.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: taken(x),
        lambda x: -taken(-x),
        lambda x: 2 * taken(x)[::-1] / 3,
        lambda x: taken(x).reshape(2, 2).T,
        lambda x: sg.broadcast_to(taken(x), (2, 4)),
        lambda x: sg.concat([taken(x), x * x]),
        lambda x: sg.stack([taken(x), abs(x) + 1]),
        lambda x: sg.pad(taken(x), 1),
        lambda x: sg.pad(x * x, (2, 1)),
        lambda x: sg.shift(abs(x), 1),
        lambda x: abs(x).at[1].set(0.0),
        lambda x: taken(x - 100).sum(),
        lambda x: taken(x - 100).sum(axis=0, keepdims=True) + taken(x),
        lambda x: sg.cumsum(taken(x)),
        lambda x: sg.norm(taken(x - 100)) ** 2,
    ],
)
def test_what_does_not_move_stays_whatever_slope_stands_behind_it(f):
    x = sg.placeholder("float64", (4,), name="x")
    y = sg.sqrt(abs(f(x)))
    at = {x: [-1.0, 4.0, -0.5, 9.0]}
    moved = sg.evaluate(sg.jvp(y, x, [1.0, 10.0, 100.0, 1000.0]), at)
    rows = sg.evaluate(sg.jacobian(y, x, mode="reverse"), at)

    assert np.all(np.isfinite(moved))
    np.testing.assert_allclose(rows @ [1.0, 10.0, 100.0, 1000.0], moved)


# Size


@pytest.mark.parametrize(
    "f, ops",
    [
        (lambda x, y: x + y, "add"),
        (lambda x, y: x - y, "subtract"),
        (lambda x, y: x + y[0], "index add"),
        (lambda x, y: x * y, "multiply multiply add"),
        (lambda x, y: x / 3.0, "divide"),
        (lambda x, y: -x, "negative"),
        (lambda x, y: sg.exp(x), "multiply"),
        (lambda x, y: sg.log(x), "divide"),
        (lambda x, y: sg.tanh(x), "multiply subtract multiply"),
        (lambda x, y: x @ y.T, "matmul transpose matmul add"),
        (lambda x, y: x.sum(axis=1), "sum"),
        (lambda x, y: x[1:, None], "index"),
        (lambda x, y: x.reshape(-1), "reshape"),
        (lambda x, y: sg.concat([x, y]), "concat"),
        (lambda x, y: sg.softmax(x), "multiply sum subtract multiply"),
        (lambda x, y: sg.where(x > 0, x, y), "where"),
        (lambda x, y: sg.where(x > 0, x, 0.0), "where"),
    ],
)
def test_tangents_are_as_small_as_rules_by_hand(f, ops):
    x, y, t, u = (matrix(name) for name in "xytu")
    out = f(x, y)
    (moved,) = pushforward([out], [x, y], [t, u])
    known = set(toposort([out, t, u]))
    made = [node.op.name for node in toposort([moved]) if node not in known and node.inputs]

    assert sorted(ops.split()) == sorted(made)


def test_the_work_for_a_long_chain_and_its_size_are_linear():
    def chain(n):
        x = y = sg.placeholder("float64", (4,), name="x")
        for i in range(n // 4):
            y = sg.softmax(sg.tanh(y) * 1.5 + i)
        t, lines = measured(lambda: sg.jvp(y, x, 1.0))
        return lines, len(toposort([t])) / len(toposort([y]))

    chain(100)
    (short, few), (long, many) = (chain(n) for n in (1000, 10_000))

    assert many <= few * 1.01 < 3.2
    assert long < 11 * short
