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
    """The columns of a square of numbers: in each step, the squares beside the diagonal change places."""
    found, lanes = list(rows), len(rows)
    step = 1
    while step < lanes:
        for n in range(lanes):
            if not n & step:
                a, b = found[n], found[n + step]
                low = [k if not k & step else lanes + k - step for k in range(lanes)]
                high = [k + step if not k & step else lanes + k for k in range(lanes)]
                found[n], found[n + step] = shuffled(body, a, b, low), shuffled(body, a, b, high)
        step *= 2
    return found
