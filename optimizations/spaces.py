"""The axes of two kernels that may become one: which are the same, and which stay sweeps.

What speaks against it is raised as a Misfit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.optimizations.alignment import Axes, Read
from symgraph.optimizations.groups import PLACES, Group, Misfit


def pairs_of(reader: Group, node: Node, producer: Group, read: Read) -> dict[int, int]:
    """Which axes of the producer are which of the reader, by how the node lies along what it reads."""
    mine = reader.over[node] if node in reader.over else reader.along[node]
    pairs: dict[int, int] = {}
    for place, theirs in zip(read.axes, producer.along[read.source], strict=True):
        if theirs is None or place is None:
            if theirs is not None:
                raise Misfit(f"{read.source.op.name} is read along one axis less")
            continue
        own = mine[place]
        if own is None or pairs.setdefault(theirs, own) != own:
            raise Misfit(f"{node.op.name} reads {read.source.op.name} along other axes")
    if len(set(pairs.values())) < len(pairs):
        raise Misfit(f"{node.op.name} reads {read.source.op.name} along other axes")
    return pairs


def united(into: Group, other: Group, pairs: dict[int, int]) -> dict[int, int]:
    """A name in ``into`` for each axis of ``other``; new ones for axes that only ``other`` has."""
    for theirs, ours in pairs.items():
        if other.sizes[theirs] != into.sizes[ours]:
            raise Misfit(f"sizes {other.sizes[theirs]} and {into.sizes[ours]} may differ at the call")
    if len(pairs) == len(other.sizes):
        return pairs
    names = dict(pairs)
    rest = [axis for axis in other.sizes if axis not in names]
    free = [axis for axis in into.sizes if axis not in set(names.values())]
    if rest and free:
        if [other.sizes[axis] for axis in rest] != [into.sizes[axis] for axis in free]:
            raise Misfit("the sweeps of the one are longer than those of the other")
        names.update(zip(rest, free, strict=True))
    new = 1 + max(into.sizes, default=-1)
    for place, axis in enumerate(axis for axis in rest if axis not in names):
        names[axis] = new + place
    return names


def joint(
    into: Group, other: Group, names: Mapping[int, int]
) -> tuple[dict[int, Dim], set[frozenset[int]], frozenset[int]]:
    """The sizes, the domains and the axes of sweeps of two kernels together: those of ``into`` itself where the other
    brings nothing new."""
    brought = {frozenset([names[a] for a in domain]) for domain in other.domains}
    if not other.reduces and brought <= into.domains:
        return into.sizes, into.domains, into.inner
    sizes = dict(into.sizes)
    for axis, size in other.sizes.items():
        sizes.setdefault(names[axis], size)
    domains = into.domains | brought
    inner = _inner(sizes, domains, (into, into.inner), (other, frozenset(names[a] for a in other.inner)))
    return sizes, domains, inner


def _inner(
    sizes: dict[int, Dim], domains: set[frozenset[int]], *kernels: tuple[Group, frozenset[int]]
) -> frozenset[int]:
    """The axes of the sweeps of two kernels together; raises Misfit where values lie along more kinds of axes."""
    every = frozenset(sizes)
    found = {every - domain for domain in domains if domain and domain != every}
    found |= {inner for group, inner in kernels if group.reduces}
    if len(found) > 1:
        raise Misfit("they reduce, or have rows, along different axes")
    return next(iter(found), frozenset())


def check_order(members: Iterable[Axes], inner: frozenset[int]) -> None:
    """Rows come before what is swept, so that neighbours in memory are computed together."""
    for axes in members:
        swept = [axis in inner for axis in axes if axis is not None]
        if swept != sorted(swept):
            raise Misfit("the smaller would be computed again for every row of the larger")


def check_places(over: Mapping[Node, Axes], inner: list[int]) -> None:
    """What counts the turns of a sweep counts them in the order of its own axes."""
    for node, axes in over.items():
        if node.op in PLACES and [axis for axis in axes if axis in inner] != inner:
            raise Misfit(f"{node.op.name} counts along axes in another order")


def renamed(table: Mapping[Node, Axes], names: Mapping[int, int]) -> dict[Node, Axes]:
    return {x: tuple([None if a is None else names[a] for a in axes]) for x, axes in table.items()}
