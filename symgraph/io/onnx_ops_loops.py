"""ONNX's control flow: If, Loop, Scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.errors import SymgraphError
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.op import constant, size_value
from symgraph.graph.types import INT64
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_table import Refused, Stopped, Unknown, operator
from symgraph.ops import join, shape
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.branches import cond
from symgraph.ops.create import iota
from symgraph.ops.index import index
from symgraph.ops.loops import map as map_rows
from symgraph.ops.loops import scan, while_loop

_MOST_TURNS = 1024
"""Of a loop that is written out turn by turn."""


@operator("If")
def if_(at: Call, condition: Node, *, then_branch: Any, else_branch: Any) -> list[Node]:
    """The branch whose condition is known; else both, of which one is computed at the call."""
    ways = {True: then_branch, False: else_branch}
    scalar = shape.reshape(condition, ())
    try:
        return at.run(ways[bool(at.number(condition))], [])
    except Unknown as unknown:
        try:
            results = cond(
                scalar, lambda: tuple(at.run(then_branch, [])), lambda: tuple(at.run(else_branch, []))
            )
        except SymgraphError as error:  # branches of several shapes: the condition's value would choose
            if unknown.inputs:
                raise unknown from None
            raise Refused(f"branches that do not agree: {error}") from None
        return list(results)


@operator("Loop")
def loop(
    at: Call, most: Node | None = None, condition: Node | None = None, *carries: Node | None, body: Any
) -> list[Node]:
    """As many turns as are known; else until the condition fails.

    Where sizes in the body depend on the turn or change with it, the turns are written out.
    """
    made = _Loop(at, body, _given(carries))
    begins = True if condition is None else _truth(at, condition)
    try:
        turns = _turns(at, most, begins)
        try:
            return made.counted(turns)
        except _Asked:
            return made.until_asked(turns, condition)
        except (SymgraphError, Stopped, Unknown):
            if isinstance(turns, Size) or turns > _MOST_TURNS:
                raise
            return made.written_out(turns)
    except Unknown:
        if made.scans:
            raise
        return made.open_ended(most, condition)


class _Asked(Exception):
    """The condition for another turn depends on data."""


def _given(carries: Sequence[Node | None]) -> list[Node]:
    if any(each is None for each in carries):
        raise Refused("a value that is carried is left out")
    return [each for each in carries if each is not None]


def _turns(at: Call, most: Node | None, begins: bool | None) -> Dim:
    if begins is False:
        return 0
    if most is None:
        raise Unknown("the number of turns is not known")
    return at.dims(most)[0]


def _truth(at: Call, condition: Node) -> bool | None:
    try:
        return bool(at.number(condition))
    except Unknown:
        return None


class _Loop:
    """One Loop: its body called in the ways that a program can be made of it."""

    def __init__(self, at: Call, body: Any, carries: list[Node]) -> None:
        self.at, self.body, self.carries = at, body, carries
        self.scans = len(body.output) - 1 - len(carries)
        if self.scans < 0 or len(body.input) != len(carries) + 2:
            counts = f"{len(body.input)} inputs and {len(body.output)} outputs"
            raise Refused(f"a body of {counts} for {len(carries)} values that are carried")

    def turn(
        self, number: Node, condition: Node, carries: Sequence[Node]
    ) -> tuple[Node, list[Node], list[Node]]:
        """The condition for another turn, the next carries, and the values to stack."""
        first = [_as_declared(number, self.body.input[0]), _as_declared(condition, self.body.input[1])]
        found = self.at.run(self.body, [*first, *carries])
        count = 1 + len(carries)
        return shape.reshape(found[0], ()), found[1:count], found[count:]

    def counted(self, turns: Dim) -> list[Node]:
        """So many turns; raises _Asked where a turn may be the last one."""

        def step(carry: tuple[Node, ...], number: Node) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
            again, after, rows = self.turn(number, constant(True), carry)
            if _truth(self.at, again) is not True:
                raise _Asked
            return tuple(after), tuple(rows)

        last, stacks = scan(step, tuple(self.carries), iota(turns))
        return [*last, *stacks]

    def until_asked(self, turns: Dim, condition: Node | None) -> list[Node]:
        """At most so many turns; where there are values to stack all are made, and what follows the last is cut."""
        begin = constant(True) if condition is None else shape.reshape(condition, ())
        if not self.scans:
            return self.open_ended(size_value(turns), condition)
        if fixed(turns, "the number of turns") > _MOST_TURNS:
            raise Refused(f"values stacked in up to {turns} turns, of which a condition decides")

        def step(carry: Any, number: Node) -> Any:
            runs, count, before = carry
            again, after, rows = self.turn(number, constant(True), before)
            kept = tuple(where(runs, new, old) for new, old in zip(after, before, strict=True))
            return (runs & again, count + astype(runs, INT64), kept), tuple(rows)

        (_, count, last), stacks = scan(step, (begin, constant(0, INT64), tuple(self.carries)), iota(turns))
        made = iota(turns) < count
        return [*last, *(index(rows, made) for rows in stacks)]

    def open_ended(self, most: Node | None, condition: Node | None) -> list[Node]:
        """While the condition holds, up to a number of turns that the call may tell."""
        begin = constant(True) if condition is None else shape.reshape(condition, ())
        limit = None if most is None else shape.reshape(most, ())

        def body(state: Any) -> Any:
            number, again, carry = state
            again, after, _ = self.turn(number, again, carry)
            return number + 1, again, tuple(after)

        start = (constant(0, INT64), begin, tuple(self.carries))
        try:
            _, _, last = while_loop(
                lambda state: state[1] if limit is None else state[1] & (state[0] < limit), body, start
            )
        except SymgraphError as error:
            raise Refused(f"a loop of an open number of turns: {error}") from None
        return list(last)

    def written_out(self, turns: int) -> list[Node]:
        """The turns one after the other, each with its number as a constant."""
        carries, stacks = self.carries, [list[Node]() for _ in range(self.scans)]
        for number in range(turns):
            again, carries, rows = self.turn(constant(number, INT64), constant(True), carries)
            for stack, row in zip(stacks, rows, strict=True):
                stack.append(row)
            more = _truth(self.at, again)
            if more is None:
                raise Refused(
                    "sizes that depend on the turn, in a loop whose number of turns depends on data"
                )
            if not more:
                break
        if not all(stacks):
            raise Refused("no turns, and sizes that depend on the turn")
        return [*carries, *(join.stack(rows, axis=0) for rows in stacks)]


def _as_declared(x: Node, info: Any) -> Node:
    """A scalar as the vector of one element that some bodies take it for."""
    return shape.reshape(x, (1,) * len(info.type.tensor_type.shape.dim))


@operator("Scan", since=9)
def scan_(
    at: Call, *inputs: Node | None, body: Any, num_scan_inputs: int,
    scan_input_axes: Sequence[int] | None = None, scan_input_directions: Sequence[int] | None = None,
    scan_output_axes: Sequence[int] | None = None, scan_output_directions: Sequence[int] | None = None,
) -> list[Node]:  # fmt: skip
    """The body for each row of the scanned inputs, whose axes and directions are their own."""
    given = _given(inputs)
    count = len(given) - num_scan_inputs
    if count < 0 or len(body.output) < count or not num_scan_inputs:
        raise Refused(f"{num_scan_inputs} scanned inputs of {len(given)}")
    scans = len(body.output) - count
    carries = given[:count]
    rows = []
    for place, x in enumerate(given[count:]):
        x = x if scan_input_axes is None else shape.moveaxis(x, scan_input_axes[place], 0)
        rows.append(join.flip(x, 0) if scan_input_directions and scan_input_directions[place] else x)

    def step(carry: Any, row: Any) -> Any:
        found = at.run(body, [*carry, *row])
        return tuple(found[:count]), tuple(found[count:])

    last, stacks = scan(step, tuple(carries), tuple(rows))
    outputs = []
    for place, x in zip(range(scans), stacks, strict=True):
        x = join.flip(x, 0) if scan_output_directions and scan_output_directions[place] else x
        outputs.append(x if scan_output_axes is None else shape.moveaxis(x, 0, scan_output_axes[place]))
    return [*last, *outputs]


@operator("Scan", since=8)
def early_scan(
    at: Call, lens: Node | None = None, *inputs: Node | None, body: Any, num_scan_inputs: int,
    directions: Sequence[int] | None = None,
) -> list[Node]:  # fmt: skip
    """Before opset 9 the first axis of everything is a batch, whose elements are scanned each for itself."""
    if lens is not None:
        raise Refused("sequences of several lengths")
    given = _given(inputs)

    def of_one(each: Any) -> Any:
        return tuple(
            scan_(at, *each, body=body, num_scan_inputs=num_scan_inputs, scan_input_directions=directions)
        )

    return list(map_rows(of_one, tuple(given)))
