"""Where the values of a plan live once its sizes are known: the order of steps, and who shares memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

from symgraph.errors import MemoryLimitError
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.types import TensorType
from symgraph.optimizations import order
from symgraph.optimizations.memory import Arena, Buffer, aligned, place
from symgraph.optimizations.plan import Kernel, Plan, Step, View
from symgraph.optimizations.recompute import schedules
from symgraph.optimizations.step_cost import step_cost

_PLACED = 3
"""How many orders are compared with all that values may share."""

Sizes = Mapping[Size, int]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """What one step asks of memory."""

    room: int | None = None
    """Bytes that it has to itself while it runs; None where the data decide it."""
    writes_into: bool = False
    """Whether it writes its results where it is told; else to memory of its own."""
    in_place: tuple[tuple[Node, Node], ...] = ()
    """What it reads, and what it writes, that may be the same memory."""


@dataclass(frozen=True, slots=True)
class Home:
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
    """The offset of what the step has to itself; None where it has nothing, or the data decide how much."""
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
    """How much of the work, by the cost of steps, is done again to keep within a limit."""

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
            lines.append(f"{self.extra:.1%} of the work is done again to keep within the limit")
        if self.elsewhere:
            lines.append(f"{self.elsewhere:,} bytes of the peak are allocated by libraries")
        unknown = sum(home.shape is None for turn in self.turns for home in turn.homes)
        if unknown:
            lines.append(f"{unknown} values are not counted, whose sizes the data decide")
        lines += [f"step {n}: {_label(turn.step)}" for n, turn in enumerate(self.turns)]
        return "\n".join([*lines, self.arena.table()]) if self.arena.buffers else "\n".join(lines)


@dataclass(slots=True)
class _Life:
    """A value from one of its writings to the last reading after it, as numbers of turns.

    What is kept to the end is written to the same place again.
    """

    node: Node
    written: list[int]
    last: int

    @property
    def first(self) -> int:
        return self.written[0]


def store(
    plan: Plan,
    sizes: Sizes,
    needs_of: Callable[[Step], Needs],
    donated: Collection[Node] = (),
    limit: int | None = None,
) -> Storage:
    """The storage of a plan whose sizes are known, but for those that the data decide.

    Results may take over the memory of what is ``donated``. Where the peak is above a ``limit``, steps run again
    instead of keeping what they wrote: the first of `recompute.schedules` that fits, so that a smaller limit never
    needs more. Raises MemoryLimitError, with the least that is possible, where none fits.
    """
    steps = [step for step in plan.steps if not isinstance(step, View)]
    values = _Values(plan, sizes, {step: needs_of(step) for step in steps}, donated)
    rows, bytes_, kept = _rows(steps, values)
    storage, found = min(
        (
            (_stored(values, [steps[n] for n in each]), each)
            for each in order.orders(rows, bytes_, kept)[:_PLACED]
        ),
        key=lambda pair: pair[0].peak,
    )
    steps, rows = [steps[n] for n in found], [rows[n] for n in found]
    if limit is None or storage.peak <= limit:
        return storage
    least = storage
    costs = [step_cost(step, sizes) if _may_repeat(step, values) else math.inf for step in steps]
    work = sum(step_cost(step, sizes) for step in steps)
    for schedule in schedules(rows, bytes_, costs, kept):
        storage = _stored(values, [steps[n] for n in schedule.order], schedule.extra / work)
        if storage.peak <= limit:
            return storage
        least = min(least, storage, key=lambda each: each.peak)
    raise MemoryLimitError(_impossible(limit, least))


def shape_of(node: Node, sizes: Sizes) -> Shape | None:
    """None where the data decide it, and for a tuple."""
    if not isinstance(node.type, TensorType):
        return None
    try:
        return tuple(evaluate_dim(dim, sizes) for dim in node.shape)
    except UnboundSize:
        return None


class _Values:
    """What is known of each value of a plan."""

    def __init__(
        self, plan: Plan, sizes: Sizes, needs: Mapping[Step, Needs], donated: Collection[Node]
    ) -> None:
        self.plan, self.needs, self.sizes = plan, needs, sizes
        self.results = frozenset(plan.results)
        self.views = {step.node: step for step in plan.steps if isinstance(step, View)}
        self.shape = {x: shape_of(x, sizes) for step in needs for x in step.writes}
        self.donated = {x: shape_of(x, sizes) for x in donated}
        self.arena = {
            x
            for step in needs
            if needs[step].writes_into
            for x in step.writes
            if self.shape[x] is not None and x not in self.results
        }

    def base(self, node: Node) -> Node:
        """The value that a view is taken of."""
        while node in self.views:
            node = node.inputs[0]
        return node

    def bytes(self, node: Node) -> int:
        shape = self.shape[node] if node in self.shape else self.donated[node]
        return 0 if shape is None else prod(shape) * node.dtype.itemsize

    def result_bytes(self, node: Node) -> int:
        shape = shape_of(node, self.sizes)
        return 0 if shape is None else prod(shape) * node.dtype.itemsize

    def is_alone(self, node: Node, step: Step) -> bool:
        """Whether nothing else that a step reads lies in the memory of this value."""
        return sum(self.base(x) is node for x in step.needs) == 1

    def before(self, step: Step) -> Iterator[Node]:
        """What is written before a step: what it reads, and what decides the sizes of the views that it reads."""
        waiting = list(step.needs)
        for x in waiting:
            if x in self.views:
                waiting += self.views[x].needs
            elif x in self.shape:
                yield x

    def reads(self, step: Step) -> list[Node]:
        """The values that a step reads and other steps write, through views."""
        return [x for x in dict.fromkeys(map(self.base, step.needs)) if x in self.shape]


def _rows(steps: Sequence[Step], values: _Values) -> tuple[list[order.Step], dict[int, int], set[int]]:
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


def _may_repeat(step: Step, values: _Values) -> bool:
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
    for node in nodes:
        for size in type_symbols(node.type):
            if isinstance(size.source, Node) and size.source is not node:
                yield size.source


def _stored(values: _Values, runs: Sequence[Step], extra: float = 0.0) -> Storage:
    steps = list(_with_views(values, runs))
    lives = list(_lives(values, steps))
    homed = [life for life in lives if life.node in values.arena]
    number = {(life.node, n): at for at, life in enumerate(homed) for n in life.written}
    buffers = [Buffer(_name(life.node), values.bytes(life.node), life.first, life.last) for life in homed]
    asked = {n: values.needs[step].room for n, step in enumerate(steps) if step in values.needs}
    rooms = {n: room for n, room in asked.items() if room}
    room_of = {n: len(buffers) + at for at, n in enumerate(rooms)}
    buffers += [Buffer(f"blocks of {_label(steps[n])}", room, n, n) for n, room in rooms.items()]
    arena = place(buffers, tuple(_pairs(values, steps, homed, number)))
    dead = _dead(values.results, steps)
    taken = _taken_over(values, steps)
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
        room = arena.offsets[room_of[n]] if n in room_of else None
        turns.append(Turn(step, tuple(homes), room, tuple(dead.get(n, ()))))
    results = dict.fromkeys(x for x in values.plan.results if x in values.shape or x in values.views)
    elsewhere = _elsewhere(values, lives, len(steps))
    return Storage(tuple(turns), arena, elsewhere, sum(map(values.result_bytes, results)), extra)


def _with_views(values: _Values, runs: Sequence[Step]) -> Iterator[Step]:
    """The steps, and before each the views that it reads of values written since."""
    valid: dict[Node, set[Node]] = {}

    def views(wanted: Sequence[Node]) -> Iterator[Step]:
        for x in wanted:
            chain = []
            base = values.base(x)
            while x in values.views and x not in valid.setdefault(base, set()):
                valid[base].add(x)
                chain.append(values.views[x])
                x = x.inputs[0]
            yield from reversed(chain)

    for step in runs:
        yield from views(step.needs)
        yield step
        for x in step.writes:
            valid.pop(x, None)
    yield from views(values.plan.results)


def _lives(values: _Values, steps: Sequence[Step]) -> Iterator[_Life]:
    open_: dict[Node, _Life] = {}
    kept = set(map(values.base, values.results))
    for n, step in enumerate(steps):
        for x in values.reads(step):
            open_[x].last = n
        if isinstance(step, View):
            continue
        for x in step.writes:
            if x in open_ and x in kept:
                open_[x].written.append(n)
                continue
            if x in open_:
                yield open_[x]
            open_[x] = _Life(x, [n], n)
    for x in kept & open_.keys():
        open_[x].last = len(steps) - 1
    yield from open_.values()


def _pairs(
    values: _Values, steps: Sequence[Step], homed: Sequence[_Life], number: Mapping[tuple[Node, int], int]
) -> Iterator[tuple[int, int]]:
    """Buffers that may take over from each other: nothing else that the step reads lies in the first."""
    ends = {(life.node, life.last): n for n, life in enumerate(homed)}
    for n, step in enumerate(steps):
        if step not in values.needs:
            continue
        for read, written in values.needs[step].in_place:
            if (read, n) in ends and (written, n) in number and values.is_alone(read, step):
                yield ends[read, n], number[written, n]


def _taken_over(values: _Values, steps: Sequence[Step]) -> dict[Node, Node]:
    """The results that lie in what is given up: for each, what dies in the step that writes it."""
    last = {values.base(x): n for n, step in enumerate(steps) for x in step.needs}
    free = set(values.donated) - set(map(values.base, values.results))
    found: dict[Node, Node] = {}
    for n, step in enumerate(steps):
        for read, written in values.needs[step].in_place if step in values.needs else ():
            if (
                read in free
                and last[read] == n
                and written in values.results
                and written not in found
                and values.bytes(read) == values.bytes(written)
                and values.is_alone(read, step)
            ):
                found[written] = read
                free.discard(read)
    return found


def _dead(results: Collection[Node], steps: Sequence[Step]) -> dict[int, list[Node]]:
    """What nothing reads after each step, before it is written again."""
    last: dict[Node, int] = {}
    found: dict[int, list[Node]] = {}
    for n, step in enumerate(steps):
        for x in step.writes:
            if x in last:
                found.setdefault(last[x], []).append(x)
            last[x] = n
        for x in step.needs:
            if x in last:
                last[x] = n
    for x, n in last.items():
        if x not in results:
            found.setdefault(n, []).append(x)
    return found


def _elsewhere(values: _Values, lives: Sequence[_Life], turns: int) -> int:
    """The most bytes of values that are no results and not in the arena."""
    change = [0] * (turns + 1)
    for life in lives:
        if life.node not in values.arena and life.node not in values.results:
            change[life.first] += aligned(values.bytes(life.node))
            change[life.last + 1] -= aligned(values.bytes(life.node))
    return max(accumulate(change))


def _label(step: Step) -> str:
    return step.name if isinstance(step, Kernel) else step.node.op.name


def _name(node: Node) -> str:
    place = f" ({node.origin.place})" if node.origin is not None else ""
    return f"{node.name or node.op.name}{place}"
