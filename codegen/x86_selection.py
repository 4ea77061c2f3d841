"""A function as instructions of x86 whose operands are values: what rules select, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from symgraph.codegen.x86_constants import Constants
from symgraph.codegen.x86_lines import Call, Held, Jump, Label, Leave, Line, Meeting
from symgraph.codegen.x86_values import (
    FREE,
    GENERAL,
    MASK,
    R8,
    R32,
    R64,
    RSP,
    VECTOR,
    XMM,
    YMM,
    ZMM,
    Constant,
    K,
    Names,
    Operand,
    Spoiled,
    Spread,
    Type,
    Unknown,
    Value,
    numbers_in,
    pattern,
    type_of,
)


class Selection:
    """What was selected so far. A value lies in one register; a name stands for the values of its parts."""

    def __init__(self, constants: Constants, spoiling: Mapping[str, Spoiled]) -> None:
        """``spoiling`` has what functions change, of those of which it is known."""
        self.lines: list[Line] = []
        self.operands: list[tuple[Operand, ...]] = []
        """Of each line."""
        self.kinds: list[int] = []
        """Of each value's register."""
        self.begins: list[int] = []
        """The line that gives each value."""
        self.ends: list[int] = []
        """And the last that needs it."""
        self.copies: dict[int, int] = {}
        """Values that begin as a copy of another."""
        self.meetings: dict[str, list[Meeting]] = {}
        """By the label."""
        self.given: list[Held] = []
        """The arguments that lie in registers."""
        self.handed: list[Held] = []
        """These, and what calls give."""
        self.above: list[int] = []
        """Those that lie in the stack of who calls."""
        self.outside = constants.outside
        self.calls: list[int] = []
        """The lines of calls."""
        self.spoiled: list[Spoiled] = []
        """What each of them changes."""
        self.is_aligned = False
        """Whether the stack has to be at a multiple of 16 bytes for some of them."""
        self.room = 0
        """Bytes of the stack that the function asks for."""
        self.fields: dict[str, Sequence[str]] = {}
        """Names or constants of which a value is made that has several."""
        self.met: dict[str, Type] = {}
        """Types of bits and masks that come to other blocks: there, a mask is one."""
        self.addresses: dict[str, tuple[str, str, int]] = {}
        """Names of vectors of addresses: the first, and the name of their distances in units of so many bytes."""
        self.fixed: dict[int, int] = {}
        """Registers of values that have them before all others."""
        self._pinned: dict[int, int] = {}
        self.carried: set[str] = set()
        """Names of values that come from several blocks."""
        self.firsts: set[str] = set()
        """Names of vectors of which one lane is known."""
        self.following = ""
        """The line after that which is selected."""
        self._flags: dict[str, tuple[str, Value, Operand]] = {}
        """Names of bits that only the flags have, how a jump asks for them, and what was compared."""
        self._block = "entry"
        self._values: dict[str, list[Value]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        """Names of addresses that are so many bytes after others."""
        self._found: dict[tuple[str, str], list[Value]] = {}
        """These, in registers, by the block in which they were needed: the way to others may not lead through it."""
        self._constants, self._spoiling = constants, spoiling

    # Instructions

    def made(self, kind: int, text: str, names: Names, *operands: Operand) -> Value:
        """A new value, which an instruction gives."""
        lines, kinds, ends = self.lines, self.kinds, self.ends
        place, value = len(lines), (len(kinds), names)
        for operand in operands:
            if type(operand) is tuple:
                ends[operand[0]] = place
        lines.append(text)
        self.operands.append((value, *operands))
        kinds.append(kind)
        self.begins.append(place)
        ends.append(place + 1)
        return value

    def change(self, text: str, *operands: Operand) -> None:
        """An instruction that gives nothing new, but may change its first operand."""
        ends, place = self.ends, len(self.lines)
        for operand in operands:
            if type(operand) is tuple:
                ends[operand[0]] = place
        self.lines.append(text)
        self.operands.append(operands)

    def new(self, type_: Type) -> Value:
        """A value that the line before this one gives: a label, or the beginning."""
        number, place = len(self.kinds), len(self.lines) - 1
        self.kinds.append(type_.kind)
        self.begins.append(place)
        self.ends.append(place + 1)
        return number, type_.names

    def copied(self, x: Operand, type_: Type) -> Value:
        """A copy of a vector, which may be changed."""
        made = self.made(VECTOR, COPY_OF_VECTOR, type_.names, x)
        if type(x) is tuple:
            self.copies[made[0]] = x[0]
        return made

    def copied_general(self, x: str, type_: Type) -> Value:
        """A copy of an integer, which may be changed."""
        if x[0] not in "%@":
            return self.loaded(x, type_)
        source = self.one(x, type_.whole)
        made = self.made(GENERAL, COPY_OF_GENERAL, type_.whole, source)
        self.copies[made[0]] = source[0]
        return made

    # Values

    def give(self, name: str, parts: Sequence[Value]) -> None:
        """What a name stands for."""
        type_ = self.met.get(name) if len(parts) > 1 else None
        self._values[name] = [*(parts if type_ is None else self.packed(parts, type_.parts, type_))]

    def values(self, name: str) -> list[Value]:
        """Of the parts, as they were given."""
        found = self._values.get(name)
        if found is None:
            if name[0] == "@":
                return [self.made(GENERAL, "lea {}, {}", R64, self._constants.table(name))]
            if name in self._flags:  # since when the flags have changed
                return [self._bit(*self._flags[name])]
            if name not in self._places:
                raise Unknown(name)
            found = self._found.get((self._block, name))
            if found is None:
                base, offset = self.address(name)
                found = [self.made(GENERAL, "lea {}, [{} + {}]", R64, base, str(offset))]
                if self._block == "entry":  # which comes before all others
                    self._values[name] = found
                else:
                    self._found[self._block, name] = found
        return found

    def one(self, name: str, names: Names) -> Value:
        """The only part, or the first."""
        return self.values(name)[0][0], names

    def registers(self, name: str, type_: Type) -> Sequence[Value]:
        """Of a vector or a float, part by part; a constant goes to one."""
        if name[0] == "<":
            places = self.listed(numbers_in(name), type_)
            return [self.made(VECTOR, "vmovups {}, {}", type_.names, each) for each in places]
        if name[0] != "%":
            return [self.constant(name, type_)] * type_.parts
        found, names = self.values(name), type_.names
        return found if found[0][1] is names else [(number, names) for number, _ in found]

    def sources(self, name: str, type_: Type) -> Sequence[Operand]:
        """As `registers`, but a constant stays in memory: for an instruction's last operand."""
        if name[0] == "%":
            return self.registers(name, type_)
        known = self._constants.sources.get((name, type_))
        if known is None:
            if name[0] == "<":
                known = self.listed(numbers_in(name), type_)
            else:
                known = [self.memory(pattern(name, type_), type_)] * type_.parts
            self._constants.sources[name, type_] = known
        return known

    def general(self, name: str, type_: Type) -> Value:
        """An integer in a register."""
        return self.one(name, type_.whole) if name[0] in "%@" else self.loaded(name, type_)

    def parts(self, name: str, type_: Type) -> Sequence[Value]:
        """Of any value, or a constant."""
        if type_.kind == GENERAL:
            return [self.general(name, type_)]
        return self.masks(name, type_.parts, type_) if type_.kind == MASK else self.registers(name, type_)

    def widened(self, name: str, type_: Type, *, signed: bool) -> Value:
        """An integer of 8 or 16 bits in a register of its own in which those above are known."""
        if name[0] != "%":
            bits = pattern(name, type_)
            sign = 1 << type_.bits - 1
            return self.made(GENERAL, "mov {}, {}", R32, str((bits ^ sign) - sign if signed else bits))
        text = "movsx {}, {}" if signed else "movzx {}, {}"
        return self.made(GENERAL, text, R32, self.one(name, type_.names))

    def source(self, name: str, type_: Type) -> Operand:
        """An integer: a register, or a number that an instruction has room for."""
        if name[0] == "%":
            return self.one(name, type_.whole)
        bits = pattern(name, type_)
        if type_.bits > 1:
            bits -= (bits >> type_.bits - 1) << type_.bits
        return str(bits) if is_near(bits) else self.loaded(name, type_)

    # Addresses

    def place(self, name: str, base: str, offset: int) -> None:
        """An address that is so many bytes after another."""
        base, before = self._places.get(base, (base, 0))
        self._places[name] = base, before + offset

    def address(self, name: str) -> tuple[Value, int]:
        """A register, and so many bytes after it."""
        base, offset = self._places.get(name, (name, 0))
        return self.one(base, R64), offset

    def room_for(self, size: int) -> Value:
        """An address in the stack, of so many bytes that nobody else has."""
        place = self.made(GENERAL, "lea {}, [{} + {}]", R64, self.pinned(RSP), str(self.room))
        self.room += size
        return place

    def pinned(self, register: int, names: Names = R64) -> Value:
        """A general register that values do not have: the stack's, or one that is free for the next few lines."""
        if register not in self._pinned:
            number, _ = self.new(type_of("i64"))
            self._pinned[register] = number
            self.fixed[number] = register
        return self._pinned[register], names

    # Constants

    def constant(self, text: str, type_: Type) -> Value:
        """A constant in a register of vectors."""
        return self.made(VECTOR, *self._bringing(text, type_))[0], type_.names

    def loaded(self, text: str, type_: Type) -> Value:
        """A constant integer in a register."""
        return self.made(GENERAL, *self._bringing(text, type_))

    def _bringing(self, text: str, type_: Type) -> tuple[str, Names, *tuple[str, ...]]:
        """The instruction that brings a constant to a register, how it calls that, and the constant."""
        if type_.kind == MASK:
            return _ALL if is_set(text) else _NONE, K
        bits = pattern(text, type_)
        if type_.kind == GENERAL:
            number = bits - (bits >> 63 << 64)
            is_short = type_.bits < 64 or is_near(number)
            return "mov {}, {}" if is_short else "movabs {}, {}", type_.whole, str(number)
        if not bits:
            return ZERO, XMM
        if type_.lanes and type_.bits < 32:
            return "vmovups {}, {}", type_.names, self.memory(bits, type_)
        name = f"vpbroadcast{type_.letter}" if type_.lanes else f"vmov{type_.suffix}"
        return f"{name} {{}}, {{}}", type_.names, self.in_memory(bits, type_.bits)

    def memory(self, bits: int, type_: Type) -> Constant:
        """A constant that an instruction reads in every lane, or once."""
        if not type_.lanes:
            return self.in_memory(bits, type_.bits)
        if type_.bits < 32:
            return self.listed([bits] * type_.lanes, type_)[0]
        once = self.in_memory(bits, type_.bits)
        return Spread(f"{once}{{1to{_WIDE[type_.names] // type_.bits}}}", once.label)

    def in_memory(self, bits: int, width: int) -> Constant:
        """A constant of so many bits, where it lies."""
        label = self._constants.label(bits, width // 8)
        return Constant(f"{_PTR[width // 8]} ptr [rip + .L{label}]", label)

    def listed(self, lanes: Sequence[int], type_: Type) -> list[Constant]:
        """A constant with a number for each lane, part by part."""
        each = len(lanes) // type_.parts
        places = []
        for n in range(type_.parts):
            whole = sum(
                (x & (1 << type_.bits) - 1) << type_.bits * i
                for i, x in enumerate(lanes[n * each : (n + 1) * each])
            )
            places.append(self.in_memory(whole, _WIDE[type_.names]))
        return places

    # Masks

    def masks(self, name: str, parts: int, type_: Type) -> list[Value]:
        """Those of so many parts of a vector."""
        if name[0] != "%":
            return [self.made(MASK, *self._bringing(name, type_))] * parts
        found = self.packed(self.values(name), parts, type_)
        lanes, each = type_.lanes // parts, parts // len(found)
        return [
            self.made(MASK, f"kshiftrq {{}}, {{}}, {n * lanes}", K, one) if n else one
            for one in found
            for n in range(each)
        ]

    def packed(self, found: Sequence[Value], parts: int, type_: Type) -> Sequence[Value]:
        """No more masks than so many."""
        lanes = type_.lanes // len(found)
        while len(found) > parts:
            if lanes not in _UNPACKED:
                raise Unknown(type_.text)
            text = f"kunpck{_UNPACKED[lanes]} {{}}, {{}}, {{}}"
            pairs = zip(found[::2], found[1::2], strict=True)
            found = [self.made(MASK, text, K, high, low) for low, high in pairs]
            lanes *= 2
        return found

    # Bits

    def compare(self, name: str, jump: str, x: Value, y: Operand) -> None:
        """A bit; it stays in the flags where the next line asks for it."""
        if self.following.startswith(f"  br i1 {name},") and name not in self.met:
            self._flags[name] = jump, x, y
            self.change(_COMPARE, x, y)
        else:
            self.give(name, [self._bit(jump, x, y)])

    def _bit(self, jump: str, x: Value, y: Operand) -> Value:
        self.change(_COMPARE, x, y)
        return self.made(GENERAL, f"set{jump} {{}}", R8)

    # Blocks

    def begin(self, label: str) -> None:
        """The lines from here on stand under a label."""
        self._add(Label(label))
        self._block = label

    def jump(self, condition: str, first: str, second: str) -> None:
        """Where the bit of a condition is set to the first label, else to the second."""
        jump = ""
        if condition:
            if condition[0] != "%":
                raise Unknown(condition)
            if condition in self._flags and self.lines[-1] == _COMPARE:
                jump = self._flags[condition][0]
            else:
                self.change("test {0}, {0}", self.one(condition, R8))
                jump = "ne"
        self._add(Jump(jump, self._block, first, second))

    def call(
        self, name: str, given: Sequence[Held], above: Sequence[int], results: Sequence[Type]
    ) -> list[Value]:
        """What a function gives: parts, in the order of the types."""
        values: list[Value] = []
        held: list[Held] = []
        place = len(self.lines)
        for number in (*(each.number for each in given), *above):
            self.ends[number] = place
        self.calls.append(place)
        self._add(Call(name, given, above, held))
        for n, type_ in enumerate(results):
            values.append(self.new(type_))
            held.append(Held(type_.kind, n, values[-1][0]))
        self.handed += held
        vectors, masks, general = self._spoiling.get(name[1:], FREE)
        for each in (*given, *held):
            if each.kind == VECTOR:
                vectors |= 1 << each.register
            else:
                general |= 1 << each.register
        self.spoiled.append((vectors, masks, general))
        self.is_aligned |= name[1:] not in self._spoiling
        return values

    def leave(self, results: Sequence[Held] = ()) -> None:
        for each in results:
            self.ends[each.number] = len(self.lines)
        self._add(Leave(results))

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        self.operands.append(())

    def meet(self, name: str, type_: Type, ways: Mapping[str, str]) -> None:
        """A name that stands for another value for each block that is come from. It stands at the head of a block."""
        values = [self.new(type_) for _ in range(type_.parts)]
        self.give(name, values)
        self.carried.add(name)
        self.meetings.setdefault(self._block, []).extend(
            Meeting(number, part, type_, ways) for part, (number, _) in enumerate(values)
        )

    def coming(self, meeting: Meeting, block: str) -> int | None:
        """The value that meets another for who comes from a block; None for a constant."""
        name = meeting.ways[block]
        if name[0] != "%":
            return None
        found = self._values.get(name) or self._found.get((block, name))
        if found is None or len(found) != meeting.type.parts:
            raise Unknown(name)
        return found[meeting.part][0]

    def entering(self, meeting: Meeting, block: str) -> tuple[str, Names, *tuple[str, ...]]:
        """What brings the constant of a block to the meeting's register, as `_bringing`."""
        return self._bringing(meeting.ways[block], meeting.type)


COPY_OF_VECTOR, COPY_OF_GENERAL = "vmovaps {}, {}", "mov {}, {}"
"""What is left out where both are one register."""
CLEARING = "mov {0}, {1}"
"""Of 32 bits, where those above become 0: what is needed though both are one register."""
_COMPARE = "cmp {}, {}"
ZERO = "vxorps {0}, {0}, {0}"
_ALL, _NONE = "kxnorq {0}, {0}, {0}", "kxorq {0}, {0}, {0}"
_WIDE = {ZMM: 512, YMM: 256, XMM: 128}
_PTR = {64: "zmmword", 32: "ymmword", 16: "xmmword", 8: "qword", 4: "dword"}
_UNPACKED = {8: "bw", 16: "wd", 32: "dq"}


def is_near(number: int) -> bool:
    """Whether instructions have room for an integer."""
    return -(1 << 31) <= number < 1 << 31


def is_set(text: str) -> bool:
    """Of a constant bit, or of one in all lanes."""
    return text.removesuffix(")").rpartition(" ")[2] in ("1", "true", "-1")


Rule: TypeAlias = "Callable[[Selection, Sequence[str]], None]"
"""Selects what a line with these names and numbers does."""

Maker: TypeAlias = "Callable[[str, list[Type]], Rule]"
"""Gives the rule of a form that names these types; raises Unknown where there is none."""


def of_two(text: str, type_: Type, *, commutes: bool) -> Rule:
    """Of vectors or floats; the second may be in memory."""
    names = type_.names

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        if commutes and x[0] != "%":
            x, y = y, x
        firsts, seconds = s.registers(x, type_), s.sources(y, type_)
        s.give(to, [s.made(VECTOR, text, names, *pair) for pair in zip(firsts, seconds, strict=True)])

    return rule
