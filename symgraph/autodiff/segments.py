"""A loop as a loop over segments, each of them a loop: what is in memory at once grows as the length of a segment."""

from __future__ import annotations

from dataclasses import replace

from symgraph.graph.dims import Dim, dim_floordiv
from symgraph.graph.graph import Graph, graph
from symgraph.graph.node import Node, make
from symgraph.graph.op import as_node, items
from symgraph.graph.trace import stand_in
from symgraph.graph.types import INT64, TensorType
from symgraph.graph.walk import substitute
from symgraph.ops.control import LOOP, LoopAttrs
from symgraph.ops.join import concat
from symgraph.ops.shape import reshape

_NUMBER, _BEFORE = (stand_in(name, TensorType(INT64, ())) for name in ("_turn", "_before"))


def in_segments(node: Node) -> list[Node]:
    """The results of a loop whose attributes say how long a segment is; what is left at the end is its own loop."""
    attrs = node.attrs
    assert isinstance(attrs, LoopAttrs) and attrs.length is not None and attrs.segment is not None
    length, segment = attrs.length, attrs.segment
    count = dim_floordiv(length, segment)
    rest = length - count * segment
    begin, left = (rest, 0) if attrs.reverse else (0, count * segment)
    end = attrs.carries + attrs.rows
    carries, through, outer = (
        node.inputs[: attrs.carries],
        node.inputs[attrs.carries : end],
        node.inputs[end:],
    )
    body = _counted_on(attrs)
    chunks = [reshape(_cut(x, begin, count * segment), (count, segment, *x.shape[1:])) for x in through]
    now, stacks = _segments(attrs, body, carries, chunks, outer, begin)
    stacked = [reshape(x, (count * segment, *x.shape[2:])) for x in stacks]
    if rest == 0:
        return [*now, *stacked]
    ends = replace(attrs, body=body, length=rest, segment=None)
    tails = [_cut(x, left, rest) for x in through]
    made = items(make(LOOP, (*now, *tails, as_node(left, INT64), *outer), ends))
    pairs = zip(stacked, made[attrs.carries :], strict=True)
    joined = [concat([b, a] if attrs.reverse else [a, b], 0) for a, b in pairs]
    return [*made[: attrs.carries], *joined]


def _segments(
    attrs: LoopAttrs,
    body: Graph,
    carries: tuple[Node, ...],
    chunks: list[Node],
    outer: tuple[Node, ...],
    begin: Dim,
) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The last carries, and the stacks of stacks."""
    types = [*(x.tensor for x in carries), *(TensorType(x.row, x.shape[1:]) for x in chunks)]
    stands = [stand_in(f"_given_{n}", type) for n, type in enumerate(types)]
    others = [stand_in(f"_outer_{n}", x.tensor) for n, x in enumerate(outer)]
    count, segment = attrs.length, attrs.segment
    assert count is not None and segment is not None
    before = _NUMBER * as_node(segment, INT64) + as_node(begin, INT64)
    each = make(LOOP, (*stands, before, *others), replace(attrs, body=body, length=segment, segment=None))
    turn = graph([_NUMBER, *stands, *others], items(each), name="segment", inner=True)
    whole = replace(attrs, body=turn, length=dim_floordiv(count, segment), segment=1)
    made = items(make(LOOP, (*carries, *chunks, *outer), whole))
    return made[: attrs.carries], made[attrs.carries :]


def _counted_on(attrs: LoopAttrs) -> Graph:
    """The body, whose turns are counted on from a number that comes before what it reads from outside."""
    body, end = attrs.body, 1 + attrs.carries + attrs.rows
    inputs = body.inputs
    outputs = substitute(body.outputs, {inputs[0]: _NUMBER + _BEFORE})
    return graph([_NUMBER, *inputs[1:end], _BEFORE, *inputs[end:]], outputs, name=body.name, inner=True)


def _cut(x: Node, first: Dim, size: Dim) -> Node:
    """So many rows of an array."""
    return x[first : first + size]
