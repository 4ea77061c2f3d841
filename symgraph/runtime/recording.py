"""The recipe of a call, from a rehearsal of it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.runtime.entry import Form
from symgraph.runtime.fields import begin_of
from symgraph.runtime.native import NativeCall
from symgraph.runtime.native_product import WeightCall
from symgraph.runtime.prepared import Prepared, Rehearsal
from symgraph.runtime.recipes import (
    ARENA,
    CONSTANTS,
    PANELS,
    TROUBLE,
    Packed,
    Recipe,
    Row,
    address,
    form_of,
    parted,
)

Array = np.ndarray[Any, Any]

_REFUSALS = (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError)
_SMALL = 1 << 32
"""Words that are no addresses are smaller: sizes, strides and offsets of what a recipe may be for."""


class _OwnMemory(Exception):
    """The tables of a call have addresses of memory that it keeps in the arena."""


class _Nowhere:
    """An arena that begins nowhere yet."""

    begin = address(ARENA)

    @property
    def cache(self) -> dict[object, Any]:
        raise _OwnMemory


_ARENA: Any = _Nowhere()


def recipe_of(
    prepared: Prepared, rehearsal: Rehearsal, given: Sequence[Array], arena: Array, *, heavy: bool
) -> Recipe | None:
    """The recipe for calls whose arguments lie as those ``given`` to a rehearsal in an arena; None where a step is no
    function of machine code, or where an array is none that another process could have."""
    if rehearsal.results is None:
        return None
    arguments, results = _forms(given), _forms(rehearsal.results)
    if arguments is None or results is None:
        return None
    memories = _Memories([*given, *rehearsal.results], arena, prepared.known)
    rows: list[Row] = []
    packed: list[Packed] = []
    for turn, lying in rehearsal.turns:
        try:
            call = turn.call(lying, prepared.sizes)
        except _REFUSALS:
            return None
        places = [memories.place_of(x) for x in lying]
        if isinstance(call, WeightCall):
            if places[1] is None:
                return None
            slot, begin = _slot(places[1], len(arguments))
            packed.append(Packed(call.packed.function.name, slot, call.lying_at(begin)))
            places[1], call = address(PANELS + len(packed) - 1), call.packed
        if not isinstance(call, NativeCall) or call.fails:
            return None
        words = [0 if isinstance(place, tuple) else place for place in places]
        if any(word is None for word in words):
            return None
        slots = [(call.first + n, *place) for n, place in enumerate(places) if isinstance(place, tuple)]
        try:
            tables = call.tables([word for word in words if word is not None], _ARENA, address(TROUBLE))
        except _OwnMemory:
            return None
        if any(_SMALL <= abs(word) < address(ARENA) >> 1 for table in tables for word in table):
            return None
        rows.append(Row(call.function.name, tables, slots, call.turns, call.chunk))
    return Recipe(arguments, results, rows, arena.nbytes, memories.constants, packed, heavy=heavy)


def _slot(place: tuple[int, int] | int, arguments: int) -> tuple[int, int]:
    """The argument or constant of a place, and the bytes after its beginning."""
    if isinstance(place, tuple):
        return place
    memory, begin = parted(place)
    return arguments + memory - CONSTANTS, begin


def _forms(arrays: Sequence[Array]) -> list[Form] | None:
    forms = [form_of(x) for x in arrays]
    known = [form for form in forms if form is not None]
    return known if len(known) == len(forms) else None


class _Memories:
    """Where arrays of a rehearsal lie."""

    def __init__(self, own: Sequence[Array], arena: Array, known: Sequence[Array]) -> None:
        rows = [(begin_of(x), x.nbytes, n) for n, x in enumerate(own) if x.nbytes]
        self._rows = sorted([*rows, (begin_of(arena), arena.nbytes, -1)])
        self._begins = [begin for begin, _, _ in self._rows]
        self._known = {
            begin_of(x): x for x in known if x.nbytes and x.flags.c_contiguous and x.dtype.isnative
        }
        self._numbers: dict[int, int] = {}
        self.constants: list[Array] = []
        """Those that were asked for."""

    def place_of(self, x: Array) -> tuple[int, int] | int | None:
        """Which of the arguments and results an array lies in, and how many bytes after its beginning; or its `address`
        in the arena or a constant. None where it is not known."""
        if not x.size:
            return None
        at = begin_of(x)
        n = bisect(self._begins, at) - 1
        if n >= 0:
            begin, size, number = self._rows[n]
            if at < begin + size:
                return (number, at - begin) if number >= 0 else address(ARENA, at - begin)
        low, high = np.lib.array_utils.byte_bounds(x)
        for begin, owner in self._known.items():
            if begin <= low and high <= begin + owner.nbytes:
                return address(CONSTANTS + self._number(owner), at - begin)
        return None

    def _number(self, owner: Array) -> int:
        if id(owner) not in self._numbers:
            self._numbers[id(owner)] = len(self.constants)
            self.constants.append(owner)
        return self._numbers[id(owner)]
