"""Reductions in registers: how an accumulator begins, takes a vector in, and becomes one number.

The order of all operations is fixed by the number of lanes alone. Sums of floats have two levels: what few turns add up
goes into a total that knows what rounding has taken from it (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
Summation endlicher Summen", ZAMM 54 (1974) 39), so that long rows lose no more than short ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.llvm_ops import maximum, minimum
from symgraph.codegen.loops import Reduce
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import BOOL
from symgraph.ops.reduce import all, any, max, min, prod, sum

TURNS = 16
"""After so many turns a sum of floats goes into its total."""

_KNOWN = frozenset({sum.op, prod.op, max.op, min.op, any.op, all.op})


@dataclass(frozen=True, slots=True)
class Reduction:
    """One reduction of a sweep."""

    each: Reduce
    lanes: int
    """Of its accumulators."""

    @staticmethod
    def is_spoken(each: Reduce) -> bool:
        row = each.arg.row
        if row.is_complex or each.op not in _KNOWN or each.target.row is not row:
            return False
        if each.op in (sum.op, prod.op):
            return row is not BOOL and not (row.is_float and row.bits == 16)
        return each.op in (max.op, min.op) or row is BOOL

    @property
    def has_total(self) -> bool:
        """Whether it is a sum of two levels."""
        return self.each.op is sum.op and self.each.arg.row.is_float

    def start(self, body: Body) -> Register:
        """What changes nothing."""
        row = computed_in(self.each.arg.row)
        if row is BOOL:
            return body.constant(row, self.each.op in (all.op, min.op), self.lanes)
        if self.each.op in (max.op, min.op):
            sign = -1 if self.each.op is max.op else 1
            if row.is_float:
                return body.constant(row, sign * float("inf"), self.lanes)
            limits = np.iinfo(row.numpy)
            return body.constant(row, limits.min if sign < 0 else limits.max, self.lanes)
        return body.constant(row, int(self.each.op is prod.op), self.lanes)

    def merge(self, body: Body, a: Register, b: Register) -> Register:
        """Two numbers as one, lane by lane."""
        op = self.each.op
        if a.row is BOOL:
            return body.or_(a, b) if op in (any.op, max.op) else body.and_(a, b)
        if op is sum.op:
            return body.add(a, b)
        if op is prod.op:
            return body.mul(a, b)
        return maximum(body, a, b) if op is max.op else minimum(body, a, b)

    def take(self, body: Body, into: Register, x: Register, mask: Register | None) -> Register:
        """The accumulator with a vector in it, in the lanes of the mask."""
        x = body.spread(x, self.lanes)
        found = self.merge(body, into, x)
        return found if mask is None else body.select(mask, found, into)

    def across(self, body: Body, x: Register) -> Register:
        """All lanes as one number: halves merged again and again."""
        while x.lanes > 1:
            x = self.merge(body, _half(body, x, 0), _half(body, x, x.lanes // 2))
        if not x.lanes:
            return x
        return Register(body.named(f"extractelement {x.type} {x.text}, i64 0"), x.row, 0)


def add_to_total(body: Body, total: Register, lost: Register, x: Register) -> tuple[Register, Register]:
    """A sum with a number more, and what rounding has taken from it until now."""
    found = body.add(total, x)
    part = body.sub(found, total)
    error = body.add(body.sub(total, body.sub(found, part)), body.sub(x, part))
    known = body.compare("eq", error, error)  # infinity loses nothing
    return found, body.add(lost, body.select(known, error, 0))


def _half(body: Body, x: Register, first: int) -> Register:
    lanes = x.lanes // 2
    places = ", ".join(f"i32 {first + n}" for n in range(lanes))
    text = f"shufflevector {x.type} {x.text}, {x.type} poison, <{lanes} x i32> <{places}>"
    return Register(body.named(text), x.row, lanes)
