"""Rows whose first sweep is done a turn before the others, as LLVM IR.

To put together the lanes of a reduction, and to find out what the next sweep is to do with the result, takes a
processor as long as a sweep along some hundred numbers: each operation waits for the one before. What it could do
meanwhile has to stand near by. So the first sweep of the next row stands where a row has done the last of its
reductions, right before the lanes of that are put together::

    the largest of row 0
    for each row:
        exp(x - largest), and their sums in lanes
        the largest of the next row
        1 / sum, and its product with each

Each row has the bits that it has anyway.
"""

from __future__ import annotations

from symgraph.codegen.complex_ops import Element
from symgraph.codegen.llvm_columns import joined, parted
from symgraph.codegen.llvm_reductions import registers
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.llvm_sweeps import Sweeps
from symgraph.codegen.long_rows import DEAR
from symgraph.codegen.loops import Compute, Load, Reduce, Statement, carries
from symgraph.codegen.row_blocks import sweeps
from symgraph.codegen.vectors import Register
from symgraph.optimizations.cost import weight


class Ahead(Sweeps):
    """The innermost loop over rows where their first sweep goes ahead."""

    @property
    def _goes_ahead(self) -> bool:
        """Whether it does: it is the first thing of a row, leaves nothing but what it reduces to, and is short enough
        to be written twice."""
        layout, sections = self._layout, self._sections
        if self._is_soon or layout.is_shared or self._long or carries(self._kernel):
            return False
        if not layout.rows or not self._across or len(sweeps(self._kernel)) < 2:
            return False
        return isinstance(sections[0], tuple) and all(map(self._may_go_ahead, sections[0]))

    def _may_go_ahead(self, each: Statement) -> bool:
        if isinstance(each, Load):  # what depends on the row alone would be read past the last
            is_elsewhere = self._depths[each.target.name] == self._layout.rows - 1
            return not is_elsewhere and each.target.name not in self._homes
        if isinstance(each, Compute):
            return weight(each.op, len(each.args)) < DEAR and each.target.name not in self._homes
        return isinstance(each, Reduce)

    def _rows_ahead(self, begin: Register, end: Register) -> None:
        """The loop, each turn of which is given what the first sweep has reduced its row to."""
        body, level, outside = self._body, self._layout.rows - 1, self._scope
        size = self._sizes[level + 1]
        first = self._sections[0]
        assert isinstance(first, tuple)
        last = next(x for x in reversed(sweeps(self._kernel)) if any(isinstance(each, Reduce) for each in x))
        reductions = self._reductions(first)
        like: list[Element] = []

        def ahead(n: Register) -> list[Register]:
            """What the first sweep reduces a row to; past the last there is nothing to sweep."""
            stop = body.select(body.compare("lt", n, end), size, 0)

            def inside(_: list[Register]) -> list[Register]:
                states = self._reduced(first, reductions, ZERO, stop)
                like[:] = [self._value(*pair) for pair in zip(reductions, states, strict=True)]
                return joined(map(registers, like))

            here, self._scope = self._scope, outside
            found = self._turn(level, n, None, [], inside)
            self._scope = here
            return found

        def row(n: Register, given: list[Register]) -> list[Register]:
            following: list[Register] = []

            def inside(given: list[Register]) -> list[Register]:
                for each, x in zip(reductions, parted(given, list(map(registers, like))), strict=True):
                    self._scope.values[each.each.target.name] = each.value(x)
                for section in self._sections:
                    if not isinstance(section, tuple):
                        self._statement(section)
                    elif section is last:
                        own = [] if section is first else self._reductions(section)
                        states = self._reduced(section, own, ZERO, size) if own else []
                        following[:] = ahead(body.add(n, 1))
                        self._put_together(own, states)
                    elif section is not first:
                        self._sweep(section)
                return following

            return self._turn(level, n, None, given, inside)

        body.loop(begin, end, 1, ahead(begin), row)
