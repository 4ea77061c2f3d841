"""Reductions in registers: how an accumulator begins, takes a vector in, and becomes one number.

The order of all operations is fixed by the number of lanes alone. Sums of floats have two levels: what few turns add up
goes into a total that knows what rounding has taken from it (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
Summation endlicher Summen", ZAMM 54 (1974) 39), so that long rows lose no more than short ones.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from symgraph.codegen.complex_numbers import add, multiply
from symgraph.codegen.complex_ops import Element, part_of
from symgraph.codegen.llvm_memory import INT64, computed_in
from symgraph.codegen.llvm_ops import maximum, minimum
from symgraph.codegen.llvm_shuffles import shuffled
from symgraph.codegen.loops import Reduce
from symgraph.codegen.vectors import Body, Complex, Register
from symgraph.graph.op import Op
from symgraph.graph.types import BOOL, DType
from symgraph.ops.reduce import all, any, argmax, argmin, max, min, prod, sum, supremum

TURNS = 16
"""After so many turns a sum of floats goes into its total."""

_EXTREMA = frozenset({max.op, supremum.op, min.op})
_PLACES = frozenset({argmax.op, argmin.op})

State: TypeAlias = list[Register]
"""What a reduction carries from turn to turn."""


def registers(x: Element) -> State:
    """Those of a number."""
    return [x] if isinstance(x, Register) else [x.re, x.im]


def reduces(each: Reduce) -> bool:
    """Whether `reduction` knows it."""
    row, op = each.arg.row, each.op
    if op in (sum.op, prod.op):
        return row is not BOOL and not (row.is_float and row.bits == 16) and each.target.row is row
    if row.is_complex:
        return False
    return op in _EXTREMA or op in _PLACES or (op in (any.op, all.op) and row is BOOL)


def reduction(each: Reduce, lanes: int) -> Reduction:
    """One reduction of a sweep, with accumulators of so many lanes."""
    if each.op in _PLACES:
        return _Place(each, lanes)
    is_total = each.op is sum.op and each.arg.row.is_inexact
    return (_Total if is_total else Reduction)(each, lanes)


class Reduction(NamedTuple):
    """One accumulator, into which everything goes."""

    each: Reduce
    lanes: int

    @property
    def has_total(self) -> bool:
        """Whether what some turns give goes into something else."""
        return False

    @property
    def rounds(self) -> bool:
        """Whether it matters to the last bits which numbers are put together first."""
        return self.each.op in (sum.op, prod.op) and self.each.arg.row.is_inexact

    @property
    def wants_place(self) -> bool:
        """Whether `take` asks for the number of the turn."""
        return False

    def start(self, body: Body) -> State:
        """What changes nothing."""
        row = computed_in(self.each.arg.row)
        if not row.is_complex:
            return [_neutral(body, self.each.op, row, self.lanes)]
        part = part_of(row)
        return [_neutral(body, self.each.op, part, self.lanes), body.constant(part, 0, self.lanes)]

    def take(self, body: Body, state: State, x: Element, place: Register | None) -> State:
        """The state with a number more in each lane."""
        return self.merge(body, state, registers(x))

    def merge(self, body: Body, a: State, b: State) -> State:
        """Two states as one, lane by lane; what ``a`` has taken came first."""
        op = self.each.op
        if self.each.arg.row.is_complex:
            both = (add if op is sum.op else multiply)(body, Complex(*a), Complex(*b))
            return [both.re, both.im]
        (x,), (y,) = a, b
        if x.row is BOOL:
            return [body.or_(x, y) if op in (any.op, max.op) else body.and_(x, y)]
        if op is sum.op:
            return [body.add(x, y)]
        if op is prod.op:
            return [body.mul(x, y)]
        if op is supremum.op:
            return [body.select(body.compare("gt", y, x), y, x)]  # one instruction: a NaN is no larger
        return [minimum(body, x, y) if op is min.op else maximum(body, x, y)]

    def total(self, body: Body) -> State:
        """Where the states of some turns go, before the first."""
        return self.start(body)

    def gather(self, body: Body, total: State, state: State) -> State:
        """The total with the state of some turns more."""
        return self.merge(body, total, state)

    def result(self, body: Body, total: State) -> State:
        """The number in each lane; the first of the registers."""
        return total

    def across(self, body: Body, state: State) -> Element:
        """All lanes as one number: halves merged again and again."""
        while state[0].lanes > 1:
            lower = [_half(body, x, 0) for x in state]
            state = self.merge(body, lower, [_half(body, x, x.lanes // 2) for x in state])
        if state[0].lanes:
            state = [
                Register(body.named(f"extractelement {x.type} {x.text}, i64 0"), x.row, 0) for x in state
            ]
        return self.value(state)

    def value(self, state: State) -> Element:
        """What was found, of its registers."""
        return Complex(*state) if self.each.arg.row.is_complex else state[0]


class _Total(Reduction):
    """A sum of floats, or of the parts of complex numbers, in two levels."""

    __slots__ = ()

    @property
    def has_total(self) -> bool:
        return True

    def total(self, body: Body) -> State:
        return [*self.start(body), *self.start(body)]

    def gather(self, body: Body, total: State, state: State) -> State:
        """The sums, and what rounding has taken from them until now."""
        pairs = [
            _kept(body, before, lost, x)
            for before, lost, x in zip(total[: len(state)], total[len(state) :], state, strict=True)
        ]
        return [*(found for found, _ in pairs), *(lost for _, lost in pairs)]

    def result(self, body: Body, total: State) -> State:
        half = len(total) // 2
        return [body.add(x, lost) for x, lost in zip(total[:half], total[half:], strict=True)]


def _kept(body: Body, before: Register, lost: Register, x: Register) -> tuple[Register, Register]:
    """A sum with a number more, and what was lost of it."""
    found = body.add(before, x)
    part = body.sub(found, before)
    error = body.add(body.sub(before, body.sub(found, part)), body.sub(x, part))
    known = body.compare("eq", error, error)  # infinity loses nothing
    return found, body.add(lost, body.select(known, error, 0))


class _Place(Reduction):
    """The number of the turn with the extremum, and the extremum: the first of several, and NaN before all."""

    __slots__ = ()

    @property
    def wants_place(self) -> bool:
        return True

    def start(self, body: Body) -> State:
        row = computed_in(self.each.arg.row)
        op = max.op if self.each.op is argmax.op else min.op
        return [body.constant(INT64, _LAST, self.lanes), _neutral(body, op, row, self.lanes)]

    def take(self, body: Body, state: State, x: Element, place: Register | None) -> State:
        assert place is not None and isinstance(x, Register)
        return self.merge(body, state, [place, x])

    def merge(self, body: Body, a: State, b: State) -> State:
        (i, x), (j, y) = a, b
        better = body.compare("gt" if self.each.op is argmax.op else "lt", y, x)
        same = body.compare("eq", x, y)
        if x.row.is_float:
            hidden = body.is_nan(x)
            better = body.and_(body.or_(better, body.is_nan(y)), body.not_(hidden))
            same = body.or_(same, body.and_(hidden, body.is_nan(y)))
        better = body.or_(better, body.and_(same, body.compare("lt", j, i)))
        return [body.select(better, j, i), body.select(better, y, x)]


_LAST = (1 << 63) - 1
"""The place of what was not there."""


def _neutral(body: Body, op: Op, row: DType, lanes: int) -> Register:
    if row is BOOL:
        return body.constant(row, op in (all.op, min.op), lanes)
    if op in _EXTREMA:
        if row.is_float:
            return body.constant(row, float("inf") if op is min.op else -float("inf"), lanes)
        limits = np.iinfo(row.numpy)
        return body.constant(row, int(limits.max if op is min.op else limits.min), lanes)
    return body.constant(row, int(op is prod.op), lanes)


def _half(body: Body, x: Register, first: int) -> Register:
    return shuffled(body, x, x, range(first, first + x.lanes // 2))
