"""Lanes in another order."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.vectors import Body, Register


def shuffled(body: Body, x: Register, y: Register, places: Sequence[int]) -> Register:
    """Lanes of two vectors, those of the second numbered after those of the first."""
    numbers = ", ".join(f"i32 {n}" for n in places)
    text = f"shufflevector {x.type} {x.text}, {y.type} {y.text}, <{len(places)} x i32> <{numbers}>"
    return Register(body.named(text), x.row, len(places))


def transposed(body: Body, rows: Sequence[Register]) -> list[Register]:
    """The columns of a square of numbers, by shuffles that are single instructions: those within 16 bytes interleave
    neighbours, and the others take every other 16 bytes."""
    lanes = len(rows)
    each = min(lanes, 16 // rows[0].row.numpy.itemsize)
    groups = [[row] for row in rows]  # the columns of some rows, which lie interleaved in parts of registers
    width = 1
    while width < each:
        groups = _merged(body, groups, *_interleaving(lanes, each, width))
        width *= 2
    chunks = [list(range(lanes // each))]
    while len(groups) > 1:
        groups = _merged(body, groups, *_alternating(lanes, each))
        chunks = [half for some in chunks for half in (some[::2], some[1::2])]
    order = [(chunk, n) for n in range(each) for (chunk,) in chunks]
    found = dict(zip(order, groups[0], strict=True))
    return [found[key] for key in sorted(found)]


def _merged(
    body: Body, groups: Sequence[Sequence[Register]], first: Sequence[int], second: Sequence[int]
) -> list[list[Register]]:
    """Half as many groups: of each two registers of neighbours, some lanes and the others."""
    return [
        [shuffled(body, a, b, places) for a, b in zip(x, y, strict=True) for places in (first, second)]
        for x, y in zip(groups[::2], groups[1::2], strict=True)
    ]


def _interleaving(lanes: int, each: int, width: int) -> tuple[list[int], list[int]]:
    """In each part of so many lanes, blocks of one register and the other in turn, of the lower half and the upper."""
    lower: list[int] = []
    for part in range(0, lanes, each):
        for first in range(part, part + each // 2, width):
            block = range(first, first + width)
            lower += [*block, *(lanes + n for n in block)]
    return lower, [n + each // 2 for n in lower]


def _alternating(lanes: int, each: int) -> tuple[list[int], list[int]]:
    """Every other part of so many lanes of one register, then of the other."""
    even = [n for n in range(2 * lanes) if not n // each % 2]
    return even, [n + each for n in even]
