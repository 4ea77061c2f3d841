"""Integers and masks as instructions of x86 with AVX-512: of lanes, and of single numbers."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen import x86_masks as masks
from symgraph.codegen import x86_stack as stack
from symgraph.codegen.x86_selection import Maker, Rule, Selection, is_near, of_two
from symgraph.codegen.x86_values import (
    GENERAL,
    MASK,
    R8,
    R16,
    R32,
    R64,
    VECTOR,
    Type,
    Unknown,
    only,
    pattern,
    type_of,
)
from symgraph.codegen.x86_widths import each

_OF_INTEGERS = {"add": "vpadd", "sub": "vpsub", "mul": "vpmull", "and": "vpand", "or": "vpor", "xor": "vpxor"}
_BITWISE = ("and", "or", "xor")
_SHIFTS = {"shl": ("sll", "shl"), "lshr": ("srl", "shr"), "ashr": ("sra", "sar")}


def _integers(name: str) -> Maker:
    """Of lanes, of masks, and of single numbers."""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if not type_.lanes:
            return _single(name, type_)
        if type_.kind == MASK:
            return masks.of_two(name, type_)
        if type_.bits == 8 and name == "mul":
            return _by_words(make, form, type_)
        letter = "d" if name in _BITWISE and type_.bits < 32 else type_.letter
        text = f"{_OF_INTEGERS[name]}{letter} {{}}, {{}}, {{}}"
        return of_two(text, type_, commutes=name != "sub")

    return make


def _by_words(inner: Maker, form: str, type_: Type, *, signed: bool = False) -> Rule:
    """Of lanes of 8 bits, for which there is no instruction: as those of 16."""
    words = type_of(f"<{type_.lanes} x i16>")
    rule = inner(form.replace(type_.text, words.text), [words])
    extend, cut = f"vpmov{'s' if signed else 'z'}xbw", "vpmovwb"

    def by_words(s: Selection, given: Sequence[str]) -> None:
        to, *names = given
        wide = [f"{to}.{n}" for n in range(len(names))]
        for name, own in zip(names, wide, strict=True):
            s.give(own, each(s, s.registers(name, type_), type_, words, extend))
        rule(s, [f"{to}.", *wide])
        s.give(to, each(s, s.registers(f"{to}.", words), words, type_, cut))

    return by_words


def _shift(name: str) -> Maker:
    """``vpslld zmm0, zmm1, 23``, ``vpsllvd zmm0, zmm1, zmm2``, ``shlx rax, rcx, rdx``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if not type_.lanes:
            return _single_shift(name, type_)
        if type_.bits == 8:
            return _by_words(make, form, type_, signed=name == "ashr")
        same, own = (f"vp{_SHIFTS[name][0]}{v}{type_.letter} {{}}, {{}}, {{}}" for v in ("", "v"))
        by_lanes = of_two(own, type_, commutes=False)

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x, count = given
            if count[0] in "%<":
                by_lanes(s, given)
            else:
                by = str(pattern(count, type_))
                s.give(to, [s.made(VECTOR, same, type_.names, part, by) for part in s.registers(x, type_)])

        return rule

    return make


def _single(name: str, type_: Type) -> Rule:
    """``lea rax, [rcx + rdx]``, or a copy that is changed."""
    in_place = f"{'imul' if name == 'mul' else name} {{}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        if name != "sub" and x[0] != "%":
            x, y = y, x
        if x[0] == "%" and type_.bits == 64 and name in ("add", "sub"):
            if y[0] == "%" and name == "add":
                s.give(to, [s.made(GENERAL, "lea {}, [{} + {}]", R64, s.one(x, R64), s.one(y, R64))])
                return
            if y[0] != "%" and is_near(int(y)):
                by = y if name == "add" else str(-int(y))
                s.give(to, [s.made(GENERAL, "lea {}, [{} + {}]", R64, s.one(x, R64), by)])
                return
        value = s.copied_general(x, type_)
        s.change(in_place, value, s.source(y, type_))
        s.give(to, [value])

    return rule


def _single_shift(name: str, type_: Type) -> Rule:
    """The count is less than the bits. What is above the bits of a number nobody knows: it is not shifted in."""
    if type_.bits < 8:
        raise Unknown(f"{name} {type_.text}")
    short = _SHIFTS[name][1]
    widens = name != "shl" and type_.bits < 32

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, count = given
        if widens:
            value = s.widened(x, type_, signed=name == "ashr")
        elif count[0] == "%":
            value = s.general(x, type_)
        else:
            value = s.copied_general(x, type_)
        if count[0] == "%":
            text, by = short + "x {}, {}, {}", s.one(count, type_.whole)
            s.give(to, [s.made(GENERAL, text, type_.whole, value, by)])
        else:
            s.change(f"{short} {{}}, {count}", value)
            s.give(to, [value])

    return rule


def _division(*, signed: bool, remains: bool) -> Maker:
    """``mov rax, rcx``, ``cqo``, ``idiv r11``: rax and rdx are divided, and have the results."""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if type_.bits < 8:
            raise Unknown(form)
        if type_.lanes:
            return _one_by_one(make(form, [type_of(f"i{type_.bits}")]), type_)
        names = type_.whole
        before = ("cqo" if type_.bits == 64 else "cdq") if signed else ""

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, *pair = given
            first, second = (
                s.general(x, type_) if type_.bits >= 32 else s.widened(x, type_, signed=signed) for x in pair
            )
            a, d, by = (s.pinned(R64.index(name), names) for name in ("rax", "rdx", "r11"))
            kept, whole = s.pinned(R64.index("r10")), (d[0], R64)
            s.change("mov {}, {}", by, second)
            s.change("mov {}, {}", kept, whole)  # which may be somebody's
            s.change("mov {}, {}", a, first)
            if before:
                s.change(before)
            else:
                s.change("xor {0}, {0}", d)
            s.change(f"{'idiv' if signed else 'div'} {{}}", by)
            if remains:
                s.change("mov {}, {}", a, d)
            s.change("mov {}, {}", whole, kept)
            s.give(to, [s.made(GENERAL, "mov {}, {}", names, a)])

        return rule

    return make


def _one_by_one(inner: Rule, type_: Type) -> Rule:
    """For which there is no instruction of lanes: in the stack."""
    one = type_of(f"i{type_.bits}")
    size, names = one.width, {8: R8, 16: R16, 32: R32, 64: R64}[one.bits]
    text = (
        "mov {}, [{} + {}]"
        if size >= 4
        else f"movzx {{}}, {'byte' if size == 1 else 'word'} ptr [{{}} + {{}}]"
    )

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, *pair = given
        places = [stack.room(s, type_) for _ in pair]
        for x, place in zip(pair, places, strict=True):
            stack.store(s, place, s.registers(x, type_), type_)
        lane = [f"{to}.{n}" for n in range(3)]
        for n in range(type_.lanes):
            for name, place in zip(lane, places, strict=False):
                s.give(name, [s.made(GENERAL, text, one.whole, place, str(n * size))])
            inner(s, [lane[2], *lane[:2]])
            s.change("mov [{} + {}], {}", places[0], str(n * size), s.one(lane[2], names))
        s.give(to, stack.load(s, places[0], type_))

    return rule


def _extremum(condition: str, vectors: str) -> Maker:
    """``cmp rax, rcx``, ``cmovg rax, rcx``; ``vpminsd zmm0, zmm1, zmm2``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if type_.bits < 32:
            raise Unknown(form)
        if type_.lanes:
            return of_two(f"{vectors}{type_.letter} {{}}, {{}}, {{}}", type_, commutes=True)

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x, y = given
            other, value = s.general(y, type_), s.copied_general(x, type_)
            s.change("cmp {}, {}", value, other)
            s.change(f"cmov{condition} {{}}, {{}}", value, other)
            s.give(to, [value])

        return rule

    return make


def _absolute(form: str, types: list[Type]) -> Rule:
    """``mov rax, rcx``, ``neg rax``, ``cmovs rax, rcx``; ``vpabsd zmm0, zmm1``"""
    type_ = only([each for each in types if each.bits > 1], form)
    if type_.kind == VECTOR:
        text = f"vpabs{type_.letter} {{}}, {{}}"

        def lanes(s: Selection, given: Sequence[str]) -> None:
            s.give(
                given[0], [s.made(VECTOR, text, type_.names, part) for part in s.registers(given[1], type_)]
            )

        return lanes
    if type_.bits < 32:
        raise Unknown(form)

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, value = s.general(given[1], type_), s.copied_general(given[1], type_)
        s.change("neg {}", value)
        s.change("cmovs {}, {}", value, x)
        s.give(given[0], [value])

    return rule


INTEGERS: dict[str, Maker] = {
    **{name: _integers(name) for name in _OF_INTEGERS},
    **{name: _shift(name) for name in _SHIFTS},
    "sdiv": _division(signed=True, remains=False),
    "udiv": _division(signed=False, remains=False),
    "srem": _division(signed=True, remains=True),
    "urem": _division(signed=False, remains=True),
    "llvm.abs": _absolute,
    "llvm.smin": _extremum("g", "vpmins"),
    "llvm.smax": _extremum("l", "vpmaxs"),
    "llvm.umin": _extremum("a", "vpminu"),
    "llvm.umax": _extremum("b", "vpmaxu"),
}
