"""An order of steps that keeps the memory of their values low."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate
from typing import NamedTuple

from symgraph.optimizations.memory import aligned


class Step(NamedTuple):
    """What one step reads and writes, by the ids of the values. No two steps write the same value."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]


Sizes = Mapping[int, int] | Sequence[int]
"""The bytes of each value by its id."""


def order(steps: Sequence[Step], sizes: Sizes, keep: Collection[int] = ()) -> list[int]:
    """The positions of ``steps`` in an order in which every value is written before it is read.

    The steps as given must be in such an order; their peak is never exceeded, and they stay as they are unless it
    falls. A value is live from the step that writes it to its last reader, or to the end where it is in ``keep``;
    values that no step writes are given from outside and cost nothing.

    The best of four others is tried: always the step that frees most or adds least (list scheduling by the change in
    memory); the same from the last step to the first; and depth first, of the operands of a step first the one that
    needs most beyond what it leaves (Sethi & Ullman 1970, "The generation of optimal code for arithmetic expressions";
    for values of different sizes Liu 1986, "On the storage requirement in the out-of-core multifrontal method for
    sparse factorization": the best depth-first order of a tree; Liu 1987, "An application of generalized tree
    pebbling to sparse matrix factorization", has the best of all). On graphs the problem is NP-complete (Sethi 1975,
    "Complete register allocation problems").

    Here both large values would be live at once, and need not be:

    >>> steps = [Step((), (0,)), Step((), (1,)), Step((0,), (2,)), Step((1,), (3,)), Step((2, 3), (4,))]
    >>> sizes = [4096, 4096, 64, 64, 64]
    >>> order(steps, sizes)
    [0, 2, 1, 3, 4]
    >>> peak(steps, sizes), peak(steps, sizes, schedule=order(steps, sizes))
    (8256, 4224)
    """
    return orders(steps, sizes, keep)[0]


def orders(steps: Sequence[Step], sizes: Sizes, keep: Collection[int] = ()) -> list[list[int]]:
    """All that are tried, the lowest peak first; the steps as given alone, where nothing can be lower."""
    graph = _graph(steps, sizes, keep)
    given = list(range(len(steps)))
    found = {tuple(given): _peak(graph, given)}
    bound = _bound(graph)
    for schedule in (_depth_first, _depth_first_by_level, _backward, _forward):
        if min(found.values()) <= bound:
            break
        order = schedule(graph)
        found.setdefault(tuple(order), _peak(graph, order))
    return [list(order) for order in sorted(found, key=found.__getitem__)]


def peak(
    steps: Sequence[Step], sizes: Sizes, keep: Collection[int] = (), schedule: Iterable[int] | None = None
) -> int:
    """The most bytes that are live at one step, of aligned sizes; the steps run as given, or in another order."""
    return _peak(_graph(steps, sizes, keep), range(len(steps)) if schedule is None else schedule)


class _Graph(NamedTuple):
    """Steps and the values that cost something."""

    reads: list[list[int]]
    """The values of each step that another step writes."""
    writes: list[tuple[int, ...]]
    readers: dict[int, list[int]]
    writer: dict[int, int]
    size: dict[int, int]
    keep: frozenset[int]


def _graph(steps: Sequence[Step], sizes: Sizes, keep: Collection[int]) -> _Graph:
    writer = {value: n for n, step in enumerate(steps) for value in step.writes}
    assert len(writer) == sum(len(step.writes) for step in steps), "two steps write one value"
    reads = [[value for value in dict.fromkeys(step.reads) if value in writer] for step in steps]
    readers: dict[int, list[int]] = {value: [] for value in writer}
    for n, values in enumerate(reads):
        for value in values:
            assert writer[value] < n, f"step {n} reads value {value} before it is written"
            readers[value].append(n)
    return _Graph(
        reads=reads,
        writes=[step.writes for step in steps],
        readers=readers,
        writer=writer,
        size={value: aligned(sizes[value]) for value in writer},
        keep=frozenset(keep) & writer.keys(),
    )


def _peak(graph: _Graph, order: Iterable[int]) -> int:
    left = {value: len(readers) + (value in graph.keep) for value, readers in graph.readers.items()}
    size = graph.size
    live = highest = 0
    for n in order:
        for value in graph.writes[n]:
            live += size[value]
        highest = max(highest, live)
        for value in graph.writes[n]:
            if not left[value]:
                live -= size[value]
        for value in graph.reads[n]:
            left[value] -= 1
            if not left[value]:
                live -= size[value]
    return highest


def _bound(graph: _Graph) -> int:
    """No order has a lower peak: a step needs its own values, and what is kept is there at the end."""
    size = graph.size
    own = (
        sum(size[value] for value in reads) + sum(size[value] for value in writes)
        for reads, writes in zip(graph.reads, graph.writes, strict=True)
    )
    return max(max(own, default=0), sum(size[value] for value in graph.keep))


def _forward(graph: _Graph) -> list[int]:
    """From the first step to the last, what changes the live bytes least comes first, then what was given first."""
    size = graph.size
    left = {value: len(readers) + (value in graph.keep) for value, readers in graph.readers.items()}
    change = [sum(size[value] for value in writes if left[value]) for writes in graph.writes]
    waits = [len(reads) for reads in graph.reads]
    for value, readers in graph.readers.items():
        if left[value] == 1 and readers:
            change[readers[0]] -= size[value]

    done = [False] * len(waits)

    def run(n: int) -> Iterable[int]:
        done[n] = True
        for value in graph.writes[n]:
            for reader in graph.readers[value]:
                waits[reader] -= 1
                yield reader
        for value in graph.reads[n]:
            left[value] -= 1
            if left[value] == 1 and value not in graph.keep:
                last = next(reader for reader in graph.readers[value] if not done[reader])
                change[last] -= size[value]
                yield last

    return _listed(waits, change, run, 1)


def _backward(graph: _Graph) -> list[int]:
    """From the last step to the first, what changes the live bytes least comes next, then what was given last."""
    size = graph.size
    live = set(graph.keep)
    waits = [sum(len(graph.readers[value]) for value in writes) for writes in graph.writes]
    change = [
        sum(size[value] for value in reads if value not in live)
        - sum(size[value] for value in writes if graph.readers[value] or value in live)
        for reads, writes in zip(graph.reads, graph.writes, strict=True)
    ]

    def run(n: int) -> Iterable[int]:
        for value in graph.reads[n]:
            waits[graph.writer[value]] -= 1
            yield graph.writer[value]
            if value not in live:
                live.add(value)
                for reader in graph.readers[value]:
                    change[reader] -= size[value]
                    yield reader

    return _listed(waits, change, run, -1)[::-1]


def _listed(
    waits: list[int], change: list[int], run: Callable[[int], Iterable[int]], direction: int
) -> list[int]:
    """The order of taking, among the steps that wait for nothing, the one of least ``change``.

    ``run`` does what a step does to both lists, and tells the steps that it touched. Among equals the first one is
    taken where ``direction`` is 1, and the last where it is -1.
    """
    ready = [(change[n], direction * n) for n, wait in enumerate(waits) if not wait]
    heapify(ready)
    found = []
    taken = [False] * len(waits)
    while ready:
        now, place = heappop(ready)
        n = direction * place
        if taken[n] or now != change[n]:
            continue
        taken[n] = True
        found.append(n)
        for touched in set(run(n)):
            if not waits[touched] and not taken[touched]:
                heappush(ready, (change[touched], direction * touched))
    return found


def _depth_first(graph: _Graph) -> list[int]:
    """Operands before what reads them, as late as possible, the one that leaves the most room first."""
    parts, room, _ = _trees(graph)
    return _walked(graph, parts, sorted(_ends(graph), key=lambda n: (-room[n], n), reverse=True))


def _depth_first_by_level(graph: _Graph) -> list[int]:
    """The same, where of the ends that nobody reads the ones that wait for least come first: the slope of a weight
    before those of the layers below."""
    parts, _, level = _trees(graph)
    return _walked(graph, parts, sorted(_ends(graph), key=lambda n: (level[n], n), reverse=True))


def _trees(graph: _Graph) -> tuple[list[list[int]], list[int], list[int]]:
    """For each step the steps that it needs, in their order; what it needs beyond what it leaves; and its depth."""
    size = graph.size
    high: list[int] = []  # the most that is live on the way to each step's results, were the graph a tree
    held: list[int] = []  # what stays
    parts: list[list[int]] = []
    level: list[int] = []
    for n, reads in enumerate(graph.reads):
        operands = sorted({graph.writer[value] for value in reads}, key=lambda m: (held[m] - high[m], m))
        before = [0, *accumulate(held[m] for m in operands)]
        own = before[-1] + sum(size[value] for value in graph.writes[n])
        on_the_way = (below + high[m] for below, m in zip(before, operands, strict=False))
        high.append(max(own, max(on_the_way, default=0)))
        stays = (value for value in graph.writes[n] if graph.readers[value] or value in graph.keep)
        held.append(sum(size[value] for value in stays))
        parts.append(operands)
        level.append(1 + max((level[m] for m in operands), default=-1))
    return parts, [top - rest for top, rest in zip(high, held, strict=True)], level


def _ends(graph: _Graph) -> list[int]:
    return [n for n, writes in enumerate(graph.writes) if not any(graph.readers[value] for value in writes)]


def _walked(graph: _Graph, parts: Sequence[Sequence[int]], waiting: list[int]) -> list[int]:
    """Depth first from the ends, the last one first."""
    found = []
    opened, done = bytearray(len(parts)), bytearray(len(parts))
    while waiting:
        n = waiting[-1]
        if not opened[n]:
            opened[n] = True
            waiting += [m for m in reversed(parts[n]) if not opened[m]]
            continue
        waiting.pop()
        if not done[n]:
            done[n] = True
            found.append(n)
    return found
