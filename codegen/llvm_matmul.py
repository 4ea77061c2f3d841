"""Products of matrices as LLVM IR: ``C = A @ B`` of any sizes and strides in one function.

The function is called as a kernel is, for a range of blocks of `ROWS` rows of C::

    void matmul_0(ptr table, i64 begin, i64 end)

The table has 8 bytes for each of these: the addresses of A, of B, of C, and of the room; m, n and k, where A is m by k
and B is k by n; the bytes from a row of A to the next, from a column of A to the next, the same two of B, and from a
row of C to the next. Columns of C are neighbours, and C shares no memory with the rest. Calls that run at the same time
need a room each.

The algorithm is that of K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS
34(3), 2008, with the loops around the kernel as in F. Van Zee and R. van de Geijn, "BLIS: a framework for rapidly
instantiating BLAS functionality", ACM TOMS 41(3), 2015. A tile of C stays in registers while `DEPTH` columns of A and
rows of B go by. B is copied into panels as wide as a tile, unless A has few rows: by the first tile that reads it where
its columns are neighbours, and before that where they are not. A is copied into blocks, unless its columns are
neighbours, since a tile reads them as well where they are. A tile that reaches past the last column is computed in the
room.

Every number of C is a sum of sums of `DEPTH` products, each added up one by one; that of a matrix and a vector whose
products lie side by side is added up in vectors. The order is the same for every range, and nothing is skipped: NaN and
infinity come out as IEEE 754 has it, and what has no terms is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache as once
from hashlib import sha256
from typing import Any, NamedTuple

from symgraph.codegen.llvm_memory import address
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.llvm_tiles import (
    FEW_ROWS,
    KEEPING,
    ROWS,
    Tile,
    call,
    each,
    either,
    function,
    functions,
    integer,
    pick,
    product,
)
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.dims import Dim, dim_max, dim_min
from symgraph.graph.types import DType

DEPTH = 512
"""Products that are added up in a register."""
HEIGHT = 16 * ROWS
"""Rows of a block of A, which the second cache holds."""
WIDTH = 512
"""Columns of a block of B, which the last cache holds."""
FEW = 24
"""So many rows of A, or fewer, are not worth a copy of B."""


def print_matmul(row: DType, machine: Machine, *, many: bool = False, quick: bool = False) -> Native:
    """The function for float32 or float64; its name follows from its text. With ``quick`` the text is the one that is
    compiled soonest: of the functions for a tile it has one, and reads B where it lies whenever it can.

    The one of ``many`` products takes a range of them. Its table goes on with 8 bytes for each of these: how many there
    are in a group, the bytes from an A, B and C of a group to the next, and those from a group to the next.
    """
    text, declared = _text(row, machine, many=many, quick=quick)
    name = f"matmul_{sha256(text.encode()).hexdigest()[:16]}"
    first = _named(name, text, declared)
    if not quick:
        return first
    return first._replace(slow=once(lambda: _named(name, *_text(row, machine, many=many, quick=False))))


def _named(name: str, text: str, declared: Iterable[str]) -> Native:
    lines = frozenset(line.replace("@matmul", f"@{name}") for line in declared)
    return Native(name, text.replace("@matmul", f"@{name}"), lines)


def _text(row: DType, machine: Machine, *, many: bool, quick: bool) -> tuple[str, frozenset[str]]:
    """The functions, whose names begin with "matmul", and what they declare."""
    tile = Tile.of(row, machine)
    body, entry, all_ = (Body(fma=machine.fma) for _ in range(3))
    _Blocks(body, tile, quick=quick).write()
    _write_entry(entry, tile)
    parts = [*functions(tile, machine, quick=quick), function(body, "blocks", _BLOCKS)]
    if many:
        _write_many(all_)
        parts += [function(entry, "one", _RANGE), function(all_, "", _RANGE, linkage="")]
    else:
        parts.append(function(entry, "", _RANGE, linkage=""))
    return "\n".join(text for text, _ in parts), frozenset(line for _, lines in parts for line in lines)


def blocks(m: Dim) -> Any:
    """The end of the range that is all of C."""
    return -(-m // ROWS)


def room(m: Dim, n: Dim, k: Dim, row: DType, machine: Machine) -> Any:
    """The bytes of room that a call with these sizes needs, whatever its strides; of sizes that may be 1, the more."""
    tile = Tile.of(row, machine)
    wide = m if n == 1 else n if isinstance(n, int) else dim_max(m, n)
    panels = -(-dim_min(wide, WIDTH) // tile.columns)
    depth = dim_min(k, DEPTH)
    copies = depth * HEIGHT * tile.size + dim_max(depth, 1) * panels * tile.pitch
    vector = k * tile.size if any(size == 1 or not isinstance(size, int) for size in (m, n)) else 0
    return tile.bytes + dim_max(copies, vector)


_RANGE = "ptr %table, i64 %begin, i64 %end"
_WORDS = 12
"""Of the table of one product."""


def _write_many(body: Body) -> None:
    """A table for each product, and its call."""
    own = body.named(f"alloca [{_WORDS} x i64]")
    words = [integer(_word(body, n, "i64")) for n in range(_WORDS + 7)]
    inside, steps, jumps = words[_WORDS], words[_WORDS + 1 : _WORDS + 4], words[_WORDS + 4 :]
    rows = body.sub(body.add(words[4], ROWS), 1)

    def product(n: Register) -> None:
        group, place = body.div(n, inside), body.rem(n, inside)
        for which, (x, step, jump) in enumerate(zip(words[:3], steps, jumps, strict=True)):
            there = body.add(body.mul(group, jump), body.mul(place, step))
            body.emit(f"store i64 {body.add(x, there).text}, ptr {address(body, own, 8 * which)}, align 8")
        call(body, "one", own, integer(0), body.div(rows, ROWS))

    for n in range(3, _WORDS):
        body.emit(f"store i64 {words[n].text}, ptr {address(body, own, 8 * n)}, align 8")
    each(body, integer("%begin"), integer("%end"), 1, product)


def _write_entry(body: Body, tile: Tile) -> None:
    """Finds out what kind of product it is."""
    a, b, c, room = (_word(body, n, "ptr") for n in range(4))
    m, n, k, a_down, a_across, b_down, b_across, c_down = (
        integer(_word(body, n, "i64")) for n in range(4, 12)
    )
    first = body.mul(integer("%begin"), ROWS)
    last = body.intrinsic("smin", body.mul(integer("%end"), ROWS), m)

    def near(stride: Register) -> Register:
        return body.compare("eq", stride, tile.size)

    def usual() -> None:
        call(body, "blocks", a, a_down, a_across, b, b_down, b_across, c, c_down, room, m, n, k, first, last)

    def turned() -> None:
        """As a product of one row."""
        start = body.mul(first, tile.size)
        call(
            body, "blocks", b, b_across, b_down, address(body, a, start), a_across, a_down,
            address(body, c, start), c_down, room, integer(1), body.sub(last, first), k, integer(0), integer(1),
        )  # fmt: skip

    def row_by_row() -> None:
        x = _side_by_side(body, tile, b, b_down, k, room)
        call(body, "dots", a, a_down, x, k, c, c_down, first, last)

    def column_by_column() -> None:
        x = _side_by_side(body, tile, a, a_across, k, room)
        call(body, "dots", b, b_across, x, k, c, integer(tile.size), integer(0), n)

    def one_column() -> None:
        either(body, near(a_across), row_by_row, upright)

    def upright() -> None:
        in_order = body.and_(near(a_down), near(c_down))
        either(body, body.and_(in_order, body.compare("gt", m, 1)), turned, usual)

    def one_row() -> None:
        lying = body.compare("ne", b_across, tile.size)
        either(body, body.and_(near(b_down), lying), column_by_column, usual)

    def columns() -> None:
        either(body, body.compare("eq", m, 1), one_row, usual)

    def some() -> None:
        either(body, body.compare("eq", n, 1), one_column, columns)

    either(body, body.compare("lt", first, last), some)


def _word(body: Body, n: int, type_: str) -> str:
    return body.named(f"load {type_}, ptr {address(body, '%table', 8 * n)}, align 8")


def _side_by_side(body: Body, tile: Tile, x: str, stride: Register, k: Register, room: str) -> str:
    """A vector whose numbers are neighbours: itself, or a copy in the room."""
    copy, size = address(body, room, tile.bytes), integer(tile.size)
    near = body.compare("eq", stride, size)
    either(
        body, near, lambda: None, lambda: call(body, "pack", x, stride, integer(0), copy, size, k, integer(1))
    )
    return pick(body, near, x, copy)


_BLOCKS = (
    "ptr %a, i64 %a_down, i64 %a_across, ptr %b, i64 %b_down, i64 %b_across, ptr %c, i64 %c_down, ptr %room, "
    "i64 %m, i64 %n, i64 %k, i64 %first, i64 %last"
)


class _Matrix(NamedTuple):
    """Where a matrix is, and the bytes from a row to the next and from a column to the next."""

    at: str
    down: Register
    across: Register

    def place(self, body: Body, i: Register, j: Register) -> str:
        row = address(body, self.at, body.mul(i, self.down))
        return address(body, row, body.mul(j, self.across))


class _Blocks:
    """The loops over blocks that fit the caches, for rows from the first to the last; what a loop fixes is known to
    those inside of it."""

    def __init__(self, body: Body, tile: Tile, *, quick: bool) -> None:
        self._body, self._tile, self._quick = body, tile, quick
        self._n, self._k, self._first, self._last = map(integer, ("%n", "%k", "%first", "%last"))
        size = integer(tile.size)
        self._a = _Matrix("%a", integer("%a_down"), integer("%a_across"))
        self._b = _Matrix("%b", integer("%b_down"), integer("%b_across"))
        self._c = _Matrix("%c", integer("%c_down"), size)
        self._near = body.compare("eq", self._a.across, size)
        self._lying = body.compare("eq", self._b.across, size)
        few = body.compare("le", body.sub(self._last, self._first), FEW)
        self._direct = self._lying if quick else body.and_(few, self._lying)
        self._single = body.and_(self._direct, body.compare("eq", integer("%m"), 1))
        depth = body.intrinsic("smin", self._k, DEPTH)
        self._room_a = address(body, "%room", tile.bytes)
        self._room_b = address(body, self._room_a, body.mul(depth, HEIGHT * tile.size))

    def write(self) -> None:
        each(self._body, 0, self._n, WIDTH, self._columns)

    def _columns(self, j: Register) -> None:
        """Some columns of C."""
        body = self._body
        self._j, self._width = j, body.intrinsic("smin", body.sub(self._n, j), WIDTH)
        terms = body.intrinsic("smax", self._k, 1)  # where there are none, one turn makes zeros
        each(body, 0, terms, DEPTH, self._terms)

    def _terms(self, p: Register) -> None:
        """Some columns of A and rows of B, which are packed unless their columns are neighbours: those are read as they
        are, or kept when they are read first."""
        body, tile = self._body, self._tile
        self._p, self._count = p, body.intrinsic("smin", body.sub(self._k, p), DEPTH)
        self._begins = body.compare("eq", p, 0)
        start = body.select(self._lying, body.and_(self._width, -tile.columns), 0)
        start = start if self._quick else body.select(self._single, self._width, start)
        each(body, start, self._width, tile.columns, self._pack)
        each(body, self._first, self._last, HEIGHT, self._block)

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
        is_first = body.and_(self._lying, body.compare("eq", i, self._first))
        self._keeps = body.and_(is_first, body.not_(self._direct))
        self._height = body.intrinsic("smin", body.sub(self._last, i), HEIGHT)
        x, pitch = a.place(body, i, self._p), integer(HEIGHT * tile.size)

        def pack() -> None:
            call(body, "pack", x, a.across, a.down, self._room_a, pitch, self._count, self._height)

        either(body, self._near, lambda: None, pack)
        self._rows = _Matrix(
            pick(body, self._near, x, self._room_a),
            body.select(self._near, a.down, tile.size),
            body.select(self._near, a.across, pitch),
        )
        self._to = _Matrix(self._c.place(body, i, self._j), self._c.down, self._c.across)

        def tiles() -> None:
            each(body, 0, self._width, tile.columns, self._tiles)

        if self._quick:
            tiles()
        else:
            either(body, self._single, self._single_row, tiles)

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
        direct, keeps = body.and_(self._direct, whole), body.and_(self._keeps, whole)
        itself, panel = self._b.place(body, self._p, body.add(self._j, j)), self._panel(j)
        b, b_down = pick(body, direct, itself, panel), body.select(direct, self._b.down, tile.pitch)

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

        def keeping() -> None:
            last = body.sub(body.intrinsic("smin", self._height, ROWS), 1)
            a, c = self._rows.place(body, integer(0), integer(0)), self._to.place(body, integer(0), j)
            self._product(KEEPING, a, last, itself, self._b.down, c, self._c.down, panel)

        if self._quick:
            each(body, 0, self._height, ROWS, one)
        else:
            either(body, keeps, keeping)
            each(body, body.select(keeps, integer(ROWS), 0), self._height, ROWS, one)

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
