"""Repeating an array along axes of size 1, and its transpose: summing back to the smaller shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import OPS, Attrs, as_node
from symgraph.graph.types import TensorType, as_shape, broadcast_shapes
from symgraph.ops.annotations import Array, ArrayLike, ShapeLike, Slopes
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import ALL, NUMBERS, macro, op


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BroadcastAttrs(Attrs):
    shape: tuple[Dim, ...]


@op(
    BroadcastAttrs, onnx="Expand", dtypes=ALL,
    cases=[
        case(draw(), (2, 3)),
        case(draw(3), (2, 3)),
        case(draw(2, 1), (2, 3)),
        case(draw(2, 1), (4, 2, 3)),
        case(draw(2, 1), (2, 0)),
        case(draw(2, 3), (2, 3)),
        case(draw(1), 3),
        case(draw(), ()),
    ],
)  # fmt: skip
def broadcast_to(x: ArrayLike, shape: ShapeLike) -> Node:
    """``x`` repeated to a shape: along new axes in front, and along axes where its size is 1.

    >>> evaluate(broadcast_to([1.0, 2.0], (2, 2)))
    array([[1., 2.],
           [1., 2.]])

    Raises ShapeError for sizes that are neither the same nor 1: when built if that is known, else at the call.
    """
    x, shape = as_node(x), as_shape(shape)
    return x if x.shape == shape else broadcast_to.op(x, shape=shape)


@broadcast_to.infer
def _(x: TensorType, shape: tuple[Dim, ...]) -> TensorType:
    _check_broadcasts(x.shape, shape, "broadcast")
    return TensorType(x.dtype, shape)


@broadcast_to.numpy
def _(x: Array, shape: tuple[int, ...]) -> Array:
    _check_broadcasts(x.shape, shape, "broadcast")
    return np.broadcast_to(x, shape)


@broadcast_to.vjp
def _(g: Node, x: Node, out: Node, shape: tuple[Dim, ...]) -> Slopes:
    return sum_to(g, x.shape)


def _sum_to_reference(x: Any, shape: Any) -> Any:
    extra = x.ndim - len(shape)
    axes = [i for i in range(x.ndim) if i < extra or shape[i - extra] == 1]
    return np.sum(x, tuple(axes), dtype=x.dtype).reshape(shape)


@op(
    BroadcastAttrs, dtypes=NUMBERS, reference=_sum_to_reference,
    cases=[
        case(draw(2, 3), (3,)),
        case(draw(2, 3), ()),
        case(draw(2, 3), (2, 1)),
        case(draw(4, 2, 3), (2, 1)),
        case(draw(2, 3), (2, 3)),
        case(draw(0, 3), (1, 3)),
        case(draw(2, 0), (2, 0)),
    ],
)  # fmt: skip
def sum_to(x: ArrayLike, shape: ShapeLike) -> Node:
    """``x`` summed down to a shape that broadcasts to its own: the transpose of ``broadcast_to``.

    Summed are leading axes and those whose size in ``shape`` is 1, be it only at the call.

    >>> evaluate(sum_to([[1.0, 2.0], [3.0, 4.0]], (2,)))
    array([4., 6.])
    """
    x, shape = as_node(x), as_shape(shape)
    if x.shape == shape:
        return x
    axes = _known_axes(x.shape, shape)
    if axes is None:
        return sum_to.op(x, shape=shape)
    total: Node = OPS["sum"](x, axes=axes, keepdims=False)
    extra = x.ndim - len(shape)
    ones = tuple(axis - extra for axis in axes if axis >= extra)
    return OPS["expand_dims"](total, axes=ones) if ones else total


@sum_to.infer
def _(x: TensorType, shape: tuple[Dim, ...]) -> TensorType:
    _check_broadcasts(shape, x.shape, "be summed")
    return TensorType(x.dtype, shape)


@sum_to.numpy
def _(x: Array, shape: tuple[int, ...]) -> Array:
    _check_broadcasts(shape, x.shape, "be summed")
    extra = x.ndim - len(shape)
    axes = tuple(i for i, size in enumerate(x.shape) if i < extra or (shape[i - extra] == 1 and size != 1))
    return pairwise_sum(x, axes).reshape(shape)


@sum_to.vjp
def _(g: Node, x: Node, out: Node, shape: tuple[Dim, ...]) -> Slopes:
    return broadcast_to(g, x.shape)


@macro(
    dtypes=ALL,
    cases=[case(draw(2, 1), draw(3)), case(draw(), draw(2)), case(draw(4)), case(draw(0, 1), draw(2))],
)
def broadcast_arrays(*arrays: ArrayLike) -> tuple[Node, ...]:
    """The arrays, each broadcast to the shape that all of them have together.

    >>> evaluate(broadcast_arrays([1, 2], 3))
    (array([1, 2]), array([3, 3]))
    """
    nodes = [as_node(x) for x in arrays]
    if not nodes:
        return ()
    shape = broadcast_shapes(*(x.shape for x in nodes))
    return tuple(broadcast_to(x, shape) for x in nodes)


def pairwise_sum(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The sum over some axes, in the dtype of ``x``; 16-bit floats are summed in float32.

    NumPy sums pairwise along the last axis of a contiguous array and one by one along any other, so the axes are
    brought there first.
    """
    kept = [i for i in range(x.ndim) if i not in axes]
    wide = x.astype(np.float32) if x.dtype.kind in "fV" and x.dtype.itemsize == 2 else x
    rows = wide.transpose(*kept, *axes).reshape(
        *(x.shape[i] for i in kept), _product(x.shape[i] for i in axes)
    )
    return np.asarray(np.add.reduce(np.ascontiguousarray(rows), axis=-1, dtype=rows.dtype)).astype(
        x.dtype, copy=False
    )


def _product(sizes: Iterable[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _check_broadcasts(small: tuple[Dim, ...], large: tuple[Dim, ...], verb: str) -> None:
    source, target = (small, large) if verb == "broadcast" else (large, small)
    if len(small) > len(large):
        raise ShapeError(f"rank {len(source)} cannot {verb} to rank {len(target)}")
    for axis in range(-len(small), 0):
        if same(small[axis], large[axis]) is False and same(small[axis], 1) is False:
            raise ShapeError(f"axis {axis} is {source[axis]} and cannot {verb} to {target[axis]}")


def _known_axes(shape: tuple[Dim, ...], target: tuple[Dim, ...]) -> tuple[int, ...] | None:
    """The axes to sum over; None where the call decides them, and for a target that does not fit."""
    extra = len(shape) - len(target)
    if extra < 0:
        return None
    axes = list(range(extra))
    for axis, size in enumerate(target):
        if same(shape[axis + extra], size):
            continue
        if size != 1:
            return None
        axes.append(axis + extra)
    return tuple(axes)
