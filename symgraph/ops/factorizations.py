"""Matrices as products of triangular and orthogonal ones: Cholesky, QR, LU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from symgraph.errors import GradientError
from symgraph.graph.dims import Dim, dim_min, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, items
from symgraph.graph.types import INT64, TensorType, TupleType
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import real
from symgraph.ops.cases import case, draw, made
from symgraph.ops.create import one_hot, tril, triu, zeros
from symgraph.ops.declare import op
from symgraph.ops.index import take_along_axis
from symgraph.ops.join import concat
from symgraph.ops.matrices import (
    MATRIX_DTYPES,
    Singular,
    adjoint,
    check_matrix,
    chosen,
    diagonal_matrix,
    diagonal_of,
    hermitian,
    matrix,
    or_nan,
    positive,
    product,
)
from symgraph.ops.scipy_door import linalg
from symgraph.ops.shape import expand_dims
from symgraph.ops.solvers import solve_triangular

_META: dict[str, Any] = {"namespace": "linalg", "dtypes": MATRIX_DTYPES, "sample": (-1, 1), "tolerance": 16}


# Cholesky


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CholeskyAttrs(Attrs):
    upper: bool = False
    singular: Singular = "raise"


def _cholesky_reference(a: Any, upper: bool = False, singular: str = "raise") -> Any:
    return np.linalg.cholesky(a, upper=upper)


@op(
    CholeskyAttrs, **_META, reference=_cholesky_reference,
    cases=[
        case(made(positive, draw(3, 3))),
        case(made(positive, draw(3, 3)), upper=True),
        case(made(positive, draw(2, 2, 2)), singular="nan"),
        case(made(positive, draw(1, 1))),
        case(made(positive, draw(0, 0))),
        case(made(positive, draw(0, 2, 2))),
    ],
)  # fmt: skip
def cholesky(a: ArrayLike, *, upper: bool = False, singular: Singular = "raise") -> Node:
    """The lower triangular ``L`` with positive diagonal and ``L @ conj(L).mT == a``; with ``upper``, its adjoint.

    ``a`` is taken for Hermitian: only its lower triangle is read, or the upper one with ``upper``. The gradient is that
    for changes which keep ``a`` Hermitian, spread over both triangles. A matrix that is not positive definite raises
    LinAlgError at the call; with ``singular="nan"`` its result is NaN, and all other members of its batch have theirs.

    >>> evaluate(linalg.cholesky([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats.
    """
    chosen("singular", singular, ("raise", "nan"))
    return cholesky.op(matrix(a), upper=bool(upper), singular=singular)


@cholesky.infer
def _(a: TensorType, upper: bool, singular: Singular) -> TensorType:
    check_matrix(a, square=True)
    return a


@cholesky.numpy
def _(a: Array, upper: bool, singular: Singular) -> Array:
    return or_nan(lambda x: np.linalg.cholesky(x, upper=upper), singular, "not positive definite", a)


@cholesky.vjp
def _(g: Node, a: Node, out: Node, upper: bool, singular: Singular) -> Slopes:
    # Murray 2016, "Differentiation of the Cholesky decomposition", (10).
    factor, slope = (adjoint(out), adjoint(g)) if upper else (out, g)
    inner = product(adjoint(factor), slope)
    inner = tril(inner) - diagonal_matrix(diagonal_of(inner, inner.shape[-1])) * 0.5
    attrs = {"lower": True, "trans": 2 if a.row.is_complex else 1, "singular": singular}
    half = solve_triangular.op(factor, hermitian(inner), **attrs)
    return solve_triangular.op(factor, adjoint(half), **attrs)


# QR


class QRResult(NamedTuple):
    """What ``qr`` gives."""

    Q: Node
    R: Node


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QRAttrs(Attrs):
    mode: Literal["reduced", "complete"] = "reduced"


@op(
    QRAttrs, **_META, reference="numpy.linalg.qr",
    cases=[
        case(draw(3, 3)),
        case(draw(4, 2)),
        case(draw(2, 4)),
        case(draw(2, 3, 2)),
        case(draw(2, 3), "complete", symbolic=False),
        case(draw(3, 2), "r"),
        case(draw(0, 0)),
        case(draw(3, 0)),
        case(draw(0, 3)),
        case(draw(0, 2, 2)),
    ],
)  # fmt: skip
def qr(a: ArrayLike, mode: str = "reduced") -> Any:
    """``Q`` with orthonormal columns and the upper triangular ``R`` with ``Q @ R == a``, by Householder's reflections.

    Of an m × n matrix, with ``k = min(m, n)``, ``Q`` is m × k and ``R`` k × n; in mode ``"complete"`` they are m × m
    and m × n, and with ``"r"`` there is R alone. The diagonal of R is real and may be negative. The gradient needs the
    first k columns of ``a`` to be independent; the complete Q of a tall matrix has none.

    >>> q, r = linalg.qr([[3.0, 1.0], [4.0, 2.0]])
    >>> evaluate(abs(r)).round(6)
    array([[5. , 2.2],
           [0. , 0.4]])

    Raises ArgumentError for other modes, DTypeError for 16-bit floats.
    """
    chosen("mode", mode, ("reduced", "complete", "r"))
    found = QRResult(*items(qr.op(matrix(a), mode="reduced" if mode == "r" else mode)))
    return found.R if mode == "r" else found


@qr.infer
def _(a: TensorType, mode: str) -> TupleType:
    check_matrix(a)
    *batch, m, n = a.shape
    k = m if mode == "complete" else dim_min(m, n)
    return TupleType((TensorType(a.dtype, (*batch, m, k)), TensorType(a.dtype, (*batch, k, n))))


@qr.numpy
def _(a: Array, mode: Literal["reduced", "complete"]) -> tuple[Array, ...]:
    return tuple(np.linalg.qr(a, mode))


@qr.vjp
def _(g: tuple[Node, Node], a: Node, out: Node, mode: str) -> Slopes:
    # Seeger et al. 2017, "Auto-differentiating linear algebra", for LQ; Walter and Lehmann 2018 for wide matrices.
    q, r = items(out)
    of_q, of_r = g
    m, n = a.shape[-2:]
    k = dim_min(m, n)
    if mode == "complete" and same(m, k) is not True:
        text = "the complete Q of a tall matrix has columns that are not decided; use mode='reduced'"
        return GradientError(text)
    wide = same(k, n) is not True
    rest, of_rest = (a[..., k:], of_r[..., k:]) if wide else (a, of_r)
    if wide:
        of_q, of_r, r = of_q + product(rest, adjoint(of_rest)), of_r[..., :k], r[..., :k]
    inner = product(of_r, adjoint(r)) - product(adjoint(q), of_q)
    above = triu(inner, 1)
    inner = above + adjoint(above) + diagonal_matrix(real(diagonal_of(inner, k)))
    slope = of_q + product(q, inner)
    first = adjoint(solve_triangular.op(r, adjoint(slope), lower=False, singular="nan"))
    return concat([first, product(q, of_rest)], axis=-1) if wide else first


# LU


class LUResult(NamedTuple):
    """What ``lu`` gives."""

    P: Node
    L: Node
    U: Node


def _lu_reference(a: Any) -> Any:
    order, lower, upper = linalg("lu")(a)
    return (
        np.reshape(order, (*a.shape[:-1], a.shape[-2])),
        lower,
        upper,
    )  # SciPy's is 0 × 0 for an empty batch


@op(
    **_META, reference=_lu_reference,
    cases=[
        case(draw(3, 3)),
        case(draw(4, 2)),
        case(draw(2, 4)),
        case(draw(2, 3, 3)),
        case(draw(1, 1)),
        case(draw(0, 0)),
        case(draw(0, 2, 2)),
    ],
)  # fmt: skip
def lu(a: ArrayLike) -> LUResult:
    """``P @ L @ U == a``: a permutation, a lower triangle with ones on its diagonal, an upper triangle.

    Of an m × n matrix they are m × m, m × k and k × n, with ``k = min(m, n)``; pivots are the largest of their columns.
    As ``scipy.linalg.lu``. The gradient needs the first k pivots not to be 0.

    >>> evaluate(linalg.lu([[1.0, 2.0], [2.0, 2.0]]))
    LUResult(P=array([[0., 1.],
           [1., 0.]]), L=array([[1. , 0. ],
           [0.5, 1. ]]), U=array([[2., 2.],
           [0., 1.]]))

    Raises DTypeError for 16-bit floats.
    """
    a = matrix(a)
    order, lower, upper = items(lu.op(a))
    return LUResult(one_hot(order, a.shape[-2], lower.row), lower, upper)


@lu.infer
def _(a: TensorType) -> TupleType:
    check_matrix(a)
    *batch, m, n = a.shape
    k = dim_min(m, n)
    return TupleType(
        (
            TensorType(INT64, (*batch, m)),
            TensorType(a.dtype, (*batch, m, k)),
            TensorType(a.dtype, (*batch, k, n)),
        )
    )


@lu.numpy
def _(a: Array) -> tuple[Array, ...]:
    order, lower, upper = linalg("lu")(a, p_indices=True, check_finite=False)
    return np.asarray(order, np.int64).reshape(a.shape[:-1]), lower, upper


@lu.vjp
def _(g: tuple[None, Node, Node], a: Node, out: Node) -> Slopes:
    # dL = L tril(X, -1) and dU = triu(X) U with X = inv(L) da inv(U), and what is left of L and U follows from both.
    order, lower, upper = items(out)
    _, of_lower, of_upper = g
    m, n = a.shape[-2:]
    k = dim_min(m, n)
    tall, wide = same(m, k) is not True, same(n, k) is not True
    top, right = (lower[..., :k, :] if tall else lower), (upper[..., :k] if wide else upper)
    of_top = of_lower[..., :k, :] if tall else of_lower
    of_right = of_upper[..., :k] if wide else of_upper
    below = beside = None
    if tall:
        below = _over(of_lower[..., k:, :], right)
        of_right = of_right - product(adjoint(lower[..., k:, :]), below)
    if wide:
        beside = _under(top, of_upper[..., k:])
        of_top = of_top - product(beside, adjoint(upper[..., k:]))
    inner = tril(product(adjoint(top), of_top), -1) + triu(product(of_right, adjoint(right)))
    slope = _over(_under(top, inner), right)
    if beside is not None:
        slope = concat([slope, beside], axis=-1)
    if below is not None:
        slope = concat([slope, _widened(below, m - k, n)], axis=-2)
    return take_along_axis(slope, expand_dims(order, -1), axis=-2)


def _under(lower: Node, x: Node) -> Node:
    """The inverse adjoint of a lower triangle with ones on its diagonal, times ``x``."""
    trans = 2 if x.row.is_complex else 1
    return solve_triangular.op(lower, x, lower=True, trans=trans, unit_diagonal=True)


def _over(x: Node, upper: Node) -> Node:
    """``x`` times the inverse adjoint of an upper triangle."""
    return adjoint(solve_triangular.op(upper, adjoint(x), lower=False, singular="nan"))


def _widened(x: Node, rows: Dim, columns: Dim) -> Node:
    """``x`` with columns of zeros behind it."""
    missing = columns - x.shape[-1]
    return x if missing == 0 else concat([x, zeros((*x.shape[:-2], rows, missing), x.row)], axis=-1)
