"""Loops as machine code: interrupted, called by many threads, with steps of Python's, over large arrays."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime import native_words
from symgraph.runtime.code import Code

LLVM = sg.Options(backend="llvm")

LONG = """
import signal, sys, time
import numpy as np
import symgraph as sg
from symgraph.runtime import native_words

size = int(sys.argv[1])
x, n = sg.placeholder("float64", (size,), name="x"), sg.placeholder("int64", (), name="n")
{nested}
f = sg.function([x, n], sg.fori_loop(0, n, turn, x), options=sg.Options(backend="llvm"))
for _ in range(int(sys.argv[2])):
    f(np.zeros(size), 3)
    time.sleep(0.1)
signal.setitimer(signal.ITIMER_REAL, 0.5)
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began this may ignore it
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
try:
    f(np.zeros(size), 10**14)
except KeyboardInterrupt:
    print("interrupted")
print(f(np.zeros(size), 2)[:1])
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
@pytest.mark.parametrize("size, calls", [(4, 0), (4, 8), (1_000_000, 0)])
@pytest.mark.parametrize("nested", [False, True])
def test_a_long_loop_is_interrupted(size, calls, nested):
    inner = "turn = lambda i, c: sg.fori_loop(0, 3, lambda j, d: d * 0.5 + 1, c)"
    program = LONG.format(nested=inner if nested else "turn = lambda i, c: c * 0.5 + 1")
    command = [sys.executable, "-c", program, str(size), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert lines[0] == "interrupted"  # docs/loops.md says how soon
    assert lines[1] == ("[1.96875]" if nested else "[1.5]")


def test_many_threads_call_one_loop():
    xs = sg.placeholder("float64", ("n", 5), name="xs")
    f = sg.function([xs], sg.scan(lambda c, r: (c * 0.5 + sg.tanh(r), c), sg.zeros((5,)), xs), options=LLVM)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(50 + 10 * (k % 3), 5)) for k in range(6)]
    expected = [f(x) for x in given]
    wrong = []

    def call(k):
        for _ in range(200):
            if not all(np.array_equal(a, b) for a, b in zip(f(given[k]), expected[k], strict=True)):
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


def test_steps_of_a_library_inside():
    xs = sg.placeholder("float64", ("n", 4), name="xs")
    last, kept = sg.scan(lambda c, r: (sg.sort(c + r)[::-1] * 0.5, sg.cumsum(r)), sg.zeros((4,)), xs)
    f = sg.function([xs], [last, kept], options=LLVM)
    rows = np.random.default_rng(0).normal(size=(20, 4))
    carry = np.zeros(4)
    for row in rows:
        carry = np.sort(carry + row)[::-1] * 0.5

    for _ in range(5):
        a, b = f(rows)
        np.testing.assert_allclose(a, carry, rtol=1e-14)
        np.testing.assert_allclose(b, np.cumsum(rows, 1), rtol=1e-14)


def test_a_step_of_python_that_fails():
    xs = sg.placeholder("float64", ("n", 2, 2), name="xs")
    f = sg.function([xs], sg.map(sg.linalg.inv, xs), options=LLVM)
    good = np.array([[[2.0, 0.0], [0.0, 4.0]]] * 3)
    bad = good.copy()
    bad[1] = 1.0
    for _ in range(5):
        np.testing.assert_allclose(f(good)[2], [[0.5, 0.0], [0.0, 0.25]])
        with pytest.raises(sg.LinAlgError, match=r"test_native_inner\.py"):
            f(bad)


def test_carries_larger_than_what_is_kept_for_calls():
    x = sg.placeholder("float64", (1 << 20,), name="x")
    f = sg.function([x], sg.fori_loop(0, 3, lambda i, c: c * 0.5 + x, x), options=LLVM)
    given = np.random.default_rng(0).normal(size=1 << 20)
    for _ in range(4):
        np.testing.assert_allclose(f(given), given * 1.875, rtol=1e-14)


def test_an_update_of_a_variable_by_a_loop():
    w = sg.variable(np.zeros(3), name="w")
    x = sg.placeholder("float64", ("n", 3), name="x")
    f = sg.function([x], w.sum(), updates={w: sg.scan(lambda c, r: (c + r, None), w, x)[0]}, options=LLVM)
    for turn in range(6):
        assert f(np.ones((4, 3))) == 12.0 * turn

    np.testing.assert_array_equal(w.value, np.full(3, 24.0))


def test_products_and_gathers_inside():
    table, w = sg.placeholder("float32", (10, 4), name="table"), sg.placeholder("float32", (4, 4), name="w")
    words = sg.placeholder("int64", ("n",), name="words")
    last, _ = sg.scan(lambda c, k: (sg.tanh(c @ w + table[k]), None), sg.zeros((4,), "float32"), words)
    f = sg.function([table, w, words], [last, *sg.grad(last.sum(), [table, w])], options=LLVM)
    rng = np.random.default_rng(0)
    given = (
        rng.normal(size=(10, 4)).astype("f4"),
        rng.normal(size=(4, 4)).astype("f4") * 0.5,
        rng.integers(0, 10, 7),
    )
    expected = sg.evaluate(
        [last, *sg.grad(last.sum(), [table, w])], dict(zip((table, w, words), given, strict=True))
    )
    for _ in range(5):
        for found, value in zip(f(*given), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-6)


def test_sizes_change_without_a_new_compilation(monkeypatch):
    xs = sg.placeholder("float64", ("n", "k"), name="xs")
    f = sg.function(
        [xs], sg.scan(lambda c, r: (c + sg.exp(-r), c.sum()), sg.zeros((xs.shape[1],)), xs), options=LLVM
    )
    f(np.zeros((3, 4)))
    monkeypatch.setattr(Code, "_compile", lambda *_: pytest.fail("compiled again"))
    for n, k in ((5, 4), (2, 9), (0, 3), (7, 1), (4, 0)):
        carry, sums = f(np.zeros((n, k)))

        np.testing.assert_array_equal(carry, np.full(k, float(n)))
        np.testing.assert_array_equal(sums, np.arange(n) * float(k))


@pytest.mark.parametrize("size", [8, 64, 130])
def test_products_with_constants_are_no_steps_of_pythons(size, monkeypatch):
    def refused(*_):
        raise AssertionError("a step of Python's in a loop")

    monkeypatch.setattr(native_words.Lane, "add_python", refused)
    rng = np.random.default_rng(size)
    w, given = np.linalg.qr(rng.normal(size=(size, size)))[0], rng.normal(size=(5, size))
    x = sg.placeholder("float64", (5, size), name="x")
    for weight, matrix in ((sg.constant(w), w), (sg.constant(w).T, w.T), (sg.constant(w)[::-1], w[::-1])):
        f = sg.function([x], sg.fori_loop(0, 7, lambda i, h, weight=weight: h @ weight, x), options=LLVM)
        for _ in range(4):
            np.testing.assert_allclose(f(given), given @ np.linalg.matrix_power(matrix, 7), atol=1e-10)
