"""Diagonals of matrices: taken, summed, and matrices made of them."""

from __future__ import annotations

from symgraph.errors import ShapeError
from symgraph.graph.dims import dim_max, dim_min
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.ops.annotations import ArrayLike, DTypeLike
from symgraph.ops.axes import one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.create import iota, zeros
from symgraph.ops.declare import ALL, NUMBERS, REALS, macro
from symgraph.ops.index import index
from symgraph.ops.math import whole
from symgraph.ops.reduce import sum
from symgraph.ops.shape import moveaxis
from symgraph.ops.update import update

_CASES = [
    case(draw(3, 3)),
    case(draw(2, 4), 1),
    case(draw(4, 2), -1),
    case(draw(2, 3), 5, symbolic=False),
    case(draw(2, 3, 4), 0, 1, 2),
    case(draw(2, 3, 4), offset=1, axis1=-1, axis2=0),
    case(draw(0, 3)),
]


@macro(dtypes=ALL, cases=_CASES)
def diagonal(x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """A diagonal of two axes, as a last axis in their place; ``offset`` above the main one, or below when negative.

    >>> evaluate(diagonal([[1, 2], [3, 4]]))
    array([1, 4])
    """
    x, k = as_node(x), whole("an offset", offset)
    rows, columns = one_axis(axis1, x), one_axis(axis2, x)
    if rows == columns:
        raise ShapeError(f"a diagonal is of two axes, and both are {rows}")
    x = moveaxis(x, (rows, columns), (-2, -1))
    n, m = x.shape[-2:]
    count = iota(dim_max(dim_min(n, m - k) if k >= 0 else dim_min(n + k, m), 0))
    return index(x, (..., count - min(k, 0), count + max(k, 0)))


@macro(dtypes=NUMBERS, cases=_CASES)
def trace(
    x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None
) -> Node:
    """The sum of a diagonal.

    >>> evaluate(trace([[1, 2], [3, 4]]))
    array(5)
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)


@macro(
    dtypes=REALS,
    cases=[case(draw(3)), case(draw(2), 1), case(draw(2), -2), case(draw(3, 2)), case(draw(0))],
)
def diag(x: ArrayLike, k: int = 0) -> Node:
    """A vector as the diagonal of a matrix of zeros; of a matrix, its diagonal.

    >>> evaluate(diag([1, 2]))
    array([[1, 0],
           [0, 2]])
    """
    x, k = as_node(x), whole("k", k)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"takes a vector or a matrix, not {x.type}")
    size = x.shape[0] + abs(k)
    count = iota(x.shape[0])
    return update(zeros((size, size), x.row), x, (count - min(k, 0), count + max(k, 0)))
