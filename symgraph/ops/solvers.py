"""Linear systems, of any matrix and of triangles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import Attrs
from symgraph.graph.types import TensorType
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import conj
from symgraph.ops.broadcast import sum_to
from symgraph.ops.cases import case, draw, made
from symgraph.ops.create import tril, triu
from symgraph.ops.declare import op
from symgraph.ops.matrices import (
    MATRIX_DTYPES,
    Singular,
    SingularAttrs,
    adjoint,
    check_matrix,
    check_square,
    check_systems,
    chosen,
    operands,
    or_nan,
    product,
    refused,
    regular,
)
from symgraph.ops.scipy_door import lapack
from symgraph.ops.shape import expand_dims, matrix_transpose, squeeze

_SYSTEMS = (
    case(made(regular, draw(3, 3)), draw(3)),
    case(made(regular, draw(3, 3)), draw(3, 2)),
    case(made(regular, draw(2, 3, 3)), draw(2, 3, 1)),
    case(made(regular, draw(2, 1, 3, 3)), draw(3, 2)),
    case(made(regular, draw(3, 3)), draw(2, 3, 1), singular="nan"),
    case(made(regular, draw(1, 1)), draw(1)),
    case(made(regular, draw(0, 0)), draw(0, 2)),
    case(made(regular, draw(3, 3)), draw(3, 0)),
    case(made(regular, draw(0, 3, 3)), draw(0, 3, 2)),
)
_META: dict[str, Any] = {
    "namespace": "linalg",
    "dtypes": MATRIX_DTYPES,
    "sample": (-1, 1),
    "tolerance": 16,
}


# Systems


def _solve_reference(a: Any, b: Any, singular: str = "raise") -> Any:
    return np.linalg.inv(a) @ b


@op(SingularAttrs, **_META, reference=_solve_reference, cases=_SYSTEMS)
def solve(a: ArrayLike, b: ArrayLike, *, singular: Singular = "raise") -> Node:
    """The ``x`` with ``a @ x == b``, by an LU factorisation with partial pivoting.

    ``a`` is square; ``b`` is a vector where it has one axis, and a matrix of right-hand sides else. Batches are
    broadcast. A singular ``a`` raises LinAlgError at the call; with ``singular="nan"`` its result is NaN, and all
    other members of its batch have theirs.

    >>> evaluate(linalg.solve([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0]))
    array([0.5 , 0.25])

    Raises ShapeError for matrices that are not square or do not fit, DTypeError for 16-bit floats.
    """
    chosen("singular", singular, ("raise", "nan"))
    a, b = operands(a, b)
    if b.ndim == 1:
        return squeeze(solve.op(a, expand_dims(b, -1), singular=singular), -1)
    return solve.op(a, b, singular=singular)


@solve.infer
def _(a: TensorType, b: TensorType, singular: Singular) -> TensorType:
    batch = check_systems(a, b)
    check_matrix(a, square=True)
    return TensorType(a.dtype, (*batch, *b.shape[-2:]))


@solve.numpy
def _(a: Array, b: Array, singular: Singular) -> Array:
    return or_nan(np.linalg.solve, singular, "singular", a, b)


@solve.vjp
def _(g: Node, a: Node, b: Node, out: Node, singular: Singular) -> Slopes:
    # Giles 2008, 2.3.1.
    of_b = solve.op(adjoint(a), g, singular=singular)
    return sum_to(-product(of_b, adjoint(out)), a.shape), sum_to(of_b, b.shape)


_TRANS = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TriangularAttrs(Attrs):
    """``trans`` solves with the matrix (0), its transpose (1) or its conjugate transpose (2)."""

    lower: bool
    trans: Literal[0, 1, 2] = 0
    unit_diagonal: bool = False
    singular: Singular = "raise"


def _triangular_reference(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, singular: str = "raise"
) -> Any:
    a = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        a = a - a * np.eye(a.shape[-1], dtype=a.dtype) + np.eye(a.shape[-1], dtype=a.dtype)
    turned = np.swapaxes(a, -1, -2)
    return np.linalg.inv({0: a, 1: turned, 2: np.conj(turned)}[_TRANS[trans]]) @ b


@op(
    TriangularAttrs, **_META, reference=_triangular_reference,
    cases=[
        *_SYSTEMS,
        case(made(regular, draw(3, 3)), draw(3, 2), lower=True),
        case(made(regular, draw(3, 3)), draw(3, 2), trans=1, unit_diagonal=True),
        case(made(regular, draw(2, 3, 3)), draw(3, 2), trans="C"),
        case(made(regular, draw(2, 3, 3)), draw(3, 2), trans="T", lower=True),
    ],
)  # fmt: skip
def solve_triangular(
    a: ArrayLike,
    b: ArrayLike,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    *,
    singular: Singular = "raise",
) -> Node:
    """The ``x`` with ``a @ x == b``, of a triangle of ``a``, as ``scipy.linalg.solve_triangular``.

    ``trans`` 1 or ``"T"`` solves with the transpose of that triangle, 2 or ``"C"`` with its conjugate transpose; with
    ``unit_diagonal`` the diagonal is not read and counts as ones. ``b`` is a vector where it has one axis, and a matrix
    of right-hand sides else; batches are broadcast. What is not read has gradient 0. A zero on the diagonal raises
    LinAlgError at the call, or gives NaN for this member of the batch with ``singular="nan"``.

    >>> evaluate(linalg.solve_triangular([[2.0, 5.0], [1.0, 4.0]], [2.0, 9.0], lower=True))
    array([1., 2.])

    Raises ShapeError for matrices that are not square or do not fit, DTypeError for 16-bit floats.
    """
    chosen("singular", singular, ("raise", "nan"))
    code = _TRANS[chosen("trans", trans, tuple(_TRANS))]
    a, b = operands(a, b)
    attrs = {
        "lower": bool(lower),
        "trans": code if a.row.is_complex else min(code, 1),
        "unit_diagonal": bool(unit_diagonal),
        "singular": singular,
    }
    if b.ndim == 1:
        return squeeze(solve_triangular.op(a, expand_dims(b, -1), **attrs), -1)
    return solve_triangular.op(a, b, **attrs)


@solve_triangular.infer
def _(
    a: TensorType, b: TensorType, lower: bool, trans: int, unit_diagonal: bool, singular: Singular
) -> TensorType:
    batch = check_systems(a, b)
    check_matrix(a, square=True)
    return TensorType(a.dtype, (*batch, *b.shape[-2:]))


@solve_triangular.numpy
def _(a: Array, b: Array, lower: bool, trans: int, unit_diagonal: bool, singular: Singular) -> Array:
    check_square(a)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if not b.size or not math.prod(batch):
        return np.empty(batch + b.shape[-2:], a.dtype)
    a, b = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b))
    if trans:
        a, lower = np.swapaxes(np.conj(a) if trans == 2 else a, -1, -2), not lower
    diagonal = np.diagonal(a, axis1=-2, axis2=-1)
    if singular == "raise" and not unit_diagonal and not diagonal.all():
        *place, i = np.argwhere(diagonal == 0)[0].tolist()
        raise refused(tuple(place), f"singular: element {i} of its diagonal is 0")
    return (_all_at_once if math.prod(batch) > 4 * a.shape[-1] else _one_by_one)(a, b, lower, unit_diagonal)


def _one_by_one(a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
    """By LAPACK; NaN where the diagonal has a zero."""
    routine = lapack("trtrs", a.dtype)
    out = np.empty(b.shape, a.dtype)
    for place in np.ndindex(b.shape[:-2]):
        member = a[place]
        if member.flags.f_contiguous:
            x, info = routine(member, b[place], lower=lower, trans=0, unitdiag=unit_diagonal)
        else:  # the transpose of rows in memory is in LAPACK's order, which is not copied
            x, info = routine(member.T, b[place], lower=not lower, trans=1, unitdiag=unit_diagonal)
        out[place] = np.nan if info else x
    return out


def _all_at_once(a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
    """By substitution row for row in many small matrices together; NaN where the diagonal has a zero."""
    n = a.shape[-1]
    out = np.empty(b.shape, a.dtype)
    for i in range(n) if lower else range(n - 1, -1, -1):
        known = slice(0, i) if lower else slice(i + 1, n)
        rest = b[..., i : i + 1, :] - a[..., i : i + 1, known] @ out[..., known, :]
        out[..., i : i + 1, :] = rest if unit_diagonal else rest / a[..., i : i + 1, i : i + 1]
    if not unit_diagonal:
        out[(np.diagonal(a, axis1=-2, axis2=-1) == 0).any(-1)] = np.nan
    return out


@solve_triangular.vjp
def _(
    g: Node, a: Node, b: Node, out: Node, lower: bool, trans: int, unit_diagonal: bool, singular: Singular
) -> Slopes:
    back = {0: 2 if a.row.is_complex else 1, 1: 0, 2: 0}[trans]
    only_turned = trans == 1 and a.row.is_complex  # the adjoint of a transpose is the conjugate alone
    of_b = solve_triangular.op(
        a,
        conj(g) if only_turned else g,
        lower=lower,
        trans=back,
        unit_diagonal=unit_diagonal,
        singular=singular,
    )
    of_b = conj(of_b) if only_turned else of_b
    of_a = -product(of_b, adjoint(out))
    if trans:
        of_a = adjoint(of_a) if trans == 2 else matrix_transpose(of_a)
    off = int(unit_diagonal)
    return sum_to(tril(of_a, -off) if lower else triu(of_a, off), a.shape), sum_to(of_b, b.shape)
