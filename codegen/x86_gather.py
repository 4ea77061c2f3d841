"""Numbers that lie anywhere, read and written by their addresses, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen import x86_stack as stack
from symgraph.codegen.x86_selection import ZERO, Maker, Rule, Selection
from symgraph.codegen.x86_values import (
    GENERAL,
    MASK,
    R8,
    R16,
    R32,
    R64,
    VECTOR,
    XMM,
    K,
    Names,
    Type,
    Unknown,
    Value,
    names_of,
    type_of,
)
from symgraph.codegen.x86_widths import joined, pieces


def _moves(*, writes: bool) -> Maker:
    def make(form: str, types: list[Type]) -> Rule:
        type_, mask = types[0], types[3]
        if type_.kind != VECTOR or type_.lanes < 2:
            raise Unknown(form)
        if type_.bits < 32:
            return _one_by_one(type_, mask, writes=writes)
        return _scatter(type_, mask) if writes else _gather(type_, mask)

    return make


def _gather(type_: Type, mask: Type) -> Rule:
    """``vgatherqps ymm0 {k1}, [rax + zmm1]``, where the mask is lost"""
    text, size, names, index_type = _by_lanes(type_)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, places, _, chosen, others = given
        if others not in ("zeroinitializer", "poison") or places not in s.addresses:
            raise Unknown(type_.text)
        base, index, unit = s.addresses[places]
        at, found = s.one(base, R64), []
        indices = s.registers(index, index_type)
        for part, own in zip(indices, s.masks(chosen, len(indices), mask), strict=True):
            left, value = s.made(MASK, _COPY, K, own), s.made(VECTOR, ZERO, XMM)
            s.change(f"{text} {{}} {{{{{{}}}}}}, [{{}} + {unit}*{{}}]", (value[0], names), left, at, part)
            found.append(value)
        s.give(to, [(number, type_.names) for number, _ in joined(s, found, size, type_.parts)])

    return rule


def _scatter(type_: Type, mask: Type) -> Rule:
    """``vscatterqps [rax + zmm1] {k1}, ymm0``, where the mask is lost"""
    text, _, names, index_type = _by_lanes(type_)
    text = text.replace("gather", "scatter")

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, places, _, chosen = given
        if places not in s.addresses:
            raise Unknown(type_.text)
        base, index, unit = s.addresses[places]
        at, indices = s.one(base, R64), s.registers(index, index_type)
        values = pieces(s, s.registers(x, type_), type_.width, len(indices))
        masks = s.masks(chosen, len(indices), mask)
        for part, own, (value, _) in zip(indices, masks, values, strict=True):
            left = s.made(MASK, _COPY, K, own)
            s.change(f"{text} [{{}} + {unit}*{{}}] {{{{{{}}}}}}, {{}}", at, part, left, (value, names))

    return rule


def _by_lanes(type_: Type) -> tuple[str, int, Names, Type]:
    """What gathers 8 lanes or fewer: its name, the bytes of them, their registers, and the type of all indices."""
    lanes = min(type_.lanes, 8)
    size = lanes * type_.bits // 8
    letter = "s" if type_.bits == 32 else "d"
    return f"vgatherqp{letter}", size, names_of(size), type_of(f"<{type_.lanes} x i64>")


_COPY = "kmovq {}, {}"
"""Of a mask."""


def _one_by_one(type_: Type, mask: Type, *, writes: bool) -> Rule:
    """Lanes of 8 or 16 bits, for which there is no instruction: ``mov rcx, [rdx + 8]``, ``movzx ecx, word ptr [rcx]``,
    ``mov [rsi + 2], cx``. Those that the mask leaves out are read and written in the stack, where a 0 is."""
    size, lanes = type_.bits // 8, type_.lanes
    word, names = ("byte", R8) if size == 1 else ("word", R16)
    index_type = type_of(f"<{lanes} x i64>")

    def rule(s: Selection, given: Sequence[str]) -> None:
        places, chosen = given[1], given[3]
        if places not in s.addresses or (not writes and given[4] not in ("zeroinitializer", "poison")):
            raise Unknown(type_.text)
        nothing, at, numbers = s.room_for(8), stack.room(s, index_type), stack.room(s, type_)
        s.change("mov [{} + {}], {}", nothing, "0", s.loaded("0", type_of("i64")))
        stack.store(s, at, _addresses(s, places, chosen, nothing, index_type, mask), index_type)
        if writes:
            stack.store(s, numbers, s.registers(given[0], type_), type_)
        for n in range(lanes):
            address = s.made(GENERAL, "mov {}, [{} + {}]", R64, at, str(8 * n))
            ways = (address, "0"), (numbers, str(size * n))
            read = s.made(GENERAL, f"movzx {{}}, {word} ptr [{{}} + {{}}]", R32, *ways[writes])
            s.change("mov [{} + {}], {}", *ways[not writes], (read[0], names))
        if not writes:
            s.give(given[0], stack.load(s, numbers, type_))

    return rule


def _addresses(
    s: Selection, places: str, chosen: str, nothing: Value, type_: Type, mask: Type
) -> list[Value]:
    """Of all lanes, part by part: ``vpaddq``, ``vpblendmq``."""
    base, index, unit = s.addresses[places]
    indices, spread = s.registers(index, type_), "vpbroadcastq {}, {}"
    begin, rest = (s.made(VECTOR, spread, type_.names, each) for each in (s.one(base, R64), nothing))
    found = []
    for part, own in zip(indices, s.masks(chosen, len(indices), mask), strict=True):
        if unit > 1:
            part = s.made(VECTOR, "vpsllq {}, {}, {}", type_.names, part, str(unit.bit_length() - 1))
        address = s.made(VECTOR, "vpaddq {}, {}, {}", type_.names, part, begin)
        found.append(s.made(VECTOR, "vpblendmq {} {{{}}}, {}, {}", type_.names, own, rest, address))
    return found


GATHERS: dict[str, Maker] = {
    "llvm.masked.gather": _moves(writes=False),
    "llvm.masked.scatter": _moves(writes=True),
}
