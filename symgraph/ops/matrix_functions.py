"""Functions of whole matrices: exponentials, powers, chains of products, norms, diagonals."""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.graph.types import TensorType, broadcast_shapes
from symgraph.ops import diagonals
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, DTypeLike, Slopes
from symgraph.ops.axes import many_axes
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw, in_float32, made
from symgraph.ops.create import zeros_like
from symgraph.ops.declare import ALL, INEXACTS, NUMBERS, macro, op
from symgraph.ops.einsum import einsum
from symgraph.ops.inverses import inv
from symgraph.ops.join import concat
from symgraph.ops.linalg import matmul, same_dtype
from symgraph.ops.linalg import outer as outer_of_all
from symgraph.ops.matrices import (
    MATRIX_DTYPES,
    adjoint,
    check_matrix,
    check_square,
    identity_like,
    matrix,
    operands,
    regular,
    square_to_square,
)
from symgraph.ops.norm import norm
from symgraph.ops.scipy_door import linalg
from symgraph.ops.shape import expand_dims, reshape, squeeze, transpose

# Exponentials


def _expm_reference(a: Any) -> Any:
    # The series itself: the matrices that are drawn are small.
    total = term = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for k in range(1, 40):
        term = term @ a / k
        total = total + term
    return total


@op(
    namespace="linalg", dtypes=MATRIX_DTYPES, sample=(-1, 1), tolerance=16, reference=_expm_reference,
    cases=[
        case(draw(3, 3)),
        case(draw(2, 2, 2)),
        case(draw(1, 1)),
        case(draw(0, 0)),
        case(draw(0, 2, 2)),
    ],
)  # fmt: skip
def expm(a: ArrayLike) -> Node:
    """The exponential of a square matrix, ``I + a + a @ a / 2 + …``, by scaling, squaring and Padé approximants.

    As ``scipy.linalg.expm``. The gradient is ``expm_frechet`` at the adjoint of ``a`` (Higham 2008, "Functions of
    matrices", 3.2).

    >>> evaluate(linalg.expm([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats.
    """
    return expm.op(matrix(a))


expm.infer(square_to_square)


@expm.numpy
def _(a: Array) -> Array:
    check_square(a)
    return np.asarray(linalg("expm")(a), a.dtype) if a.size else np.zeros_like(a)


@expm.vjp
def _(g: Node, a: Node, out: Node) -> Slopes:
    return expm_frechet.op(adjoint(a), g)


def _frechet_reference(a: Any, e: Any) -> Any:
    n = a.shape[-1]
    a, e = np.broadcast_arrays(a, e)
    whole = np.concatenate([np.concatenate([a, e], -1), np.concatenate([np.zeros_like(a), a], -1)], -2)
    return _expm_reference(whole)[..., :n, n:]


@op(
    namespace="linalg", dtypes=MATRIX_DTYPES, sample=(-1, 1), tolerance=16, reference=_frechet_reference,
    cases=[
        case(draw(3, 3), draw(3, 3)),
        case(draw(2, 2, 2), draw(2, 2, 2)),
        case(draw(1, 2, 2), draw(3, 2, 2)),
        case(draw(0, 0), draw(0, 0)),
        case(draw(0, 2, 2), draw(0, 2, 2)),
    ],
)  # fmt: skip
def expm_frechet(a: ArrayLike, e: ArrayLike) -> Node:
    """The derivative of ``expm`` at ``a`` in direction ``e``, which is linear in ``e``.

    It is the upper right block of the exponential of ``[[a, e], [0, a]]`` (Mathias 1996), from which its own gradient
    follows; large matrices are scaled, approximated and squared beside it (Al-Mohy and Higham 2009).

    >>> evaluate(linalg.expm_frechet([[0.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])

    Raises ShapeError for matrices that are not square or of two sizes, DTypeError for 16-bit floats.
    """
    a, e = operands(a, e)
    shape = broadcast_shapes(a.shape, e.shape)
    return expm_frechet.op(broadcast_to(a, shape), broadcast_to(e, shape))


@expm_frechet.infer
def _(a: TensorType, e: TensorType) -> TensorType:
    check_matrix(a, square=True)
    if a.dtype is not e.dtype:
        raise DTypeError("takes two arrays of one dtype; a node does not promote its inputs")
    if a.rank != e.rank or any(same(p, q) is False for p, q in zip(a.shape, e.shape, strict=True)):
        raise ShapeError(f"takes matrices of one size, not {a} and {e}")
    return a


@expm_frechet.numpy
def _(a: Array, e: Array) -> Array:
    check_square(a)
    if a.shape[-1] <= _SMALL:
        return _upper_right_block(a, e)
    out = np.empty_like(a)
    for place in np.ndindex(a.shape[:-2]):
        out[place] = linalg("expm_frechet")(a[place], e[place], compute_expm=False, check_finite=False)
    return out


_SMALL = 16
"""Up to this size the exponential of a batch of matrices of twice the size takes less time."""


def _upper_right_block(a: Array, e: Array) -> Array:
    """The direction is brought to the size of 1, so that it causes no squaring of its own."""
    if not a.size:
        return np.zeros_like(a)
    n = a.shape[-1]
    size = np.sum(np.abs(e), (-2, -1), keepdims=True)
    size = np.where(size > 0, size, 1).astype(size.dtype)
    whole = np.zeros((*a.shape[:-2], 2 * n, 2 * n), a.dtype)
    whole[..., :n, :n] = whole[..., n:, n:] = a
    whole[..., :n, n:] = e / size
    return np.asarray(linalg("expm")(whole)[..., :n, n:] * size, a.dtype)


@expm_frechet.vjp
def _(g: Node, a: Node, e: Node, out: Node) -> Slopes:
    n = a.shape[-1]
    turned = adjoint(a)
    below = concat([adjoint(e), turned], axis=-1)
    whole = concat([concat([turned, zeros_like(turned)], axis=-1), below], axis=-2)
    empty = zeros_like(g)
    inside = concat([concat([empty, g], axis=-1), concat([empty, empty], axis=-1)], axis=-2)
    slopes = expm_frechet.op(whole, inside)
    return slopes[..., :n, :n] + slopes[..., n:, n:], expm_frechet.op(turned, g)


# Powers and products


def _power_reference(a: Any, n: int) -> Any:
    if n < 0:
        a = np.linalg.inv(a)
    found = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for _ in range(operator.index(n) if n >= 0 else -n):
        found = found @ a
    return found


@macro(
    namespace="linalg", dtypes=("int64", *MATRIX_DTYPES), sample=(-1, 1), tolerance=64, reference=_power_reference,
    cases=[
        *(case(draw(3, 3, interval=(-2, 2)), n) for n in (0, 1, 2, 3, 7)),
        *(case(made(regular, draw(2, 2, 2, dtype="float64")), n) for n in (-1, -3)),
        case(draw(0, 0), 2),
    ],
)  # fmt: skip
def matrix_power(a: ArrayLike, n: int) -> Node:
    """A square matrix multiplied with itself: ``a @ a @ a`` for 3, the identity for 0, inverses for less than 0.

    >>> evaluate(linalg.matrix_power([[1, 1], [1, 0]], 10))
    array([[89, 55],
           [55, 34]])

    Raises ShapeError for matrices that are not square, ArgumentError for an exponent that is no int, DTypeError for
    inverses of 16-bit floats, LinAlgError at the call for those of singular matrices.
    """
    try:
        count = operator.index(n)
    except TypeError:
        raise ArgumentError(f"the exponent is an int, not {n!r}") from None
    x = as_node(a)
    if x.ndim < 2 or same(*x.shape[-2:]) is False:
        raise ShapeError(f"takes square matrices, not {x.type}")
    if count == 0:
        return identity_like(x)
    if count < 0:
        x, count = inv.op(matrix(x), singular="raise"), -count
    found = None
    while True:
        if count & 1:
            found = x if found is None else matmul.op(found, x)
        count >>= 1
        if not count:
            assert found is not None
            return found
        x = matmul.op(x, x)


@macro(
    namespace="linalg", dtypes=INEXACTS, reference=in_float32(lambda arrays: _product_of(arrays)),
    tolerance=8,
    cases=[
        case([draw(2, 3), draw(3, 4)]),
        case([draw(2), draw(2, 3)]),
        case([draw(2, 3), draw(3, 4), draw(4, 2)], symbolic=False),  # which may be multiplied in another order
        case([draw(2), draw(2, 3), draw(3, 4), draw(4)], symbolic=False),
        case([draw(3, 1), draw(1, 3), draw(3, 1), draw(1, 2)], symbolic=False),
        case([draw(0, 3), draw(3, 2), draw(2, 2)]),
    ],
)  # fmt: skip
def multi_dot(arrays: Sequence[ArrayLike]) -> Node:
    """The product of two or more matrices, multiplied in the order that takes the fewest multiplications.

    The first may be a vector, which is a row, and the last one, which is a column. Where sizes are not known before the
    call, the order is found at the call.

    >>> evaluate(linalg.multi_dot([[[1.0, 2.0]], [[1.0], [1.0]], [[2.0, 3.0]]]))
    array([[6., 9.]])

    Raises ArgumentError for fewer than two arrays, ShapeError for what is no matrix or does not fit.
    """
    if not isinstance(arrays, list | tuple) or len(arrays) < 2:
        raise ArgumentError("takes a list of two arrays at least")
    nodes = same_dtype(*arrays)
    first, last = nodes[0].ndim == 1, nodes[-1].ndim == 1
    if first:
        nodes[0] = expand_dims(nodes[0], 0)
    if last:
        nodes[-1] = expand_dims(nodes[-1], 1)
    for x in nodes:
        if x.ndim != 2:
            raise ShapeError(f"takes matrices, and vectors for the first and the last, not {x.type}")
    found = _chained(nodes)
    axes = tuple(axis for axis, is_vector in enumerate((first, last)) if is_vector)
    return squeeze(found, axes) if axes else found


def _chained(nodes: Sequence[Node]) -> Node:
    sizes = [nodes[0].shape[0], *(x.shape[1] for x in nodes)]
    if len(nodes) > 2 and not all(isinstance(size, int) for size in sizes):
        letters = string.ascii_letters[: len(sizes)]
        if len(letters) < len(sizes):
            return _chained([_chained(nodes[:40]), *nodes[40:]])
        terms = ",".join(a + b for a, b in pairwise(letters))
        return einsum(f"{terms}->{letters[0]}{letters[-1]}", *nodes)

    @cache
    def best(i: int, j: int) -> tuple[Any, int]:
        """The fewest multiplications for the factors from i to j, and behind which of them they part."""
        if i == j:
            return 0, i
        costs = (
            (best(i, k)[0] + best(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
            for k in range(i, j)
        )
        return min(costs)

    def build(i: int, j: int) -> Node:
        if i == j:
            return nodes[i]
        k = best(i, j)[1] if len(nodes) > 2 else i
        return matmul.op(build(i, k), build(k + 1, j))

    return build(0, len(nodes) - 1)


def _product_of(arrays: Sequence[Any]) -> Any:
    found, *others = arrays
    for each in others:
        found = np.dot(found, each)
    return found


# Norms


def _matrix_norm_reference(x: Any, keepdims: bool = False, ord: Any = "fro") -> Any:
    return np.linalg.matrix_norm(x, keepdims=keepdims, ord=ord)


@macro(
    namespace="linalg", dtypes=MATRIX_DTYPES, sample=(-2, 2), tolerance=16, reference=_matrix_norm_reference,
    cases=[
        case(draw(2, 3)),
        case(draw(2, 2, 3), keepdims=True),
        case(draw(2, 2, 3), ord="nuc"),
        case(draw(2, 3), ord=2, keepdims=True),
        case(draw(2, 3), ord=-np.inf),
    ],
)  # fmt: skip
def matrix_norm(x: ArrayLike, *, keepdims: bool = False, ord: Any = "fro") -> Node:
    """The norm of each matrix of a batch; orders are those of ``norm`` for matrices.

    >>> evaluate(linalg.matrix_norm([[3.0, 0.0], [0.0, 4.0]]))
    array(5.)

    Raises ShapeError for what has fewer than two axes, ArgumentError for other orders.
    """
    x = as_node(x)
    if x.ndim < 2:
        raise ShapeError(f"a matrix has two axes, and {x.type} has {x.ndim}")
    return norm(x, ord, (-2, -1), keepdims)


def _vector_norm_reference(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


@macro(
    namespace="linalg", dtypes=MATRIX_DTYPES, sample=(-2, 2), tolerance=4, reference=_vector_norm_reference,
    cases=[
        case(draw(2, 3)),
        case(draw(2, 3), axis=0, ord=1),
        case(draw(2, 3, 2), axis=(0, 2), ord=np.inf),
        case(draw(2, 3, 2), axis=(2, 0), ord=1, keepdims=True),
        case(draw(3), ord=-np.inf, keepdims=True),
    ],
)  # fmt: skip
def vector_norm(x: ArrayLike, *, axis: AxisLike = None, keepdims: bool = False, ord: Any = 2) -> Node:
    """The norm of all elements along some axes, as of one vector; by default along all of them.

    >>> evaluate(linalg.vector_norm([[3.0, 0.0], [0.0, 4.0]]))
    array(5.)

    Raises ArgumentError for orders that ``norm`` has not for vectors.
    """
    x = as_node(x)
    axes = many_axes(axis, x)
    if ord == 2:
        return norm(x, None, axes, keepdims)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    kept = tuple(x.shape[i] for i in others)
    count: Dim = math.prod(x.shape[i] for i in axes)
    flat = reshape(transpose(x, (*others, *axes)), (*kept, count))
    found = norm(flat, ord, -1)
    return expand_dims(found, axes) if keepdims and axes else found


# Diagonals and outer products


_DIAGONAL_CASES = (
    case(draw(3, 3)),
    case(draw(2, 3, 4), offset=1),
    case(draw(2, 4, 3), offset=-1),
    case(draw(0, 2, 2)),
)


@macro(namespace="linalg", dtypes=ALL, cases=_DIAGONAL_CASES)
def diagonal(x: ArrayLike, *, offset: int = 0) -> Node:
    """The diagonal of each matrix of a batch; ``offset`` above the main one, or below when negative.

    >>> evaluate(linalg.diagonal([[1, 2], [3, 4]]))
    array([1, 4])

    Raises ShapeError for what has fewer than two axes.
    """
    return diagonals.diagonal(x, offset, -2, -1)


@macro(namespace="linalg", dtypes=NUMBERS, cases=_DIAGONAL_CASES)
def trace(x: ArrayLike, *, offset: int = 0, dtype: DTypeLike | None = None) -> Node:
    """The sum of the diagonal of each matrix of a batch.

    >>> evaluate(linalg.trace([[1, 2], [3, 4]]))
    array(5)

    Raises ShapeError for what has fewer than two axes.
    """
    return diagonals.trace(x, offset, -2, -1, dtype)


@macro(namespace="linalg", dtypes=NUMBERS, cases=[case(draw(2), draw(3)), case(draw(0), draw(2))])
def outer(x1: ArrayLike, x2: ArrayLike) -> Node:
    """The products of all elements of one vector with all of another, as a matrix.

    >>> evaluate(linalg.outer([1.0, 2.0], [3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])

    Raises ShapeError for what is no vector; ``symgraph.outer`` takes it for one.
    """
    a, b = as_node(x1), as_node(x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"takes vectors, not {a.type} and {b.type}")
    return outer_of_all(a, b)
