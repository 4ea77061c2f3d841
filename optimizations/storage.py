"""Where the values of a plan live once its sizes are known: the order of steps, and who shares memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from symgraph.errors import MemoryLimitError
from symgraph.graph.collector import paused
from symgraph.graph.node import Node, type_symbols
from symgraph.optimizations import order
from symgraph.optimizations.lives import (
    Needs,
    Shape,
    Sizes,
    Values,
    last_read,
    lives,
    most_elsewhere,
    pairs,
    taken_over,
    with_views,
)
from symgraph.optimizations.memory import Arena, Buffer, place
from symgraph.optimizations.plan import Kernel, Plan, Step, View
from symgraph.optimizations.recompute import schedules
from symgraph.optimizations.step_cost import step_cost
from symgraph.optimizations.thrift import thrifty

_PLACED = 3
"""How many orders are compared with all that values may share."""
_SMALL = 1 << 20
"""A peak of fewer bytes is not worth a thought."""
_ALLOWANCE = 0.01
"""The part of the work that may be done again for a lower peak where no limit asks for it."""


class Home(NamedTuple):
    """Where a value lies, and its shape; None where the data decide it."""

    shape: Shape | None
    offset: int | None
    """Bytes from the start of the arena; None for memory of the value's own."""
    over: Node | None = None
    """What is given and dies here, whose memory the value may take over."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One run of a step."""

    step: Step
    homes: tuple[Home, ...]
    """One for each value that the step writes."""
    room: int | None
    """The offset of what the step has to itself; None where the data decide how much that is."""
    dead: tuple[Node, ...]
    """What nothing reads any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """The steps of a plan in the order in which they run, and the memory of what they leave to each other."""

    turns: tuple[Turn, ...]
    arena: Arena
    elsewhere: int
    """The most bytes that libraries have allocated at one time for values of known sizes."""
    results: int
    """The bytes of the results."""
    extra: float = 0.0
    """How much of the work, by the cost of steps, is done again to hold less."""

    @property
    def peak(self) -> int:
        """Bytes above arguments, variables and results."""
        return self.arena.size + self.elsewhere

    @property
    def lower_bound(self) -> int:
        """The most bytes of the arena's values that are live at one step: no placing of them needs less."""
        return self.arena.lower_bound + self.elsewhere

    def svg(self) -> str:
        """A picture of the arena: steps to the right, offsets upward, one rectangle for each value."""
        return self.arena.svg()

    def __str__(self) -> str:
        """The peak beside the lower bound; the steps by number; who lives where and when."""
        lines = [f"peak {self.peak:,} bytes above arguments, variables and results ({self.results:,} bytes)"]
        lines.append(f"at least {self.lower_bound:,} bytes in this order of steps")
        if self.extra:
            lines.append(f"{self.extra:.1%} of the work is done again to hold less")
        if self.elsewhere:
            lines.append(f"{self.elsewhere:,} bytes of the peak are allocated by libraries")
        unknown = sum(home.shape is None for turn in self.turns for home in turn.homes)
        if unknown:
            lines.append(f"{unknown} values are not counted, whose sizes the data decide")
        lines += [f"step {n}: {_label(turn.step)}" for n, turn in enumerate(self.turns)]
        return "\n".join([*lines, self.arena.table()]) if self.arena.buffers else "\n".join(lines)


def store(
    plan: Plan,
    sizes: Sizes,
    needs_of: Callable[[Step], Needs],
    donated: Collection[Node] = (),
    limit: int | None = None,
) -> Storage:
    """The storage of a plan whose sizes are known, but for those that the data decide.

    Results may take over the memory of what is ``donated``. Steps run again instead of keeping what they wrote where
    that lowers the peak and costs next to nothing, and more of them where it is above a ``limit``: the first of
    `recompute.schedules` that fits, so that a smaller limit never needs more.
    Raises MemoryLimitError, with the least that is possible, where none fits.
    """
    with paused():
        return _store(plan, sizes, needs_of, donated, limit)


def _store(
    plan: Plan,
    sizes: Sizes,
    needs_of: Callable[[Step], Needs],
    donated: Collection[Node],
    limit: int | None,
) -> Storage:
    steps = [step for step in plan.steps if not isinstance(step, View)]
    values = Values(plan, sizes, {step: needs_of(step) for step in steps}, donated)
    if len(steps) == 1:  # it has one order, and nothing to do again
        storage = _stored(values, _placed(values, steps))
        if limit is None or storage.peak <= limit:
            return storage
        raise MemoryLimitError(_impossible(limit, storage))
    rows, bytes_, kept = _rows(steps, values)
    placed, found = min(
        (
            (_placed(values, [steps[n] for n in each]), each)
            for each in order.orders(rows, bytes_, kept)[:_PLACED]
        ),
        key=lambda pair: pair[0].peak,
    )
    storage = _stored(values, placed)
    steps, rows = [steps[n] for n in found], [rows[n] for n in found]
    if storage.peak < _SMALL and (limit is None or storage.peak <= limit):
        return storage
    work = [step_cost(step, sizes) for step in steps]
    costs = [cost if _may_repeat(step, values) else math.inf for step, cost in zip(steps, work, strict=True)]
    total = sum(work)
    thrift = thrifty(rows, bytes_, costs, _ALLOWANCE * total, kept)
    least = storage
    for schedule in chain([thrift], schedules(rows, bytes_, costs, kept)):
        if len(schedule.order) > len(steps):  # else it is placed already
            placed = _placed(values, [steps[n] for n in schedule.order])
            if placed.peak < least.peak:
                least = _stored(values, placed, schedule.extra / total)
        if limit is None or least.peak <= limit:
            return least
    assert limit is not None, "without one the first will do"
    raise MemoryLimitError(_impossible(limit, least))


def _rows(steps: Sequence[Step], values: Values) -> tuple[list[order.Step], dict[int, int], set[int]]:
    """Steps, the bytes of values and what is kept, by number, as `order` takes them.

    What a step has to itself is a value that nothing reads. Results are there anyway, and cost nothing.
    """
    ids = {x: n for n, x in enumerate(values.shape)}
    sizes = {n: 0 if x in values.results else values.bytes(x) for x, n in ids.items()}
    rows = []
    for step in steps:
        room = len(sizes)
        sizes[room] = values.needs[step].room or 0
        reads = dict.fromkeys([*values.before(step), *_deciders(step)])
        rows.append(
            order.Step(tuple(ids[x] for x in reads if x in ids), (*(ids[x] for x in step.writes), room))
        )
    return rows, sizes, {ids[x] for x in map(values.base, values.results) if x in ids}


def _may_repeat(step: Step, values: Values) -> bool:
    """Whether all that a step writes has known sizes."""
    return all(values.shape[x] is not None for x in step.writes)


def _impossible(limit: int, least: Storage) -> str:
    peak = least.arena.peak
    live = sorted(least.arena.live(peak) if peak is not None else (), key=lambda b: -b.size)
    held = ", ".join(f"{b.name} {b.size:,}" for b in live[:5])
    more = f" and {len(live) - 5} more" if len(live) > 5 else ""
    step = "" if peak is None else f": at {_label(least.turns[peak].step)} there are {held}{more}"
    return f"memory_limit is {limit:,} bytes, and the least that is possible is {least.peak:,}{step}"


def _deciders(step: Step) -> Iterator[Node]:
    """The nodes of other steps whose runs decide sizes that a step asks for."""
    nodes = step.nodes if isinstance(step, Kernel) else (step.node,)
    own = set(nodes)
    for type in {id(node.type): node.type for node in nodes}.values():
        for size in type_symbols(type):
            if isinstance(size.source, Node) and size.source not in own:
                yield size.source


@dataclass(slots=True, eq=False)
class _Placed:
    """Runs of steps and the memory that they take: enough to compare them."""

    steps: Sequence[Step]
    arena: Arena
    elsewhere: int
    number: Mapping[tuple[Node, int], int]
    """The buffer of what is written, by the turn that writes it."""
    room_of: Mapping[int, int]
    """The buffer of what a turn has to itself."""

    @property
    def peak(self) -> int:
        return self.arena.size + self.elsewhere


def _placed(values: Values, runs: Sequence[Step]) -> _Placed:
    steps = list(with_views(values, runs))
    spans = list(lives(values, steps))
    homed = [life for life in spans if life.node in values.arena]
    number = {(life.node, n): at for at, life in enumerate(homed) for n in life.written}
    names = values.names
    buffers = [Buffer(names[life.node], values.bytes(life.node), life.first, life.last) for life in homed]
    room_of = {}
    for n, step in enumerate(steps):
        if step in values.needs and (room := values.needs[step].room):
            room_of[n] = len(buffers)
            buffers.append(Buffer(f"blocks of {_label(step)}", room, n, n))
    arena = place(buffers, tuple(pairs(values, steps, homed, number)))
    return _Placed(steps, arena, most_elsewhere(values, spans, len(steps)), number, room_of)


def _stored(values: Values, placed: _Placed, extra: float = 0.0) -> Storage:
    steps, arena, number, room_of = placed.steps, placed.arena, placed.number, placed.room_of
    dead = last_read(values.results, steps)
    taken = taken_over(values, steps)
    turns = []
    for n, step in enumerate(steps):
        written = () if isinstance(step, View) else step.writes
        homes = (
            Home(
                values.shape[x],
                arena.offsets[number[x, n]] if (x, n) in number else None,
                taken.get(x),
            )
            for x in written
        )
        asked = values.needs[step].room if step in values.needs else None
        room = arena.offsets[room_of[n]] if n in room_of else asked
        turns.append(Turn(step, tuple(homes), room, tuple(dead.get(n, ()))))
    results = dict.fromkeys(x for x in values.plan.results if x in values.shape or x in values.views)
    return Storage(tuple(turns), arena, placed.elsewhere, sum(map(values.bytes, results)), extra)


def _label(step: Step) -> str:
    return step.name if isinstance(step, Kernel) else step.node.op.name
