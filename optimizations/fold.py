"""Constant folding, by the evaluator: what is known before the call is computed before the call."""

from __future__ import annotations

from symgraph.errors import SymgraphError
from symgraph.graph.evaluate import schedule
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.op import CONSTANT, ITEM, constant
from symgraph.graph.types import TupleType
from symgraph.optimizations.inner import is_item
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import rule, rules


def folded(found: Match) -> Node | None:
    """The constant that a node of constants is, unless that would hold more elements than they do."""
    node = found.root
    if any(x.op is not CONSTANT for x in _inputs(node)):
        return None
    if isinstance(node.type, TupleType) or node.op.binds_sizes or type_symbols(node.type):
        return None
    if any(x.op.binds_sizes for x in node.inputs) or (node.attrs is not None and node.attrs.symbols()):
        return None
    if node.size > max(1, sum(x.size for x in _inputs(node))):  # none is symbolic
        return None
    try:
        (value,) = schedule([node], []).run([])
    except SymgraphError:
        return None  # the call raises it, at the user's line
    return constant(value)


def _inputs(node: Node) -> tuple[Node, ...]:
    return node.inputs[0].inputs if node.op is ITEM else node.inputs


def _of_constants(node: Node) -> bool:
    """Loops are not run by the evaluator, which takes its time for each turn."""
    if node.op is ITEM:
        return not is_item(node)
    return bool(node.inputs) and all(x.op is CONSTANT for x in node.inputs)


FOLD = rules(
    "FOLD",
    rule("an op of constants is a constant", None, folded, ops=_of_constants,
         example=lambda: constant(2.0) * constant(3.0)),
)  # fmt: skip
"""Nothing is computed in a call that can be computed before it."""
