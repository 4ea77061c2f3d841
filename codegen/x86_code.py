"""A function's machine code: instructions one after the other, and jumps between them as short as they may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from symgraph.codegen.x86_encoding import Kind, encoder
from symgraph.codegen.x86_instructions import JUMPS
from symgraph.codegen.x86_values import FREE, Constant, Operand, Spoiled


class Code:
    """What was written so far, piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._jumps: list[tuple[int, str, str]] = []
        """Pieces that are jumps, on what condition, and to which label."""
        self._labels: dict[str, int] = {}
        """The piece that follows each."""
        self._reading: list[tuple[int, int, int | str]] = []
        """Pieces that read a constant, the place of its distance in them, and its label; a function's is its name."""
        self._calls: list[tuple[int, str]] = []
        """Pieces that call, and whom."""
        self._outside: list[tuple[int, str]] = []
        """Pieces with addresses of what is elsewhere in the process."""

    def add(self, text: str, operands: Sequence[Operand], of: Sequence[int]) -> None:
        """An instruction, with the register of each value. Raises IndexError for one that the processor lacks."""
        kinds: list[Kind] = [x[1] if type(x) is tuple else type(x) for x in operands]
        encode, constant = encoder(text, *kinds)
        self._pieces.append(encode(operands, of))
        if constant is not None:
            read = operands[constant.operand]
            assert isinstance(read, Constant)
            self._reading.append((len(self._pieces) - 1, constant.distance, read.label))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._pieces)

    def call(self, name: str) -> None:
        """Of another function of the image."""
        self._pieces.append(b"\xe8" + bytes(4))
        self._calls.append((len(self._pieces) - 1, name))

    def outside(self, name: str) -> None:
        """Its address comes to the register in which a function is called."""
        self._pieces.append(_BRING + bytes(8))
        self._outside.append((len(self._pieces) - 1, name))

    def jump(self, condition: str, label: str) -> None:
        """Where a condition holds, or always if there is none."""
        self._jumps.append((len(self._pieces), condition, label))
        self._pieces.append(_NEAR)

    def finished(self, spoiled: Spoiled = FREE) -> Finished:
        """All of it: jumps are made longer until each one reaches its label."""
        pieces, labels = self._pieces, self._labels
        is_growing = True
        while is_growing:
            is_growing = False
            begins = [0, *accumulate(map(len, pieces))]
            for at, condition, label in self._jumps:
                if len(pieces[at]) == len(_NEAR):
                    distance = begins[labels[label]] - begins[at + 1]
                    if not -128 <= distance < 128:
                        pieces[at] = bytes(6 if condition else 5)
                        is_growing = True
        for at, condition, label in self._jumps:
            pieces[at] = _jump(condition, begins[labels[label]] - begins[at + 1], len(pieces[at]))
        reading = [(begins[at] + distance, begins[at + 1], label) for at, distance, label in self._reading]
        calling = [(begins[at + 1], name) for at, name in self._calls]
        outside = [(begins[at] + len(_BRING), name) for at, name in self._outside]
        return Finished(b"".join(pieces), reading, calling, outside, spoiled=spoiled)


_NEAR = bytes(2)
_BRING = b"\x49\xbb"
"""``movabs r11``"""


def _jump(condition: str, distance: int, size: int) -> bytes:
    if size == len(_NEAR):
        return bytes([0x70 | JUMPS[condition] if condition else 0xEB, distance & 255])
    opcode = bytes([0x0F, 0x80 | JUMPS[condition]]) if condition else b"\xe9"
    return opcode + distance.to_bytes(4, "little", signed=True)


class Finished(NamedTuple):
    """A function whose code may lie anywhere."""

    content: bytes
    reading: Sequence[tuple[int, int, int | str]]
    """Where 4 bytes say how far a constant or a function is, from where they count, and its label or name."""
    calling: Sequence[tuple[int, str]] = ()
    """The ends of 4 bytes that say how far a function is from there, and its name."""
    outside: Sequence[tuple[int, str]] = ()
    """Where 8 bytes are the address of something else of the process, and its name."""
    is_whole: bool = False
    """Whether what it reads stands after it, and the first of it at a multiple of 64 bytes if the function does."""
    spoiled: Spoiled = FREE
    """What it changes."""

    @property
    def needed(self) -> set[str]:
        """Functions of the image that this one calls, or has the addresses of."""
        return {name for _, name in self.calling} | {
            name for *_, name in self.reading if isinstance(name, str)
        }


class Entry(NamedTuple):
    """A function's name, and whether others than those of its image may call it."""

    name: str
    is_public: bool = True


class Image(NamedTuple):
    """Functions and the constants that they read, one after the other. It may lie at any multiple of 64 bytes."""

    content: bytes
    begins: Mapping[str, int]
    """Of public functions, which come first, by their names."""
    outside: Sequence[tuple[int, str]] = ()
    """Where 8 bytes are the address of something else of the process, and its name."""


def image(functions: Mapping[Entry, Finished], constants: Sequence[bytes]) -> Image:
    """``constants`` by their labels: powers of two of bytes."""
    content, begins = bytearray(), dict[str, int]()
    ordered = sorted(functions.items(), key=lambda item: not item[0].is_public)
    for entry, function in ordered:
        content += _REST * (-len(content) % (64 if function.is_whole else 16))
        begins[entry.name] = len(content)
        content += function.content
    places = dict[int, int]()
    if constants:
        content += _REST * (-len(content) % 64)
    for n in sorted(range(len(constants)), key=lambda n: -len(constants[n])):
        places[n] = len(content)
        content += constants[n]
    for entry, function in ordered:
        begin = begins[entry.name]
        for at, end, label in function.reading:
            to = begins[label] if isinstance(label, str) else places[label]
            distance = to - begin - end
            content[begin + at : begin + at + 4] = distance.to_bytes(4, "little", signed=True)
        for end, name in function.calling:
            distance = begins[name] - begin - end
            content[begin + end - 4 : begin + end] = distance.to_bytes(4, "little", signed=True)
    public = {entry.name: begins[entry.name] for entry, _ in ordered if entry.is_public}
    outside = [(begins[entry.name] + at, name) for entry, own in ordered for at, name in own.outside]
    return Image(bytes(content), public, outside)


_REST = b"\xcc"
"""What nobody runs: an instruction that would stop the process."""
