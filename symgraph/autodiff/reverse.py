"""Reverse-mode differentiation: a graph in, the graph of its gradient out, which differentiates again.

Conventions: at kinks the subgradient is JAX's (0 for ``abs`` and ``relu`` at 0, halves for ``maximum`` of equals).
For a complex input the gradient of a real loss is ``∂L/∂a + i ∂L/∂b``, the direction of steepest ascent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from symgraph.autodiff.branches import branch_slopes
from symgraph.autodiff.loops import loop_slopes
from symgraph.autodiff.selection import moved_mask, selected, total
from symgraph.errors import GradientError
from symgraph.graph.collector import paused
from symgraph.graph.constants import MOVES, uniform
from symgraph.graph.node import Node, located
from symgraph.graph.op import ITEM, PACK, as_node, constant, items
from symgraph.graph.origin import inherit
from symgraph.graph.types import TupleType
from symgraph.graph.walk import expand, toposort
from symgraph.ops.arithmetic import astype, multiply, real, where
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.control import BRANCH, LOOP
from symgraph.ops.create import zeros_like
from symgraph.ops.custom import stop_gradient

Cotangent = Node | None
STOP_GRADIENT = stop_gradient.op


def vjp(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    cotangents: Sequence[Any],
    *,
    disconnected: str = "zero",
    meaning: Callable[[Sequence[Node], Sequence[Node]], Sequence[Node]] = lambda outputs, inputs: outputs,
) -> list[Node]:
    """For each input ``Σ cotangent · ∂output/∂input`` over the outputs.

    ``meaning`` gives the outputs in the form that is differentiated; it leaves the inputs in them as they are.

    Raises GradientError for inputs and outputs that are not floating-point or complex, and with
    ``disconnected="raise"`` for inputs that no output depends on.
    """
    if disconnected not in ("raise", "zero"):
        raise located(GradientError(f'disconnected is "raise" or "zero", not {disconnected!r}'), [])
    outs, seeds = list(outputs), list(cotangents)
    if len(outs) != len(seeds):
        raise located(GradientError(f"{len(outs)} outputs and {len(seeds)} cotangents"), [])
    for node in (*outs, *inputs):
        check_differentiable(node)
    seeds = [_as_cotangent(seed, out) for seed, out in zip(seeds, outs, strict=True)]
    with paused():
        found = pullback(meaning(outs, inputs), seeds, inputs)
    if disconnected == "raise":
        _check_connected(outs, inputs, found)
    return [zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def pullback(
    outputs: Sequence[Node],
    cotangents: Sequence[Node],
    inputs: Sequence[Node],
    *,
    opaque: bool = False,
    given: Iterable[Node] = (),
) -> list[Cotangent]:
    """For each input its cotangent, None where no output depends on it through floating-point values.

    ``opaque`` takes the inputs as given: what they were computed from is not looked at. Nor is it for ``given``.
    """
    wanted = set(inputs)
    order = toposort(outputs, stop={*given, *(wanted if opaque else ())})
    active = _active(order, wanted, opaque)
    sums = _Sums()
    for out, g in zip(outputs, cotangents, strict=True):
        if out in active:
            sums.add(out, g)
    for node in reversed(order):
        if node in active and sums.reached(node) and not (opaque and node in wanted):
            try:
                with inherit(node.origin):
                    _push(node, active, sums)
            except GradientError as error:
                raise located(error, [node]) from None
    return [sums.total(x) if sums.reached(x) else None for x in inputs]


class _Sums:
    """The cotangents that have reached each node so far; a part for each result of an op with several."""

    def __init__(self) -> None:
        self._nodes: dict[Node, Cotangent] = {}
        self._parts: dict[Node, dict[int, Node]] = {}

    def add(self, node: Node, g: Cotangent) -> None:
        """Add a contribution; None is a slope of zero, which connects and adds nothing."""
        before = self._nodes.get(node)
        self._nodes[node] = (
            total(before, g) if before is not None and g is not None else before if g is None else g
        )

    def add_part(self, node: Node, index: int, g: Node) -> None:
        parts = self._parts.setdefault(node, {})
        parts[index] = total(parts[index], g) if index in parts else g

    def reached(self, node: Node) -> bool:
        return node in self._nodes or node in self._parts

    def total(self, node: Node) -> Node:
        g = self._nodes[node]
        return zeros_like(node) if g is None else g

    def is_zero(self, node: Node) -> bool:
        return node not in self._parts and self._nodes[node] is None

    def parts(self, node: Node) -> tuple[Cotangent, ...]:
        """A cotangent for every floating-point result, zero where none arrived."""
        known = self._parts[node]
        return tuple(
            known.get(i, zeros_like(part)) if part.row.is_inexact else None
            for i, part in enumerate(items(node))
        )


def _active(order: Iterable[Node], wanted: set[Node], opaque: bool) -> set[Node]:
    """The nodes through which a change of the wanted ones can reach an output."""
    active: set[Node] = set()
    for node in order:
        through = not (opaque and node in wanted) and not active.isdisjoint(node.inputs)
        if node in wanted or (through and is_inexact(node)):
            active.add(node)
    return active


def is_inexact(node: Node) -> bool:
    if isinstance(node.type, TupleType):
        return any(type.dtype.is_inexact for type in node.type.items)
    return node.row.is_inexact


def _push(node: Node, active: set[Node], sums: _Sums) -> None:
    """Carry the cotangent of a node to its active inputs."""
    if not node.inputs or node.op is STOP_GRADIENT:
        return
    if sums.is_zero(node):
        for x in node.inputs:
            if x in active:
                sums.add(x, None)
        return
    if node.op is ITEM:
        sums.add_part(node.inputs[0], node.attrs.index, sums.total(node))  # type: ignore[union-attr]
        return
    g: Any = sums.parts(node) if isinstance(node.type, TupleType) else sums.total(node)
    selection = selected(g) if node.op.elementwise else None
    mask = moved_mask(node, g) if node.op.name in MOVES else None
    for x, contribution in zip(
        node.inputs, contributions(node, selection.value if selection else g), strict=True
    ):
        if x not in active or not is_inexact(x):
            continue
        match contribution:
            case Node():
                # Selected again behind the slope, which may be infinite where nothing was selected.
                slope = selection.of(contribution) if selection else contribution
                slope = slope if mask is None else where(mask, slope, constant(0, slope.row))
                sums.add(x, _fitted(_without_one(slope), x, node))
            case 0:
                sums.add(x, None)
            case GradientError():
                raise located(contribution, [node])
            case _:
                text = (
                    f"the derivative of {node.op.name} gives {contribution!r} for {x!r}, neither a node nor 0"
                )
                raise located(GradientError(text), [node])


def contributions(node: Node, g: Any) -> Sequence[Any]:
    """For each input what the op's rule says, or the derivative of its body; anything at all for an integer."""
    op = node.op
    if op is PACK:
        return tuple(g)
    if op is LOOP:
        return loop_slopes(node, g, pullback)
    if op is BRANCH:
        return branch_slopes(node, g, pullback)
    if op.vjp is not None:
        attrs = node.attrs.fields() if node.attrs is not None else {}
        found = op.vjp(g, *node.inputs, node, **attrs)
        return found if isinstance(found, tuple) else (found,)
    if op.body is None:
        raise located(GradientError(f"{op.name} has no derivative"), [node])
    distinct = list(dict.fromkeys(node.inputs))
    if isinstance(node.type, TupleType):
        roots = list(items(expand(node)))
        pairs = [(root, part) for root, part in zip(roots, g, strict=True) if part is not None]
        total = dict(
            zip(
                distinct,
                pullback([r for r, _ in pairs], [p for _, p in pairs], distinct, opaque=True),
                strict=True,
            )
        )
    else:
        total = dict(zip(distinct, pullback([expand(node)], [g], distinct, opaque=True), strict=True))
    # An input used twice gets the whole at its first place.
    slopes = (total.pop(x, None) for x in node.inputs)
    return [0 if slope is None else slope for slope in slopes]


def _without_one(slope: Node) -> Node:
    """``x`` for ``1 * x``, which the slope of a sum makes of what comes next: rules would have to build all that is
    behind anew."""
    if slope.op is multiply.op and slope.row.is_float:
        for factor, other in (slope.inputs, slope.inputs[::-1]):
            if uniform(factor) == 1 and other.type == slope.type:
                return other
    return slope


def _fitted(g: Node, x: Node, node: Node) -> Node:
    """A contribution in the type of the input: summed over broadcast axes, real for a real input."""
    if g.row is not x.row:
        g = real(g) if g.row.is_complex and not x.row.is_complex else g
        g = astype(g, x.row)
    if node.op.elementwise and g.shape != x.shape:
        g = sum_to(g, x.shape)
    assert g.ndim == x.ndim, f"the derivative of {node.op.name} gave {g.type} for {x.type}"
    return g


def _as_cotangent(seed: Any, out: Node) -> Node:
    g = as_node(seed, out.row)
    if g.row is not out.row:
        raise located(GradientError(f"the cotangent of {out.type} is {g.type}; dtypes must agree"), [out, g])
    spread: Node = broadcast_to(g, out.shape)
    return spread


def check_differentiable(node: Any) -> None:
    if not isinstance(node, Node):
        raise located(GradientError(f"gradients are with respect to nodes, not {type(node).__name__}"), [])
    if not node.row.is_inexact:
        text = f"{node!r} has dtype {node.row.name}; only floating-point and complex values have gradients"
        raise located(GradientError(text), [node])


def _check_connected(outputs: Sequence[Node], inputs: Sequence[Node], found: Sequence[Cotangent]) -> None:
    lost = [x for x, g in zip(inputs, found, strict=True) if g is None]
    if not lost:
        return
    # What is reached through comparisons and integers alone has slope zero; what is not reached has none.
    reach = set(toposort(outputs))
    stopped = {node for node in reach if node.op is STOP_GRADIENT}
    open_way = set(toposort(outputs, stop=stopped))
    lost = [x for x in lost if x not in open_way or x in stopped]
    if not lost:
        return
    why = {x: "through stop_gradient only" if x in reach else "not at all" for x in lost}
    text = "; ".join(f"the loss depends on {x.name or x.op.name} {why[x]}" for x in lost)
    raise located(GradientError(f'{text} (disconnected="zero" makes such gradients zero)'), [*outputs, *lost])
