"""First code that comes with the package: of products of matrices, of functions that processors do not know, and of
loops that go through arrays in order.

It is the same in every program, and to make it takes longer than all else of a small one. So it was made before: the
file `x86_ready.txt` has what `x86.py` makes of their text, and ``pytest --update tests/codegen/test_x86_ready.py``
writes it again. The better code that takes its place is compiled as any other.

A line of the file's first paragraph has a kind: a product by its dtype and more, a function of registers as ``tanh
v16f32``, or a loop as ``walk v16f32 2``, of two arrays. Then it has the name that follows from its text, and its parts,
each as what it does, and where its lines begin and end after that paragraph. The first of these says which registers
it changes, vectors, masks and general ones, a bit for each; and which other parts it calls: where the 4 bytes end that
say how far one is, and what it does. The rest is the code and what it reads in Base64 (RFC 4648).
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Sequence
from functools import cache as once
from typing import NamedTuple

from symgraph.codegen.beside import text_beside
from symgraph.codegen.machine import Machine
from symgraph.codegen.x86_values import Spoiled


@once
def _file() -> tuple[str, str]:
    """The first paragraph, and the rest: read for the first function of a process, on machines that have use for it."""
    kinds, _, parts = f"\n{text_beside(__file__, 'x86_ready.txt')}".partition("\n\n")
    return kinds, parts


class Ready(NamedTuple):
    """A part of a product, of a function, or of a loop."""

    what: str
    """It does; nothing for the one that is called from outside."""
    content: bytes
    """The code, and constants after it."""
    calling: Sequence[tuple[int, str]]
    """The ends of 4 bytes that say how far a part is from there, and what it does."""
    spoiled: Spoiled
    """What it changes."""


@once
def name_of(kind: str, machine: Machine) -> str | None:
    """The name of the code of a kind; None where there is none for this machine."""
    if not (machine.is_assembled and machine.fma and machine.bytes == BYTES):
        return None
    return _between(f"\n{kind}: ", " ") or None


BYTES = 64
"""Of the vectors in this code."""


def mark(name: str, code: str = "") -> str:
    """The line that a module has in the place of a function's text; its code may be ready under another name."""
    return f"; {name} is ready as {code or name}"


def marked(module: str) -> dict[str, str]:
    """The names for which there are such lines in a text, and those of their code."""
    return dict(_MARK.findall(module)) if " is ready as " in module else {}


_MARK = re.compile(r"^; ([\w.]+) is ready as ([\w.]+)$", re.MULTILINE)


def functions(name: str) -> Iterator[Ready]:
    """The one of this name, and others that it calls."""
    for each in _between(f" {name} ", "\n").split(" "):
        what, _, place = each.partition("=")
        begin, _, end = place.partition("-")
        line, _, content = _file()[1][int(begin) : int(end)].partition("\n")
        vectors, masks, general, *calls = line.split()
        pairs = (call.split(">") for call in calls)
        calling = [(int(at), callee) for at, callee in pairs]
        yield Ready(what, a2b_base64(content), calling, (int(vectors, 16), int(masks, 16), int(general, 16)))


def _between(before: str, after: str) -> str:
    """What stands there in the list of kinds; nothing if what is ``before`` it does not."""
    return _file()[0].partition(before)[2].partition(after)[0]


def as_text(kinds: Sequence[tuple[str, str, Sequence[Ready]]]) -> str:
    """The file for kinds, their names and parts; equal parts are there once."""
    places, parts, lines = dict[str, str](), "", list[str]()
    for kind, name, own in kinds:
        found = []
        for each in own:
            written = _written(each)
            if written not in places:
                places[written] = f"{len(parts)}-{len(parts) + len(written)}"
                parts += f"{written}\n"
            found.append(f"{each.what}={places[written]}")
        lines.append(f"{kind}: {name} {' '.join(found)}")
    return "\n".join([*lines, "", parts])


def _written(part: Ready) -> str:
    line = " ".join([*(f"{x:x}" for x in part.spoiled), *(f"{end}>{what}" for end, what in part.calling)])
    code = b2a_base64(part.content, newline=False).decode()
    return "\n".join([line, *(code[at : at + 100] for at in range(0, len(code), 100))])
