"""Whole programs as libraries: training steps, loops and branches, drawn ones, and what a call refuses."""

import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.examples import digits
from symgraph.graph.walk import toposort
from tests.aot.ahead import Ahead
from tests.aot.test_derived import OF_PYTHON, OF_PYTHON_IF_COMPLEX
from tests.fuzz.drawing import draw_group
from tests.fuzz.test_control import Plain, drawn
from tests.fuzz.test_fuzz import described, first_seed, tolerance  # noqa: F401


@pytest.mark.parametrize("group", range(4))
def test_drawn_programs(group, first_seed):  # noqa: F811
    count = 0
    for seed, program in draw_group(group, 10, first_seed):
        outputs = [node for node, _ in program.values if _is_code(node)]
        read = set(toposort(outputs))
        feed = {x: array for x, array in program.inputs if x in read}
        made = Ahead(sg.function(list(feed), outputs))
        status, found = made(*feed.values())
        assert status == 0, described(seed, program)
        limit = tolerance(program)
        for x, a in zip(outputs, found, strict=True):
            b = np.asarray(sg.evaluate(x, feed))
            assert a.shape == b.shape and a.dtype == b.dtype, described(seed, program)
            exact = limit if b.dtype.kind in "fc" else 0
            np.testing.assert_allclose(a, b, rtol=exact, atol=exact, err_msg=described(seed, program))
        count += len(outputs)
    assert count > 20


def _is_code(node):
    refused = (OF_PYTHON | OF_PYTHON_IF_COMPLEX) - {"matmul", "sum"}
    return not any(x.op.name in refused for x in toposort([node]))


@pytest.mark.parametrize("group", range(4))
def test_drawn_loops_and_branches(request, group):
    for seed, program, feed, used, result in drawn(request, group):
        expected = program(Plain(), feed.values())
        status, (found,) = Ahead(sg.function(used, [result]))(*(feed[x] for x in used))

        assert status == 0
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}")


def test_a_training_step_has_the_bits_of_the_function():
    x, logits, weights = digits.network()
    t = sg.placeholder("int64", ("batch",), name="t")
    loss = sg.cross_entropy(logits, t).mean()
    train = sg.function([x, t], loss, updates=digits.adam(loss, weights), name="train")
    made = Ahead(train)
    images, labels, *_ = digits.load_digits()
    for begin, end in ((0, 64), (64, 65), (65, 100)):
        status, (found,) = made(images[begin:end], labels[begin:end])
        assert status == 0
        assert found == train(images[begin:end], labels[begin:end])
    for update in train.graph.updates:
        np.testing.assert_array_equal(made.states[update.variable.name], update.variable.value)


def test_long_rows_have_the_bits_of_the_function():
    """Threads share their blocks there, and none do here."""
    x = sg.placeholder("float32", ("n", "k"), name="x")
    f = sg.function([x], [sg.sum(x), sg.var(x, axis=0), sg.softmax(x, axis=1)], options=sg.Options(threads=3))
    made = Ahead(f)
    for shape in ((1, 200_001), (70_001, 3), (400, 500)):
        array = np.random.default_rng(0).normal(size=shape).astype("float32")
        status, found = made(array)
        assert status == 0
        for a, b in zip(found, f(array), strict=True):
            assert a.tobytes() == b.tobytes()


def test_softmax_and_its_kin_of_nothing():
    x = sg.placeholder("float32", ("n", "k"), name="x")
    outputs = [
        sg.softmax(x, axis=1),
        sg.logsumexp(x, axis=1),
        sg.log(sg.sum(sg.exp(x))),
        sg.log_softmax(x, axis=0),
    ]
    made, largest = Ahead(sg.function([x], outputs)), Ahead(sg.function([x], [*outputs, sg.max(x, axis=1)]))
    for shape, sums in (((2, 0), [-np.inf] * 2), ((0, 2), []), ((0, 0), [])):
        status, (shares, total, whole, scores) = made(np.zeros(shape, "float32"))

        assert status == 0
        assert shape == shares.shape == scores.shape
        np.testing.assert_array_equal(total, np.array(sums, "float32"))
        assert whole == -np.inf
    assert largest(np.zeros((2, 0), "float32"))[0] == 1


def test_trouble_leaves_states_as_they_were():
    total = sg.variable(np.arange(4.0), name="total")
    i = sg.placeholder("int64", ("n",), name="i")
    made = Ahead(sg.function([i], total[i], updates={total: total.at[i].add(1.0)}))

    assert made(np.array([0, 9]))[0] == 2
    assert made(np.array([-5]))[0] == 2
    np.testing.assert_array_equal(made.states["total"], np.arange(4.0))
    status, (found,) = made(np.array([0, -1]))
    assert status == 0
    np.testing.assert_array_equal(found, [0.0, 3.0])
    np.testing.assert_array_equal(made.states["total"], [1.0, 1.0, 2.0, 4.0])


def test_linear_algebra_has_the_bits_of_the_function():
    """Up to the sizes for which that has LAPACK; a library has its own for all."""
    a, b = (
        sg.placeholder("float64", ("k", "n", "n"), name="a"),
        sg.placeholder("float64", ("n", "m"), name="b"),
    )
    eye = sg.eye(a.shape[-1])
    outputs = [
        sg.linalg.cholesky(a @ a.mT + eye),
        sg.linalg.solve(a, b),
        sg.linalg.solve_triangular(a + 4 * eye, b, trans=1),
        sg.linalg.inv(a.mT, singular="nan"),
        sg.linalg.det(a / 8 + eye),
        *sg.linalg.slogdet(a),
    ]
    f = sg.function([a, b], outputs)
    made, rng = Ahead(f), np.random.default_rng(0)
    for k, n, m in ((0, 2, 1), (1, 1, 1), (3, 4, 2), (2, 21, 3), (5, 3, 0), (2, 0, 2), (1, 150, 2)):
        given = rng.normal(size=(k, n, n)), rng.normal(size=(n, m))
        status, found = made(*given)
        assert status == 0
        for x, y in zip(found, f(*given), strict=True):
            if n < 100:
                np.testing.assert_array_equal(x, y)
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-9)


def test_a_singular_matrix_leaves_states_as_they_were():
    total = sg.variable(np.zeros((2, 2)), name="total")
    a = sg.placeholder("float64", ("n", 2, 2), name="a")
    i = sg.placeholder("int64", (), name="i")
    new = sg.scan(lambda c, x: (c + sg.linalg.inv(x), None), total, a)[0]
    made = Ahead(sg.function([a, i], sg.linalg.cholesky(a)[i], updates={total: new}))
    good = np.stack([np.eye(2), 4 * np.eye(2)])

    assert made(good - [[[0]], [[4]]], 0)[0] == 3
    assert made(good * [[[1]], [[0]]], 0)[0] == 3
    assert made(good, 2)[0] in (1, 2)
    np.testing.assert_array_equal(made.states["total"], np.zeros((2, 2)))
    status, (found,) = made(good, 1)
    assert status == 0
    np.testing.assert_array_equal(found, 2 * np.eye(2))
    np.testing.assert_array_equal(made.states["total"], 1.25 * np.eye(2))


@pytest.mark.parametrize("op", [sg.linalg.det, lambda a: sg.linalg.slogdet(a).logabsdet])
def test_matrices_that_are_not_square_are_refused(op):
    a = sg.placeholder("float64", ("n", "m"), name="a")
    made = Ahead(sg.function([a], op(a)))

    assert made(np.ones((2, 3)))[0] == 1
    assert made(np.ones((2, 2)))[0] == 0


@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [
        (lambda n, m: sg.zeros((n,)) + sg.ones((m,)), [(2, 3), (-1, 1), (0, 2)], [(3, 3), (1, 4), (4, 1), (0, 1)]),
        (lambda n, m: sg.ones((n, 2)).reshape((m, 4)), [(3, 1), (2, 2)], [(4, 2), (0, 0)]),
        (lambda n, m: sg.max(sg.ones((n, m)), axis=1), [(2, 0)], [(2, 1), (0, 3)]),
        (lambda n, m: sg.ones((n,))[m], [(2, 2), (0, 0)], [(1, 0), (7, 6)]),
        (lambda n, m: sg.ones((n, 3)) @ sg.ones((m, 3)).T, [(-2, 1)], [(0, 2), (2, 0), (2, 3)]),
        (lambda n, m: sg.concat([sg.ones((n, 2)), sg.ones((m, 2))])[1 : n + m : 2], [], [(0, 0), (1, 1), (5, 4)]),
        (lambda n, m: sg.arange(n * m)[:: -(3)] * (n // 2 + m % 3), [], [(0, 0), (1, 2), (5, 7)]),
        (lambda n, m: sg.pad(sg.ones((n,)), (m, n)), [(1, -1)], [(0, 0), (3, 2)]),
    ],
)  # fmt: skip
def test_sizes_are_checked(make, wrong, right):
    n, m = sg.placeholder("float64", ("n",), name="a"), sg.placeholder("float64", ("m",), name="b")
    value = make(n.shape[0], m.shape[0])
    f = sg.function([n, m], value + (0 * n.sum() + 0 * m.sum()))
    made = Ahead(f)
    for sizes in wrong:
        arrays = [np.zeros(max(size, 0)) for size in sizes]
        assert made.with_sizes(sizes, arrays)[0] == 1, sizes
    for sizes in right:
        arrays = [np.zeros(size) for size in sizes]
        status, (found,) = made.with_sizes(sizes, arrays)
        assert status == 0, sizes
        np.testing.assert_array_equal(found, f(*arrays))


def test_a_size_gets_a_number():
    x = sg.placeholder("float32", ("n", "k"), name="x")
    f = sg.function([x], [sg.softmax(x, axis=1), x.T @ x])
    made = Ahead(f, n=5)
    assert list(made.interface.sizes.values()) == ["k"]
    array = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    status, found = made(array)
    assert status == 0
    for a, b in zip(found, f(array), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    known = Ahead(f, n=5, k=7)
    assert isinstance(known.interface.memory, int)
    for a, b in zip(known(array)[1], found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_threads_call_one_library():
    x = sg.placeholder("float64", ("n", 6), name="x")
    made = Ahead(
        sg.function(
            [x], [sg.softmax(x @ x.T, axis=1), sg.scan(lambda c, r: (c * 0.5 + r, c), x[0] * 0, x)[1]]
        )
    )
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(20 + n, 6)) for n in range(8)]
    expected = [made(x)[1] for x in given]
    wrong = []

    def run(n):
        for _ in range(50):
            wrong.extend(
                not np.array_equal(a, b) for a, b in zip(made(given[n])[1], expected[n], strict=True)
            )

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(wrong) == 8 * 50 * 2 and not any(wrong)


def test_memory_is_used_again():
    """A chain of products of which two are alive at a time."""
    x = w = sg.placeholder("float32", ("n", "n"), name="x")
    for _ in range(12):
        x = sg.tanh(x @ w)
    made = Ahead(sg.function([w], x))
    assert made.memory([128]) < 5 * 4 * 128 * 128 + 4 * 1024 * 1024
    assert made.memory([256]) - made.memory([128]) < 5 * 4 * (256**2 - 128**2)


def test_sizes_are_asked_where_they_count():
    """A branch that is not taken, and a loop without turns, need nothing to fit."""
    x, y = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("float64", ("m",), name="y")
    first = sg.placeholder("bool", (), name="first")
    f = sg.function(
        [first, x, y], sg.cond(first, lambda: sg.max(x), lambda: (x + y).sum() + sg.ones((4,))[x.shape[0]])
    )
    made = Ahead(f)
    none, one, two, five = (np.arange(float(n)) for n in (0, 1, 2, 5))

    assert made(np.True_, two, five) == (0, [1.0])
    assert made(np.False_, two, five)[0] == 1
    assert made(np.False_, none, none) == (0, [1.0])
    assert made(np.False_, two, one) == (0, [2.0])
    assert made(np.True_, none, one)[0] == 1
    assert made(np.False_, five, five)[0] == 1
    loop = Ahead(sg.function([x, y], sg.fori_loop(0, y.shape[0], lambda i, c: c + sg.max(x + c * 0), 0.0)))
    assert loop(none, none) == (0, [0.0])
    assert loop(none, one)[0] == 1
    assert loop(five, two) == (0, [8.0])
