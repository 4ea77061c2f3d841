"""Repeats that cost next to nothing and lower the peak: a copy made again instead of kept from early to late."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Sequence

import numpy as np

from symgraph.optimizations.budget import Steps, numbered
from symgraph.optimizations.order import Sizes, Step
from symgraph.optimizations.schedule import Schedule, scheduled


def thrifty(
    steps: Sequence[Step],
    sizes: Sizes,
    cost: Sequence[float],
    allowance: float,
    keep: Collection[int] = (),
) -> Schedule:
    """The steps as given with repeats that lower the peak and cost at most ``allowance`` together.

    Again and again the peak is looked at: of the steps whose values are there and not read for a while, the one runs
    again, before the next reading, that frees most bytes for its cost. What it reads stays until then. Arguments are
    those of `symgraph.optimizations.recompute.schedules`, which goes much further for a limit.

    >>> steps = [Step((), (0,)), Step((0,), (1,)), Step((1,), (2,)), Step((2,), (3,)), Step((3,), (4,)),
    ...          Step((1, 4), (5,))]
    >>> sizes = [64, 4096, 64, 4096, 64, 64]
    >>> found = thrifty(steps, sizes, [1, 1, 1, 1, 1, 1], 1, keep=[5])
    >>> print(found.order, found.extra, found.peak)
    (0, 1, 2, 3, 4, 1, 5) 1 4224
    """
    graph = numbered(steps, sizes, cost, keep)
    repeats = _Repeats(graph).lowering(allowance)
    runs = sorted([*((n, n) for n in range(len(steps))), *((before - 0.5, n) for before, n in repeats)])
    return scheduled(graph, [n for _, n in runs])


class _Repeats:
    """Values from their writing to their last reading, split where a step runs again.

    A repeat belongs to the time of the step that it runs before.
    """

    def __init__(self, graph: Steps) -> None:
        self.graph = graph
        self.reads = [list(readers) for readers in graph.readers]
        """When each value is read."""
        self.spans: list[list[tuple[int, int]]] = []
        """When it is there."""
        self.live = np.zeros(len(graph.reads), np.int64)
        """Bytes at each time."""
        end = len(graph.reads) - 1
        for value, writer in enumerate(graph.writer):
            last = end if graph.kept[value] else max(self.reads[value], default=writer)
            self.spans.append([(writer, last)])
            self.live[writer : last + 1] += graph.size[value]

    def lowering(self, allowance: float) -> list[tuple[int, int]]:
        """Pairs of the step that a repeat comes before, and of the step that runs again."""
        graph, found = self.graph, []
        able = {n for n, cost in enumerate(graph.cost) if cost <= allowance}
        while able:
            at = int(self.live.argmax())
            best = max(((self._freed(n, at) / max(graph.cost[n], 1e-9), -n) for n in able), default=(0, 0))
            if best[0] <= 0:
                break
            n = -best[1]
            able.discard(n)
            before = self._next(n, at)
            if before is not None and self._run_again(n, before, at):
                found.append((before, n))
                allowance -= graph.cost[n]
                able = {n for n in able if graph.cost[n] <= allowance}
        return found

    def _next(self, n: int, at: int) -> int | None:
        """The first time after ``at`` at which something is read that the step wrote and that is idle then."""
        return min((self.reads[v][bisect_right(self.reads[v], at)] for v in self._idle(n, at)), default=None)

    def _idle(self, n: int, at: int) -> list[int]:
        """What the step wrote that is there, not read now, and read later."""
        found = []
        for value in self.graph.writes[n]:
            if not self.graph.kept[value] and any(first < at < last for first, last in self.spans[value]):
                reads = self.reads[value]
                if reads[bisect_left(reads, at)] != at:
                    found.append(value)
        return found

    def _freed(self, n: int, at: int) -> int:
        """The bytes that are not there at one time if the step runs again later."""
        idle = self._idle(n, at)
        if not idle:
            return 0
        before = self._next(n, at)
        assert before is not None
        freed = sum(self.graph.size[value] for value in idle)
        for value in self.graph.reads[n]:
            if any(first <= at <= last for first, last in self._held_longer(value, before)):
                freed -= self.graph.size[value]
        return freed

    def _held_longer(self, value: int, until: int) -> list[tuple[int, int]]:
        """The time for which a value would have to be there besides, to be read at a time."""
        if self.graph.kept[value]:
            return []
        last = max(span for span in self.spans[value] if span[0] <= until)[1]
        return [(last + 1, until)] if last < until else []

    def _run_again(self, n: int, before: int, at: int) -> bool:
        """Whether the peak, which is ``at`` some time, is lower then; else nothing has changed."""
        graph, live = self.graph, self.live.copy()
        spans = {}
        for value in graph.reads[n]:
            for start, until in self._held_longer(value, before):
                live[start : until + 1] += graph.size[value]
                spans[value] = [
                    (first, until if last + 1 == start else last) for first, last in self.spans[value]
                ]
        for value in graph.writes[n]:
            if not graph.kept[value]:
                spans[value], idle = self._split(value, before)
                if idle is None:
                    live[before] += graph.size[value]
                else:
                    live[idle] -= graph.size[value]
        if live[at] >= self.live[at] or live.max() > self.live[at]:
            return False
        self.live = live
        for value, parts in spans.items():
            self.spans[value] = parts
        for value in graph.reads[n]:
            insort(self.reads[value], before)
        return True

    def _split(self, value: int, before: int) -> tuple[list[tuple[int, int]], slice | None]:
        """When a value is there if it is written again at a time, and when it is not any more; None for never."""
        for n, (first, last) in enumerate(self.spans[value]):
            if first < before <= last:
                past = bisect_left(self.reads[value], before)
                idle = max(first, self.reads[value][past - 1] if past else first) + 1
                parts = [(first, idle - 1), (before, last)]
                return [*self.spans[value][:n], *parts, *self.spans[value][n + 1 :]], slice(idle, before)
        return sorted([*self.spans[value], (before, before)]), None
