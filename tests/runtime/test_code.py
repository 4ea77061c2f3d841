"""The compiler of machine code: what is known is not made again, better code takes its place, and it goes to disk."""

import ctypes
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.optimizations.plan import plan
from symgraph.runtime.cache import Cache
from symgraph.runtime.code import Code, Function, Unit
from symgraph.runtime.elf import NotLoaded
from symgraph.runtime.native import NativeKernel
from tests.concurrency import together


def native(n=1000, seed=0):
    """A kernel's text, and a call of a function for it that gives what it computes."""
    x = sg.placeholder("float64", ("n",), name="x")
    (kernel,) = plan(sg.function([x], sg.exp(x) * sg.erf(x) + seed)._program.stages[-1].graph, [x]).kernels
    made = NativeKernel(kernel)
    array, out = np.random.default_rng(0).normal(size=n), np.empty(n)
    call = made.call([array, out], dict.fromkeys(kernel.rows.values(), n), 0)

    def run(address):
        table = (ctypes.c_int64 * 8)(array.ctypes.data, out.ctypes.data, 0, n, 8, 8)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)(
            ctypes.addressof(table), 0, call.turns
        )
        return out.copy()

    return made.printed_for([array, out], dict.fromkeys(kernel.rows.values(), n)), run


def test_better_code_takes_its_place_with_the_same_bits():
    text, run = native()
    code = Code(Cache(None))
    (function,) = code.functions([text])
    quick, first = function.address, run(function.address)
    code.improve([function])
    code.settle()

    assert function.address != quick
    np.testing.assert_array_equal(first, run(function.address))
    np.testing.assert_array_equal(first, run(quick))


def test_what_is_known_is_not_made_again():
    text, _ = native()
    other, _ = native(seed=1)
    code = Code(Cache(None))
    first = code.functions([text, text, other])

    assert first[0] is first[1]
    assert first[0] is not first[2]
    assert code.functions([other, text]) == [first[2], first[0]]


def test_the_next_process_begins_with_the_better_code(tmp_path, monkeypatch):
    text, run = native()
    code = Code(Cache(tmp_path))
    (function,) = code.functions([text])
    code.improve([function])
    code.settle()
    expected = run(function.address)
    monkeypatch.setattr("symgraph.runtime.code.compiled", None)
    (again,) = Code(Cache(tmp_path)).functions([text])

    np.testing.assert_array_equal(expected, run(again.address))


def test_code_that_was_damaged_on_disk_is_made_again(tmp_path):
    text, run = native()
    code = Code(Cache(tmp_path))
    (function,) = code.functions([text])
    code.settle()
    expected = run(function.address)
    assert list(tmp_path.glob("*/*.o"))
    for path in tmp_path.glob("*/*.o"):
        path.write_bytes(path.read_bytes()[:-9])
    (again,) = Code(Cache(tmp_path)).functions([text])

    np.testing.assert_array_equal(expected, run(again.address))


def test_code_of_another_process_is_loaded_once_and_improved(tmp_path):
    text, run = native(seed=17)
    other = Code(Cache(tmp_path))
    (function,) = other.functions([text])
    expected = run(function.address)
    units = other.units([function])
    code = Code(Cache(tmp_path))
    (quick,) = code.adopted(units)
    address = quick.address

    assert [False] == [unit.is_best for unit in units]
    assert [quick] == code.adopted(units) == code.functions([text])
    assert address != function.address
    np.testing.assert_array_equal(expected, run(address))
    code.improve([quick])
    code.settle()
    assert address != quick.address
    np.testing.assert_array_equal(expected, run(quick.address))
    (best,) = code.units([quick])
    (third,) = Code(Cache(tmp_path)).adopted([best])
    assert best.is_best
    np.testing.assert_array_equal(expected, run(third.address))


def test_code_of_another_process_that_is_damaged_is_refused(tmp_path):
    text, _ = native(seed=18)
    code = Code(Cache(tmp_path))
    (unit,) = code.units(code.functions([text]))
    for names, content in (
        (unit.names, unit.code[:-200]),
        ([*unit.names, "f"], unit.code),
        (unit.names, b""),
    ):
        with pytest.raises(NotLoaded):
            Code(Cache(tmp_path)).adopted([Unit(names, content, False, unit.text)])


def test_nobody_waits_for_the_disk(tmp_path, monkeypatch):
    text, run = native(seed=20)
    code = Code(Cache(tmp_path))
    (function,) = code.functions([text])

    assert not list(tmp_path.iterdir())
    code.settle()
    assert len(list(tmp_path.glob("*/*.o"))) == 1
    monkeypatch.setattr("symgraph.runtime.code.compiled", None)
    (again,) = Code(Cache(tmp_path)).functions([text])
    np.testing.assert_array_equal(run(function.address), run(again.address))


def test_little_code_waits_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("symgraph.runtime.code._UNWRITTEN", 0)
    asked = []
    code = Code(Cache(tmp_path))
    monkeypatch.setattr(code, "later", asked.append)
    code.functions([native(seed=21)[0]])

    assert 1 == len(asked)
    asked[0]()
    assert len(list(tmp_path.glob("*/*.o"))) == 1


def test_code_that_no_disk_took_is_not_handed_on():
    text, _ = native(seed=19)
    code = Code(Cache(None))

    assert code.units(code.functions([text])) is None


def test_a_function_moves_while_others_begin_to_follow_it():
    class Follower:
        def __init__(self):
            self.count = 0

        def moved(self):
            self.count += 1

    function, failed, all_of_them = Function("f", 0), [], []

    def follow():
        for _ in range(500):
            all_of_them.append(Follower())
            function.follow(all_of_them[-1])

    def move():
        try:
            for n in range(500):
                function.move(n)
        except RuntimeError as error:
            failed.append(error)

    stays, interval = Follower(), sys.getswitchinterval()
    function.follow(stays)
    sys.setswitchinterval(1e-6)
    try:
        together(follow, move, follow, move)
    finally:
        sys.setswitchinterval(interval)

    assert [] == failed
    assert 1000 == stays.count
