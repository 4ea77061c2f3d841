"""Products with a matrix that is copied into panels beforehand: a weight that many calls read.

A panel has as many columns of B as a tile of C, row after row, so that a tile reads its memory from the beginning to
the end. The panels of `DEPTH` rows stand one after the other, and then those of the next rows; columns past the last
are what was there. Sums are those of `llvm_matmul.py`, bit for bit, and so is the table, in which the address of the
panels stands where B's is, and which goes on with two words. The first is 0, or B's address: with that a call makes the
panels of its range. The second belongs to the function, and is 0 at first.

It is 1 where the next call begins with the last panel: calls read the panels there and back. Where these are more than
the second cache holds, it has the ones that were read last, and to begin with the first would drive those out before
their turn comes. Where A has few rows whose columns are neighbours, a panel is read for all terms of its columns before
the next, so that all panels lie on this way, and not those of `DEPTH` rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from symgraph.codegen import llvm_pieces as pieces
from symgraph.codegen import llvm_squares as squares
from symgraph.codegen.llvm_gemm import BLOCKS, DEPTH, HEIGHT, WIDTH, Blocks, Matrix
from symgraph.codegen.llvm_matmul import RANGE, joined, named, rows_of
from symgraph.codegen.llvm_memory import address
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.llvm_tiles import Tile, call, each, either, function, functions, integer, word
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.codegen.x86_ready import name_of
from symgraph.graph.types import DType

_B, _BACK = 12, 13
"""Words of the table."""


def print_product(row: DType, machine: Machine, *, cut: bool = False, ready: bool = False) -> Native:
    """The function for a product with more than one column, called for a range of blocks of rows as that of
    `print_matmul` is, or for a range of panels to make; what runs at first is the text that is compiled soonest. There
    is another one for products that are ``cut`` into pieces: its panels have pieces of B, and need their room while
    they are made. Where code is ``ready`` the first text may be a mark of it."""
    text = _text_of_pieces if cut else _text
    name = name_of(f"{row.short} panels{' cut' * cut}", machine) if ready else None
    return named(lambda quick: text(row, machine, quick=quick), quick=True, ready=name)


def is_wide(n: int, row: DType, machine: Machine) -> bool:
    """Whether so many columns are those of a panel, or more."""
    return n >= Tile.of(row, machine).columns


def panels(n: int, row: DType, machine: Machine) -> int:
    """How many there are for so many columns."""
    return -(-n // Tile.of(row, machine).columns)


def bytes_of_panels(n: int, k: int, row: DType, machine: Machine, *, cut: bool = False) -> tuple[int, int]:
    """Of all, and of the room in which they are made."""
    if cut:
        return pieces.bytes_of_panels(n, k)
    return panels(n, row, machine) * k * Tile.of(row, machine).pitch, 0


def _text(row: DType, machine: Machine, *, quick: bool) -> tuple[str, frozenset[str]]:
    tile = Tile.of(row, machine)
    body, entry = Body(fma=machine.fma), Body(fma=machine.fma)
    _FromPanels(body, tile, quick=quick).write()
    _write_entry(entry, tile)
    own = functions(tile, machine, quick=quick, panels=True)
    blocks = function(body, "blocks", f"{BLOCKS}, i64 %back")
    return joined([*own, blocks, function(entry, "", RANGE, linkage="")])


def _text_of_pieces(row: DType, machine: Machine, *, quick: bool) -> tuple[str, frozenset[str]]:
    tile, body = Tile.of(row, machine), Body(fma=machine.fma)
    panels, room, b = (word(body, n, "ptr") for n in (1, 3, _B))
    strides = [integer(word(body, n, "i64")) for n in (9, 10)]

    def split(x: str, p: Register, number: Register, count: Register, width: Register) -> None:
        n = integer(word(body, 5, "i64"))
        head = pieces.panel(body, panels, n, p, number, count)
        call(body, "split", x, *strides, room, head, count, width, integer(1))

    def use() -> None:
        first, last = rows_of(body, integer(word(body, 4, "i64")), pieces.HIGH)
        squares.Pieces(body, first, last, _turned(body)).write()

    _write_either(body, b, lambda: _write_panels(body, tile, b, pieces.DEPTH, split), use)
    return joined([*squares.functions(tile, machine, quick=quick), function(body, "", RANGE, linkage="")])


def _write_entry(body: Body, tile: Tile) -> None:
    a, panels, c, room = (word(body, n, "ptr") for n in range(4))
    m, n, k, a_down, a_across, b_down, b_across, c_down = (
        integer(word(body, n, "i64")) for n in range(4, 12)
    )
    b = word(body, _B, "ptr")

    def pack(x: str, p: Register, number: Register, count: Register, width: Register) -> None:
        to = _panel(body, tile, panels, n, p, number, count)
        call(body, "pack", x, b_down, b_across, to, integer(tile.pitch), count, width)

    def use() -> None:
        first, last = rows_of(body, m)
        lying = (a, a_down, a_across, panels, integer(0), integer(0), c, c_down, room, m, n, k)

        def multiply() -> None:
            call(body, "blocks", *lying, first, last, _turned(body))

        either(body, body.compare("lt", first, last), multiply)

    _write_either(body, b, lambda: _write_panels(body, tile, b, DEPTH, pack), use)


def _write_either(body: Body, b: str, make: Callable[[], None], use: Callable[[], None]) -> None:
    """Panels are made where the table has B's address."""
    is_there = body.compare("ne", integer(body.named(f"ptrtoint ptr {b} to i64")), 0)
    either(body, is_there, make, use)


_Make: TypeAlias = Callable[[str, Register, Register, Register, Register], None]
"""What makes a panel: of this place, from one row on, with a number, and so many rows and columns."""


def _write_panels(body: Body, tile: Tile, b: str, depth: int, make: _Make) -> None:
    n, k, down, across = (integer(word(body, place, "i64")) for place in (5, 6, 9, 10))

    def rows(p: Register) -> None:
        count = body.intrinsic("smin", body.sub(k, p), depth)

        def panel(number: Register) -> None:
            j = body.mul(number, tile.columns)
            some = body.intrinsic("smin", body.sub(n, j), tile.columns)
            make(Matrix(b, down, across).place(body, p, j), p, number, count, some)

        each(body, integer("%begin"), integer("%end"), 1, panel)

    each(body, 0, k, depth, rows)


def _turned(body: Body) -> Register:
    """The way of this call; the next one goes the other."""
    back = integer(word(body, _BACK, "i64"))
    following = body.xor(back, 1)
    body.emit(f"store i64 {following.text}, ptr {address(body, '%table', 8 * _BACK)}, align 8")
    return back


def _panel(
    body: Body, tile: Tile, made: str, n: Register, p: Register, number: Register, count: Register
) -> str:
    """Where a panel begins, for the rows from p on, of which it has so many."""
    wide = body.div(body.add(n, tile.columns - 1), tile.columns)
    rows = body.add(body.mul(p, wide), body.mul(number, count))
    return address(body, made, body.mul(rows, tile.pitch))


class _FromPanels(Blocks):
    """The loops over blocks where nothing of B is left to be copied; there, or back."""

    def _decide(self) -> None:
        body = self._body
        few = body.compare("le", body.sub(self._last, self._first), HEIGHT)
        self._most = body.select(body.and_(few, self._near), integer(self._tile.columns), WIDTH)
        self._back = body.compare("ne", integer("%back"), 0)

    def write(self) -> None:
        self._sweep(self._n, self._most, self._columns)

    def _every_tile(self) -> None:
        self._sweep(self._width, self._tile.columns, self._tiles)

    def _sweep(self, size: Register, step: Register | int, turn: Callable[[Register], None]) -> None:
        """Turns for the multiples of a power of two that are below a size."""
        body = self._body
        last = body.and_(body.sub(size, 1), body.sub(integer(0), step))
        each(body, 0, size, step, lambda n: turn(body.select(self._back, body.sub(last, n), n)))

    def _pack_rows(self) -> None:
        pass

    def _block_of_tiles(self) -> None:
        self._every_tile()

    def _operand(self, j: Register, whole: Register) -> tuple[str, Register]:
        body, tile = self._body, self._tile
        number = body.div(body.add(self._j, j), tile.columns)
        panel = _panel(body, tile, self._b.at, self._n, self._p, number, self._count)
        return panel, integer(tile.pitch)

    def _first_tile(self, j: Register, whole: Register) -> Register | int:
        return 0
