"""Forward-mode differentiation: tangents are carried through a graph beside its values.

What an op does to tangents follows from its reverse rule, which is linear in the cotangent: the transpose of that
linear map takes tangents of the inputs to the tangent of the result. A real elementwise op is its own transpose. Ops
that are linear in their inputs are applied to the tangents, and composites without a rule are their bodies. ``RULES``
says by hand what is smaller so, and what has no reverse rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from symgraph.autodiff.branches import branch_tangents
from symgraph.autodiff.loops import loop_tangents
from symgraph.autodiff.reverse import (
    STOP_GRADIENT,
    check_differentiable,
    contributions,
    is_inexact,
    pullback,
)
from symgraph.autodiff.selection import selected, total
from symgraph.autodiff.unmoved import is_finite, unmoved
from symgraph.errors import GradientError
from symgraph.graph.collector import paused
from symgraph.graph.constants import is_zero
from symgraph.graph.node import Node, located
from symgraph.graph.op import ITEM, PACK, Op, as_node, constant, items
from symgraph.graph.origin import inherit
from symgraph.graph.trace import stand_in
from symgraph.graph.types import TupleType
from symgraph.graph.walk import expand, rebuild, toposort
from symgraph.ops.arithmetic import add, astype, conj, imag, multiply, negative, real, subtract, where
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.checkpoint import CHECKPOINT
from symgraph.ops.control import BRANCH, LOOP
from symgraph.ops.create import zeros_like
from symgraph.ops.einsum import einsum
from symgraph.ops.index import index, take_along_axis
from symgraph.ops.join import concat, pad
from symgraph.ops.linalg import matmul, tensordot
from symgraph.ops.norm import norm
from symgraph.ops.reduce import kept, sum
from symgraph.ops.scan import cumulative_sum, shift
from symgraph.ops.shape import expand_dims, reshape, squeeze, transpose
from symgraph.ops.softmax import log_softmax, logsumexp, softmax
from symgraph.ops.sort import argsort, sort
from symgraph.ops.transcendental import exp
from symgraph.ops.update import update

Meaning: TypeAlias = Callable[[Sequence[Node], Sequence[Node]], Sequence[Node]]
Tangent: TypeAlias = Any
"""A node, a tuple with one for each result of an op with several, or None where nothing moves."""
Rule: TypeAlias = Callable[[Node, Sequence[Tangent]], Tangent]
"""The tangent of a node, from the tangents of its inputs, of which one at least is not None."""


def jvp(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    tangents: Sequence[Any],
    *,
    meaning: Meaning = lambda outputs, inputs: outputs,
) -> list[Node]:
    """For each output ``Σ ∂output/∂input · tangent`` over the inputs.

    ``meaning`` gives the outputs in the form that is differentiated; it leaves the inputs in them as they are.

    Raises GradientError for inputs and outputs that are not floating-point or complex, and for an op whose reverse rule
    is not linear in the cotangent.
    """
    given = list(tangents)
    if len(inputs) != len(given):
        raise located(GradientError(f"{len(inputs)} inputs and {len(given)} tangents"), [])
    outs = checked(outputs, inputs, meaning=meaning)
    given = [_as_tangent(t, x) for t, x in zip(given, inputs, strict=True)]
    with paused():
        found = pushforward(outs, inputs, given)
    return [zeros_like(out) if t is None else t for t, out in zip(found, outs, strict=True)]


def checked(outputs: Sequence[Node], inputs: Sequence[Node], *, meaning: Meaning) -> Sequence[Node]:
    """The outputs in the form that is differentiated; raises GradientError for what is not differentiable."""
    for node in (*outputs, *inputs):
        check_differentiable(node)
    with paused():
        return meaning(outputs, inputs)


def pushforward(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    tangents: Sequence[Tangent],
    *,
    given: Iterable[Node] = (),
) -> list[Tangent]:
    """For each output its tangent, None where it depends on no input through floating-point values.

    An input moves by its own tangent and by what moves what it was computed from; the latter is not looked at for
    nodes in ``given``.
    """
    own: dict[Node, Node] = {}
    for x, t in zip(inputs, tangents, strict=True):
        if t is not None:
            own[x] = total(own[x], t) if x in own else t
    stop = set(given)
    moved: dict[Node, Tangent] = {}
    for node in toposort(outputs, stop=stop):
        t = None
        if node not in stop and not moved.keys().isdisjoint(node.inputs) and is_inexact(node):
            with inherit(node.origin):
                t = _push(node, [moved.get(x) for x in node.inputs])
        if node in own:
            t = own[node] if t is None else total(t, own[node])
        if t is not None:
            moved[node] = t
    return [moved.get(out) for out in outputs]


def _push(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """The tangent of a node from those of its inputs."""
    op = node.op
    if op is STOP_GRADIENT:
        return None
    if op is ITEM:
        return tangents[0][node.attrs.index]  # type: ignore[union-attr]
    if op is PACK:
        return tuple(tangents)
    if op in RULES:
        return RULES[op](node, tangents)
    if op.vjp is None and op.body is not None:
        return _through_body(node, tangents)
    if op.elementwise and all(x.row.is_float or not x.row.is_inexact for x in (node, *node.inputs)):
        return _scaled(node, tangents)
    return _transposed(node, tangents)


def _through_body(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    moving = dict(zip(node.inputs, tangents, strict=True))
    return pushforward([expand(node)], list(moving), list(moving.values()), given=node.inputs)[0]


def _scaled(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """Through an elementwise op of real numbers: what the reverse rule does to a cotangent, it does to a tangent."""
    parts = []
    for place, t in enumerate(tangents):
        if t is None:
            continue
        selection = unmoved(t)
        found = contributions(node, selection.value if selection else t)[place]
        part = _slope(found, node, node.inputs[place])
        if part is not None:
            # Selected again behind the slope, which may be infinite where nothing was selected.
            part = astype(part, node.row)
            parts.append(selection.of(part) if selection else part)
    return _sum(parts, node)


def _transposed(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """The reverse rule applied to a cotangent that stands for any, and the tangents pulled back through that."""
    several = isinstance(node.type, TupleType)
    results = items(node) if several else (node,)
    stands = [stand_in(f"_any_{i}", x.tensor) if x.row.is_inexact else None for i, x in enumerate(results)]
    places = [g for g in stands if g is not None]
    slopes, seeds = [], []
    for x, t, found in zip(
        node.inputs, tangents, contributions(node, tuple(stands) if several else places[0]), strict=True
    ):
        slope = None if t is None else _slope(found, node, x)
        if slope is not None:
            selection = unmoved(t) if node.op.elementwise else None
            slopes.append(slope)
            seeds.append(_fitted(selection.of(selection.value) if selection else t, slope))
    back = pullback(slopes, seeds, places, given=(node, *node.inputs))
    _check_linear(node, back, seeds, tangents, places)
    if not several:
        return back[0]
    left = iter(back)
    return tuple(None if g is None else next(left) for g in stands)


def _slope(found: Any, node: Node, x: Node) -> Node | None:
    """What a reverse rule gave for an input; None for a slope of zero."""
    match found:
        case Node():
            return found
        case 0:
            return None
        case GradientError():
            raise located(found, [node])
    text = f"the derivative of {node.op.name} gives {found!r} for {x!r}, neither a node nor 0"
    raise located(GradientError(text), [node])


def _fitted(t: Node, slope: Node) -> Node:
    """A tangent as a cotangent of what a reverse rule gave: broadcast, and real where that is."""
    if t.row is not slope.row:
        t = astype(real(t) if t.row.is_complex and not slope.row.is_complex else t, slope.row)
    spread: Node = broadcast_to(t, slope.shape)
    return spread


def _check_linear(
    node: Node,
    back: Sequence[Tangent],
    seeds: Sequence[Node],
    tangents: Sequence[Tangent],
    places: Sequence[Node],
) -> None:
    """What depends on the cotangent that stands for any is no transpose: the rule is not linear."""
    found = [t for t in back if t is not None]
    known = {node, *node.inputs, *(x for t in (*seeds, *tangents) if isinstance(t, Node) for x in t.inputs)}
    known.update(t for t in tangents if isinstance(t, Node))
    if not set(toposort(found, stop=known)).isdisjoint(places):
        text = (
            f"{node.op.name} has a derivative that is not linear in the cotangent, so it has no forward mode"
        )
        raise located(GradientError(text), [node])


def _sum(parts: Iterable[Tangent], node: Node) -> Tangent:
    """The sum of what came through the inputs, in the shape of the node; None for nothing."""
    whole = None
    for part in parts:
        if part is not None:
            whole = part if whole is None else total(whole, part)
    return None if whole is None else broadcast_to(whole, node.shape)


# Rules by hand


def _linear(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """Of an op that is linear in all floating-point inputs together: the op applied to the tangents."""
    moving = [
        t if t is not None else zeros_like(x) if x.row.is_inexact else x
        for x, t in zip(node.inputs, tangents, strict=True)
    ]
    return rebuild(node, tuple(moving))


def _multilinear(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """Of an op that is linear in each input: the op applied to one tangent and the other inputs, and summed."""
    parts = []
    for place, t in enumerate(tangents):
        others = (*node.inputs[:place], *node.inputs[place + 1 :])
        if t is None or any(is_zero(x) for x in others):
            continue  # what is multiplied by the constant 0 has slope 0, an infinite slope before it included
        selection = unmoved(t) if node.op.elementwise and not all(map(is_finite, others)) else None
        moving = selection.value if selection else t
        part = rebuild(node, (*node.inputs[:place], moving, *node.inputs[place + 1 :]))
        parts.append(selection.of(part) if selection else part)
    return _sum(parts, node)


def _add(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    return _sum(tangents, node)


def _subtract(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    a, b = tangents
    if a is None or b is None or selected(a) or selected(b):
        return _sum((a, None if b is None else -b), node)
    return broadcast_to(a - b, node.shape)


def _where(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    nothing = constant(0, node.row)
    a, b = (nothing if t is None else t for t in tangents[1:])
    return broadcast_to(where(node.inputs[0], a, b), node.shape)


def _update(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    attrs: Any = node.attrs
    if attrs.mode not in ("set", "add"):
        return _transposed(node, tangents)
    if attrs.mode == "add" and tangents[1] is None:
        return tangents[0]
    return _linear(node, tangents)


def _symmetric(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """Of an op whose matrix of slopes is symmetric: its reverse rule."""
    return contributions(node, tangents[0])[0]


def _log_softmax(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (t,), attrs = tangents, node.attrs
    return t - sum.op(exp(node) * t, axes=attrs.axes, keepdims=True)  # type: ignore[union-attr]


def _logsumexp(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (x,), attrs = node.inputs, node.attrs
    axes, keepdims = attrs.axes, attrs.keepdims  # type: ignore[union-attr]
    out = kept(node, axes, keepdims)
    shares = where(out == -np.inf, 0, softmax.op(x, axes=axes))
    return sum.op(tangents[0] * shares, axes=axes, keepdims=keepdims)


def _norm(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (x,), attrs = node.inputs, node.attrs
    axes, keepdims = attrs.axes, attrs.keepdims  # type: ignore[union-attr]
    zero = node == 0
    direction = x / kept(where(zero, 1, node), axes, keepdims)
    return where(zero, 0, sum.op(real(conj(direction) * tangents[0]), axes=axes, keepdims=keepdims))


def _sort(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (x,), attrs = node.inputs, node.attrs
    order = argsort.op(x, axis=attrs.axis, descending=attrs.descending)  # type: ignore[union-attr]
    return take_along_axis(tangents[0], order, attrs.axis)  # type: ignore[union-attr]


def _loop(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    return loop_tangents(node, tangents, pushforward)


def _branch(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    return branch_tangents(node, tangents, pushforward)


RULES: dict[Op, Rule] = {
    LOOP: _loop,
    CHECKPOINT: _through_body,
    BRANCH: _branch,
    add.op: _add,
    subtract.op: _subtract,
    where.op: _where,
    update.op: _update,
    softmax.op: _symmetric,
    log_softmax.op: _log_softmax,
    logsumexp.op: _logsumexp,
    norm.op: _norm,
    sort.op: _sort,
    **dict.fromkeys((multiply.op, matmul.op, tensordot.op, einsum.op), _multilinear),
    **dict.fromkeys((negative.op, conj.op, real.op, imag.op, astype.op), _linear),
    **dict.fromkeys(
        (reshape.op, expand_dims.op, squeeze.op, transpose.op, broadcast_to.op, index.op), _linear
    ),
    **dict.fromkeys((sum_to.op, sum.op, cumulative_sum.op, shift.op, concat.op, pad.op), _linear),
}
"""By op. The rule of a loop or a branch carries tangents through its inner graphs with ``pushforward``."""


def _as_tangent(value: Any, x: Node) -> Node:
    t = as_node(value, x.row)
    if t.row is not x.row:
        raise located(GradientError(f"the tangent of {x.type} is {t.type}; dtypes must agree"), [x, t])
    spread: Node = broadcast_to(t, x.shape)
    return spread
