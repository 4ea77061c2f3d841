"""Steps run within a budget of memory, in thought: what is dropped when, and computed again."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from symgraph.optimizations.memory import aligned
from symgraph.optimizations.order import Sizes, Step

_RUNS = 8
"""What runs more than so many times as many steps as were given is given up."""
_EFFORT = 200
"""As is what looks at more than so many steps for each step."""


class Steps(NamedTuple):
    """Steps and values by number, from 0; only what a step writes is a value."""

    values: list[int]
    """The ids as given."""
    reads: list[list[int]]
    writes: list[list[int]]
    readers: list[list[int]]
    writer: list[int]
    size: list[int]
    kept: list[bool]
    cost: Sequence[float]


def numbered(steps: Sequence[Step], sizes: Sizes, cost: Sequence[float], keep: Collection[int]) -> Steps:
    assert len(cost) == len(steps), "each step has a cost"
    values = [value for step in steps for value in step.writes]
    number = {value: n for n, value in enumerate(values)}
    assert len(number) == len(values), "two steps write one value"
    reads = [[number[value] for value in dict.fromkeys(step.reads) if value in number] for step in steps]
    writes = [[number[value] for value in step.writes] for step in steps]
    writer = [n for n, step in enumerate(steps) for _ in step.writes]
    readers: list[list[int]] = [[] for _ in values]
    for n, operands in enumerate(reads):
        for value in operands:
            assert writer[value] < n, f"step {n} reads value {values[value]} before it is written"
            readers[value].append(n)
    kept = frozenset(keep)
    size = [aligned(sizes[value]) for value in values]
    return Steps(values, reads, writes, readers, writer, size, [value in kept for value in values], cost)


def run_within(steps: Steps, budget: int, power: float) -> list[int] | None:
    """The order of the runs; None where the budget is too small or too many would run again.

    Where the next step does not fit, the value is dropped whose bytes, times a power of the distance to its next use,
    are most for what its loss costs; see `symgraph.optimizations.recompute.schedules`.
    """
    return _Simulation(steps, budget, power).run()


_UNWRITTEN, _HERE, _DROPPED = range(3)


class _Simulation:
    """The steps run in their order within a budget; what is missing is computed again."""

    def __init__(self, graph: Steps, budget: int, power: float) -> None:
        self.graph = graph
        self.power = power
        self.free = budget
        self.now = 0
        """The step as given that runs next, or for which others run again."""
        self.effort = _EFFORT * len(graph.reads)
        self.state = bytearray(len(graph.values))
        self.next_use = [readers[0] if readers else len(graph.reads) for readers in graph.readers]
        self.past = [0] * len(graph.values)
        """How many of a value's readers have run for the first time."""
        self.wanted = [len(readers) for readers in graph.readers]
        """How many readers of a value are still to run, or have to run again for what is wanted and dropped."""
        self.lost = [0] * len(graph.reads)
        """How many values that a step wrote are wanted and dropped."""
        self.pending = [0] * len(graph.values)
        """How many runs that are decided on read a value."""
        self.heap: list[tuple[float, int]] = []
        """What may be dropped: its score when it was last looked at, negative, and the value."""
        self.key = [0.0] * len(graph.values)
        """The score of a value in the heap, negative; other entries of the value do not count."""
        self.floor = 1e-9 * max((c for c in graph.cost if c < math.inf), default=1.0) or 1e-9

    def run(self) -> list[int] | None:
        """The order of the runs; None where the budget is too small or too many would run again."""
        graph = self.graph
        order: list[int] = []
        for self.now, operands in enumerate(graph.reads):
            for n in self._missing(self.now):
                if not self._make_room(n):
                    return None
                self._write(n)
                order.append(n)
            if len(order) > _RUNS * len(graph.reads):
                return None
            for value in operands:
                self.past[value] += 1
                readers, past = graph.readers[value], self.past[value]
                self.next_use[value] = readers[past] if past < len(readers) else len(graph.reads)
                self.wanted[value] -= 1
                self._may_drop(value)
        return order

    def _missing(self, last: int) -> list[int]:
        """The steps that run before a step can, and itself, in their order; what they read stays until they ran."""
        graph, state = self.graph, self.state
        found = {last}
        waiting = [last]
        while waiting:
            for value in graph.reads[waiting.pop()]:
                self.pending[value] += 1
                if state[value] == _DROPPED and graph.writer[value] not in found:
                    found.add(graph.writer[value])
                    waiting.append(graph.writer[value])
        return sorted(found)

    def _write(self, n: int) -> None:
        for value in self.graph.reads[n]:
            self.pending[value] -= 1
        for value in self.graph.writes[n]:
            was = self.state[value]
            if was != _HERE:
                self.state[value] = _HERE
                self.free -= self.graph.size[value]
                if was == _DROPPED and self.wanted[value]:
                    self._found(value)
            self._may_drop(value)

    def _may_drop(self, value: int) -> None:
        """The value is looked at first when something has to be dropped."""
        if self.key[value] != -math.inf and self.graph.size[value] and not self.graph.kept[value]:
            self.key[value] = -math.inf
            heappush(self.heap, (-math.inf, value))

    def _make_room(self, n: int) -> bool:
        """Drops what costs least until a step has room; False where what is left must stay.

        The scores of values that nothing touched have only fallen since. So a value whose score is still above all
        others is the best.
        """
        heap, key, state = self.heap, self.key, self.state
        results = self.graph.writes[n]
        needs = sum(self.graph.size[value] for value in results if state[value] != _HERE)
        again = True
        busy = []
        while needs > self.free:
            if not heap:
                if not again:
                    return False
                again = False
                for value, pending in enumerate(self.pending):
                    if state[value] == _HERE and not pending:
                        self._may_drop(value)
                continue
            score, value = heappop(heap)
            if score != key[value]:
                continue
            key[value] = 0.0
            if state[value] != _HERE:
                continue
            if self.pending[value] or value in results:
                busy.append(value)
                continue
            score = -self._score(value)
            if self.effort < 0:
                return False
            if heap and score > heap[0][0] and score:
                key[value] = score
                heappush(heap, (score, value))
            elif score:
                state[value] = _DROPPED
                self.free += self.graph.size[value]
                if self.wanted[value]:
                    self._lose(value)
        for value in busy:
            self._may_drop(value)
        return True

    def _score(self, value: int) -> float:
        """How much is gained by dropping a value for what it costs; 0 where it must stay."""
        graph, state, lost, wanted, uses = self.graph, self.state, self.lost, self.wanted, self.next_use
        all_reads, all_writes, readers, writer = graph.reads, graph.writes, graph.readers, graph.writer
        next_use = uses[value] if wanted[value] else self._stand_in(value)
        if next_use is None:
            return math.inf
        seen = {writer[value]}
        waiting = [writer[value]]
        for n in waiting:
            for operand in all_reads[n]:
                if state[operand] == _DROPPED and writer[operand] not in seen:
                    seen.add(writer[operand])
                    waiting.append(writer[operand])
        if wanted[value]:
            dropped = [value]
            for each in dropped:
                for reader in readers[each]:
                    if lost[reader] and reader not in seen:
                        seen.add(reader)
                        for result in all_writes[reader]:
                            if state[result] == _DROPPED and wanted[result]:
                                dropped.append(result)
                                if uses[result] < next_use:
                                    next_use = uses[result]
        self.effort -= len(seen)
        total = sum(map(graph.cost.__getitem__, sorted(seen)))
        distance = max(next_use - self.now, 0) + 1
        return graph.size[value] * math.pow(distance, self.power) / (total + self.floor)

    def _stand_in(self, value: int) -> int | None:
        """The next use of what can be computed from a value that nothing else wants, where that is much larger."""
        graph, state = self.graph, self.state
        next_use, size = len(graph.reads), 0
        seen = [value]
        for each in seen:
            for reader in graph.readers[each]:
                for result in graph.writes[reader]:
                    if state[result] == _HERE and self.wanted[result] and not graph.kept[result]:
                        size += graph.size[result]
                        next_use = min(next_use, self.next_use[result])
                    elif state[result] == _DROPPED and len(seen) < 8 and result not in seen:
                        seen.append(result)
            self.effort -= len(graph.readers[each])
        return next_use if size >= 2 * graph.size[value] and next_use < len(graph.reads) else None

    def _lose(self, value: int) -> None:
        """What wrote a value that is wanted and dropped has to run again, so that what it reads is wanted."""
        waiting = [value]
        while waiting:
            n = self.graph.writer[waiting.pop()]
            self.lost[n] += 1
            if self.lost[n] == 1:
                for operand in self.graph.reads[n]:
                    self.wanted[operand] += 1
                    if self.wanted[operand] == 1 and self.state[operand] == _DROPPED:
                        waiting.append(operand)

    def _found(self, value: int) -> None:
        """The contrary of `_lose`."""
        waiting = [value]
        while waiting:
            n = self.graph.writer[waiting.pop()]
            self.lost[n] -= 1
            if not self.lost[n]:
                for operand in self.graph.reads[n]:
                    self.wanted[operand] -= 1
                    if self.wanted[operand]:
                        continue
                    if self.state[operand] == _DROPPED:
                        waiting.append(operand)
                    else:
                        self._may_drop(operand)
