"""What lines of LLVM's text are about, for x86 with AVX-512: types, registers, and constants."""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import Self, TypeAlias

VECTOR, MASK, GENERAL = range(3)
"""Kinds of registers."""


class Names(tuple[str, ...]):
    """How the registers of a kind are called at one width. There is one object for each."""

    __slots__ = ()
    __hash__ = object.__hash__


class Constant(str):
    """Memory of constants, as instructions read it; or a function, which has a name."""

    label: int | str

    def __new__(cls, text: str, label: int | str) -> Self:
        made = super().__new__(cls, text)
        made.label = label
        return made


class Spread(Constant):
    """One number there for all lanes."""

    __slots__ = ()


Value: TypeAlias = "tuple[int, Names]"
"""A value by its number, and how its register is called."""

Operand: TypeAlias = "Value | str"
"""A value, or what is written as it is."""


class Unknown(Exception):
    """A line that has no rule here, and is LLVM's to compile."""


_OLD = {  # of 32, 16 and 8 bits
    **{f"r{x}x": (f"e{x}x", f"{x}x", f"{x}l") for x in "abcd"},
    **{f"r{x}": (f"e{x}", x, f"{x}l") for x in ("si", "di", "bp", "sp")},
}


def _narrow(name: str, place: int) -> str:
    return _OLD[name][place] if name in _OLD else name + "dwb"[place]


ZMM, YMM, XMM = (Names(f"{x}mm{n}" for n in range(32)) for x in "zyx")
K = Names(f"k{n}" for n in range(8))
R64 = Names((
    "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
    "rbx", "r12", "r13", "r14", "r15", "rbp", "rsp",
))  # fmt: skip
"""Those that a function may change first, then those that it has to give back; the last one is the stack's."""
KEPT, RSP = 9, 15
"""How many come before these, and before that."""
HARDWARE = (0, 1, 2, 6, 7, 8, 9, 10, 11, 3, 12, 13, 14, 15, 5, 4)
"""The processor's numbers for them."""
R32, R16, R8 = (Names(_narrow(name, place) for name in R64) for place in range(3))
ARGUMENTS = tuple(R64.index(name) for name in ("rdi", "rsi", "rdx", "rcx", "r8", "r9"))
"""Where the first integers are that a function is given; of vectors the first are in the first registers."""
CALLED = R64.index("r11")
"""Where the address of a function is that is called by it. Values do not have this register."""

Spoiled: TypeAlias = "tuple[int, int, int]"
"""What a function changes: by the kind of register, a bit for each."""
FREE: Spoiled = (1 << 32) - 1, (1 << 8) - 1, (1 << KEPT) - 1
"""What any function may change."""

_TYPE = re.compile(r"<(\d+) x (\w+)>|\b(float|double|ptr|half|bfloat|i\d+)\b")
_BITS = {"half": 16, "float": 32, "double": 64, "ptr": 64}
_SINGLE = {1: R8, 8: R8, 16: R16, 32: R32, 64: R64}


def names_of(size: int) -> Names:
    """How registers of vectors are called of which so many bytes are needed."""
    return ZMM if size > 32 else YMM if size > 16 else XMM


class Type:
    """A type of LLVM, and the registers that hold a value of it. There is one object for each."""

    __slots__ = ("bits", "is_float", "kind", "lanes", "letter", "names", "parts", "suffix", "text", "width")

    def __init__(self, text: str) -> None:
        """Raises Unknown for one that has no registers here."""
        found = _TYPE.fullmatch(text)
        scalar = (found[2] or found[3]) if found else ""
        if scalar in ("", "bfloat"):
            raise Unknown(text)
        assert found
        self.text, self.lanes = text, int(found[1] or 0)
        """0 lanes for what is not a vector."""
        self.bits = _BITS[scalar] if scalar in _BITS else int(scalar[1:])
        """Of a lane."""
        self.is_float = scalar in ("half", "float", "double")
        self.suffix = ("p" if self.lanes else "s") + {16: "h", 32: "s"}.get(self.bits, "d")
        """How instructions for floats end."""
        self.letter = {8: "b", 16: "w", 32: "d", 64: "q"}.get(self.bits, "")
        """How instructions for integers of vectors end."""
        whole = self.lanes * self.bits
        self.parts = max(whole // 512, 1)
        """How many registers."""
        self.kind, self.names = VECTOR, names_of(whole // 8)
        if self.bits == 1 and self.lanes:
            self.kind, self.names, self.parts = MASK, K, max(whole // 64, 1)
        elif not self.lanes and not self.is_float:
            self.kind, self.names = GENERAL, _SINGLE.get(self.bits, Names())
        is_odd = self.lanes & (self.lanes - 1) or self.bits not in _SINGLE
        if is_odd or not self.names:
            raise Unknown(text)
        self.width = max(whole, self.bits) // 8 // self.parts
        """Bytes of a register's share in memory."""

    @property
    def whole(self) -> Names:
        """How a register is called in which an integer lies: there is none of 8 or 16 bits."""
        return R64 if self.bits == 64 else R32


type_of = cache(Type)


def types_in(form: str) -> list[Type]:
    """The types that a text names, in order."""
    return [type_of(match[0]) for match in _TYPE.finditer(form)]


@cache
def pattern(text: str, type_: Type) -> int:
    """The bits of a lane of a constant."""
    number = text.removesuffix(")").rpartition(" ")[2]
    if number in ("zeroinitializer", "false", "poison", "null"):
        return 0
    if number == "true":
        return 1
    if not type_.is_float:
        return int(number) & (1 << type_.bits) - 1
    if type_.bits == 16:
        raise Unknown(text)
    bits = int(number, 16)
    if type_.bits == 32:  # written as the double that it is
        (value,) = struct.unpack("<d", struct.pack("<Q", bits))
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return bits


@cache
def numbers_in(text: str) -> tuple[int, ...]:
    """The integers of a constant that has one for each lane."""
    found = re.findall(r"(?:^<|, )i\d+ (\w+|-\d+)", text)
    if not found or not all(each.lstrip("-").isdigit() for each in found):
        raise Unknown(text)
    return tuple(map(int, found))


def only(types: list[Type], form: str, *, floats: bool = False) -> Type:
    """The one type of a form."""
    if len(set(types)) != 1 or (floats and not (types[0].is_float and types[0].bits >= 32)):
        raise Unknown(form)
    return types[0]
