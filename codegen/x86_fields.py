"""Where registers, memory and numbers go in the bytes of x86's instructions.

Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2: a prefix, the opcode, a byte ModRM
that names registers or memory, what is added to an address, a number. An instruction is one integer here, in which each
operand changes the bits of its field.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from symgraph.codegen.x86_values import HARDWARE

PREFIXES = {"66": 1, "F3": 2, "F2": 3}
MAPS = {"0F": 1, "0F38": 2, "0F3A": 3}
DIRECT, RELATIVE = 0xC0, 0x05
"""ModRM of registers alone, and of memory so many bytes after the instruction."""
MASKS = tuple(n << 24 for n in range(8))
"""By the register: of EVEX."""
SPREAD, ZEROING = 1 << 28, 1 << 31
"""Bits of EVEX: memory has one number for all lanes; where the mask is not set, lanes become 0."""


class Head(NamedTuple):
    """What comes before ModRM, but for the last byte of the opcode."""

    bits: int
    rex: int
    """The place of the byte of the prefix REX; -1 for VEX and EVEX, which have the same bits inverted at others."""
    at: int
    """The place of ModRM."""


def evex(pp: int, map_: int, wide: int, width: int) -> Head:
    """Of vectors: 0, 1, 2 are 128, 256, 512 bits."""
    second = wide << 7 | 0x7C | pp
    return Head(0x62 | (0xF0 | map_) << 8 | second << 16 | (width << 5 | 8) << 24, -1, 5)


def vex(pp: int, map_: int, wide: int, long: int) -> Head:
    """Of masks, and of some that have general registers: the prefix of three bytes."""
    return Head(0xC4 | (0xE0 | map_) << 8 | (wide << 7 | 0x78 | long << 2 | pp) << 16, -1, 4)


def legacy(before: bytes, wide: int, escape: bytes) -> Head:
    """Of general registers. There is always a prefix REX, so that all are called alike."""
    whole = bytes([*before, 0x40 | wide << 3, *escape])
    return Head(int.from_bytes(whole, "little"), len(before), len(whole) + 1)


@cache
def of_registers(field: str, rex: int, at: int, *, is_general: bool) -> tuple[int, ...]:
    """By the register, the bits that it changes: its field's, as rows call it, and the prefix's."""
    own = HARDWARE if is_general else range(32)
    if field == "rm":
        r, m = (of_registers(each, rex, at, is_general=is_general) for each in field)
        return tuple(a ^ b for a, b in zip(r, m, strict=True))
    if field == "v":
        return tuple((n & 15) << 19 | (n >> 4) << 27 for n in own)
    low = 8 * at + {"r": 3, "m": 0, "o": -8}[field]
    if rex >= 0:
        fourth = 8 * rex + (2 if field == "r" else 0)
        return tuple((n & 7) << low | (n >> 3) << fourth for n in own)
    fourth, fifth = (15, 12) if field == "r" else (13, 14)
    return tuple((n & 7) << low | (n >> 3 & 1) << fourth | (n >> 4) << fifth for n in own)


def of_distant(rex: int, at: int, unit: int, base: int, offset: int) -> tuple[int, int]:
    """The bits of memory so many bytes after a register, and how many bytes they take after ModRM. A distance of one
    byte counts units of so many."""
    n = HARDWARE[base]
    steps, rest = divmod(offset, unit)
    if not offset and n & 7 != 5:
        kind, tail, length = 0, 0, 0
    elif not rest and -128 <= steps < 128:
        kind, tail, length = 1, steps & 255, 1
    else:
        kind, tail, length = 2, offset & 0xFFFF_FFFF, 4
    if n & 7 == 4:  # by which ModRM says that a byte SIB follows
        tail, length = tail << 8 | 0x24, length + 1
    fourth = 8 * rex if rex >= 0 else 13
    return (n >> 3) << fourth | (kind << 6 | n & 7 | tail << 8) << 8 * at, length


@cache
def of_indexed(rex: int, at: int, scale: int, base: int, index: int, *, is_general: bool) -> tuple[int, int]:
    """The bits of memory so many times a register after another, and how many bytes they take after ModRM. Of EVEX that
    may be a register of vectors, which has a place for each lane."""
    n, other = HARDWARE[base], HARDWARE[index] if is_general else index
    sib = (scale.bit_length() - 1) << 6 | (other & 7) << 3 | n & 7
    kind, length = (1, 2) if n & 7 == 5 else (0, 1)
    fourth, of_index = (8 * rex, 8 * rex + 1) if rex >= 0 else (13, 14)
    bits = (n >> 3) << fourth | (other >> 3 & 1) << of_index | (other >> 4) << 27
    return bits | (kind << 6 | 4 | sib << 8) << 8 * at, length
