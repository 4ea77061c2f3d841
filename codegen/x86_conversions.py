"""Values that become those of another type, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import CLEARING, ZERO, Maker, Rule, Selection
from symgraph.codegen.x86_values import GENERAL, MASK, R32, R64, VECTOR, XMM, K, Type, Unknown, type_of
from symgraph.codegen.x86_widths import each

_PACKED = {"d": "dq", "q": "qq"}
"""How integers of vectors are called that become floats."""
_FLOATS = {16: "ph", 32: "ps", 64: "pd"}


def _bitcast(form: str, types: list[Type]) -> Rule:
    """The same register under another name, or a move to another kind."""
    type_, to_type = types
    kinds = type_.kind, to_type.kind
    if kinds in ((VECTOR, VECTOR), (GENERAL, GENERAL)):
        if type_.parts != to_type.parts or not (type_.lanes or type_.kind == GENERAL):
            raise Unknown(form)
        return lambda s, given: s.give(given[0], s.parts(given[1], type_))
    if kinds == (GENERAL, MASK):
        move, names = f"kmov{'q' if type_.bits == 64 else 'd'} {{}}, {{}}", type_.whole
        return lambda s, given: s.give(
            given[0], [s.made(MASK, move, K, (s.general(given[1], type_)[0], names))]
        )
    if kinds == (MASK, GENERAL):
        if not to_type.letter:
            raise Unknown(form)
        out, names = f"kmov{to_type.letter} {{}}, {{}}", to_type.whole

        def from_mask(s: Selection, given: Sequence[str]) -> None:
            (whole,) = s.masks(given[1], 1, type_)
            s.give(given[0], [s.made(GENERAL, out, names, whole)])

        return from_mask
    if MASK in kinds or type_.lanes or to_type.lanes:
        raise Unknown(form)
    text = f"vmov{'q' if type_.bits == 64 else 'd'} {{}}, {{}}"
    first, second = (own.names if own.kind == VECTOR else own.whole for own in types)

    def move_over(s: Selection, given: Sequence[str]) -> None:
        number, _ = s.parts(given[1], type_)[0]
        s.give(given[0], [s.made(to_type.kind, text, second, (number, first))])

    return move_over


def _number(form: str, types: list[Type]) -> Rule:
    """An address is a number."""
    if any(type_.lanes or type_.bits < 64 for type_ in types):
        raise Unknown(form)
    return lambda s, given: s.give(given[0], s.values(given[1]))


def _truncate(form: str, types: list[Type]) -> Rule:
    """``vpmovdb xmm0, zmm1``; what is above the bits of a single number, nobody knows."""
    type_, to_type = types
    if type_.kind == VECTOR:
        return _each(f"vpmov{type_.letter}{to_type.letter}", type_, to_type)
    if type_.lanes or to_type.bits < 8:
        raise Unknown(form)
    return lambda s, given: s.give(given[0], s.parts(given[1], type_))


def _each(name: str, type_: Type, to_type: Type, end: str = "") -> Rule:
    """An instruction for all lanes."""
    if type_.lanes != to_type.lanes or "" in (type_.letter, to_type.letter):
        raise Unknown(to_type.text)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x = given
        s.give(to, each(s, s.registers(x, type_), type_, to_type, name, end))

    return rule


def _extend(name: str) -> Maker:
    """``movzx eax, cl``, ``movsxd rax, ecx``, ``vpmovsxbd zmm0, xmm1``; lanes of masks are all bits, or none."""

    def make(form: str, types: list[Type]) -> Rule:
        type_, to_type = types
        if type_.kind == MASK and to_type.kind == VECTOR:
            return _spread_mask(name, type_, to_type)
        if type_.kind == VECTOR:
            return _each(f"vpmov{name[0]}x{type_.letter}{to_type.letter}", type_, to_type)
        if type_.kind != GENERAL or to_type.kind != GENERAL or (type_.bits == 1 and name == "sext"):
            raise Unknown(form)
        if name == "zext":
            text, names = (CLEARING if type_.bits == 32 else "movzx {}, {}"), R32
        else:
            text, names = ("movsxd {}, {}" if type_.bits == 32 else "movsx {}, {}"), R64

        def rule(s: Selection, given: Sequence[str]) -> None:
            number, _ = s.general(given[1], type_)
            s.give(given[0], [s.made(GENERAL, text, names, (number, type_.names))])

        return rule

    return make


def _spread_mask(name: str, type_: Type, to_type: Type) -> Rule:
    """``vmovdqu8 zmm0 {k1}{z}, ones``"""
    value = 1 if name == "zext" else (1 << to_type.bits) - 1
    text = f"vmovdqu{to_type.bits} {{}} {{{{{{}}}}}}{{{{z}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x = given
        ones = s.listed([value] * to_type.lanes, to_type)[0]
        masks = s.masks(x, to_type.parts, type_)
        s.give(to, [s.made(VECTOR, text, to_type.names, mask, ones) for mask in masks])

    return rule


def _to_float(*, signed: bool) -> Maker:
    """``vcvtdq2ps zmm0, zmm1``; ``vcvtsi2ss xmm0, xmm0, rax``, where the other lanes are 0."""

    def make(form: str, types: list[Type]) -> Rule:
        type_, to_type = types
        if type_.is_float or to_type.bits < 32 or type_.bits == 1:
            raise Unknown(form)
        if not type_.lanes:
            return _single_to_float(type_, to_type, signed=signed)
        middle = type_of(f"<{type_.lanes} x i32>") if type_.bits < 32 else type_
        extend = f"vpmov{'s' if signed else 'z'}x{type_.letter}d"
        name = f"vcvt{'' if signed else 'u'}{_PACKED[middle.letter]}2{_FLOATS[to_type.bits]}"

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x = given
            values = s.registers(x, type_)
            if middle is not type_:
                values = each(s, values, type_, middle, extend)
            s.give(to, each(s, values, middle, to_type, name))

        return rule

    return make


def _single_to_float(type_: Type, to_type: Type, *, signed: bool) -> Rule:
    unsigned = "u" if type_.bits == 64 and not signed else ""
    text = f"vcvt{unsigned}si2{to_type.suffix} {{}}, {{}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x = given
        if type_.bits < 32:
            number = s.widened(x, type_, signed=signed)
        elif type_.bits == 32 and not signed:
            number = s.made(GENERAL, CLEARING, R32, s.general(x, type_))[0], R64
        else:
            number = s.general(x, type_)
        zeros = s.made(VECTOR, ZERO, XMM)
        s.give(to, [s.made(VECTOR, text, XMM, zeros, number)])

    return rule


def _to_integer(*, signed: bool) -> Maker:
    """``vcvttps2dq zmm0, zmm1``; ``vcvttss2si eax, xmm0``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_, to_type = types
        if type_.bits < 32 or to_type.is_float or to_type.bits == 1:
            raise Unknown(form)
        unsigned = "u" if not signed and to_type.bits >= 32 else ""
        if not type_.lanes:
            text = f"vcvtt{type_.suffix}2{unsigned}si {{}}, {{}}"

            def single(s: Selection, given: Sequence[str]) -> None:
                (x,) = s.registers(given[1], type_)
                s.give(given[0], [s.made(GENERAL, text, to_type.whole, x)])

            return single
        middle = type_of(f"<{type_.lanes} x i32>") if to_type.bits < 32 else to_type
        name = f"vcvtt{_FLOATS[type_.bits]}2{unsigned}{_PACKED[middle.letter]}"

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x = given
            values = each(s, s.registers(x, type_), type_, middle, name)
            if middle is not to_type:
                values = each(s, values, middle, to_type, f"vpmovd{to_type.letter}")
            s.give(to, values)

        return rule

    return make


def _resize(form: str, types: list[Type]) -> Rule:
    """``vcvtps2pd zmm0, ymm1``, ``vcvtps2ph ymm0, zmm1, 4``; of single numbers ``vcvtss2sd xmm0, xmm1, xmm1``"""
    type_, to_type = types
    bits = type_.bits, to_type.bits
    if not (type_.is_float and to_type.is_float) or bits not in ((16, 32), (32, 16), (32, 64), (64, 32)):
        raise Unknown(form)
    end = ", 4" if to_type.bits == 16 else ""
    name = f"vcvt{_FLOATS[type_.bits]}2{_FLOATS[to_type.bits]}"
    if type_.lanes:
        return _each(name, type_, to_type, end)
    text = (
        f"{name} {{0}}, {{1}}{end}"
        if 16 in bits
        else f"vcvt{type_.suffix}2{to_type.suffix} {{0}}, {{1}}, {{1}}"
    )

    def rule(s: Selection, given: Sequence[str]) -> None:
        (x,) = s.registers(given[1], type_)
        s.give(given[0], [s.made(VECTOR, text, XMM, x)])

    return rule


CONVERSIONS: dict[str, Maker] = {
    "bitcast": _bitcast,
    "ptrtoint": _number,
    "trunc": _truncate,
    "zext": _extend("zext"),
    "sext": _extend("sext"),
    "sitofp": _to_float(signed=True),
    "uitofp": _to_float(signed=False),
    "fptosi": _to_integer(signed=True),
    "fptoui": _to_integer(signed=False),
    "fpext": _resize,
    "fptrunc": _resize,
}
