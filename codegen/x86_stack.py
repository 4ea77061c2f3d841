"""Vectors in the stack, for what takes their lanes one by one, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Selection
from symgraph.codegen.x86_values import VECTOR, Type, Value

_LEAST = 16
"""Bytes that a register of vectors writes at least."""


def room(s: Selection, type_: Type) -> Value:
    """An address in the stack where nothing is yet."""
    return s.room_for(max(type_.width * type_.parts, _LEAST))


def store(s: Selection, place: Value, parts: Sequence[Value], type_: Type) -> None:
    """``vmovups [rax + 64], zmm1``, part by part."""
    for n, part in enumerate(parts):
        s.change("vmovups [{} + {}], {}", place, str(n * type_.width), part)


def load(s: Selection, place: Value, type_: Type) -> list[Value]:
    """``vmovups zmm1, [rax + 64]``, part by part."""
    places = (str(n * type_.width) for n in range(type_.parts))
    return [s.made(VECTOR, "vmovups {}, [{} + {}]", type_.names, place, n) for n in places]
