"""Where a tangent is 0 because nothing moves, and has to stay 0 whatever slope stands behind it.

``sqrt(where(x > 0, x, 0))`` has the tangent ``where(x > 0, t, 0)`` under the root; multiplied by the infinite slope of
``sqrt`` at 0 that is ``0 · inf``, a NaN. So what an elementwise op makes of a tangent is selected again, also where the
tangent was moved, joined, padded or summed since.
"""

from __future__ import annotations

import numpy as np

from symgraph.autodiff.selection import Selection, selected
from symgraph.graph.constants import MOVES, is_zero, uniform
from symgraph.graph.node import Node
from symgraph.graph.walk import rebuild
from symgraph.ops.arithmetic import add, astype, conj, divide, multiply, negative, real, subtract
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.comparison import logical_or
from symgraph.ops.create import ones_like, zeros_like
from symgraph.ops.join import concat, pad
from symgraph.ops.reduce import sum
from symgraph.ops.scan import cumulative_sum, shift
from symgraph.ops.update import update


def unmoved(t: Node) -> Selection | None:
    """What a tangent selects, if it is known to be 0 somewhere."""
    selection = selected(t)
    if selection is not None:
        return selection
    mask = _mask(t, _DEPTH, {})
    return None if mask is None else Selection(mask, True, t)


def is_finite(x: Node) -> bool:
    """Whether every element is the same finite number, by which 0 may be multiplied."""
    value = uniform(x)
    return value is not None and bool(np.isfinite(value))


_DEPTH = 16
"""Ops behind a selection, through which it is followed."""
_KEEPING = {negative.op, conj.op, real.op, astype.op}
_SUMMING = {concat.op, pad.op, shift.op, update.op, sum.op, sum_to.op, cumulative_sum.op}


def _mask(t: Node, depth: int, known: dict[Node, Node | None]) -> Node | None:
    """Where a tangent may be other than 0; None for everywhere. ``known`` has what was asked before."""
    if t not in known:
        selection = selected(t)
        if selection is not None:
            known[t] = broadcast_to(selection.mask, t.shape)
        else:
            known[t] = _followed(t, depth - 1, known) if depth else None
    return known[t]


def _followed(t: Node, depth: int, known: dict[Node, Node | None]) -> Node | None:
    op = t.op
    if op in _KEEPING:
        return _mask(t.inputs[0], depth, known)
    if op.name in MOVES:
        mask = _mask(t.inputs[0], depth, known)
        return None if mask is None else rebuild(t, (mask, *t.inputs[1:]))
    if op is multiply.op or op is divide.op:
        x, y = t.inputs[::-1] if op is multiply.op and is_finite(t.inputs[0]) else t.inputs
        mask = _mask(x, depth, known) if is_finite(y) else None
        return None if mask is None else broadcast_to(mask, t.shape)
    if op is add.op or op is subtract.op:
        first = _mask(t.inputs[0], depth, known)
        second = None if first is None else _mask(t.inputs[1], depth, known)
        return None if first is None or second is None else broadcast_to(logical_or(first, second), t.shape)
    if op not in _SUMMING:
        return None
    weights = [_weight(x, depth, known) for x in t.inputs if x.row.is_inexact]
    if all(weight is None for weight in weights) and not _fills(t):
        return None
    left = iter(weights)
    counted = [
        x if not x.row.is_inexact else ones_like(x) if (w := next(left)) is None else w for x in t.inputs
    ]
    return rebuild(t, tuple(counted)) != 0


def _weight(x: Node, depth: int, known: dict[Node, Node | None]) -> Node | None:
    """1 where a tangent may be other than 0, else 0; None for 1 everywhere."""
    if is_zero(x):
        return zeros_like(x)
    mask = _mask(x, depth, known)
    return None if mask is None else astype(mask, x.row)


def _fills(t: Node) -> bool:
    """Whether an op puts zeros beside what it takes."""
    return t.op is shift.op or bool(getattr(t.attrs, "exclusive", False))
