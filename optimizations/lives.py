"""What is known of the values of a plan, and from when to when each is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import NamedTuple

from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.types import TensorType
from symgraph.ops.shape import expand_dims, reshape, squeeze
from symgraph.optimizations.memory import aligned
from symgraph.optimizations.plan import Plan, Step, View

Sizes = Mapping[Size, int]
Shape = tuple[int, ...]


class Needs(NamedTuple):
    """What one step asks of memory."""

    room: int | None = None
    """Bytes that it has to itself while it runs; None where the data decide it."""
    writes_into: bool = False
    """Whether it writes its results where it is told; else to memory of its own."""
    in_place: tuple[tuple[Node, Node], ...] = ()
    """What it reads, and what it writes, that may be the same memory."""


@dataclass(slots=True, eq=False)
class Life:
    """A value from one of its writings to the last reading after it, as numbers of turns.

    What is kept to the end is written to the same place again.
    """

    node: Node
    written: list[int]
    last: int

    @property
    def first(self) -> int:
        return self.written[0]


IN_ORDER = frozenset(f.op for f in (expand_dims, squeeze, reshape))
"""Views with the elements of what they are of in their order; those of a view are too, if that is such a one."""


class Values:
    """What is known of each value of a plan."""

    def __init__(
        self, plan: Plan, sizes: Sizes, needs: Mapping[Step, Needs], donated: Collection[Node]
    ) -> None:
        self.plan, self.needs, self.sizes = plan, needs, sizes
        self.results = frozenset(plan.results)
        self.views = {step.node: step for step in plan.steps if isinstance(step, View)}
        self._shapes: dict[tuple[Dim, ...], Shape | None] = {}
        self.shape = {x: self._shape_of(x) for step in needs for x in step.writes}
        self.donated = frozenset(donated)
        self._bases: dict[Step, Counter[Node]] = {}
        """How often each step reads what lies in the memory of a value."""
        # What is only seen as a result in another shape is one, and has memory of its own.
        shown = {self.base(x) for x in self.results if x in self.views and self._lies_in_order(x)}
        self.arena = {
            x
            for step in needs
            if needs[step].writes_into
            for x in step.writes
            if self.shape[x] is not None and x not in self.results and x not in shown
        }
        self.names = {x: _name(x) for x in self.arena}
        """What pictures and errors call them."""

    def _shape_of(self, node: Node) -> Shape | None:
        """As `shape_of` has it: most values have the sizes of some other."""
        if not isinstance(node.type, TensorType):
            return None
        sizes = node.type.shape
        if sizes not in self._shapes:
            self._shapes[sizes] = shape_of(node, self.sizes)
        return self._shapes[sizes]

    def _lies_in_order(self, node: Node) -> bool:
        """Whether a view has the elements of its base in their order, in a shape that is known."""
        while node in self.views:
            if node.op not in IN_ORDER or shape_of(node, self.sizes) is None:
                return False
            node = node.inputs[0]
        return True

    def base(self, node: Node) -> Node:
        """The value that a view is taken of."""
        while node in self.views:
            node = node.inputs[0]
        return node

    def bytes(self, node: Node) -> int:
        shape = self.shape[node] if node in self.shape else shape_of(node, self.sizes)
        return 0 if shape is None else prod(shape) * node.dtype.itemsize

    def is_alone(self, node: Node, step: Step) -> bool:
        """Whether nothing else that a step reads lies in the memory of this value."""
        if step not in self._bases:
            self._bases[step] = Counter(map(self.base, step.needs))
        return self._bases[step][node] == 1

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


def shape_of(node: Node, sizes: Sizes) -> Shape | None:
    """None where the data decide it, and for a tuple."""
    if not isinstance(node.type, TensorType):
        return None
    try:
        return tuple(evaluate_dim(dim, sizes) for dim in node.shape)
    except UnboundSize:
        return None


def with_views(values: Values, runs: Sequence[Step]) -> Iterator[Step]:
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


def lives(values: Values, steps: Sequence[Step]) -> Iterator[Life]:
    open_: dict[Node, Life] = {}
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
            open_[x] = Life(x, [n], n)
    for x in kept & open_.keys():
        open_[x].last = len(steps) - 1
    yield from open_.values()


def pairs(
    values: Values, steps: Sequence[Step], homed: Sequence[Life], number: Mapping[tuple[Node, int], int]
) -> Iterator[tuple[int, int]]:
    """Buffers that may take over from each other: nothing else that the step reads lies in the first."""
    ends = {(life.node, life.last): n for n, life in enumerate(homed)}
    for n, step in enumerate(steps):
        if step not in values.needs:
            continue
        for read, written in values.needs[step].in_place:
            if (read, n) in ends and (written, n) in number and values.is_alone(read, step):
                yield ends[read, n], number[written, n]


def taken_over(values: Values, steps: Sequence[Step]) -> dict[Node, Node]:
    """The results that lie in what is given up: for each, what dies in the step that writes it."""
    free = set(values.donated - set(map(values.base, values.results)))
    if not free:
        return {}
    last = {values.base(x): n for n, step in enumerate(steps) for x in step.needs}
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


def last_read(results: Collection[Node], steps: Sequence[Step]) -> dict[int, list[Node]]:
    """What nothing reads after each step, before it is written again."""
    last: dict[Node, int] = {}
    found: dict[int, list[Node]] = {}
    for n, step in enumerate(steps):
        for x in step.writes:
            if x in last and x not in results:
                found.setdefault(last[x], []).append(x)
            last[x] = n
        for x in step.needs:
            if x in last:
                last[x] = n
    for x, n in last.items():
        if x not in results:
            found.setdefault(n, []).append(x)
    return found


def most_elsewhere(values: Values, spans: Sequence[Life], turns: int) -> int:
    """The most bytes of values that are no results and not in the arena."""
    change = [0] * (turns + 1)
    for life in spans:
        if life.node not in values.arena and life.node not in values.results:
            change[life.first] += aligned(values.bytes(life.node))
            change[life.last + 1] -= aligned(values.bytes(life.node))
    return max(accumulate(change))


def _name(node: Node) -> str:
    place = f" ({node.origin.place})" if node.origin is not None else ""
    return f"{node.name or node.op.name}{place}"
