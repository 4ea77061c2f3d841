"""Kernels that threads share: the same bits for any number of them."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.graph.walk import toposort
from symgraph.runtime import shares
from symgraph.runtime.code import code
from symgraph.runtime.pool import pool
from tests.concurrency import by_threads, noticing, together
from tests.fuzz.drawing import draw_group

x = sg.placeholder("float32", ("n", "k"), name="x")
y = sg.placeholder("float32", ("n", "k"), name="y")
v = sg.placeholder("float32", ("k",), name="v")
PROGRAMS = {
    "elementwise": sg.tanh(x) * y + v,
    "softmax": sg.softmax(x + v, axis=1),
    "softmax down": sg.softmax(x * v, axis=0),
    "layer norm": (x - sg.mean(x, axis=1, keepdims=True)) / sg.sqrt(sg.var(x, axis=1, keepdims=True) + 1e-5),
    "sums": [sg.sum(x * y, axis=0), sg.sum(x * y, axis=1), sg.sum(x * y)],
    "extrema": [sg.argmax(x, axis=0), sg.max(x * y, axis=1), sg.min(x, axis=0) * v],
    "product": sg.tanh(x @ y.T) @ y,
    "product of turned": (x.T @ y) @ v,
    "gradient": sg.grad(sg.sum(sg.gelu(x @ sg.transpose(x)) ** 2), [x])[0],
    "turned": x.T[::-1] * 2 + y.T,
    "norms": sg.sqrt(sg.sum(sg.square(x - y), axis=1)) * sg.logsumexp(x, axis=1),
}
FACTORED = {
    "cholesky": lambda a, b: [sg.linalg.cholesky(a)],
    "solve": lambda a, b: [sg.linalg.solve(a, b)],
    "triangular": lambda a, b: [sg.linalg.solve_triangular(a, b)],
    "inverse": lambda a, b: [sg.linalg.inv(a) @ b],
    "determinants": lambda a, b: [sg.linalg.det(a), *sg.linalg.slogdet(a), sg.sum(b)],
}


@pytest.fixture
def eager(monkeypatch):
    monkeypatch.setattr(shares, "_WORTH", 1.0)


@pytest.fixture
def cut(monkeypatch):
    """One thread does some turns at a time, however few there are; what it did is told of."""
    monkeypatch.setattr(shares, "_LEAST", 1)
    monkeypatch.setattr(shares, "_PART", 1 << 10)
    found = []
    noticing(monkeypatch, lambda call, how: found.append((call.turns, call.chunk)))
    return found


def function(outputs, threads):
    outputs = outputs if isinstance(outputs, list) else [outputs]
    known = set(toposort(outputs))
    inputs = [node for node in (x, y, v) if node in known]
    return inputs, sg.function(inputs, outputs, options=sg.Options(threads=threads))


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_many_threads_as_one_likes(eager, name):
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (3, 5), (70, 33), (257, 300), (0, 4), (1000, 2), (2, 3000)]:
        arrays = {x: rng.normal(size=shape), y: rng.normal(size=shape), v: rng.normal(size=shape[1])}
        if name in ("extrema", "softmax down") and 0 in shape:
            continue
        expected = None
        for threads in (1, 2, 3, 7):
            inputs, f = function(PROGRAMS[name], threads)
            given = [arrays[node].astype("float32") for node in inputs]
            for _ in range(3):
                found = f(*given)
                expected = expected or found
                for one, other in zip(expected, found, strict=True):
                    np.testing.assert_array_equal(one, other)
            code().settle()
            for one, other in zip(expected, f(*given), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", PROGRAMS)
def test_there_and_back(name, cut):
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (3, 5), (70, 33), (257, 300), (1000, 2), (2, 3000)]:
        arrays = {x: rng.normal(size=shape), y: rng.normal(size=shape), v: rng.normal(size=shape[1])}
        inputs, f = function(PROGRAMS[name], 1)
        given = [arrays[node].astype("float32") for node in inputs]
        with pytest.MonkeyPatch.context() as whole:
            whole.setattr(shares, "_LEAST", 1 << 40)
            expected = function(PROGRAMS[name], 1)[1](*given)
        for _ in range(5):
            for one, other in zip(expected, f(*given), strict=True):
                assert one.tobytes() == other.tobytes()
        code().settle()
        for _ in range(2):
            for one, other in zip(expected, f(*given), strict=True):
                assert one.tobytes() == other.tobytes()

    assert (name not in ("softmax down", "turned")) == any(chunk < turns for turns, chunk in cut)


def test_there_and_back_in_a_loop(cut):
    a, c = sg.placeholder("float32", ("n", "n"), name="a"), sg.placeholder("float32", ("n",), name="c")
    total = sg.scan(lambda c, w: (sg.tanh(a @ c) + w, None), c, a)[0]
    rng = np.random.default_rng(0)
    given = rng.normal(size=(150, 150)).astype("float32"), rng.normal(size=150).astype("float32")
    f = sg.function([a, c], total, options=sg.Options(threads=1))
    found = {f(*given).tobytes() for _ in range(4)}
    assert any(chunk < turns for turns, chunk in cut)
    with pytest.MonkeyPatch.context() as whole:
        whole.setattr(shares, "_LEAST", 1 << 40)
        found.add(sg.function([a, c], total, options=sg.Options(threads=1))(*given).tobytes())

    assert 1 == len(found)


@pytest.mark.parametrize("group", range(4, 7))
def test_drawn_programs_there_and_back(group, cut):
    for _, program in draw_group(group, 8, 500):
        (found,) = by_threads(program, [1])
        with pytest.MonkeyPatch.context() as whole:
            whole.setattr(shares, "_LEAST", 1 << 40)
            (expected,) = by_threads(program, [1])
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_one_thread_does_at_a_time():
    """Rows of a large array; all where it is small, huge or turned."""
    found = {
        shape: shares.part(shape[0], 4 * shape[0] * shape[1])
        for shape in ((300, 400), (1000, 1000), (100_000, 1000), (8, 100_000), (0, 7))
    }

    assert {(300, 400): 300, (1000, 1000): 32, (100_000, 1000): 100_000, (8, 100_000): 1, (0, 7): 0} == found
    assert 16384 == shares.part(1 << 18, 1 << 21, in_vectors=True)
    assert 64 == shares.part(100, 1 << 24, in_vectors=True)


@pytest.mark.parametrize(
    ("shape", "outputs", "expected"),
    [
        ((1000, 1000), sg.sum(x, axis=1), (1000, 32)),
        ((1000, 1000), sg.sum(x, axis=0), (1000, 64)),
        ((1000, 1000), sg.softmax(x, axis=0), (1000, 1000)),
        ((1000, 500), x.T + y.T[::-1], (500, 500)),
        ((1000, 500), sg.tanh(x), (500_000, 16_384)),
        ((600, 1000), x @ v, (100, 5)),
        ((100, 1000), x @ v, (17, 17)),
    ],
)
def test_what_is_cut(monkeypatch, shape, outputs, expected):
    found = []
    noticing(monkeypatch, lambda call, how: found.append((call.turns, call.chunk)))
    inputs, f = function(outputs, 1)
    f(*[np.ones(shape if node is not v else shape[1], "float32") for node in inputs])

    assert expected == found[-1]


@pytest.mark.parametrize("row", ["float32", "float64"])
@pytest.mark.parametrize("name", FACTORED)
def test_matrices_of_a_batch(eager, name, row):
    """Each thread has a room of its own; a matrix without a result is told of, whoever met it."""
    rng = np.random.default_rng(0)
    a = sg.placeholder(row, ("k", "j", "n", "n"), name="a")
    b = sg.placeholder(row, ("j", "n", "m"), name="b")
    outputs = FACTORED[name](a @ a.mT + sg.eye(a.shape[-1], dtype=row), b)
    made = {
        threads: sg.function([a, b], outputs, options=sg.Options(threads=threads)) for threads in (1, 2, 3, 7)
    }
    for k, j, n, m in [(1, 1, 3, 2), (3, 5, 9, 1), (40, 30, 4, 3), (7, 1, 33, 8), (0, 4, 3, 1), (2, 3, 0, 2)]:
        given = rng.normal(size=(k, j, n, n)).astype(row), rng.normal(size=(j, n, m)).astype(row)
        expected = made[1](*given)
        for f in made.values():
            for _ in range(3):
                for one, other in zip(expected, f(*given), strict=True):
                    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("place", [0, 1, 77, 199])
def test_a_matrix_without_a_result_in_any_thread(eager, place):
    a = sg.placeholder("float64", ("k", "n", "n"), name="a")
    good = np.random.default_rng(0).normal(size=(200, 5, 5))
    bad = good.copy()
    bad[place] = 0
    for threads in (1, 2, 5):
        f = sg.function([a], sg.linalg.inv(a), options=sg.Options(threads=threads))
        expected = f(good)
        for _ in range(4):
            with pytest.raises(sg.LinAlgError, match=rf"the matrix \[{place}\] is singular"):
                f(bad)
            np.testing.assert_array_equal(f(good), expected)


def test_matrices_in_turns_of_a_loop(eager):
    a = sg.placeholder("float64", ("t", "k", 4, 4), name="a")
    total = sg.scan(lambda c, each: (c + sg.linalg.inv(each), None), 0 * a[0], a)[0]
    good = np.random.default_rng(0).normal(size=(3, 50, 4, 4))
    bad = good.copy()
    bad[1, 33] = 0
    expected = None
    for threads in (1, 2, 5):
        f = sg.function([a], total, options=sg.Options(threads=threads))
        for _ in range(4):
            found = f(good)
            expected = found if expected is None else expected
            np.testing.assert_array_equal(found, expected)
            with pytest.raises(sg.LinAlgError, match="singular"):
                f(bad)


def test_batches_that_are_worth_it_are_shared(monkeypatch):
    found = []
    noticing(monkeypatch, lambda call, how: found.append(call._shared.threads))
    for shape, expected in (((8, 8), 1), ((20, 8, 8), 1), ((1000, 8, 8), 3), ((4, 100, 100), 3)):
        a = sg.placeholder("float64", shape, name="a")
        f = sg.function([a], sg.linalg.inv(a), options=sg.Options(threads=3))
        f(np.broadcast_to(np.eye(shape[-1]), shape).copy())
        assert found.pop() == expected


@pytest.mark.parametrize("group", range(4))
def test_drawn_programs_by_many_threads(eager, group):
    for _, program in draw_group(group, 8, 500):
        for a, b in zip(*by_threads(program, (1, 4)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_work_that_is_worth_it_is_shared():
    _, f = function(PROGRAMS["elementwise"], 3)
    large = [np.ones((1000, 1000), np.float32), np.ones((1000, 1000), np.float32), np.ones(1000, np.float32)]
    f(*large)

    assert len(pool()._threads) >= 2


def test_functions_that_share_called_by_many_threads(eager):
    rng = np.random.default_rng(1)
    given = [rng.normal(size=(200, 100)).astype("float32") for _ in range(2)]
    _, f = function(PROGRAMS["product"], 4)
    expected, wrong = f(*given)[0], []

    def work():
        for _ in range(60):
            if not np.array_equal(f(*given)[0], expected):
                wrong.append(1)

    together(*[work] * 6)
    assert not wrong


def test_what_threads_need_is_stated():
    _, one = function(PROGRAMS["product"], 1)
    _, three = function(PROGRAMS["product"], 3)

    assert one.memory(n=4, k=100).peak == three.memory(n=4, k=100).peak
    assert one.memory(n=1000, k=400).peak < three.memory(n=1000, k=400).peak


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2"])
def test_threads_that_there_cannot_be(threads):
    with pytest.raises(sg.ArgumentError, match="threads is"):
        sg.Options(threads=threads)
