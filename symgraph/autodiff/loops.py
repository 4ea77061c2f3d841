"""Derivatives of loops: a loop backwards over what the loop forwards has kept, and a loop that carries tangents too.

What is kept of each turn is what the derivative of its body asks for: carries, and values that are dear to compute
again. The rest is computed again in the loop backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from symgraph.autodiff.segments import in_segments
from symgraph.errors import GradientError
from symgraph.graph.constants import MOVES, is_zero
from symgraph.graph.graph import graph
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, item, items
from symgraph.graph.trace import Names
from symgraph.graph.types import INT64, TensorType
from symgraph.graph.walk import substitute, toposort
from symgraph.ops.arithmetic import add
from symgraph.ops.control import LOOP, LoopAttrs
from symgraph.ops.create import zeros_like

Pullback: TypeAlias = Callable[..., list[Node | None]]
Pushforward: TypeAlias = Callable[..., list[Any]]

_CHEAP = MOVES | {
    "abs", "add", "astype", "bitwise_and", "bitwise_or", "bitwise_xor", "conj", "copysign", "divide", "equal",
    "greater", "greater_equal", "imag", "less", "less_equal", "logical_and", "logical_not", "logical_or", "maximum",
    "minimum", "multiply", "negative", "not_equal", "real", "reciprocal", "relu", "sign", "size_value", "sqrt",
    "square", "stop_gradient", "subtract", "where",
}  # fmt: skip
"""What is sooner computed again than read: by name, as the ops are declared above."""


# In reverse


def loop_slopes(node: Node, g: Sequence[Node | None], pullback: Pullback) -> list[Any]:
    """For each input of a loop its cotangent, or 0; ``g`` has one for each floating-point result."""
    attrs = node.attrs
    assert isinstance(attrs, LoopAttrs)
    if attrs.length is None:
        text = (
            "a loop without a bound has no gradient in reverse: give max_steps, or use forward mode (sg.jvp)"
        )
        raise GradientError(text)
    if attrs.segment is not None and attrs.segment != 1:
        pairs = [(x, part) for x, part in zip(in_segments(node), g, strict=True) if part is not None]
        wanted = [x for x in dict.fromkeys(node.inputs) if x.row.is_inexact]
        found = pullback([x for x, _ in pairs], [part for _, part in pairs], wanted, opaque=True)
        slopes = dict(
            zip(wanted, found, strict=True)
        )  # an input used twice gets the whole at its first place
        return [0 if (slope := slopes.pop(x, None)) is None else slope for x in node.inputs]
    return _Backwards(node, attrs, g, pullback).slopes()


@dataclass(slots=True, eq=False)
class _Kept:
    """What a turn backwards reads of the turn forwards."""

    values: list[Node]
    """What is stacked."""
    after: dict[Node, int]
    """What becomes of the carries with these numbers, which is what the turn before backwards has begun with."""
    needed: set[Node]
    """Inputs of the body."""


class _Backwards:
    """The loop backwards."""

    def __init__(self, node: Node, attrs: LoopAttrs, g: Sequence[Node | None], pullback: Pullback) -> None:
        self._node, self._attrs, self._body = node, attrs, attrs.body
        inputs, end = attrs.body.inputs, 1 + attrs.carries + attrs.rows
        self._number, self._carries = inputs[0], inputs[1 : 1 + attrs.carries]
        self._rows, self._outer = inputs[1 + attrs.carries : end], inputs[end:]
        self._given = dict(zip(inputs[1:], node.inputs, strict=True))
        self._names = Names(inputs)
        self._g = [None if part is None or is_zero(part) else part for part in g]
        self._moving = [n for n, x in enumerate(self._carries) if x.row.is_inexact]
        stacked = [n for n in range(attrs.carries, len(self._body.outputs)) if self._g[n] is not None]
        self._arriving = {
            n: self._names.stand("g", self._body.outputs[n].tensor) for n in (*self._moving, *stacked)
        }
        wanted = [x for x in inputs[1:] if x.row.is_inexact]
        outs = [self._body.outputs[n] for n in self._arriving]
        found = pullback(outs, list(self._arriving.values()), wanted, opaque=True)
        self._slope = {x: slope for x, slope in zip(wanted, found, strict=True) if slope is not None}

    def slopes(self) -> list[Any]:
        """For each input of the loop."""
        moving = [self._carries[n] for n in self._moving]
        outer = [x for x in self._outer if x in self._slope]
        through = [x for x in self._rows if x in self._slope]
        sums = [self._names.stand("sum", x.tensor) for x in outer]
        roots = [self._slope[x] if x in self._slope else zeros_like(x) for x in moving]
        roots += [add(total, self._slope[x]) for x, total in zip(outer, sums, strict=True)]
        roots += [self._slope[x] for x in through]
        inputs = self._node.inputs
        begin = [zeros_like(inputs[n]) if (g := self._g[n]) is None else g for n in self._moving]
        begin += [zeros_like(self._given[x]) for x in outer]
        stands = [*(self._arriving[n] for n in self._moving), *sums]
        made = self._run(stands, begin, roots)
        found = dict(zip([*moving, *outer, *through], made, strict=True))
        return [found.get(x, 0) for x in self._body.inputs[1:]]

    def _run(self, stands: Sequence[Node], begin: Sequence[Node], roots: Sequence[Node]) -> list[Node]:
        """What becomes of the carries that ``stands`` stand for, and the rows of the other roots."""
        attrs = self._attrs
        kept = self._kept(roots, {*stands, *self._arriving.values()})
        carries = [x for x in self._carries if x in kept.needed]
        forwards, stacks = self._forwards([*carries, *kept.values])
        keeping = {x: self._names.stand("kept", x.tensor) for x in kept.values}
        following = {x: self._names.stand("next", x.tensor) for x in kept.after}
        arriving = {n: stand for n, stand in self._arriving.items() if n >= attrs.carries}
        rows = {x: stacks[x] for x in carries}
        rows |= {stand: stacks[x] for x, stand in keeping.items()}
        rows |= {x: self._given[x] for x in self._rows if x in kept.needed}
        rows |= {stand: self._g[n] for n, stand in arriving.items()}  # type: ignore[misc]
        outer = [x for x in self._outer if x in kept.needed]
        count = len(stands)
        after = substitute(roots, {**keeping, **following})
        after = [*after[:count], *(self._carries[n] for n in kept.after.values()), *after[count:]]
        held = [*stands, *following.values()]
        start = [*begin, *(item(forwards, n) for n in kept.after.values())]
        found = self._loop(forwards, held, start, rows, outer, after)
        return [*found[:count], *found[len(held) :]]

    def _loop(
        self,
        forwards: Node,
        held: Sequence[Node],
        start: Sequence[Node],
        rows: dict[Node, Node],
        outer: Sequence[Node],
        after: Sequence[Node],
    ) -> tuple[Node, ...]:
        attrs, given = self._attrs, [self._given[x] for x in outer]
        if attrs.condition is None:
            body = graph([self._number, *held, *rows, *outer], after, name="back", inner=True)
            turned = replace(attrs, body=body, carries=len(held), rows=len(rows), reverse=not attrs.reverse)
            return items(make(LOOP, (*start, *rows.values(), *given), turned))
        # Nobody knows before where the loop ended, so that it counts turns and looks its rows up.
        turn, turns = (self._names.stand(kind, TensorType(INT64, ())) for kind in ("turn", "turns"))
        whole = {x: self._names.stand("whole", stack.tensor) for x, stack in rows.items()}
        at = turns - 1 - turn
        after = substitute(after, {self._number: at, **{x: stack[at] for x, stack in whole.items()}})
        inputs = [turn, *held, *whole.values(), turns, *outer]
        condition = graph(inputs, [turn < turns], name="condition", inner=True)
        body = graph(inputs, after, name="back", inner=True)
        ended = item(forwards, len(forwards.type.items) - 1)  # type: ignore[union-attr]
        turned = replace(attrs, body=body, condition=condition, carries=len(held), rows=0, reverse=False)
        return items(make(LOOP, (*start, *rows.values(), ended, *given), turned))[:-1]

    def _kept(self, roots: Sequence[Node], arriving: set[Node]) -> _Kept:
        """What the roots ask for of the turn forwards; ``arriving`` comes from turns backwards."""
        attrs, order = self._attrs, toposort(roots)
        late, constant = set(arriving), set(self._outer)
        for x in order:
            if any(dep in late for dep in x.inputs):
                late.add(x)
            elif x.inputs and all(dep in constant or dep.op is CONSTANT for dep in x.inputs):
                constant.add(x)
        asked = [x for y in order if y in late for x in y.inputs if x not in late]
        asked += [x for x in roots if x not in late]
        if attrs.segment is not None:
            return _Kept([], {}, _leaves(asked, ()))
        becomes = {x: n for n, x in enumerate(self._body.outputs[: attrs.carries]) if x.inputs}
        values: dict[Node, None] = {}
        after: dict[Node, int] = {}
        seen: set[Node] = set()
        waiting = asked.copy()
        while waiting:
            x = waiting.pop()
            if x in seen or not x.inputs or x in constant:
                continue
            seen.add(x)
            if x in becomes:
                after[x] = becomes[x]
            elif x.op.name in _CHEAP:
                waiting += x.inputs
            else:
                values[x] = None
        needed = _leaves(asked, {*values, *after})
        # Where a turn does not ask for the carry that it began with, the one that it made is as well stacked.
        values |= dict.fromkeys(x for x, n in after.items() if self._carries[n] not in needed)
        after = {x: n for x, n in after.items() if x not in values}
        return _Kept(list(values), after, needed)

    def _forwards(self, values: Sequence[Node]) -> tuple[Node, dict[Node, Node]]:
        """The loop, which stacks these values of each turn, too; and the stacks."""
        attrs = self._attrs
        outputs = [*self._body.outputs]
        place = {x: n for n, x in enumerate(outputs) if n >= attrs.carries}
        for x in values:
            if x not in place:
                place[x] = len(outputs)
                outputs.append(x)
        body = graph(self._body.inputs, outputs, name=self._body.name, inner=True)
        node = make(LOOP, self._node.inputs, replace(attrs, body=body))
        return node, {x: item(node, place[x]) for x in values}


def _leaves(roots: Iterable[Node], stop: Iterable[Node]) -> set[Node]:
    return {x for x in toposort(roots, stop=set(stop)) if not x.inputs and x.op is not CONSTANT}


# Forward mode


def loop_tangents(node: Node, tangents: Sequence[Any], pushforward: Pushforward) -> tuple[Any, ...]:
    """For each result of a loop its tangent or None: the loop again, which carries tangents beside the values."""
    attrs = node.attrs
    assert isinstance(attrs, LoopAttrs)
    body = attrs.body
    names = Names(body.inputs)
    stands: dict[int, Node] = {}
    """What stands for the tangent of an input, by its number."""
    moves = [n for n, t in enumerate(tangents) if t is not None]
    while moves:  # until all carries are known that move
        stands |= {n: names.stand("t", body.inputs[1 + n].tensor) for n in moves}
        known = [body.inputs[1 + n] for n in stands]
        found = pushforward(body.outputs, known, list(stands.values()), given=body.inputs)
        moves = [n for n in range(attrs.carries) if found[n] is not None and n not in stands]
    begin = {n: zeros_like(node.inputs[n]) if tangents[n] is None else tangents[n] for n in stands}
    held, through, outer = _spans(attrs, len(node.inputs))

    def wide(values: Sequence[Node], more: Mapping[int, Node]) -> list[Node]:
        """Carries, rows and what is read from outside, each with tangents behind them."""
        spans = (held, through, outer)
        return [
            x for span in spans for x in (*(values[n] for n in span), *(more[n] for n in span if n in more))
        ]

    after = [zeros_like(body.outputs[n]) if found[n] is None else found[n] for n in held if n in stands]
    rows = [n for n in range(attrs.carries, len(body.outputs)) if found[n] is not None]
    outputs = [
        *body.outputs[: attrs.carries],
        *after,
        *body.outputs[attrs.carries :],
        *(found[n] for n in rows),
    ]
    condition = attrs.condition
    if condition is not None:  # it takes no rows, and loops with a condition have none
        inputs = [condition.inputs[0], *wide(condition.inputs[1:], stands)]
        condition = graph(inputs, condition.outputs, name=condition.name, inner=True)
    moved = replace(
        attrs,
        body=graph([body.inputs[0], *wide(body.inputs[1:], stands)], outputs, name=body.name, inner=True),
        condition=condition,
        carries=attrs.carries + len(after),
        rows=attrs.rows + sum(n in stands for n in through),
    )
    made = items(make(LOOP, tuple(wide(node.inputs, begin)), moved))
    results: list[Any] = [None] * (len(body.outputs) + (condition is not None))
    for place, n in enumerate([n for n in held if n in stands], attrs.carries):
        results[n] = made[place]
    for place, n in enumerate(rows, len(body.outputs) + len(after)):
        results[n] = made[place]
    return tuple(results)


def _spans(attrs: LoopAttrs, count: int) -> tuple[range, range, range]:
    """The numbers of the inputs that are carried, gone through and read."""
    end = attrs.carries + attrs.rows
    return range(attrs.carries), range(attrs.carries, end), range(end, count)
