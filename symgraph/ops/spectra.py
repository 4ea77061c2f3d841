"""Eigenvalues and singular values, with and without their vectors.

A derivative of vectors divides by differences of values. Where two values are equal, the vectors are any basis of
their space; the part of the gradient that would turn this basis is taken for 0, which is right for whatever does not
depend on the choice. The same holds of the sign or the complex phase of each vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from symgraph.errors import GradientError, LinAlgError
from symgraph.graph.constants import is_zero
from symgraph.graph.dims import dim_min, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, items
from symgraph.graph.types import TensorType, TupleType
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import abs, conj, imag, real, sign
from symgraph.ops.cases import case, draw, made
from symgraph.ops.declare import cast_to, op
from symgraph.ops.index import take_along_axis
from symgraph.ops.join import pad
from symgraph.ops.matrices import (
    MATRIX_DTYPES,
    REAL_DTYPES,
    adjoint,
    check_matrix,
    check_square,
    chosen,
    complex_row,
    diagonal_matrix,
    diagonal_of,
    hermitian,
    inverse_or_zero,
    matrix,
    product,
    real_row,
    symmetric,
)
from symgraph.ops.shape import expand_dims
from symgraph.ops.solvers import solve
from symgraph.ops.sort import argsort, sort

_META: dict[str, Any] = {"namespace": "linalg", "sample": (-1, 1), "tolerance": 32}
_HERMITIAN_CASES = (
    case(made(symmetric, draw(3, 3))),
    case(made(symmetric, draw(3, 3)), UPLO="U"),
    case(made(symmetric, draw(2, 2, 2))),
    case(made(symmetric, draw(1, 1))),
    case(made(symmetric, draw(0, 0))),
    case(made(symmetric, draw(0, 2, 2))),
)
_SQUARE_CASES = (
    case(draw(3, 3)),
    case(draw(2, 2, 2)),
    case(draw(1, 1)),
    case(draw(0, 0)),
    case(draw(0, 2, 2)),
)
_ANY_CASES = (
    case(draw(3, 3)),
    case(draw(2, 4)),
    case(draw(4, 2)),
    case(draw(2, 3, 2)),
    case(draw(1, 1)),
    case(draw(0, 0)),
    case(draw(3, 0)),
    case(draw(0, 2, 2)),
)


# Hermitian matrices


class EighResult(NamedTuple):
    """What ``eigh`` gives."""

    eigenvalues: Node
    eigenvectors: Node


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TriangleAttrs(Attrs):
    UPLO: Literal["L", "U"] = "L"


@op(TriangleAttrs, **_META, dtypes=REAL_DTYPES, reference="numpy.linalg.eigh", cases=_HERMITIAN_CASES)
def eigh(a: ArrayLike, UPLO: str = "L") -> EighResult:
    """The eigenvalues of a Hermitian matrix in ascending order, and its eigenvectors as columns.

    Only the lower triangle is read, or the upper one with ``UPLO="U"``. The gradient is that for changes which keep
    ``a`` Hermitian, spread over both triangles. It holds for what does not depend on the signs (of complex vectors, the
    phases) of vectors, nor on the basis where eigenvalues are equal.

    >>> evaluate(linalg.eigh([[2.0, 0.0], [0.0, 1.0]]).eigenvalues)
    array([1., 2.])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats, LinAlgError at the call where no
    eigenvalues are found.
    """
    chosen("UPLO", UPLO, ("L", "U", "l", "u"))
    return EighResult(*items(eigh.op(matrix(a), UPLO=UPLO.upper())))


@eigh.infer
def _(a: TensorType, UPLO: str) -> TupleType:
    return TupleType((_values_of(a, real_row(a.dtype)), a))


@eigh.numpy
def _(a: Array, UPLO: Literal["L", "U"]) -> tuple[Array, ...]:
    check_square(a)
    return tuple(np.linalg.eigh(a, UPLO))


@eigh.vjp
def _(g: tuple[Node, Node], a: Node, out: Node, UPLO: str) -> Slopes:
    # Giles 2008, 3.1, for Hermitian matrices.
    values, vectors = items(out)
    of_values, of_vectors = g
    middle = diagonal_matrix(cast_to(of_values, a.row))
    if not is_zero(of_vectors):
        apart = inverse_or_zero(expand_dims(values, -2) - expand_dims(values, -1))
        middle = middle + apart * product(adjoint(vectors), of_vectors)
    return product(vectors, hermitian(middle), adjoint(vectors))


@op(TriangleAttrs, **_META, dtypes=MATRIX_DTYPES, reference="numpy.linalg.eigvalsh", cases=_HERMITIAN_CASES)
def eigvalsh(a: ArrayLike, UPLO: str = "L") -> Node:
    """The eigenvalues of a Hermitian matrix in ascending order; what is read and its gradient are as of ``eigh``.

    >>> evaluate(linalg.eigvalsh([[2.0, 0.0], [0.0, 1.0]]))
    array([1., 2.])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats, LinAlgError at the call where no
    eigenvalues are found.
    """
    chosen("UPLO", UPLO, ("L", "U", "l", "u"))
    return eigvalsh.op(matrix(a), UPLO=UPLO.upper())


@eigvalsh.infer
def _(a: TensorType, UPLO: str) -> TensorType:
    return _values_of(a, real_row(a.dtype))


@eigvalsh.numpy
def _(a: Array, UPLO: Literal["L", "U"]) -> Array:
    check_square(a)
    return np.asarray(np.linalg.eigvalsh(a, UPLO))


@eigvalsh.vjp
def _(g: Node, a: Node, out: Node, UPLO: str) -> Slopes:
    vectors = items(eigh.op(a, UPLO=UPLO))[1]
    return hermitian(product(vectors * cast_to(expand_dims(g, -2), a.row), adjoint(vectors)))


# Any square matrices


class EigResult(NamedTuple):
    """What ``eig`` gives."""

    eigenvalues: Node
    eigenvectors: Node


def _eig_reference(a: Any) -> Any:
    values, vectors = np.linalg.eig(a)
    row = np.result_type(values, np.complex64)
    return values.astype(row), vectors.astype(row)


@op(**_META, dtypes=MATRIX_DTYPES, reference=_eig_reference, cases=_SQUARE_CASES, differentiable=False)
def eig(a: ArrayLike) -> EigResult:
    """The eigenvalues of a square matrix, in no order, and its eigenvectors of length 1 as columns.

    Both are complex, whatever the data are (NumPy's are real where all eigenvalues happen to be). The gradient holds
    for what does not depend on the phases of vectors, and for matrices with distinct eigenvalues.

    >>> evaluate(linalg.eig([[0.0, -1.0], [1.0, 0.0]]).eigenvalues)
    array([0.+1.j, 0.-1.j])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats, LinAlgError at the call where no
    eigenvalues are found, or a value is not finite.
    """
    return EigResult(*items(eig.op(matrix(a))))


@eig.infer
def _(a: TensorType) -> TupleType:
    values = _values_of(a, complex_row(a.dtype))
    return TupleType((values, TensorType(values.dtype, a.shape)))


@eig.numpy
def _(a: Array) -> tuple[Array, ...]:
    check_square(a)
    return tuple(_found("eigenvalues", _eig_reference, a))


@eig.vjp
def _(g: tuple[Node, Node], a: Node, out: Node) -> Slopes:
    # Boeddeker et al. 2017, "On the computation of complex-valued gradients with application to statistically
    # optimum beamforming", (4.77), for vectors of length 1.
    values, vectors = items(out)
    of_values, of_vectors = g
    middle = diagonal_matrix(of_values)
    if not is_zero(of_vectors):
        across = product(adjoint(vectors), of_vectors)
        along = real(diagonal_of(across, a.shape[-1]))
        across = across - product(adjoint(vectors), vectors) * expand_dims(along, -2)
        middle = middle + across * conj(inverse_or_zero(expand_dims(values, -2) - expand_dims(values, -1)))
    return solve.op(adjoint(vectors), product(middle, adjoint(vectors)), singular="nan")


def _eigvals_reference(a: Any) -> Any:
    return _eig_reference(a)[0]


@op(**_META, dtypes=MATRIX_DTYPES, reference=_eigvals_reference, cases=_SQUARE_CASES)
def eigvals(a: ArrayLike) -> Node:
    """The eigenvalues of a square matrix, in no order; complex, whatever the data are.

    >>> evaluate(linalg.eigvals([[0.0, -1.0], [1.0, 0.0]]))
    array([0.+1.j, 0.-1.j])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats, LinAlgError at the call where no
    eigenvalues are found, or a value is not finite.
    """
    return eigvals.op(matrix(a))


@eigvals.infer
def _(a: TensorType) -> TensorType:
    return _values_of(a, complex_row(a.dtype))


@eigvals.numpy
def _(a: Array) -> Array:
    check_square(a)
    values = np.asarray(_found("eigenvalues", np.linalg.eigvals, a))
    return values.astype(np.result_type(values, np.complex64), copy=False)


@eigvals.vjp
def _(g: Node, a: Node, out: Node) -> Slopes:
    # The order of eigenvalues is LAPACK's, which may be another without vectors: the nearest are the same.
    values, vectors = items(eig.op(a))
    apart = abs(expand_dims(values, -1) - expand_dims(out, -2))
    behind = [(0, 0)] * (apart.ndim - 1) + [(0, 1)]  # one that is never the nearest, for matrices of size 0
    nearest = pad(apart, behind, constant_values=np.inf).argmin(axis=-1)
    slopes = take_along_axis(pad(g, behind[1:]), nearest, axis=-1)
    turned = adjoint(vectors)
    return solve.op(turned, expand_dims(slopes, -1) * turned, singular="nan")


# Singular values


class SVDResult(NamedTuple):
    """What ``svd`` gives."""

    U: Node
    S: Node
    Vh: Node


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SVDAttrs(Attrs):
    full_matrices: bool = True


@op(
    SVDAttrs, **_META, dtypes=REAL_DTYPES, reference="numpy.linalg.svd",
    cases=[
        *(case(*each.args, full_matrices=False) for each in _ANY_CASES),
        case(draw(3, 3), symbolic=False),
        case(draw(3, 3), compute_uv=False),
        case(made(symmetric, draw(3, 3)), hermitian=True),
        case(made(symmetric, draw(2, 3, 3)), compute_uv=False, hermitian=True),
    ],
)  # fmt: skip
def svd(a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """``U @ diag(S) @ Vh == a``: orthonormal columns, singular values in descending order, orthonormal rows.

    Of an m × n matrix, with ``k = min(m, n)``, there are k singular values. U is m × m and Vh n × n, or m × k and k × n
    without ``full_matrices``; without ``compute_uv`` there are the singular values alone. ``hermitian`` says that ``a``
    is, and takes them from ``eigh``. The gradient is that of Townsend 2016 and Wan and Zhang 2019; it holds for what
    does not depend on signs or phases of vectors, nor on the basis where singular values are equal or 0. The columns of
    U and rows of Vh beyond k have none.

    >>> evaluate(linalg.svd([[0.0, 2.0], [1.0, 0.0]]).S)
    array([2., 1.])

    Raises DTypeError for 16-bit floats, LinAlgError at the call where no singular values are found.
    """
    a = matrix(a)
    if hermitian:
        check_matrix(a.tensor, square=True)
        return _svd_of_hermitian(a, compute_uv)
    if not compute_uv:
        return svdvals.op(a)
    return SVDResult(*items(svd.op(a, full_matrices=bool(full_matrices))))


@svd.infer
def _(a: TensorType, full_matrices: bool) -> TupleType:
    check_matrix(a)
    *batch, m, n = a.shape
    k = dim_min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)
    return TupleType(
        (
            TensorType(a.dtype, (*batch, m, rows)),
            TensorType(real_row(a.dtype), (*batch, k)),
            TensorType(a.dtype, (*batch, columns, n)),
        )
    )


@svd.numpy
def _(a: Array, full_matrices: bool) -> tuple[Array, ...]:
    return tuple(_found("singular values", np.linalg.svd, a, full_matrices))


@svd.vjp
def _(g: tuple[Node, Node, Node], a: Node, out: Node, full_matrices: bool) -> Slopes:
    u, s, vh = items(out)
    of_u, of_s, of_vh = g
    m, n = a.shape[-2:]
    k = dim_min(m, n)
    of_vectors = not (is_zero(of_u) and is_zero(of_vh))
    if full_matrices and same(m, n) is not True:
        if of_vectors:
            text = "the columns of U and the rows of Vh beyond min(m, n) are not decided; use full_matrices=False"
            return GradientError(text)
        u, vh = u[..., :k], vh[..., :k, :]
    middle = diagonal_matrix(cast_to(of_s, a.row))
    if not of_vectors:
        return product(u, middle, vh)
    across, along = product(adjoint(u), of_u), product(vh, adjoint(of_vh))
    rows, columns = expand_dims(s, -2), expand_dims(s, -1)
    apart = inverse_or_zero((rows - columns) * (rows + columns))
    inverse = inverse_or_zero(s)
    middle = middle + apart * ((across - adjoint(across)) * rows + columns * (along - adjoint(along)))
    if a.row.is_complex:
        turn = imag(diagonal_of(across, k)) - imag(diagonal_of(along, k))
        middle = middle + diagonal_matrix(1j * (0.5 * turn * inverse))
    slope = product(u, middle, vh)
    inverse = cast_to(inverse, a.row)
    if same(m, k) is not True:
        outside = of_u - product(u, across)
        slope = slope + product(outside * expand_dims(inverse, -2), vh)
    if same(n, k) is not True:
        outside = of_vh - product(adjoint(along), vh)
        slope = slope + product(u, expand_dims(inverse, -1) * outside)
    return slope


@op(**_META, dtypes=MATRIX_DTYPES, reference="numpy.linalg.svdvals", cases=_ANY_CASES)
def svdvals(x: ArrayLike) -> Node:
    """The singular values of a matrix, in descending order.

    >>> evaluate(linalg.svdvals([[0.0, 2.0], [1.0, 0.0]]))
    array([2., 1.])

    Raises DTypeError for 16-bit floats, LinAlgError at the call where no singular values are found.
    """
    return svdvals.op(matrix(x))


@svdvals.infer
def _(x: TensorType) -> TensorType:
    check_matrix(x)
    return TensorType(real_row(x.dtype), (*x.shape[:-2], dim_min(*x.shape[-2:])))


@svdvals.numpy
def _(x: Array) -> Array:
    return np.asarray(_found("singular values", np.linalg.svd, x, False, False))


@svdvals.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    u, _, vh = items(svd.op(x, full_matrices=False))
    return product(u * cast_to(expand_dims(g, -2), x.row), vh)


def _svd_of_hermitian(a: Node, compute_uv: bool) -> Any:
    """Singular values are absolute eigenvalues, and vectors are eigenvectors up to a sign."""
    if not compute_uv:
        return sort(abs(eigvalsh.op(a, UPLO="L")), descending=True)
    values, vectors = items(eigh.op(a, UPLO="L"))
    order = argsort(abs(values), descending=True)
    values = take_along_axis(values, order, -1)
    vectors = take_along_axis(vectors, expand_dims(order, -2), -1)
    signs = cast_to(sign(values), a.row)
    return SVDResult(vectors, abs(values), expand_dims(signs, -1) * adjoint(vectors))


def _values_of(a: TensorType, row: Any) -> TensorType:
    check_matrix(a, square=True)
    return TensorType(row, a.shape[:-1])


def _found(what: str, function: Any, *args: Any) -> Any:
    """What NumPy finds by an iteration; LinAlgError where that does not end."""
    try:
        return function(*args)
    except np.linalg.LinAlgError:
        x = args[0]
        why = "did not converge" if np.isfinite(x).all() else "do not exist: a value is not finite"
        raise LinAlgError(f"its {what} {why}") from None
