"""The sweeps of a row as LLVM IR: in one go, in blocks, by threads that share these, or turn after turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from symgraph.codegen.llvm_columns import Section, joined
from symgraph.codegen.llvm_reductions import Reduction, State, registers
from symgraph.codegen.llvm_shared_rows import SharedRows
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.loops import Carry, Operand, Statement, carries
from symgraph.codegen.vectors import Complex, Register


class Sweeps(SharedRows):
    """What the loops over columns do, and what is known after them."""

    def _sweep(self, section: Section) -> None:
        """The loops over columns; what they reduce or carry is known after them."""
        if carries(self._kernel):
            self._carrying(section)
            return
        reductions = self._reductions(section)
        if self._layout.is_shared:
            self._by_threads(section, reductions)
            return
        if section in self._long:
            states = self._in_blocks(section, reductions)
        else:
            states = self._reduced(section, reductions, ZERO, self._sizes[self._layout.rows])
        self._put_together(reductions, states)

    def _put_together(self, reductions: Sequence[Reduction], states: Sequence[State]) -> None:
        """What a sweep reduced to is known from here on."""
        for each, state in zip(reductions, states, strict=True):
            self._scope.values[each.each.target.name] = self._value(each, state)

    def _carrying(self, section: Sequence[Statement]) -> None:
        """The same, of turns that follow each other."""
        first, last = self._layout.rows, self._layout.rows + self._layout.columns - 1
        heads = [x for x in section if isinstance(x, Carry)]
        rest = [x for x in section if not isinstance(x, Carry)]

        def states(given: Iterable[tuple[Carry, Operand]]) -> list[Register]:
            return joined(registers(self._operand(x, self._lanes_of(head.target))) for head, x in given)

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
