"""What singular values decide: pseudo-inverses, least squares, rank and condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.dims import dim_max, dim_min
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node, items, size_value
from symgraph.graph.types import INT64, TensorType, TupleType
from symgraph.ops import matrices
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import abs, astype, conj, real, where
from symgraph.ops.broadcast import sum_to
from symgraph.ops.cases import case, draw, made
from symgraph.ops.comparison import isnan
from symgraph.ops.declare import INTEGERS, cast_to, macro, op
from symgraph.ops.inverses import inv
from symgraph.ops.join import pad
from symgraph.ops.matrices import (
    MATRIX_DTYPES,
    adjoint,
    check_matrix,
    check_systems,
    matrix,
    operands,
    product,
    real_row,
    regular,
    symmetric,
)
from symgraph.ops.norm import norm
from symgraph.ops.reduce import any as any_
from symgraph.ops.reduce import max, min, sum
from symgraph.ops.shape import expand_dims, squeeze
from symgraph.ops.spectra import eigvalsh, svd, svdvals

_META: dict[str, Any] = {"namespace": "linalg", "dtypes": MATRIX_DTYPES, "sample": (-1, 1), "tolerance": 64}


# Pseudo-inverses


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PinvAttrs(Attrs):
    """``rcond`` is relative to the largest singular value; None is the larger size times the dtype's epsilon."""

    rcond: float | None = None
    hermitian: bool = False


@op(
    PinvAttrs, **_META, reference="numpy.linalg.pinv",
    cases=[
        case(draw(3, 3)),
        case(draw(4, 2)),
        case(draw(2, 4), 1e-6),
        case(draw(2, 3, 2)),
        case(made(symmetric, draw(3, 3)), hermitian=True),
        case(draw(0, 0)),
        case(draw(3, 0)),
        case(draw(0, 3)),
        case(draw(0, 2, 2)),
    ],
)  # fmt: skip
def pinv(
    a: ArrayLike, rcond: float | None = None, hermitian: bool = False, *, rtol: float | None = None
) -> Node:
    """The pseudo-inverse of Moore and Penrose, from singular values.

    Those of at most ``rcond`` (also called ``rtol``) times the largest count as 0; by default this is the larger size
    times the dtype's epsilon, as in the Array API. ``hermitian`` says that ``a`` is, so that its lower triangle decides
    alone. The gradient is that for changes that keep the rank.

    >>> evaluate(linalg.pinv([[2.0, 0.0], [0.0, 0.0]]))
    array([[0.5, 0. ],
           [0. , 0. ]])

    Raises ArgumentError for both ``rcond`` and ``rtol``, DTypeError for 16-bit floats, LinAlgError at the call where no
    singular values are found.
    """
    if rcond is not None and rtol is not None:
        raise ArgumentError("rcond and rtol are two names of one number; give one")
    limit = rcond if rtol is None else rtol
    return pinv.op(
        matrix(a), rcond=None if limit is None else _number("rcond", limit), hermitian=bool(hermitian)
    )


@pinv.infer
def _(a: TensorType, rcond: float | None, hermitian: bool) -> TensorType:
    check_matrix(a, square=hermitian)
    *batch, m, n = a.shape
    return TensorType(a.dtype, (*batch, n, m))


@pinv.numpy
def _(a: Array, rcond: float | None, hermitian: bool) -> Array:
    if not a.size:
        return np.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    limit = _limit(a, rcond)
    return np.asarray(np.linalg.pinv(a, limit, hermitian), a.dtype)


@pinv.vjp
def _(g: Node, a: Node, out: Node, rcond: float | None, hermitian: bool) -> Slopes:
    # Golub and Pereyra 1973, (4.12).
    turned, back = adjoint(out), adjoint(g)
    slope = -product(turned, g, turned)
    slope = slope + product(back - product(a, out, back), out, turned)
    slope = slope + product(turned, out, back - product(back, out, a))
    return matrices.hermitian(slope) if hermitian else slope


# Least squares


class LstsqResult(NamedTuple):
    """What ``lstsq`` gives."""

    x: Node
    residuals: Node
    rank: Node
    singular_values: Node


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LstsqAttrs(Attrs):
    rcond: float | None = None


def _lstsq_reference(a: Any, b: Any, rcond: Any = None) -> Any:
    columns = b[:, None] if b.ndim == 1 else b
    x = (
        np.linalg.pinv(a, _limit(a, rcond)) @ columns
        if a.size
        else np.zeros((*a.shape[:-2], a.shape[-1], columns.shape[-1]), a.dtype)
    )
    rest = np.abs(columns - a @ x) ** 2
    s = np.linalg.svd(a, compute_uv=False)
    rank = np.sum(s > _limit(a, rcond) * np.max(s, -1, initial=0, keepdims=True), -1)
    return x[..., 0] if b.ndim == 1 else x, np.sum(rest, -2), rank, s


@op(
    LstsqAttrs, **_META, reference=_lstsq_reference,
    cases=[
        case(draw(4, 2), draw(4)),
        case(draw(4, 2), draw(4, 3)),
        case(draw(2, 4), draw(2)),
        case(draw(3, 3), draw(3, 1), 1e-5),
        case(draw(2, 4, 2), draw(4, 1)),
        case(draw(0, 4, 2), draw(0, 4, 1)),
        case(draw(3, 2), draw(3, 0)),
    ],
)  # fmt: skip
def lstsq(a: ArrayLike, b: ArrayLike, rcond: float | None = None) -> LstsqResult:
    """The shortest of all ``x`` for which ``a @ x`` is nearest to ``b``.

    Singular values of ``a`` of at most ``rcond`` times the largest count as 0, by default the larger size times the
    dtype's epsilon; the rank counts the others. ``residuals`` are the squared distances, one for each column of ``b``;
    NumPy leaves them out for matrices without full column rank, which is not known before the call. ``b`` is a vector
    where it has one axis; batches are broadcast. The gradient is that for changes that keep the rank.

    >>> evaluate(linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 2.0, 3.0]).x).round(6)
    array([1., 1.])

    Raises ShapeError for arrays that do not fit, DTypeError for 16-bit floats, LinAlgError at the call where no
    singular values are found.
    """
    a, b = operands(a, b)
    columns = expand_dims(b, -1) if b.ndim == 1 else b
    limit = None if rcond is None else _number("rcond", rcond)
    x, rank, values = items(lstsq.op(a, columns, rcond=limit))
    rest = columns - product(a, x)
    residuals = sum(real(rest * conj(rest)), axis=-2)
    return LstsqResult(squeeze(x, -1) if b.ndim == 1 else x, residuals, rank, values)


@lstsq.infer
def _(a: TensorType, b: TensorType, rcond: float | None) -> TupleType:
    batch = check_systems(a, b)
    k = dim_min(*a.shape[-2:])
    return TupleType(
        (
            TensorType(a.dtype, (*batch, a.shape[-1], b.shape[-1])),
            TensorType(INT64, a.shape[:-2]),
            TensorType(real_row(a.dtype), (*a.shape[:-2], k)),
        )
    )


@lstsq.numpy
def _(a: Array, b: Array, rcond: float | None) -> tuple[Array, ...]:
    # From singular values and not by np.linalg.lstsq, which takes no batches.
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    large = s > _limit(a, rcond) * np.max(s, -1, initial=0, keepdims=True)
    inverse = np.divide(1, s, out=np.zeros_like(s), where=large)
    x = _turned(vh) @ (inverse[..., None] * (_turned(u) @ b))
    return x, np.asarray(np.sum(large, -1), np.int64), s


@lstsq.vjp
def _(g: tuple[Node, None, Node], a: Node, b: Node, out: Node, rcond: float | None) -> Slopes:
    # The derivative of the pseudo-inverse, times b; rest is what a does not reach.
    x = items(out)[0]
    inverse = pinv.op(a, rcond=rcond)
    of_b = product(adjoint(inverse), g[0])
    rest = b - product(a, x)
    slope = product(rest, adjoint(product(inverse, of_b))) - product(of_b, adjoint(x))
    back = adjoint(g[0])
    slope = slope + product(adjoint(inverse), x, back - product(back, inverse, a))
    u, _, vh = items(svd.op(a, full_matrices=False))
    of_values = product(u * cast_to(expand_dims(g[2], -2), a.row), vh)
    return sum_to(slope, a.shape) + of_values, sum_to(of_b, b.shape)


# Rank and condition


@macro(
    namespace="linalg", dtypes=("bool", *INTEGERS, *MATRIX_DTYPES), reference="numpy.linalg.matrix_rank",
    cases=[
        case(draw(3, 3)),
        case(draw(2, 3, 2)),
        case(draw(2, 3), 0.5),
        case(draw(2, 3), rtol=0.5),
        case(made(symmetric, draw(3, 3)), hermitian=True),
        case(draw(3)),
        case(draw(2, 3, 3), draw(2, interval=(0.1, 1.0), dtype="float64")),
    ],
)  # fmt: skip
def matrix_rank(
    A: ArrayLike, tol: ArrayLike | None = None, hermitian: bool = False, *, rtol: ArrayLike | None = None
) -> Node:
    """How many singular values are larger than ``tol``, as int64.

    By default that is ``rtol`` times the largest, and ``rtol`` the larger size times the dtype's epsilon. ``hermitian``
    says that ``A`` is. Of a vector, 0 where all of it is 0, else 1.

    >>> evaluate(linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
    array(1)

    Raises ArgumentError for both ``tol`` and ``rtol``, DTypeError for 16-bit floats.
    """
    if tol is not None and rtol is not None:
        raise ArgumentError("tol is absolute and rtol relative; give one")
    (x,) = operands(A)
    if x.ndim < 2:
        return astype(any_(x != 0), INT64)
    values = abs(eigvalsh.op(x, UPLO="L")) if hermitian else svdvals.op(x)
    if tol is None:
        factor = _default_limit(x) if rtol is None else expand_dims(as_node(rtol, values.row), -1)
        with_zero = pad(values, [(0, 0)] * (values.ndim - 1) + [(0, 1)])  # the largest of none is 0
        limit = max(with_zero, axis=-1, keepdims=True) * factor
    else:
        limit = expand_dims(as_node(tol, values.row), -1)
    return sum(values > limit, axis=-1, dtype=INT64)


@macro(
    **_META, reference="numpy.linalg.cond",
    cases=[
        case(made(regular, draw(3, 3))),
        case(draw(2, 3, 2)),
        *(case(made(regular, draw(2, 3, 3)), p) for p in (2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc")),
    ],
)  # fmt: skip
def cond(x: ArrayLike, p: Any = None) -> Node:
    """The condition of a matrix: the norm of it times the norm of its inverse; infinite for singular ones.

    ``p`` is an order of ``norm``. For None and 2 this is the ratio of the largest and the smallest singular value, for
    -2 the inverse ratio, and the matrix need not be square.

    >>> evaluate(linalg.cond([[2.0, 0.0], [0.0, 4.0]]).round(6))
    array(2.)

    Raises ShapeError for matrices that are empty, or not square with other orders; DTypeError for 16-bit floats.
    """
    x = matrix(x)
    if 0 in x.shape[-2:]:
        raise ShapeError(f"an empty matrix, as in {x.type}, has no condition")
    if p is None or (not isinstance(p, str) and p in (2, -2)):
        values = svdvals.op(x)
        largest, smallest = values[..., 0], min(values, axis=-1)
        ratio = smallest / largest if p == -2 else largest / smallest
    else:
        ratio = norm(x, p, (-2, -1)) * norm(inv.op(x, singular="nan"), p, (-2, -1))
    return where(isnan(ratio) & ~any_(isnan(x), axis=(-2, -1)), np.inf, ratio)


def _number(name: str, value: Any) -> float:
    if isinstance(value, Node | bool):
        raise ArgumentError(f"{name} is a number that is known before the call, not {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is a number, not {value!r}") from None


def _limit(a: Array, rcond: float | None) -> float:
    """What singular values are compared with, relative to the largest."""
    return float(np.finfo(a.dtype).eps) * np.max(a.shape[-2:]) if rcond is None else rcond


def _default_limit(x: Node) -> Any:
    row = real_row(x.row)
    size = dim_max(*x.shape[-2:])
    eps = float(np.finfo(row.numpy).eps)
    return size * eps if isinstance(size, int) else cast_to(size_value(size), row) * eps


def _turned(x: Array) -> Array:
    return np.asarray(np.conj(np.swapaxes(x, -1, -2)))
