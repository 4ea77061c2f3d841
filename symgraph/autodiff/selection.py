"""Cotangents that are zero where a ``where`` took the other branch, and stay zero whatever stands before it.

``where(x > 0, sqrt(x), 0)`` has the cotangent ``where(x > 0, g, 0)`` in its first branch; multiplied by the infinite
slope of ``sqrt`` at 0 that is ``0 · inf``, a NaN. So the slope of an elementwise op is multiplied by ``g`` and selected
again.
"""

from __future__ import annotations

from typing import NamedTuple

from symgraph.graph.constants import MOVES, is_zero
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.comparison import logical_not, logical_or

_WHERE = where.op


class Selection(NamedTuple):
    """``value`` where ``condition`` is ``side``, else 0."""

    condition: Node
    side: bool
    value: Node

    def of(self, x: Node) -> Node:
        """Another value, selected in the same way."""
        nothing = constant(0, x.row)
        return where(self.condition, x, nothing) if self.side else where(self.condition, nothing, x)

    @property
    def mask(self) -> Node:
        return self.condition if self.side else logical_not(self.condition)


def selected(g: object) -> Selection | None:
    """What a cotangent selects, if it does."""
    if not isinstance(g, Node) or g.op is not _WHERE:
        return None
    condition, x, y = g.inputs
    if is_zero(y):
        return Selection(condition, True, x)
    return Selection(condition, False, y) if is_zero(x) else None


def total(a: Node, b: Node) -> Node:
    """The sum of two cotangents of one node, itself a selection if both are."""
    first, second = selected(a), selected(b)
    if first is None or second is None or a.shape != b.shape:
        return a + b
    if first.condition is second.condition:
        if first.side is second.side:
            return first.of(first.value + second.value)
        x, y = (first, second) if first.side else (second, first)
        return where(first.condition, x.value, y.value)
    return where(logical_or(first.mask, second.mask), a + b, constant(0, a.row))


def moved_mask(node: Node, g: object) -> Node | None:
    """Where the input of a move is read by an element that ``g`` selects; None where ``g`` selects nothing."""
    selection = selected(g)
    if selection is None or not (node.inputs[0].op.elementwise or node.inputs[0].op.name in MOVES):
        return None  # nothing behind it has a slope for each element
    assert node.op.vjp is not None and isinstance(g, Node)
    weight = broadcast_to(astype(selection.mask, g.row), g.shape)
    attrs = node.attrs.fields() if node.attrs is not None else {}
    found = node.op.vjp(weight, *node.inputs, node, **attrs)
    reached: Node = found[0] if isinstance(found, tuple) else found
    return reached != 0
