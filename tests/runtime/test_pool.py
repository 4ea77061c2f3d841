"""Loops that threads share: every turn once, whoever is there, also in copies of the process."""

import ctypes
import os
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.runtime.code import CALL
from symgraph.runtime.cpu import Loader, compiled
from symgraph.runtime.pool import Pool, pool, processors
from tests.concurrency import together

COUNT = """
define void @count(ptr %table, i64 %begin, i64 %end) {
start:
  %numbers = load ptr, ptr %table
  %who.at = getelementptr i64, ptr %table, i64 1
  %who = load i64, ptr %who.at
  br label %more

more:
  %n = phi i64 [ %begin, %start ], [ %n.next, %turn ]
  %all = icmp sge i64 %n, %end
  br i1 %all, label %done, label %turn

turn:
  %at = getelementptr i64, ptr %numbers, i64 %n
  %old = load i64, ptr %at
  %new = add i64 %old, %who
  store i64 %new, ptr %at
  %n.next = add i64 %n, 1
  br label %more

done:
  ret void
}
"""

LOADER = Loader()
SHARE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 4)


@pytest.fixture(scope="module")
def count():
    LOADER.load(compiled(COUNT))
    return LOADER.address("count")


def shared(made, function, numbers, chunk, share):
    """Everyone adds 1 to each number that it counts."""
    tables = np.array([[numbers.ctypes.data, 1]] * share, np.int64)
    SHARE(made.share)(
        made.address, function, tables.ctypes.data, tables.strides[0], len(numbers), chunk, share
    )


@pytest.mark.parametrize("share", [1, 2, 5])
def test_every_turn_is_done_once(count, share):
    pool().want(share)
    for turns in (0, 1, 2, 63, 64, 1000):
        for chunk in (1, 7, 64, 5000):
            numbers = np.zeros(turns, np.int64)
            for _ in range(20):
                shared(pool(), count, numbers, chunk, share)
            np.testing.assert_array_equal(numbers, 20)


def test_one_thread_goes_there_and_back():
    seen = []
    record = CALL(lambda table, begin, end: seen.append((begin, end)))

    def ways(turns, chunk):
        seen.clear()
        SHARE(pool().share)(pool().address, record, None, 8, turns, chunk, 1)
        return list(seen)

    if ways(10, 4)[0] == (0, 4):
        ways(10, 4)  # on the way back

    assert [(0, 4), (4, 8), (8, 10)] == ways(10, 4)
    assert [(0, 10)] == ways(10, 10)
    assert [(6, 7), (3, 6), (0, 3)] == ways(7, 3)
    assert [(0, 1), (1, 2)] == ways(2, 1)


def test_everyone_goes_through_a_part_there_and_back_and_then_through_those_of_others():
    alone, seen = Pool(), []
    record = CALL(lambda table, begin, end: seen.append((begin, end)))

    def ways(turns, chunk, share):
        seen.clear()
        SHARE(alone.share)(alone.address, record, None, 0, turns, chunk, share)
        return list(seen)

    assert [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 11)] == ways(11, 2, 2)
    assert [(4, 6), (2, 4), (0, 2), (10, 11), (8, 10), (6, 8)] == ways(11, 2, 2)
    assert [(0, 1), (1, 2), (2, 3)] == ways(3, 1, 5)
    assert [(n, n + 1) for n in range(1000)] == sorted(ways(1000, 1, 300)), "more than there can be"
    assert [(n, n + 1) for n in range(5)] == ways(5, -1, 2), "in order"
    assert [(n, n + 1) for n in range(5)] == ways(5, -1, 2), "in every call"


def test_a_worker_begins_with_a_part_of_its_own():
    """So many chunks that it comes before the caller has done all; it has them again in the next call."""
    pool().want(2)
    caller, lock, met = threading.get_ident(), threading.Lock(), threading.Event()
    seen = []

    def turn(table, begin, end):
        with lock:
            seen.append((threading.get_ident() == caller, begin))
        if begin == 0:
            assert met.wait(60)
        elif threading.get_ident() != caller:
            met.set()

    record, tables = CALL(turn), np.zeros((2, 1), np.int64)
    for _ in range(4):
        met.clear()
        seen.clear()
        SHARE(pool().share)(pool().address, record, tables.ctypes.data, 8, 8, 1, 2)
        others = [begin for is_caller, begin in seen if not is_caller]

        assert {begin for _, begin in seen} == set(range(8))
        assert others[0] in (4, 7)


def test_many_calls_of_many_threads(count):
    pool().want(4)
    wrong = []

    def work():
        numbers = np.zeros(300, np.int64)
        for _ in range(500):
            shared(pool(), count, numbers, 16, 4)
        if (numbers != 500).any():
            wrong.append(numbers)

    together(*[work] * 6)
    assert not wrong


def test_who_is_not_asked_does_nothing(count):
    pool().want(4)
    numbers = np.zeros(64, np.int64)
    tables = np.array([[numbers.ctypes.data, 1], [numbers.ctypes.data, 1000]], np.int64)
    for _ in range(200):
        SHARE(pool().share)(pool().address, count, tables.ctypes.data, tables.strides[0], len(numbers), 1, 1)
    np.testing.assert_array_equal(numbers, 200)


def test_nobody_is_needed(count):
    empty = Pool()
    numbers = np.zeros(1000, np.int64)
    shared(empty, count, numbers, 10, 3)
    np.testing.assert_array_equal(numbers, 1)


def test_workers_that_sleep_wake(count):
    pool().want(2)
    numbers = np.zeros(10_000, np.int64)
    for _ in range(20):
        threading.Event().wait(0.005)
        shared(pool(), count, numbers, 100, 2)
    np.testing.assert_array_equal(numbers, 20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no copies of processes here")
def test_a_copy_of_the_process_has_workers_of_its_own(count):
    pool().want(3)
    shared(pool(), count, np.zeros(100, np.int64), 1, 3)
    child = os.fork()
    if child == 0:
        numbers = np.zeros(1000, np.int64)
        shared(pool(), count, numbers, 10, 3)
        pool().want(3)
        for _ in range(50):
            shared(pool(), count, numbers, 10, 3)
        os._exit(0 if (numbers == 51).all() and len(pool()._threads) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_processors():
    assert 1 <= processors() <= (os.cpu_count() or 1)
