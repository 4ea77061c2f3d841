"""Loops and branches in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Size
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.types import BOOL, INT64, TensorType
from symgraph.io.onnx_proto import number_of, package
from symgraph.io.onnx_table import Refused
from symgraph.io.onnx_writing import Writer, spelled


def _info(name: str, type: TensorType) -> Any:
    sizes = [size if isinstance(size, int) else str(size) for size in type.shape]
    return package().helper.make_tensor_value_info(name, number_of(type.dtype), sizes)


def _closed(w: Writer, name: str, inputs: Sequence[Any], values: Sequence[tuple[str, TensorType]]) -> Any:
    """The graph that a writer has written, with results of its own."""
    outputs = [_info(w.add("Identity", value), type) for value, type in values]
    return package().helper.make_graph(w.nodes, name, inputs, outputs)


@spelled("loop")
def loop(
    w: Writer, node: Node, *arrays: str,
    body: Graph, condition: Graph | None, carries: int, rows: int, length: Dim | None, reverse: bool, segment: Any,
) -> list[str]:  # fmt: skip
    """A Loop, whose further carry counts turns where a condition ends it."""
    first, through, outer = arrays[:carries], arrays[carries : carries + rows], arrays[carries + rows :]
    made = [out.tensor for out in body.outputs]
    if condition is not None and len(made) > carries:
        raise Refused("rows that are stacked until a condition ends a loop")
    scalar, truth = TensorType(INT64, ()), TensorType(BOOL, ())
    most = "" if length is None else w.add("Squeeze", w.size(length), w.ints([0]))
    inside = w.inner()
    turn, again = w.named("turn"), w.named("again")
    carried = [w.named("carry") for _ in first]
    n = inside.add("Sub", inside.add("Sub", most, w.constant(1, np.int64)), turn) if reverse else turn
    here = [inside.add("Gather", x, n, axis=0) for x in through]
    results = inside.put(body, [n, *carried, *here, *outer])
    count: list[tuple[str, TensorType]] = []
    start: list[str] = []
    begin, more = w.constant(True), w.constant(True)
    inputs = [
        _info(turn, scalar),
        _info(again, truth),
        *(_info(*each) for each in zip(carried, made, strict=False)),
    ]
    if condition is not None:
        (begin,) = w.put(condition, [w.constant(0, np.int64), *first, *outer])
        after = inside.add("Add", turn, w.constant(1, np.int64))
        (more,) = inside.put(condition, [after, *results[:carries], *outer])
        counted = w.named("counted")
        inputs.append(_info(counted, scalar))
        start, count = [w.constant(0, np.int64)], [(after, scalar)]
    kept = list(zip(results, made, strict=True))
    graph = _closed(inside, "body", inputs, [(more, truth), *kept[:carries], *count, *kept[carries:]])
    found = w.add_many(
        "Loop", carries + len(count) + len(made) - carries, most, begin, *first, *start, body=graph
    )
    stacks = found[carries + len(count) :]
    for place, out in enumerate(made[carries:]):
        if not (isinstance(length, int) and length > 0) and any(isinstance(size, Size) for size in out.shape):
            # After no turn at all, runtimes make a stack whose symbolic sizes are 0.
            assert length is not None
            stacks[place] = w.add("Reshape", stacks[place], w.shape((length, *out.shape)), allowzero=1)
    if reverse:
        far = w.ints([-(2**63) + 1])
        stacks = [w.add("Slice", x, w.ints([-1]), far, w.ints([0]), w.ints([-1])) for x in stacks]
    return [*found[:carries], *stacks, *found[carries : carries + len(count)]]


@spelled("branch")
def branch(w: Writer, node: Node, index: str, *arrays: str, branches: tuple[Graph, ...]) -> list[str]:
    """An If, or several inside one another."""
    return _chosen(w, index, arrays, branches, 0)


def _chosen(w: Writer, index: str, arrays: Sequence[str], branches: Sequence[Graph], first: int) -> list[str]:
    if len(branches) == 1:
        return w.put(branches[0], arrays)
    types = [out.tensor for out in branches[0].outputs]
    here, rest = w.inner(), w.inner()
    taken = here.put(branches[0], arrays)
    others = _chosen(rest, index, arrays, branches[1:], first + 1)
    is_first = w.add("Equal", index, w.constant(first, np.int64))
    return w.add_many(
        "If", len(types), is_first,
        then_branch=_closed(here, "taken", [], list(zip(taken, types, strict=True))),
        else_branch=_closed(rest, "others", [], list(zip(others, types, strict=True))),
    )  # fmt: skip
