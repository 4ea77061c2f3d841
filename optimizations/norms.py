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
from symgraph.optimizations.pattern import MOVES, Match, moved, wild
from symgraph.optimizations.rules import SHARPER, rule, rules

rows = wild("rows", rank=2)
_squares = sum(rows * rows, axis=1)


def _norm(squares: Node) -> Node | None:
    """The norm whose square this is, if it is a sum of squares or moves one."""
    core, moves = squares, []
    while core.op in MOVES:
        moves.append(core)
        core = core.inputs[0]
    if core.row.is_complex or core.op not in (sum.op, matmul.op):
        return None
    if core.op is matmul.op:
        x, other = core.inputs
        if x is not other or x.ndim != 1:
            return None
        found = norm.op(x, axes=(0,), keepdims=False)
    else:
        square = core.inputs[0]
        if square.op is not multiply.op or square.inputs[0] is not square.inputs[1]:
            return None
        found = norm.op(square.inputs[0], **core.attrs.fields())  # type: ignore[union-attr]
    for move in reversed(moves):
        found = moved(move, found)
    return found


def _root(found: Match) -> Node | None:
    return _norm(found.root.inputs[0])


def _power(found: Match) -> Node | None:
    squares, exponent = found.root.inputs
    number = uniform(exponent)
    if number is None or number not in (0.5, -0.5) or exponent.ndim:
        return None
    root = _norm(squares)
    return root if root is None or number > 0 else 1 / root


NORMS = rules(
    "NORMS",
    rule("root of a moved sum of squares", sqrt.op, _root, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: sqrt(expand_dims(_squares, 1))),
    rule("root of a vector times itself", sqrt.op, _root, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: sqrt(matmul(rows[0], rows[0]))),
    rule("a sum of squares to the power of a half", pow.op, _power, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: pow(_squares, -0.5)),
)  # fmt: skip
