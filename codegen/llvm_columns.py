"""A sweep as LLVM IR: what the loops over columns do between two turns of the first of them, and what they reduce."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symgraph.codegen.complex_ops import Element
from symgraph.codegen.llvm_memory import Lanes, replaced
from symgraph.codegen.llvm_reductions import TURNS, Reduction, State, reduction, registers
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.llvm_turns import Turns
from symgraph.codegen.loops import Reduce, Statement
from symgraph.codegen.vectorized import name_of
from symgraph.codegen.vectors import Complex, Register

Section = tuple[Statement, ...]
"""The statements of a sweep."""


class Columns(Turns):
    """The loops over columns."""

    @property
    def _across(self) -> bool:
        """Whether the last of them is worked on in vectors, of which each reduces to one number in the end."""
        return self._layout.vector == self._layout.rows + self._layout.columns - 1

    def _reductions(self, section: Section) -> list[Reduction]:
        return [
            reduction(x, self._lanes if self._across or name_of(x.arg) in self._vectors else 0)
            for x in section
            if isinstance(x, Reduce)
        ]

    def _reduced(
        self, section: Section, reductions: Sequence[Reduction], begin: Register, end: Register
    ) -> list[State]:
        """What a sweep does in a range of turns of its first loop, and what it reduces there."""
        body, last = self._body, self._layout.rows + self._layout.columns - 1
        self._section = section
        starts = [each.start(body) for each in reductions]
        has_total = any(each.has_total for each in reductions)

        def turns(begin: Register, end: Register, carried: list[Register]) -> list[Register]:
            return self._turns(
                last, begin, end, carried, lambda given: self._do(section, reductions, parted(given, starts))
            )

        def some_turns(begin: Register, end: Register, totals: list[Register]) -> list[Register]:
            found = parted(turns(begin, end, joined(starts)), starts)
            parts = zip(reductions, parted(totals, all_totals), found, strict=True)
            return joined([each.gather(body, total, state) for each, total, state in parts])

        def nest(level: int, begin: Register, end: Register, carried: list[Register]) -> list[Register]:
            self._hoist(section, level)
            if level < last:

                def inside(given: list[Register]) -> list[Register]:
                    return nest(level + 1, ZERO, self._sizes[level + 1], given)

                return self._turns(level, begin, end, carried, inside)
            if not has_total:
                return turns(begin, end, carried)

            def block(n: Register, given: list[Register]) -> list[Register]:
                return some_turns(n, body.intrinsic("smin", body.add(n, step), end), given)

            return body.loop(begin, end, step, carried, block)

        step = TURNS * (self._lanes if self._across else 1)
        all_totals = [each.total(body) if has_total else each.start(body) for each in reductions]
        with self._scoped() as scope:
            scope.turn = ZERO if any(each.wants_place for each in reductions) else None
            found = parted(nest(self._layout.rows, begin, end, joined(all_totals)), all_totals)
        return [
            each.result(body, total) if has_total else total
            for each, total in zip(reductions, found, strict=True)
        ]

    def _do(
        self, section: Section, reductions: Sequence[Reduction], carried: Sequence[State]
    ) -> list[Register]:
        """What one turn of a sweep does, and what is carried to the next."""
        body, across = self._body, self._layout.vector >= self._layout.rows
        self._fetch_next_row(section)
        for each in section:
            if not isinstance(each, Reduce):
                self._statement(each)
        given = [self._operand(how.each.arg, how.lanes) for how in reductions]
        mask = self._scope.mask if across and reductions else None
        if mask is not None:
            # Of two equal places the first counts, and those of the lanes left out come last.
            given = self._masked(reductions, given, mask)
        return joined(
            how.take(body, state, x, self._number(how.lanes) if how.wants_place else None)
            for how, state, x in zip(reductions, carried, given, strict=True)
        )

    def _masked(
        self, reductions: Sequence[Reduction], given: Sequence[Element], mask: Lanes
    ) -> list[Element]:
        """Numbers, with those that change nothing in the lanes that a mask leaves out."""
        parts = [registers(x) for x in given]
        neutral = [how.start(self._body)[-len(own) :] for how, own in zip(reductions, parts, strict=True)]
        left = iter(replaced(self._body, joined(parts), joined(neutral), mask))
        return [next(left) if isinstance(x, Register) else Complex(next(left), next(left)) for x in given]


def joined(states: Iterable[State]) -> list[Register]:
    return [x for state in states for x in state]


def parted(registers: Sequence[Register], like: Sequence[State]) -> list[State]:
    """Registers as states again."""
    left = iter(registers)
    return [[next(left) for _ in state] for state in like]
