"""The code of products that comes with the package is what is made today of their text."""

import itertools
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import x86, x86_ready
from symgraph.codegen.llvm_matmul import print_matmul
from symgraph.codegen.llvm_panels import print_product
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.machine import Machine
from symgraph.graph.types import dtype
from symgraph.runtime.cpu import host

FILE = Path(x86_ready.__file__).with_name("x86_ready.txt")
MACHINE = Machine(
    "x86_64-unknown-linux-gnu", "sapphirerapids", "+bmi2", bytes=64, fma=True, masks=True, tiles=True
)
KINDS = {
    f"{row}{' many' * many}{' dots' * dots}": (print_matmul, row, {"many": many, "dots": dots})
    for row, many, dots in itertools.product(("f32", "f64"), (False, True), (False, True))
}
KINDS |= {
    f"f32{' many' * many} cut": (print_matmul, "f32", {"many": many, "dots": False, "cut": True})
    for many in (False, True)
}
KINDS |= {f"{row} panels": (print_product, row, {}) for row in ("f32", "f64")}
KINDS["f32 panels cut"] = (print_product, "f32", {"cut": True})
SHORT = {"f32": "float32", "f64": "float64"}


def printed(kind, machine, **more):
    write, row, given = KINDS[kind]
    if write is print_matmul:
        more["quick"] = True
    return write(dtype(SHORT[row]), machine, **given, **more)


def made(kind):
    """The name and the functions of a kind, from its text."""
    native = printed(kind, MACHINE)
    constants = x86.Constants(text := module([native], MACHINE))
    found = []
    for piece in f"\n{text}".split("\ndefine ")[1:]:
        _, function = x86._function(piece.partition("\n}\n")[0], constants)
        what = piece.partition("@")[2].partition("(")[0].removeprefix(native.name)
        known = [(bits, width) for bits, width in constants._labels]
        reading = [(at, end, *known[label]) for at, end, label in sorted(function.reading, key=itemgetter(2))]
        calling = [(end, name.removeprefix(f"{native.name}_")) for end, name in function.calling]
        found.append(x86_ready.Ready(what.removeprefix("_"), function.content, reading, calling))

        assert function.outside == []
    return native.name, found


def test_it_is_what_is_made_today(update):
    text = x86_ready.as_text([(kind, *made(kind)) for kind in KINDS])
    if update:
        FILE.write_text(text)

    assert text == FILE.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_says_what_it_was_made_of(kind):
    name, functions = made(kind)

    assert name == x86_ready.name_of(kind, MACHINE)
    assert functions == list(x86_ready.functions(name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_with_a_mark_is_the_one_with_the_text(kind):
    marked, whole = (
        x86.assembled(module([printed(kind, MACHINE, ready=ready)], MACHINE)) for ready in (True, False)
    )

    assert marked.is_whole
    assert marked.object_file == whole.object_file


def test_marks_stand_beside_texts():
    kernel = "define void @other(ptr %table, i64 %begin, i64 %end) #0 {\nentry:\n  ret void\n}\n"
    parts = [printed(kind, MACHINE, ready=True) for kind in ("f32", "f64 panels")]
    made = x86.assembled(f"{parts[0].text}{kernel}{parts[1].text}")

    assert made.is_whole
    assert {"other", *(each.name for each in parts)} == set(made.image.begins)


@pytest.mark.parametrize(
    "machine",
    [
        Machine("x86_64-pc-windows", "sapphirerapids", "+bmi2", 64, True, True),
        Machine("x86_64-unknown-linux-gnu", "haswell", "+bmi2", 32, True, False),
        Machine("aarch64-unknown-linux-gnu", "neoverse-v1", "", 16, True, False),
    ],
)
def test_other_machines_have_the_text(machine):
    native = printed("f32", machine, ready=True)

    assert x86_ready.name_of("f32", machine) is None
    assert native.text.startswith("define internal ")


@pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")
def test_functions_begin_with_it_and_show_their_text(as_first_compiled):
    a, b = (sg.placeholder("float32", ("n", "n"), name=name) for name in "ab")
    f = sg.function([a, b], a @ b)
    given = [np.random.default_rng(0).normal(size=(48, 48)).astype("float32") for _ in range(2)]

    np.testing.assert_allclose(f(*given), given[0] @ given[1], rtol=1e-4, atol=1e-4)
    assert [x86_ready.name_of("f32", host())] == [
        each.name for each in f._program.executor.compiled.functions()
    ]
    assert f.source("llvm").count("define internal") > 3
    assert " is ready" not in f.source("llvm")
