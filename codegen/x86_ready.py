"""First code of products of matrices, which comes with the package.

It is the same in every program, and to make it takes longer than all else of a small one. So it was made before: the
file `x86_ready.txt` has what `x86.py` makes of the text that is compiled soonest, and ``pytest --update
tests/codegen/test_x86_ready.py`` writes it again. The better code that takes its place is compiled as any other.

The first paragraph of the file has a line for each kind of product: the name that follows from its text, and its
functions, each as what it does and its number. Then there is a paragraph for each of these. It begins with what is to
be put into the code: distances of constants, as where they are written, from where they count, and bytes and bits of
the constant; and distances of functions, as where the 4 bytes end, and what is called. The rest is the code in Base64
(RFC 4648).
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Sequence
from functools import cache as once
from typing import NamedTuple

from symgraph.codegen.beside import text_beside
from symgraph.codegen.machine import Machine


class Ready(NamedTuple):
    """A function of a product."""

    what: str
    """It does; nothing for the one that others call."""
    content: bytes
    reading: Sequence[tuple[int, int, int, int]]
    """Where 4 bytes say how far a constant is, from where they count, and the constant: bits, and their bytes."""
    calling: Sequence[tuple[int, str]]
    """The ends of 4 bytes that say how far a function is from there, and what it does."""


def name_of(kind: str, machine: Machine) -> str | None:
    """The name of the function of a kind of product; None where its code is made for other machines."""
    if not (machine.is_assembled and machine.fma and machine.bytes == _BYTES):
        return None
    name, _ = _kinds()[kind]
    return name


_BYTES = 64
"""Of the vectors in this code."""


def mark(name: str) -> str:
    """What the text of a module has in the place of functions whose code is ready."""
    return f"; {name} is ready\n"


def marked(module: str) -> list[str]:
    """The names for which there are such places in a text."""
    return re.findall(r"^; (\w+) is ready$", module, re.MULTILINE) if " is ready\n" in module else []


def functions(name: str) -> Iterator[Ready]:
    """Those that make up a product, the one of this name and others that it calls."""
    _, numbers = next(each for each in _kinds().values() if each[0] == name)
    for what, number in numbers:
        yield _read(what, _paragraphs()[number])


def _read(what: str, paragraph: str) -> Ready:
    fixed, _, content = paragraph.partition("\n")
    reading, calling = list[tuple[int, int, int, int]](), list[tuple[int, str]]()
    for each in fixed.split():
        place, _, called = each.partition(">")
        if called:
            calling.append((int(place), called))
        else:
            at, end, width, bits = each.split(":")
            reading.append((int(at), int(end), int(bits, 16), int(width)))
    return Ready(what, a2b_base64(content), reading, calling)


def as_text(kinds: Sequence[tuple[str, str, Sequence[Ready]]]) -> str:
    """The file for kinds of products, their names and functions; equal functions are there once."""
    numbers, lines = dict[str, int](), list[str]()
    for kind, name, own in kinds:
        found = (f"{each.what}={numbers.setdefault(_written(each), 1 + len(numbers))}" for each in own)
        lines.append(f"{kind}: {name} {' '.join(found)}")
    return "\n\n".join(["\n".join(lines), *numbers]) + "\n"


def _written(function: Ready) -> str:
    fixed = [f"{at}:{end}:{width}:{bits:x}" for at, end, bits, width in function.reading]
    fixed += [f"{end}>{what}" for end, what in function.calling]
    code = b2a_base64(function.content, newline=False).decode()
    return "\n".join([" ".join(fixed), *(code[at : at + 100] for at in range(0, len(code), 100))])


@once
def _paragraphs() -> list[str]:
    return text_beside(__file__, "x86_ready.txt").split("\n\n")


@once
def _kinds() -> dict[str, tuple[str, list[tuple[str, int]]]]:
    """The names and the numbers of the functions by the kind."""
    found = {}
    for line in _paragraphs()[0].splitlines():
        kind, _, rest = line.partition(": ")
        name, *own = rest.split(" ")
        pairs = (each.split("=") for each in own)
        found[kind] = name, [(what, int(number)) for what, number in pairs]
    return found
