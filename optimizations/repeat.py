"""Cheap values that kernels compute again rather than read: the slope of tanh, beside the gradient that it scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.optimizations.alignment import Axes, Read
from symgraph.optimizations.cost import BYTE, OPERATION, elements, node_cost
from symgraph.optimizations.groups import MOST_ARRAYS, MOST_NODES, Group, deciders

MOST_REPEATED = 8
"""How many nodes are computed again for one value."""


def repeat_cheap(groups: Iterable[Group], results: Iterable[Node]) -> list[Group]:
    """The groups that are left, once each value that only other kernels read is computed by these where fewer bytes
    move and that is worth the work."""
    return _Moves(list(groups), set(results)).run()


class _Cone(NamedTuple):
    """What computes a value, readers first, from values that are written anyway."""

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]


class _Moves:
    def __init__(self, groups: list[Group], results: set[Node]) -> None:
        self._groups, self._results = groups, results
        self._readers: dict[Node, dict[Group, list[Node]]] = {}
        """The groups that read a value from outside, and their nodes that do."""
        self._counts: Counter[Node] = Counter()
        """How often nodes of the group that is looked at read a value."""
        for group in groups:
            for source in group.sources:
                self._readers.setdefault(source, {})[group] = []
            along = group.along
            for node, reads in group.reads.items():
                for read in reads:
                    if read.source not in along:
                        self._readers[read.source][group].append(node)

    def run(self) -> list[Group]:
        for group in self._groups:
            if group.is_kernel:
                self._run(group)
        return [group for group in self._groups if group.members]

    def _run(self, group: Group) -> None:
        values = [x for x in reversed(group.members) if x not in self._results and self._readers.get(x)]
        if not values:
            return
        count = len(group.along)
        self._counts = Counter(read.source for reads in group.reads.values() for read in reads)
        for value in values:
            if value in group.along and self._readers[value]:
                self._move(value, group)
        if len(group.along) < count:
            self._shrink(group)

    def _note(self, group: Group, node: Node, reads: Iterable[Read]) -> None:
        """The node of the group reads what is not in it."""
        for read in reads:
            if read.source not in group.along:
                self._readers.setdefault(read.source, {}).setdefault(group, []).append(node)

    def _move(self, value: Node, group: Group) -> None:
        readers = self._readers[value]
        stays = self._counts[value] > 0
        times = len(readers) - (not stays)
        most = BYTE * (_bytes(value) * (len(readers) + 1))
        if OPERATION * node_cost(value) * times > most:  # whatever else would be computed again
            return
        cone = self._cone(value, group)
        if cone is None or not all(reader.is_kernel for reader in readers):
            return
        found = [_placed(value, cone, group, reader, nodes) for reader, nodes in readers.items()]
        placed = [axes for axes in found if axes is not None]
        if len(placed) < len(readers):
            return
        saved = _bytes(value) * (len(readers) + 1)
        saved -= sum(_bytes(leaf) for reader in readers for leaf in cone.leaves if leaf not in reader.sources)
        work = sum(map(node_cost, cone.nodes)) * times
        if saved <= 0 or OPERATION * work > BYTE * saved:
            return
        del self._readers[value]
        for reader, axes in zip(readers, placed, strict=True):
            self._compute(value, cone, group, reader, axes)
        self._drop(value, group)

    def _cone(self, value: Node, group: Group) -> _Cone | None:
        """None where more than a few nodes would be computed again, or a reduction."""
        nodes, leaves = [value], dict[Node, None]()
        seen = {value}
        for node in nodes:
            if node in group.over or deciders(node) or len(nodes) > MOST_REPEATED:
                return None
            for source in (read.source for read in group.reads[node]):
                if source in group.along and not self._readers.get(source) and source not in self._results:
                    if source not in seen:
                        seen.add(source)
                        nodes.append(source)
                elif source.op is not CONSTANT:
                    leaves[source] = None
        return _Cone(tuple(nodes), tuple(leaves))

    def _compute(
        self, value: Node, cone: _Cone, group: Group, reader: Group, placed: dict[Node, Axes]
    ) -> None:
        """Let the reader compute the value."""
        new = [node for node in cone.nodes if node not in reader.along]
        reader.members += new
        reader.along |= placed
        reader.reads |= {node: group.reads[node] for node in new}
        reader.sources.discard(value)
        reader.sources.update(cone.leaves)
        for node in new:
            self._note(reader, node, group.reads[node])

    def _drop(self, value: Node, group: Group) -> None:
        """Leave out a value that nothing reads any more, and what nothing reads then."""
        waiting = [value]
        for node in waiting:
            if (
                node not in group.along
                or self._counts[node]
                or node in self._results
                or self._readers.get(node)
            ):
                continue
            del group.along[node]
            group.over.pop(node, None)
            for read in group.reads.pop(node):
                self._counts[read.source] -= 1
                waiting.append(read.source)

    def _shrink(self, group: Group) -> None:
        """The members that are left, and what these need."""
        group.members = [node for node in group.members if node in group.along]
        used = {axis for axes in (*group.along.values(), *group.over.values()) for axis in axes}
        group.sizes = {axis: size for axis, size in group.sizes.items() if axis in used}
        left = frozenset(group.sizes)
        group.inner &= left
        group.domains = {domain & left for domain in group.domains}
        sources = {
            x for node in group.members for x in (*(r.source for r in group.reads[node]), *deciders(node))
        }
        for source in group.sources - sources:
            self._readers[source].pop(group, None)
        group.sources = {x for x in sources if x not in group.along}


def _placed(
    value: Node, cone: _Cone, group: Group, reader: Group, nodes: Iterable[Node]
) -> dict[Node, Axes] | None:
    """Along which axes of the reader, whose ``nodes`` read the value, the cone lies; None where they are not those of
    its own nodes."""
    placed: dict[Node, Axes] = {}
    for node in nodes:
        for read in reader.reads.get(node, ()):  # none where the node was left out
            if read.source is value:
                axes = read.along(reader.over[node] if node in reader.over else reader.along[node])
                if placed.setdefault(value, axes) != axes:
                    return None
    inside = set(cone.nodes)
    for node in cone.nodes:
        for read in group.reads[node]:
            if read.source in inside:
                axes = read.along(placed[node])
                if placed.setdefault(read.source, axes) != axes:
                    return None
    fits = len(reader.sources) + len(cone.leaves) <= MOST_ARRAYS and len(reader.members) < MOST_NODES
    return placed if fits and all(_fits(node, axes, reader) for node, axes in placed.items()) else None


def _fits(node: Node, axes: Axes, reader: Group) -> bool:
    """Whether the axes are all of the reader's, those of its rows, or none, and of its sizes."""
    if node in reader.along:
        return reader.along[node] == axes
    own = [axis for axis in axes if axis is not None]
    if own and frozenset(own) not in reader.domains:
        return False
    return all(
        size == (1 if axis is None else reader.sizes[axis])
        for size, axis in zip(node.shape, axes, strict=True)
    )


def _bytes(node: Node) -> int:
    return elements(node) * node.dtype.itemsize
