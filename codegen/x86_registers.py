"""Which register every value has: linear scan over the lines in which it is needed.

Poletto and Sarkar, Linear Scan Register Allocation (TOPLAS 21, 1999): a value has one place from its first line to its
last; where there are too few registers, the one that is needed longest lies in the stack all the time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from symgraph.codegen.x86_lines import Jump, Label
from symgraph.codegen.x86_selection import Selection
from symgraph.codegen.x86_values import FREE, GENERAL, KEPT, MASK, RSP, VECTOR, Spoiled

SCRATCH = {VECTOR: (29, 30, 31), MASK: (5, 6, 7), GENERAL: (0, 7, 8)}
"""Registers of each kind through which values of the stack go; general ones are always free for it."""
STACK = 64
"""The first place of the stack; those before are registers."""
_COUNTS = {VECTOR: 32, MASK: 8, GENERAL: 15}
_MOST_OUTLIVED = 8
"""Calls of which it is looked at what they change; more change whatever they may."""
_NO_MASK = 0
"""That number says that an instruction has none."""


class Places(NamedTuple):
    """Where values lie."""

    of: list[int]
    """By the value's number: a register of its kind, or a place in the stack."""
    kept: Sequence[int]
    """The general registers among them that a function has to give back."""
    stack: int
    """How many places of the stack there are."""


def places(selection: Selection) -> Places:
    """Of all values."""
    ends = _ends(selection)
    without: dict[int, tuple[int, ...]] = {VECTOR: (), MASK: (_NO_MASK,), GENERAL: SCRATCH[GENERAL]}
    found, is_spilled = _scan(selection, ends, without)
    if is_spilled:
        without = {kind: (*own, *SCRATCH[kind]) for kind, own in without.items()}
        found, _ = _scan(selection, ends, without)
    return found


def _ends(selection: Selection) -> list[int]:
    """The last line that needs each value: what is needed in a loop and was there before is needed to its end."""
    ends, begins = selection.ends, selection.begins
    labels = dict[str, int]()
    loops = []
    for place, line in enumerate(selection.lines):
        if type(line) is Label:
            labels[line.name] = place
        elif type(line) is Jump:
            for label in (line.first, line.second):
                for meeting in selection.meetings.get(label, ()):
                    number = selection.coming(meeting, line.block)
                    if number is not None and ends[number] < place:
                        ends[number] = place
                if label in labels:
                    loops.append((labels[label], place))
    for head, tail in loops:
        for number, end in enumerate(ends):
            if head <= end < tail and begins[number] < head:
                ends[number] = tail
    return ends


def _met(selection: Selection) -> dict[int, list[int]]:
    """Values that meet in a register, of which each had best lie where one before it does."""
    met: dict[int, list[int]] = {}
    for meetings in selection.meetings.values():
        for meeting in meetings:
            for block in meeting.ways:
                number = selection.coming(meeting, block)
                if number is not None and number != meeting.number:
                    late, early = max(number, meeting.number), min(number, meeting.number)
                    met.setdefault(late, []).append(early)
    return met


def _scan(
    selection: Selection, ends: Sequence[int], without: Mapping[int, tuple[int, ...]]
) -> tuple[Places, bool]:
    """Where all values lie, and whether one of vectors or masks is in the stack."""
    kinds, copies, calls = selection.kinds, selection.copies, selection.calls
    given = {each.number: each.register for each in selection.handed}
    met = _met(selection)
    free = {
        kind: [n for n in reversed(range(count)) if n not in without[kind]] for kind, count in _COUNTS.items()
    }
    holders = [dict[int, int](), dict[int, int](), dict[int, int]()]
    """By kind and register, the last value there."""
    ending: list[list[int]] = [[] for _ in range(len(selection.lines) + 2)]
    of = [-1] * len(kinds)
    following, stack = 0, STACK
    for number, begin in enumerate(selection.begins):
        while following <= begin:
            for past in ending[following]:
                if of[past] < STACK:
                    free[kinds[past]].append(of[past])
            following += 1
        if number in selection.fixed:
            of[number] = selection.fixed[number]
            continue
        kind, end, own = kinds[number], ends[number], free[kinds[number]]
        lost = 0
        if calls:
            first, last = bisect_right(calls, begin), bisect_left(calls, end)  # that it has to outlive
            for each in selection.spoiled[first:last] if last - first <= _MOST_OUTLIVED else (FREE,):
                lost |= each[kind]
            if kind != GENERAL and lost == FREE[kind]:
                of[number], stack = stack, stack + 1
                continue
        fitting = [each for each in own if not lost >> each & 1] if lost else own
        wanted = given.get(number, -1)
        if number in copies:
            wanted = of[copies[number]]
        elif number in met:
            wanted = next((of[other] for other in met[number] if of[other] in own), -1)
        if wanted in fitting:
            own.remove(wanted)
            register = wanted
        elif fitting:
            register = min(fitting) if lost else own[-1]
            own.remove(register)
        else:
            held = [each for place, each in holders[kind].items() if not lost >> place & 1]
            longest = max(held, key=ends.__getitem__, default=number)
            if ends[longest] <= end:
                of[number], stack = stack, stack + 1
                continue
            register = of[longest]
            of[longest], stack = stack, stack + 1
        of[number] = register
        holders[kind][register] = number
        ending[end].append(number)
    kept = sorted({of[n] for n, kind in enumerate(kinds) if kind == GENERAL and KEPT <= of[n] < RSP})
    is_spilled = any(of[n] >= STACK for n, kind in enumerate(kinds) if kind != GENERAL)
    return Places(of, kept, stack - STACK), is_spilled and SCRATCH[VECTOR][0] not in without[VECTOR]


def spoiled(selection: Selection, of: Sequence[int]) -> Spoiled:
    """What a function changes whose values lie there, and others that it calls."""
    found = [sum(1 << each for each in SCRATCH[kind]) for kind in (VECTOR, MASK, GENERAL)]
    for kind, place in zip(selection.kinds, of, strict=True):
        if place < STACK:
            found[kind] |= 1 << place
    for each in {*selection.spoiled}:
        found = [x | y for x, y in zip(found, each, strict=True)]
    vectors, masks, general = found
    return vectors, masks, general & FREE[GENERAL]
