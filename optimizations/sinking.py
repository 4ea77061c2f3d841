"""Choosing before computing: slices, broadcasts and selections go to where there is less to do."""

from __future__ import annotations

from symgraph.graph.node import Node, make
from symgraph.graph.op import placeholder
from symgraph.ops.arithmetic import where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.index import index
from symgraph.ops.reduce import sum
from symgraph.ops.transcendental import exp, sin
from symgraph.optimizations.cost import elements
from symgraph.optimizations.pattern import Match, moved_earlier, wild
from symgraph.optimizations.rules import BITS, ROUNDING, rule, rules

m = placeholder("float64", (4, 5), name="m")
x, y = wild("x y")
p = wild("p", "bool")


def _sliced_earlier(found: Match) -> Node | None:
    """``op(a[i], b[i])`` for ``op(a, b)[i]``, where that leaves elements out."""
    node = found.root
    return moved_earlier(node) if elements(node) < elements(node.inputs[0]) else None


def _of_elementwise(node: Node) -> bool:
    return node.inputs[0].op.elementwise


def _of_reduction(node: Node) -> bool:
    return hasattr(node.inputs[0].attrs, "keepdims")


def _broadcast_later(found: Match) -> Node | None:
    """``broadcast_to(op(a, b))`` for the op of arrays that were broadcast from fewer elements."""
    node = found.root
    sources = [x.inputs[0] if x.op is broadcast_to.op else x for x in node.inputs]
    if any(a is b and a.ndim for a, b in zip(sources, node.inputs, strict=True)):
        return None
    small = make(node.op, tuple(sources), node.attrs)
    return broadcast_to(small, node.shape) if elements(small) < elements(node) else None


def _has_broadcast(node: Node) -> bool:
    return node.op.elementwise and any(x.op is broadcast_to.op for x in node.inputs)


def _selected_earlier(found: Match) -> Node | None:
    """``op(where(p, a, b), c)`` for ``where(p, op(a, c), op(b, c))``."""
    condition, first, second = found.root.inputs
    if first.attrs != second.attrs or len(first.inputs) != len(second.inputs):
        return None
    pairs = list(zip(first.inputs, second.inputs, strict=True))
    different = [place for place, (a, b) in enumerate(pairs) if a is not b]
    if len(different) != 1 or not (found.once(first) and found.once(second)):
        return None
    (place,) = different
    a, b = pairs[place]
    if a.row is not b.row:
        return None
    inputs = list(first.inputs)
    inputs[place] = where(condition, a, b)
    return make(first.op, tuple(inputs), first.attrs)


def _of_one_op(node: Node) -> bool:
    _, first, second = node.inputs
    return first.op is second.op and first.op.elementwise


SINKING = rules(
    "SINKING",
    rule("a slice of an elementwise op", index.op, _sliced_earlier, keeps=BITS, ops=_of_elementwise,
         example=lambda: exp(m)[1:3, 0]),
    rule("a slice of a reduction", index.op, _sliced_earlier, keeps=ROUNDING, ops=_of_reduction,
         example=lambda: sum(m, axis=1)[1:3]),
    rule("an op of broadcasts", None, _broadcast_later, keeps=BITS, ops=_has_broadcast,
         example=lambda: sin(broadcast_to(m, (2, 4, 5)))),
    rule("a selection of two results", where.op, _selected_earlier, keeps=BITS, ops=_of_one_op,
         example=lambda: where(p, exp(x), exp(y))),
)  # fmt: skip
