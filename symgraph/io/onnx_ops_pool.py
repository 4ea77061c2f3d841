"""ONNX's pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_ops_shape import count
from symgraph.io.onnx_table import Refused, operator
from symgraph.io.onnx_windows import Window, around, window, windows
from symgraph.ops import arithmetic, reduce, shape
from symgraph.ops.create import iota, ones, zeros
from symgraph.ops.index import take_along_axis
from symgraph.ops.join import pad
from symgraph.ops.statistics import mean
from symgraph.ops.transcendental import pow
from symgraph.ops.update import update


def _inside(w: Window) -> tuple[int, ...]:
    """The axes of a window among those that ``windows`` gives."""
    return tuple(range(2, 2 + len(w.sizes)))


@operator("MaxPool")
def max_pool(
    at: Call, x: Node, *,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, dilations: Sequence[int] | None = None, kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None, storage_order: int = 0, strides: Sequence[int] | None = None,
) -> list[Node]:  # fmt: skip
    """The largest of each window, and the place of the first such element in the whole of ``x``, flattened."""
    over = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, bool(ceil_mode))
    least = -np.inf if x.row.is_float else np.iinfo(x.dtype).min
    found = windows(around(x, over, least), over)
    largest = reduce.max(found, _inside(over))
    if not at.wants(1):
        return [largest]
    flat = shape.reshape(found, (*x.shape[:2], count(over.sizes), *over.places))
    chosen = reduce.argmax(flat, 2, keepdims=True)
    spatial = x.shape[2:]
    coordinate = _coordinates(over)
    place: Node = constant(0, "int64")
    order = range(len(spatial)) if not storage_order else reversed(range(len(spatial)))
    for axis in order:
        along = take_along_axis(_spread_over(coordinate[axis], chosen), chosen, 2)
        place = place * spatial[axis] + along
    place = shape.squeeze(place, 2)
    planes = iota(x.shape[0] * x.shape[1]) * count(spatial)
    return [largest, place + shape.reshape(planes, (*x.shape[:2], *(1,) * len(spatial)))]


def _coordinates(w: Window) -> list[Node]:
    """For each spatial axis, where the elements of each window lie in ``x``: elements of a window, places."""
    rank = len(w.sizes)
    found = []
    for axis in range(rank):
        inside = iota(w.sizes[axis]) * w.dilations[axis]
        starts = iota(w.places[axis]) * w.strides[axis] - w.before[axis]
        form = [1] * rank, [1] * rank
        form[0][axis] = w.sizes[axis]
        both = shape.reshape(inside, tuple(form[0]))
        spread = both + zeros(w.sizes, "int64")
        flat = shape.reshape(spread, (count(w.sizes), *(1,) * rank))
        places = shape.reshape(starts, tuple(w.places[axis] if i == axis else 1 for i in range(rank)))
        found.append(flat + places)
    return found


def _spread_over(places: Node, chosen: Node) -> Node:
    """Coordinates for all of the batch, the channels and the places."""
    return places + zeros((*chosen.shape[:2], 1, *chosen.shape[3:]), "int64")


@operator("AveragePool")
def average_pool(
    x: Node, *,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0, dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int], pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    """The mean of each window, of its elements in ``x`` or in its padding too; never of what sticks out behind."""
    over = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, bool(ceil_mode))
    total = reduce.sum(windows(around(x, over, 0), over), _inside(over))
    own = ones((1, 1, *x.shape[2:]), x.row)
    if count_include_pad:
        bare = Window(
            over.sizes,
            over.strides,
            over.dilations,
            over.before,
            over.after,
            (0,) * len(over.sizes),
            over.places,
        )
        own = around(own, bare, 1)
        behind = Window(
            over.sizes,
            over.strides,
            over.dilations,
            (0,) * len(over.sizes),
            (0,) * len(over.sizes),
            over.extra,
            over.places,
        )
        counted = around(own, behind, 0)
    else:
        counted = around(own, over, 0)
    return total / reduce.sum(windows(counted, over), _inside(over))


@operator("LpPool")
def lp_pool(
    x: Node, *,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, dilations: Sequence[int] | None = None, kernel_shape: Sequence[int],
    p: float = 2, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    over = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, bool(ceil_mode))
    powers = windows(around(pow(arithmetic.abs(x), float(p)), over, 0), over)
    return pow(reduce.sum(powers, _inside(over)), 1 / p)


def _spatial(x: Node) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


@operator("GlobalAveragePool")
def global_average_pool(x: Node) -> Node:
    return mean(x, _spatial(x), keepdims=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Node) -> Node:
    return reduce.max(x, _spatial(x), keepdims=True)


@operator("GlobalLpPool")
def global_lp_pool(x: Node, *, p: float = 2) -> Node:
    return pow(reduce.sum(pow(arithmetic.abs(x), float(p)), _spatial(x), keepdims=True), 1 / p)


@operator("MaxUnpool", since=9)
def max_unpool(
    at: Call, x: Node, places: Node, sizes: Node | None = None, *,
    kernel_shape: Sequence[int], pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    """Zeros, with the elements at the places that ``MaxPool`` says they came from.

    The places are those of an array of the size that the window implies; a size that is given may be larger, and the
    elements then stay at their coordinates.
    """
    rank = x.ndim - 2
    steps, given = tuple(strides or (1,) * rank), tuple(pads or (0,) * (2 * rank))
    implied = tuple(
        (size - 1) * step - given[axis] - given[axis + rank] + kernel_shape[axis]
        for axis, (size, step) in enumerate(zip(x.shape[2:], steps, strict=True))
    )
    shape_of = (*x.shape[:2], *implied)
    flat = shape.reshape(zeros(shape_of, x.row), -1)
    whole = shape.reshape(update(flat, shape.ravel(x), (shape.ravel(places),)), shape_of)
    if sizes is None:
        return whole
    wanted = at.ints(sizes)
    more = [fixed(a - b, "a size") for a, b in zip(wanted, shape_of, strict=True)]
    if min(more) < 0:
        raise Refused(f"an output of the shape {wanted}, which is smaller than {shape_of}")
    return pad(whole, [(0, size) for size in more])
