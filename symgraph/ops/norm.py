"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import FLOAT32, FLOAT64, DType, TensorType
from symgraph.ops.annotations import ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import abs, astype, imag, real, where
from symgraph.ops.axes import many_axes, one_axis, reduced_shape
from symgraph.ops.cases import case, draw, in_float32
from symgraph.ops.declare import INEXACTS, cast_to, op
from symgraph.ops.reduce import max, min, sum
from symgraph.ops.shape import expand_dims, moveaxis, squeeze
from symgraph.ops.spectra import svdvals
from symgraph.ops.transcendental import sqrt


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NormAttrs(Attrs):
    axes: tuple[int, ...]
    keepdims: bool


@op(
    NormAttrs, dtypes=INEXACTS, reference=in_float32(np.linalg.norm), sample=(0.3, 3),
    cases=[
        case(draw(5)),
        case(draw(2, 3)),
        case(draw(2, 3), axis=-1),
        case(draw(2, 3), axis=0, keepdims=True),
        case(draw(2, 3, 4), axis=(0, 2)),
        case(draw(2, 3, 4)),
        case(draw(0)),
        case(draw(0, 3), axis=0),
        case(draw(2, 3), None, (0, 1), True),
        *(case(draw(5), ord) for ord in (0, 1, 2, np.inf, -np.inf)),
        *(case(draw(2, 3), ord) for ord in ("fro", 1, -1, np.inf, -np.inf)),
        *(case(draw(2, 3), ord, axis=1) for ord in (1, np.inf)),
        *(case(draw(2, 3, 4), ord, axis=(2, 0), keepdims=True) for ord in ("fro", 1, -np.inf)),
        *(case(draw(2, 3, interval=(-2, 2)), ord) for ord in ("nuc", 2, -2)),
        case(draw(2, 3, 4, interval=(-2, 2)), "nuc", axis=(2, 0), keepdims=True),
    ],
)  # fmt: skip
def norm(x: ArrayLike, ord: Any = None, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The norm of a vector or a matrix, as ``numpy.linalg.norm``; by default, the root of the sum of squares.

    Of vectors, ``ord`` is 2, 1, inf, -inf or 0 (how many elements are not zero); of matrices ``"fro"``, 1, -1, inf or
    -inf (the largest or smallest sum of absolute values in a column or row), and of singular values 2 or -2 (the
    largest or smallest) and ``"nuc"`` (their sum). An int for ``axis`` means vectors, a pair matrices, None all of
    ``x``. The root of a sum of squares does not overflow unless the result does, and its derivative at zero is 0.

    >>> evaluate(norm([3e200, 4e200]))
    array(5.e+200)

    Raises ArgumentError for other orders.
    """
    x = as_node(x)
    x = x if x.row.is_inexact else astype(x, FLOAT64)
    keepdims = bool(keepdims)
    if ord is None:
        return norm.op(x, axes=many_axes(axis, x), keepdims=keepdims)
    if not isinstance(ord, int | float | str):
        raise ArgumentError(f"ord is a number or a string, not {ord!r}")
    axes = _norm_axes(axis, x)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    return _matrix_norm(x, ord, axes, keepdims)


@norm.infer
def _(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
    if not x.dtype.is_inexact:
        raise DTypeError(f"takes floating-point or complex values, not {x.dtype.name}")
    return TensorType(_real_row(x.dtype), reduced_shape(x.shape, axes, keepdims))


@norm.body
def _(x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    if not axes:
        return abs(x)
    row = _real_row(x.row)
    wide = FLOAT32 if row.name == "float16" else FLOAT64
    parts = [cast_to(part, wide) for part in ([real(x), imag(x)] if x.row.is_complex else [x])]
    total = _sum_of_squares(parts, axes)
    if row is not FLOAT64:  # no square leaves the range of what is wider
        root = sqrt(total)
    else:
        # Powers of two, which round nothing: whatever is too large or too small has squares in range after them.
        scale = where(total == np.inf, 2.0**-600, where(total < 2.0**-800, 2.0**600, 1.0))
        again = sqrt(_sum_of_squares([part * scale for part in parts], axes)) / scale
        choices = (total >= 2.0**-800) & (total < np.inf), sqrt(total), again
        return where(*(choices if keepdims else (squeeze(each, axes) for each in choices)))
    return cast_to(root if keepdims else squeeze(root, axes), row)


def _sum_of_squares(parts: Sequence[Node], axes: tuple[int, ...]) -> Node:
    squares = [part * part for part in parts]
    return sum.op(squares[0] + squares[1] if len(squares) > 1 else squares[0], axes=axes, keepdims=True)


@norm.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], keepdims: bool) -> Slopes:
    if not keepdims:
        g, out = expand_dims(g, axes), expand_dims(out, axes)
    zero = out == 0
    return where(zero, 0, g * (x / where(zero, 1, out)))


def _real_row(row: DType) -> DType:
    found = abs.op.infer(TensorType(row, ()))
    assert isinstance(found, TensorType)
    return found.dtype


def _norm_axes(axis: Any, x: Node) -> tuple[int, ...]:
    """One axis for vectors, two for matrices: rows first."""
    given = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    if len(given) not in (1, 2):
        raise ShapeError(f"a norm with ord is of one axis or two, not of {len(given)}")
    many_axes(given, x)
    return tuple(one_axis(each, x) for each in given)


def _vector_norm(x: Node, ord: Any, axis: int, keepdims: bool) -> Node:
    match ord:
        case 2:
            return norm.op(x, axes=(axis,), keepdims=keepdims)
        case 1:
            return sum(abs(x), axis=axis, keepdims=keepdims)
        case 0:
            return sum(astype(x != 0, _real_row(x.row)), axis=axis, keepdims=keepdims)
        case math.inf:
            return max(abs(x), axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return min(abs(x), axis=axis, keepdims=keepdims)
    raise ArgumentError(f"ord of a vector's norm is 0, 1, 2, inf or -inf, not {ord!r}")


def _matrix_norm(x: Node, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Node:
    if ord == "fro":
        return norm.op(x, axes=tuple(sorted(axes)), keepdims=keepdims)
    if ord in (2, -2, "nuc"):
        found = _of_singular_values(x, ord, axes)
        return expand_dims(found, tuple(sorted(axes))) if keepdims else found
    if ord not in (1, -1, math.inf, -math.inf):
        raise ArgumentError(f"ord of a matrix's norm is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}")
    rows, columns = axes
    along, across = (rows, columns) if ord in (1, -1) else (columns, rows)
    totals = sum(abs(x), axis=along, keepdims=True)
    chosen = (max if ord > 0 else min)(totals, axis=across, keepdims=True)
    return chosen if keepdims else squeeze(chosen, axes)


def _of_singular_values(x: Node, ord: Any, axes: tuple[int, ...]) -> Node:
    """Taken in float32 for 16-bit floats."""
    row = _real_row(x.row)
    wide = x if x.row.bits > 16 else cast_to(x, FLOAT32)
    values = svdvals.op(moveaxis(wide, axes, (-2, -1)))
    found = sum(values, axis=-1) if ord == "nuc" else (max if ord == 2 else min)(values, axis=-1)
    return cast_to(found, row)
