"""Reductions, running sums and orders in ONNX."""

from __future__ import annotations

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.types import BOOL, BY_NAME
from symgraph.io.onnx_writing import Writer, spelled

INT32 = BY_NAME["int32"]


@spelled("sum", "prod", "max", "supremum", "min", "mean", "logsumexp")
def reduction(w: Writer, node: Node, x: str, axes: tuple[int, ...], keepdims: bool) -> str | None:
    if node.inputs[0].row is BOOL:  # the largest or the least
        return truth(w, node, x, axes, keepdims)
    if node.op.name == "mean" and any(node.inputs[0].shape[axis] == 0 for axis in axes):
        return None  # runtimes do not agree on the mean of nothing
    return w.add(node.op.onnx or "", x, w.ints(axes), keepdims=int(keepdims), noop_with_empty_axes=1)


@spelled("any", "all")
def truth(w: Writer, node: Node, x: str, axes: tuple[int, ...], keepdims: bool) -> str:
    name = "ReduceMax" if node.op.name in ("any", "max") else "ReduceMin"
    numbers = w.cast(w.cast(x, BOOL), INT32)
    found = w.add(name, numbers, w.ints(axes), keepdims=int(keepdims), noop_with_empty_axes=1)
    return w.add("Greater", found, w.like(0, INT32))  # of nothing, the extremum is that of the dtype


@spelled("argmax", "argmin")
def arg_extremum(w: Writer, node: Node, x: str, axis: int, keepdims: bool) -> str:
    x = w.cast(x, INT32) if node.inputs[0].row is BOOL else x
    return w.add(node.op.onnx or "", x, axis=axis, keepdims=int(keepdims))


@spelled("cumulative_sum")
def cumulative_sum(w: Writer, node: Node, x: str, axis: int, reverse: bool, exclusive: bool) -> str:
    return w.add("CumSum", x, w.constant(axis, np.int64), reverse=int(reverse), exclusive=int(exclusive))


@spelled("sort", "argsort")
def sort(w: Writer, node: Node, x: str, axis: int, descending: bool) -> str:
    row = node.inputs[0].row
    size = w.size(node.inputs[0].shape[axis])
    given = w.cast(x, INT32) if row is BOOL else x
    values, places = w.add_many("TopK", 2, given, size, axis=axis, largest=int(descending), sorted=1)
    if node.op.name == "argsort":
        return places
    return w.cast(values, BOOL) if row is BOOL else values
