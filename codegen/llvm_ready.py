"""Calls of functions whose code comes with the package, in the text of a kernel that is compiled soonest."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.llvm_shuffles import shuffled
from symgraph.codegen.vectors import Body, Register, suffix
from symgraph.codegen.x86_ready import BYTES, mark


def ready(body: Body, name: str, args: Sequence[Register]) -> Register | None:
    """What a function gives of registers of one type; None where there is no code for it, or a constant lets some of it
    go. Of several vectors each is given to it alone."""
    if body.ready is None or any(not x.text.startswith("%") for x in args):
        return None
    first = args[0]
    lanes = min(first.lanes, 8 * BYTES // first.row.bits)
    function = body.ready(f"{name} {suffix(first.row, lanes)}")
    if function is None:
        return None
    body.declared.add(mark(function))
    count = first.lanes // lanes if lanes else 1
    cut = [_cut(body, x, count) for x in args]
    return _joined(body, [body.result_of(f"@{function}", first.row, own) for own in zip(*cut, strict=True)])


def _cut(body: Body, x: Register, count: int) -> list[Register]:
    """Its lanes as so many registers."""
    if count == 1:
        return [x]
    lanes = x.lanes // count
    return [shuffled(body, x, x, range(at, at + lanes)) for at in range(0, x.lanes, lanes)]


def _joined(body: Body, parts: list[Register]) -> Register:
    """One register of their lanes; there is a power of two of them."""
    while len(parts) > 1:
        both = range(2 * parts[0].lanes)
        parts = [shuffled(body, x, y, both) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
