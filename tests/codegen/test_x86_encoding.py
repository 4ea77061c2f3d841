"""The bytes of instructions are those that LLVM's assembler gives."""

from __future__ import annotations

import ctypes
import itertools
import re

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.codegen.x86_code import Code, Entry, image
from symgraph.codegen.x86_encoding import encoder
from symgraph.codegen.x86_instructions import CODES
from symgraph.codegen.x86_object import as_assembly, as_object
from symgraph.codegen.x86_values import (
    R8,
    R16,
    R32,
    R64,
    RSP,
    XMM,
    YMM,
    ZMM,
    Constant,
    K,
    Spread,
    Unknown,
)
from symgraph.runtime import elf
from symgraph.runtime.cpu import compiled, host

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")

SLOT = 32
REGISTERS = {
    **{names: [0, 1, 7, 8, 15, 16, 23, 30] for names in (XMM, YMM, ZMM)},
    K: [1, 3, 6, 7],
    **{names: range(15) for names in (R8, R16, R32, R64)},
}
OFFSETS = ["0", "4", "8", "-8", "64", "512", "-640", "8128", "8192", "100", "-100000", "1000000"]
ONCE = {XMM: "xmmword", YMM: "ymmword", ZMM: "zmmword"}
LETTERS = {"b": R8, "w": R16, "d": R32, "q": R64, "k": K, "i": str}


def whole(lines, text=""):
    """The sections of machine code that LLVM makes of lines of assembly."""
    code = compiled("\n".join([*(f'module asm "{line}"' for line in lines), text]), 2)
    (at, pitch, count) = (elf._HEADER.unpack_from(code)[n] for n in (6, 11, 12))
    sections = [elf._section(code, at + n * pitch) for n in range(count)]
    return [elf._bytes_of(code, each) for each in sections if each.flags == 6 and each.size]


def assembled(lines):
    """The bytes of each instruction, by LLVM."""
    text = [".text", ".intel_syntax noprefix"]
    for line in lines:
        text += [line, f".balign {SLOT}, 0xCC"]
    (own,) = whole(text)
    return [own[n : n + SLOT] for n in range(0, len(own), SLOT)]


BYTES = ["1", "0", "14", "127", "200"]
NUMBERS = ["0", "1", "127", "128", "-128", "-129", "70000", "-1000000"]
DISTANT = ["4294967296", "-4294967297", "1311768467463790320"]


def operands(kind, name):
    """What is tried of an operand; LLVM has shorter forms of its own for shifts by 1, and for numbers and the first
    general register."""
    if kind is not str:
        has_shorter = kind in (R8, R16, R32, R64) and " " in name and name[-1] == "i" and name[:3] != "mov"
        return REGISTERS.get(kind, [kind])[has_shorter:]
    size = CODES[name].split()[2].rpartition(",")[2]
    return {"i": BYTES[name[-2:] == "gi" :], "i2s": NUMBERS[:6], "i8": DISTANT}.get(size, NUMBERS)


def texts(text, kinds, given):
    return text.format(*(x if isinstance(x, str) else kind[x] for kind, x in zip(kinds, given, strict=True)))


def without_rex(code):
    """What a prefix is left out of that says nothing."""
    return code.replace(b"\x40", b"", 1) if code[:1] == b"\x40" or code[:2] == b"\x66\x40" else code


def check(name, text, kinds, choices):
    """For some of the choices of operands, drawn so that each appears."""
    rng = np.random.default_rng(len(text))
    rows = max(len(each) for each in choices) if choices else 1
    columns = [rng.permutation(np.arange(rows) % len(each)) for each in choices]
    drawn = [
        tuple(each[n] for each, n in zip(choices, row, strict=True)) for row in zip(*columns, strict=True)
    ] or [()]
    encode = encoder(text, *(type(kind) if isinstance(kind, Constant) else kind for kind in kinds)).encode
    prefix = {"E": "{evex} ", "V": "{vex3} ", "R": "{rex} "}[CODES[name][0]]
    lines = [prefix + texts(text, kinds, given) for given in drawn]
    for line, given, expected in zip(lines, drawn, assembled(lines), strict=True):
        values = [x if isinstance(x, str) else (x, kind) for x, kind in zip(given, kinds, strict=True)]
        own = encode(values, range(32))
        assert (own + b"\xcc" * SLOT)[:SLOT] == expected or (without_rex(own) + b"\xcc" * SLOT)[
            :SLOT
        ] == without_rex(expected), f"{line}: {own.hex(' ')} and {expected.hex(' ')}"


def is_scalar(name):
    return name.endswith(("ss", "sd")) and not name.startswith(("vbroadcast", "vp"))


def constants(name, width):
    """Memory of a whole register, or of one number for all lanes."""
    bits = 64 if "W1" in CODES[name] else 32
    if is_scalar(name):
        return [Constant(f"{'dword' if bits == 32 else 'qword'} ptr [rip + 0]", 0)]
    lanes = {XMM: 128, YMM: 256, ZMM: 512}[width] // bits
    once = f"{'dword' if bits == 32 else 'qword'} ptr [rip + 0]{{1to{lanes}}}"
    return [Constant(f"{ONCE[width]} ptr [rip + 0]", 0), Spread(once, 0)]


def arithmetic():
    """Rows of two or three registers of vectors, of which the last may be a constant in memory."""
    others = (
        "vmov",
        "vpmov",
        "vbroadcast",
        "vpbroadcast",
        "vextract",
        "vinsert",
        "vcvt",
        "vgather",
        "vscatter",
    )
    for name, row in CODES.items():
        _, _, form, *_ = row.split()
        if not row.startswith("EVEX") or (name.startswith(others) and name != "vmovshdup"):
            continue
        fields = form.removesuffix(",i").split(",")
        end = ", {}" if form.endswith(",i") else ""
        text = f"{name} {', '.join('{}' for _ in fields)}{end}"
        for width in (XMM,) if is_scalar(name) else (XMM, YMM, ZMM):
            kinds = [K if field == "r" and "cmp" in name else width for field in fields]
            yield name, text, [*kinds, *([str] if end else [])]
            if "shift" in name or (name.startswith(("vpsl", "vpsr")) and form == "v,m,i"):
                continue
            for constant in constants(name, width):
                if type(constant) is Constant or not (name[-1] in "bw" or name in NOT_SPREAD):
                    yield name, text, [*kinds[:-1], constant, *([str] if end else [])]
            if name.startswith(("vblend", "vpblend")):
                yield name, f"{name} {{}} {{{{{{}}}}}}, {{}}, {{}}", [width, K, width, width]


NOT_SPREAD = ("vpermilpd", "vmovshdup", "vpunpcklwd")
MOVES = ["vmovaps", "vmovapd", "vmovdqa32", "vmovdqa64", "vmovups", "vmovupd"]
MOVES += [f"vmovdqu{bits}" for bits in (8, 16, 32, 64)]


def moves():
    """Between registers and memory, with masks and without."""
    for name in MOVES:
        for width in (XMM, YMM, ZMM):
            yield name, f"{name} {{}}, {{}}", [width, width]
            yield name, f"{name} {{}} {{{{{{}}}}}}{{{{z}}}}, {{}}", [width, K, width]
            yield name, f"{name} {{}}, {{}}", [width, Constant(f"{ONCE[width]} ptr [rip + 0]", 0)]
            yield name, f"{name} {{}} {{{{{{}}}}}}{{{{z}}}}, [{{}} + {{}}]", [width, K, R64, OFFSETS]
            if "mova" not in name and "dqa" not in name:
                yield name, f"{name} {{}}, [{{}} + {{}}]", [width, R64, OFFSETS]
                yield f"{name} mv", f"{name} [{{}} + {{}}], {{}}", [R64, OFFSETS, width]
                yield f"{name} mv", f"{name} [{{}} + {{}}] {{{{{{}}}}}}, {{}}", [R64, OFFSETS, K, width]
    for width in (XMM, YMM, ZMM):
        yield "vmovntps", "vmovntps [{} + {}], {}", [R64, OFFSETS, width]
    for name, size in (("vmovss", "dword"), ("vmovsd", "qword")):
        yield name, f"{name} {{}}, [{{}} + {{}}]", [XMM, R64, OFFSETS]
        yield name, f"{name} {{}}, {{}}", [XMM, Constant(f"{size} ptr [rip + 0]", 0)]
        yield f"{name} mv", f"{name} [{{}} + {{}}], {{}}", [R64, OFFSETS, XMM]
        yield name, f"{name} {{}}, [{{}} + 4*{{}}]", [XMM, R64, R64]
        yield f"{name} mv", f"{name} [{{}} + 8*{{}}], {{}}", [R64, R64, XMM]
    yield "vmovd", "vmovd {}, {}", [XMM, R32]
    yield "vmovd dv", "vmovd {}, {}", [R32, XMM]
    yield "vmovq", "vmovq {}, {}", [XMM, R64]
    yield "vmovq qv", "vmovq {}, {}", [R64, XMM]


def lanes():
    """From one width to another."""
    for name, widths in (
        ("vbroadcastss", (XMM, YMM, ZMM)),
        ("vbroadcastsd", (YMM, ZMM)),
        ("vpbroadcastd", (XMM, YMM, ZMM)),
        ("vpbroadcastq", (XMM, YMM, ZMM)),
    ):
        size = "dword" if name[-1] in "sd" and "N4" in CODES[name] else "qword"
        for width in widths:
            yield name, f"{name} {{}}, {{}}", [width, XMM]
            yield name, f"{name} {{}}, {{}}", [width, Constant(f"{size} ptr [rip + 0]", 0)]
    yield "vmovddup", "vmovddup {}, {}", [XMM, XMM]
    yield "vextractf32x4", "vextractf32x4 {}, {}, 1", [XMM, YMM]
    yield "vextractf64x4", "vextractf64x4 {}, {}, 1", [YMM, ZMM]
    yield "vinsertf32x4", "vinsertf32x4 {}, {}, {}, 1", [YMM, YMM, XMM]
    yield "vinsertf64x4", "vinsertf64x4 {}, {}, {}, 1", [ZMM, ZMM, YMM]
    yield "vmovlhps", "vmovlhps {}, {}, {}", [XMM, XMM, XMM]
    for width in (XMM, YMM, ZMM):
        yield "vpbroadcastb", "vpbroadcastb {}, {}", [width, XMM]
        yield "vpbroadcastw", "vpbroadcastw {}, {}", [width, XMM]
        yield "vpbroadcastq vq", "vpbroadcastq {}, {}", [width, R64]


def anywhere():
    """Lanes by the place of each; the place of another register than what is read."""
    for letter, name in itertools.product("sd", ("vgather", "vscatter")):
        for places in (XMM, YMM, ZMM):
            values = of_width({XMM: 16, YMM: 32, ZMM: 64}[places] // (2 if letter == "s" else 1))
            for scale in (1, 2, 4, 8):
                kinds = [values, K, R64, places]
                memory = f"[{{}} + {scale}*{{}}]"
                text = f"{{}} {{{{{{}}}}}}, {memory}"
                if name == "vscatter":
                    text, kinds = f"{memory} {{{{{{}}}}}}, {{}}", [R64, places, K, values]
                yield f"{name}qp{letter}", f"{name}qp{letter} {text}", kinds


def of_width(size):
    return ZMM if size > 32 else YMM if size > 16 else XMM


BITS = {"b": 8, "w": 16, "d": 32, "q": 64, "ps": 32, "pd": 64, "ph": 16, "dq": 32, "qq": 64}


def conversions():
    """To numbers of the same width, wider or narrower ones, and of single numbers."""
    for name in CODES:
        found = re.fullmatch(r"vpmov(?:[sz]x)?([bwdq])([bwdq])|vcvtt?u?(\w\w)2u?(\w\w)", name)
        if found and not {"ss", "sd", "si"} & {*found.groups()}:
            first, second = (BITS[each] for each in found.groups() if each)
            for size in (16, 32, 64):
                widths = [of_width(size * bits // max(first, second)) for bits in (second, first)]
                end = ", {}" if name == "vcvtps2ph" else ""
                yield name, f"{name} {{}}, {{}}{end}", [*widths, *([str] if end else [])]
    for name in ("vcvtss2sd", "vcvtsd2ss"):
        yield name, f"{name} {{}}, {{}}, {{}}", [XMM] * 3
    for name, kind in itertools.product(("ss", "sd"), (R32, R64)):
        for sign in ("", "u"):
            yield f"vcvt{sign}si2{name}", f"vcvt{sign}si2{name} {{}}, {{}}, {{}}", [XMM, XMM, kind]
            yield f"vcvtt{name}2{sign}si", f"vcvtt{name}2{sign}si {{}}, {{}}", [kind, XMM]


def masks():
    for name, row in CODES.items():
        if name[0] == "k" and " " not in name:
            fields = row.split()[2].removesuffix(",i").split(",")
            end = ", 14" if row.split()[2].endswith(",i") else ""
            yield name, f"{name} {', '.join('{}' for _ in fields)}{end}", [K] * len(fields)
    yield "kmovq", "kmovq {}, [{} + {}]", [K, R64, OFFSETS]
    yield "kmovq mk", "kmovq [{} + {}], {}", [R64, OFFSETS, K]


TILES = ("tilezero", "tileloadd", "tilestored", "tdpbf16ps")


def general():
    """Rows that name their operands, and what is left."""
    for name, row in CODES.items():
        mnemonic, _, letters = name.rpartition(" ") if " " in name else (name, "", "")
        if row.startswith("EVEX") or "mk" in name or name in TILES:
            continue
        if not letters and row.split()[2] == "-":
            yield name, mnemonic, []
        elif not letters and (name.endswith("x") or name == "pdep"):
            for kind in (R32, R64):
                yield name, f"{name} {{}}, {{}}, {{}}", [kind] * 3
        elif letters in ("gm", "mg"):
            for kind in (R32, R64) if name[0] in "mx" else (R64,):
                places = ["{}", "[{} + {}]"]
                kinds = [[kind], [R64, OFFSETS]]
                if letters == "mg":
                    places, kinds = places[::-1], kinds[::-1]
                yield name, f"{mnemonic} {', '.join(places)}", [*kinds[0], *kinds[1]]
            if name == "lea gm":
                for scale in ("", "2*", "4*", "8*"):
                    yield name, f"lea {{}}, [{{}} + {scale}{{}}]", [R64, R64, R64]
        elif letters in ("mb", "mw"):
            yield name, f"{mnemonic} [{{}} + {{}}], {{}}", [R64, OFFSETS, LETTERS[letters[1]]]
        elif letters in ("dn", "do"):
            size = "byte" if letters == "dn" else "word"
            yield name, f"{mnemonic} {{}}, {size} ptr [{{}} + {{}}]", [R32, R64, OFFSETS]
        elif letters == "m":
            yield name, f"{mnemonic} [{{}} + {{}}]", [R64, OFFSETS]
        elif letters:
            for kind in (R32, R64) if "g" in letters else (R64,):
                kinds = [kind if letter == "g" else LETTERS[letter] for letter in letters]
                yield name, f"{mnemonic} {', '.join('{}' for _ in kinds)}", kinds
    for kind in (R32, R64):
        yield "shl gi", "shl {}, 3", [kind]
        yield "mov gm", "mov {}, [{} + 4*{}]", [kind, R64, R64]
        yield "mov mg", "mov [{} + 4*{}], {}", [R64, R64, kind]
    yield "lea gm", "lea {}, {}", [R64, Constant("[rip + 0]", 0)]


def tiles():
    """Their numbers are part of the text."""
    for n in (0, 5, 7):
        yield "tilezero", f"tilezero tmm{n}", []
        yield "tileloadd", f"tileloadd tmm{n}, [{{}} + 1*{{}}]", [R64, R64]
        yield "tilestored", f"tilestored [{{}} + 1*{{}}], tmm{n}", [R64, R64]
        yield "tdpbf16ps", f"tdpbf16ps tmm{n}, tmm{(n + 3) % 8}, tmm{7 - n}", []


CASES = [
    case
    for group in (arithmetic, moves, lanes, anywhere, conversions, masks, general, tiles)
    for case in group()
]


def test_every_row_is_met():
    assert {name for name, *_ in CASES} == {*CODES}


@pytest.mark.parametrize("name", CODES)
def test_bytes(name):
    if name.startswith(("tile", "tdp", "ldtile")) and not host().tiles:
        pytest.skip("LLVM's assembler knows tiles where the processor does")
    for own, text, kinds in CASES:
        if own != name:
            continue
        choices = [kind if isinstance(kind, list) else operands(kind, name) for kind in kinds]
        check(name, text, [str if kind is OFFSETS else kind for kind in kinds], choices)


@pytest.mark.parametrize("between", [0, 100, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 300])
def test_jumps_are_as_short_as_they_may_be(between):
    """To and fro, over so many bytes and over another jump, which is long where the first one is or is not."""
    code, lines = Code(), []

    def add(text, *operands):
        code.add(text, operands, range(32))
        lines.append(text.format(*(names[n] for n, names in operands)))

    def jump(condition, label):
        code.jump(condition, label)
        lines.append(f"j{condition or 'mp'} .L{label}")

    def label(name):
        code.label(name)
        lines.append(f".L{name}:")

    label("first")
    jump("l", "last")
    add("vaddps {}, {}, {}", (17, ZMM), (18, ZMM), (19, ZMM))
    jump("", "last")
    for _ in range(between // 6):
        add("vaddps {}, {}, {}", (1, ZMM), (2, ZMM), (3, ZMM))
    for _ in range(between % 6):
        code.add("vzeroupper", (), ())
        lines.append("{vex3} vzeroupper")
    jump("nb", "first")
    label("last")
    jump("ne", "first")
    jump("", "first")

    (expected,) = whole([".text", ".intel_syntax noprefix", *lines])
    assert code.finished().content == expected


def drawn_image():
    """Functions that read constants of 8 bytes, and one of 64 each."""
    functions = {}
    for n, name in enumerate(("one", "another")):
        code = Code()
        for operand in (Constant("", 1 + n), Spread("", 0)):
            code.add("vpaddq {}, {}, {}", ((0, ZMM), (0, ZMM), operand), range(32))
        code.add("vmovups [{} + {}], {}", ((RSP, R64), "-64", (0, ZMM)), range(32))
        code.add("ret", (), ())
        functions[Entry(name)] = code.finished()
    return image(functions, [bytes([1, *bytes(7)]), bytes(range(64)), bytes([7] * 64)])


def test_an_image():
    made = drawn_image()

    assert [begin % 16 for begin in made.begins.values()] == [0, 0]
    assert made.content.index(bytes(range(64))) % 64 == 0
    assert len(made.content) % 64 == 8
    for begin, constant in zip(made.begins.values(), (bytes(range(64)), bytes([7] * 64)), strict=True):
        distance = int.from_bytes(made.content[begin + 6 : begin + 10], "little")
        assert begin + 10 + distance == made.content.index(constant)


def test_an_object_file_is_one_for_llvm():
    from llvmlite import binding

    made = drawn_image()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(as_object(made)))
    engine.finalize_object()
    ours = elf.load(as_object(made), {})

    for name, begin in made.begins.items():
        for at in (engine.get_function_address(name), ours[name]):
            assert ctypes.string_at(at - begin, len(made.content)) == made.content


def test_code_beside_what_llvm_compiles():
    made = drawn_image()

    assert made.content in whole([], as_assembly(made))


def test_what_has_no_row():
    with pytest.raises(Unknown, match="vaddph vvv"):
        encoder("vaddph {}, {}, {}", ZMM, ZMM, ZMM)
    with pytest.raises(Unknown, match="rol di"):
        encoder("rol {}, 3", R32)
    with pytest.raises(IndexError):
        encoder("vaddps {}, {}, {}", ZMM, ZMM, ZMM).encode([(n, ZMM) for n in range(3)], [31, 32, 0])
