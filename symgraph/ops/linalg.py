"""Products of vectors and matrices, and norms."""

from __future__ import annotations

import builtins
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import TensorType, broadcast_shapes, promote
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import conj, multiply
from symgraph.ops.axes import many_axes, one_axis, reduced_shape
from symgraph.ops.broadcast import sum_to
from symgraph.ops.cases import case, draw, in_float32
from symgraph.ops.declare import ALL, NUMBERS, cast_to, macro, op
from symgraph.ops.join import roll
from symgraph.ops.shape import (
    expand_dims,
    matrix_transpose,
    moveaxis,
    reshape,
    squeeze,
    transpose,
)


def summed_in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy meaning that takes 16-bit floats in float32 and rounds at the end."""

    @functools.wraps(function)
    def computed(*arrays: Any, **attrs: Any) -> Any:
        given = arrays[0].dtype
        if given.kind in "fV" and given.itemsize == 2:
            arrays = tuple(x.astype(np.float32) for x in arrays)
        return np.asarray(function(*arrays, **attrs)).astype(given, copy=False)

    return computed


def same_dtype(*arrays: Any) -> list[Node]:
    """The arrays as nodes of the dtype that they are promoted to."""
    nodes = [as_node(x) for x in arrays]
    row = promote(*(x.row for x in nodes))
    return [cast_to(x, row) for x in nodes]


# Products that sum over axes


@op(
    dtypes=ALL, onnx="MatMul", reference=in_float32(np.matmul),
    cases=[
        case(draw(3), draw(3)),
        case(draw(2, 3), draw(3, 4)),
        case(draw(3), draw(3, 4)),
        case(draw(2, 3), draw(3)),
        case(draw(5, 2, 3), draw(3, 4)),
        case(draw(5, 2, 3), draw(3)),
        case(draw(2, 3), draw(5, 3, 4)),
        case(draw(3), draw(5, 3, 4)),
        case(draw(5, 2, 3), draw(5, 3, 4)),
        case(draw(5, 1, 2, 3), draw(6, 3, 4)),
        case(draw(1, 2, 3), draw(5, 3, 1)),
        case(draw(2, 1), draw(1, 4)),
        case(draw(2, 0), draw(0, 4)),
        case(draw(0, 3), draw(3, 4)),
        case(draw(0), draw(0)),
    ],
)  # fmt: skip
def matmul(x1: ArrayLike, x2: ArrayLike) -> Node:
    """The matrix product ``x1 @ x2``; of vectors, the inner product.

    Axes before the last two are broadcast. A vector stands for a row on the left and for a column on the right, and
    that axis is left out of the result. Integers wrap around in their dtype; of booleans it is the logical or of ands.

    >>> evaluate(matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]))
    array([3., 7.])

    Raises ShapeError for scalars, and where sizes that are summed over differ.
    """
    return matmul.op(*same_dtype(x1, x2))


@matmul.infer
def _(a: TensorType, b: TensorType) -> TensorType:
    _check_dtypes(a, b)
    if not a.shape or not b.shape:
        raise ShapeError("a scalar has no axis to sum over; multiply(x, y) takes scalars")
    _check_summed(a, -1, b, -1 if b.rank == 1 else -2)
    # The matrices' own axes count as 1 here, so that an error names the axis as the user sees it.
    batch = broadcast_shapes((*a.shape[:-2], 1, 1), (*b.shape[:-2], 1, 1))[:-2]
    columns = b.shape[-1:] if b.rank > 1 else ()
    return TensorType(a.dtype, (*batch, *a.shape[-2:-1], *columns))


matmul.numpy(summed_in_float32(np.matmul))


@matmul.vjp
def _(g: Node, a: Node, b: Node, out: Node) -> Slopes:
    if a.ndim == b.ndim == 1:
        return sum_to(g * conj(b), a.shape), sum_to(g * conj(a), b.shape)
    if a.ndim == 2 and b.ndim == 1:
        return expand_dims(g, 1) * conj(b), matmul.op(_adjoint(a), g)
    if a.ndim == 1 and b.ndim == 2:
        return matmul.op(g, _adjoint(b)), expand_dims(conj(a), 1) * g
    rows = a if a.ndim > 1 else expand_dims(a, 0)
    columns = b if b.ndim > 1 else expand_dims(b, 1)
    if a.ndim == 1:
        g = expand_dims(g, -2)
    if b.ndim == 1:
        g = expand_dims(g, -1)
    of_rows = sum_to(_product(g, _adjoint(columns)), rows.shape)
    if columns.ndim == 2 < rows.ndim:  # one tall product, rather than a product for each matrix and their sum
        rows, g = _stacked(rows), _stacked(g)
    of_columns = sum_to(_product(_adjoint(rows), g), columns.shape)
    return (
        of_rows if a.ndim > 1 else squeeze(of_rows, 0),
        of_columns if b.ndim > 1 else squeeze(of_columns, 1),
    )


def _product(a: Node, b: Node) -> Node:
    return a * b if a.shape[-1] == 1 else matmul.op(a, b)


def _adjoint(x: Node) -> Node:
    return matrix_transpose(conj(x))


def _stacked(x: Node) -> Node:
    """All matrices of a batch below each other, as one."""
    count: Dim = math.prod(x.shape[:-1])
    return reshape(x, (count, x.shape[-1]))


@macro(
    dtypes=ALL, reference=in_float32(np.dot),
    cases=[
        case(draw(3), draw(3)),
        case(draw(2, 3), draw(3, 4)),
        case(draw(), draw(2, 3)),
        case(draw(5, 2, 3), draw(3)),
        case(draw(2, 3), draw(5, 3, 4)),
        case(draw(0), draw(0)),
    ],
)  # fmt: skip
def dot(a: ArrayLike, b: ArrayLike) -> Node:
    """NumPy's ``dot``: sums over the last axis of ``a`` and the last but one (or only) axis of ``b``.

    It multiplies where one is a scalar, and is ``matmul`` unless ``b`` has more than two axes.

    >>> evaluate(dot([1.0, 2.0], [3.0, 4.0]))
    array(11.)
    """
    if as_node(a).ndim == 0 or as_node(b).ndim == 0:
        return multiply(a, b)
    a, b = same_dtype(a, b)
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


@macro(
    dtypes=NUMBERS, reference=in_float32(np.vdot),
    cases=[case(draw(3), draw(3)), case(draw(2, 3), draw(2, 3)), case(draw(), draw()), case(draw(0), draw(0))],
)  # fmt: skip
def vdot(a: ArrayLike, b: ArrayLike) -> Node:
    """The inner product of all elements, the first argument conjugated.

    >>> evaluate(vdot([1j, 2.0], [1j, 1.0]))
    array(3.+0.j)
    """
    a, b = same_dtype(a, b)
    return matmul(conj(_flat(a)), _flat(b))


@macro(
    dtypes=NUMBERS, reference=in_float32(np.linalg.vecdot),
    cases=[
        case(draw(3), draw(3)),
        case(draw(2, 3), draw(2, 3)),
        case(draw(2, 3), draw(3)),
        case(draw(3, 2), draw(3, 1), axis=0),
        case(draw(4, 3, 1), draw(3, 5), axis=-2),
        case(draw(2, 0), draw(2, 0)),
    ],
)  # fmt: skip
def vecdot(x1: ArrayLike, x2: ArrayLike, axis: int = -1) -> Node:
    """The inner products along an axis, the first argument conjugated; other axes are broadcast.

    >>> evaluate(vecdot([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]))
    array([3., 7.])
    """
    a, b = same_dtype(x1, x2)
    first, second = one_axis(axis, a), one_axis(axis, b)
    _check_summed(a.tensor, first - a.ndim, b.tensor, second - b.ndim)
    a, b = conj(moveaxis(a, first, -1)), moveaxis(b, second, -1)
    if a.ndim == b.ndim == 1:
        return matmul(a, b)
    return squeeze(matmul(expand_dims(a, -2), expand_dims(b, -1)), (-2, -1))


@macro(
    dtypes=ALL, reference=in_float32(np.inner),
    cases=[
        case(draw(3), draw(3)),
        case(draw(2, 3), draw(4, 3)),
        case(draw(3), draw(2, 3)),
        case(draw(2, 3), draw(5, 4, 3)),
        case(draw(2, 3), draw()),
    ],
)  # fmt: skip
def inner(a: ArrayLike, b: ArrayLike) -> Node:
    """The sum of products over the last axes of both, for every pair of rows; it multiplies where one is a scalar.

    >>> evaluate(inner([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]))
    array([3., 7.])
    """
    if as_node(a).ndim == 0 or as_node(b).ndim == 0:
        return multiply(a, b)
    a, b = same_dtype(a, b)
    _check_summed(a.tensor, -1, b.tensor, -1)
    if b.ndim > 2:
        return tensordot(a, b, (-1, -1))
    return matmul(a, matrix_transpose(b) if b.ndim == 2 else b)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TensordotAttrs(Attrs):
    """The axes that are summed over, in pairs, ``first`` in ascending order."""

    first: tuple[int, ...]
    second: tuple[int, ...]


@op(
    TensordotAttrs, dtypes=ALL, reference=in_float32(np.tensordot),
    cases=[
        case(draw(2, 3, 4), draw(3, 4, 5)),
        case(draw(2, 3), draw(3, 4), axes=1),
        case(draw(2, 3), draw(4), axes=0),
        case(draw(2, 3, 4), draw(4, 5, 2), axes=([0, 2], [2, 0])),
        case(draw(2, 3, 4), draw(5, 4, 3), axes=((-1, 1), (1, 2))),
        case(draw(2, 3), draw(3, 2), axes=(1, 0)),
        case(draw(2, 3), draw(2, 3), axes=((), ())),
        case(draw(2, 0), draw(0, 4), axes=1),
        case(draw(), draw(2), axes=0),
    ],
)  # fmt: skip
def tensordot(x1: ArrayLike, x2: ArrayLike, axes: AxisLike = 2) -> Node:
    """The products of all elements, summed over pairs of axes; the axes left are those of ``x1``, then of ``x2``.

    ``axes`` is a number, of last axes of ``x1`` that meet the first of ``x2``, or a pair: the axes of ``x1``, and those
    of ``x2`` that they meet.

    >>> evaluate(tensordot([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]))
    array(5.)

    Raises ShapeError where sizes that are summed over differ: nothing is broadcast.
    """
    a, b = same_dtype(x1, x2)
    first, second = _paired_axes(axes, a, b)
    return tensordot.op(a, b, first=first, second=second)


@tensordot.infer
def _(a: TensorType, b: TensorType, first: tuple[int, ...], second: tuple[int, ...]) -> TensorType:
    _check_dtypes(a, b)
    for p, q in zip(first, second, strict=True):
        _check_summed(a, p, b, q)
    return TensorType(a.dtype, reduced_shape(a.shape, first) + reduced_shape(b.shape, second))


@tensordot.numpy
@summed_in_float32
def _(a: Array, b: Array, first: tuple[int, ...], second: tuple[int, ...]) -> Array:
    return np.tensordot(a, b, (first, second))


@tensordot.vjp
def _(g: Node, a: Node, b: Node, out: Node, first: tuple[int, ...], second: tuple[int, ...]) -> Slopes:
    free_a, free_b = _others(a, first), _others(b, second)
    from_a, from_b = tuple(range(len(free_a))), tuple(range(len(free_a), g.ndim))
    of_a = tensordot.op(g, conj(b), first=from_b, second=free_b)
    of_b = tensordot.op(conj(a), g, first=free_a, second=from_a)
    axes_a = free_a + tuple(p for _, p in sorted(zip(second, first, strict=True)))
    axes_b = tuple(q for _, q in sorted(zip(first, second, strict=True))) + free_b
    return sum_to(_placed(of_a, axes_a), a.shape), sum_to(_placed(of_b, axes_b), b.shape)


def _placed(x: Node, axes: tuple[int, ...]) -> Node:
    """``x`` with its axes moved to these places."""
    return transpose(x, tuple(axes.index(i) for i in range(x.ndim)))


def _others(x: Node, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if i not in axes)


def _paired_axes(axes: Any, a: Node, b: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, tuple | list):
        if len(axes) != 2:
            raise ArgumentError(f"axes is a number or a pair, not {axes!r}")
        left, right = (tuple(each) if isinstance(each, tuple | list) else (each,) for each in axes)
        if len(left) != len(right):
            raise ArgumentError(f"{len(left)} axes of the first cannot meet {len(right)} of the second")
        many_axes(left, a), many_axes(right, b)
        pairs = sorted((one_axis(p, a), one_axis(q, b)) for p, q in zip(left, right, strict=True))
        return tuple(p for p, _ in pairs), tuple(q for _, q in pairs)
    try:
        count = operator.index(axes)
    except TypeError:
        raise ArgumentError(f"axes is a number or a pair, not {axes!r}") from None
    if not 0 <= count <= builtins.min(a.ndim, b.ndim):
        raise ShapeError(f"{count} axes cannot be summed over in {a.type} and {b.type}")
    return tuple(range(a.ndim - count, a.ndim)), tuple(range(count))


def _check_dtypes(a: TensorType, b: TensorType) -> None:
    if a.dtype is not b.dtype:
        raise DTypeError("takes two arrays of one dtype; a node does not promote its inputs")


def _check_summed(a: TensorType, first: int, b: TensorType, second: int) -> None:
    if same(a.shape[first], b.shape[second]) is False:
        sizes = f"is {a.shape[first]} and axis {second} of the second is {b.shape[second]}"
        raise ShapeError(f"axis {first} of the first {sizes}; they are summed over, so they must agree")


# Products of all pairs


@macro(
    dtypes=ALL, reference=np.outer,
    cases=[case(draw(2), draw(3)), case(draw(2, 3), draw(4)), case(draw(), draw(2)), case(draw(0), draw(2))],
)  # fmt: skip
def outer(a: ArrayLike, b: ArrayLike) -> Node:
    """The products of every element of ``a`` with every element of ``b``, as a matrix.

    >>> evaluate(outer([1.0, 2.0], [3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    a, b = same_dtype(a, b)
    return expand_dims(_flat(a), 1) * expand_dims(_flat(b), 0)


@macro(
    dtypes=ALL, reference=np.kron,
    cases=[
        case(draw(2), draw(3)),
        case(draw(2, 3), draw(4, 5)),
        case(draw(2), draw(3, 4)),
        case(draw(2, 3, 4), draw(2, 2)),
        case(draw(), draw(2)),
        case(draw(0), draw(2)),
    ],
)  # fmt: skip
def kron(a: ArrayLike, b: ArrayLike) -> Node:
    """The Kronecker product: a copy of ``b`` for each element of ``a``, times that element, side by side.

    >>> evaluate(kron([[1, 2]], [[1, 1], [0, 1]]))
    array([[1, 1, 2, 2],
           [0, 1, 0, 2]])
    """
    a, b = same_dtype(a, b)
    rank = builtins.max(a.ndim, b.ndim)
    left = (1,) * (rank - a.ndim) + a.shape
    right = (1,) * (rank - b.ndim) + b.shape
    blocks = reshape(a, tuple(size for each in left for size in (each, 1)))
    inside = reshape(b, tuple(size for each in right for size in (1, each)))
    return reshape(blocks * inside, tuple(p * q for p, q in zip(left, right, strict=True)))


@macro(
    dtypes=NUMBERS, reference=np.linalg.cross,
    cases=[
        case(draw(3), draw(3), symbolic=False),
        case(draw(2, 3), draw(2, 3), symbolic=False),
        case(draw(2, 3), draw(3), symbolic=False),
        case(draw(3, 2), draw(3, 1), axis=0, symbolic=False),
        case(draw(4, 1, 3), draw(1, 5, 3), symbolic=False),
        case(draw(0, 3), draw(0, 3), symbolic=False),
    ],
)  # fmt: skip
def cross(x1: ArrayLike, x2: ArrayLike, axis: int = -1) -> Node:
    """The cross product of vectors of three along an axis; other axes are broadcast.

    >>> evaluate(cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    array([0., 0., 1.])

    Raises ShapeError for any size but 3; two-dimensional vectors have no cross product.
    """
    a, b = same_dtype(x1, x2)
    for x in (a, b):
        size = x.shape[one_axis(axis, x)]
        if size != 3:
            known = "" if isinstance(size, int) else " when the graph is built"
            raise ShapeError(f"axis {axis} of {x.type} must be 3{known}, not {size}")
    a, b = moveaxis(a, axis, -1), moveaxis(b, axis, -1)
    product = roll(a, -1, -1) * roll(b, -2, -1) - roll(a, -2, -1) * roll(b, -1, -1)
    return moveaxis(product, -1, axis)


def _flat(x: Node) -> Node:
    return x if x.ndim == 1 else reshape(x, (x.size,))


# Norms
