"""Which values are dropped after an early use and computed again before a later one, to keep within a limit."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate, pairwise

from symgraph.optimizations.memory import aligned
from symgraph.optimizations.order import Sizes, Step


@dataclass(frozen=True, slots=True)
class Interval:
    """A value is in memory from one run of its step to the last run that reads what this one wrote, both included."""

    value: int
    first: int
    """An index in `Schedule.order`, not a position in the steps."""
    last: int


@dataclass(frozen=True, slots=True)
class Schedule:
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


def schedules(
    steps: Sequence[Step],
    sizes: Sizes,
    cost: Sequence[float],
    keep: Collection[int] = (),
    limit: int | None = None,
) -> Iterator[Schedule]:
    """The steps as given, and then with more and more repeats and lower and lower peaks, each made when asked for.

    The steps must be in a valid order; ``cost`` has what one run of each takes, `math.inf` where a step must not run
    twice. Values of ``keep`` stay from their first run to the end; values that no step writes are given from outside
    and cost nothing. A ``limit`` leaves out what has a higher peak, and saves the time of making it; it changes
    nothing about the others.

    The peaks are those of a ladder of budgets, in equal ratios from the peak of the steps as given to what a single
    step needs. For each budget the steps are run in thought. Where the next one does not fit, the value is dropped
    whose bytes, times a power of the distance to its next use (Belady 1966, "A study of replacement algorithms for a
    virtual-storage computer": the farthest), are most for what its loss costs. That is its own step and the steps of
    the dropped values before and behind it, which would have to run together (Kirisame et al. 2021, "Dynamic tensor
    rematerialization", ICLR, arXiv:2006.09616); the next use is the first of its own and of the dropped values behind
    it. What is dropped and read again is computed again, with all that this needs, under the same budget. A repeat
    that turns out to save nothing is taken out. Where much runs again a second power is tried, and the cheaper answer
    is taken.

    Here the large value 1 is read early and late, and need not be there in between:

    >>> steps = [Step((), (0,)), Step((0,), (1,)), Step((1,), (2,)), Step((2,), (3,)), Step((3,), (4,)),
    ...          Step((1, 4), (5,))]
    >>> sizes = [64, 4096, 64, 4096, 64, 64]
    >>> for s in schedules(steps, sizes, [1, 1, 1, 1, 1, 1], keep=[5]):
    ...     print(s.order, s.extra, s.peak)
    (0, 1, 2, 3, 4, 5) 0 8256
    (0, 1, 2, 3, 4, 1, 5) 1 4224
    """
    graph = _graph(steps, sizes, cost, keep)
    plain = _schedule(graph, range(len(steps)))
    if limit is None or plain.peak <= limit:
        yield plain
    for budget, below in _ladder(graph, plain.peak):
        if limit is None or below < limit:
            found = _cheapest(graph, budget, below)
            if found is not None and (limit is None or found.peak <= limit):
                yield found


def recompute(
    steps: Sequence[Step], sizes: Sizes, cost: Sequence[float], limit: int, keep: Collection[int] = ()
) -> Schedule | None:
    """The first of `schedules` whose peak is at most ``limit``; None where there is none."""
    return next(schedules(steps, sizes, cost, keep, limit), None)


def smallest(
    steps: Sequence[Step], sizes: Sizes, cost: Sequence[float], keep: Collection[int] = ()
) -> Schedule:
    """The last of `schedules`, which has the lowest peak; `recompute` finds nothing for a lower limit."""
    graph = _graph(steps, sizes, cost, keep)
    plain = _schedule(graph, range(len(steps)))
    rungs = (_cheapest(graph, budget, below) for budget, below in reversed(_ladder(graph, plain.peak)))
    return next((found for found in rungs if found is not None), plain)


_RUNGS = 48
_POWERS = (0.5, 0.75)
"""Of the distance."""
_RUNS = 8
"""A schedule that runs more than so many times as many steps as were given is given up."""
_EFFORT = 200
"""As is one that looked at more than so many steps for each step."""


# The graph: values are numbered from 0, and only what a step writes is one


@dataclass(frozen=True, slots=True)
class _Graph:
    values: list[int]
    """The ids as given."""
    reads: list[list[int]]
    writes: list[list[int]]
    readers: list[list[int]]
    writer: list[int]
    size: list[int]
    kept: list[bool]
    cost: Sequence[float]


def _graph(steps: Sequence[Step], sizes: Sizes, cost: Sequence[float], keep: Collection[int]) -> _Graph:
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
    return _Graph(values, reads, writes, readers, writer, size, [value in kept for value in values], cost)


def _bound(graph: _Graph) -> int:
    """A step needs its own values, and what is kept and was written before it."""
    stays = highest = 0
    for reads, writes in zip(graph.reads, graph.writes, strict=True):
        own = [value for value in reads if not graph.kept[value]] + writes
        highest = max(highest, stays + sum(graph.size[value] for value in own))
        stays += sum(graph.size[value] for value in writes if graph.kept[value])
    return highest


def _ladder(graph: _Graph, plain: int) -> list[tuple[int, int]]:
    """Budgets below the peak of the steps as given, each with the next lower one, from the highest to the lowest."""
    bound = _bound(graph)
    ratio = bound / max(plain, 1)
    rungs = {max(bound, int(plain * ratio ** (n / _RUNGS))) for n in range(1, _RUNGS)} | {bound}
    return list(pairwise([*sorted(rungs - {plain}, reverse=True), -1]))


def _cheapest(graph: _Graph, budget: int, below: int) -> Schedule | None:
    """None where nothing fits, or where it would fit the next budget ``below`` too and is left to that.

    So a rung never depends on which others were tried. The second power is tried where the first has to run much
    again.
    """
    found = []
    for power in _POWERS:
        order = _Simulation(graph, budget, power).run()
        if order is not None:
            found.append(_schedule(graph, _without_needless(graph, order, budget)))
            if len(found[-1].order) < 1.5 * len(graph.reads):
                break
    found = [schedule for schedule in found if schedule.peak > below]
    return min(found, key=lambda schedule: schedule.extra, default=None)


def _schedule(graph: _Graph, order: Sequence[int]) -> Schedule:
    intervals = _intervals(graph, order)
    again = bytearray(len(graph.reads))
    extra: float = 0
    for n in order:
        if again[n]:
            extra += graph.cost[n]
        again[n] = True
    return Schedule(
        order=tuple(order),
        intervals=tuple(Interval(graph.values[value], first, last) for value, first, last in intervals),
        extra=extra,
        peak=max(_live(graph, intervals, len(order)), default=0),
    )


def _intervals(graph: _Graph, order: Sequence[int]) -> list[tuple[int, int, int]]:
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


def _live(graph: _Graph, intervals: Sequence[tuple[int, int, int]], runs: int) -> list[int]:
    """The bytes in memory at each run."""
    change = [0] * (runs + 1)
    for value, first, last in intervals:
        change[first] += graph.size[value]
        change[last + 1] -= graph.size[value]
    return list(accumulate(change[:-1]))


def _without_needless(graph: _Graph, order: list[int], budget: int) -> list[int]:
    """Without the repeats, from the last to the first, whose results could as well have stayed in memory."""
    if len(order) == len(graph.reads):
        return order
    live = _live(graph, _intervals(graph, order), len(order))
    latest = [-1] * len(graph.reads)
    before = []  # for each run the one before of the same step
    sources: list[list[int]] = []  # the runs that wrote what it reads
    last: list[dict[int, int]] = []  # by the values that it writes, the last run that reads them
    uses = [0] * len(order)
    for at, n in enumerate(order):
        operands = [value for value in graph.reads[n] if not graph.kept[value]]
        sources.append([latest[graph.writer[value]] for value in operands])
        for value, source in zip(operands, sources[at], strict=True):
            uses[source] += 1
            last[source][value] = at
        last.append({value: at for value in graph.writes[n] if not graph.kept[value]})
        before.append(latest[n])
        latest[n] = at
    removed = bytearray(len(order))
    for at in reversed(range(len(order))):
        earlier = before[at]
        if earlier < 0:
            continue
        if uses[at]:
            spans = {value: last[earlier][value] + 1 for value, end in last[at].items() if end > at}
            total = sum(graph.size[value] for value in spans)
            if total and max(live[min(spans.values()) : at], default=0) + total > budget:
                continue
            for value, start in spans.items():
                last[earlier][value] = last[at][value]
                for between in range(start, at):
                    live[between] += graph.size[value]
        removed[at] = True
        uses[earlier] += uses[at]
        for source in sources[at]:
            uses[source] -= 1
    return [n for at, n in enumerate(order) if not removed[at]]


# The simulation

_UNWRITTEN, _HERE, _DROPPED = range(3)


class _Simulation:
    """The steps run in their order within a budget; what is missing is computed again."""

    def __init__(self, graph: _Graph, budget: int, power: float) -> None:
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
