"""Lanes, masks, and numbers that lie anywhere: what is selected here has the bits of what LLVM selects."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.runtime.cpu import host
from tests.codegen.x86_text import BYTES, LANES, Text, drawn, floats, of

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("one", ["i8", "i16", "i32", "i64", "float", "double"])
def test_lanes_in_halves(one, lanes):
    """Until one is left, which goes to a single register."""
    text = Text()
    x = text.load(one, lanes)
    while lanes > 1:
        halves = []
        for begin in (0, lanes // 2):
            places = ", ".join(f"i32 {begin + n}" for n in range(lanes // 2))
            type_ = of(one, lanes)
            halves.append(
                text.named(f"shufflevector {type_} {x}, {type_} {x}, <{lanes // 2} x i32> <{places}>")
            )
        lanes //= 2
        how = "fsub" if one in ("float", "double") else "sub"
        x = text.named(f"{how} {of(one, lanes)} {halves[0]}, {halves[1]}")
        text.store(x, one, lanes)
    text.store(text.named(f"extractelement {of(one, 1)} {x}, i64 0"), one, 0)

    given = drawn(0, text.read) if one[0] == "i" else floats(0, "f4" if one == "float" else "f8", 64, below=9)
    text.check(given.view(np.uint8))


@pytest.mark.parametrize("one", ["i8", "i16", "i32", "i64", "float", "double"])
def test_one_number_in_all_lanes(one):
    text = Text()
    for lanes in (8, 16, 64):
        x, type_ = text.load(one, 0), of(one, lanes)
        first = text.named(f"insertelement {type_} poison, {one} {x}, i64 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        text.store(text.named(f"shufflevector {type_} {first}, {type_} poison, {zeros}"), one, lanes)

    text.check(drawn(0, text.read))


@pytest.mark.parametrize("one", ["i16", "i32", "i64", "float", "double"])
@pytest.mark.parametrize("lanes", [8, 16, 32, 64])
def test_pairs_are_taken_apart_and_put_together(one, lanes):
    """Lanes of several registers change their places, as those of complex numbers do."""
    text, type_, twice = Text(), of(one, lanes), of(one, 2 * lanes)
    x, y = text.load(one, lanes), text.load(one, lanes)
    zipped = ", ".join(f"i32 {n // 2 + lanes * (n % 2)}" for n in range(2 * lanes))
    both = text.named(f"shufflevector {type_} {x}, {type_} {y}, <{2 * lanes} x i32> <{zipped}>")
    text.store(both, one, 2 * lanes)
    filled = f"{type_} {x}, {type_} splat ({one} {0 if one[0] == 'i' else '0x0000000000000000'})"
    text.store(text.named(f"shufflevector {filled}, <{2 * lanes} x i32> <{zipped}>"), one, 2 * lanes)
    for begin in (0, 1):
        apart = ", ".join(f"i32 {begin + 2 * n}" for n in range(lanes))
        text.store(
            text.named(f"shufflevector {twice} {both}, {twice} {both}, <{lanes} x i32> <{apart}>"), one, lanes
        )

    text.check(drawn(0, text.read))


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32, 64, 128])
def test_masks(lanes):
    text, type_ = Text(), of("i1", lanes)
    x, y, z = (text.bits(lanes) for _ in range(3))
    for how in ("and", "or", "xor"):
        text.show(text.named(f"{how} {type_} {x}, {y}"), lanes)
        text.show(text.named(f"{how} {type_} {x}, splat (i1 true)"), lanes)
    for how in ("eq", "ne", "ult", "ule", "ugt", "uge"):
        text.show(text.named(f"icmp {how} {type_} {x}, {y}"), lanes)
        text.show(text.named(f"icmp {how} {type_} {x}, splat (i1 true)"), lanes)
    for pair in ((y, z), (y, "splat (i1 false)"), ("splat (i1 true)", z)):
        text.show(text.named(f"select {type_} {x}, {type_} {pair[0]}, {type_} {pair[1]}"), lanes)
    if 8 <= lanes <= 64:
        both = ", ".join(f"i32 {n}" for n in range(2 * lanes))
        twice = ", ".join(f"i32 {n // 2}" for n in range(2 * lanes))
        for other, places in ((y, both), (x, twice)):
            made = text.named(f"shufflevector {type_} {x}, {type_} {other}, <{2 * lanes} x i32> <{places}>")
            text.show(made, 2 * lanes)
    size = lanes
    while size > 1:
        begin, size = size // 2, size // 2
        places = ", ".join(f"i32 {begin + n}" for n in range(size))
        type_ = of("i1", 2 * size)
        x = text.named(f"shufflevector {type_} {x}, {type_} {x}, <{size} x i32> <{places}>")
        text.show(x, size)
    text.show(text.named(f"extractelement <1 x i1> {x}, i64 0"), 0)

    text.check(*(drawn(seed, text.read) for seed in range(3)))


@pytest.mark.parametrize("lanes", [8, 16, 32, 64])
def test_masks_of_floats_and_numbers(lanes):
    """They come in parts, as many as registers were compared, and meet others that come in other parts."""
    text = Text()
    x, y = text.load("double", lanes), text.load("float", lanes)
    parts = [
        text.named(f"fcmp ogt {of('double', lanes)} {x}, splat (double 0x0000000000000000)"),
        text.named(f"fcmp ogt {of('float', lanes)} {y}, splat (float 0x0000000000000000)"),
        text.bits(lanes),
        text.named(f"bitcast i{lanes} {text.load(f'i{lanes}', 0)} to {of('i1', lanes)}"),
    ]
    mask, type_ = parts[0], of("i1", lanes)
    for other in parts[1:]:
        mask = text.named(f"xor {type_} {mask}, {other}")
        text.show(mask, lanes)
    text.store(text.named(f"bitcast {type_} {mask} to i{lanes}"), f"i{lanes}", 0)
    text.store(
        text.named(f"select {type_} {mask}, {of('double', lanes)} {x}, {of('double', lanes)} {x}"),
        "double",
        lanes,
    )
    bit = text.named(f"icmp slt i64 {text.load('i64', 0)}, 0")
    first = text.named(f"insertelement {type_} poison, i1 {bit}, i64 0")
    spread = text.named(f"shufflevector {type_} {first}, {type_} poison, <{lanes} x i32> zeroinitializer")
    text.show(text.named(f"and {type_} {mask}, {spread}"), lanes)
    one = text.named(f"icmp ult i1 {bit}, 1")
    text.show(text.named(f"icmp eq i1 {one}, {bit}"), 0)
    text.show(text.named(f"icmp ugt i1 {one}, {bit}"), 0)

    text.check(*(drawn(seed, text.read) for seed in range(6)))


@pytest.mark.parametrize("lanes", [8, 16, 32, 64])
@pytest.mark.parametrize("one", ["i8", "i16", "half"])
def test_some_narrow_lanes(one, lanes):
    text, type_, letters = Text(), of(one, lanes), {"half": "f16"}.get(one, one)
    mask = text.bits(lanes)
    from_ = text.at("%in", text.read)
    chosen = f"{of('i1', lanes)} {mask}"
    name, ends = f"v{lanes}{letters}.p0", f"i32 1, {chosen}"
    x = text.named(f"call {type_} @llvm.masked.load.{name}(ptr {from_}, {ends}, {type_} zeroinitializer)")
    text.store(x, one, lanes)
    text.read += BYTES[one] * lanes
    y, to = text.load(one, lanes), text.at("%out", text.written)
    text.body.emit(f"call void @llvm.masked.store.{name}({type_} {y}, ptr {to}, {ends})")
    text.written += BYTES[one] * lanes

    text.check(*(drawn(seed, text.read) for seed in range(3)))


@pytest.mark.parametrize("lanes", [8, 16, 32, 64])
@pytest.mark.parametrize("one", ["i8", "i16", "half", "i32", "float", "i64", "double"])
def test_numbers_that_lie_anywhere(one, lanes):
    """Read where they are far from each other; written where some come to the same place, and the last one counts."""
    text, type_, index = Text(), of(one, lanes), of("i64", lanes)
    letters = {"half": "f16", "float": "f32", "double": "f64"}.get(one, one)
    for unit, bits in (("i8", 8), (one if one[0] == "i" else f"i{8 * BYTES[one]}", 8 * BYTES[one])):
        mask, places = text.bits(lanes), text.load("i8", lanes)
        few = text.named(f"and {of('i8', lanes)} {places}, splat (i8 31)")
        far = text.named(f"zext {of('i8', lanes)} {few} to {index}")
        if bits == 8:
            far = text.named(f"mul {index} {far}, splat (i64 {BYTES[one]})")
        name, ends = f"v{lanes}{letters}.v{lanes}p0", f"i32 1, {of('i1', lanes)} {mask}"
        from_ = text.named(f"getelementptr {unit}, ptr %in, {index} {far}")
        pointers = f"<{lanes} x ptr>"
        x = text.named(
            f"call {type_} @llvm.masked.gather.{name}({pointers} {from_}, {ends}, {type_} zeroinitializer)"
        )
        text.store(x, one, lanes)
        base = text.at("%out", text.written)
        to = text.named(f"getelementptr {unit}, ptr {base}, {index} {far}")
        y = text.load(one, lanes)
        text.body.emit(f"call void @llvm.masked.scatter.{name}({type_} {y}, {pointers} {to}, {ends})")
        text.written += 32 * BYTES[one]

    text.check(*(drawn(seed, max(text.read, 32 * BYTES[one])) for seed in range(3)))


@pytest.mark.parametrize("one", ["i32", "i64", "float", "double"])
def test_lanes_by_their_numbers(one):
    text = Text()
    for lanes in (4, 8, 16, 32):
        type_, x, y = of(one, lanes), text.load(one, lanes), text.load(one, 0)
        place = text.named(f"and i64 {text.load('i64', 0)}, {lanes - 1}")
        text.store(text.named(f"extractelement {type_} {x}, i64 {place}"), one, 0)
        text.store(text.named(f"insertelement {type_} {x}, {one} {y}, i64 {place}"), one, lanes)

    text.check(*(drawn(seed, text.read) for seed in range(4)))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("one", [one for one in BYTES if one != "half"])
def test_a_bit_chooses_between_vectors(one, lanes):
    text = Text()
    for condition in (text.bits(0), "true", "false"):
        x, y, type_ = text.load(one, lanes), text.load(one, lanes), of(one, lanes)
        text.store(text.named(f"select i1 {condition}, {type_} {x}, {type_} {y}"), one, lanes)

    text.check(*(drawn(seed, text.read) for seed in range(4)))
