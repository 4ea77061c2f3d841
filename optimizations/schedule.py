"""Steps in the order in which they run, some of them several times, and what is in memory at each run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from symgraph.optimizations.budget import Steps


class Interval(NamedTuple):
    """A value is in memory from one run of its step to the last run that reads what this one wrote, both included."""

    value: int
    first: int
    """An index in `Schedule.order`, not a position in the steps."""
    last: int


class Schedule(NamedTuple):
    """Steps in the order in which they run, some of them several times."""

    order: tuple[int, ...]
    """Positions in the steps. Without the repeats they are in the order that was given."""
    intervals: tuple[Interval, ...]
    """By their first run. A value that is kept has one, from its first run to the end: a later run writes the same
    bits to the same place. Any other value has one for each run of its step, of length one where nothing reads it."""
    extra: float
    """The cost of the repeats."""
    peak: int
    """The most bytes that are in memory at one run, of aligned sizes."""


def scheduled(graph: Steps, order: Sequence[int]) -> Schedule:
    spans = intervals(graph, order)
    again = bytearray(len(graph.reads))
    extra: float = 0
    for n in order:
        if again[n]:
            extra += graph.cost[n]
        again[n] = True
    return Schedule(
        order=tuple(order),
        intervals=tuple(Interval(graph.values[value], first, last) for value, first, last in spans),
        extra=extra,
        peak=max(live_bytes(graph, spans, len(order)), default=0),
    )


def intervals(graph: Steps, order: Sequence[int]) -> list[tuple[int, int, int]]:
    """Value, first and last run, by the first."""
    current: list[list[int]] = [[] for _ in graph.values]
    found = []
    for at, n in enumerate(order):
        for value in graph.reads[n]:
            current[value][2] = at
        for value in graph.writes[n]:
            if current[value] and graph.kept[value]:
                continue
            current[value] = [value, at, at]
            found.append(current[value])
    return [(value, first, len(order) - 1 if graph.kept[value] else last) for value, first, last in found]


def live_bytes(graph: Steps, spans: Sequence[tuple[int, int, int]], runs: int) -> list[int]:
    """The bytes in memory at each run."""
    change = [0] * (runs + 1)
    for value, first, last in spans:
        change[first] += graph.size[value]
        change[last + 1] -= graph.size[value]
    return list(accumulate(change[:-1]))
