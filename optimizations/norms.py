"""Roots of sums of squares, however they are written: a norm neither overflows nor loses small values."""

from __future__ import annotations

from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.ops.arithmetic import multiply
from symgraph.ops.declare import FLOATS
from symgraph.ops.linalg import matmul
from symgraph.ops.norm import norm
from symgraph.ops.reduce import sum
from symgraph.ops.shape import expand_dims
from symgraph.ops.transcendental import pow, sqrt
from symgraph.optimizations.pattern import Match, under_moves, wild
from symgraph.optimizations.rules import SHARPER, rule, rules

rows = wild("rows", rank=2)
_squares = sum(rows * rows, axis=1)


def _root(found: Match) -> Node | None:
    return under_moves(found.root.inputs[0], _norm)


def _power(found: Match) -> Node | None:
    squares, exponent = found.root.inputs
    number = uniform(exponent)
    if number is None or number not in (0.5, -0.5) or exponent.ndim:
        return None
    root = under_moves(squares, _norm)
    return root if root is None or number > 0 else 1 / root


def _norm(squares: Node) -> Node | None:
    """The norm whose square this is, if it is a sum of squares."""
    if squares.row.is_complex:
        return None
    if squares.op is matmul.op:
        x, other = squares.inputs
        return norm.op(x, axes=(0,), keepdims=False) if x is other and x.ndim == 1 else None
    if squares.op is not sum.op or squares.inputs[0].op is not multiply.op:
        return None
    x, other = squares.inputs[0].inputs
    return norm.op(x, **squares.attrs.fields()) if x is other else None  # type: ignore[union-attr]


NORMS = rules(
    "NORMS",
    rule("root of a moved sum of squares", sqrt.op, _root, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: sqrt(expand_dims(_squares, 1))),
    rule("root of a vector times itself", sqrt.op, _root, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: sqrt(matmul(rows[0], rows[0]))),
    rule("a sum of squares to the power of a half", pow.op, _power, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: pow(_squares, -0.5)),
)  # fmt: skip
