"""Elements picked one by one, where arrays name them: picked before anything is computed of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symgraph.graph.node import Node, make
from symgraph.graph.walk import toposort, transform
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.create import iota
from symgraph.ops.index import index
from symgraph.ops.keys import Gather
from symgraph.ops.shape import expand_dims, reshape
from symgraph.optimizations.cost import elements
from symgraph.optimizations.groups import is_computed

FEW = 8
"""Of one element in so many, it is worth computing the others twice to have none of them in memory."""
MOST_REPEATED = 64
"""How many nodes are computed again for one pick."""


def picked_first(roots: Iterable[Node]) -> list[Node]:
    """The roots, where few elements are picked of what kernels compute element by element: from picked elements of
    what that is computed from, so that the whole is never in memory.

    >>> from symgraph import log_softmax, placeholder, take_along_axis
    >>> from symgraph.optimizations.expand import expanded
    >>> x, places = placeholder("float64", (50, 90), name="x"), placeholder("int64", (50, 1), name="places")
    >>> (root,) = picked_first(expanded([take_along_axis(log_softmax(x, axis=1), places, axis=1)]))
    >>> [node.inputs[0].name for node in toposort([root]) if node.op is index.op]
    ['x']
    """
    roots = list(roots)
    order = toposort(roots)
    if not any(map(picks_few, order)):
        return roots
    needed_whole = set(roots)
    for node in order:
        if not is_computed(node) and not picks_few(node):
            needed_whole.update(node.inputs)
    return transform(
        roots, lambda node: _picked(node) if picks_few(node) and node.inputs[0] not in needed_whole else node
    )


def picks_few(node: Node) -> bool:
    """Whether each axis of a computed value has an array of its own, of as many axes, and few elements are left."""
    if node.op is not index.op or len(node.inputs) == 1 or not _goes_on(node.inputs[0]):
        return False
    whole, *arrays = node.inputs
    items = node.attrs.items  # type: ignore[union-attr]
    own = items == tuple(map(Gather, range(whole.ndim))) and all(x.ndim == whole.ndim for x in arrays)
    return own and elements(node) * FEW <= elements(whole)


def _picked(node: Node) -> Node:
    whole, *arrays = node.inputs
    order = toposort([whole], needs=lambda part: part.inputs if _goes_on(part) else ())
    if len(order) > MOST_REPEATED:
        return node
    picks: dict[Node, Node] = {}
    for part in order:
        axes = [axis for axis, size in enumerate(part.shape) if size != 1]
        new = whole.ndim - part.ndim
        if all(_is_every_place(arrays[axis + new], part.shape[axis], axis + new) for axis in axes):
            picks[part] = expand_dims(part, tuple(range(new))) if new and part.ndim else part
        elif part.op is broadcast_to.op:
            picks[part] = picks[part.inputs[0]]
        elif part.op.elementwise:
            picks[part] = make(part.op, tuple(picks[x] for x in part.inputs), part.attrs)
        else:
            picks[part] = _gathered(part, axes, [arrays[axis + new] for axis in axes])
    made = picks[whole]
    return made if made.shape == node.shape else broadcast_to(made, node.shape)


def _goes_on(part: Node) -> bool:
    return part.op is broadcast_to.op or (part.op.elementwise and bool(part.inputs) and is_computed(part))


def _gathered(part: Node, axes: Sequence[int], arrays: Sequence[Node]) -> Node:
    """Picks along those axes; the others are 1 long."""
    items = tuple(Gather(axes.index(axis)) if axis in axes else 0 for axis in range(part.ndim))
    return index.op(part, *arrays, items=items)


def _is_every_place(x: Node, size: object, axis: int) -> bool:
    """Whether an array of indices names all places of an axis, in order, along that axis of its own."""
    source = x.inputs[0] if x.op in (reshape.op, expand_dims.op) else x
    return (
        source.op is iota.op
        and source.shape[0] == size == x.shape[axis]
        and all(other == 1 for place, other in enumerate(x.shape) if place != axis)
    )
