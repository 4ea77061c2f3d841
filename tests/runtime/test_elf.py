"""Object files without LLVM's loader: they run as LLVM's do, and no bytes are taken for one that are none."""

import ctypes
import random
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("llvmlite")

from symgraph.runtime import elf
from symgraph.runtime.cpu import Loader, compiled
from symgraph.runtime.elf import NotLoaded

pytestmark = pytest.mark.skipif(not elf.is_known(), reason="there is no loader for this system")

LOADERS = []
TABLE = """
@numbers = internal constant [4 x i64] [i64 3, i64 5, i64 7, i64 11], align 32
@count = internal global i64 100

define i64 @pick(i64 %n) {
  %at = getelementptr [4 x i64], ptr @numbers, i64 0, i64 %n
  %found = load i64, ptr %at
  %more = call i64 @next()
  %sum = add i64 %found, %more
  ret i64 %sum
}

define internal i64 @next() noinline {
  %before = load i64, ptr @count
  %after = add i64 %before, 1
  store i64 %after, ptr @count
  ret i64 %after
}
"""
OUTSIDE = """
declare i64 @labs(i64)
define i64 @size(i64 %x) {
  %found = call i64 @labs(i64 %x)
  ret i64 %found
}
"""


def called(address, *args):
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(args))(address)(*args)


@pytest.mark.parametrize("level", [0, 2])
def test_constants_and_variables_of_a_module_are_found(level):
    found = elf.load(compiled(TABLE, level), {})

    assert {"pick"} == found.keys()
    assert [104, 107] == [called(found["pick"], n) for n in (0, 1)]
    assert 114 == called(found["pick"], 3)


def test_data_that_others_may_use_is_found():
    found = elf.load(compiled("@numbers = constant [2 x i64] [i64 3, i64 5], align 64\n"), {})

    assert [3, 5] == list((ctypes.c_int64 * 2).from_address(found["numbers"]))
    assert 0 == found["numbers"] % 64


def test_two_copies_do_not_share_what_they_write():
    first, second = (elf.load(compiled(TABLE), {})["pick"] for _ in range(2))
    called(first, 0)

    assert 104 == called(second, 0)
    assert 105 == called(first, 0)


def test_functions_of_the_process_are_found():
    assert 7 == called(elf.load(compiled(OUTSIDE), {})["size"], -7)


def test_what_was_loaded_before_is_found_first():
    text = (
        "declare i64 @pick(i64)\ndefine i64 @again(i64 %n) {\n  %x = call i64 @pick(i64 %n)\n  ret i64 %x\n}"
    )
    loader = Loader()
    loader.load(compiled(TABLE))
    loader.load(compiled(text))

    assert 108 == called(loader.address("again"), 2)


def test_what_nobody_has_is_refused_by_name():
    text = (
        "declare void @nobody_has_this()\ndefine void @f() {\n  call void @nobody_has_this()\n  ret void\n}"
    )

    with pytest.raises(NotLoaded, match="nobody_has_this"):
        elf.load(compiled(text), {})


def pages():
    """The pages of this process, and what may be done with them."""
    with open("/proc/self/maps") as file:
        rows = [line.split()[:2] for line in file]
    return {tuple(int(end, 16) for end in span.split("-")): rights[:3] for span, rights in rows}


def test_code_cannot_be_written_and_data_cannot_be_run():
    before = {span for span, rights in pages().items() if "w" in rights and "x" in rights}
    address = elf.load(compiled(TABLE), {})["pick"]
    now = pages()

    assert ["r-x"] == [rights for (begin, end), rights in now.items() if begin <= address < end]
    assert before >= {span for span, rights in now.items() if "w" in rights and "x" in rights}


def test_damaged_objects_are_refused_or_loaded_and_nothing_else():
    content, rng = compiled(TABLE), random.Random(0)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 2, 8])):
            damaged[rng.randrange(len(damaged))] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
        try:
            elf.load(bytes(damaged[: rng.choice([len(damaged), rng.randrange(len(damaged))])]), {})
        except NotLoaded:
            refused += 1

    assert refused > 500


@pytest.mark.parametrize("content", [b"", b"\x7fELF", bytes(64), b"\x7fELF\x01\x01\x01" + bytes(100)])
def test_what_is_no_object_is_refused(content):
    with pytest.raises(NotLoaded):
        elf.load(content, {})


def test_llvm_loads_what_is_not_known_here(monkeypatch):
    def refuse(content, known):
        raise NotLoaded("for a test")

    monkeypatch.setattr(elf, "load", refuse)
    LOADERS.append(Loader())  # to the end of the process, as LLVM's memory has to stay
    LOADERS[-1].load(compiled(TABLE))

    assert 104 == called(LOADERS[-1].address("pick"), 0)


def test_a_thread_that_still_runs_code_does_not_disturb_the_end_of_the_process():
    code = """
        import threading
        import numpy as np
        import symgraph as sg
        x = sg.placeholder("float64", ("n",), name="x")
        f = sg.function([x], sg.exp(x) * 2 + sg.sin(x))
        a = np.ones(200_000)
        for _ in range(3):
            f(a)
        def work():
            while True:
                f(a)
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        f(a)
        print("done")
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)

    assert (0, "done\n", "") == (run.returncode, run.stdout, run.stderr)
