"""Lanes that become wider or narrower: registers of vectors are cut and joined, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Selection
from symgraph.codegen.x86_values import VECTOR, XMM, YMM, ZMM, Type, Value, names_of

_JOINING = {
    32: "vinsertf64x4 {}, {}, {}, 1",
    16: "vinsertf32x4 {}, {}, {}, 1",
    8: "vmovlhps {}, {}, {}",
    4: "vpunpckldq {}, {}, {}",
    2: "vpunpcklwd {}, {}, {}",
    1: "vpunpcklbw {}, {}, {}",
}
"""How so many bytes and as many after them come to one register."""


def pieces(s: Selection, values: Sequence[Value], size: int, count: int) -> list[Value]:
    """The registers of a vector, each of so many bytes, cut to so many in all."""
    each = count // len(values)
    return [_piece(s, value, size, size // each, n) for value in values for n in range(each)]


def _piece(s: Selection, value: Value, size: int, own: int, n: int) -> Value:
    """Of a register of so many bytes, the part of that place."""
    number = value[0]
    if not n:
        return number, names_of(own)
    if own == 32:
        return s.made(VECTOR, f"vextractf64x4 {{}}, {{}}, {n}", YMM, (number, ZMM))
    if own == 16:
        return s.made(VECTOR, f"vextractf32x4 {{}}, {{}}, {n}", XMM, (number, names_of(size)))
    around = _piece(s, value, size, 16, n * own // 16) if size > 16 else (number, XMM)
    shift = n * own % 16
    return s.made(VECTOR, f"vpsrldq {{}}, {{}}, {shift}", XMM, around) if shift else around


def joined(s: Selection, values: Sequence[Value], size: int, count: int) -> list[Value]:
    """Registers of so many bytes as fewer wide ones."""
    found = [*values]
    while len(found) > count:
        text, names, whole = _JOINING[size], names_of(size), names_of(2 * size)
        first = whole if size >= 16 else names
        found = [
            s.made(VECTOR, text, whole, (low, first), (high, names))
            for (low, _), (high, _) in zip(found[::2], found[1::2], strict=True)
        ]
        size *= 2
    return found


def each(
    s: Selection,
    values: Sequence[Value],
    type_: Type,
    to_type: Type,
    name: str,
    end: str = "",
) -> list[Value]:
    """Registers of one type as those of another, of as many lanes, by an instruction for so many lanes as fit both."""
    count = max(type_.parts, to_type.parts)
    to_size = to_type.width * to_type.parts // count
    cut = pieces(s, values, type_.width, count)
    made = [s.made(VECTOR, f"{name} {{}}, {{}}{end}", names_of(to_size), part) for part in cut]
    return joined(s, made, to_size, to_type.parts)
