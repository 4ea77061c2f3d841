"""The loops of a kernel over columns as LLVM IR: what they reduce and what they carry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from symgraph.codegen.complex_ops import Element
from symgraph.codegen.llvm_memory import Lanes, replaced
from symgraph.codegen.llvm_reductions import TURNS, Reduction, State, reduction, registers
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.llvm_turns import Turns
from symgraph.codegen.loops import Carry, Operand, Reduce, Statement, carries
from symgraph.codegen.vectorized import name_of
from symgraph.codegen.vectors import Complex, Register


class Sweeps(Turns):
    """What the loops over columns do, and what is known after them."""

    def _sweep(self, section: tuple[Statement, ...]) -> None:
        """The loops over columns; what they reduce or carry is known after them."""
        if carries(self._kernel):
            self._carrying(section)
            return
        body, last = self._body, self._layout.rows + self._layout.columns - 1
        across = self._layout.vector == last
        reduced = [
            reduction(x, self._lanes if across or name_of(x.arg) in self._vectors else 0)
            for x in section
            if isinstance(x, Reduce)
        ]
        starts = [each.start(body) for each in reduced]
        has_total = any(each.has_total for each in reduced)

        def turns(begin: Register, end: Register, carried: list[Register]) -> list[Register]:
            return self._turns(
                last, begin, end, carried, lambda given: self._do(section, reduced, _parted(given, starts))
            )

        def some_turns(begin: Register, totals: list[Register]) -> list[Register]:
            end = body.intrinsic("smin", body.add(begin, step), self._sizes[last])
            found = _parted(turns(begin, end, _joined(starts)), starts)
            parts = zip(reduced, _parted(totals, all_totals), found, strict=True)
            return _joined([each.gather(body, total, state) for each, total, state in parts])

        def nest(level: int, carried: list[Register]) -> list[Register]:
            self._hoist(section, level)
            if level < last:
                return self._turns(
                    level, ZERO, self._sizes[level], carried, lambda given: nest(level + 1, given)
                )
            if has_total:
                return body.loop(ZERO, self._sizes[last], step, carried, some_turns)
            return turns(ZERO, self._sizes[last], carried)

        step = TURNS * (self._lanes if across else 1)
        all_totals = [each.total(body) if has_total else each.start(body) for each in reduced]
        with self._scoped() as scope:
            scope.turn = ZERO if any(each.wants_place for each in reduced) else None
            found = _parted(nest(self._layout.rows, _joined(all_totals)), all_totals)
        for each, total in zip(reduced, found, strict=True):
            state = each.result(body, total) if has_total else total
            value = each.across(body, state) if across else each.value(state)
            self._scope.values[each.each.target.name] = value

    def _carrying(self, section: Sequence[Statement]) -> None:
        """The same, of turns that follow each other."""
        first, last = self._layout.rows, self._layout.rows + self._layout.columns - 1
        heads = [x for x in section if isinstance(x, Carry)]
        rest = [x for x in section if not isinstance(x, Carry)]

        def states(given: Iterable[tuple[Carry, Operand]]) -> list[Register]:
            return _joined(registers(self._operand(x, self._lanes_of(head.target))) for head, x in given)

        def meet(carried: Iterable[Register]) -> None:
            left = iter(carried)
            for x in heads:
                self._scope.values[x.target.name] = (
                    Complex(next(left), next(left)) if x.target.row.is_complex else next(left)
                )

        def turn(carried: list[Register]) -> list[Register]:
            meet(carried)
            for each in rest:
                self._statement(each)
            return states((x, x.after) for x in heads)

        def nest(level: int, carried: list[Register]) -> list[Register]:
            self._hoist(rest, level)
            if level == first:
                self._spread(rest)
            inside = turn if level == last else partial(nest, level + 1)
            return self._turns(level, ZERO, self._sizes[level], carried, inside)

        with self._scoped():
            found = nest(first, states((x, x.first) for x in heads))
        meet(found)

    def _do(
        self, section: Sequence[Statement], reduced: Sequence[Reduction], carried: Sequence[State]
    ) -> list[Register]:
        """What one turn of a sweep does, and what is carried to the next."""
        body, across = self._body, self._layout.vector >= self._layout.rows
        self._fetch_next_row(section)
        for each in section:
            if not isinstance(each, Reduce):
                self._statement(each)
        given = [self._operand(how.each.arg, how.lanes) for how in reduced]
        mask = self._scope.mask if across and reduced else None
        if mask is not None:
            # Of two equal places the first counts, and those of the lanes left out come last.
            given = self._masked(reduced, given, mask)
        return _joined(
            how.take(body, state, x, self._number(how.lanes) if how.wants_place else None)
            for how, state, x in zip(reduced, carried, given, strict=True)
        )

    def _masked(self, reduced: Sequence[Reduction], given: Sequence[Element], mask: Lanes) -> list[Element]:
        """Numbers, with those that change nothing in the lanes that a mask leaves out."""
        parts = [registers(x) for x in given]
        neutral = [how.start(self._body)[-len(own) :] for how, own in zip(reduced, parts, strict=True)]
        left = iter(replaced(self._body, _joined(parts), _joined(neutral), mask))
        return [next(left) if isinstance(x, Register) else Complex(next(left), next(left)) for x in given]


def _joined(states: Iterable[State]) -> list[Register]:
    return [x for state in states for x in state]


def _parted(registers: Sequence[Register], like: Sequence[State]) -> list[State]:
    """Registers as states again."""
    left = iter(registers)
    return [[next(left) for _ in state] for state in like]
