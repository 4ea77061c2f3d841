"""Instructions of x86 as bytes: what is needed of an assembler, without one.

The text of an instruction, with places for its operands, and what these are tell which row of the manual it is; how its
bytes follow is found once for each form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from symgraph.codegen.x86_fields import (
    DIRECT,
    MAPS,
    MASKS,
    PREFIXES,
    RELATIVE,
    SPREAD,
    ZEROING,
    Head,
    evex,
    legacy,
    of_distant,
    of_indexed,
    of_registers,
    vex,
)
from symgraph.codegen.x86_instructions import CODES
from symgraph.codegen.x86_values import R8, R16, R32, R64, XMM, YMM, ZMM, K, Names, Spread, Unknown

Kind: TypeAlias = "Names | type"
"""What an operand is: a register that is called so; a number, as it is written (str); memory of constants."""

Encode: TypeAlias = "Callable[[Sequence[Any], Sequence[int]], bytes]"
"""Of the operands, and the register of each value. Raises IndexError for one that the processor does not have."""


class Encoder(NamedTuple):
    """How the bytes of a form of instruction follow from its operands."""

    encode: Encode
    constant: Reading | None = None
    """What is a constant in memory, if there is one."""


class Reading(NamedTuple):
    operand: int
    distance: int
    """The place of the 4 bytes that say how far the constant is from the end of the instruction."""


@cache
def encoder(text: str, *kinds: Kind) -> Encoder:
    """Of an instruction with places for operands of these kinds. Raises Unknown for one that has no row."""
    lock = _LOCK if text.startswith(_LOCK) else ""
    name, _, rest = text.removeprefix(lock).partition(" ")
    operands = _operands(rest)
    letters = _letters(operands, kinds)
    prefix, opcode, form, *rest_of_row = _row(lock + name, letters).split()
    width = 0
    for kind in kinds:
        width = max(width, _WIDTHS.get(kind, 0))
    head = _head(prefix, width, is_wide="q" in letters)
    digit, unit = 0, 16 << width if prefix[0] == "E" else 1
    for each in rest_of_row:
        if each[0] == "N":
            unit = int(each[1:])
        else:
            digit = int(each[1:])

    bits, size = head.bits | int(opcode, 16) << 8 * head.at - 8, head.at
    registers = list[tuple[int, Sequence[int]]]()
    memory, number, constant = None, _NO_NUMBER, None
    for field, operand in zip(form.split(",") if form != "-" else (), operands, strict=True):
        if field[0] == "i":
            number = _Number(operand.one, operand.written, *_SIZES[field])
        elif operand.tile is not None:
            bits ^= of_registers(field, head.rex, head.at, is_general=False)[operand.tile]
        elif operand.one is None:
            memory = operand
        elif (kind := kinds[operand.one]) in _LETTERS:
            table = of_registers(field, head.rex, head.at, is_general=kind in _GENERAL)
            registers.append((operand.one, table))
        else:
            constant = Reading(operand.one, head.at + 1)
            bits |= SPREAD if kind is Spread else 0
        if operand.mask is not None:
            registers.append((operand.mask, MASKS))
            bits |= ZEROING if operand.is_zeroing else 0
    if rest_of_row or "r" in form or "m" in form:
        bits |= (
            (RELATIVE if constant is not None else DIRECT if memory is None else 0) | digit << 3
        ) << 8 * size
        size += 1
    if constant is not None:
        size += 4
    if memory is not None:
        return Encoder(_of_memory(bits, head, unit, registers, memory, kinds, number))
    if number.given is not None:
        return Encoder(_of_number(bits, head, size, registers, number))
    bits |= number.written << 8 * size
    return Encoder(_of_registers(bits, size + number.size, registers), constant)


def _letters(operands: Sequence[_Operand], kinds: Sequence[Kind]) -> str:
    """What the operands are, as names of rows say it."""
    letters = ""
    for operand in operands:
        if operand.one is not None:
            letters += _LETTERS.get(kinds[operand.one], "m")
        else:
            letters += "i" if operand.base is None else _SIZED[operand.size]
    return letters


def _row(name: str, letters: str) -> str:
    """The row of an instruction with such operands. Raises Unknown."""
    for key in (f"{name} {letters}", name, f"{name} {letters.replace('d', 'g').replace('q', 'g')}"):
        if key in CODES:
            return CODES[key]
    raise Unknown(f"{name} {letters}")


_LETTERS: dict[Kind, str] = {
    ZMM: "v",
    YMM: "v",
    XMM: "v",
    K: "k",
    R8: "b",
    R16: "w",
    R32: "d",
    R64: "q",
    str: "i",
}
_WIDTHS: dict[Kind, int] = {YMM: 1, ZMM: 2}
_LOCK = "lock "
_SIZED = {None: "m", "byte": "n", "word": "o"}
_GENERAL = (R8, R16, R32, R64)


class _Operand(NamedTuple):
    """What stands between two commas. Operands that are given are called by their number."""

    one: int | None
    """A register, a number, or memory of constants."""
    base: int | None
    """Memory: from this register on,"""
    added: int | None
    """so many bytes after it, or a register"""
    times: int
    """so many times."""
    mask: int | None
    is_zeroing: bool
    size: str | None
    """Of memory, where the text says so."""
    tile: int | None
    """A tile's number."""
    written: int
    """A number that the text has itself."""


_OPERAND = re.compile(
    r"(?:\{(?P<one>\d)\}|(?:(?P<size>byte|word) ptr )?\[\{(?P<base>\d)\} \+ (?:(?P<times>\d)\*)?\{(?P<added>\d)\}\]"
    r"|tmm(?P<tile>\d)|(?P<written>\w+))"
    r"(?: %\{(?P<mask>\d)\})?(?P<zeroing>%z)?"
)


@cache
def _operands(text: str) -> list[_Operand]:
    """Of what comes after an instruction's name."""
    numbers = count()
    marked = text.replace("{{{}}}", "%{}").replace("{{z}}", "%z")
    numbered = re.sub(r"\{\}", lambda _: f"{{{next(numbers)}}}", marked)
    made = []
    for each in numbered.split(", ") if numbered else ():
        found = _OPERAND.fullmatch(each)
        if found is None:
            raise Unknown(text)
        one, base, added, mask, tile = (
            int(n) if (n := found[name]) else None for name in ("one", "base", "added", "mask", "tile")
        )
        times, written = int(found["times"] or 1), int(found["written"] or "0", 0)
        is_zeroing, size = bool(found["zeroing"]), found["size"]
        made.append(_Operand(one, base, added, times, mask, is_zeroing, size, tile, written))
    return made


@cache
def _head(prefix: str, width: int, *, is_wide: bool) -> Head:
    scheme, *words = prefix.split(".")
    if scheme == "REX":
        before = bytes(int(each, 16) for each in words if each in ("66", "F0", "F3"))
        escape = bytes(int(each, 16) for each in words if each == "0F")
        return legacy(before, int("W1" in words or (is_wide and "W0" not in words)), escape)
    pp = next((PREFIXES[each] for each in words if each in PREFIXES), 0)
    map_ = next(MAPS[each] for each in words if each in MAPS)
    wide = int("W1" in words or ("W?" in words and is_wide))
    return evex(pp, map_, wide, width) if scheme == "EVEX" else vex(pp, map_, wide, int("L1" in words))


class _Number(NamedTuple):
    """A number after all: which operand it is, or what the text says."""

    given: int | None
    written: int
    size: int
    """In bytes."""
    has_short: bool
    """Whether another opcode has one byte for it, of which the others follow."""


_NO_NUMBER = _Number(None, 0, 0, has_short=False)
_SIZES = {"i": (1, False), "i4": (4, False), "i4s": (4, True), "i2s": (2, True), "i8": (8, False)}


def _of_registers(bits: int, size: int, registers: Sequence[tuple[int, Sequence[int]]]) -> Encode:
    if len(registers) == 3:  # as most have
        (a, first), (b, second), (c, third) = registers

        def of_three(given: Sequence[Any], of: Sequence[int]) -> bytes:
            found: int = bits ^ first[of[given[a][0]]] ^ second[of[given[b][0]]] ^ third[of[given[c][0]]]
            return found.to_bytes(size, "little")

        return of_three

    def encode(given: Sequence[Any], of: Sequence[int]) -> bytes:
        found = bits
        for n, table in registers:
            found ^= table[of[given[n][0]]]
        return found.to_bytes(size, "little")

    return encode


def _of_number(
    bits: int, head: Head, size: int, registers: Sequence[tuple[int, Sequence[int]]], number: _Number
) -> Encode:
    assert number.given is not None
    at, most, short = number.given, number.size, 2 << 8 * (head.at - 1)

    def encode(given: Sequence[Any], of: Sequence[int]) -> bytes:
        found, added = bits, int(given[at])
        for n, table in registers:
            found ^= table[of[given[n][0]]]
        if number.has_short and -128 <= added < 128:
            return (found ^ short | (added & 255) << 8 * size).to_bytes(size + 1, "little")
        return (found | (added & (1 << 8 * most) - 1) << 8 * size).to_bytes(size + most, "little")

    return encode


_MOST_KNOWN = 1 << 12
"""Addresses of which a form of instruction knows the bits."""


def _of_memory(
    bits: int,
    head: Head,
    unit: int,
    registers: Sequence[tuple[int, Sequence[int]]],
    memory: _Operand,
    kinds: Sequence[Kind],
    number: _Number,
) -> Encode:
    rex, at, base, added = head.rex, head.at, memory.base, memory.added
    if base is None or added is None or number.given is not None:
        raise Unknown("a number that is given, and memory")
    times, written, end = memory.times, number.written, number.size
    if kinds[added] is not str:
        is_general = kinds[added] is R64

        def indexed(given: Sequence[Any], of: Sequence[int]) -> bytes:
            found = bits
            for n, table in registers:
                found ^= table[of[given[n][0]]]
            more, length = of_indexed(
                rex, at, times, of[given[base][0]], of[given[added][0]], is_general=is_general
            )
            size = at + 1 + length
            return (found ^ more | written << 8 * size).to_bytes(size + end, "little")

        return indexed
    known: dict[tuple[int, str], tuple[int, int]] = {}

    def encode(given: Sequence[Any], of: Sequence[int]) -> bytes:
        found = bits
        for n, table in registers:
            found ^= table[of[given[n][0]]]
        place = of[given[base][0]], given[added]
        memory = known.get(place)
        if memory is None:
            if len(known) > _MOST_KNOWN:
                known.clear()
            more, length = of_distant(rex, at, unit, place[0], int(place[1]))
            size = at + 1 + length
            memory = known[place] = more | written << 8 * size, size + end
        return (found ^ memory[0]).to_bytes(memory[1], "little")

    return encode
