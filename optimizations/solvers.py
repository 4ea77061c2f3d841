"""Systems solved instead of matrices inverted, and determinants whose logarithm alone is asked for.

All of it is true of real numbers: a solution and a product with an inverse are rounded otherwise, and neither is always
nearer to the truth (Druinsky and Toledo 2012, "How accurate is inv(A)*b?").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import items, placeholder
from symgraph.ops.arithmetic import abs, conj, where
from symgraph.ops.factorizations import cholesky
from symgraph.ops.inverses import det, inv, slogdet
from symgraph.ops.linalg import matmul
from symgraph.ops.matrices import REAL_DTYPES, diagonal_of
from symgraph.ops.reduce import prod
from symgraph.ops.shape import expand_dims, matrix_transpose, squeeze, transpose
from symgraph.ops.solvers import solve, solve_triangular
from symgraph.ops.transcendental import log
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import ALGEBRAIC, Rule, rule, rules

a = placeholder("float64", (3, 3), name="a")
b = placeholder("float64", (3, 2), name="b")


def _solved(found: Match) -> Node | None:
    """``inv(a) @ b``, where nothing else reads the inverse."""
    first, second = found.root.inputs
    if first.op is not inv.op or not found.once(first):
        return None
    (matrix,), attrs = first.inputs, first.attrs.fields()  # type: ignore[union-attr]
    if second.ndim > 1:
        return solve.op(matrix, second, **attrs)
    return squeeze(solve.op(matrix, expand_dims(second, -1), **attrs), -1)


def _solved_from_right(found: Match) -> Node | None:
    """``b @ inv(a)``, where nothing else reads the inverse: the system of the transposes."""
    first, second = found.root.inputs
    if second.op is not inv.op or not found.once(second):
        return None
    (matrix,), attrs = second.inputs, second.attrs.fields()  # type: ignore[union-attr]
    turned = matrix_transpose(matrix)
    if first.ndim > 1:
        return matrix_transpose(solve.op(turned, matrix_transpose(first), **attrs))
    return squeeze(solve.op(turned, expand_dims(first, -1), **attrs), -1)


def _inverted_twice(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    return inner.inputs[0] if inner.op is inv.op else None


def _inverse_determinant(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    return 1 / det.op(inner.inputs[0]) if inner.op is inv.op and found.once(inner) else None


def _log_of_size(found: Match) -> Node | None:
    """``log(abs(det(a)))``."""
    size = found.root.inputs[0]
    if size.op is not abs.op or size.inputs[0].op is not det.op:
        return None
    return items(slogdet.op(size.inputs[0].inputs[0]))[1]


def _log_of_determinant(found: Match) -> Node | None:
    """``log(det(a))``, which is NaN where the determinant is negative."""
    inner = found.root.inputs[0]
    if inner.op is not det.op or inner.row.is_complex:
        return None
    sign, size = items(slogdet.op(inner.inputs[0]))
    return where(sign < 0, np.nan, size)


def _triangular_system(found: Match) -> Node | None:
    """A system whose matrix is a Cholesky factor, perhaps transposed or conjugated."""
    matrix, right = found.root.inputs
    triangle = _triangle(matrix)
    if triangle is None:
        return None
    attrs = found.root.attrs.fields()  # type: ignore[union-attr]
    return solve_triangular.op(matrix, right, lower=triangle == "lower", **attrs)


def _triangular_determinant(found: Match) -> Node | None:
    """Of a Cholesky factor: the product of its diagonal."""
    (matrix,) = found.root.inputs
    return None if _triangle(matrix) is None else prod(diagonal_of(matrix, matrix.shape[-1]), axis=-1)


def _triangle(x: Node) -> str | None:
    """``"lower"`` or ``"upper"`` for what is known to be a triangle."""
    turned = False
    while x.op is conj.op or (x.op is transpose.op and _turns(x)):
        turned ^= x.op is transpose.op
        (x,) = x.inputs
    if x.op is not cholesky.op:
        return None
    return "upper" if x.attrs.upper != turned else "lower"  # type: ignore[union-attr]


def _turns(x: Node) -> bool:
    """Whether a transpose is of the last two axes alone."""
    *batch, first, second = x.attrs.axes  # type: ignore[union-attr]
    return batch == list(range(x.ndim - 2)) and bool(first > second)


def _rule(name: str, op: Any, right: Any, example: Any) -> Rule:
    return rule(name, op, right, keeps=ALGEBRAIC, dtypes=REAL_DTYPES, example=example)


FAST_SOLVERS = rules(
    "FAST_SOLVERS",
    _rule("an inverse times an array", matmul.op, _solved, lambda: matmul(inv(a), b)),
    _rule("an array times an inverse", matmul.op, _solved_from_right, lambda: matmul(transpose(b), inv(a))),
    _rule("the inverse of an inverse", inv.op, _inverted_twice, lambda: inv(inv(a))),
    _rule("the determinant of an inverse", det.op, _inverse_determinant, lambda: det(inv(a))),
    _rule("log of a determinant's size", log.op, _log_of_size, lambda: log(abs(det(a)))),
    _rule("log of a determinant", log.op, _log_of_determinant, lambda: log(det(a))),
    _rule("a system of a Cholesky factor", solve.op, _triangular_system,
          lambda: solve(cholesky(matmul(a, transpose(a))), b)),
    _rule("the determinant of a Cholesky factor", det.op, _triangular_determinant,
          lambda: det(cholesky(matmul(a, transpose(a))))),
)  # fmt: skip
