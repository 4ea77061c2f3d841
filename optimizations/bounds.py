"""What is known of the least and the largest that integers can be."""

from __future__ import annotations

import numpy as np

from symgraph.graph.constants import uniform
from symgraph.graph.dims import Dim, dim_max, same
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.ops.arithmetic import astype, maximum, minimum, remainder
from symgraph.ops.create import iota
from symgraph.ops.reduce import argmax, argmin
from symgraph.optimizations.pattern import core


def bounds(node: Node, depth: int = 4) -> tuple[int, int]:
    """Two integers between which all elements of an array of integers lie, themselves included."""
    node = core(node)
    kind = np.iinfo(node.dtype)
    widest = int(kind.min), int(kind.max)
    if not depth:
        return widest
    if node.op is CONSTANT:
        value = node.attrs.value  # type: ignore[union-attr]
        return (int(value.min()), int(value.max())) if value.size else (0, 0)
    if node.op is iota.op:
        return _below(node.attrs.size, widest)  # type: ignore[union-attr]
    if node.op in (argmax.op, argmin.op):
        return _below(node.inputs[0].shape[node.attrs.axis], widest)  # type: ignore[union-attr]
    if node.op is remainder.op:
        number = uniform(node.inputs[1])
        return widest if number is None or number <= 0 else (0, int(number) - 1)
    if node.op is astype.op and node.inputs[0].row.is_integer:
        low, high = bounds(node.inputs[0], depth - 1)
        return (low, high) if widest[0] <= low and high <= widest[1] else widest
    if node.op in (maximum.op, minimum.op):
        choose = max if node.op is maximum.op else min
        first, second = (bounds(x, depth - 1) for x in node.inputs)
        return choose(first[0], second[0]), choose(first[1], second[1])
    return widest


def lies_within(node: Node, count: Dim) -> bool:
    """Whether all elements are known to be 0, 1, … up to one less than ``count``."""
    low, high = bounds(node)
    if isinstance(count, int):
        return low >= 0 and high < count
    node = core(node)
    return node.op is iota.op and same(dim_max(node.attrs.size, count), count) is True  # type: ignore[union-attr]


def _below(size: Dim, widest: tuple[int, int]) -> tuple[int, int]:
    """The bounds of 0, 1, … so many, unless they wrap around."""
    if not isinstance(size, int):
        return widest
    return (0, max(size - 1, 0)) if size - 1 <= widest[1] else widest
