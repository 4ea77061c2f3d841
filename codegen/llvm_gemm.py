"""The loops of a product of matrices around its tiles, over blocks that fit the caches.

They are those of F. Van Zee and R. van de Geijn, "BLIS: a framework for rapidly instantiating BLAS functionality", ACM
TOMS 41(3), 2015. All strides are in bytes, and columns of C are neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

from symgraph.codegen.llvm_memory import address
from symgraph.codegen.llvm_tiles import (
    FEW_ROWS,
    KEEPING,
    ROWS,
    Tile,
    call,
    each,
    either,
    integer,
    pick,
    product,
)
from symgraph.codegen.vectors import Body, Register

DEPTH = 512
"""Products that are added up in a register."""
HEIGHT = 16 * ROWS
"""Rows of a block of A, which the second cache holds."""
WIDTH = 512
"""Columns of a block of B, which the last cache holds."""
FEW = 24
"""So many rows of A, or fewer, are not worth a copy of B."""

BLOCKS = (
    "ptr %a, i64 %a_down, i64 %a_across, ptr %b, i64 %b_down, i64 %b_across, ptr %c, i64 %c_down, ptr %room, "
    "i64 %m, i64 %n, i64 %k, i64 %first, i64 %last"
)


class Matrix(NamedTuple):
    """Where a matrix is, and the bytes from a row to the next and from a column to the next."""

    at: str
    down: Register
    across: Register

    def place(self, body: Body, i: Register, j: Register) -> str:
        row = address(body, self.at, body.mul(i, self.down))
        return address(body, row, body.mul(j, self.across))


class Blocks:
    """The loops over blocks that fit the caches, for rows from the first to the last; what a loop fixes is known to
    those inside of it."""

    def __init__(self, body: Body, tile: Tile, *, quick: bool) -> None:
        self._body, self._tile, self._quick = body, tile, quick
        self._n, self._k, self._first, self._last = map(integer, ("%n", "%k", "%first", "%last"))
        size = integer(tile.size)
        self._a = Matrix("%a", integer("%a_down"), integer("%a_across"))
        self._b = Matrix("%b", integer("%b_down"), integer("%b_across"))
        self._c = Matrix("%c", integer("%c_down"), size)
        self._near = body.compare("eq", self._a.across, size)
        self._room_a = address(body, "%room", tile.bytes)
        self._most: Register | int = WIDTH
        """Columns of a block."""
        self._decide()

    def _decide(self) -> None:
        """Where B is read, and where it is copied to."""
        body = self._body
        self._lying = body.compare("eq", self._b.across, self._tile.size)
        few = body.compare("le", body.sub(self._last, self._first), FEW)
        self._direct = self._lying if self._quick else body.and_(few, self._lying)
        self._single = body.and_(self._direct, body.compare("eq", integer("%m"), 1))
        depth = body.intrinsic("smin", self._k, DEPTH)
        self._room_b = address(body, self._room_a, body.mul(depth, HEIGHT * self._tile.size))

    def write(self) -> None:
        each(self._body, 0, self._n, WIDTH, self._columns)

    def _columns(self, j: Register) -> None:
        """Some columns of C."""
        body = self._body
        self._j, self._width = j, body.intrinsic("smin", body.sub(self._n, j), self._most)
        terms = body.intrinsic("smax", self._k, 1)  # where there are none, one turn makes zeros
        each(body, 0, terms, DEPTH, self._terms)

    def _terms(self, p: Register) -> None:
        """Some columns of A and rows of B."""
        body = self._body
        self._p, self._count = p, body.intrinsic("smin", body.sub(self._k, p), DEPTH)
        self._begins = body.compare("eq", p, 0)
        self._pack_rows()
        each(body, self._first, self._last, HEIGHT, self._block)

    def _pack_rows(self) -> None:
        """Those rows of B are packed, unless their columns are neighbours: then they are read as they are, or kept when
        they are read first."""
        body, tile = self._body, self._tile
        start = body.select(self._lying, body.and_(self._width, -tile.columns), 0)
        start = start if self._quick else body.select(self._single, self._width, start)
        each(body, start, self._width, tile.columns, self._pack)

    def _pack(self, j: Register) -> None:
        body, tile, b = self._body, self._tile, self._b
        some = body.intrinsic("smin", body.sub(self._width, j), tile.columns)
        x = b.place(body, self._p, body.add(self._j, j))
        call(body, "pack", x, b.down, b.across, self._panel(j), integer(tile.pitch), self._count, some)

    def _panel(self, j: Register) -> str:
        """Where the columns from one on are packed."""
        body, tile = self._body, self._tile
        number = body.div(j, tile.columns)
        return address(body, self._room_b, body.mul(body.mul(number, self._count), tile.pitch))

    def _block(self, i: Register) -> None:
        """Some rows of C."""
        body, tile, a = self._body, self._tile, self._a
        self._i = i
        self._height = body.intrinsic("smin", body.sub(self._last, i), HEIGHT)
        x, pitch = a.place(body, i, self._p), integer(HEIGHT * tile.size)

        def pack() -> None:
            call(body, "pack", x, a.across, a.down, self._room_a, pitch, self._count, self._height)

        either(body, self._near, lambda: None, pack)
        self._rows = Matrix(
            pick(body, self._near, x, self._room_a),
            body.select(self._near, a.down, tile.size),
            body.select(self._near, a.across, pitch),
        )
        self._to = Matrix(self._c.place(body, i, self._j), self._c.down, self._c.across)
        self._block_of_tiles()

    def _block_of_tiles(self) -> None:
        body = self._body
        is_first = body.and_(self._lying, body.compare("eq", self._i, self._first))
        self._keeps = body.and_(is_first, body.not_(self._direct))
        if self._quick:
            self._every_tile()
        else:
            either(body, self._single, self._single_row, self._every_tile)

    def _every_tile(self) -> None:
        each(self._body, 0, self._width, self._tile.columns, self._tiles)

    def _single_row(self) -> None:
        body, b = self._body, self._b
        at, begins = b.place(body, self._p, self._j), body.select(self._begins, integer(1), 0)
        call(
            body, "row", self._rows.at, self._rows.across, at, b.down, self._count, self._to.at,
            begins, self._room_b, self._width,
        )  # fmt: skip

    def _tiles(self, j: Register) -> None:
        """One tile below the other."""
        body, tile = self._body, self._tile
        left = body.sub(self._width, j)
        whole, narrow = body.compare("ge", left, tile.columns), body.compare("le", left, tile.columns // 2)
        b, b_down = self._operand(j, whole)

        def one(i: Register) -> None:
            rows = body.intrinsic("smin", body.sub(self._height, i), ROWS)
            a, c = self._rows.place(body, i, integer(0)), self._to.place(body, i, j)
            last, down, pitch = body.sub(rows, 1), self._c.down, integer(tile.pitch)

            def inside() -> None:
                self._product(self._kind(rows), a, last, b, b_down, c, down)

            def across() -> None:
                size = integer(tile.size)
                either(
                    body,
                    self._begins,
                    lambda: None,
                    lambda: call(body, "pack", c, down, size, "%room", pitch, rows, left),
                )
                if self._quick:
                    in_room()
                else:
                    either(body, narrow, vectors, in_room)
                call(body, "unpack", "%room", pitch, c, down, rows, left)

            def vectors() -> None:
                each(body, 0, left, tile.lanes, vector)

            def vector(v: Register) -> None:
                x, y = (address(body, at, body.mul(v, tile.size)) for at in (b, "%room"))
                self._product(product(ROWS, 1), a, last, x, b_down, y, pitch)

            def in_room() -> None:
                self._product(self._kind(rows), a, last, b, b_down, "%room", pitch)

            either(body, whole, inside, across)

        each(body, self._first_tile(j, whole), self._height, ROWS, one)

    def _operand(self, j: Register, whole: Register) -> tuple[str, Register]:
        """Where the columns of B begin that a tile reads, and the bytes from a row of them to the next."""
        body = self._body
        direct = body.and_(self._direct, whole)
        itself, panel = self._b.place(body, self._p, body.add(self._j, j)), self._panel(j)
        return pick(body, direct, itself, panel), body.select(direct, self._b.down, self._tile.pitch)

    def _first_tile(self, j: Register, whole: Register) -> Register | int:
        """The row of the first tile that is left, once one of them has kept what it read."""
        if self._quick:
            return 0
        body = self._body
        keeps = body.and_(self._keeps, whole)

        def keeping() -> None:
            last = body.sub(body.intrinsic("smin", self._height, ROWS), 1)
            a, c = self._rows.place(body, integer(0), integer(0)), self._to.place(body, integer(0), j)
            itself = self._b.place(body, self._p, body.add(self._j, j))
            self._product(KEEPING, a, last, itself, self._b.down, c, self._c.down, self._panel(j))

        either(body, keeps, keeping)
        return body.select(keeps, integer(ROWS), 0)

    def _product(
        self,
        kind: str,
        a: str,
        last: Register,
        b: str,
        b_down: Register,
        c: str,
        c_down: Register,
        *kept: str,
    ) -> None:
        """Added to what is there, but for the first terms."""
        body, rows = self._body, self._rows
        base = pick(body, self._begins, "@matmul_zeros", c)
        base_down = body.select(self._begins, 0, c_down)
        lying = (a, last, rows.down, rows.across, b, b_down)
        call(body, kind, *lying, self._count, c, c_down, base, base_down, *kept)

    def _kind(self, rows: Register) -> str:
        """The function for tiles of so many rows."""
        body, vectors = self._body, self._tile.vectors
        if self._quick:
            return product(ROWS, vectors)
        found = f"@matmul_{product(ROWS, vectors)}"
        for few in reversed(FEW_ROWS):
            mask = body.compare("le", rows, few)
            found = pick(body, mask, f"@matmul_{product(few, vectors)}", found)
        return found
