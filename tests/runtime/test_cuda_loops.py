"""Loops and branches on the device "cuda": their turns run from Python, and what they carry stays there."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import LinAlgError, OutOfBoundsError
from symgraph.runtime import emulator
from symgraph.runtime.inner import BranchStep, LoopStep
from tests.runtime.cuda_programs import arrays, check, program
from tests.runtime.cupy_stand_in import ndarray

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]

x = sg.placeholder("float32", ("n",), name="x")
rows = sg.placeholder("float32", ("t", "n"), name="rows")
count = sg.placeholder("int64", (), name="count")
SIZE = 500


def given(*shapes):
    return [each / 4 for each in arrays(*shapes)]


def copied(made, *arrays):
    """The results for arrays that are on the device, and how many numbers a second call copies."""
    there = [made.of_device(each) for each in arrays]
    made.on_device(there)
    before = ndarray.copied
    found = made.on_device(there)
    return found, ndarray.copied - before


def inner(made):
    return [code for code in made.codes.values() if isinstance(code, LoopStep | BranchStep)]


def test_carries_and_rows_stay_on_the_device(device):
    last, stacked = sg.scan(lambda c, row: (sg.tanh(c + row), c * row), x, rows)
    arrays = given((SIZE,), (7, SIZE))
    function, made = program(device, [x, rows], [last, stacked])

    found, count = copied(made, *arrays)
    assert 1 == len(inner(made))
    assert count <= 2 * 7, "no more than the number of each turn"
    for ours, want in zip(found, function(*arrays), strict=True):
        np.testing.assert_allclose(ours.get(), want, rtol=1e-5)


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_loop_whose_turns_depend_on_data(device, turns):
    _, last = sg.while_loop(lambda s: s[0] < count, lambda s: (s[0] + 1, sg.exp(-s[1])), (0, x))
    arrays = given((SIZE,))
    function, made = program(device, [x, count], [last])

    (found,), numbers = copied(made, *arrays, np.array(turns))
    assert numbers < SIZE
    np.testing.assert_allclose(found.get(), *function(*arrays, np.array(turns)), rtol=1e-5)


def test_a_branch(device):
    result = sg.cond(sg.sum(x) > 0, lambda: sg.exp(x) * 2, lambda: sg.sum(x) - x)
    function, made = program(device, [x], [result])
    for sign in (1, -1):
        (array,) = given((SIZE,))
        array = sign * abs(array)
        (found,), numbers = copied(made, array)
        assert numbers < SIZE
        np.testing.assert_allclose(found.get(), *function(array), rtol=1e-5)


def test_a_branch_in_a_loop_in_a_loop(device):
    def turn(carry, row):
        grown = sg.fori_loop(0, 3, lambda i, c: sg.sin(c) + row, carry)
        return sg.cond(sg.sum(grown) > 0, lambda: grown, lambda: grown * row), sg.sum(grown)

    last, sums = sg.scan(turn, x, rows)
    check(device, [x, rows], [last, sums], *given((9,), (4, 9)), exact=False)


@pytest.mark.parametrize("checkpoint", [None, 2, "sqrt"])
def test_a_gradient_through_a_loop(device, checkpoint):
    last, stacked = sg.scan(
        lambda c, row: (sg.tanh(c * row), sg.sum(c)), x, rows, checkpoint=checkpoint, reverse=True
    )
    loss = sg.sum(last) + sg.sum(stacked**2)
    check(device, [x, rows], [loss, *sg.grad(loss, [x, rows])], *given((9,), (6, 9)), exact=False)


def test_a_loop_without_turns(device):
    last, stacked = sg.scan(lambda c, row: (c + row, c), x, rows)
    check(device, [x, rows], [last, stacked], *given((9,), (0, 9)))


def test_matrices_in_a_loop(device):
    a = sg.placeholder("float64", ("n", "n"), name="a")
    body = lambda i, c: sg.linalg.solve(a + sg.linalg.cholesky(c @ c.T), c)  # noqa: E731
    result = sg.fori_loop(0, 4, body, a)
    array = np.random.default_rng(0).normal(size=(20, 20)) + 30 * np.eye(20)
    function, made = program(device, [a], [result])

    (found,), numbers = copied(made, array)
    assert numbers <= 2 * 4
    np.testing.assert_allclose(found.get(), *function(array), rtol=1e-6)


def test_what_a_turn_does_on_copies_is_told(device):
    a = sg.placeholder("float64", ("n", "n"), name="a")
    result = sg.fori_loop(0, 4, lambda i, c: sg.linalg.expm(c * 0.5), a)
    made = check(device, [a], [result], np.eye(3), exact=False)

    assert "  expm is done by NumPy on copies: CuPy does not do it as NumPy does" in made.explain().split(
        "\n"
    )


@pytest.mark.parametrize("repeats", [2, 9])
def test_a_loop_or_a_branch_is_no_graph(device, repeats):
    """A graph would run the turns of its first call for ever."""
    _, last = sg.while_loop(lambda s: sg.sum(s[1]) < 10.0, lambda s: (s[0] + 1, s[1] * 2 + 1), (0, sg.exp(x)))
    way = sg.cond(sg.sum(x) > 0, lambda: sg.exp(x), lambda: -x)
    for result in (last, way):
        function, made = program(device, [x], [result], replays=True)
        there = device.to(np.zeros(4, "float32"))
        for n in range(repeats):
            array = np.full(4, (-1) ** n * n, "float32")
            there[...] = device.to(array)
            (found,) = made.on_device([there])
            np.testing.assert_allclose(found.get(), *function(array), rtol=1e-5)
            del found
        (prepared,) = made._prepared.values()
        assert not prepared.is_launches


def test_an_index_out_of_bounds_in_a_turn(device):
    places = sg.placeholder("int64", ("t",), name="places")
    last, _ = sg.scan(lambda c, i: (c + sg.exp(x)[i], None), 0.0, places)
    function, made = program(device, [x, places], [last])
    (array,) = given((5,))
    np.testing.assert_allclose(
        *made.run([array, np.array([1, 4, -5])]), *function(array, np.array([1, 4, -5])), rtol=1e-5
    )

    with pytest.raises(OutOfBoundsError, match=r"index 5 is out of bounds(.|\n)*test_cuda_loops\.py"):
        made.run([array, np.array([1, 5, 0])])
    np.testing.assert_allclose(
        *made.run([array, np.array([0, 0])]), *function(array, np.array([0, 0])), rtol=1e-5
    )


def test_a_singular_matrix_in_a_turn(device):
    a = sg.placeholder("float64", ("n", "n"), name="a")
    result = sg.fori_loop(0, 2, lambda i, c: sg.linalg.inv(c), a)
    _, made = program(device, [a], [result])

    with pytest.raises(LinAlgError, match=r"singular(.|\n)*test_cuda_loops\.py"):
        made.run([np.zeros((3, 3))])


def test_a_number_that_no_branch_has(device):
    result = sg.switch(count, [lambda: x, lambda: sg.exp(x)])
    _, made = program(device, [x, count], [result])

    with pytest.raises(OutOfBoundsError, match=r"branch(.|\n)*test_cuda_loops\.py"):
        made.run([*given((5,)), np.array(2)])
