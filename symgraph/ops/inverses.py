"""Inverses and determinants."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import items
from symgraph.graph.types import TensorType, TupleType
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import conj, imag
from symgraph.ops.cases import case, draw, made
from symgraph.ops.declare import op
from symgraph.ops.matrices import (
    MATRIX_DTYPES,
    Singular,
    SingularAttrs,
    adjoint,
    check_matrix,
    check_square,
    chosen,
    matrix,
    or_nan,
    product,
    real_row,
    regular,
    square_to_square,
)
from symgraph.ops.reduce import sum
from symgraph.ops.shape import expand_dims

_MATRICES = (
    case(made(regular, draw(3, 3))),
    case(made(regular, draw(2, 2, 2))),
    case(made(regular, draw(1, 1))),
    case(made(regular, draw(0, 0))),
    case(made(regular, draw(0, 2, 2))),
)
_META: dict[str, Any] = {
    "namespace": "linalg",
    "dtypes": MATRIX_DTYPES,
    "sample": (-1, 1),
    "tolerance": 16,
}


@op(
    SingularAttrs, **_META, reference="numpy.linalg.inv",
    cases=[*_MATRICES],
)  # fmt: skip
def inv(a: ArrayLike, *, singular: Singular = "raise") -> Node:
    """The inverse of a square matrix; ``solve`` is faster and loses less where it is multiplied with.

    A singular matrix raises LinAlgError at the call; with ``singular="nan"`` its inverse is NaN, and all other members
    of its batch have theirs.

    >>> evaluate(linalg.inv([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats.
    """
    chosen("singular", singular, ("raise", "nan"))
    return inv.op(matrix(a), singular=singular)


inv.infer(square_to_square)


@inv.numpy
def _(a: Array, singular: Singular) -> Array:
    return or_nan(np.linalg.inv, singular, "singular", a)


@inv.vjp
def _(g: Node, a: Node, out: Node, singular: Singular) -> Slopes:
    # Giles 2008, 2.2.3.
    turned = adjoint(out)
    return -product(turned, g, turned)


# Determinants


@op(**_META, reference="numpy.linalg.det", cases=_MATRICES)
def det(a: ArrayLike) -> Node:
    """The determinant of a square matrix; ``slogdet`` neither overflows nor underflows.

    Its gradient is right for singular matrices too, its second derivative for others alone.

    >>> evaluate(linalg.det([[2.0, 1.0], [1.0, 2.0]]))
    array(3.)

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats.
    """
    return det.op(matrix(a))


@det.infer
def _(a: TensorType) -> TensorType:
    check_matrix(a, square=True)
    return TensorType(a.dtype, a.shape[:-2])


@det.numpy
def _(a: Array) -> Array:
    check_square(a)
    return np.asarray(np.linalg.det(a), a.dtype)


@det.vjp
def _(g: Node, a: Node, out: Node) -> Slopes:
    # Jacobi's formula.
    return expand_dims(g, (-2, -1)) * adjoint(adjugate.op(a))


def _adjugate_reference(a: Any) -> Any:
    return np.linalg.det(a)[..., None, None] * np.linalg.inv(a)


@op(**_META, reference=_adjugate_reference, cases=_MATRICES)
def adjugate(a: ArrayLike) -> Node:
    """The adjugate of a square matrix: ``det(a) * inv(a)``, which singular matrices have too.

    From singular values (Stewart 1998, "On the adjugate matrix"), so that nothing is divided by. Its gradient is NaN
    or infinite for singular matrices.

    >>> evaluate(linalg.adjugate([[1.0, 2.0], [3.0, 4.0]])).round(6)
    array([[ 4., -2.],
           [-3.,  1.]])

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats.
    """
    return adjugate.op(matrix(a))


adjugate.infer(square_to_square)


@adjugate.numpy
def _(a: Array) -> Array:
    check_square(a)
    u, s, vh = np.linalg.svd(a)
    ones = np.ones((*s.shape[:-1], 1), s.dtype)
    before = np.cumprod(np.concatenate([ones, s], -1), -1)[..., :-1]
    behind = np.flip(np.cumprod(np.concatenate([ones, np.flip(s, -1)], -1), -1)[..., :-1], -1)
    turns = np.asarray(np.linalg.det(u) * np.linalg.det(vh))[..., None]
    middle = (turns * before * behind)[..., None, :]
    found = (np.conj(np.swapaxes(vh, -1, -2)) * middle) @ np.conj(np.swapaxes(u, -1, -2))
    return np.asarray(found, a.dtype)


@adjugate.vjp
def _(g: Node, a: Node, out: Node) -> Slopes:
    # The product rule on det(a) * inv(a).
    turned = adjoint(out)
    along = sum(g * conj(out), axis=(-2, -1), keepdims=True)
    return (along * turned - product(turned, g, turned)) / conj(expand_dims(det.op(a), (-2, -1)))


class SlogdetResult(NamedTuple):
    """What ``slogdet`` gives."""

    sign: Node
    logabsdet: Node


@op(**_META, reference="numpy.linalg.slogdet", cases=_MATRICES)
def slogdet(a: ArrayLike) -> SlogdetResult:
    """The sign and the logarithm of the absolute value of a determinant, which may be too large or small itself.

    Of a complex matrix the sign is a number on the unit circle; of a singular one it is 0, and the logarithm -inf. The
    gradient for a singular matrix is NaN.

    >>> evaluate(linalg.slogdet([[0.0, 2.0], [1.0, 0.0]]))
    SlogdetResult(sign=array(-1.), logabsdet=array(0.69314718))

    Raises ShapeError for matrices that are not square, DTypeError for 16-bit floats.
    """
    return SlogdetResult(*items(slogdet.op(matrix(a))))


@slogdet.infer
def _(a: TensorType) -> TupleType:
    check_matrix(a, square=True)
    batch = a.shape[:-2]
    return TupleType((TensorType(a.dtype, batch), TensorType(real_row(a.dtype), batch)))


@slogdet.numpy
def _(a: Array) -> tuple[Array, ...]:
    check_square(a)
    sign, log = np.linalg.slogdet(a)
    return np.asarray(sign), np.asarray(log)


@slogdet.vjp
def _(g: tuple[Node, Node], a: Node, out: Node) -> Slopes:
    # d log|det a| = Re tr(inv(a) da), and d sign = i sign Im tr(inv(a) da), which is 0 for real matrices.
    of_sign, slope = g
    if a.row.is_complex:
        turn = imag(of_sign * conj(items(out)[0]))
        slope = slope + 1j * turn
    return expand_dims(slope, (-2, -1)) * adjoint(inv.op(a, singular="nan"))
