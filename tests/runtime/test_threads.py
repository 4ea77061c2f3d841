"""Functions and sessions called from many threads at once: no update is lost, and no state is seen half written."""

import sys
import threading

import numpy as np
import pytest

import symgraph as sg

THREADS, CALLS = 8, 1250


@pytest.fixture(autouse=True)
def often():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work, threads=THREADS):
    """Runs ``work(number of the thread)`` in so many threads that begin together; what they raise is raised here."""
    start, raised = threading.Barrier(threads), []

    def run(number):
        start.wait()
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    running = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(30)
        assert not thread.is_alive(), "threads wait for each other"
    if raised:
        raise raised[0]


def state():
    """A count and what is always twice as much."""
    v = sg.variable(np.zeros(5), name="v")
    w = sg.variable(np.zeros(5), name="w")
    return v, w


def assert_whole(v, w):
    assert (v == v[0]).all() and (w == 2 * v).all(), (v, w)


def test_no_update_of_a_function_is_lost_or_torn():
    v, w = state()
    f = sg.function([], [v, w], updates={v: v + 1, w: 2 * (v + 1)})
    seen = [[] for _ in range(THREADS)]

    def work(number):
        for _ in range(CALLS):
            before, twice = f()
            assert_whole(before, twice)
            seen[number].append(before[0])

    at_once(work)

    np.testing.assert_array_equal(v.value, np.full(5, THREADS * CALLS))
    assert_whole(v.value, w.value)
    assert sorted(x for each in seen for x in each) == list(range(THREADS * CALLS))
    assert all(each == sorted(each) for each in seen)


def test_updates_with_several_steps_and_an_arena_are_whole():
    v, w = state()
    x = sg.placeholder("float64", ("n",), name="x")
    step = sg.cumsum(sg.sort(x))[-1]
    f = sg.function([x], [v, w], updates={v: v + step, w: 2 * (v + step)})

    def work(number):
        ones = np.ones(number + 1) / (number + 1)
        for _ in range(60):
            assert_whole(*(np.round(each, 9) for each in f(ones)))

    at_once(work)

    np.testing.assert_allclose(v.value, THREADS * 60, rtol=1e-12)
    np.testing.assert_array_equal(2 * v.value, w.value)


def test_two_functions_that_update_in_other_orders_do_not_wait_for_each_other():
    v, w = state()
    more = sg.function([], [v, w], updates={v: v + 1, w: w + 2})
    less = sg.function([], [w, v], updates={w: w - 2, v: v - 1})

    def work(number):
        for _ in range(200):
            if number % 2:
                assert_whole(*more())
            else:
                assert_whole(*less()[::-1])

    at_once(work)

    np.testing.assert_array_equal(np.zeros(5), v.value)
    assert_whole(v.value, w.value)


def test_no_update_of_a_session_is_lost_or_torn():
    v, w = state()
    more = sg.assign(v, v + 1), sg.assign(w, 2 * (v + 1))
    fetches = [v, w, sg.group(*more)]
    with sg.Session() as session:

        def work(number):
            for _ in range(CALLS // 4):
                before, twice, _ = session.run(fetches)
                assert_whole(before, twice)
                assert_whole(*session.run([v, w]))

        at_once(work)
        count, twice = session.run([v, w])

    np.testing.assert_array_equal(count, np.full(5, THREADS * (CALLS // 4)))
    assert_whole(count, twice)
    np.testing.assert_array_equal(np.zeros(5), v.value)


def test_calls_of_different_sizes_have_memory_of_their_own():
    x = sg.placeholder("float64", ("n", "k"), name="x")
    y = sg.cumsum(sg.sort(sg.softmax(x, axis=1), axis=0), axis=0)
    f = sg.function([x], [y, sg.sum(y, axis=1), sg.concat([y, y * 2], axis=1)])
    sizes = [(0, 3), (1, 1), (7, 3), (30, 4), (200, 90), (90, 200), (3, 700), (400, 2)]
    arrays = [np.random.default_rng(number).normal(size=size) for number, size in enumerate(sizes)]
    expected = [f(array) for array in arrays]

    def work(number):
        for turn in range(40):
            which = (number + turn * (number % 3)) % len(sizes)
            for a, b in zip(expected[which], f(arrays[which]), strict=True):
                np.testing.assert_array_equal(a, b)

    at_once(work)


def test_the_first_calls_may_come_from_many_threads():
    x = sg.placeholder("float64", ("n",), name="x")
    array = np.arange(50.0)
    for _ in range(10):
        f = sg.function([x], sg.cumsum(sg.tanh(sg.cumsum(x))))
        results = [None] * THREADS

        def work(number, f=f, results=results):
            results[number] = f(array)

        at_once(work)

        assert all(np.array_equal(results[0], each) for each in results)


def test_no_thread_meets_a_call_that_another_is_getting_ready(monkeypatch):
    """Another call comes while the first makes what calls machine code."""
    native = pytest.importorskip("symgraph.runtime.native", exc_type=ImportError)
    x = sg.placeholder("float64", ("n",), name="x")
    f = sg.function([x], sg.tanh(x) * 2, options=sg.Options(backend="llvm"))
    made, others = native.CALL, []

    def slowly(address):
        found = made(address)
        if address and not others:
            others.append(None)
            others[0] = f(np.ones(3))
        return found

    monkeypatch.setattr(native, "CALL", slowly)
    np.testing.assert_array_equal(f(np.ones(3)), others[0])


def test_more_bindings_of_sizes_than_are_kept():
    x = sg.placeholder("float64", ("n",), name="x")
    f = sg.function([x], sg.cumsum(sg.tanh(sg.cumsum(x))))

    def work(number):
        for size in range(number, 160, 2):
            np.testing.assert_allclose(f(np.ones(size)), np.cumsum(np.tanh(np.arange(1.0, size + 1))))

    at_once(work, 4)


def test_donated_arrays_of_many_threads():
    x = sg.placeholder("float64", ("n",), name="x")
    f = sg.function([x], sg.tanh(x) * 2 + sg.sum(x), donate=[x])

    def work(number):
        for _ in range(100):
            array = np.full(1000 + number, float(number))
            np.testing.assert_allclose(f(array), np.tanh(number) * 2 + number * (1000 + number))

    at_once(work)


def test_a_call_that_fails_leaves_nothing_locked():
    v, w = state()
    x = sg.placeholder("float64", ("n",), name="x")
    f = sg.function([x], v, updates={v: v + sg.max(x), w: 2 * (v + sg.max(x))})

    def work(number):
        for turn in range(30):
            if (number + turn) % 2:
                f(np.ones(3))
            else:
                with pytest.raises(sg.ShapeError):
                    f(np.ones(0))

    at_once(work)

    np.testing.assert_array_equal(np.full(5, THREADS * 15.0), v.value)
    assert_whole(v.value, w.value)


def test_who_only_reads_sees_what_was_written_together():
    v, w = state()
    step = sg.function([], None, updates={v: v + 1, w: 2 * (v + 1)})
    look = sg.function([], [v, w])

    def work(number):
        for _ in range(500):
            if number % 2:
                step()
            else:
                assert_whole(*look())

    at_once(work)
