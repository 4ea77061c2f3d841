"""What functions of matrices share: the operands they take, batches, triangles, and what they say of bad matrices.

A matrix is the last two axes of an array; the axes before them are a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, LinAlgError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import BY_NAME, FLOAT64, DType, TensorType, broadcast_shapes, promote
from symgraph.ops.annotations import Array, ArrayLike
from symgraph.ops.arithmetic import conj, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.comparison import equal
from symgraph.ops.create import eye, iota
from symgraph.ops.declare import cast_to
from symgraph.ops.linalg import matmul
from symgraph.ops.shape import expand_dims, matrix_transpose

MATRIX_DTYPES = ("float32", "float64", "complex64", "complex128")
"""What LAPACK computes in."""
REAL_DTYPES = ("float32", "float64")

Singular = Literal["raise", "nan"]
"""Whether a matrix without a result is an error at the call, or has NaN for its result."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SingularAttrs(Attrs):
    singular: Singular = "raise"


# Operands


def operands(*arrays: ArrayLike) -> list[Node]:
    """The arrays as nodes of one dtype of LAPACK's: integers and bools are taken in float64.

    Raises DTypeError for 16-bit floats.
    """
    nodes = [as_node(x) for x in arrays]
    row = promote(*(x.row for x in nodes))
    row = row if row.is_inexact else FLOAT64
    check_dtype(row)
    return [cast_to(x, row) for x in nodes]


def matrix(x: ArrayLike) -> Node:
    """One operand, which has two axes at least."""
    (node,) = operands(x)
    check_matrix(node.tensor)
    return node


def check_dtype(row: DType) -> None:
    """Raise DTypeError for what LAPACK does not compute in."""
    if row.name not in MATRIX_DTYPES:
        hint = "; convert it with astype" if row.is_inexact else ""
        raise DTypeError(f"takes {', '.join(MATRIX_DTYPES)}, not {row.name}{hint}")


def check_matrix(x: TensorType, *, square: bool = False) -> None:
    """Raise DTypeError or ShapeError for what is no matrix, or no batch of matrices."""
    check_dtype(x.dtype)
    if x.rank < 2:
        raise ShapeError(f"a matrix has two axes, and {x} has {x.rank}")
    if square and same(*x.shape[-2:]) is False:
        raise ShapeError(f"takes square matrices, not {x}")


def square_to_square(a: TensorType, **attrs: Any) -> TensorType:
    """The type rule of what makes a square matrix of one, whatever its attributes."""
    check_matrix(a, square=True)
    return a


def check_systems(a: TensorType, b: TensorType) -> tuple[Dim, ...]:
    """The batch that a matrix and its right-hand sides have together; raises where they do not fit."""
    check_matrix(a)
    check_matrix(b)
    if a.dtype is not b.dtype:
        raise DTypeError("takes two arrays of one dtype; a node does not promote its inputs")
    if same(a.shape[-2], b.shape[-2]) is False:
        raise ShapeError(f"a matrix of {a.shape[-2]} rows has no right-hand side of {b.shape[-2]}")
    # The matrices' own axes count as 1 here, so that an error names the axis as the user sees it.
    return broadcast_shapes((*a.shape[:-2], 1, 1), (*b.shape[:-2], 1, 1))[:-2]


def real_row(row: DType) -> DType:
    """The dtype of the real parts."""
    return BY_NAME[f"float{row.bits // 2}"] if row.is_complex else row


def complex_row(row: DType) -> DType:
    """The dtype of complex numbers with such parts."""
    return row if row.is_complex else BY_NAME[f"complex{row.bits * 2}"]


def chosen(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """The value; raises ArgumentError where it is none of these."""
    if not any(type(value) is type(each) and value == each for each in choices):
        raise ArgumentError(f"{name} is {' or '.join(map(repr, choices))}, not {value!r}")
    return value


# Expressions of matrices


def adjoint(x: Node) -> Node:
    """The conjugate transpose."""
    return matrix_transpose(conj(x) if x.row.is_complex else x)


def hermitian(x: Node) -> Node:
    """Half of a matrix and its conjugate transpose."""
    return (x + adjoint(x)) * 0.5


def product(*factors: Node) -> Node:
    """The matrix product, from the left."""
    found, *others = factors
    for each in others:
        found = matmul.op(found, each)
    return found


def diagonal_matrix(values: Node) -> Node:
    """Vectors as diagonals of matrices of zeros."""
    return where(eye(values.shape[-1], dtype="bool"), expand_dims(values, -1), 0)


def diagonal_of(x: Node, size: Dim) -> Node:
    """The diagonal of this size, as vectors."""
    count = iota(size)
    return x[..., count, count]


def identity_like(x: Node) -> Node:
    """The identity for each square matrix."""
    return broadcast_to(eye(x.shape[-1], dtype=x.row), x.shape)


def inverse_or_zero(x: Node) -> Node:
    """``1 / x``, and 0 where ``x`` is 0."""
    zero = equal(x, 0)
    return where(zero, 0, 1 / where(zero, 1, x))


# Meanings


def or_nan(function: Callable[..., Array], singular: Singular, what: str, *arrays: Array) -> Array:
    """What NumPy makes of a batch; where it refuses a member, NaN of the last array's shape, or LinAlgError."""
    check_square(arrays[0])
    try:
        return function(*arrays)
    except np.linalg.LinAlgError:
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
        wide = [np.broadcast_to(x, batch + x.shape[-2:]) for x in arrays]
        out = np.full(batch + arrays[-1].shape[-2:], np.nan, arrays[-1].dtype)
        for place in np.ndindex(batch):
            try:
                out[place] = function(*(x[place] for x in wide))
            except np.linalg.LinAlgError:
                if singular == "raise":
                    raise refused(place, what) from None
        return out


def refused(place: tuple[int, ...], what: str) -> LinAlgError:
    """The error for one matrix of a batch: ``the matrix [2] is singular``."""
    return LinAlgError(f"the matrix{f' {list(place)}' if place else ''} is {what}")


def check_square(x: Array) -> None:
    """Raise ShapeError for an array that is no batch of square matrices."""
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"takes square matrices, not {list(x.shape[-2:])}")


# What derived tests draw


def conjugate_transpose(x: Any) -> Any:
    return np.swapaxes(np.conj(x), -1, -2)


def identity(x: Any) -> Any:
    """The identity of the size and dtype of a square matrix, which is a node or an array."""
    return eye(x.shape[-1], dtype=x.row) if isinstance(x, Node) else np.eye(x.shape[-1], dtype=x.dtype)


def positive(x: Any) -> Any:
    """A positive definite matrix."""
    return x @ conjugate_transpose(x) + identity(x)


def symmetric(x: Any) -> Any:
    """A matrix that is its conjugate transpose."""
    return x + conjugate_transpose(x)


def regular(x: Any) -> Any:
    """A matrix that is far from singular."""
    return x + 5 * identity(x)
