"""Inner graphs that are called once become part of the graph around them."""

from __future__ import annotations

from symgraph.graph.node import Node, make
from symgraph.graph.op import ITEM, PACK, pack, placeholder
from symgraph.graph.walk import expand
from symgraph.ops.checkpoint import CHECKPOINT
from symgraph.ops.custom import CALL, custom_gradient
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import rule, rules

_x = placeholder("float64", ("k",), name="x")


def _body(found: Match) -> Node:
    return expand(found.root)


def _part(found: Match) -> Node | None:
    packed = found.root.inputs[0]
    return packed.inputs[found.root.attrs.index] if packed.op is PACK else None  # type: ignore[union-attr]


def _call() -> Node:
    called: Node = custom_gradient(lambda x: (x * 2, lambda g: g))(_x)
    return called


INLINE = rules(
    "INLINE",
    rule("a call is its body", CALL, _body, example=_call),
    rule(
        "a checkpoint is its body", CHECKPOINT, _body, example=lambda: make(CHECKPOINT, (_x,), _call().attrs)
    ),
    rule("one of several", ITEM, _part, example=lambda: ITEM(pack(_x, _x * 2), index=1)),
)
"""After differentiation: a call carries its own derivative."""
