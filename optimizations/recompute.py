"""Which values are dropped after an early use and computed again before a later one, to keep within a limit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from symgraph.optimizations.budget import Steps, numbered, run_within
from symgraph.optimizations.order import Sizes, Step
from symgraph.optimizations.schedule import Schedule, intervals, live_bytes, scheduled


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
    graph = numbered(steps, sizes, cost, keep)
    plain = scheduled(graph, range(len(steps)))
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
    graph = numbered(steps, sizes, cost, keep)
    plain = scheduled(graph, range(len(steps)))
    rungs = (_cheapest(graph, budget, below) for budget, below in reversed(_ladder(graph, plain.peak)))
    return next((found for found in rungs if found is not None), plain)


_RUNGS = 48
_POWERS = (0.5, 0.75)
"""Of the distance."""


def _bound(graph: Steps) -> int:
    """A step needs its own values, and what is kept and was written before it."""
    stays = highest = 0
    for reads, writes in zip(graph.reads, graph.writes, strict=True):
        own = [value for value in reads if not graph.kept[value]] + writes
        highest = max(highest, stays + sum(graph.size[value] for value in own))
        stays += sum(graph.size[value] for value in writes if graph.kept[value])
    return highest


def _ladder(graph: Steps, plain: int) -> list[tuple[int, int]]:
    """Budgets below the peak of the steps as given, each with the next lower one, from the highest to the lowest."""
    bound = _bound(graph)
    ratio = bound / max(plain, 1)
    rungs = {max(bound, int(plain * ratio ** (n / _RUNGS))) for n in range(1, _RUNGS)} | {bound}
    return list(pairwise([*sorted(rungs - {plain}, reverse=True), -1]))


def _cheapest(graph: Steps, budget: int, below: int) -> Schedule | None:
    """None where nothing fits, or where it would fit the next budget ``below`` too and is left to that.

    So a rung never depends on which others were tried. The second power is tried where the first has to run much
    again.
    """
    found = []
    for power in _POWERS:
        order = run_within(graph, budget, power)
        if order is not None:
            found.append(scheduled(graph, _without_needless(graph, order, budget)))
            if len(found[-1].order) < 1.5 * len(graph.reads):
                break
    found = [schedule for schedule in found if schedule.peak > below]
    return min(found, key=lambda schedule: schedule.extra, default=None)


def _without_needless(graph: Steps, order: list[int], budget: int) -> list[int]:
    """Without the repeats, from the last to the first, whose results could as well have stayed in memory."""
    if len(order) == len(graph.reads):
        return order
    live = live_bytes(graph, intervals(graph, order), len(order))
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
