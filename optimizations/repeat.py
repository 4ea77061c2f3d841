"""Cheap values that kernels compute again rather than read: the slope of tanh, beside the gradient that it scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Cone:
    """What computes a value, readers first, from values that are written anyway."""

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]


class _Moves:
    def __init__(self, groups: list[Group], results: set[Node]) -> None:
        self._groups, self._results = groups, results
        self._readers: dict[Node, dict[Group, None]] = {}
        for group in groups:
            for source in group.sources:
                self._readers.setdefault(source, {})[group] = None

    def run(self) -> list[Group]:
        for group in self._groups:
            for value in reversed(group.members) if group.is_kernel else ():
                if value in group.along and value not in self._results and self._readers.get(value):
                    self._move(value, group)
        return [group for group in self._groups if group.members]

    def _move(self, value: Node, group: Group) -> None:
        readers = list(self._readers[value])
        cone = self._cone(value, group)
        if cone is None or not all(reader.is_kernel for reader in readers):
            return
        found = [_placed(value, cone, group, reader) for reader in readers]
        placed = [axes for axes in found if axes is not None]
        if len(placed) < len(readers):
            return
        saved = _bytes(value) * (len(readers) + 1)
        saved -= sum(_bytes(leaf) for reader in readers for leaf in cone.leaves if leaf not in reader.sources)
        stays = any(read.source is value for node in group.members for read in group.reads[node])
        work = sum(map(node_cost, cone.nodes)) * (len(readers) - (not stays))
        if saved <= 0 or OPERATION * work > BYTE * saved:
            return
        for reader, axes in zip(readers, placed, strict=True):
            self._compute(value, cone, group, reader, axes)
        del self._readers[value]
        self._drop_dead(group)

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
        reader.members += [node for node in cone.nodes if node not in reader.along]
        reader.along |= placed
        reader.reads |= {node: group.reads[node] for node in cone.nodes}
        reader.sources.discard(value)
        for leaf in cone.leaves:
            reader.sources.add(leaf)
            self._readers.setdefault(leaf, {})[reader] = None

    def _drop_dead(self, group: Group) -> None:
        """Leave out what nothing reads any more."""
        counts = Counter(read.source for reads in group.reads.values() for read in reads)
        for node in reversed(list(group.members)):
            if not counts[node] and node not in self._results and not self._readers.get(node):
                del group.along[node]
                group.over.pop(node, None)
                counts.subtract(read.source for read in group.reads.pop(node))
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


def _placed(value: Node, cone: _Cone, group: Group, reader: Group) -> dict[Node, Axes] | None:
    """Along which axes of the reader the nodes of the cone lie; None where they are not those of its own nodes."""
    placed: dict[Node, Axes] = {}
    for node in reader.members:
        for read in reader.reads[node]:
            if read.source is value:
                mine = reader.over[node] if node in reader.over else reader.along[node]
                if placed.setdefault(value, _seen(read, mine)) != _seen(read, mine):
                    return None
    for node in cone.nodes:
        for read in group.reads[node]:
            if read.source in set(cone.nodes):
                axes = _seen(read, placed[node])
                if placed.setdefault(read.source, axes) != axes:
                    return None
    fits = len(reader.sources) + len(cone.leaves) <= MOST_ARRAYS and len(reader.members) < MOST_NODES
    return placed if fits and all(_fits(node, axes, reader) for node, axes in placed.items()) else None


def _seen(read: Read, mine: Axes) -> Axes:
    return tuple(None if place is None else mine[place] for place in read.axes)


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
