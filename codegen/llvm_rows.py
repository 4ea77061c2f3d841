"""Matrices in a room of their own, each row whole vectors: what factorisations do to rows, as LLVM IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from symgraph.codegen.llvm_memory import address, first_lanes, load, store
from symgraph.codegen.llvm_tiles import each, either, integer
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import DType

ROWS = 4
"""So many, a power of two, are changed together, so that what is added to them is read once. Those past the last are
the last one again: it is read before it is written, and written alike."""


class Matrix(NamedTuple):
    """Where a matrix is, and the bytes from a row to the next and from a column to the next."""

    at: str
    down: Register
    across: Register

    @property
    def turned(self) -> Matrix:
        """Its transpose."""
        return Matrix(self.at, self.across, self.down)

    def backwards(self, body: Body, last: Register) -> Matrix:
        """The last row and column first."""
        far = body.mul(last, body.add(self.down, self.across))
        return Matrix(address(body, self.at, far), body.neg(self.down), body.neg(self.across))


def lanes_of(row: DType, machine: Machine) -> int:
    """Of a vector."""
    return machine.bytes // row.numpy.itemsize


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the room: where the first begins, how many there are, the bytes from one to the next, and the bytes of
    each, which are whole vectors. Places in a row are bytes after its beginning."""

    body: Body
    row: DType
    machine: Machine
    begin: str
    count: Register
    pitch: Register
    width: Register

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return self.row.numpy.itemsize

    @property
    def lanes(self) -> int:
        return lanes_of(self.row, self.machine)

    @property
    def bytes(self) -> int:
        """Of a vector."""
        return self.machine.bytes

    @property
    def backwards(self) -> Rows:
        """The last row first."""
        last = self.at(self.body.sub(self.count, 1))
        return replace(self, begin=last, pitch=self.body.neg(self.pitch))

    # Places

    def at(self, i: Register) -> str:
        """Where a row begins."""
        return address(self.body, self.begin, self.body.mul(i, self.pitch))

    def column(self, j: Register) -> Register:
        """The place of a column."""
        return self.body.mul(j, self.size)

    def block(self, j: Register) -> Register:
        """The place of the vector that a column is in."""
        return self.body.and_(self.column(j), -self.bytes)

    def number(self, at: str, place: Register | None = None) -> Register:
        """The one at an address, or so many bytes after it."""
        at = at if place is None else address(self.body, at, place)
        return load(self.body, self.row, at, 0, None)

    def put(self, x: Register, at: str, place: Register) -> None:
        store(self.body, x, self.row, address(self.body, at, place), None)

    def vector(self, at: str, n: int = 0, mask: Register | None = None) -> Register:
        """The one so many vectors after an address."""
        return load(self.body, self.row, address(self.body, at, n * self.bytes), self.lanes, mask)

    def keep(self, x: Register, at: str, n: int = 0, mask: Register | None = None) -> None:
        store(self.body, x, self.row, address(self.body, at, n * self.bytes), mask)

    # What is done to rows

    def exchange(self, x: str, y: str, begin: Register) -> None:
        """The numbers of two rows change places, from one vector on."""
        body = self.body

        def vector(place: Register) -> None:
            one, other = address(body, x, place), address(body, y, place)
            a, b = self.vector(one), self.vector(other)
            self.keep(a, other)
            self.keep(b, one)

        each(body, begin, self.width, self.bytes, vector)

    def several(
        self,
        first: Register,
        last: Register,
        carried: Sequence[Register],
        turn: Callable[[list[Register], list[Register]], list[Register]],
    ) -> list[Register]:
        """Turns for `ROWS` rows each."""
        body, end = self.body, self.body.sub(last, 1)

        def some(i: Register, given: list[Register]) -> list[Register]:
            return turn([i, *(body.intrinsic("smin", body.add(i, n), end) for n in range(1, ROWS))], given)

        return body.loop(first, last, ROWS, carried, some)

    def add(
        self, rows: Sequence[str], factors: Sequence[Register], row: str, begin: Register, end: Register
    ) -> None:
        """Another row times a factor is added to each, from one place to another."""
        body = self.body
        wide = [body.spread(x, self.lanes) for x in factors]

        def vector(place: Register) -> None:
            term = self.vector(address(body, row, place))
            places = [address(body, at, place) for at in rows]
            old = [self.vector(at) for at in places]
            for at, x, factor in zip(places, old, wide, strict=True):
                self.keep(body.fma(factor, term, x), at)

        each(body, begin, end, self.bytes, vector)

    def divide(self, at: str, begin: Register, end: Register, by: Register) -> None:
        """A row, from one place to another, by a number."""
        body, wide = self.body, self.body.spread(by, self.lanes)

        def vector(place: Register) -> None:
            here = address(body, at, place)
            self.keep(body.div(self.vector(here), wide), here)

        each(body, begin, end, self.bytes, vector)

    # Copies

    def vectors(self, count: Register, turn: Callable[[Register, Register | None], None]) -> None:
        """Turns for vectors of so many numbers, told how many bytes are before each; the last leaves lanes out."""
        body, lanes = self.body, self.lanes
        whole = body.and_(count, -lanes)
        each(body, 0, whole, lanes, lambda j: turn(self.column(j), None))

        def rest(j: Register) -> None:
            mask = first_lanes(body, body.sub(count, j), lanes, masks=self.machine.masks)
            turn(self.column(j), mask)

        each(body, whole, count, lanes, rest)

    def copy(self, x: str, to: str, count: Register, *, whole: bool = False) -> None:
        """Numbers that are neighbours; as ``whole`` vectors with zeros at the end."""
        body = self.body

        def vector(place: Register, mask: Register | None) -> None:
            found = self.vector(address(body, x, place), mask=mask)
            self.keep(found, address(body, to, place), mask=None if whole else mask)

        self.vectors(count, vector)

    def copy_in(self, x: Matrix, width: Register, place: Register, *, from_diagonal: bool = False) -> None:
        """So many columns of a matrix, to one place of the rows on; what is left of the diagonal need not be."""
        body = self.body
        is_near = body.compare("eq", x.across, self.size)

        def row(i: Register) -> None:
            at, to = address(body, x.at, body.mul(i, x.down)), address(body, self.at(i), place)

            def number(j: Register) -> None:
                self.put(self.number(at, body.mul(j, x.across)), to, self.column(j))

            first = i if from_diagonal else integer(0)
            either(
                body,
                is_near,
                lambda: self.copy(at, to, width, whole=True),
                lambda: each(body, first, width, 1, number),
            )

        each(body, 0, self.count, 1, row)

    def copy_out(self, out: str, width: Register, place: Register) -> None:
        """So many columns, from one place of the rows on, in order."""
        body = self.body

        def row(i: Register) -> None:
            to = address(body, out, self.column(body.mul(i, width)))
            self.copy(address(body, self.at(i), place), to, width)

        each(body, 0, self.count, 1, row)
