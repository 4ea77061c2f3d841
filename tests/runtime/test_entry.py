"""Calls without Python: what they take, what they leave to the slow way, and that they leave nothing behind."""

import gc
import os
import sys
import threading
import weakref
from functools import partial

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime import native_backend
from symgraph.runtime.code import code
from symgraph.runtime.entry import _ROW, Step
from tests.concurrency import together


def compiled(outputs=lambda x, y: x * y + 1):
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    return sg.function([x, y], outputs(x, y))


def learned(f, *args):
    """The function after calls enough to know these arguments."""
    f(*args)
    f(*args)
    code().settle()
    f(*args)
    assert type(f).__call__ is not sg.CompiledFunction.__call__
    return f


def arrays(n, seed=0):
    return np.random.default_rng(seed).normal(size=(2, n))


def test_a_call_that_was_learned_gives_the_same():
    a, b = map(np.ascontiguousarray, arrays(5))
    f = compiled()
    first = f(a, b)
    learned(f, a, b)

    np.testing.assert_array_equal(first, f(a, b))
    np.testing.assert_array_equal(a * b + 1, f(a, b))
    assert f(a, b) is not f(a, b)
    assert isinstance(f, sg.CompiledFunction)
    assert "multiply" in str(f)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 63, 64, 65, 1000])
def test_any_size_has_its_own_way(n):
    f = learned(compiled(), *arrays(4))
    for seed in range(3):
        a, b = arrays(n, seed)
        np.testing.assert_array_equal(a * b + 1, f(a, b))
    np.testing.assert_array_equal(np.ones(4), f(np.zeros(4), np.zeros(4)))


def test_whatever_else_is_given_goes_the_slow_way():
    a, b = arrays(6)
    f = learned(compiled(), a, b)
    expected = a * b + 1

    np.testing.assert_array_equal(expected, f(a.tolist(), b))
    np.testing.assert_array_equal(expected, f(a, y=b))
    np.testing.assert_array_equal(expected, f(x=a, y=b))
    np.testing.assert_array_equal(expected, f(np.repeat(a, 2)[::2], b))
    np.testing.assert_array_equal(expected, f(a[::-1].copy()[::-1], b))
    np.testing.assert_array_equal(expected, f(a.astype(">f8"), b))
    np.testing.assert_array_equal(expected, f(a.view(type("Mine", (np.ndarray,), {})), b))
    unaligned = np.zeros(49, np.uint8)[1:].view(np.float64)
    unaligned[...] = a
    np.testing.assert_array_equal(expected, f(unaligned, b))
    for wrong in [(a,), (a, b, b), (a, b[:3]), (a, b.astype(complex)), (a[None], b), ("x", b)]:
        with pytest.raises(sg.SymgraphError):
            f(*wrong)
    with pytest.raises(sg.ArgumentError):
        f(a, z=b)
    np.testing.assert_array_equal(expected, f(a, b))


def test_several_results_and_none_of_them_shared():
    a, b = arrays(6)
    f = learned(compiled(lambda x, y: (x + y, sg.softmax(x), x.sum())), a, b)
    first, second = f(a, b), f(a, b)

    assert isinstance(first, tuple)
    np.testing.assert_array_equal(a + b, first[0])
    np.testing.assert_allclose(a.sum(), first[2], rtol=1e-14)
    for x, y in zip(first, second, strict=True):
        assert not np.may_share_memory(x, y)
        assert x.flags.writeable
        assert x.flags.owndata


def test_steps_between_which_arrays_lie_in_the_arena():
    x = sg.placeholder("float64", ("n", "k"), name="x")
    total = sg.exp(x).sum(0)
    f = sg.function([x], sg.tanh(x - total.max()) * total)
    array = np.random.default_rng(0).normal(size=(5, 7))
    for _ in range(5):
        found = f(array)
    sums = np.exp(array).sum(0)

    np.testing.assert_allclose(np.tanh(array - sums.max()) * sums, found, rtol=1e-13)


SEEN_OTHERWISE = {
    "squeezed": lambda x: sg.logsumexp(x, axis=-1),
    "beside what it is of": lambda x: [(y := x * 2 + 1), y.reshape((-1,))],
    "twice": lambda x: [(y := sg.exp(x)).reshape((-1,)), y.reshape((-1,))],
    "two of one": lambda x: [sg.expand_dims(y := x * 2, 0), sg.sum(y, axis=0)],
    "an argument": lambda x: [x.reshape((-1,)), x + 1],
}
"""Results that are arrays of steps in another shape."""


@pytest.mark.parametrize("name", SEEN_OTHERWISE)
@pytest.mark.parametrize("shape", [(3, 5), (0, 4), (600, 500)])
def test_results_in_another_shape_are_new_arrays(name, shape):
    x = sg.placeholder("float32", ("n", "m"), name="x")
    outputs = SEEN_OTHERWISE[name](x)
    f = sg.function([x], outputs)
    given = np.random.default_rng(1).normal(size=shape).astype("float32")
    kept, expected = given.copy(), sg.evaluate(outputs, {x: given})
    for _ in range(5):
        code().settle()
        results = f(given)
        for n, (a, b) in enumerate(zip(flat(results), flat(expected), strict=True)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
            assert not any(np.shares_memory(a, other) for other in [given, *flat(results)[:n]])
    for each in flat(results):
        each[...] = 7
    np.testing.assert_array_equal(kept, given)


def flat(results):
    return results if isinstance(results, list) else [results]


def test_a_result_in_another_shape_needs_no_python():
    x = sg.placeholder("float32", ("n", "m"), name="x")
    f = learned(sg.function([x], sg.logsumexp(x, axis=-1)), np.ones((3, 4), "float32"))
    (state,) = f._entry._states.values()
    assert all(isinstance(step, Step) for step in state._steps)


def test_the_same_array_twice():
    a, b = arrays(6)
    f = learned(compiled(), a, b)

    np.testing.assert_array_equal(a * a + 1, f(a, a))
    g = learned(compiled(), a, a)
    np.testing.assert_array_equal(a * b + 1, g(a, b))


@pytest.mark.parametrize(
    "outputs", [[0, 1], {"a": 0, "b": 1}, [0], (), [], None, {"a": [0, (1,)]}, (0, [1]), (1,)], ids=str
)
def test_results_in_the_structure_that_was_asked_for(outputs):
    def filled(part, leaves):
        if isinstance(part, dict):
            return {key: filled(value, leaves) for key, value in part.items()}
        if isinstance(part, list | tuple):
            return type(part)(filled(each, leaves) for each in part)
        return None if part is None else leaves[part]

    x = sg.placeholder("float64", ("n",), name="x")
    total = sg.variable(np.zeros(3), name="total")
    f = sg.function([x], filled(outputs, [x * 2, x + 1]), {total: total + x})
    a = np.arange(3.0)
    learned(f, a)
    found, expected = f(a), filled(outputs, [a * 2, a + 1])

    assert repr(found) == repr(expected)
    np.testing.assert_array_equal(total.value, 4 * a)


def test_variables_are_updated_together():
    x = sg.placeholder("float64", (3,), name="x")
    a, b = sg.variable(np.zeros(3), name="a"), sg.variable(np.ones(3), name="b")
    f = learned(sg.function([x], (a + b).sum(), {a: 2 * b, b: a + x}), np.zeros(3))
    a.value, b.value = np.full(3, 2.0), np.full(3, 5.0)
    old, seen = a._array, a.value
    total = f(np.ones(3))

    assert total == 21
    np.testing.assert_array_equal(a.value, np.full(3, 10.0))
    np.testing.assert_array_equal(b.value, np.full(3, 3.0))
    np.testing.assert_array_equal(old, seen)
    assert not np.may_share_memory(a._array, b._array)


def test_updates_leave_nothing_behind():
    x = sg.placeholder("float64", (3,), name="x")
    a, b = sg.variable(np.zeros(3), name="a"), sg.variable(np.ones(3), name="b")
    f = learned(sg.function([x], {"sum": (a + b).sum()}, {a: a * 0.5 + x, b: b + 1}), np.zeros(3))
    given = np.ones(3)
    f(given)
    gc.collect()
    objects = [given, np.dtype(float), None, True, False, *(f._outputs.values())]
    before = [sys.getrefcount(each) for each in objects]
    for _ in range(50_000):
        f(given)

    assert all(abs(sys.getrefcount(each) - n) < 50 for each, n in zip(objects, before, strict=True))
    assert [sys.getrefcount(each._array) for each in (a, b)] == [2, 2]


@pytest.mark.parametrize("n", [4, 100_000])
def test_every_update_of_every_thread_counts(n):
    x = sg.placeholder("float64", ("n",), name="x")
    total = sg.variable(np.zeros(()), name="total")
    pair = sg.variable(np.zeros(2), name="pair")
    f = sg.function([x], (pair[0] - pair[1], sg.tanh(x).sum()), {total: total + x.max(), pair: pair + 1})
    ones, differences = np.ones(n), []
    learned(f, ones)
    total.value, pair.value = 0.0, np.zeros(2)

    def work():
        for _ in range(300):
            differences.append(float(f(ones)[0]))

    def write():
        for _ in range(300):
            with pair.lock:
                pair.value = pair.value + 1

    together(*[work] * 5, write)

    assert not any(differences)
    assert total.value == 1500
    np.testing.assert_array_equal(pair.value, [1800, 1800])


@pytest.mark.parametrize("n", [4096, 100_000, 500_000])
def test_memory_is_used_again_once_nobody_has_it(n):
    a, b = arrays(n)
    f = learned(compiled(), a, b)
    expected = a * b + 1
    held = [f(a, b) for _ in range(6)]
    for k, x in enumerate(held):
        assert not any(np.may_share_memory(x, y) for y in held[:k])
        assert x.ctypes.data % 64 == 0 or x.base is None
        assert x.flags.writeable
        x[:] = k
    assert [float(x[0]) for x in held] == list(range(6))
    view = held[0][5:10].reshape(5, 1)
    del held, x
    for _ in range(6):
        np.testing.assert_array_equal(expected, f(a, b))
    np.testing.assert_array_equal(view, np.zeros((5, 1)))

    places = set()
    for _ in range(20):
        places.add(f(a, b).ctypes.data)
    assert len(places) <= 2


def test_large_variables_are_updated_in_turn():
    total = sg.variable(np.zeros(50_000), name="total")
    f = learned(sg.function([], total.max(), {total: total + 1}))
    before = total._array
    for n in range(3, 10):
        assert f() == n
    np.testing.assert_array_equal(before, np.full(50_000, 3.0))
    np.testing.assert_array_equal(total.value, np.full(50_000, 10.0))


def test_who_holds_the_lock_of_a_variable_keeps_calls_from_writing():
    total = sg.variable(np.zeros(2), name="total")
    f = learned(sg.function([], total.sum(), {total: total + 1}))
    with total.lock:
        thread = threading.Thread(target=f)
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        np.testing.assert_array_equal(total.value, [3, 3])
        f()  # this thread has it
        np.testing.assert_array_equal(total.value, [4, 4])
    thread.join()
    np.testing.assert_array_equal(total.value, [5, 5])


def by_library(x):
    """Sums along rows, as a product of complex matrices, which is NumPy's."""
    ones = sg.triu(sg.ones((x.shape[1], x.shape[1]), "complex128"))
    return sg.real(x.astype("complex128") @ ones)


def test_steps_of_libraries_between_machine_code():
    x = sg.placeholder("float64", ("n", "n"), name="x")
    last = sg.variable(np.zeros(()), name="last")
    triangle = sg.concatenate([sg.tanh(x), x.T @ x])
    f = sg.function([x], {"sums": by_library(triangle) * 2, "x": x * 2}, {last: triangle.max()})
    array = np.random.default_rng(0).normal(size=(5, 5))
    learned(f, array)
    for seed in range(5):
        array = np.random.default_rng(seed).normal(size=(5, 5))
        found, expected = f(array), np.concatenate([np.tanh(array), array.T @ array])
        np.testing.assert_allclose(expected.cumsum(1) * 2, found["sums"], rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(array * 2, found["x"])
        np.testing.assert_allclose(expected.max(), last.value, rtol=1e-13)


@pytest.mark.parametrize("n", [4, 200_000])
def test_a_step_that_fails_changes_nothing(n):
    x = sg.placeholder("float64", ("n",), name="x")
    index = sg.placeholder("int64", ("k",), name="index")
    count = sg.variable(np.zeros(()), name="count")
    taken = sg.take(sg.exp(x), index)
    f = sg.function([x, index], taken * 2, {count: count + taken.sum() * 0 + 1})
    good, bad = np.array([0, 1]), np.array([0, n])
    array = np.zeros(n)
    learned(f, array, good)
    assert count.value == 3
    before = sys.getrefcount(array)
    for _ in range(20):
        with pytest.raises(sg.SymgraphError, match="test_entry"):
            f(array, bad)
    assert sys.getrefcount(array) == before
    assert count.value == 3
    np.testing.assert_array_equal([2, 2], f(array, good))
    assert count.value == 4


def embedding(library):
    """A training step of an embedding, with a step of a library's in its middle or without."""
    table = sg.variable(np.arange(40.0).reshape(10, 4), name="table")
    steps = sg.variable(np.zeros((), "int64"), name="steps")
    words, labels = (sg.placeholder("int64", ("n",), name=name) for name in ("words", "labels"))
    picked = table[words]
    logits = by_library(picked) if library else sg.tanh(picked)
    loss = sg.cross_entropy(logits, labels).mean()
    (slope,) = sg.grad(loss, [table])
    f = sg.function([words, labels], loss, {table: table - slope, steps: steps + 1})
    return f, table, steps


@pytest.mark.parametrize("library", [False, True])
@pytest.mark.parametrize("n", [5, 3000])
def test_an_index_out_of_bounds_changes_nothing(n, library):
    f, table, steps = embedding(library)
    words, labels = np.arange(n) % 10, np.arange(n) % 4
    learned(f, words, labels)
    before, counts = table.value, [sys.getrefcount(x) for x in (words, labels)]
    for given, place, wrong in [
        (0, 0, 10),
        (0, n - 1, -11),
        (1, n // 2, 4),
        (1, n - 1, 2**62),
        (0, 2, -(2**63)),
    ]:
        arrays = [words.copy(), labels.copy()]
        arrays[given][place] = wrong
        with pytest.raises(sg.OutOfBoundsError, match="test_entry"):
            f(*arrays)
        np.testing.assert_array_equal(before, table.value)
        assert steps.value == 3
    assert counts == [sys.getrefcount(x) for x in (words, labels)]
    g, other, _ = embedding(library)
    for _ in range(4):
        expected = g(words, labels)

    np.testing.assert_array_equal(expected, f(words, labels))
    np.testing.assert_array_equal(other.value, table.value)
    assert steps.value == 4


def test_reads_and_writes_by_indices_are_machine_code():
    f, _, _ = embedding(library=False)
    learned(f, np.arange(5), np.arange(5) % 4)
    (state,) = f._entry._states.values()

    assert all(isinstance(step, Step) for step in state._steps)
    assert sum(step.function.name.startswith(("gather_", "scatter_")) for step in state._steps) >= 4


def test_no_step_of_python_sees_what_an_index_out_of_bounds_left():
    x, i = sg.placeholder("int64", ("n",), name="x"), sg.placeholder("int64", ("k",), name="i")
    f = sg.function([x, i], sg.matmul(x[i], x[i]))
    a, good = np.arange(4), np.array([1, 1, 2])
    learned(f, a, good)
    (state,) = f._entry._states.values()
    seen = []
    (n,) = (n for n, step in enumerate(state._steps) if not isinstance(step, Step))
    spy = state._steps[n]
    state._run[_ROW * n + 1] = id(watched := lambda *given: (seen.append(1), spy(*given))[1])
    f(a, good)
    assert seen == [1]
    with pytest.raises(sg.OutOfBoundsError):
        f(a, np.array([1, 4, 2]))
    assert seen == [1]
    assert watched is not None


@pytest.mark.parametrize("n", [6, 3000])
def test_threads_of_which_some_fail(n):
    f, table, steps = embedding(library=False)
    words, labels = np.arange(n) % 10, np.arange(n) % 4
    learned(f, words, labels)
    bad, wrong, failed = words - 11, [], []

    def work(each):
        for _ in range(40):
            try:
                f(bad if each % 2 else words, labels)
                wrong.extend([each] * (each % 2))
            except sg.OutOfBoundsError:
                failed.append(each)

    together(*(partial(work, each) for each in range(8)))
    g, other, _ = embedding(library=False)
    for _ in range(163):
        g(words, labels)

    assert not wrong
    assert len(failed) == 160
    assert steps.value == 163
    np.testing.assert_array_equal(other.value, table.value)


def resident():
    """The memory that this process has, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_million_calls_leave_nothing_behind():
    a, b = arrays(6)
    total = sg.variable(np.zeros(6), name="total")
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    reads = learned(compiled(lambda x, y: (x + y, x * y)), a, b)
    writes = learned(sg.function([x, y], x + total, {total: (total + y) * 0.5}), a, b)
    objects = [a, b, np.dtype(float), None, np.ndarray, True, False, reads, writes]
    for f in (reads, writes):
        for _ in range(1000):
            f(a, b)
        gc.collect()
        before, memory = [sys.getrefcount(each) for each in objects], resident()
        for _ in range(1_000_000):
            f(a, b)
        assert resident() - memory < 1 << 20
        after = [sys.getrefcount(each) for each in objects]
        assert all(abs(x - y) < 50 for x, y in zip(before, after, strict=True))


def test_a_function_that_nobody_has_goes():
    a, b = arrays(6)
    f = learned(compiled(), a, b)
    seen, call = weakref.ref(f), f.__call__
    np.testing.assert_array_equal(a * b + 1, call(a, b))
    del f

    assert seen() is None
    with pytest.raises(ReferenceError, match="only __call__ was kept"):
        call(a.tolist(), b)


@pytest.mark.parametrize("n", [16, 60_000])
def test_threads(n):
    a, b = arrays(n)
    f = learned(compiled(lambda x, y: sg.exp(x - (x * y).max()).sum() + y), a, b)
    expected, wrong = f(a, b), []

    def work():
        for _ in range(200):
            if not np.array_equal(f(a, b), expected):
                wrong.append(n)

    together(*[work] * 8)
    assert not wrong


def test_better_code_has_the_same_bits():
    a, b = arrays(1003)
    f = compiled(lambda x, y: (sg.softmax(x) * sg.erf(y), sg.var(x), sg.sin(x) ** y))
    first = f(a, b)
    for _ in range(4):
        f(a, b)
    code().settle()

    for x, y in zip(first, f(a, b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_kernel_without_machine_code_says_so(monkeypatch):
    monkeypatch.setattr(native_backend, "unsaid", lambda _: "squares")
    x = sg.placeholder("complex128", ("n",), name="x")
    f = sg.function([x], x * x + 1)

    assert "kernel_0 is loops of NumPy calls: there is no machine code for squares" in f.explain()
    np.testing.assert_array_equal([2 + 0j], f([1]))
    monkeypatch.undo()
    assert "machine code" not in compiled().explain()


def test_variables_are_read_as_they_are_now():
    x = sg.placeholder("float64", ("n", 3), name="x")
    w = sg.variable(np.ones((3, 2)), name="w")
    b = sg.variable(np.zeros(2), name="b")
    f = sg.function([x], sg.tanh(x @ w + b))
    grow = sg.function([], [], updates={w: w * 2, b: b + 1})
    array = np.random.default_rng(0).normal(size=(4, 3))
    learned(f, array)
    for n in range(5):
        expected = np.tanh(array @ np.full((3, 2), 2.0**n) + n)
        np.testing.assert_allclose(f(array), expected, rtol=1e-14)
        grow()
    w.value = np.zeros((3, 2))
    b.value = [1.0, 2.0]

    np.testing.assert_allclose(f(array), np.tanh(np.full((4, 2), [1.0, 2.0])), rtol=1e-14)
    before = sys.getrefcount(w._array)
    for _ in range(1000):
        f(array)
    assert abs(sys.getrefcount(w._array) - before) < 5


def test_variables_are_never_seen_half_written():
    x = sg.placeholder("float64", ("n",), name="x")
    pair = [sg.variable(np.zeros(64), name=name) for name in "ab"]
    f = sg.function([x], (pair[0] - pair[1]).max() + x.sum() * 0)
    grow = sg.function([], [], updates={each: each + 1 for each in pair})
    array, wrong, done = np.ones(3), [], threading.Event()
    learned(f, array)

    def read():
        while not done.is_set():
            if f(array) != 0:
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3000):
        grow()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
