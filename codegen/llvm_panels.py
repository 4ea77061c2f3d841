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

from symgraph.codegen.llvm_gemm import BLOCKS, DEPTH, HEIGHT, WIDTH, Blocks
from symgraph.codegen.llvm_matmul import RANGE, joined, named, rows_of, word
from symgraph.codegen.llvm_memory import address
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.llvm_tiles import Tile, call, each, either, function, functions, integer
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import DType

_B, _BACK = 12, 13
"""Words of the table."""


def print_product(row: DType, machine: Machine) -> Native:
    """The function for a product with more than one column, called for a range of blocks of rows as that of
    `print_matmul` is, or for a range of panels to make; what runs at first is the text that is compiled soonest."""
    return named(lambda quick: _text(row, machine, quick=quick), quick=True)


def is_wide(n: int, row: DType, machine: Machine) -> bool:
    """Whether so many columns are those of a panel, or more."""
    return n >= Tile.of(row, machine).columns


def panels(n: int, row: DType, machine: Machine) -> int:
    """How many there are for so many columns."""
    return -(-n // Tile.of(row, machine).columns)


def bytes_of_panels(n: int, k: int, row: DType, machine: Machine) -> int:
    """Of all."""
    return panels(n, row, machine) * k * Tile.of(row, machine).pitch


def _text(row: DType, machine: Machine, *, quick: bool) -> tuple[str, frozenset[str]]:
    tile = Tile.of(row, machine)
    body, entry = Body(fma=machine.fma), Body(fma=machine.fma)
    _FromPanels(body, tile, quick=quick).write()
    _write_entry(entry, tile)
    own = functions(tile, machine, quick=quick, panels=True)
    blocks = function(body, "blocks", f"{BLOCKS}, i64 %back")
    return joined([*own, blocks, function(entry, "", RANGE, linkage="")])


def _write_entry(body: Body, tile: Tile) -> None:
    a, panels, c, room = (word(body, n, "ptr") for n in range(4))
    m, n, k, a_down, a_across, b_down, b_across, c_down = (
        integer(word(body, n, "i64")) for n in range(4, 12)
    )
    b = word(body, _B, "ptr")

    def make() -> None:
        each(body, 0, k, DEPTH, rows)

    def rows(p: Register) -> None:
        count = body.intrinsic("smin", body.sub(k, p), DEPTH)

        def panel(number: Register) -> None:
            j = body.mul(number, tile.columns)
            some = body.intrinsic("smin", body.sub(n, j), tile.columns)
            x = address(body, address(body, b, body.mul(p, b_down)), body.mul(j, b_across))
            to = _panel(body, tile, panels, n, p, number, count)
            call(body, "pack", x, b_down, b_across, to, integer(tile.pitch), count, some)

        each(body, integer("%begin"), integer("%end"), 1, panel)

    def use() -> None:
        first, last = rows_of(body, m)
        lying = (a, a_down, a_across, panels, integer(0), integer(0), c, c_down, room, m, n, k)
        either(
            body, body.compare("lt", first, last), lambda: call(body, "blocks", *lying, first, last, turned())
        )

    def turned() -> Register:
        back = integer(word(body, _BACK, "i64"))
        following = body.xor(back, 1)
        body.emit(f"store i64 {following.text}, ptr {address(body, '%table', 8 * _BACK)}, align 8")
        return back

    is_there = body.compare("ne", integer(body.named(f"ptrtoint ptr {b} to i64")), 0)
    either(body, is_there, make, use)


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
