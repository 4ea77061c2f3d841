"""ONNX's operators on images that take samples between pixels, and on boxes in images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import constant, size_value
from symgraph.graph.types import INT64
from symgraph.io.onnx_call import fixed
from symgraph.io.onnx_ops_conv import with_bias
from symgraph.io.onnx_ops_shape import count
from symgraph.io.onnx_table import Refused, operator
from symgraph.io.onnx_windows import window
from symgraph.ops import reduce, shape
from symgraph.ops.arithmetic import astype, floor, maximum, minimum, remainder, rint, where
from symgraph.ops.create import iota, zeros
from symgraph.ops.index import index, take_along_axis
from symgraph.ops.join import stack
from symgraph.ops.linalg import matmul
from symgraph.ops.loops import scan
from symgraph.ops.nonzero import nonzero
from symgraph.ops.sort import argsort
from symgraph.ops.statistics import mean

_MODES = {"bilinear": "linear", "bicubic": "cubic"}


@operator("GridSample", since=16)
def grid_sample(
    x: Node, grid: Node, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Node:
    """``x`` at places between -1 and 1, of which the last coordinate in the grid is that of the first spatial axis."""
    mode = _MODES.get(mode, mode)
    rank = x.ndim - 2
    if mode not in ("nearest", "linear", "cubic") or padding_mode not in ("zeros", "border", "reflection"):
        raise Refused(f"the mode {mode!r} with the padding {padding_mode!r}")
    if grid.ndim != x.ndim or grid.shape[-1] != rank:
        raise Refused(f"a grid {grid.type} for {x.type}")
    sizes = [astype(size_value(size), grid.row) for size in x.shape[2:]]
    places, bounds = [], []
    for axis, size in enumerate(sizes):
        at = index(grid, (..., rank - 1 - axis))
        place = (at + 1) / 2 * (size - 1) if align_corners else ((at + 1) * size - 1) / 2
        low, high = (
            (zeros((), grid.row), size - 1) if align_corners else (constant(-0.5, grid.row), size - 0.5)
        )
        place = rint(place) if mode == "nearest" else place
        beyond = (place < low) | (place > high)
        if padding_mode == "border":
            place = where(beyond, minimum(maximum(place, 0), size - 1), place)
        elif padding_mode == "reflection":
            place = where(beyond, _reflected(place, low, high), place)
        places.append(place)
        bounds.append((low, high))
    rows = shape.moveaxis(x, 1, -1)
    taps = [_taps(place, mode) for place in places]
    total: Node | None = None
    for corner in product(*taps):
        at_corner = [
            _inside(where_, padding_mode, *bound) for (where_, _), bound in zip(corner, bounds, strict=True)
        ]
        part = _pixels(rows, at_corner)
        if mode != "nearest":
            weight = corner[0][1]
            for _, more in corner[1:]:
                weight = weight * more
            part = part * shape.expand_dims(weight, -1)
        total = part if total is None else total + part
    assert total is not None
    return shape.moveaxis(astype(total, x.row), -1, 1)


def _reflected(place: Node, low: Node, high: Node) -> Node:
    """A coordinate folded back between two bounds, again and again."""
    span = high - low
    period = 2 * span
    folded = remainder(place - low, where(period == 0, 1.0, period))
    return low + where(folded > span, period - folded, folded)


def _taps(place: Node, mode: str) -> list[tuple[Node, Node]]:
    """The pixels along an axis that a sample is made of, and their weights."""
    if mode == "nearest":
        return [(place, place)]
    first = floor(place)
    part = place - first
    if mode == "linear":
        return [(first, 1 - part), (first + 1, part)]
    a = -0.75  # Keys' cubic, IEEE TASSP 29 (1981), with the parameter that ONNX names
    far, near = 1 + part, 1 - part
    weights = (
        ((a * far - 5 * a) * far + 8 * a) * far - 4 * a,
        ((a + 2) * part - (a + 3)) * part * part + 1,
        ((a + 2) * near - (a + 3)) * near * near + 1,
        ((a * (2 - part) - 5 * a) * (2 - part) + 8 * a) * (2 - part) - 4 * a,
    )
    return [(first + offset - 1, weight) for offset, weight in enumerate(weights)]


def _inside(place: Node, padding: str, low: Node, high: Node) -> tuple[Node, str]:
    if padding == "reflection":
        place = where((place < low) | (place > high), _reflected(place, low, high), place)
    return place, padding


def _pixels(rows: Node, places: Sequence[tuple[Node, str]]) -> Node:
    """The channels at whole places, arrays with the batch in front; 0 beyond the edges where that is asked."""
    first = places[0][0]
    key: list[Node] = [shape.reshape(iota(rows.shape[0]), (-1, *(1,) * (first.ndim - 1)))]
    valid: Node | None = None
    for axis, (place, padding) in enumerate(places, start=1):
        whole = astype(place, INT64)
        last = size_value(rows.shape[axis]) - 1
        if padding == "zeros":
            ok = (whole >= 0) & (whole <= last)
            valid = ok if valid is None else valid & ok
        key.append(minimum(maximum(whole, 0), last))
    found = index(rows, tuple(key))
    return found if valid is None else where(shape.expand_dims(valid, -1), found, constant(0, found.row))


@operator("DeformConv", since=19)
def deform_conv(
    x: Node, w: Node, offset: Node, bias: Node | None = None, mask: Node | None = None, *,
    dilations: Sequence[int] | None = None, group: int = 1, kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    """A convolution whose windows' elements are moved by offsets of their own. Dai et al., ICCV 2017."""
    rank = x.ndim - 2
    sizes = tuple(fixed(size, "a size of the kernel") for size in w.shape[2:])
    over = window(x.shape[2:], sizes, strides, dilations, pads, "NOTSET")
    batch, channels = x.shape[:2]
    inside, outside = count(sizes), over.places
    moved = shape.reshape(offset, (batch, offset_group, inside, rank, *outside))
    places = []
    for axis in range(rank):
        within = np.indices(sizes)[axis].reshape(-1) * over.dilations[axis] - fixed(
            over.before[axis], "padding"
        )
        starts = shape.reshape(iota(outside[axis]) * over.strides[axis], tuple(
            outside[axis] if i == axis else 1 for i in range(rank)
        ))  # fmt: skip
        still = shape.reshape(constant(within), (inside, *(1,) * rank)) + starts
        # The batch and the groups of offsets become one axis.
        every = index(moved, (slice(None), slice(None), slice(None), axis)) + astype(still, offset.row)
        places.append(shape.reshape(every, (batch * offset_group, inside, *outside)))
    each = channels // offset_group
    rows = shape.moveaxis(shape.reshape(x, (batch * offset_group, each, *x.shape[2:])), 1, -1)
    total: Node | None = None
    for corner in product(*(_taps(place, "linear") for place in places)):
        weight = corner[0][1]
        for _, more in corner[1:]:
            weight = weight * more
        part = _pixels(rows, [(place, "zeros") for place, _ in corner]) * shape.expand_dims(weight, -1)
        total = part if total is None else total + part
    assert total is not None
    samples = shape.reshape(shape.moveaxis(total, -1, 1), (batch, offset_group, each, inside, *outside))
    if mask is not None:
        samples = samples * shape.reshape(mask, (batch, offset_group, 1, inside, *outside))
    out = w.shape[0]
    patches = shape.reshape(samples, (batch, group, channels // group * inside, count(outside)))
    weights = shape.reshape(w, (group, out // group, w.shape[1] * inside))
    return with_bias(shape.reshape(matmul(weights, patches), (batch, out, *outside)), bias)


@operator("RoiAlign", since=16)
def roi_align(
    x: Node, rois: Node, batches: Node, *,
    coordinate_transformation_mode: str = "half_pixel", mode: str = "avg", output_height: int = 1,
    output_width: int = 1, sampling_ratio: int = 0, spatial_scale: float = 1.0,
) -> Node:  # fmt: skip
    """Samples of ``x`` in boxes, pooled. He et al., ICCV 2017.

    The largest is that of the four weighted corners of every sample, as ONNX has it.
    """
    if sampling_ratio < 1 or mode not in ("avg", "max"):
        raise Refused(f"the mode {mode!r} with the sampling ratio {sampling_ratio}")
    half = coordinate_transformation_mode == "half_pixel"
    boxes = rois * spatial_scale - (0.5 if half else 0.0)
    coordinates = []
    for axis, cells in enumerate((output_height, output_width)):
        start, stop = index(boxes, (slice(None), 1 - axis)), index(boxes, (slice(None), 3 - axis))
        length = stop - start if half else maximum(stop - start, 1.0)
        step = shape.expand_dims(length / cells, 1)
        within = (np.arange(cells * sampling_ratio) + 0.5) / sampling_ratio
        coordinates.append(shape.expand_dims(start, 1) + step * constant(within, x.row))
    tops = [_corners(place, size) for place, size in zip(coordinates, x.shape[2:], strict=True)]
    rows = shape.moveaxis(x, 1, -1)
    key = shape.reshape(astype(batches, INT64), (-1, 1, 1))
    weighted = []
    for (i, wi), (j, wj) in product(*tops):
        pixels = index(rows, (key, shape.expand_dims(i, 2), shape.expand_dims(j, 1)))
        weighted.append(pixels * shape.expand_dims(shape.expand_dims(wi, 2) * shape.expand_dims(wj, 1), -1))
    if mode == "avg":
        samples = weighted[0] + weighted[1] + weighted[2] + weighted[3]
    else:
        samples = maximum(maximum(weighted[0], weighted[1]), maximum(weighted[2], weighted[3]))
    parts = shape.reshape(
        samples,
        (rois.shape[0], output_height, sampling_ratio, output_width, sampling_ratio, x.shape[1]),
    )
    pooled = mean(parts, (2, 4)) if mode == "avg" else reduce.max(parts, (2, 4))
    return shape.moveaxis(pooled, -1, 1)


def _corners(place: Node, size: Dim) -> list[tuple[Node, Node]]:
    """The two pixels around a coordinate, and their weights; 0 for one that is beyond the edge by more than a pixel."""
    length = astype(size_value(size), place.row)
    valid = (place >= -1.0) & (place <= length)
    inside = minimum(maximum(place, 0.0), length - 1)
    low = floor(inside)
    part = inside - low
    high = minimum(low + 1, length - 1)
    one = astype(valid, place.row)
    return [(astype(low, INT64), (1 - part) * one), (astype(high, INT64), part * one)]


@operator("NonMaxSuppression", since=10)
def non_max_suppression(
    boxes: Node, scores: Node, most: Node | None = None, overlap: Node | None = None, least: Node | None = None, *,
    center_point_box: int = 0,
) -> Node:  # fmt: skip
    """Of each class the boxes by score, without those that overlap a better one too much: rows of batch, class, box."""
    if most is None:
        return zeros((0, 3), "int64")
    ranks = argsort(scores, -1, descending=True)
    ordered = take_along_axis(scores, ranks, -1)
    batch, classes, number = scores.shape
    corners = _box_corners(boxes, bool(center_point_box))
    places = shape.reshape(iota(batch), (-1, 1, 1))
    sides = [index(side, (places, ranks)) for side in corners]
    limit = 0.0 if overlap is None else shape.reshape(overlap, ())
    alive = constant(True) & (ordered == ordered) if least is None else ordered > shape.reshape(least, ())
    quota = astype(shape.reshape(most, ()), INT64)

    def turn(carry: Any, place: Node) -> Any:
        free, taken = carry
        here = index(free, (..., place)) & (taken < quota)
        mine = [shape.expand_dims(index(side, (..., place)), -1) for side in sides]
        covered = _overlaps(mine, sides) > limit
        after = free & ~(shape.expand_dims(here, -1) & covered)
        return (after, taken + astype(here, INT64)), here

    start = (alive, zeros((batch, classes), "int64"))
    _, kept = scan(turn, start, iota(number))
    found = nonzero(shape.moveaxis(kept, 0, -1))
    return stack([found[0], found[1], index(ranks, tuple(found))], axis=1)


def _box_corners(boxes: Node, centred: bool) -> list[Node]:
    """The lower and upper ends of boxes on both axes."""
    a, b, c, d = (index(boxes, (..., i)) for i in range(4))
    if centred:
        return [a - c / 2, b - d / 2, a + c / 2, b + d / 2]
    return [minimum(a, c), minimum(b, d), maximum(a, c), maximum(b, d)]


def _overlaps(one: Sequence[Node], others: Sequence[Node]) -> Node:
    """The areas that boxes share with others, divided by the areas of both together."""
    height = minimum(one[2], others[2]) - maximum(one[0], others[0])
    width = minimum(one[3], others[3]) - maximum(one[1], others[1])
    shared = maximum(height, 0.0) * maximum(width, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, others)]
    union = areas[0] + areas[1] - shared
    return where(union > 0, shared / where(union > 0, union, 1.0), 0.0)
