"""The first code of a function, made without LLVM's selection of instructions: its text becomes assembly, which LLVM's
assembler reads.

At the lowest level of LLVM's code generation a vector instruction takes 30 microseconds, most of a first result. Here a
line of text is looked up by its form, values get registers in one scan, and the instructions are printed. What has a
line that is not known here is LLVM's to compile, and so is the better code that follows soon. The same bits come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from symgraph.codegen.machine import Machine
from symgraph.codegen.x86_registers import SCRATCH, STACK, places
from symgraph.codegen.x86_rules import select
from symgraph.codegen.x86_selection import (
    COPY_OF_GENERAL,
    COPY_OF_VECTOR,
    Constants,
    Jump,
    Label,
    Selection,
)
from symgraph.codegen.x86_values import (
    ARGUMENTS,
    GENERAL,
    MASK,
    R64,
    VECTOR,
    ZMM,
    K,
    Operand,
    Unknown,
    type_of,
)

_HEAD = re.compile(r"define void @(\w+)\(ptr (%\w+), i64 (%\w+), i64 (%\w+)\) #0 \{")
_HEADER = (".text", ".intel_syntax noprefix")
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


def assembled(module: str) -> str:
    """The text of a module in which all functions that are known here are assembly."""
    before, *pieces = _DEFINED.split(module)
    constants, lines, rest = Constants(), list[str](), [before]
    for n, piece in enumerate(pieces):
        text, _, after = piece.partition("\n}\n")
        try:
            lines += _function(text, constants, f".L{n}_")
            rest.append(after)
        except Unknown:
            rest.append(piece)
    if not lines:
        return module
    assembly = "\n".join(f'module asm "{line}"' for line in (*_HEADER, *lines, *constants.lines()))
    return f"{''.join(rest)}\n{assembly}\n"


def _function(text: str, constants: Constants, prefix: str) -> list[str]:
    """Raises Unknown for one that has a line which is not known, or of which LLVM makes code as soon."""
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
    printer = _Printer(selection, prefix)
    return [f".globl {name}", f".type {name},@function", ".p2align 4", f"{name}:", *printer.lines()]


class _Printer:
    """The text of a function whose values have places."""

    def __init__(self, selection: Selection, prefix: str) -> None:
        self._selection, self._prefix = selection, prefix
        self._places = places(selection)
        self._of = self._places.of
        self._extra = 0

    def lines(self) -> Iterator[str]:
        of, lines = self._of, self._selection.lines
        yield from self._enter()
        for place, (line, operands) in enumerate(zip(lines, self._selection.operands, strict=True)):
            if type(line) is str:
                try:
                    texts = [x if isinstance(x, str) else x[1][of[x[0]]] for x in operands]
                except IndexError:  # it is in the stack
                    yield from self._through_scratch(place, line, operands)
                    continue
                if line not in _COPIES or texts[0] != texts[1]:
                    yield line.format(*texts)
            elif type(line) is Label:
                yield f"{self._prefix}{line.name}:"
            elif type(line) is Jump:
                following = lines[place + 1] if place + 1 < len(lines) else None
                yield from self._jump(line, following.name if type(following) is Label else "")
            else:
                yield from self._leave()

    # The frame

    def _enter(self) -> Iterator[str]:
        yield from (f"push {R64[each]}" for each in self._places.kept)
        if self._places.stack:
            yield f"sub rsp, {64 * self._places.stack}"
        given = zip(self._of, ARGUMENTS, strict=False)  # the first values
        yield from self._moved(GENERAL, {to: source for to, source in given if to != source})

    def _leave(self) -> Iterator[str]:
        if self._places.stack:
            yield f"add rsp, {64 * self._places.stack}"
        yield from (f"pop {R64[each]}" for each in reversed(self._places.kept))
        yield "vzeroupper"
        yield "ret"

    def _slot(self, place: int) -> str:
        return f"[rsp + {64 * (place - STACK)}]"

    def _through_scratch(self, place: int, text: str, operands: Sequence[Operand]) -> Iterator[str]:
        """An instruction of which operands lie in the stack: they go to registers before, and the first one back."""
        of, kinds, begins = self._of, self._selection.kinds, self._selection.begins
        free = {kind: iter(registers) for kind, registers in SCRATCH.items()}
        held = dict[int, int]()
        texts, after = list[str](), list[str]()
        for n, operand in enumerate(operands):
            if isinstance(operand, str):
                texts.append(operand)
                continue
            number, names = operand
            register = of[number]
            if register >= STACK:
                move, whole = _HOW[kinds[number]]
                slot = self._slot(register)
                if number not in held:
                    held[number] = next(free[kinds[number]])
                    if n or begins[number] != place:
                        yield f"{move} {whole[held[number]]}, {slot}"
                register = held[number]
                if not n:
                    after.append(f"{move} {slot}, {whole[register]}")
            texts.append(names[register])
        yield text.format(*texts)
        yield from after

    # Edges between blocks

    def _jump(self, jump: Jump, following: str) -> Iterator[str]:
        """To one of two blocks, after what their values are is where they expect it."""
        condition, first, second = jump.condition, jump.first, jump.second
        if not condition:
            yield from self._goes(self._copies(jump.block, first), first, following)
            return
        if first == following:
            condition, first, second = _inverse(condition), second, first
        to_first, to_second = (list(self._copies(jump.block, label)) for label in (first, second))
        if to_first:
            self._extra += 1
            past = f"{self._prefix}_{self._extra}"
            yield f"j{_inverse(condition)} {past}"
            yield from self._goes(to_first, first, "")
            yield f"{past}:"
        else:
            yield f"j{condition} {self._prefix}{first}"
        yield from self._goes(to_second, second, following)

    def _goes(self, copies: Iterable[str], label: str, following: str) -> Iterator[str]:
        yield from copies
        if label != following:
            yield f"jmp {self._prefix}{label}"

    def _copies(self, block: str, label: str) -> Iterator[str]:
        """What one block leaves, at the places of what the next begins with: all at once."""
        of, selection = self._of, self._selection
        moves = [dict[int, int](), dict[int, int](), dict[int, int]()]
        constants = []
        for meeting in selection.meetings.get(label, ()):
            source = selection.coming(meeting, block)
            if source is None:
                constants.append(meeting)
            elif of[source] != of[meeting.number]:
                moves[meeting.type.kind][of[meeting.number]] = of[source]
        for kind, own in enumerate(moves):
            yield from self._moved(kind, own)
        for meeting in constants:
            place, kind = of[meeting.number], meeting.type.kind
            register = place if place < STACK else SCRATCH[kind][0]
            yield selection.set(register, meeting, block)
            if place >= STACK:
                yield from self._move(kind, place, register)

    def _moved(self, kind: int, moves: dict[int, int]) -> Iterator[str]:
        """Each place gets what another holds; those that wait for each other are exchanged."""
        while moves:
            needed = set(moves.values())
            free = next((place for place in moves if place not in needed), None)
            if free is not None:
                yield from self._move(kind, free, moves.pop(free))
                continue
            one, other = next(iter(moves.items()))
            yield from self._exchange(kind, one, other)
            del moves[one]  # and what was there is at the other place now
            moves = {to: other if source == one else source for to, source in moves.items()}
            moves = {to: source for to, source in moves.items() if to != source}

    def _move(self, kind: int, to: int, source: int) -> Iterator[str]:
        move, whole = _HOW[kind]
        if to < STACK and source < STACK:
            yield f"{_MOVE[kind]} {whole[to]}, {whole[source]}"
        elif to < STACK:
            yield f"{move} {whole[to]}, {self._slot(source)}"
        elif source < STACK:
            yield f"{move} {self._slot(to)}, {whole[source]}"
        else:
            between = SCRATCH[kind][0]
            yield from self._move(kind, between, source)
            yield from self._move(kind, to, between)

    def _exchange(self, kind: int, one: int, other: int) -> Iterator[str]:
        if one < STACK and other < STACK:
            a, b = (_HOW[kind][1][place] for place in (one, other))
            yield from (_SWAP[kind].format(*pair) for pair in ((a, b), (b, a), (a, b)))
            return
        first, second = SCRATCH[kind][:2]
        yield from self._move(kind, first, one)
        yield from self._move(kind, second, other)
        yield from self._move(kind, one, second)
        yield from self._move(kind, other, first)


_COPIES = frozenset((COPY_OF_VECTOR, COPY_OF_GENERAL))


def _inverse(condition: str) -> str:
    return condition[1:] if condition[0] == "n" else f"n{condition}"
