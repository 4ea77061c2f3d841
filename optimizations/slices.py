"""Slices: of slices, of what was joined, padded, transposed or broadcast before; and joins of slices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symgraph.graph.dims import same
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, placeholder
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.index import index
from symgraph.ops.join import concat, pad
from symgraph.ops.keys import Gather, Item, Slice
from symgraph.ops.shape import expand_dims, transpose
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import Rule, rule, rules

m = placeholder("float64", (6, 5), name="m")
n = placeholder("float64", (3, 5), name="n")


def _items(node: Node) -> tuple[Item, ...]:
    items: tuple[Item, ...] = node.attrs.items  # type: ignore[union-attr]
    return items


def _is_plain(item: Item) -> bool:
    """``a:b`` with numbers that count from the front."""
    return (
        isinstance(item, Slice)
        and item.step == 1
        and all(bound is None or (isinstance(bound, int) and bound >= 0) for bound in (item.start, item.stop))
    )


def _bounds(item: Item) -> tuple[int, int | None]:
    assert isinstance(item, Slice) and not isinstance(item.start, str)
    start = item.start if isinstance(item.start, int) else 0
    return start, item.stop if isinstance(item.stop, int) else None


def _slices(node: Node) -> bool:
    return node.op is index.op and len(node.inputs) == 1 and all(map(_is_plain, _items(node)))


def of(
    inner: Callable[[Node], bool], change: Callable[[Node, Node], Node | None]
) -> Callable[[Match], Node | None]:
    """A right side for slices of such a node."""

    def made(found: Match) -> Node | None:
        node = found.root
        if len(node.inputs) != 1 or not inner(node.inputs[0]):
            return None
        return change(node, node.inputs[0])

    return made


def _of_slices(node: Node, inner: Node) -> Node | None:
    items: list[Item] = []
    for axis, (outer, first) in enumerate(zip(_items(node), _items(inner), strict=True)):
        start, stop = _bounds(first)
        if isinstance(outer, int):
            size = inner.shape[axis]
            if outer < 0 or not isinstance(size, int) or outer >= size:
                return None
            items.append(start + outer)
        elif _is_plain(outer):
            begin, end = _bounds(outer)
            ends = [each for each in (stop, None if end is None else start + end) if each is not None]
            items.append(Slice(start + begin or None, min(ends, default=None)))
        else:
            return None
    return index.op(inner.inputs[0], items=tuple(items))


def _of_a_transpose(node: Node, inner: Node) -> Node | None:
    if not _slices(node):
        return None
    order: tuple[int, ...] = inner.attrs.axes  # type: ignore[union-attr]
    items: list[Item] = [Slice()] * len(order)
    for item, axis in zip(_items(node), order, strict=True):
        items[axis] = item
    return transpose.op(index.op(inner.inputs[0], items=tuple(items)), axes=order)


def _of_a_broadcast(node: Node, inner: Node) -> Node | None:
    """The slice of what was broadcast, broadcast."""
    source = inner.inputs[0]
    if not _slices(node) or source.ndim == 0:
        return None
    items = tuple(
        Slice() if not same(a, b) else item
        for item, a, b in zip(
            _items(node)[-source.ndim :], source.shape, inner.shape[-source.ndim :], strict=True
        )
    )
    if any(not same(a, b) and a != 1 for a, b in zip(source.shape, inner.shape[-source.ndim :], strict=True)):
        return None
    return broadcast_to.op(index.op(source, items=items), shape=node.shape)


def _of_new_axes(node: Node, inner: Node) -> Node | None:
    """The slice first, where it takes the new axes whole."""
    new: tuple[int, ...] = inner.attrs.axes  # type: ignore[union-attr]
    items = _items(node)
    if len(items) != inner.ndim or any(items[axis] != Slice() for axis in new):
        return None
    if any(not isinstance(item, Slice | int) for item in items):
        return None
    left = [axis for axis, item in enumerate(items) if isinstance(item, Slice)]
    source = index.op(
        inner.inputs[0], items=tuple(item for axis, item in enumerate(items) if axis not in new)
    )
    return expand_dims.op(source, axes=tuple(left.index(axis) for axis in new))


def _of_a_join(node: Node, inner: Node) -> Node | None:
    """A slice that lies in one of the parts."""
    axis: int = inner.attrs.axis  # type: ignore[union-attr]
    if not _slices(node):
        return None
    start, stop = _bounds(_items(node)[axis])
    whole = inner.shape[axis]
    if stop is None and isinstance(whole, int):
        stop = whole
    begin = 0
    for part in inner.inputs:
        size = part.shape[axis]
        if not isinstance(size, int) or stop is None:
            return None
        if begin <= start and stop <= begin + size:
            items = list(_items(node))
            items[axis] = Slice(start - begin or None, stop - begin)
            return index.op(part, items=tuple(items))
        begin += size
    return None


def _of_a_pad(node: Node, inner: Node) -> Node | None:
    """The slice that takes the padding away."""
    source = inner.inputs[0]
    if not _slices(node) or node.shape != source.shape:
        return None
    widths = inner.attrs.widths  # type: ignore[union-attr]
    starts = [_bounds(item)[0] for item in _items(node)]
    return (
        source if all(same(start, width) for start, (width, _) in zip(starts, widths, strict=True)) else None
    )


def _back_and_forth(node: Node, inner: Node) -> Node | None:
    """What is reversed twice along the same axes."""
    turns = (Slice(), Slice(None, None, -1))
    items = _items(node)
    if items != _items(inner) or any(item not in turns for item in items):
        return None
    return inner.inputs[0]


def _evenly_gathered(found: Match) -> Node | None:
    """Known indices at equal distances are a slice."""
    node = found.root
    items = _items(node)
    gathers = [axis for axis, item in enumerate(items) if isinstance(item, Gather)]
    if len(gathers) != 1 or len(items) != node.inputs[0].ndim:
        return None
    if any(not isinstance(item, Slice | Gather) for item in items) or node.inputs[1].op is not CONSTANT:
        return None
    (axis,) = gathers
    size = node.inputs[0].shape[axis]
    places = node.inputs[1].attrs.value.astype(np.int64)  # type: ignore[union-attr]
    if places.ndim != 1 or not places.size or not isinstance(size, int):
        return None
    first, last = int(places[0]), int(places[-1])
    step = int(places[1]) - first if places.size > 1 else 1
    if step == 0 or min(first, last) < 0 or max(first, last) >= size or (np.diff(places) != step).any():
        return None
    end: int | None = last + (1 if step > 0 else -1)
    new = list(items)
    new[axis] = Slice(first, end if end is not None and end >= 0 else None, step)
    return index.op(node.inputs[0], items=tuple(new))


def _joined_again(found: Match) -> Node | None:
    """Neighbouring slices of one array, joined."""
    axis: int = found.root.attrs.axis  # type: ignore[union-attr]
    parts = found.root.inputs
    if len(parts) < 2 or not all(_slices(part) for part in parts):
        return None
    source, at = parts[0].inputs[0], 0
    for part in parts:
        start, _ = _bounds(_items(part)[axis])
        size = part.shape[axis]
        others = [item for place, item in enumerate(_items(part)) if place != axis]
        if part.inputs[0] is not source or start != at or not isinstance(size, int):
            return None
        if any(item != Slice() for item in others):
            return None
        at += size
    return source if source.shape == found.root.shape else None


def _rule(name: str, made: Callable[[Match], Node | None], example: Callable[[], Node]) -> Rule:
    return rule(f"a slice of {name}", index.op, made, example=example)


SLICES = rules(
    "SLICES",
    _rule("a slice", of(_slices, _of_slices), lambda: m[1:, 2:][1:3, 0]),
    _rule("a transpose", of(lambda node: node.op is transpose.op, _of_a_transpose), lambda: transpose(m)[1:3, 2:]),
    _rule("new axes", of(lambda node: node.op is expand_dims.op, _of_new_axes), lambda: expand_dims(m, 1)[1:, :, 2]),
    _rule("a broadcast", of(lambda node: node.op is broadcast_to.op, _of_a_broadcast),
          lambda: broadcast_to(n, (4, 3, 5))[1:, :2]),
    _rule("a join", of(lambda node: node.op is concat.op, _of_a_join), lambda: concat([m, n])[6:8, 1:]),
    _rule("a pad", of(lambda node: node.op is pad.op, _of_a_pad), lambda: pad(m, 2)[2:8, 2:7]),
    _rule("the reverse", of(lambda node: node.op is index.op, _back_and_forth), lambda: m[::-1][::-1]),
    rule("even indices are a slice", index.op, _evenly_gathered, example=lambda: m[[4, 2, 0]]),
    rule("neighbouring slices joined", concat.op, _joined_again, example=lambda: concat([m[:2], m[2:]])),
)  # fmt: skip
