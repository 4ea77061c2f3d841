"""Checkpoints give the same values and derivatives, and hold fewer values at one time."""

import numpy as np
import pytest

import symgraph as sg

LAYERS, ROWS, WIDTH = 16, 64, 32


def chain(block, wrap):
    """The loss of a deep network of equal layers in blocks, and its gradients."""
    x = sg.placeholder("float32", (ROWS, WIDTH), name="x")
    ws = [sg.placeholder("float32", (WIDTH, WIDTH), name=f"w{i}") for i in range(LAYERS)]

    def layers(h, ws):
        for w in ws:
            h = sg.tanh(h @ w)
        return h

    h = x
    for start in range(0, LAYERS, block):
        h = wrap(layers)(h, ws[start : start + block])
    loss = (h * h).sum()
    return [x, *ws], [loss, *sg.grad(loss, ws)]


def drawn(nodes):
    rng = np.random.default_rng(2)
    return [rng.normal(size=x.shape).astype(x.dtype) / 6 for x in nodes]


def products(f):
    return str(f.memory()).count(": matmul")


def test_a_deep_chain_holds_two_roots_of_its_values():
    plain = sg.function(*chain(LAYERS, lambda f: f))
    again = sg.function(*chain(4, sg.checkpoint))
    arrays = drawn(chain(4, sg.checkpoint)[0])
    one = ROWS * WIDTH * 4

    assert plain.memory().peak >= LAYERS * one
    assert again.memory().peak <= (2 * LAYERS**0.5 + 5) * one
    for a, b in zip(plain(*arrays), again(*arrays), strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_layer_runs_once_more():
    plain, again = (sg.function(*chain(4, wrap)) for wrap in (lambda f: f, sg.checkpoint))

    assert products(plain) + LAYERS == products(again)


def various(wrap):
    x, w = sg.placeholder("float64", (3,), name="x"), sg.placeholder("float64", (3, 3), name="w")
    n = sg.placeholder("int64", (), name="n")

    def f(h, pair):
        count, shift = pair
        z = sg.tanh(w @ h * count) + shift  # w is read from outside
        return {"square": z * z, "positive": (z > 0).sum()}, sg.sin(z)

    first, s = wrap(f)(x * 2, (n, x))
    second, t = wrap(f)(s, (n, first["square"]))
    return (second["square"] * t).sum() + s.sum() + first["positive"], [x, w], {
        x: [0.1, 0.2, 0.3], w: np.arange(9.0).reshape(3, 3) / 9, n: 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "derive",
    [
        lambda loss, inputs: [loss],
        lambda loss, inputs: sg.grad(loss, inputs),
        lambda loss, inputs: [sg.jvp(loss, inputs, [1.0, 0.5])],
        lambda loss, inputs: sg.hvp(loss, inputs, [1.0, 0.5]),
        lambda loss, inputs: [sg.hessian(loss, inputs[0])],
        lambda loss, inputs: sg.jacobian(sg.grad(loss, inputs[0]), inputs, mode="reverse"),
    ],
)
def test_values_and_derivatives_are_the_same(derive):
    loss, inputs, at = various(lambda f: f)
    again, *_ = various(sg.checkpoint)
    for a, b in zip(derive(loss, inputs), derive(again, inputs), strict=True):
        np.testing.assert_allclose(sg.evaluate(b, at), sg.evaluate(a, at), atol=1e-12)


def test_checkpoints_may_be_nested_and_have_symbolic_or_no_elements():
    x = sg.placeholder("float64", ("n",), name="x")
    y = sg.checkpoint(lambda h: sg.checkpoint(lambda v: sg.tanh(sg.exp(v)))(sg.sin(h)))(x)
    plain = sg.tanh(sg.exp(sg.sin(x)))
    f = sg.function([x], [sg.grad(y.sum(), x), sg.grad(plain.sum(), x)])

    for size in (4, 0):
        np.testing.assert_allclose(*f(np.arange(size) / 3))


def test_integers_alone_and_nothing_at_all():
    n = sg.placeholder("int64", (3,), name="n")

    assert [2, 4, 6] == sg.evaluate(sg.checkpoint(lambda n: n * 2)(n), {n: [1, 2, 3]}).tolist()
    assert () == sg.checkpoint(lambda n: ())(n)
