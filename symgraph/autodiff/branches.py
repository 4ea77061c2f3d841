"""Derivatives of branches: a branch whose ways are the derivatives of its ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.autodiff.loops import Pullback, Pushforward
from symgraph.graph.graph import graph
from symgraph.graph.node import Node, make
from symgraph.graph.op import items
from symgraph.graph.trace import Names
from symgraph.ops.control import BRANCH, BranchAttrs
from symgraph.ops.create import zeros_like


def branch_slopes(node: Node, g: Sequence[Node | None], pullback: Pullback) -> list[Any]:
    """For each input of a branch its cotangent, or 0; ``g`` has one for each floating-point result.

    What a way has computed is computed again.
    """
    attrs = node.attrs
    assert isinstance(attrs, BranchAttrs)
    operands = [n for n, x in enumerate(node.inputs[1:]) if x.row.is_inexact]
    arriving = {n: part for n, part in enumerate(g) if part is not None}
    names = Names([x for each in attrs.branches for x in each.inputs])
    stands = [names.stand("g", part.tensor) for part in arriving.values()]
    found = [
        pullback([each.outputs[n] for n in arriving], stands, [each.inputs[n] for n in operands], opaque=True)
        for each in attrs.branches
    ]
    used = [k for k in range(len(operands)) if any(slopes[k] is not None for slopes in found)]
    if not used:
        return [0] * len(node.inputs)
    back = []
    for each, slopes in zip(attrs.branches, found, strict=True):
        results = [zeros_like(each.inputs[operands[k]]) if (s := slopes[k]) is None else s for k in used]
        back.append(graph([*each.inputs, *stands], results, name=each.name, inner=True))
    made = items(make(BRANCH, (*node.inputs, *arriving.values()), BranchAttrs(tuple(back))))
    by_operand = {1 + operands[k]: slope for k, slope in zip(used, made, strict=True)}
    return [by_operand.get(n, 0) for n in range(len(node.inputs))]


def branch_tangents(node: Node, tangents: Sequence[Any], pushforward: Pushforward) -> tuple[Any, ...]:
    """For each result of a branch its tangent or None."""
    attrs = node.attrs
    assert isinstance(attrs, BranchAttrs)
    moves = [n for n, t in enumerate(tangents[1:]) if t is not None]
    names = Names([x for each in attrs.branches for x in each.inputs])
    stands = [names.stand("t", node.inputs[1 + n].tensor) for n in moves]
    found = [
        pushforward(each.outputs, [each.inputs[n] for n in moves], stands, given=each.inputs)
        for each in attrs.branches
    ]
    count = len(attrs.branches[0].outputs)
    moved = [n for n in range(count) if any(each[n] is not None for each in found)]
    if not moved:
        return (None,) * count
    ways = []
    for each, own in zip(attrs.branches, found, strict=True):
        results = [zeros_like(each.outputs[n]) if own[n] is None else own[n] for n in moved]
        ways.append(graph([*each.inputs, *stands], results, name=each.name, inner=True))
    given = (*node.inputs, *(tangents[1 + n] for n in moves))
    made = items(make(BRANCH, given, BranchAttrs(tuple(ways))))
    results_by = dict(zip(moved, made, strict=True))
    return tuple(results_by.get(n) for n in range(count))
