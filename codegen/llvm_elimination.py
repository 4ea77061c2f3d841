"""Elimination with partial pivoting of a matrix in its room, and of what is beside it, as LLVM IR.

Columns are eliminated a vector at a time, as the blocks of G. Golub and C. Van Loan, "Matrix Computations", 4th
edition, sections 3.2 and 3.4: first in that vector of each row, whose lanes become the numbers that rows are multiplied
by; then what is behind it is read and written once for all of them. Every number is changed in the same order as by one
column after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from symgraph.codegen.llvm_memory import address, counting
from symgraph.codegen.llvm_rows import Rows
from symgraph.codegen.llvm_tiles import each, either, integer
from symgraph.codegen.vectors import Register
from symgraph.graph.types import dtype


class OfPivot(Protocol):
    """What is carried on from a pivot."""

    def __call__(
        self, pivot: Register, bits: Register, exchanged: Register, carried: list[Register], /
    ) -> list[Register]:
        """``bits`` are those of its absolute value, 0 or not; and rows were ``exchanged`` for it or not."""


class Elimination:
    """A matrix that becomes upper triangular, its rows less multiples of others; what is behind its columns follows.
    What is left below the diagonal are those multiples."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._body = rows, rows.body
        self._bits = dtype(f"int{rows.row.bits}")

    def run(self, carried: Sequence[Register], of_pivot: OfPivot) -> list[Register]:
        """What is carried on from all pivots."""
        body, rows, n = self._body, self._rows, self._rows.count

        def panel(j: Register, given: list[Register]) -> list[Register]:
            begin, end = rows.column(j), body.intrinsic("smin", body.add(j, rows.lanes), n)
            behind, is_last = body.add(begin, rows.bytes), body.compare("eq", end, n)
            at_once = body.select(is_last, rows.width, behind)

            def one(k: Register, given: list[Register]) -> list[Register]:
                return self._column(begin, at_once, body.sub(k, j), k, given, of_pivot)

            found = body.loop(j, end, 1, [*self._first(j), *given], one)
            either(body, is_last, lambda: None, lambda: self._follow(j, end, begin, behind))
            return found[2:]

        return body.loop(integer(0), n, rows.lanes, carried, panel)

    def _column(
        self,
        begin: Register,
        at_once: Register,
        lane: Register,
        k: Register,
        given: list[Register],
        of_pivot: OfPivot,
    ) -> list[Register]:
        """Column k, a lane of the vectors that begin at a place, and what is behind them up to another; then the
        largest number of the next column is known."""
        body, rows = self._body, self._rows
        bits, place, *others = given
        at, column, following = rows.at(k), rows.column(k), body.add(k, 1)
        exchanged = body.compare("ne", place, k)
        either(body, exchanged, lambda: rows.exchange(at, rows.at(place), begin))
        pivot = rows.number(at, column)
        others = of_pivot(pivot, bits, exchanged, others)
        lanes, own = counting(rows.lanes), body.spread(lane, rows.lanes)
        is_own, is_behind = body.compare("eq", lanes, own), body.compare("gt", lanes, own)
        term = body.neg(body.select(is_behind, rows.vector(address(body, at, begin)), 0))
        next_column = rows.column(following)

        def below(numbers: list[Register], best: list[Register]) -> list[Register]:
            rows_at = [rows.at(i) for i in numbers]
            places = [address(body, x, begin) for x in rows_at]
            factors = [body.div(rows.number(x, column), pivot) for x in rows_at]
            wide = [body.spread(x, rows.lanes) for x in factors]
            old = [rows.vector(x) for x in places]
            for there, x, factor in zip(places, old, wide, strict=True):
                rows.keep(body.select(is_own, factor, body.fma(factor, term, x)), there)
            rows.add(rows_at, [body.neg(x) for x in factors], at, body.add(begin, rows.bytes), at_once)
            return self._largest(numbers, rows_at, next_column, best)

        return [*rows.several(following, rows.count, self._none(following), below), *others]

    def _follow(self, j: Register, end: Register, begin: Register, behind: Register) -> None:
        """What is behind the vector of columns from j to the end, in the rows from j on."""
        body, rows = self._body, self._rows

        def inside(p: Register) -> None:
            at, column = rows.at(p), rows.column(p)

            def below(numbers: list[Register], given: list[Register]) -> list[Register]:
                places = [rows.at(i) for i in numbers]
                rows.add(places, [body.neg(rows.number(x, column)) for x in places], at, behind, rows.width)
                return given

            rows.several(body.add(p, 1), end, [], below)

        each(body, j, end, 1, inside)
        above = [rows.at(body.add(j, p)) for p in range(rows.lanes)]  # where rows follow, there are so many

        def under(numbers: list[Register], given: list[Register]) -> list[Register]:
            places = [rows.at(i) for i in numbers]
            factors = [address(body, x, begin) for x in places]

            def vector(place: Register) -> None:
                to = [address(body, x, place) for x in places]
                sums = [rows.vector(x) for x in to]
                for p, row in enumerate(above):
                    term = body.neg(rows.vector(address(body, row, place)))
                    some = [rows.number(address(body, x, p * rows.size)) for x in factors]
                    sums = [
                        body.fma(body.spread(factor, rows.lanes), term, x)
                        for factor, x in zip(some, sums, strict=True)
                    ]
                for x, there in zip(sums, to, strict=True):
                    rows.keep(x, there)

            each(body, behind, rows.width, rows.bytes, vector)
            return given

        rows.several(end, rows.count, [], under)

    # Pivots

    def _first(self, j: Register) -> list[Register]:
        """The largest number of a column from its diagonal on, as `_largest` has it."""
        rows, column = self._rows, self._rows.column(j)

        def some(numbers: list[Register], best: list[Register]) -> list[Register]:
            return self._largest(numbers, [rows.at(i) for i in numbers], column, best)

        return rows.several(j, rows.count, self._none(j), some)

    def _none(self, i: Register) -> list[Register]:
        """Less than any number."""
        return [self._body.constant(self._bits, -1, 0), i]

    def _largest(
        self, numbers: Sequence[Register], places: Sequence[str], column: Register, best: Sequence[Register]
    ) -> list[Register]:
        """The bits of the absolute value of the largest number of a column, and its row, the first if there are more:
        of some rows and the best until now. The bits of a NaN are larger than those of all others."""
        body, positive = self._body, (1 << self._bits.bits - 1) - 1
        found = [
            (body.and_(body.as_integer(self._rows.number(at, column)), positive), i)
            for at, i in zip(places, numbers, strict=True)
        ]
        while len(found) > 1:
            found = [self._larger(x, y) for x, y in zip(found[::2], found[1::2], strict=True)]
        return list(self._larger((best[0], best[1]), found[0]))

    def _larger(
        self, x: tuple[Register, Register], y: tuple[Register, Register]
    ) -> tuple[Register, Register]:
        """The one with the larger first number; of two that are alike the first."""
        body = self._body
        more = body.compare("gt", y[0], x[0])
        return body.select(more, y[0], x[0]), body.select(more, y[1], x[1])
