"""Nodes that hold graphs which run by themselves: loops and branches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.op import ITEM
from symgraph.ops.control import COPY, INNER, BranchAttrs, LoopAttrs
from symgraph.optimizations.groups import LEAVES, is_view


def with_graphs(attrs: Any, change: Callable[[Graph], Graph]) -> Any:
    """The attributes of a loop or a branch with other graphs; themselves where none is another."""
    match attrs:
        case LoopAttrs(body=body, condition=condition):
            new, until = change(body), None if condition is None else change(condition)
            same = new is body and until is condition
            return attrs if same else replace(attrs, body=new, condition=until)
        case BranchAttrs(branches=branches):
            ways = tuple(map(change, branches))
            return attrs if all(a is b for a, b in zip(ways, branches, strict=True)) else BranchAttrs(ways)
    return attrs


def is_item(node: Node) -> bool:
    """Whether the node is one of the results of a loop or a branch."""
    return node.op is ITEM and node.inputs[0].op in INNER


def apart_from(results: Iterable[Node]) -> tuple[Node, ...]:
    """The results of a plan that is told where to write each: with copies of what is no new array, and of what is there
    already."""
    seen: set[Node] = set()
    found = []
    for number, x in enumerate(results):
        is_made = bool(x.inputs) and not is_view(x) and (x.op is not ITEM or is_item(x))
        found.append(x if is_made and x not in seen and x.op not in LEAVES else COPY(x, number=number))
        seen.add(x)
    return tuple(found)
