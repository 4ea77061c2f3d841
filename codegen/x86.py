"""The first code of a function, made without LLVM.

At the lowest level of LLVM's code generation a vector instruction takes 30 microseconds, most of a first result. Here a
line of text is looked up by its form, values get registers in one scan, and the instructions are written as bytes. What
has a line that is not known here is LLVM's to compile, and so is the better code that follows soon. The same bits come
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from symgraph.codegen.x86_calls import enter
from symgraph.codegen.x86_code import Code, Entry, Finished, Image, image
from symgraph.codegen.x86_constants import Constants
from symgraph.codegen.x86_lines import Call, Held, Jump, Label, Leave, Meeting
from symgraph.codegen.x86_object import as_assembly, as_object
from symgraph.codegen.x86_ready import functions, marked
from symgraph.codegen.x86_registers import SCRATCH, STACK, places, spoiled
from symgraph.codegen.x86_rules import select
from symgraph.codegen.x86_selection import COPY_OF_GENERAL, COPY_OF_VECTOR, Selection
from symgraph.codegen.x86_values import (
    CALLED,
    FREE,
    GENERAL,
    MASK,
    R64,
    RSP,
    VECTOR,
    ZMM,
    K,
    Operand,
    Spoiled,
    Unknown,
    type_of,
)

_HOW = {
    kind: (f"{move} {{}}, [{{}} + {{}}]", f"{move} [{{}} + {{}}], {{}}", whole)
    for kind, move, whole in ((VECTOR, "vmovups", ZMM), (MASK, "kmovq", K), (GENERAL, "mov", R64))
}
"""How a register of each kind comes from the stack, how it goes there, and how it is called as a whole."""
_MOVE = {VECTOR: "vmovaps", MASK: "kmovq", GENERAL: "mov"}
_SWAP = {VECTOR: "vpxorq {0}, {0}, {1}", MASK: "kxorq {0}, {0}, {1}", GENERAL: "xor {0}, {1}"}
"""Thrice, in turns, they exchange two registers."""


class Assembled(NamedTuple):
    """A module of which functions are machine code."""

    image: Image
    rest: str
    """The text without them."""
    is_whole: bool
    """Whether no function is left there."""

    @property
    def object_file(self) -> bytes:
        """Of a whole module."""
        return as_object(self.image)

    @property
    def text(self) -> str:
        """The module for LLVM, which has to compile the rest."""
        return f"{self.rest}\n{as_assembly(self.image)}\n"


def assembled(module: str) -> Assembled | None:
    """What is known here of the text of a module; None for nothing."""
    before, *pieces = f"\n{module}".split("\ndefine ")
    constants, known, rest = Constants(module), dict[str, tuple[Entry, Finished]](), [before]
    alike, unknown = dict[tuple[str, str], tuple[Entry, Finished]](), dict[str, str]()
    ready = {name: each for one in marked(module).items() for name, each in _ready(*one).items()}
    spoiling = {name: code.spoiled for name, (_, code) in ready.items()}
    names = []
    for piece in pieces:
        text = piece.partition("\n}\n")[0]
        head, _, inside = text.partition("(")
        kind, _, name = head.partition("@")
        names.append(name)
        try:
            if (found := alike.get((kind, inside))) is None:
                found = alike[kind, inside] = _function(text, constants, spoiling)
            known[name] = found[0]._replace(name=name), found[1]
        except Unknown:
            unknown[name] = text
    known |= ready
    _separate(known, unknown)
    if not known:
        return None
    for name, piece in zip(names, pieces, strict=True):
        rest.append(piece.partition("\n}\n")[2] if name in known else f"define {piece}")
    is_whole = all(name in known for name in names)
    return Assembled(image(dict(known.values()), constants.content), "\n".join(rest), is_whole)


def _ready(name: str, code: str) -> dict[str, tuple[Entry, Finished]]:
    """Functions whose code comes with the package; products and loops are called from outside."""
    found = {}
    for part in functions(code):
        is_public = not part.what and not name.startswith("symgraph.")
        entry = Entry(f"{name}_{part.what}" if part.what else name, is_public)
        calls = [(end, f"{name}_{each}") for end, each in part.calling]
        found[entry.name] = entry, Finished(part.content, (), calls, is_whole=True, spoiled=part.spoiled)
    return found


def _separate(known: dict[str, tuple[Entry, Finished]], unknown: Mapping[str, str]) -> None:
    """Functions that call others that are not known, or are called by such, are no longer known; nor are those that
    call what is not of the module, where LLVM makes some: it is given bytes, in which no address can be put."""
    called = {name: code.needed for name, (_, code) in known.items()}
    called |= {name: {*re.findall(_NEEDED, text)} for name, text in unknown.items()}
    is_whole = not unknown and all(names <= called.keys() for names in called.values())
    if is_whole:
        return
    waiting = [
        name for name in called if name in unknown or called[name] - called.keys() or known[name][1].outside
    ]
    while waiting:
        last = waiting.pop()
        known.pop(last, None)
        waiting += [name for name in known if last in called[name] or name in called[last]]


_NEEDED = r" @(?!llvm\.)([\w.]+)"


def _function(text: str, constants: Constants, spoiling: Mapping[str, Spoiled]) -> tuple[Entry, Finished]:
    """How it is called and its code. Raises Unknown for one that has a line which is not known."""
    head, *lines = text.split("\n")
    if ";" in text:
        lines = [line.partition(";")[0].rstrip() for line in lines]
    selection = Selection(constants, spoiling)
    if "i1> [" in text or "phi i1 " in text:
        met = (
            (name, type_of(each[1]))
            for each in re.finditer(_MET, text)
            for name in re.findall(_NAME, each[2])
        )
        selection.met.update(met)
    entry = enter(selection, head)
    for line, selection.following in zip(lines, [*lines[1:], ""], strict=True):
        if line[:1] == " ":
            select(selection, line)
        elif line and line != "entry:":
            selection.begin(line[:-1])
    return entry, _Writer(selection, leaves_vectors=not entry.is_public).code()


_MET, _NAME = r"phi (<\d+ x i1>|i1) (.*)", r"%[^ ,]+(?=, )"
"""Bits and masks of which one comes to a block, of those of several."""


class _Writer:
    """The code of a function whose values have places."""

    def __init__(self, selection: Selection, *, leaves_vectors: bool) -> None:
        self._selection, self._code, self._leaves_vectors = selection, Code(), leaves_vectors
        self._places = places(selection)
        self._of = self._places.of
        self._labels = count()
        self._room = -(-selection.room // 16) * 16
        """Bytes from the top of the stack to the first place there."""
        self._frame = self._room + 64 * self._places.stack
        if selection.is_aligned and len(self._places.kept) % 2 == 0:
            self._frame += 8  # who is called expects the stack at a multiple of 16 bytes

    def code(self) -> Finished:
        of, lines, add = self._of, self._selection.lines, self._code.add
        self._enter()
        for place, (line, operands) in enumerate(zip(lines, self._selection.operands, strict=True)):
            if type(line) is str:
                if line in _COPIES and self._copy(*operands):
                    continue
                try:
                    add(line, operands, of)
                except IndexError:  # it is in the stack
                    self._through_scratch(place, line, operands)
            elif type(line) is Label:
                self._code.label(line.name)
            elif type(line) is Jump:
                following = lines[place + 1] if place + 1 < len(lines) else None
                self._jump(line, following.name if type(following) is Label else "")
            elif type(line) is Call:
                self._call(line)
            elif type(line) is Leave:
                self._leave(line.results)
        # Who is called from elsewhere changes whatever it may.
        return self._code.finished(spoiled(self._selection, of) if self._leaves_vectors else FREE)

    def _copy(self, to: Operand, source: Operand) -> bool:
        """Whether a copy is where it should be: it may be in the register of what it is a copy of, or in the stack."""
        if not isinstance(to, tuple) or not isinstance(source, tuple):
            return False
        first, second = self._of[to[0]], self._of[source[0]]
        if first >= STACK or second >= STACK:
            self._move(self._selection.kinds[to[0]], first, second)
        return first == second or first >= STACK or second >= STACK

    def _add(self, text: str, *operands: Operand) -> None:
        """An instruction of which the registers are known."""
        self._code.add(text, operands, _ITSELF)

    # The frame

    def _enter(self) -> None:
        for each in self._places.kept:
            self._add("push {}", (each, R64))
        if self._frame:
            self._add("sub {}, {}", (RSP, R64), str(self._frame))
        self._take(self._selection.given)
        for n, number in enumerate(self._selection.above, len(self._places.kept) + 1):
            place = self._of[number]
            register = place if place < STACK else SCRATCH[GENERAL][0]
            self._add("mov {}, [{} + {}]", (register, R64), (RSP, R64), str(self._frame + 8 * n))
            if place >= STACK:
                self._store(GENERAL, place, register)

    def _leave(self, results: Sequence[Held]) -> None:
        self._hand(results)
        if self._frame:
            self._add("add {}, {}", (RSP, R64), str(self._frame))
        for each in reversed(self._places.kept):
            self._add("pop {}", (each, R64))
        if not self._leaves_vectors:
            self._add("vzeroupper")
        self._add("ret")

    def _load(self, kind: int, to: int, place: int) -> None:
        load, _, whole = _HOW[kind]
        self._add(load, (to, whole), (RSP, R64), self._slot(place))

    def _store(self, kind: int, place: int, source: int) -> None:
        _, store, whole = _HOW[kind]
        self._add(store, (RSP, R64), self._slot(place), (source, whole))

    def _slot(self, place: int) -> str:
        return str(self._room + 64 * (place - STACK))

    # Calls

    def _call(self, call: Call) -> None:
        before = self._room
        if len(call.above) % 2:
            self._add("sub {}, {}", (RSP, R64), "8")
            self._room += 8
        for number in reversed(call.above):
            place = self._of[number]
            register = place if place < STACK else SCRATCH[GENERAL][0]
            if place >= STACK:
                self._load(GENERAL, register, place)
            self._add("push {}", (register, R64))
            self._room += 8
        self._hand(call.given)
        name = call.name[1:]
        if call.name[0] == "@" and name not in self._selection.outside:
            self._code.call(name)
        else:
            if call.name[0] == "@":
                self._code.outside(name)
            self._add("call {}", (CALLED, R64))
        if self._room > before:
            self._add("add {}, {}", (RSP, R64), str(self._room - before))
        self._room = before
        self._take(call.results)

    def _hand(self, values: Sequence[Held]) -> None:
        """Values come to the registers in which they are expected."""
        self._move_each((each.kind, each.register, self._of[each.number]) for each in values)

    def _take(self, values: Sequence[Held]) -> None:
        """Values come from there to their places."""
        self._move_each((each.kind, self._of[each.number], each.register) for each in values)

    def _move_each(self, moves: Iterable[tuple[int, int, int]]) -> None:
        by_kind: dict[int, dict[int, int]] = {}
        for kind, to, source in moves:
            if to != source:
                by_kind.setdefault(kind, {})[to] = source
        for kind, own in by_kind.items():
            self._move_all(kind, own)

    def _through_scratch(self, place: int, text: str, operands: Sequence[Operand]) -> None:
        """An instruction of which operands lie in the stack: they go to registers before, and the first one back."""
        of, kinds, begins = self._of, self._selection.kinds, self._selection.begins
        held = dict[int, int]()
        taken = [0, 0, 0]
        for n, operand in enumerate(operands):
            if type(operand) is not tuple or (home := of[operand[0]]) < STACK:
                continue
            number, kind = operand[0], kinds[operand[0]]
            held[number], of[number] = home, SCRATCH[kind][taken[kind]]
            taken[kind] += 1
            if n or begins[number] != place:
                self._load(kind, of[number], home)
        self._code.add(text, operands, of)
        is_read = text[text.index("{") - 1] == "[" or text.startswith(_READING)
        for number, home in held.items():
            if number == operands[0][0] and not is_read:
                self._store(kinds[number], home, of[number])
            of[number] = home

    # Edges between blocks

    def _jump(self, jump: Jump, following: str) -> None:
        """To one of two blocks, after what their values are is where they expect it."""
        condition, first, second = jump.condition, jump.first, jump.second
        if not condition:
            self._go(jump.block, first, following)
            return
        if first == following:
            condition, first, second = _inverse(condition), second, first
        changes = self._changes(jump.block, first)
        if changes:
            past = f"past {next(self._labels)}"
            self._code.jump(_inverse(condition), past)
            self._change(jump.block, changes)
            self._code.jump("", first)
            self._code.label(past)
        else:
            self._code.jump(condition, first)
        self._go(jump.block, second, following)

    def _go(self, block: str, label: str, following: str) -> None:
        self._change(block, self._changes(block, label))
        if label != following:
            self._code.jump("", label)

    def _changes(self, block: str, label: str) -> Sequence[tuple[Meeting, int]]:
        """What the next block begins with that is elsewhere where one leaves, and the place; -1 for a constant."""
        of, coming = self._of, self._selection.coming
        found = []
        for meeting in self._selection.meetings.get(label, ()):
            source = coming(meeting, block)
            if source is None or of[source] != of[meeting.number]:
                found.append((meeting, -1 if source is None else of[source]))
        return found

    def _change(self, block: str, changes: Sequence[tuple[Meeting, int]]) -> None:
        """All at once, and the constants of a block after that."""
        self._move_each(
            (meeting.type.kind, self._of[meeting.number], source)
            for meeting, source in changes
            if source >= 0
        )
        for meeting, source in changes:
            if source < 0:
                place, kind = self._of[meeting.number], meeting.type.kind
                register = place if place < STACK else SCRATCH[kind][0]
                text, names, *rest = self._selection.entering(meeting, block)
                self._add(text, (register, names), *rest)
                if place >= STACK:
                    self._store(kind, place, register)

    def _move_all(self, kind: int, moves: dict[int, int]) -> None:
        """Each place gets what another holds; those that wait for each other are exchanged."""
        while moves:
            needed = set(moves.values())
            free = next((place for place in moves if place not in needed), None)
            if free is not None:
                self._move(kind, free, moves.pop(free))
                continue
            one, other = next(iter(moves.items()))
            self._exchange(kind, one, other)
            del moves[one]  # and what was there is at the other place now
            moves = {to: other if source == one else source for to, source in moves.items()}
            moves = {to: source for to, source in moves.items() if to != source}

    def _move(self, kind: int, to: int, source: int) -> None:
        if to < STACK and source < STACK:
            self._add(f"{_MOVE[kind]} {{}}, {{}}", (to, _HOW[kind][2]), (source, _HOW[kind][2]))
        elif to < STACK:
            self._load(kind, to, source)
        elif source < STACK:
            self._store(kind, to, source)
        else:
            between = SCRATCH[kind][0]
            self._load(kind, between, source)
            self._store(kind, to, between)

    def _exchange(self, kind: int, one: int, other: int) -> None:
        if one < STACK and other < STACK:
            for to, source in ((one, other), (other, one), (one, other)):
                self._add(_SWAP[kind], (to, _HOW[kind][2]), (source, _HOW[kind][2]))
            return
        first, second = SCRATCH[kind][:2]
        self._move(kind, first, one)
        self._move(kind, second, other)
        self._move(kind, one, second)
        self._move(kind, other, first)


_READING = ("cmp", "test")
"""What changes not even its first operand."""
_COPIES = frozenset((COPY_OF_VECTOR, COPY_OF_GENERAL))
_ITSELF = range(STACK)
"""The register of a value that is called by it."""


def _inverse(condition: str) -> str:
    return condition[1:] if condition[0] == "n" else f"n{condition}"
