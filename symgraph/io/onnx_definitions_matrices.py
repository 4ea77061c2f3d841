"""Systems of equations and factors of matrices, as loops that ONNX can say.

Where symgraph raises, because a matrix is singular or not positive definite, a model gives NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.io.onnx_definitions import defined
from symgraph.io.onnx_table import COMPLEX, Refused
from symgraph.ops.arithmetic import abs as size_of
from symgraph.ops.arithmetic import where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.create import iota, tril, triu
from symgraph.ops.index import take_along_axis
from symgraph.ops.join import concat
from symgraph.ops.loops import scan
from symgraph.ops.matrices import diagonal_of, identity_like
from symgraph.ops.reduce import any as any_of
from symgraph.ops.reduce import argmax
from symgraph.ops.shape import expand_dims, matrix_transpose, moveaxis
from symgraph.ops.transcendental import sqrt


def _check(x: Node) -> None:
    if x.row.is_complex:
        raise Refused(COMPLEX)


def _or_nan(x: Node, broken: Node) -> Node:
    """NaN for the members of a batch that are broken."""
    return where(expand_dims(broken, (-1, -2)), np.nan, x)


@defined("cholesky")
def cholesky(a: Node, upper: bool, singular: str) -> Node:
    """A column in each turn, whose product with itself is taken from what is left."""
    _check(a)
    a = matrix_transpose(a) if upper else a
    rows = iota(a.shape[-1])

    def step(left: Node, j: Node) -> tuple[Node, Node]:
        column = left[..., j]
        pivot = column[..., j]
        root = sqrt(where(pivot > 0, pivot, np.nan))
        column = where(rows < j, 0, column / expand_dims(root, -1))
        return left - expand_dims(column, -1) * expand_dims(column, -2), column

    _, columns = scan(step, tril(a) + matrix_transpose(tril(a, -1)), rows)
    diagonal = moveaxis(columns, 0, -1)
    broken = any_of(diagonal_of(diagonal, a.shape[-1]) != diagonal_of(diagonal, a.shape[-1]), axis=-1)
    found = _or_nan(diagonal, broken)
    return matrix_transpose(found) if upper else found


@defined("solve_triangular")
def solve_triangular(a: Node, b: Node, lower: bool, trans: int, unit_diagonal: bool, singular: str) -> Node:
    """A row of the result in each turn, whose part is taken from the rows that are left."""
    _check(a)
    if trans:
        a, lower = matrix_transpose(a), not lower
    n = a.shape[-1]
    batch = (a[..., :1, :1] * b[..., :1, :1]).shape[:-2]
    a = broadcast_to(a, (*batch, n, n))
    b = broadcast_to(b, (*batch, *b.shape[-2:]))

    def step(left: Node, i: Node) -> tuple[Node, Node]:
        row = left[..., i, :]
        if not unit_diagonal:
            row = row / expand_dims(a[..., i, i], -1)
        return left - expand_dims(a[..., i], -1) * expand_dims(row, -2), row

    found = moveaxis(scan(step, b, iota(n), reverse=not lower)[1], 0, -2)
    return found if unit_diagonal else _or_nan(found, any_of(diagonal_of(a, n) == 0, axis=-1))


@defined("solve")
def solve(a: Node, b: Node, singular: str) -> Node:
    """A column in each turn is made 0 below the diagonal, once the row with its largest number stands there."""
    _check(a)
    n = a.shape[-1]
    if isinstance(n, int) and n == 0:
        return b
    batch = (a[..., :1, :1] * b[..., :1, :1]).shape[:-2]
    both = concat([broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b)], -1)
    rows = iota(n)

    def step(left: Node, j: Node) -> tuple[Node, None]:
        place = expand_dims(argmax(where(rows < j, -1, size_of(left[..., j])), axis=-1), -1)
        order = where(rows == j, place, where(rows == place, j, rows))
        left = take_along_axis(left, expand_dims(order, -1), axis=-2)
        row = left[..., j, :]
        factor = where(rows > j, left[..., j] / expand_dims(row[..., j], -1), 0)
        return left - expand_dims(factor, -1) * expand_dims(row, -2), None

    left, _ = scan(step, both, rows)
    attrs: dict[str, Any] = {"lower": False, "trans": 0, "unit_diagonal": False, "singular": singular}
    return solve_triangular(triu(left[..., :n]), left[..., n:], **attrs)


@defined("inv")
def inverse(a: Node, singular: str) -> Node:
    return solve(a, identity_like(a), singular)
