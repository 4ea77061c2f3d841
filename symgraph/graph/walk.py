"""Walks over nodes: order, users, substitution. All iterative, so that depth costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from operator import attrgetter, is_

from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node, make, type_symbols
from symgraph.graph.origin import inherit
from symgraph.graph.types import TupleType


def toposort(
    roots: Iterable[Node],
    stop: Container[Node] = (),
    needs: Callable[[Node], tuple[Node, ...]] = attrgetter("deps"),
) -> list[Node]:
    """Every node that the roots need, each after what it needs; nodes in ``stop`` are entered but not passed.

    The order is the same for the same roots: inputs left to right, depth first.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    path: list[Node] = []  # from a root to the node that is looked at
    left: list[Iterator[Node]] = [
        iter(roots)
    ]  # the roots, and what each on the path needs, as far as not looked at
    while left:
        for node in left[-1]:
            if node not in seen:
                seen.add(node)
                path.append(node)
                left.append(iter(() if stop and node in stop else needs(node)))
                break
        else:
            left.pop()
            if path:
                order.append(path.pop())
    return order


def users(order: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, the nodes of ``order`` that depend on it."""
    table: dict[Node, list[Node]] = {}
    for node in order:
        for dep in node.deps:
            table.setdefault(dep, []).append(node)
    return table


def leaves(roots: Iterable[Node]) -> list[Node]:
    """The placeholders, variables and constants that the roots need."""
    return [node for node in toposort(roots) if not node.deps]


def expand(node: Node) -> Node:
    """A composite's body on the node's own inputs, on the same user's line."""
    assert node.op.body is not None
    attrs = node.attrs.fields() if node.attrs is not None else {}
    with inherit(node.origin):
        return node.op.body(*node.inputs, **attrs)


def rebuild(node: Node, inputs: tuple[Node, ...], sizes: Mapping[Size, Dim] | None = None) -> Node:
    """The same op on other inputs, on the same user's line; sizes in its attributes renamed."""
    attrs = node.attrs
    if sizes and attrs is not None:
        attrs = attrs.map_sizes(lambda size: substitute_dim(size, sizes))
    if attrs is node.attrs and all(map(is_, inputs, node.inputs)):
        return node
    is_alike = all(map(is_, map(_type_of, inputs), map(_type_of, node.inputs)))
    if is_alike and attrs is node.attrs and not node.op.binds_sizes:
        return make(node.op, inputs, attrs, node.type, node.origin)
    with inherit(node.origin):
        return make(node.op, inputs, attrs)


_type_of = attrgetter("type")


def transform(
    roots: Iterable[Node],
    change: Callable[[Node], Node],
    replaced: Mapping[Node, Node] | None = None,
    renamed: Mapping[Size, Dim] | None = None,
) -> list[Node]:
    """The roots after ``change`` was applied to every node, inputs first.

    ``replaced`` maps nodes to what stands for them; nothing behind those is visited. ``renamed`` maps sizes in
    attributes to others. Data-dependent sizes of nodes
    that were rebuilt get new names, which are carried into everything that mentions them.
    """
    roots = list(roots)
    new: dict[Node, Node] = dict(replaced or {})
    sizes: dict[Size, Dim] = dict(renamed or {})
    for node in toposort(roots, stop=new):
        if node in new:
            continue
        built = rebuild(node, tuple([new[x] for x in node.inputs]), sizes)
        if node.op.binds_sizes and built is not node:
            rename_sizes(node, built, sizes)
        new[node] = change(built)
    return [new[root] for root in roots]


def substitute(roots: Iterable[Node], replaced: Mapping[Node, Node]) -> list[Node]:
    """The roots with some nodes replaced by others."""
    return transform(roots, lambda node: node, replaced)


def rename_sizes(old: Node, new: Node, sizes: dict[Size, Dim]) -> None:
    """Note which fresh size of the new node stands for which of the old one's."""
    for before, after in zip(_item_types(old), _item_types(new), strict=True):
        for a, b in zip(before, after, strict=True):
            if isinstance(a, Size) and a is not b and a in type_symbols(old.type):
                sizes[a] = b


def _item_types(node: Node) -> list[tuple[Dim, ...]]:
    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    return [item.shape for item in types]
