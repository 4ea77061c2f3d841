"""Rules that make results sharper: the same mathematics, without the overflow or the cancellation."""

from __future__ import annotations

import numpy as np

from symgraph.graph.constants import uniform
from symgraph.graph.node import Node, make
from symgraph.graph.op import Op, constant
from symgraph.ops.arithmetic import abs, add, subtract, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.comparison import isfinite
from symgraph.ops.declare import FLOATS
from symgraph.ops.index import index
from symgraph.ops.keys import NewAxis, Slice
from symgraph.ops.math import log1mexp, log_sigmoid, logaddexp, sigmoid, softplus, xlogy
from symgraph.ops.norm import norm
from symgraph.ops.reduce import max, sum, supremum
from symgraph.ops.shape import expand_dims, reshape, squeeze
from symgraph.ops.softmax import exp_of_difference, log_softmax, logsumexp, softmax
from symgraph.ops.special import erf, erfc
from symgraph.ops.statistics import mean, var
from symgraph.ops.transcendental import (
    asinh,
    cos,
    cosh,
    exp,
    expm1,
    hypot,
    log,
    log1p,
    sin,
    sinh,
    sqrt,
    tanh,
)  # fmt: skip
from symgraph.optimizations.pattern import MOVES, Match, alike, moved_earlier, under_moves, wild
from symgraph.optimizations.rules import SHARPER, rule, rules
from symgraph.optimizations.signs import never_negative, never_positive

WIDE = ("float32", "float64")

x, y = wild("x y")
rows = wild("rows", rank=2)


def _reduced(reduction: Op, of: Node, by: Node) -> tuple[int, ...] | None:
    """The axes over which ``by`` is the reduction of ``of``, if it is that and stands as one with kept axes would."""
    spread = by
    while spread.op is broadcast_to.op and spread.shape == of.shape:
        spread = spread.inputs[0]
    total = spread.inputs[0] if _is_spread(spread) else spread
    earlier = moved_earlier(total)  # a slice of a reduction is a reduction
    total = total if earlier is None else earlier
    if total.op is not reduction or not alike(of, total.inputs[0]):
        return None
    axes: tuple[int, ...] = total.attrs.axes  # type: ignore[union-attr]
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(of.shape))
    aligned = (1,) * (of.ndim - spread.ndim) + spread.shape
    return axes if aligned == kept else None


def _is_spread(node: Node) -> bool:
    """Whether a node has the elements of its input in their order: it has other axes, of size 1 where they are new."""
    if node.op is index.op and len(node.inputs) == 1:
        return all(item in (Slice(), NewAxis()) for item in node.attrs.items)  # type: ignore[union-attr]
    return node.op in (expand_dims.op, squeeze.op, reshape.op)


def _softmax(found: Match) -> Node | None:
    axes = _reduced(sum.op, found[_powers], found[y])
    return None if axes is None else softmax.op(found[x], axes=axes)


def _less_log_sum_exp(found: Match) -> Node | None:
    axes = _reduced(logsumexp.op, found[x], found[y])
    return None if axes is None else log_softmax.op(found[x], axes=axes)


_powers = exp(x)


def _log_softmax(found: Match) -> Node:
    return log_softmax.op(found[rows], axes=found[_share].attrs.axes)  # type: ignore[union-attr]


_share = softmax(rows)


def _weighted_scores(found: Match) -> Node | None:
    """A class that is impossible and has no weight counts nothing, as in ``cross_entropy``."""
    weight, score = found[weights], found[_scores]
    number = uniform(weight)
    if number is not None and number != 0:
        return None
    return weight * where((weight == 0) & (score == -np.inf), 0, score)


weights = wild("weights", rank=2)
_scores = log_softmax(rows)


def _log_sum_exp(found: Match) -> Node:
    return logsumexp.op(found[rows], **found[_sum_of_powers].attrs.fields())  # type: ignore[union-attr]


_sum_of_powers = sum(exp(rows), axis=1)


def _log_of_moved(found: Match) -> Node | None:
    """``log(move(softmax(a)))`` as ``move(log_softmax(a))``, and so for the sum of exp."""
    return under_moves(found.root.inputs[0], _log)


def _log(node: Node) -> Node | None:
    """The log of a softmax, or of a sum of exp."""
    if node.op is softmax.op:
        return log_softmax.op(node.inputs[0], axes=node.attrs.axes)  # type: ignore[union-attr]
    if node.op is sum.op and node.inputs[0].op is exp.op:
        return logsumexp.op(*node.inputs[0].inputs, **node.attrs.fields())  # type: ignore[union-attr]
    return None


def _of_move(node: Node) -> bool:
    return node.inputs[0].op in MOVES


def _variance(found: Match) -> Node | None:
    first, second = found[_mean_of_squares].attrs, found[_mean].attrs
    if first != second:
        return None
    return var.op(found[rows], constant(0, found[rows].row), axes=first.axes, keepdims=first.keepdims)  # type: ignore[union-attr]


_mean_of_squares, _mean = mean(rows * rows, axis=1), mean(rows, axis=1)


def _norm(found: Match) -> Node:
    return norm.op(found[rows], **found[_sum_of_squares].attrs.fields())  # type: ignore[union-attr]


_sum_of_squares = sum(rows * rows, axis=1)


_root_of_sum = sqrt(x + y)


def _difference_of_roots(found: Match) -> Node | None:
    number = uniform(found[y])
    return None if number is None or number == 0 else found[y] / (found[_root_of_sum] + sqrt(found[x]))


def _unshifted(found: Match) -> Node | None:
    """The softmax, or its log, of ``a`` for that of ``a - b``, where ``b`` is the same along its axes."""
    shifted = found.root.inputs[0]
    if shifted.op is not subtract.op:
        return None
    a, b = shifted.inputs
    axes = found.root.attrs.axes  # type: ignore[union-attr]
    aligned = (1,) * (a.ndim - b.ndim) + b.shape
    if a.shape != shifted.shape or any(aligned[axis] != 1 for axis in axes):
        return None
    return found.root.op(a, axes=axes)


def _put_back(found: Match) -> Node | None:
    """The logsumexp of ``a`` for that of ``a - b`` plus ``b``, where ``b`` is the largest of ``a`` along its axes."""
    first, second = found.root.inputs
    made = _unshifted_total(first, second)
    return _unshifted_total(second, first) if made is None else made


def _unshifted_total(total: Node, back: Node) -> Node | None:
    whole = total.inputs[0] if _is_spread(total) else total
    if whole.op is not logsumexp.op or whole.inputs[0].op is not subtract.op or total.shape != back.shape:
        return None
    a, b = whole.inputs[0].inputs
    if _without_new_axes(back) is not _without_new_axes(b):
        return None
    fields = whole.attrs.fields()  # type: ignore[union-attr]
    shift = _peak(b)
    largest_over = [_reduced(op, a, shift) for op in (max.op, supremum.op)]
    if a.shape != whole.inputs[0].shape or fields["axes"] not in largest_over:
        return None
    made = logsumexp.op(a, **fields)
    return made if whole is total else make(total.op, (made,), total.attrs)


_largest = max(rows, axis=1, keepdims=True)


def _peak(shift: Node) -> Node:
    """What a shift is where that is finite, if it is 0 elsewhere."""
    if shift.op is where.op:
        condition, peak, other = shift.inputs
        if condition.op is isfinite.op and condition.inputs[0] is peak and uniform(other) == 0:
            return peak
    return shift


def _without_new_axes(node: Node) -> Node:
    while _is_spread(node):
        node = node.inputs[0]
    return node


def _may_hold_logsumexp(node: Node) -> bool:
    return any(x.op is logsumexp.op or x.op in MOVES for x in node.inputs)


def _exp_of_sum(found: Match) -> Node | None:
    return None if found[x] is found[y] else exp_of_difference(found[x], -found[y])


def _exp_of_quotient(found: Match) -> Node | None:
    return None if found[x] is found[y] else exp_of_difference(found[x], found[y])


def _may_be_positive(found: Match) -> bool:
    return not never_positive(found[x])


def _may_be_negative(found: Match) -> bool:
    return not never_negative(found[x])


STABILIZE = rules(
    "STABILIZE",
    # log and exp
    rule("log of 1 + x", log(1 + x), log1p(x), keeps=SHARPER),
    rule("log of 1 - x", log(1 - x), log1p(-x), keeps=SHARPER),
    rule("exp(x) - 1", exp(x) + -1.0, expm1(x), keeps=SHARPER),
    rule("1 - exp(x)", 1 - exp(x), -expm1(x), keeps=SHARPER),
    rule("log of 1 + exp", log1p(exp(x)), softplus(x), keeps=SHARPER, when=_may_be_positive),
    rule("log of 1 - exp", log(-expm1(x)), log1mexp(x), keeps=SHARPER),
    rule("log1p of -exp", log1p(-exp(x)), log1mexp(x), keeps=SHARPER),
    rule("log of exp", log(exp(x)), x, keeps=SHARPER),
    rule("exp times exp", exp(x) * exp(y), _exp_of_sum, keeps=SHARPER, dtypes=WIDE),
    rule("exp over exp", exp(x) / exp(y), _exp_of_quotient, keeps=SHARPER, dtypes=WIDE),
    rule("log of exp + exp", log(exp(x) + exp(y)), logaddexp(x, y), keeps=SHARPER),
    rule("log of a square", log(x * x), 2 * log(abs(x)), keeps=SHARPER),
    rule("x log x", x * log(x), xlogy(x, x), keeps=SHARPER),
    # sigmoid
    rule("1 / (1 + exp(-x))", 1 / (1 + exp(-x)), sigmoid(x), keeps=SHARPER, when=_may_be_negative),
    rule("1 / (1 + exp(x))", 1 / (1 + exp(x)), sigmoid(-x), keeps=SHARPER, when=_may_be_positive),
    rule("exp / (1 + exp)", exp(x) / (1 + exp(x)), sigmoid(x), keeps=SHARPER, when=_may_be_positive),
    rule("1 - sigmoid", 1 - sigmoid(x), sigmoid(-x), keeps=SHARPER),
    rule("log of sigmoid", log(sigmoid(x)), log_sigmoid(x), keeps=SHARPER),
    rule("1 + tanh", 1 + tanh(x), 2 * sigmoid(2 * x), keeps=SHARPER),
    rule("1 - tanh", 1 - tanh(x), 2 * sigmoid(-(2 * x)), keeps=SHARPER),
    # softmax and its kin
    rule("log of the sum of exp", log(_sum_of_powers), _log_sum_exp, keeps=SHARPER),
    rule("exp over the sum of exp", _powers / y, _softmax, keeps=SHARPER,
         example=lambda: exp(rows) / sum(exp(rows), axis=1, keepdims=True)),
    rule("log of softmax", log(_share), _log_softmax, keeps=SHARPER),
    rule("less its logsumexp", x - y, _less_log_sum_exp, keeps=SHARPER, ops=_may_hold_logsumexp,
         example=lambda: rows - logsumexp(rows, axis=1, keepdims=True)),
    rule("weights times scores", weights * _scores, _weighted_scores, keeps=SHARPER),
    rule("softmax of a shift", softmax.op, _unshifted, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: softmax(rows - _largest, axis=1)),
    rule("log_softmax of a shift", log_softmax.op, _unshifted, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: log_softmax(rows - _largest, axis=1)),
    rule("logsumexp of a shift, put back", add.op, _put_back, keeps=SHARPER, ops=_may_hold_logsumexp, dtypes=FLOATS,
         example=lambda: logsumexp(rows - _largest, axis=1, keepdims=True) + _largest),
    rule("log of moved softmax", log.op, _log_of_moved, keeps=SHARPER, ops=_of_move, dtypes=FLOATS,
         example=lambda: log(softmax(rows)[:, 0])),
    # roots and squares
    rule("root of a square", sqrt(x * x), abs(x), keeps=SHARPER),
    rule("root of two squares", sqrt(x * x + y * y), hypot(x, y), keeps=SHARPER),
    rule("root of a sum of squares", sqrt(_sum_of_squares), _norm, keeps=SHARPER),
    rule("difference of roots", _root_of_sum - sqrt(x), _difference_of_roots, keeps=SHARPER),
    rule("mean of squares less the square of the mean", _mean_of_squares - _mean * _mean, _variance, keeps=SHARPER),
    # trigonometry and hyperbolas
    rule("1 - cos", 1 - cos(x), 2 * (sin(x * 0.5) * sin(x * 0.5)), keeps=SHARPER),
    rule("(1 - cos) over a square", 2 * (sin(x * 0.5) * sin(x * 0.5)) / (x * x),
         0.5 * ((sin(x * 0.5) / (x * 0.5)) * (sin(x * 0.5) / (x * 0.5))), keeps=SHARPER),
    rule("exp(x) - exp(-x)", exp(x) - exp(-x), 2 * sinh(x), keeps=SHARPER),
    rule("exp(-x) - exp(x)", exp(-x) - exp(x), -(2 * sinh(x)), keeps=SHARPER),
    rule("exp(x) + exp(-x)", exp(x) + exp(-x), 2 * cosh(x), keeps=SHARPER),
    rule("sinh over cosh", 2 * sinh(x) / (2 * cosh(x)), tanh(x), keeps=SHARPER),
    rule("sinh over cosh, plainly", sinh(x) / cosh(x), tanh(x), keeps=SHARPER),
    rule("log of x + root", log(x + sqrt(x * x + 1)), asinh(x), keeps=SHARPER),
    # error functions
    rule("1 - erf", 1 - erf(x), erfc(x), keeps=SHARPER),
    rule("1 - erfc", 1 - erfc(x), erf(x), keeps=SHARPER),
)  # fmt: skip
