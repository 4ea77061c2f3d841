"""Numbers of all widths, single ones and vectors: what is selected here has the bits of what LLVM selects."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.runtime.cpu import host
from tests.codegen.x86_text import BYTES, LANES, Text, constant, drawn, floats, of

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")

NARROWER = [("i16", "i8"), ("i32", "i8"), ("i64", "i8"), ("i32", "i16"), ("i64", "i16"), ("i64", "i32")]


@pytest.mark.parametrize("lanes", LANES)
def test_integers_of_other_widths(lanes):
    text = Text()
    for wide, narrow in NARROWER:
        text.store(
            text.named(f"trunc {of(wide, lanes)} {text.load(wide, lanes)} to {of(narrow, lanes)}"),
            narrow,
            lanes,
        )
        for how in ("zext", "sext"):
            x = text.load(narrow, lanes)
            text.store(text.named(f"{how} {of(narrow, lanes)} {x} to {of(wide, lanes)}"), wide, lanes)

    text.check(drawn(lanes, text.read))


@pytest.mark.parametrize("one", ["i8", "i16", "i32"])
def test_what_is_cut_and_extended(one):
    """The bits above are gone, whichever register it is in."""
    text = Text()
    for how in ("zext", "sext"):
        cut = text.named(f"trunc i64 {text.load('i64', 0)} to {one}")
        text.store(text.named(f"{how} {one} {cut} to i64"), "i64", 0)
    cut = text.named(f"trunc i64 {text.load('i64', 0)} to {one}")
    text.store(text.named(f"uitofp {one} {cut} to double"), "double", 0)

    text.check(drawn(0, text.read))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("to", ["float", "double"])
def test_integers_become_floats(to, lanes):
    text = Text()
    for one in ("i8", "i16", "i32", "i64"):
        for how in ("sitofp", "uitofp"):
            x = text.load(one, lanes)
            text.store(text.named(f"{how} {of(one, lanes)} {x} to {of(to, lanes)}"), to, lanes)

    text.check(*(drawn(seed, text.read) for seed in range(3)))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("one", ["float", "double"])
def test_floats_become_integers(one, lanes):
    text = Text()
    for to in ("i8", "i16", "i32", "i64"):
        for how in ("fptosi", "fptoui"):
            x = text.load(one, lanes)
            text.store(text.named(f"{how} {of(one, lanes)} {x} to {of(to, lanes)}"), to, lanes)

    text.check(
        floats(lanes, "f4" if one == "float" else "f8", text.read // BYTES[one], below=127).view(np.uint8)
    )


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("pair", [("half", "float"), ("float", "double")])
def test_floats_of_other_widths(pair, lanes):
    narrow, wide = pair
    kinds = {"half": "f2", "float": "f4", "double": "f8"}
    up, down, count = Text(), Text(), 512 // max(lanes, 1)
    for _ in range(count):
        x = up.load(narrow, lanes)
        up.store(up.named(f"fpext {of(narrow, lanes)} {x} to {of(wide, lanes)}"), wide, lanes)
        y = down.load(wide, lanes)
        down.store(down.named(f"fptrunc {of(wide, lanes)} {y} to {of(narrow, lanes)}"), narrow, lanes)

    up.check(floats(0, kinds[narrow], 512).view(np.uint8))
    down.check(floats(1, kinds[wide], 512).view(np.uint8))


@pytest.mark.parametrize("lanes", [0, 16])
def test_every_half(lanes):
    text = Text()
    text.lines(f"""
        br label %turn
        turn:
        %n = phi i64 [ 0, %entry ], [ %next, %turn ]
        %from = getelementptr half, ptr %in, i64 %n
        %to = getelementptr float, ptr %out, i64 %n
        %x = load {of("half", lanes)}, ptr %from, align 1
        %y = fpext {of("half", lanes)} %x to {of("float", lanes)}
        store {of("float", lanes)} %y, ptr %to, align 1
        %next = add i64 %n, {max(lanes, 1)}
        %more = icmp slt i64 %next, %count
        br i1 %more, label %turn, label %past
        past:""")
    all_ = np.arange(1 << 16, dtype=np.uint16).view("f2")
    given = all_[~np.isnan(all_)].copy()[: 63488 // 16 * 16]

    text.check(given.view(np.uint8), size=4 * given.size, counts=[given.size])


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("one", ["i8", "i16", "i32", "i64"])
def test_integers_of_all_widths(one, lanes):
    text, type_, bits = Text(), of(one, lanes), 8 * BYTES[one]

    def store(line):
        text.store(text.named(line), one, lanes)

    x, y = text.load(one, lanes), text.load(one, lanes)
    for how in ("add", "sub", "mul", "and", "or", "xor"):
        store(f"{how} {type_} {x}, {y}")
        store(f"{how} {type_} {x}, {constant(one, 11, lanes)}")
        store(f"{how} {type_} {constant(one, -3, lanes)}, {y}")
    if lanes or bits >= 32:
        name = f"@llvm.abs.{f'v{lanes}' if lanes else ''}{one}"
        store(f"call {type_} {name}({type_} {x}, i1 false)")
        text.body.declared.add(f"declare {type_} {name}({type_}, i1)")
    count = text.named(f"and {type_} {y}, {constant(one, bits - 1, lanes)}")
    for how in ("shl", "lshr", "ashr"):
        store(f"{how} {type_} {x}, {count}")
        store(f"{how} {type_} {x}, {constant(one, 3, lanes)}")
        store(f"{how} {type_} {constant(one, -9, lanes)}, {count}")
    for how in ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"):
        for pair in ((x, y), (x, constant(one, -56, lanes)), (constant(one, 9, lanes), y)):
            mask = text.named(f"icmp {how} {type_} {pair[0]}, {pair[1]}")
            text.show(mask, lanes)
            store(f"select {of('i1', lanes)} {mask}, {type_} {x}, {type_} {y}")
            store(f"select {of('i1', lanes)} {mask}, {type_} {x}, {type_} {constant(one, 0, lanes)}")
            store(f"select {of('i1', lanes)} {mask}, {type_} {constant(one, 7, lanes)}, {type_} {y}")

    text.check(*(drawn(seed, text.read) for seed in range(3)))


@pytest.mark.parametrize("lanes", [0, 2, 16, 64])
@pytest.mark.parametrize("one", ["i8", "i16", "i32", "i64"])
def test_quotients(one, lanes):
    text, type_ = Text(), of(one, lanes)
    x, y = text.load(one, lanes), text.load(one, lanes)
    few = text.named(f"and {type_} {y}, {constant(one, 31, lanes)}")
    some = text.named(f"or {type_} {few}, {constant(one, 1, lanes)}")
    for how in ("sdiv", "udiv", "srem", "urem"):
        text.store(text.named(f"{how} {type_} {x}, {some}"), one, lanes)
        text.store(text.named(f"{how} {type_} {x}, {constant(one, -7, lanes)}"), one, lanes)
        text.store(text.named(f"{how} {type_} {constant(one, 100, lanes)}, {some}"), one, lanes)

    text.check(drawn(lanes, text.read))
