"""Loops and branches of one array as loops and branches of many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from symgraph.graph.dims import Dim
from symgraph.graph.graph import graph
from symgraph.graph.node import Node, make
from symgraph.graph.op import constant, items
from symgraph.graph.trace import Names
from symgraph.graph.types import BOOL, INT64, TensorType
from symgraph.graph.walk import substitute
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.control import BRANCH, LOOP, BranchAttrs, LoopAttrs
from symgraph.ops.create import zeros
from symgraph.ops.reduce import any as any_of
from symgraph.ops.shape import moveaxis, reshape

Rows: TypeAlias = Any
"""A node with the new axis in front, a tuple of them for an op with several results, None for what does not depend."""
Batched: TypeAlias = Callable[[Sequence[Node], Mapping[Node, Rows], Dim, Iterable[Node]], list[Rows]]
"""Of some roots, where nodes are replaced by rows, of which there are so many; and of nodes that do not depend on them.
None for a root that does not."""


def loop_rows(node: Node, inputs: Sequence[Rows], size: Dim, batched: Batched) -> tuple[Node, ...]:
    """The results of a loop for each of some rows. It ends when it would have ended for every row; what a row has by
    then stays."""
    attrs = node.attrs
    assert isinstance(attrs, LoopAttrs)
    body, end = attrs.body, attrs.carries + attrs.rows
    roots = [*body.outputs, *_asked(attrs)]
    names = Names(body.inputs)
    stands: dict[int, Node] = {}
    """What stands for the rows of an input, by its number."""
    made: list[Rows] = []
    asked: Rows = None
    late = [n for n, row in enumerate(inputs) if row is not None]
    while late:
        stands |= {n: names.stand("rows", _many(body.inputs[1 + n].tensor, size)) for n in late}
        rows = {body.inputs[1 + n]: stand for n, stand in stands.items()}
        made = batched(roots, rows, size, body.inputs)
        asked = made[len(body.outputs)] if attrs.condition is not None else None
        late = [
            n for n in range(attrs.carries) if n not in stands and (made[n] is not None or asked is not None)
        ]
    taken = [stands.get(n, x) for n, x in enumerate(body.inputs[1:])]
    given = [whole(x, inputs[n], size) if n in stands else x for n, x in enumerate(node.inputs)]
    given = [
        moveaxis(x, 0, 1) if n in stands and attrs.carries <= n < end else x for n, x in enumerate(given)
    ]
    after = [
        whole(x, made[n], size) if n in stands else x for n, x in enumerate(body.outputs[: attrs.carries])
    ]
    stacked = [whole(x, made[n], size) for n, x in enumerate(body.outputs) if n >= attrs.carries]
    carries = attrs.carries
    if asked is not None:
        after = [_chosen(asked, x, stand) for x, stand in zip(after, taken, strict=False)]
        stacked = [_chosen(asked, x, constant(0, x.row)) for x in stacked]
        turns = names.stand("turns", TensorType(INT64, (size,)))
        after.append(turns + astype(asked, INT64))
        taken = [*taken[:carries], turns, *taken[carries:]]
        given = [*given[:carries], zeros((size,), INT64), *given[carries:]]
        carries += 1
    condition = attrs.condition
    if condition is not None:
        root = roots[-1] if asked is None else any_of(asked)
        taken_there = [body.inputs[0], *taken[:carries], *taken[carries + attrs.rows :]]
        condition = graph(taken_there, [root], name=condition.name, inner=True)
    turn = graph([body.inputs[0], *taken], [*after, *stacked], name=body.name, inner=True)
    results = items(make(LOOP, tuple(given), replace(attrs, body=turn, condition=condition, carries=carries)))
    found = [x if n in stands else whole(x, None, size) for n, x in enumerate(results[: attrs.carries])]
    found += [moveaxis(x, 1, 0) for x in results[carries : carries + len(stacked)]]
    if attrs.condition is not None:
        found.append(results[attrs.carries] if asked is not None else whole(results[-1], None, size))
    return tuple(found)


def _asked(attrs: LoopAttrs) -> list[Node]:
    """The condition, of what the body takes."""
    if attrs.condition is None:
        return []
    inputs, end = attrs.body.inputs, 1 + attrs.carries + attrs.rows
    own = [*inputs[: 1 + attrs.carries], *inputs[end:]]
    return substitute(attrs.condition.outputs, dict(zip(attrs.condition.inputs, own, strict=True)))


def branch_rows(node: Node, inputs: Sequence[Rows], size: Dim, batched: Batched) -> tuple[Node, ...]:
    """The results of a branch for each of some rows; where each row has a way of its own, all ways are computed."""
    attrs = node.attrs
    assert isinstance(attrs, BranchAttrs)
    index, *operands = inputs
    moving = [n for n, row in enumerate(operands) if row is not None]
    if index is None:
        names = Names([x for each in attrs.branches for x in each.inputs])
        stands = {n: names.stand("rows", _many(node.inputs[1 + n].tensor, size)) for n in moving}
        ways = []
        for each in attrs.branches:
            rows = {each.inputs[n]: stand for n, stand in stands.items()}
            made = batched(each.outputs, rows, size, each.inputs)
            outputs = [whole(x, row, size) for x, row in zip(each.outputs, made, strict=True)]
            taken = [stands.get(n, x) for n, x in enumerate(each.inputs)]
            ways.append(graph(taken, outputs, name=each.name, inner=True))
        given = [x if row is None else row for x, row in zip(node.inputs[1:], operands, strict=True)]
        return items(make(BRANCH, (node.inputs[0], *given), BranchAttrs(tuple(ways))))
    found: list[Node] = []
    for k, each in enumerate(attrs.branches):
        outputs = substitute(each.outputs, dict(zip(each.inputs, node.inputs[1:], strict=True)))
        rows = {node.inputs[1 + n]: operands[n] for n in moving}
        made = batched(outputs, rows, size, node.inputs) if rows else [None] * len(outputs)
        rows_of = [whole(x, row, size) for x, row in zip(outputs, made, strict=True)]
        found = [_chosen(index == k, a, b) for a, b in zip(rows_of, found, strict=True)] if k else rows_of
    return tuple(found)


def _many(type: TensorType, size: Dim) -> TensorType:
    return TensorType(type.dtype, (size, *type.shape))


def whole(x: Node, row: Rows, size: Dim) -> Node:
    """The rows; the same for each where there are none."""
    found: Node = broadcast_to(x, (size, *x.shape)) if row is None else row
    return found


def _chosen(which: Node, x: Node, other: Node) -> Node:
    """Of each row the one or the other."""
    assert which.row is BOOL
    return where(reshape(which, (which.shape[0], *(1,) * (x.ndim - 1))), x, other)
