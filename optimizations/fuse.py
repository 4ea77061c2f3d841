"""Which nodes share a kernel, and the reason when they do not.

A kernel is a space of parallel rows and sweeps along each row. Every value of a kernel lies along some of its axes:
along all of them, along the rows, or along none. A reduction takes its argument along all axes and lies along the rows,
so that what feeds it, what follows it and further reductions of the same row are sweeps of one kernel: softmax is one.

Kernels grow from the inputs to the results: each node takes in the kernels that it reads, where axes agree and nothing
outside waits in between (greedy fusion as in XLA's; the test for cycles keeps the ancestors of each step as a set).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

from symgraph.graph.node import Node
from symgraph.graph.walk import toposort
from symgraph.optimizations.alignment import Axes, Read, own_axes
from symgraph.optimizations.groups import (
    LEAVES,
    MOST_ARRAYS,
    MOST_NODES,
    PLACES,
    REDUCTIONS,
    Cut,
    Group,
    Misfit,
    deciders,
    is_computed,
    lay_out,
    reads_of,
    rows_first,
)
from symgraph.optimizations.repeat import repeat_cheap
from symgraph.optimizations.spaces import check_order, check_places, joint, pairs_of, renamed, united

MOST_SIBLINGS = 16
"""With how many kernels over an equal space one is compared."""


def fused(roots: Iterable[Node], *, libraries: bool = True) -> tuple[list[Group], list[Cut]]:
    """The steps that compute the roots, each after those that it needs; and the values that pass between them.

    Where ``libraries`` can be called, they are for what they do as well as kernels.
    """
    return _Fusion(libraries).run(list(roots))


def apart(roots: Iterable[Node]) -> list[Group]:
    """A step for each node: what fusion has to be better than."""
    return _Fusion().run_apart(list(roots))


class _Fusion:
    def __init__(self, libraries: bool = True) -> None:
        self._libraries = libraries
        self._group: dict[Node, Group] = {}
        self._groups: dict[Group, None] = {}
        self._numbered: list[Group] = []
        self._why: dict[tuple[Node, Node], str] = {}
        self._reads: dict[Node, tuple[Read, ...]] = {}
        self._deps: dict[Node, tuple[Node, ...]] = {}
        self._readers: defaultdict[Node, list[Node]] = defaultdict(list)
        self._place: dict[Node, int] = {}

    def run_apart(self, roots: list[Node]) -> list[Group]:
        for node in toposort(roots, needs=self._needs):
            if node.op not in LEAVES:
                self._add(node)
                self._number(node)
        self._place = {x: i for i, x in enumerate(self._group)}
        return self._ordered()

    def run(self, roots: list[Node]) -> tuple[list[Group], list[Cut]]:
        for node in toposort(roots, needs=self._needs):
            if node.op not in LEAVES:
                self._enter(node)
        self._join_siblings()
        self._place = {x: i for i, x in enumerate(self._group)}
        self._sort_members()
        between = {(self._group[x], self._group[node]): why for (x, node), why in self._why.items()}
        self._groups = dict.fromkeys(repeat_cheap(self._groups, roots))
        self._sort_members()
        for group in self._groups:
            self._group |= {node: group for node in group.members if node not in self._group[node].along}
        for group in self._groups:
            group.is_kernel = group.is_kernel and not (self._libraries and self._is_call(group))
        return self._ordered(), list(self._cuts(between))

    def _is_call(self, group: Group) -> bool:
        """Whether a library does as well: it finds the place of an extremum, alone, of what no kernel computes."""
        node, *more = group.members
        if more or node.op not in PLACES or group.reads[node][0].source is not node.inputs[0]:
            return False
        source = self._group.get(node.inputs[0])
        return source is None or not source.is_kernel

    def _needs(self, node: Node) -> tuple[Node, ...]:
        """What a node reads, and what decides its sizes; each once."""
        known = self._deps.get(node)
        if known is None:
            every: Iterable[Node] = node.deps
            if is_computed(node):
                reads = self._reads[node] = reads_of(node)
                every = (*[read.source for read in reads], *deciders(node))
            known = self._deps[node] = tuple(dict.fromkeys(every))
        return known

    # Growing

    def _enter(self, node: Node) -> None:
        """Make a step of a node, and one of it and the kernels that it reads where that can be."""
        reads = [read for read in self._reads.get(node, ()) if read.source in self._group]
        if len(reads) > 1:
            found = {read.source: read for read in reads}
            reads = sorted(found.values(), key=lambda read: -read.source.ndim)
        done = self._joined(node, reads)
        if self._group.get(node) is None:
            self._add(node)
        for read in reads[done:]:
            self._take_in(node, read)
        self._number(node)

    def _joined(self, node: Node, reads: Sequence[Read]) -> int:
        """Add a node to the first kernel of those it reads that is not too large already, if `_join` does; how many
        of the reads are dealt with then."""
        for done, read in enumerate(reads):
            kernel = self._group[read.source]
            if not kernel.is_kernel:
                return done
            why = _too_large(kernel.sources, self._deps[node], len(kernel.members) + 1)
            if why is None:
                return done + self._join(node, read)
            self._why[read.source, node] = why
        return len(reads)

    def _join(self, node: Node, read: Read) -> bool:
        """Add a node to a kernel that it reads and that has room for it, where it lies as what it reads does; whether
        that can be.

        `_take_in` comes to the same, of a kernel of this node alone and by way of more questions.
        """
        source, kernel = read.source, self._group[read.source]
        deps = self._deps[node]
        if len(kernel.members) == 1 or node.op in REDUCTIONS:
            return False
        if node.shape != source.shape or read.axes != own_axes(node.shape):
            return False
        before = 0
        outside = []
        for x in deps:
            group = self._group.get(x)
            if group is not kernel:
                outside.append(x)
                if group is not None:
                    before |= group.bits | group.before
        if before & kernel.bits:
            return False
        along = kernel.along[source]
        for each in self._reads[node]:
            inside = each is not read and self._group.get(each.source) is kernel
            if inside and each.along(along) != kernel.along[each.source]:
                return False
        self._group[node] = kernel
        self._note_readers(node)
        kernel.members.append(node)
        kernel.along[node], kernel.reads[node] = along, self._reads[node]
        kernel.sources.update(outside)
        if before & ~kernel.before:
            kernel.before |= before
            self._tell_readers(kernel)
        return True

    def _add(self, node: Node) -> None:
        """A step of this node alone."""
        group = Group(0, 0, [node], sources=set(self._deps[node]))
        self._groups[group] = None
        self._group[node] = group
        self._note_readers(node)
        for source in group.sources:
            before = self._group.get(source)
            if before is not None:
                group.before |= before.bits | before.before
        if node in self._reads:
            group.reads[node] = self._reads[node]
            lay_out(group, node)

    def _note_readers(self, node: Node) -> None:
        for source in self._deps[node]:
            self._readers[source].append(node)

    def _number(self, node: Node) -> None:
        """Give the step of a node a number, unless it was merged with one that has; the steps that it reads know it.

        What has just been added runs before nothing, so that nobody asks for its number until then.
        """
        group = self._group[node]
        if not group.bits:
            group.bits = 1 << len(self._numbered)
            self._numbered.append(group)
        number = group.bits.bit_length() - 1
        for source in self._deps[node]:
            other = self._group.get(source)
            if other is not None and other is not group:
                other.readers.add(number)

    def _take_in(self, node: Node, read: Read) -> None:
        reader, producer = self._group[node], self._group[read.source]
        if reader is producer:
            return
        try:
            if not producer.is_kernel:
                raise Misfit(f"{read.source.op.name} is no part of a kernel")
            self._check_size(producer, reader)
            if self._waits_between(producer, reader):
                raise Misfit("another step between them needs the one and is needed by the other")
            if not self._absorb(node, read):
                self._merge(reader, producer, pairs_of(reader, node, producer, read))
        except Misfit as misfit:
            self._why[read.source, node] = str(misfit)

    def _absorb(self, node: Node, read: Read) -> bool:
        """Add the one node of a kernel to the kernel that reads it, where it lies as its reader does; whether that can
        be. `_merge` comes to the same by way of more questions."""
        source, along = read.source, self._group[node].along[node]
        reader, producer = self._group[node], self._group[source]
        if len(producer.members) > 1 or producer.reduces or node in reader.over:
            return False
        if node.shape != source.shape or read.axes != own_axes(node.shape):
            return False
        for each in self._that_read(reader, producer):
            mine = reader.over[each] if each in reader.over else reader.along[each]
            if any(x.source is source and x.along(mine) != along for x in self._reads[each]):
                return False
        reader.members.append(source)
        reader.along[source], reader.reads[source] = along, self._reads[source]
        self._unite(reader, producer)
        return True

    def _merge(self, reader: Group, producer: Group, pairs: dict[int, int]) -> None:
        """Make one kernel of two; ``pairs`` says which axes of the producer are which of the reader."""
        into, other = reader, producer
        if len(reader.members) < len(producer.members):
            into, other, pairs = producer, reader, {b: a for a, b in pairs.items()}
        names = united(into, other, pairs)
        along, over = renamed(other.along, names), renamed(other.over, names)
        sizes, domains, inner = joint(into, other, names)
        if into is reader:
            self._check(reader, producer, along)
        else:
            self._check(reader, producer, into.along, along, over)
        if inner and not (into.reduces or other.reduces):
            check_order(
                along.values() if inner == into.inner else (*along.values(), *into.along.values()), inner
            )
        if sizes is not into.sizes:
            sizes = rows_first(sizes, inner)
            check_places({**into.over, **over}, [axis for axis in sizes if axis in inner])
        into.along.update(along)
        into.over.update(over)
        into.reads.update(other.reads)
        into.sizes, into.inner, into.domains = sizes, inner, domains
        into.reduces |= other.reduces
        into.members += other.members
        self._unite(into, other)

    def _unite(self, into: Group, other: Group) -> None:
        bits, before = into.bits | other.bits, into.before | other.before
        news = before & ~(into.before | into.bits) | before & ~(other.before | other.bits)
        into.bits, into.before = bits, before & ~bits
        for node in other.members:
            self._group[node] = into
        into.sources.difference_update(other.along)
        into.sources.update([x for x in other.sources if self._group.get(x) is not into])
        del self._groups[other]
        for number in _numbers(other.bits):
            self._numbered[number] = into
        into.readers |= other.readers
        if news:
            self._tell_readers(into)

    def _tell_readers(self, group: Group) -> None:
        """What runs before a step runs before those that read it."""
        waiting = [group]
        while waiting:
            group = waiting.pop()
            for reader in {self._numbered[number] for number in group.readers} - {group}:
                if group.before & ~reader.before:
                    reader.before |= group.before
                    waiting.append(reader)

    def _waits_between(self, producer: Group, reader: Group) -> bool:
        if producer.before & reader.bits:
            return True
        bits = producer.bits
        first = bits & -bits  # most steps run after nothing that new, and a comparison is quick
        for x in reader.sources:
            group = self._group.get(x)
            if group is not None and group.before >= first and group is not producer and group.before & bits:
                return True
        return False

    def _check_size(self, first: Group, second: Group) -> None:
        why = _too_large(first.sources, second.sources, len(first.members) + len(second.members))
        if why is not None:
            raise Misfit(why)

    def _check(
        self,
        reader: Group,
        producer: Group,
        lies: Mapping[Node, Axes],
        along: Mapping[Node, Axes] | None = None,
        over: Mapping[Node, Axes] | None = None,
    ) -> None:
        """Whether every reader finds what it reads of the producer where that ``lies``; the reader's own nodes lie
        where they do, or ``along`` and ``over`` other axes."""
        along, over = along or reader.along, over or reader.over
        for node in self._that_read(reader, producer):
            mine = over[node] if node in over else along[node]
            for read in self._reads[node]:
                source = read.source
                if self._group.get(source) is producer and read.along(mine) != lies[source]:
                    raise Misfit(f"{node.op.name} reads {source.op.name} along other axes")

    def _that_read(self, reader: Group, producer: Group) -> list[Node]:
        """The members of the one that may read the other."""
        if len(reader.members) == 1:
            return reader.members
        if len(producer.members) < len(reader.sources):
            sources = [x for x in producer.members if x in reader.sources]
        else:
            sources = [x for x in reader.sources if self._group.get(x) is producer]
        return [node for x in sources for node in self._readers[x] if self._group[node] is reader]

    # Side by side

    def _join_siblings(self) -> None:
        """One kernel of those over equal spaces that do not need each other: all updates of parameters of one shape.

        What others read is joined with what may run at the same time alone, for all inputs of a kernel are in memory
        at once.
        """
        spaces: dict[tuple[object, ...], list[Group]] = {}
        levels = self._levels()
        for group in [group for group in self._groups if group.is_kernel]:
            is_read = any(self._numbered[number] is not group for number in group.readers)
            level = levels[group] if is_read else None
            key = (tuple(group.sizes.values()), len(group.inner), group.reduces, level)
            kernels = spaces.setdefault(key, [])
            for sibling in kernels[-MOST_SIBLINGS:]:
                if sibling.before & group.bits or group.before & sibling.bits:
                    continue
                try:
                    self._check_size(sibling, group)
                    self._merge(sibling, group, dict(zip(group.sizes, sibling.sizes, strict=True)))
                except Misfit:
                    continue
                if self._group[group.members[0]] is not sibling:
                    kernels[kernels.index(sibling)] = group
                break
            else:
                kernels.append(group)

    def _levels(self) -> dict[Group, int]:
        """How many steps each waits for, one after the other."""
        levels = dict.fromkeys(self._groups, 0)
        for node, group in self._group.items():
            for source in self._deps[node]:
                before = self._group.get(source)
                if before is not None and before is not group:
                    levels[group] = max(levels[group], levels[before] + 1)
        return levels

    # Results

    def _sort_members(self) -> None:
        for group in self._groups:
            group.members.sort(key=self._place.__getitem__)

    def _ordered(self) -> list[Group]:
        """Each step after those that it reads; of those that are ready, the one whose nodes were met first."""
        place = self._place
        missing: dict[Group, set[Group]] = {}
        readers: dict[Group, list[Group]] = {}
        ready: list[tuple[int, Group]] = []
        for group in self._groups:
            missing[group] = {self._group[x] for x in group.sources if x in self._group}
            for other in missing[group]:
                readers.setdefault(other, []).append(group)
            if not missing[group]:
                heappush(ready, (place[group.members[-1]], group))
        order = []
        while ready:
            _, group = heappop(ready)
            order.append(group)
            for reader in readers.get(group, ()):
                missing[reader].discard(group)
                if not missing[reader]:
                    heappush(ready, (place[reader.members[-1]], reader))
        assert len(order) == len(self._groups), "steps wait for each other"
        return order

    def _cuts(self, between: Mapping[tuple[Group, Group], str]) -> Iterator[Cut]:
        """The values that pass between kernels; ``between`` says why two are not one."""
        for node, group in self._group.items():
            for source in self._deps[node] if group.is_kernel else ():
                other = self._group.get(source)
                if other is None or other is group or source in group.along:
                    continue
                if other.is_kernel:
                    why = self._why.get((source, node)) or between.get((other, group))
                    yield Cut(source, node, why or "their kernels could not be one")


_MANY_ARRAYS = f"together they read more than {MOST_ARRAYS} arrays"
_MANY_NODES = f"together they have more than {MOST_NODES} operations"


def _too_large(first: set[Node], second: Collection[Node], members: int) -> str | None:
    """Why two kernels that read these are not one of so many members; None where they can be."""
    if len(first) + len(second) > MOST_ARRAYS and len(first.union(second)) > MOST_ARRAYS:
        return _MANY_ARRAYS
    return _MANY_NODES if members > MOST_NODES else None


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
