"""Nodes that hold one number everywhere."""

from __future__ import annotations

from typing import Any

from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT

MOVES = frozenset({"broadcast_to", "reshape", "expand_dims", "squeeze", "transpose", "index"})
"""The ops that choose, order and repeat elements and compute nothing: by name, as they are declared above."""


def uniform(node: Node) -> Any:
    """The NumPy scalar that every element of the node is, or None where that is not known.

    ``0.0`` and ``-0.0`` differ, and so do NaNs of different bits.
    """
    while node.op.name in MOVES:
        node = node.inputs[0]
    if node.op is not CONSTANT:
        return None
    return node.attrs.number  # type: ignore[union-attr]


def is_zero(node: Node) -> bool:
    """Whether every element is known to be 0, of either sign."""
    value = uniform(node)
    return value is not None and bool(value == 0)
