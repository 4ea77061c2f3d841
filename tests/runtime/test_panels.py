"""Weights are copied once for the products that read them, and never read when they have changed."""

import gc
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime import panels
from symgraph.runtime.code import code
from tests.concurrency import together

pytestmark = pytest.mark.cpu

OPTIONS = sg.Options(threads=1)


@pytest.fixture(autouse=True)
def copies():
    """The copies that there are."""
    gc.collect()
    panels._KNOWN.clear()
    return panels._KNOWN


@pytest.fixture
def made(monkeypatch):
    """What was copied, in order."""
    seen = []

    def noticed(function, source, lying, make=panels._made):
        seen.append(source)
        return make(function, source, lying)

    monkeypatch.setattr(panels, "_made", noticed)
    return seen


def weight(*shape, dtype="float32", name="w", seed=0):
    return sg.variable(np.random.default_rng(seed).normal(size=shape).astype(dtype), name=name)


def numbers(*shape, dtype="float32"):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def product(w, **more):
    x = sg.placeholder(w.dtype, ("m", w.shape[0]), name="x")
    return sg.function([x], x @ w, options=OPTIONS, **more)


def assert_right(f, w, a):
    np.testing.assert_allclose(f(a), a @ w.value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_weight_is_copied_once(dtype, made):
    w = weight(90, 130, dtype=dtype)
    f = product(w)
    for m in (7, 1, 64, 7):
        for _ in range(5):
            assert_right(f, w, numbers(m, 90, dtype=dtype))

    assert [id(w._array)] == [*map(id, made)]


def test_programs_share_a_copy(made):
    w = weight(30, 70)
    f, x = product(w), sg.placeholder("float32", (5, 30), name="y")
    g = sg.function([x], sg.tanh(x) @ w, options=OPTIONS)
    a = numbers(5, 30)
    for _ in range(3):
        f(a)
        np.testing.assert_allclose(g(a), np.tanh(a) @ w.value, rtol=1e-4, atol=1e-4)

    assert len(made) == 1


def test_what_changes_is_read_at_once(made):
    w = weight(30, 70)
    f, a = product(w), numbers(9, 30)
    double = sg.function([], [], updates={w: w * 2})
    for n in range(5):
        for _ in range(12):
            assert_right(f, w, a)
        if n % 2:
            w.value = w.value + 1
        else:
            double()

    assert len(made) == 5


def test_what_changes_often_is_not_copied(made, copies):
    w = weight(30, 70)
    f, a = product(w), numbers(9, 30)
    for _ in range(20):
        w.value = w.value + 1
        assert_right(f, w, a)
    count = len(made)
    for _ in range(20):
        assert_right(f, w, a)

    assert len(made) == count <= 3
    assert not copies


def test_a_variable_that_the_function_updates_is_not_copied(made):
    w = weight(30, 70)
    f, a = product(w, updates={w: w * 0.5}), numbers(9, 30)
    for _ in range(5):
        before = w.value
        np.testing.assert_allclose(f(a), a @ before, rtol=1e-4, atol=1e-4)

    assert not made


def test_sessions_have_weights_of_their_own(made):
    w, a = weight(30, 70), numbers(9, 30)
    x = sg.placeholder("float32", ("m", 30), name="x")
    y, halve = x @ w, sg.assign(w, w / 2)
    with sg.Session(OPTIONS) as one, sg.Session(OPTIONS) as other:
        for _ in range(10):
            one.run(y, {x: a})
        one.run(halve)
        for _ in range(3):
            np.testing.assert_allclose(one.run(y, {x: a}), a @ w.value / 2, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(other.run(y, {x: a}), a @ w.value, rtol=1e-4, atol=1e-4)

    assert len(made) == 3


@pytest.mark.parametrize("m", [1, 2, 50])
def test_views(m, made):
    """A transposed weight, some of its rows, one turned around."""
    w, a = weight(130, 90), numbers(m, 90)
    x = sg.placeholder("float32", ("m", 90), name="x")
    for view, known in ((w.T, w.value.T), (w[20:80].T, w.value[20:80].T), (w[::-1].T, w.value[::-1].T)):
        f = sg.function([x], x @ view, options=OPTIONS)
        for _ in range(12):
            np.testing.assert_allclose(f(a), a @ known, rtol=1e-4, atol=1e-4)
        w.value = w.value * 2
        np.testing.assert_allclose(f(a), a @ (2 * known), rtol=1e-4, atol=1e-4)
        w.value = w.value / 2

    assert (m > 1) == bool(made)


def test_constants_are_copied_once(made):
    c, a = np.asarray(numbers(30, 70)), numbers(9, 30)
    x = sg.placeholder("float32", ("m", 30), name="x")
    f = sg.function([x], x @ sg.constant(c), options=OPTIONS)
    for _ in range(5):
        np.testing.assert_allclose(f(a), a @ c, rtol=1e-4, atol=1e-4)

    assert len(made) == 1


def test_bits_are_those_of_a_product_without_a_weight():
    w, a = weight(600, 130), numbers(33, 600)
    x, y = (
        sg.placeholder("float32", shape, name=name)
        for name, shape in zip("xy", (("m", 600), (600, 130)), strict=True)
    )
    f, g = product(w), sg.function([x, y], x @ y, options=OPTIONS)
    for m in (1, 2, 4, 33):
        for _ in range(4):
            assert f(a[:m].copy()).tobytes() == g(a[:m].copy(), w.value).tobytes()
    code().settle()

    assert f(a).tobytes() == g(a, w.value).tobytes()


def test_any_number_of_threads_gives_the_same_bits():
    w, a = weight(300, 400), numbers(700, 300)
    x = sg.placeholder("float32", ("m", 300), name="x")
    found = [sg.function([x], x @ w, options=sg.Options(threads=n))(a).tobytes() for n in (1, 2, 3)]

    assert 1 == len(set(found))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_call_gives_the_same_bits(dtype, threads):
    """Panels are read there and back, in turn."""
    x = sg.placeholder(dtype, ("m", 530), name="x")
    first, second = weight(530, 200, dtype=dtype), weight(70, 200, dtype=dtype)
    f = sg.function([x], sg.tanh(x @ first) @ second.T, options=sg.Options(threads=threads))
    for m in (1, 6, 40, 500):
        a = numbers(m, 530, dtype=dtype)
        found = {f(a).tobytes() for _ in range(6)}
        code().settle()
        found |= {f(a).tobytes() for _ in range(6)}

        assert 1 == len(found)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(0, 3, 4), (3, 0, 4), (3, 4, 0), (3, 4, 1), (1, 1, 1), (1, 4, 500)]
)
def test_odd_sizes(m, k, n):
    w = weight(k, n)
    f = product(w)
    for _ in range(4):
        assert_right(f, w, numbers(m, k))


def test_batches_and_vectors():
    w = weight(30, 70)
    a, v = numbers(4, 5, 30), numbers(30)
    x, y = sg.placeholder("float32", ("b", "s", 30), name="x"), sg.placeholder("float32", (30,), name="y")
    f = sg.function([x, y], [x @ w, y @ w], options=OPTIONS)
    for _ in range(4):
        for found, expected in zip(f(a, v), (a @ w.value, v @ w.value), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_nothing_is_copied_under_a_limit_of_memory(made):
    w, a = weight(30, 70), numbers(9, 30)
    x = sg.placeholder("float32", ("m", 30), name="x")
    f = sg.function([x], x @ w, options=sg.Options(threads=1, memory_limit=10**6))
    for _ in range(4):
        assert_right(f, w, a)

    assert not made


def test_copies_go_with_what_reads_them(copies):
    w, a = weight(30, 70), numbers(9, 30)
    f = product(w)
    for _ in range(5):
        f(a)
    assert len(copies) == 1
    del f
    gc.collect()

    assert not copies


def test_weights_that_change_while_threads_read_them():
    """Every result is that of one of the two values."""
    w = weight(40, 70)
    first, a = w.value, numbers(9, 40)
    f = product(w)
    expected = [f(a).tobytes()]
    w.value = -first
    expected.append(f(a).tobytes())
    found, is_over = set(), threading.Event()

    def change():
        for n in range(60):
            w.value = first if n % 2 else -first
        is_over.set()

    def read():
        while not is_over.is_set():
            found.add(f(a).tobytes())

    together(change, read, read)
    found |= {f(a).tobytes() for _ in range(20)}

    assert found <= set(expected)
    assert expected[0] in found
