"""How often values come, and differences of neighbours."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, OutOfBoundsError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node, constant, size_value
from symgraph.graph.types import BOOL, INT64, DType, TensorType, as_shape
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import minimum, where
from symgraph.ops.axes import one_axis
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw
from symgraph.ops.comparison import logical_and, not_equal
from symgraph.ops.declare import ALL, FLOATS, cast_to, macro, op, settled
from symgraph.ops.index import take
from symgraph.ops.join import concat
from symgraph.ops.reduce import sum
from symgraph.ops.shape import reshape
from symgraph.ops.sort import searchsorted


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BincountAttrs(Attrs):
    length: Dim


def _bincount_reference(x: Any, weights: Any = None, *, length: Any) -> Any:
    return np.bincount(x, weights, length).astype(np.int64 if weights is None else weights.dtype)


@op(
    BincountAttrs, dtypes=FLOATS, reference=_bincount_reference,
    cases=[
        case(draw(6, interval=(0, 4), dtype="int64"), length=5),
        case(draw(6, interval=(0, 4), dtype="int64"), draw(6), length=5),
        case(draw(3, interval=(0, 1), dtype="uint8"), draw(3), length=7),
        case(draw(0, interval=(0, 1), dtype="int64"), length=2),
    ],
)  # fmt: skip
def bincount(x: ArrayLike, weights: ArrayLike | None = None, *, length: Dim) -> Node:
    """How often each of the integers from 0 to ``length - 1`` comes in a vector, or the sum of its weights.

    Raises OutOfBoundsError at the call for any other integer.

    >>> evaluate(bincount([0, 2, 2], length=4))
    array([1, 0, 2, 0])
    """
    x = as_node(x)
    if not (x.row.is_integer or x.row is BOOL):
        raise DTypeError(f"counts integers, not {x.row.name}")
    weights = as_node(1) if weights is None else as_node(weights)
    if weights.row is BOOL:
        weights = cast_to(weights, INT64)
    weights = broadcast_to(weights, x.shape) if weights.ndim == 0 else weights
    return bincount.op(cast_to(x, INT64), weights, length=as_shape(length)[0])


@bincount.infer
def _(x: TensorType, weights: TensorType, length: Dim) -> TensorType:
    if x.rank != 1 or weights.rank != 1 or same(x.shape[0], weights.shape[0]) is False:
        raise ShapeError("takes a vector, and weights of its size")
    if x.dtype is not INT64 or weights.dtype is BOOL:
        raise DTypeError("takes int64, and numeric weights")
    return TensorType(weights.dtype, (length,))


@bincount.numpy
def _(x: Array, weights: Array, length: int) -> Array:
    if x.shape != weights.shape:
        raise ShapeError(f"{x.shape[0]} integers have {weights.shape[0]} weights")
    if x.size and (x.min() < 0 or x.max() >= length):
        raise OutOfBoundsError(f"integers from {x.min()} to {x.max()} do not lie below {length}")
    wide = np.float32 if weights.dtype.kind in "fV" and weights.dtype.itemsize == 2 else weights.dtype
    counts: Array = np.zeros(length, wide)
    np.add.at(counts, x, weights.astype(wide, copy=False))
    return counts.astype(weights.dtype, copy=False)


@bincount.vjp
def _(g: Node, x: Node, weights: Node, out: Node, length: Dim) -> Slopes:
    return 0, take(g, x, 0)


_EDGES = [-2.5, -1.25, 0.25, 2.0]


def _histogram_reference(
    x: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    counts, edges = np.histogram(
        x, np.asarray(bins) if isinstance(bins, list) else bins, range, density, weights
    )
    return counts.astype(weights.dtype) if weights is not None and not density else counts, edges


@macro(
    dtypes=("float32", "float64"), reference=_histogram_reference,
    cases=[
        case(draw(20), _EDGES),
        case(draw(4, 5), _EDGES, density=True),
        case(draw(20), _EDGES, weights=draw(20)),
        case(draw(20), 4, range=(-2.1, 2.3)),
        case(draw(0), _EDGES),
        case(draw(), _EDGES),
    ],
)  # fmt: skip
def histogram(
    x: ArrayLike,
    bins: ArrayLike,
    range: Sequence[float] | None = None,
    density: bool | None = None,
    weights: ArrayLike | None = None,
) -> tuple[Node, Node]:
    """How many elements lie between consecutive edges, or the sum of their weights; and the edges.

    ``bins`` are the edges, which must rise, or the number of equal bins over ``range``. A bin has its lower edge, the
    last bin both. ``density`` divides by the total and the widths. Gradients reach the weights.

    >>> evaluate(histogram([1.0, 2.0, 2.5, 9.0], [1.0, 2.0, 3.0])[0])
    array([1, 2])
    """
    x = as_node(x)
    edges = _edges(bins, range, settled((x.row, float))[0])
    count = edges.shape[0] - 1
    x = reshape(x, (x.size,))
    lowest, highest = take(edges, 0, 0), take(edges, size_value(count), 0)
    places = minimum(
        searchsorted(edges, x, side="right") - 1, size_value(count - 1)
    )  # the last edge is inside
    inside = logical_and(x >= lowest, x <= highest)
    places = where(inside, places, size_value(count))
    if weights is not None:
        weights = as_node(weights)
        if weights.ndim != 1:
            weights = reshape(weights, (weights.size,))
    counts = bincount(places, weights, length=count + 1)[:-1]
    if density:
        counts = counts / diff(edges) / sum(counts)
    return counts, edges


def _edges(bins: Any, range_: Sequence[float] | None, row: DType) -> Node:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if range_ is None:
            raise ArgumentError(
                "a number of bins needs range=(lowest, highest): edges do not depend on the data"
            )
        if bins < 1 or not range_[0] < range_[1]:
            raise ArgumentError(f"there are no {bins} bins over {range_}")
        lowest, highest = range_
        return constant(np.linspace(lowest, highest, int(bins) + 1), row)
    if range_ is not None:
        raise ArgumentError("range goes with a number of bins, not with edges")
    edges = as_node(bins)
    if edges.ndim != 1 or same(edges.shape[0], 0) or same(edges.shape[0], 1):
        raise ShapeError(f"edges are a vector of two or more, not {edges.type}")
    if not isinstance(bins, Node) and np.any(np.diff(bins) < 0):
        raise ArgumentError("the edges do not rise")
    return edges


@macro(
    dtypes=ALL,
    cases=[
        case(draw(5)),
        case(draw(2, 3), axis=0),
        case(draw(2, 4), n=2),
        case(draw(4), n=0),
        case(draw(3), n=3),
        case(draw(1)),
        case(draw(0)),
        case(draw(2, 3), axis=1, prepend=draw(2, 1), append=draw(2, 2)),
        case(draw(2, 3), axis=0, append=draw()),
    ],
)  # fmt: skip
def diff(
    x: ArrayLike,
    n: int = 1,
    axis: int = -1,
    prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
) -> Node:
    """The differences ``x[1:] - x[:-1]`` along an axis, taken ``n`` times; of bools, whether neighbours differ.

    ``prepend`` and ``append`` are put before and behind ``x`` first.

    >>> evaluate(diff([1.0, 2.0, 4.0]))
    array([1., 2.])
    """
    x = as_node(x)
    axis = one_axis(axis, x)
    if (times := operator.index(n)) < 0:
        raise ArgumentError(f"differences cannot be taken {n} times")
    ends = [_end(part, x, axis) for part in (prepend, x, append) if part is not None]
    x = concat(ends, axis) if len(ends) > 1 else x
    before, behind = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
    for _ in range(times):
        x = not_equal(x[behind], x[before]) if x.row is BOOL else x[behind] - x[before]
    return x


def _end(part: ArrayLike, x: Node, axis: int) -> Node:
    part = as_node(part)
    return (
        part
        if part.ndim
        else broadcast_to(part, tuple(1 if i == axis else size for i, size in enumerate(x.shape)))
    )
