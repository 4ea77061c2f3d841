"""Derivatives of loops and branches: what is kept, what is computed again, and how much memory that takes."""

from itertools import pairwise

import numpy as np
import pytest

import symgraph as sg


def recurrence(checkpoint=None, *, reverse=False):
    """A loss that a loop ends in, and what it depends on."""
    xs, a = sg.placeholder("float64", ("n", 4), name="xs"), sg.placeholder("float64", (4,), name="a")
    last, _ = sg.scan(
        lambda h, x: (sg.tanh(a * h + x), None), sg.zeros((4,)), xs, checkpoint=checkpoint, reverse=reverse
    )
    return (last * last).sum(), xs, a


def peak(loss, xs, a, n):
    return sg.function([xs, a], sg.grad(loss, [a])).memory(n=n).peak


def test_the_root_of_the_turns_is_kept():
    lengths = (1_000, 4_000, 16_000, 64_000)
    every, root = ([peak(*recurrence(way), n) for n in lengths] for way in (None, "sqrt"))

    assert all(b / a == pytest.approx(4, rel=0.05) for a, b in pairwise(every))
    assert all(b / a < 2.2 for a, b in pairwise(root))
    assert root[-1] < every[-1] / 50


def test_one_in_so_many_is_kept():
    assert peak(*recurrence(16), 16_000) < peak(*recurrence(1), 16_000) / 8


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("checkpoint", [1, 3, 100, "sqrt"])
def test_what_is_kept_changes_no_slope(checkpoint, reverse):
    for n in (0, 1, 2, 9, 10, 11):
        rows = np.random.default_rng(n).normal(size=(n, 4))
        found = []
        for way in (None, checkpoint):
            loss, xs, a = recurrence(way, reverse=reverse)
            f = sg.function([xs, a], sg.grad(loss, [xs, a]))
            found.append(f(rows, np.full(4, 0.7)))
        for expected, slopes in zip(*found, strict=True):
            np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-14)


def test_a_dear_value_is_kept_and_a_cheap_one_is_not():
    xs, a = sg.placeholder("float64", ("n", 4), name="xs"), sg.placeholder("float64", (4,), name="a")
    last, _ = sg.scan(lambda h, x: (h * sg.sin(a * x) + 2 * x, None), sg.zeros((4,)), xs)
    text = sg.function([xs, a], sg.grad(last.sum(), [a])).show("loops")
    backwards = text[text.index("def back") :]

    assert "sin(" not in backwards
    assert "cos(" not in backwards


def test_a_slope_taken_inside_of_a_loop():
    x = sg.placeholder("float64", (2,), name="x")
    down = sg.fori_loop(0, 200, lambda i, y: y - 0.1 * sg.grad(((y - x) ** 2).sum(), y), sg.zeros((2,)))
    f = sg.function([x], [down, sg.grad(down.sum(), x)])
    found, slope = f(np.array([3.0, -1.0]))

    np.testing.assert_allclose(found, [3.0, -1.0], rtol=1e-12)
    np.testing.assert_allclose(slope, [1.0, 1.0], rtol=1e-12)


def test_while_loop_with_a_bound_in_reverse_and_without_one_forwards():
    x = sg.placeholder("float64", (), name="x")
    bounded = sg.while_loop(lambda c: c < 100, lambda c: c * x, x, max_steps=50)
    free = sg.while_loop(lambda c: c < 100, lambda c: c * x, x)
    (tangent,) = sg.jvp([free], [x], [1.0])

    for value, power in ((3.0, 5), (120.0, 1), (10.0, 2)):
        expected = power * value ** (power - 1)
        assert sg.evaluate(sg.grad(bounded, x), {x: value}) == pytest.approx(expected)
        assert sg.evaluate(tangent, {x: value}) == pytest.approx(expected)


def test_only_the_way_that_is_taken_has_a_slope():
    x = sg.placeholder("float64", (), name="x")
    root = sg.cond(x > 0, lambda: sg.sqrt(x), lambda: sg.constant(0.0))
    f = sg.function([x], [root, sg.grad(root, x)])

    assert [2.0, 0.25] == [float(each) for each in f(4.0)]
    assert [0.0, 0.0] == [float(each) for each in f(0.0)]  # where the other way has an infinite one
    assert [0.0, 0.0] == [float(each) for each in f(-1.0)]


def test_what_no_result_depends_on_has_slope_zero():
    x, y = sg.placeholder("float64", (3,), name="x"), sg.placeholder("float64", (3,), name="y")
    first, _ = sg.fori_loop(0, 3, lambda i, c: (c[0] * 2, c[1] * y), (x, x))

    np.testing.assert_array_equal(
        sg.evaluate(sg.grad(first.sum(), y, disconnected="zero"), {x: np.ones(3), y: np.ones(3)}), np.zeros(3)
    )
