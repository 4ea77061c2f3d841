"""ONNX's operators that gather, scatter, search and sort."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import Op, constant
from symgraph.graph.types import INT64
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import choose, join, nonzero, reduce, shape, sort
from symgraph.ops.arithmetic import where
from symgraph.ops.create import iota
from symgraph.ops.declare import cast_to
from symgraph.ops.index import index, take, take_along_axis
from symgraph.ops.scan import cumulative_prod, cumulative_sum
from symgraph.ops.update import update


@operator("Gather")
def gather(x: Node, indices: Node, *, axis: int = 0) -> Node:
    return take(x, indices, axis=axis)


@operator("GatherElements", since=11)
def gather_elements(x: Node, indices: Node, *, axis: int = 0) -> Node:
    return index(x, _beside(x, indices, axis))


def _beside(x: Node, indices: Node, axis: int) -> tuple[Node, ...]:
    """The key of the elements that indices name along an axis, each at its own place along the others."""
    if indices.ndim != x.ndim:
        raise Refused(f"indices {indices.type} into {x.type}")
    along = axis % x.ndim
    return tuple(
        indices if i == along else shape.reshape(iota(size), (*(1,) * i, size, *(1,) * (x.ndim - 1 - i)))
        for i, size in enumerate(indices.shape)
    )


@operator("GatherND", since=11)
def gather_nd(x: Node, indices: Node, *, batch_dims: int = 0) -> Node:
    return index(x, _rows(x, indices, batch_dims))


def _rows(x: Node, indices: Node, batch: int = 0) -> tuple[Node, ...]:
    """The key of the slices that the rows of ``indices`` name, behind axes that they share."""
    depth = fixed(indices.shape[-1], "the last size of the indices")
    if depth + batch > x.ndim:
        raise Refused(f"indices {indices.type} into {x.type}")
    rank = indices.ndim - 1
    shared = tuple(
        shape.reshape(iota(indices.shape[i]), (*(1,) * i, indices.shape[i], *(1,) * (rank - 1 - i)))
        for i in range(batch)
    )
    return (*shared, *(index(indices, (..., i)) for i in range(depth)))


_MODES = {"none": "set", "add": "add", "mul": "multiply", "min": "min", "max": "max"}


@operator("ScatterElements", since=11)
def scatter_elements(
    x: Node, indices: Node, updates: Node, *, axis: int = 0, reduction: str = "none"
) -> Node:
    return _scattered(x, updates, _beside(x, indices, axis), reduction)


@operator("Scatter", since=9)
def scatter(x: Node, indices: Node, updates: Node, *, axis: int = 0) -> Node:
    return scatter_elements(x, indices, updates, axis=axis)


@operator("ScatterND", since=11)
def scatter_nd(x: Node, indices: Node, updates: Node, *, reduction: str = "none") -> Node:
    return _scattered(x, updates, _rows(x, indices), reduction)


def _scattered(x: Node, updates: Node, key: Any, reduction: str) -> Node:
    if reduction not in _MODES:
        raise Refused(f"the reduction {reduction!r}")
    if x.row.kind == "bool":
        if reduction not in ("none", "max", "min"):
            raise Refused(f"the reduction {reduction!r} of bools")
        bytes_ = update(cast_to(x, INT64), cast_to(updates, INT64), key, _MODES[reduction])
        return bytes_ != 0
    return update(x, updates, key, _MODES[reduction])


@operator("TensorScatter", since=24)
def tensor_scatter(
    past: Node, rows: Node, places: Node | None = None, *, axis: int = -2, mode: str = "linear"
) -> Node:
    """A cache with rows written along an axis, from a place on that each element of the batch has for itself."""
    along = axis % past.ndim
    if along == 0 or mode not in ("linear", "circular"):
        raise Refused(f"the axis {axis} and the mode {mode!r}")
    size = rows.shape[along]
    start = constant(np.zeros(1, np.int64)) if places is None else cast_to(places, INT64)
    place = shape.expand_dims(start, 1) + iota(size)
    if mode == "circular":
        place = place % past.shape[along]
    key = []
    for i, extent in enumerate(rows.shape):
        if i == along:
            key.append(
                shape.reshape(place, (place.shape[0], *_ones(along - 1), size, *_ones(past.ndim - 1 - i)))
            )
        else:
            key.append(shape.reshape(iota(extent), (*_ones(i), extent, *_ones(past.ndim - 1 - i))))
    return update(past, rows, tuple(key))


def _ones(number: int) -> tuple[int, ...]:
    return (1,) * number


@operator("NonZero", since=9)
def non_zero(x: Node) -> Node:
    if x.ndim == 0:
        raise Refused("a scalar")
    return shape.transpose(choose.argwhere(x))


@operator("Compress", since=9)
def compress(x: Node, condition: Node, *, axis: int | None = None) -> Node:
    """The condition may be shorter than the axis; what is beyond it is left out."""
    if axis is None:
        x, axis = shape.ravel(x), 0
    places = nonzero.flatnonzero(condition)
    return take(x, places, axis=axis)


@operator("ArgMax", "ArgMin")
def arg_extremum(at: Call, x: Node, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Node:
    find = reduce.argmax if at.operator == "ArgMax" else reduce.argmin
    if not select_last_index:
        return find(x, axis, keepdims=bool(keepdims))
    found = find(join.flip(x, axis), axis, keepdims=bool(keepdims))
    return x.shape[axis] - 1 - found


@operator("TopK", since=10)
def top_k(at: Call, x: Node, k: Node, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> list[Node]:
    return _top(x, at.dims(k)[0], axis, bool(largest))


@operator("TopK")
def early_top_k(x: Node, *, k: int, axis: int = -1) -> list[Node]:
    return _top(x, k, axis, True)


def _top(x: Node, k: Dim, axis: int, largest: bool) -> list[Node]:
    """Of equal elements the one with the smaller index comes first."""
    if same(k, x.shape[axis]) is None and not isinstance(k, int):
        raise Refused(f"the first {k} of axis {axis} of {x.type}")
    order = sort.argsort(x, axis, descending=largest)
    first = index(order, ((slice(None),) * (axis % x.ndim)) + (slice(0, k),))
    return [take_along_axis(x, first, axis), first]


@operator("CumSum", since=11)
def cum_sum(at: Call, x: Node, axis: Node, *, exclusive: int = 0, reverse: int = 0) -> Node:
    return _running(cumulative_sum.op, x, at.number(axis), exclusive, reverse)


@operator("CumProd", since=26)
def cum_prod(at: Call, x: Node, axis: Node, *, exclusive: int = 0, reverse: int = 0) -> Node:
    return _running(cumulative_prod.op, x, at.number(axis), exclusive, reverse)


def _running(scan: Op, x: Node, axis: int, exclusive: int, reverse: int) -> Node:
    return scan(x, axis=int(axis) % x.ndim, reverse=bool(reverse), exclusive=bool(exclusive))


@operator("ReverseSequence", since=10)
def reverse_sequence(x: Node, lengths: Node, *, batch_axis: int = 1, time_axis: int = 0) -> Node:
    """The first elements along the time axis in reverse, as many as each element of the batch says."""
    if {batch_axis, time_axis} != {0, 1}:
        raise Refused(f"the axes {batch_axis} and {time_axis}")
    steps = shape.expand_dims(iota(x.shape[time_axis]), 1 - time_axis)
    each = shape.expand_dims(lengths, 1 - batch_axis)
    place = where(steps < each, each - 1 - steps, steps)
    batch = shape.expand_dims(iota(x.shape[batch_axis]), 1 - batch_axis)
    return index(x, (place, batch) if time_axis == 0 else (batch, place))


@operator("Unique", since=11)
def unique(x: Node, *, axis: int | None = None, sorted: int = 1) -> list[Node]:
    if axis is not None and x.ndim != 1:
        raise Refused("the distinct slices along an axis")
    flat = shape.ravel(x)
    if sorted:
        found = sort.unique_all(flat)
        return [found.values, found.indices, found.inverse_indices, found.counts]
    found = sort.unique_all(flat)
    order = sort.argsort(found.indices)
    return [
        take(found.values, order),
        take(found.indices, order),
        take(sort.argsort(order), found.inverse_indices),
        take(found.counts, order),
    ]
