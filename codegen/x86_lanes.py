"""Lanes that change their places, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen import x86_masks as masks
from symgraph.codegen import x86_stack as stack
from symgraph.codegen.x86_selection import Maker, Rule, Selection
from symgraph.codegen.x86_values import (
    GENERAL,
    MASK,
    R64,
    VECTOR,
    XMM,
    YMM,
    ZMM,
    Type,
    Unknown,
    Value,
    names_of,
    numbers_in,
    type_of,
)


def _insert(form: str, types: list[Type]) -> Rule:
    """A number in the first lane of nothing: its own register, or one of vectors' that it goes to."""
    type_, scalar = types[0], types[1]
    if scalar.bits == 16 and scalar.is_float:
        raise Unknown(form)
    move = f"vmov{'q' if scalar.bits == 64 else 'd'} {{}}, {{}}"
    at_place = _insert_at(type_, scalar)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, others, x, lane = given
        if lane[0] == "%":
            at_place(s, given)
            return
        if others != "poison" or lane != "0":
            raise Unknown(form)
        if type_.kind == MASK:
            if x[0] != "%":
                raise Unknown(form)
            s.give(to, [masks.set_by(s, x)])
        elif type_.is_float:
            s.give(to, s.registers(x, scalar))
        else:
            s.give(to, [s.made(VECTOR, move, XMM, s.general(x, scalar))])
        s.firsts.add(to)

    return rule


def _extract(form: str, types: list[Type]) -> Rule:
    """The first lane is where it is, or goes to a general register."""
    type_, scalar = types[0], type_of(types[0].text.split()[-1].rstrip(">"))
    move, names = f"vmov{'q' if scalar.bits == 64 else 'd'} {{}}, {{}}", scalar.whole
    at_place = _extract_at(type_, scalar)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, lane = given
        if x[0] != "%":
            raise Unknown(form)
        if lane[0] == "%":
            at_place(s, given)
        elif lane != "0":
            raise Unknown(form)
        elif type_.kind == MASK:
            s.give(to, [masks.first(s, x)])
        elif type_.is_float:
            s.give(to, s.values(x)[:1])
        else:
            s.give(to, [s.made(GENERAL, move, names, s.one(x, XMM))])

    return rule


def _spare(s: Selection, x: str, type_: Type) -> Value:
    """An address in the stack, where a vector's lanes are."""
    place = stack.room(s, type_)
    if x != "poison":
        stack.store(s, place, s.registers(x, type_), type_)
    return place


def _is_at(type_: Type, scalar: Type) -> str:
    """The instruction that moves one lane."""
    if type_.kind != VECTOR or type_.width < 16 or scalar.bits < 32:
        raise Unknown(type_.text)
    return f"vmov{scalar.suffix}" if scalar.is_float else "mov"


def _extract_at(type_: Type, scalar: Type) -> Rule:
    """``vmovups [rax], zmm0``, ``vmovss xmm0, [rax + 4*rcx]``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        name, (to, x, lane) = _is_at(type_, scalar), given
        text = f"{name} {{}}, [{{}} + {scalar.width}*{{}}]"
        s.give(to, [s.made(scalar.kind, text, scalar.names, _spare(s, x, type_), s.one(lane, R64))])

    return rule


def _insert_at(type_: Type, scalar: Type) -> Rule:
    """``vmovups [rax], zmm0``, ``mov [rax + 4*rcx], edx``, ``vmovups zmm0, [rax]``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        name, (to, others, x, lane) = _is_at(type_, scalar), given
        place = _spare(s, others, type_)
        (value,) = s.registers(x, scalar) if scalar.is_float else [s.general(x, scalar)]
        s.change(f"{name} [{{}} + {scalar.width}*{{}}], {{}}", place, s.one(lane, R64), value)
        s.give(to, stack.load(s, place, type_))

    return rule


_HALVES = {
    512: ("vextractf64x4 {}, {}, 1", ZMM, YMM),
    256: ("vextractf32x4 {}, {}, 1", YMM, XMM),
    128: ("vpermilpd {}, {}, 1", XMM, XMM),
    64: ("vmovshdup {}, {}", XMM, XMM),
    32: ("vpsrld {}, {}, 16", XMM, XMM),
    16: ("vpsrld {}, {}, 8", XMM, XMM),
}
"""How the second half of so many bits comes to the front."""


def _shuffle(form: str, types: list[Type]) -> Rule:
    """One number in all lanes, one of the halves, or lanes of two vectors in any order."""
    type_, places_type = types[0], types[2]
    if type_.kind == MASK:
        return masks.shuffled(type_, type_of(f"<{places_type.lanes} x i1>"))
    lanes = places_type.lanes
    spread, to_type = _spread(type_), type_of(type_.text.replace(str(type_.lanes), str(lanes), 1))

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
        elif type_.bits >= 16:
            s.give(to, _permuted(s, x, y, numbers, type_, to_type))
        else:
            raise Unknown(form)

    return rule


def _spread(type_: Type) -> str:
    if type_.names is XMM and type_.bits == 64:  # for which there is no other
        return "vmovddup {}, {}"
    return (
        f"vbroadcasts{type_.suffix[1]} {{}}, {{}}"
        if type_.is_float and type_.bits >= 32
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


def _permuted(s: Selection, x: str, y: str, places: Sequence[int], type_: Type, to_type: Type) -> list[Value]:
    """``vpermi2ps zmm0, zmm1, zmm2``: by the places, which the result takes the register of. Each is of two at most."""
    size = max(type_.width, to_type.width, 16)
    names, room = names_of(size), 8 * size // type_.bits
    numbers = type_of(f"<{room} x i{type_.bits}>")
    letters = type_.suffix if type_.is_float and type_.bits >= 32 else numbers.letter
    sources = [*s.registers(x, type_), *(s.registers(y, type_) if max(places) >= type_.lanes else ())]
    lanes, own = type_.lanes // type_.parts, to_type.lanes // to_type.parts
    found = []
    for n in range(to_type.parts):
        here = places[n * own : (n + 1) * own]
        which = list(dict.fromkeys(place // lanes for place in here))
        if len(which) > 2:
            raise Unknown(type_.text)
        listed = [which.index(place // lanes) * room + place % lanes for place in here]
        (chosen,) = s.listed(listed + [0] * (room - own), numbers)
        made = s.made(VECTOR, "vmovups {}, {}", names, chosen)
        first, second = ((sources[each][0], names) for each in (which[0], which[-1]))
        s.change(f"vpermi2{letters} {{}}, {{}}, {{}}", made, first, second)
        found.append((made[0], to_type.names))
    return found


LANES: dict[str, Maker] = {
    "insertelement": _insert,
    "extractelement": _extract,
    "shufflevector": _shuffle,
}
