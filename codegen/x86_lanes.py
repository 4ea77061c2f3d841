"""Lanes that change their places, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Maker, Rule, Selection
from symgraph.codegen.x86_values import VECTOR, XMM, YMM, ZMM, Type, Unknown, Value, numbers_in, type_of


def _insert(form: str, types: list[Type]) -> Rule:
    """A number in the first lane of nothing: its own register, or one of vectors' that it goes to."""
    type_, scalar = types[0], types[1]
    if type_.kind != VECTOR or scalar.bits < 32:
        raise Unknown(form)
    move = f"vmov{scalar.letter} {{}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, nothing, x, lane = given
        if nothing != "poison" or lane != "0":
            raise Unknown(form)
        if type_.is_float:
            s.give(to, s.registers(x, scalar))
        else:
            s.give(to, [s.made(VECTOR, move, XMM, s.general(x, scalar))])
        s.firsts.add(to)

    return rule


def _extract(form: str, types: list[Type]) -> Rule:
    """The first lane is where it is."""
    if not types[0].is_float:
        raise Unknown(form)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, lane = given
        if lane != "0" or x[0] != "%":
            raise Unknown(form)
        s.give(to, s.values(x)[:1])

    return rule


_HALVES = {
    512: ("vextractf64x4 {}, {}, 1", ZMM, YMM),
    256: ("vextractf32x4 {}, {}, 1", YMM, XMM),
    128: ("vpermilpd {}, {}, 1", XMM, XMM),
    64: ("vmovshdup {}, {}", XMM, XMM),
}
"""How the second half of so many bits comes to the front."""


def _shuffle(form: str, types: list[Type]) -> Rule:
    """One number in all lanes, one of the halves, or lanes of two vectors in any order."""
    type_, places_type = types[0], types[2]
    if type_.kind != VECTOR or type_.bits < 32:
        raise Unknown(form)
    lanes = places_type.lanes
    spread = _spread(type_)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y, places = given
        if x[0] != "%":
            raise Unknown(form)
        if places == "zeroinitializer":
            if lanes != type_.lanes or x not in s.firsts:
                raise Unknown(form)
            s.give(to, [s.made(VECTOR, spread, type_.names, s.one(x, XMM))] * type_.parts)
            return
        numbers = numbers_in(places)
        begin = numbers[0]
        if 2 * lanes == type_.lanes and numbers == tuple(range(begin, begin + lanes)) and begin in (0, lanes):
            s.give(to, _half(s, x, type_, second=begin > 0))
        elif lanes == type_.lanes and type_.parts == 1 and type_.width >= 16 and y[0] == "%":
            s.give(to, [_permuted(s, x, y, numbers, type_)])
        else:
            raise Unknown(form)

    return rule


def _spread(type_: Type) -> str:
    if type_.names is XMM and type_.bits == 64:  # for which there is no other
        return "vmovddup {}, {}"
    return (
        f"vbroadcasts{type_.suffix[1]} {{}}, {{}}"
        if type_.is_float
        else f"vpbroadcast{type_.letter} {{}}, {{}}"
    )


def _half(s: Selection, x: str, type_: Type, *, second: bool) -> Sequence[Value]:
    parts = s.values(x)
    if type_.parts > 1:
        middle = type_.parts // 2
        return parts[middle:] if second else parts[:middle]
    if not second:
        return parts
    text, names, to = _HALVES[type_.lanes * type_.bits]
    return [s.made(VECTOR, text, to, (parts[0][0], names))]


def _permuted(s: Selection, x: str, y: str, places: Sequence[int], type_: Type) -> Value:
    """``vpermi2ps zmm0, zmm1, zmm2``: by the places, which the result takes the register of."""
    numbers = type_of(f"<{type_.lanes} x i{type_.bits}>")
    (listed,) = s.listed(places, numbers)
    made = s.made(VECTOR, "vmovups {}, {}", type_.names, listed)
    (first,), (second,) = s.registers(x, type_), s.registers(y, type_)
    letters = type_.suffix if type_.is_float else type_.letter
    s.change(f"vpermi2{letters} {{}}, {{}}, {{}}", made, first, second)
    return made


LANES: dict[str, Maker] = {
    "insertelement": _insert,
    "extractelement": _extract,
    "shufflevector": _shuffle,
}
