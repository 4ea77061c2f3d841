"""Patterns: ordinary expressions over wildcards, and what it means that a node matches one.

A wildcard is a placeholder that stands for any node. ``log(1 + exp(x))`` matches every node that reads so, whatever its
shape and its dtype: a constant in a pattern stands for an array that holds this number everywhere. The operands of a
commutative op match in either order. The attributes of an op, such as the axes of a sum, match whatever they are: the
right side of a rule asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph import constants
from symgraph.graph.constants import uniform
from symgraph.graph.dims import same
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, OPS, PLACEHOLDER, constant, placeholder
from symgraph.graph.types import DType
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.index import index
from symgraph.ops.keys import Slice

MOVES = frozenset(OPS[name] for name in constants.MOVES)
"""The ops that choose, order and repeat elements, and compute nothing."""


def wild(names: str, dtype: str = "float64", rank: int = 0) -> Any:
    """Wildcards: one, or a tuple of as many as there are names.

    The dtype is the one in which the pattern is written down; the rule says which dtypes it holds for.
    """
    shape = tuple(f"s{i}" for i in range(rank))
    made = tuple(placeholder(dtype, shape, name=name) for name in names.split())
    return made if len(made) > 1 else made[0]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Which node stands for each node of a pattern."""

    root: Node
    nodes: Mapping[Node, Node]
    once: Callable[[Node], bool] = lambda node: True

    def used_once(self, part: Node) -> bool:
        """Whether what stands for a node of the pattern is read only there, in the whole program."""
        return self.once(self.nodes[part])

    def __getitem__(self, part: Node) -> Node:
        return self.nodes[part]


def match(pattern: Node, node: Node, once: Callable[[Node], bool] = lambda node: True) -> Match | None:
    """How the node reads as the pattern, or None."""
    nodes = _matched([(pattern, node)], {})
    return None if nodes is None else Match(node, nodes, once)


def may_match(pattern: Node, node: Node) -> bool:
    """False where the ops of the inputs tell that the node does not read as the pattern: a look before `match`."""
    given, wanted = node.inputs, pattern.inputs
    if len(given) != len(wanted):
        return False
    if len(given) == 2 and wanted[0] is wanted[1] and not _may_be_alike(*given):
        return False
    return all(map(_reads_as, wanted, given)) or (
        pattern.op.commutative and all(map(_reads_as, wanted[::-1], given))
    )


def may_have_number(node: Node) -> bool:
    """Whether an input can hold one number everywhere, by the inputs' ops."""
    return any(x.op is CONSTANT or x.op in MOVES for x in node.inputs)


def fill(pattern: Node, order: Sequence[Node], found: Match, row: DType, written: DType) -> Node:
    """The pattern, whose nodes are in ``order``, with nodes for its wildcards, and ``row`` where it is ``written``."""
    made: dict[Node, Node] = dict(found.nodes)
    for part in order:
        if part in made:
            continue
        if part.op is CONSTANT:
            made[part] = constant(_number(part), row if part.row is written else part.row)
        else:
            made[part] = make(part.op, tuple(made[x] for x in part.inputs), part.attrs)
    return made[pattern]


def core(node: Node) -> Node:
    """What the moves at the root of this node move: the node itself where there are none."""
    while node.op in MOVES:
        node = node.inputs[0]
    return node


def under_moves(node: Node, change: Callable[[Node], Node | None]) -> Node | None:
    """``move(change(x))`` for a node that is ``move(x)``; None where the change, which keeps the shape, declines."""
    moves = []
    while node.op in MOVES:
        moves.append(node)
        node = node.inputs[0]
    made = change(node)
    if made is not None:
        for move in reversed(moves):
            made = _moved(move, made)
    return made


def _moved(move: Node, inner: Node) -> Node:
    """What ``move`` does to its input, done to another node of the same shape."""
    return make(move.op, (inner, *move.inputs[1:]), move.attrs)


def pushed(node: Node) -> Node:
    """``op(move(a), move(b))`` for a node that is ``move(op(a, b))``: the same elements of the same result."""
    whole = node.inputs[0]
    if whole.op in MOVES:
        whole = pushed(whole)
    parts = [part if part.ndim == 0 else _moved_part(node, part, whole) for part in whole.inputs]
    return make(whole.op, tuple(parts), whole.attrs)


def _moved_part(node: Node, part: Node, whole: Node) -> Node:
    """What ``node`` does to ``whole``, done to an operand of it that may have fewer axes."""
    if part.shape != whole.shape and (items := _own_items(node, part, whole)) is not None:
        return index.op(part, items=items)
    return _moved(node, broadcast_to(part, whole.shape))


def _own_items(node: Node, part: Node, whole: Node) -> tuple[Slice | int, ...] | None:
    """What a slice asks of the operand's own axes, where each is as long as the result's, or 1."""
    items = node.attrs.items if node.op is index.op and len(node.inputs) == 1 else ()  # type: ignore[union-attr]
    if len(items) != whole.ndim or any(not isinstance(item, Slice | int) for item in items):
        return None
    new = whole.ndim - part.ndim
    own: list[Slice | int] = []
    for item, size, all_of_them in zip(items[new:], part.shape, whole.shape[new:], strict=True):
        if same(size, all_of_them):
            own.append(item)
        elif size == 1:
            own.append(0 if isinstance(item, int) else Slice())
        else:
            return None
    return tuple(own)


def alike(a: Node, b: Node, depth: int = 4) -> bool:
    """Whether two nodes are one, or would be if moves came first: ``exp(x)[1:]`` and ``exp(x[1:])``."""
    if a is b:
        return True
    if not _may_be_alike(a, b):
        return False
    if not depth or a.type != b.type:
        return False
    if (earlier := moved_earlier(a)) is not None:
        return alike(earlier, b, depth - 1)
    if (earlier := moved_earlier(b)) is not None:
        return alike(a, earlier, depth - 1)
    if a.op is not b.op or not a.op.elementwise or a.attrs != b.attrs:
        return False
    return all(alike(x, y, depth - 1) for x, y in zip(a.inputs, b.inputs, strict=True))


def _may_be_alike(a: Node, b: Node) -> bool:
    """False where the ops of the two tell that they are not."""
    return a.op is b.op or a.op in MOVES or b.op in MOVES


def moved_earlier(node: Node) -> Node | None:
    """``op(move(x))`` for ``move(op(x))``, where that is the same; None for what is no such node."""
    if node.op not in MOVES:
        return None
    return pushed(node) if core(node).op.elementwise else _reduced_later(node)


def _reduced_later(node: Node) -> Node | None:
    """The reduction of a slice, for the slice of a reduction."""
    whole = node.inputs[0]
    if node.op is not index.op or len(node.inputs) > 1 or not hasattr(whole.attrs, "keepdims"):
        return None
    fields = whole.attrs.fields()  # type: ignore[union-attr]
    if fields["keepdims"] or "axes" not in fields:
        return None
    kept = iter(node.attrs.items)  # type: ignore[union-attr]
    items = [Slice() if axis in fields["axes"] else next(kept) for axis in range(whole.inputs[0].ndim)]
    if any(not isinstance(item, Slice | int) for item in items) or next(kept, None) is not None:
        return None
    left = [axis for axis, item in enumerate(items) if isinstance(item, Slice)]
    axes = tuple(place for place, axis in enumerate(left) if axis in fields["axes"])
    part = index.op(whole.inputs[0], items=tuple(items))
    return whole.op(part, *whole.inputs[1:], axes=axes, keepdims=False)


def _matched(pairs: list[tuple[Node, Node]], nodes: dict[Node, Node]) -> dict[Node, Node] | None:
    while pairs:
        part, node = pairs.pop()
        known = nodes.get(part)
        if known is not None:
            if not alike(known, node):
                return None
            continue
        if part.op is PLACEHOLDER:
            if part.row.kind == "bool" and node.row.kind != "bool":
                return None
            nodes[part] = node
            continue
        if part.op is CONSTANT:
            if not _same_number(part, node):
                return None
            continue
        if node.op is not part.op:
            earlier = moved_earlier(node) if core(node).op is part.op else None
            if earlier is None:
                return None
            node = earlier
        if len(node.inputs) != len(part.inputs):
            return None
        nodes[part] = node
        if part.op.commutative and part.inputs[0] is not part.inputs[1]:
            (a, b), (x, y) = part.inputs, node.inputs
            fits = _reads_as(a, x) and _reads_as(b, y)
            found = _matched([*pairs, (b, y), (a, x)], dict(nodes)) if fits else None
            if found is not None or not (_reads_as(a, y) and _reads_as(b, x)):
                return found
            return _matched([*pairs, (b, x), (a, y)], nodes)
        pairs.extend(zip(part.inputs[::-1], node.inputs[::-1], strict=True))
    return nodes


def _reads_as(part: Node, node: Node) -> bool:
    """False where the ops of the two tell that they do not match."""
    return part.op is PLACEHOLDER or node.op is part.op or node.op in MOVES


def _number(part: Node) -> Any:
    return part.attrs.value[()]  # type: ignore[union-attr]


def _same_number(part: Node, node: Node) -> bool:
    if (part.row.kind == "bool") is not (node.row.kind == "bool"):
        return False
    found, wanted = uniform(node), _number(part)
    return found is not None and bool(found == wanted) and bool(np.signbit(found.real) == np.signbit(wanted))
