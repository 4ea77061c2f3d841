"""Sums of arrays that are zero but for some elements: these are added where they belong."""

from __future__ import annotations

from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.graph.op import placeholder
from symgraph.ops.arithmetic import add
from symgraph.ops.create import zeros
from symgraph.ops.declare import FLOATS
from symgraph.ops.keys import Gather
from symgraph.ops.update import update
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import ROUNDING, rule, rules

m = placeholder("float64", (4, 5), name="m")
part = placeholder("float64", (2, 5), name="part")


def _added_in_place(found: Match) -> Node | None:
    """``a.at[i].add(v)`` for ``a + zeros.at[i].add(v)``."""
    node = found.root
    for whole, other in (node.inputs, node.inputs[::-1]):
        if (
            whole.op is update.op
            and other.shape == whole.shape
            and found.once(whole)
            and _is_scattered(whole)
        ):
            _, value, *arrays = whole.inputs
            return update.op(other, value, *arrays, items=whole.attrs.items, mode="add")  # type: ignore[union-attr]
    return None


def _is_scattered(node: Node) -> bool:
    """Whether zeros become some values, each place one or the sum of several."""
    items, mode = node.attrs.items, node.attrs.mode  # type: ignore[union-attr]
    single = not any(isinstance(item, Gather) for item in items)
    return uniform(node.inputs[0]) == 0 and (mode == "add" or (mode == "set" and single))


def _of_update(node: Node) -> bool:
    return any(x.op is update.op for x in node.inputs)


SCATTERS = rules(
    "SCATTERS",
    rule("a sum with a part of zeros", add.op, _added_in_place, keeps=ROUNDING, ops=_of_update, dtypes=FLOATS,
         example=lambda: m + update(zeros((4, 5)), part, slice(1, 3))),
)  # fmt: skip
