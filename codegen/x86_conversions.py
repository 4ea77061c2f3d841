"""Values that become those of another type, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import ZERO, Maker, Rule, Selection
from symgraph.codegen.x86_values import GENERAL, MASK, R32, R64, VECTOR, XMM, K, Type, Unknown


def _bitcast(form: str, types: list[Type]) -> Rule:
    """The same register under another name, or a move to another kind."""
    type_, to_type = types
    kinds = type_.kind, to_type.kind
    if kinds in ((VECTOR, VECTOR), (GENERAL, GENERAL)):
        if type_.parts != to_type.parts or not (type_.lanes or type_.kind == GENERAL):
            raise Unknown(form)
        return lambda s, given: s.give(given[0], s.values(given[1]))
    if kinds == (GENERAL, MASK):
        move, names = f"kmov{'q' if type_.bits == 64 else 'd'} {{}}, {{}}", type_.whole
        return lambda s, given: s.give(given[0], [s.made(MASK, move, K, s.one(given[1], names))])
    if kinds == (MASK, GENERAL):
        if not to_type.letter:
            raise Unknown(form)
        out, names = f"kmov{to_type.letter} {{}}, {{}}", to_type.whole
        return lambda s, given: s.give(given[0], [s.made(GENERAL, out, names, s.packed(given[1], type_))])
    if MASK in kinds or type_.lanes or to_type.lanes or type_.bits < 32:
        raise Unknown(form)
    text = f"vmov{type_.letter} {{}}, {{}}"

    def move_over(s: Selection, given: Sequence[str]) -> None:
        s.give(given[0], [s.made(to_type.kind, text, to_type.names, s.one(given[1], type_.names))])

    return move_over


def _truncate(form: str, types: list[Type]) -> Rule:
    """What is above the bits of a number, nobody knows."""
    if types[0].lanes or types[1].bits < 8:
        raise Unknown(form)
    return lambda s, given: s.give(given[0], s.values(given[1]))


def _extend(name: str) -> Maker:
    """``movzx eax, cl``, ``movsxd rax, ecx``; lanes of masks are all bits of a constant, or none."""

    def make(form: str, types: list[Type]) -> Rule:
        type_, to_type = types
        if type_.kind == MASK and to_type.kind == VECTOR:
            return _spread_mask(name, type_, to_type)
        if type_.kind != GENERAL or to_type.kind != GENERAL or (type_.bits == 1 and name == "sext"):
            raise Unknown(form)
        if name == "zext":
            text, names = ("mov {}, {}" if type_.bits == 32 else "movzx {}, {}"), R32
        else:
            text, names = ("movsxd {}, {}" if type_.bits == 32 else "movsx {}, {}"), R64

        def rule(s: Selection, given: Sequence[str]) -> None:
            s.give(given[0], [s.made(GENERAL, text, names, s.one(given[1], type_.names))])

        return rule

    return make


def _spread_mask(name: str, type_: Type, to_type: Type) -> Rule:
    """``vmovdqu8 zmm0 {k1}{z}, ones``"""
    value = 1 if name == "zext" else (1 << to_type.bits) - 1
    if to_type.width < 16:
        raise Unknown(to_type.text)
    text = f"vmovdqu{to_type.bits} {{}} {{{{{{}}}}}}{{{{z}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x = given
        ones = s.listed([value] * to_type.lanes, to_type)[0]
        s.give(
            to, [s.made(VECTOR, text, to_type.names, each, ones) for each in s.masks(x, to_type.parts, type_)]
        )

    return rule


def _to_float(form: str, types: list[Type]) -> Rule:
    """``vcvtdq2ps zmm0, zmm1``; ``vcvtsi2ss xmm0, xmm0, rax``, where the other lanes are 0."""
    type_, to_type = types
    if type_.bits < 32 or not to_type.is_float:
        raise Unknown(form)
    if type_.lanes:
        if type_.bits != to_type.bits:
            raise Unknown(form)
        packed = "vcvtdq2ps {}, {}" if type_.bits == 32 else "vcvtqq2pd {}, {}"

        def rule(s: Selection, given: Sequence[str]) -> None:
            s.give(
                given[0], [s.made(VECTOR, packed, type_.names, part) for part in s.registers(given[1], type_)]
            )

        return rule
    text = f"vcvtsi2{to_type.suffix} {{}}, {{}}, {{}}"

    def single(s: Selection, given: Sequence[str]) -> None:
        number, zeros = s.general(given[1], type_), s.made(VECTOR, ZERO, XMM)
        s.give(given[0], [s.made(VECTOR, text, XMM, zeros, number)])

    return single


CONVERSIONS: dict[str, Maker] = {
    "bitcast": _bitcast,
    "trunc": _truncate,
    "zext": _extend("zext"),
    "sext": _extend("sext"),
    "sitofp": _to_float,
}
