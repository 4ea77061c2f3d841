"""The first code of a function, made without LLVM.

At the lowest level of LLVM's code generation a vector instruction takes 30 microseconds, most of a first result. Here a
line of text is looked up by its form, values get registers in one scan, and the instructions are written as bytes. What
has a line that is not known here is LLVM's to compile, and so is the better code that follows soon. The same bits come
out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from symgraph.codegen.machine import Machine
from symgraph.codegen.x86_code import Code, Finished, Image, image
from symgraph.codegen.x86_object import as_assembly, as_object
from symgraph.codegen.x86_registers import SCRATCH, STACK, places
from symgraph.codegen.x86_rules import select
from symgraph.codegen.x86_selection import (
    COPY_OF_GENERAL,
    COPY_OF_VECTOR,
    Constants,
    Jump,
    Label,
    Meeting,
    Selection,
)
from symgraph.codegen.x86_values import (
    ARGUMENTS,
    GENERAL,
    MASK,
    R64,
    RSP,
    VECTOR,
    ZMM,
    K,
    Operand,
    Unknown,
    type_of,
)

_HEAD = re.compile(r"define void @(\w+)\(ptr (%\w+), i64 (%\w+), i64 (%\w+)\) #0 \{")
_DENSE = 0.15
"""Where less of a text is about vectors, LLVM needs no longer for it: what is single, it selects quickly."""
_DEFINED = re.compile(r"^(?=define )", re.MULTILINE)
_HOW = {VECTOR: ("vmovups", ZMM), MASK: ("kmovq", K), GENERAL: ("mov", R64)}
"""How a register of each kind is copied to and from the stack, as a whole."""
_MOVE = {VECTOR: "vmovaps", MASK: "kmovq", GENERAL: "mov"}
_SWAP = {VECTOR: "vpxorq {0}, {0}, {1}", MASK: "kxorq {0}, {0}, {1}", GENERAL: "xor {0}, {1}"}
"""Thrice, in turns, they exchange two registers."""


def is_known(machine: Machine) -> bool:
    """Whether functions for a machine may be made here: it has masks, shifts by registers, and Linux's calls."""
    is_x86 = machine.triple.startswith("x86_64") and "linux" in machine.triple
    return is_x86 and machine.masks and "+bmi2" in machine.features


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
    before, *pieces = _DEFINED.split(module)
    constants, functions, rest = Constants(), dict[str, Finished](), [before]
    for piece in pieces:
        text, _, after = piece.partition("\n}\n")
        try:
            name, function = _function(text, constants)
        except Unknown:
            rest.append(piece)
        else:
            functions[name] = function
            rest.append(after)
    if not functions:
        return None
    made = image(functions, constants.content)
    return Assembled(made, "".join(rest), len(functions) == len(pieces))


def _function(text: str, constants: Constants) -> tuple[str, Finished]:
    """Its name and its code. Raises Unknown for one that has a line which is not known, or of which LLVM makes code as
    soon."""
    head, *lines = text.split("\n")
    found = _HEAD.fullmatch(head)
    if found is None or ";" in text or sum("<" in line for line in lines) < _DENSE * len(lines):
        raise Unknown(head)
    name, *given = found.groups()
    selection = Selection(constants)
    for argument in given:
        selection.give(argument, [selection.new(type_of("i64"))])
    for line in lines:
        if line[0] == " ":
            select(selection, line)
        elif line != "entry:":
            selection.begin(line[:-1])
    return name, _Writer(selection).code()


class _Writer:
    """The code of a function whose values have places."""

    def __init__(self, selection: Selection) -> None:
        self._selection, self._code = selection, Code()
        self._places = places(selection)
        self._of = self._places.of
        self._labels = count()

    def code(self) -> Finished:
        of, lines, add = self._of, self._selection.lines, self._code.add
        self._enter()
        for place, (line, operands) in enumerate(zip(lines, self._selection.operands, strict=True)):
            if type(line) is str:
                if line in _COPIES and self._is_there(*operands):
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
            else:
                self._leave()
        return self._code.finished()

    def _is_there(self, to: Operand, source: Operand) -> bool:
        """Whether a copy is in the register of what it is a copy of."""
        return isinstance(to, tuple) and isinstance(source, tuple) and self._of[to[0]] == self._of[source[0]]

    def _add(self, text: str, *operands: Operand) -> None:
        """An instruction of which the registers are known."""
        self._code.add(text, operands, _ITSELF)

    # The frame

    def _enter(self) -> None:
        for each in self._places.kept:
            self._add("push {}", (each, R64))
        if self._places.stack:
            self._add("sub {}, {}", (RSP, R64), str(64 * self._places.stack))
        given = zip(self._of, ARGUMENTS, strict=False)  # the first values
        self._move_all(GENERAL, {to: source for to, source in given if to != source})

    def _leave(self) -> None:
        if self._places.stack:
            self._add("add {}, {}", (RSP, R64), str(64 * self._places.stack))
        for each in reversed(self._places.kept):
            self._add("pop {}", (each, R64))
        self._add("vzeroupper")
        self._add("ret")

    def _load(self, kind: int, to: int, place: int) -> None:
        move, whole = _HOW[kind]
        self._add(f"{move} {{}}, [{{}} + {{}}]", (to, whole), (RSP, R64), str(64 * (place - STACK)))

    def _store(self, kind: int, place: int, source: int) -> None:
        move, whole = _HOW[kind]
        self._add(f"{move} [{{}} + {{}}], {{}}", (RSP, R64), str(64 * (place - STACK)), (source, whole))

    def _through_scratch(self, place: int, text: str, operands: Sequence[Operand]) -> None:
        """An instruction of which operands lie in the stack: they go to registers before, and the first one back."""
        of, kinds, begins = self._of, self._selection.kinds, self._selection.begins
        free = {kind: iter(registers) for kind, registers in SCRATCH.items()}
        held = dict[int, int]()
        known, back = list[Operand](), None
        for n, operand in enumerate(operands):
            if isinstance(operand, str):
                known.append(operand)
                continue
            number, names = operand
            register, kind = of[number], kinds[number]
            if register >= STACK:
                if number not in held:
                    held[number] = next(free[kind])
                    if n or begins[number] != place:
                        self._load(kind, held[number], register)
                if not n:
                    back = kind, register, held[number]
                register = held[number]
            known.append((register, names))
        self._add(text, *known)
        if back is not None:
            self._store(*back)

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
        moves: dict[int, dict[int, int]] = {}
        for meeting, source in changes:
            if source >= 0:
                moves.setdefault(meeting.type.kind, {})[self._of[meeting.number]] = source
        for kind, own in moves.items():
            self._move_all(kind, own)
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
            self._add(f"{_MOVE[kind]} {{}}, {{}}", (to, _HOW[kind][1]), (source, _HOW[kind][1]))
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
                self._add(_SWAP[kind], (to, _HOW[kind][1]), (source, _HOW[kind][1]))
            return
        first, second = SCRATCH[kind][:2]
        self._move(kind, first, one)
        self._move(kind, second, other)
        self._move(kind, one, second)
        self._move(kind, other, first)


_COPIES = frozenset((COPY_OF_VECTOR, COPY_OF_GENERAL))
_ITSELF = range(STACK)
"""The register of a value that is called by it."""


def _inverse(condition: str) -> str:
    return condition[1:] if condition[0] == "n" else f"n{condition}"
