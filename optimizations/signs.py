"""What is known of the sign of a node's elements."""

from __future__ import annotations

from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.ops.activations import relu
from symgraph.ops.arithmetic import abs, maximum, minimum, multiply, negative
from symgraph.ops.math import sigmoid, softplus
from symgraph.ops.softmax import softmax
from symgraph.ops.transcendental import cosh, exp, sqrt
from symgraph.optimizations.pattern import MOVES

NEVER_NEGATIVE = frozenset(f.op for f in (abs, exp, sqrt, cosh, sigmoid, softplus, softmax, relu))


def never_negative(node: Node) -> bool:
    """Whether every element is known to be 0, positive or NaN."""
    if node.op in MOVES:
        return never_negative(node.inputs[0])
    if node.op is multiply.op and node.inputs[0] is node.inputs[1] and not node.row.is_complex:
        return True
    if node.op is maximum.op:
        return any(never_negative(x) for x in node.inputs)
    value = uniform(node)
    return node.op in NEVER_NEGATIVE or bool(value is not None and not node.row.is_complex and value >= 0)


def never_positive(node: Node) -> bool:
    """Whether every element is known to be 0, negative or NaN."""
    if node.op in MOVES:
        return never_positive(node.inputs[0])
    if node.op is negative.op:
        return never_negative(node.inputs[0])
    if node.op is minimum.op:
        return any(never_positive(x) for x in node.inputs)
    value = uniform(node)
    return bool(value is not None and not node.row.is_complex and value <= 0)
