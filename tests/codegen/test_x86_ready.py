"""The code of products and functions that comes with the package is what is made today of their text."""

import functools
import inspect
import itertools
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import x86, x86_ready
from symgraph.codegen.llvm_exp import exp_of_negative
from symgraph.codegen.llvm_math import FUNCTIONS
from symgraph.codegen.llvm_matmul import print_matmul
from symgraph.codegen.llvm_panels import print_product
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.llvm_walks import MOST, kind_of, print_walk
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register, declarations, suffix
from symgraph.codegen.x86_code import image
from symgraph.codegen.x86_values import Unknown
from symgraph.graph.types import dtype
from symgraph.runtime.code import code
from symgraph.runtime.cpu import host

FILE = Path(x86_ready.__file__).with_name("x86_ready.txt")
MACHINE = Machine(
    "x86_64-unknown-linux-gnu", "sapphirerapids", "+bmi2", bytes=64, fma=True, masks=True, tiles=True
)
SHORT = {"f32": dtype("float32"), "f64": dtype("float64")}
PRODUCTS = {
    f"{row}{' many' * many}{' dots' * dots}": (print_matmul, row, {"many": many, "dots": dots})
    for row, many, dots in itertools.product(SHORT, (False, True), (False, True))
}
PRODUCTS |= {
    f"f32{' many' * many} cut": (print_matmul, "f32", {"many": many, "dots": False, "cut": True})
    for many in (False, True)
}
PRODUCTS |= {f"{row} panels": (print_product, row, {}) for row in SHORT}
PRODUCTS["f32 panels cut"] = (print_product, "f32", {"cut": True})

LONG = {"betainc", "gammainc", "gammaincc", "lbeta"}
"""A tenth of a second of LLVM's time: who calls them waits for more than their first code."""
OF_ROWS = ("exp", "exp_of_negative", "expm1", "log", "log1p", "pow", "tanh")
"""What is asked of one number, beside vectors."""
KNOWN = {
    name: what for name, what in {**FUNCTIONS, "exp_of_negative": exp_of_negative}.items() if name not in LONG
}
CALLED = {
    f"{name} {suffix(row, lanes)}": (name, row, lanes)
    for row in SHORT.values()
    for name in KNOWN
    for lanes in (x86_ready.BYTES // row.numpy.itemsize, 0)
    if lanes or name in OF_ROWS
}
WALKS = {kind_of(row, count): (row, count) for row in SHORT.values() for count in range(1, MOST + 1)}
KINDS = [*PRODUCTS, *CALLED, *WALKS]


def printed(kind, machine, **more):
    write, row, given = PRODUCTS[kind]
    if write is print_matmul:
        more["quick"] = True
    return write(SHORT[row], machine, **given, **more)


def text_of(kind):
    """The text of a kind, the name of its outermost function, and the name of the code."""
    if kind in PRODUCTS:
        native = printed(kind, MACHINE)
        return module([native], MACHINE), native.name, native.name
    if kind in WALKS:
        text = print_walk(*WALKS[kind])
        return text, "walk", f"{kind.replace(' ', '.')}.{sha256(text.encode()).hexdigest()[:8]}"
    name, row, lanes = CALLED[kind]
    body, what = Body(), KNOWN[name]
    arity = len(inspect.signature(what).parameters) - 1
    body.apart(name, what, *(Register(f"%x{n}", row, lanes) for n in range(arity)))
    text, outer = declarations(body.declared), f"symgraph.{name}.{suffix(row, lanes)}"
    return text, outer, f"{outer}.{sha256(text.encode()).hexdigest()[:8]}"


@functools.cache
def made(kind):
    """The name and the parts of a kind, from its text."""
    text, outer, name = text_of(kind)

    def what(full):
        return full.removeprefix(outer).removeprefix("_")

    found, constants = [], x86.Constants(text)
    pieces = [piece.partition("\n}\n")[0] for piece in f"\n{text}".split("\ndefine ")[1:]]
    innermost = (x86._function(piece, constants, {}) for piece in pieces)
    spoiling = {entry.name: function.spoiled for entry, function in innermost if not function.calling}
    for piece in pieces:
        entry, function = x86._function(piece, constants, spoiling)
        read = sorted({label for *_, label in function.reading})
        reading = [(at, end, read.index(label)) for at, end, label in function.reading]
        content = image(
            {entry: function._replace(reading=reading, calling=())},
            [constants.content[label] for label in read],
        ).content
        found.append(
            x86_ready.Ready(
                what(entry.name),
                content,
                [(end, what(callee)) for end, callee in function.calling],
                function.spoiled,
            )
        )

        assert function.outside == []
    return name, found


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


@pytest.mark.parametrize("kind", PRODUCTS)
def test_a_module_with_a_mark_has_the_functions_of_one_with_the_text(kind):
    marked, whole = (
        x86.assembled(module([printed(kind, MACHINE, ready=ready)], MACHINE)) for ready in (True, False)
    )

    assert marked.is_whole
    assert whole.is_whole
    assert list(marked.image.begins) == list(whole.image.begins)


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


@pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")
def test_what_is_not_known_here_is_compiled_with_its_text(monkeypatch):
    real, found = x86._function, []

    def without_kernels(text, *given):
        if "@kernel_" in text:
            found.append(text)
            raise Unknown(text)
        return real(text, *given)

    monkeypatch.setattr(x86, "_function", without_kernels)
    a, b = (sg.placeholder("float32", ("n", "n"), name=name) for name in "ab")
    f = sg.function([a, b], sg.sin(sg.tanh(a * 0.8414709) @ b))  # which no other test has
    x, y = (np.random.default_rng(0).normal(size=(48, 48)).astype("float32") for _ in range(2))

    np.testing.assert_allclose(f(x, y), np.sin(np.tanh(x * 0.8414709) @ y), rtol=1e-4, atol=1e-4)
    assert any("@symgraph.tanh.v16f32." in text for text in found)


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-42, -1e30, 5e4, 1e7]  # and 189 others


@pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")
@pytest.mark.parametrize("row", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in KNOWN if name != "exp_of_negative"])
def test_functions_have_the_bits_of_better_code(name, row):
    arity = len(inspect.signature(KNOWN[name]).parameters) - 1
    given = [sg.placeholder(row, ("n", "m"), name=f"x{n}") for n in range(arity)]
    found = getattr(sg, name)(*given)
    f = sg.function(given, [found, sg.max(found, axis=1)])
    rng = np.random.default_rng(len(name))
    arrays = [rng.permutation([*SPECIAL, *rng.uniform(-3, 3, 189)]).reshape(4, 50) for _ in range(arity)]
    first, better = bits_of_both(f, [x.astype(row) for x in arrays])

    assert better == first


def bits_of_both(f, arrays):
    """Those of the results of first code, and those of better code; a NaN's sign is anybody's."""

    def bits():
        return [np.where(np.isnan(x), np.nan, x).tobytes() for x in f(*arrays)]

    first, functions = bits(), list(f._program.executor.compiled.functions())
    before = [each.address for each in functions]
    code().improve(functions)
    code().settle()

    assert all(each.address != address for each, address in zip(functions, before, strict=True))
    return first, bits()


@pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")
@pytest.mark.parametrize("row", ["float32", "float64"])
@pytest.mark.parametrize("count", [3, 10, 25, 40])
def test_more_values_than_registers_outlive_calls(count, row):
    x, y = (sg.placeholder(row, ("n",), name=name) for name in "xy")
    kept = [sg.where(x > y / n, x * n, y - n) for n in range(1, count)]
    called = [sg.tanh(kept[0]), sg.sin(x * 3), sg.pow(sg.abs(x) + 1, y), sg.log1p(sg.exp(y))]
    f = sg.function([x, y], [*called, sum(one * called[n % 4] for n, one in enumerate(kept))])
    rng = np.random.default_rng(count)
    first, better = bits_of_both(f, [rng.normal(size=77).astype(row) for _ in "xy"])

    assert better == first


@pytest.mark.parametrize("row", SHORT)
def test_values_that_outlive_ready_code_stay_in_registers(row):
    lanes = x86_ready.BYTES // SHORT[row].numpy.itemsize
    type_, name = f"<{lanes} x {'float' if row == 'f32' else 'double'}>", f"tanh {suffix(SHORT[row], lanes)}"
    (code,) = x86_ready.functions(x86_ready.name_of(name, MACHINE))
    text = f"""void @some(ptr %x, ptr %y) #0 {{
entry:
  %a = load {type_}, ptr %x, align 1
  %b = call {type_} @ready({type_} %a)
  %c = fadd {type_} %a, %b
  store {type_} %c, ptr %y, align 1
  ret void"""
    entry, function = x86._function(text, x86.Constants(), {"ready": code.spoiled})
    _, other = x86._function(text, x86.Constants(), {})

    assert entry.name == "some"
    assert b"\x48\x83\xec" not in function.content  # sub rsp
    assert b"\x48\x83\xec" in other.content or b"\x48\x81\xec" in other.content
