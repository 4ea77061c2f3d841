"""Products of float32 in tiles of bfloat16: the pieces of `llvm_pieces.py`, multiplied by Intel's AMX.

The loops are those of `llvm_gemm.py`. The sums of a tile are float32: first those of all smaller pieces, whose
roundings are small as well, then those of the greatest. A tile rounds once for two of these, so the error is less than
that of a sum in float32 whose terms come one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from symgraph.codegen import llvm_pieces as pieces
from symgraph.codegen.llvm_gemm import Matrix
from symgraph.codegen.llvm_memory import FLOAT32, FLOAT64, INT64, address, counting, load, store
from symgraph.codegen.llvm_pieces import DEPTH, HEAD, HEIGHT, HIGH, PITCH, SIDE, STEP, TILE, UNIT, WIDE, WIDTH
from symgraph.codegen.llvm_tiles import (
    ROWS,
    Tile,
    call,
    each,
    either,
    function,
    integer,
    needed,
    pick,
    product,
    word,
)
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import BOOL


def functions(tile: Tile, machine: Machine, *, quick: bool) -> Iterator[tuple[str, frozenset[str]]]:
    """The texts of the functions for products that are cut, and what they declare."""
    parts: list[tuple[str, Callable[[Body], None], str]] = [
        *pieces.functions(quick=quick),
        ("square", _write_square, _SQUARE),
        ("add", _write_add, _ADD),
        ("block", partial(_write_block, tile=tile), _BLOCK),
    ]
    yield from needed(tile, machine, quick=quick)
    for name, write, parameters in parts:
        body = Body(fma=machine.fma)
        write(body)
        yield function(body, name, parameters)


# Tiles

_INTRINSICS = {
    "ldtilecfg": "ptr",
    "tilerelease": "",
    "tilezero": "i8",
    "tileloadd64": "i8, ptr, i64",
    "tilestored64": "i8, ptr, i64",
    "tdpbf16ps": "i8, i8, i8",
}
_BEGIN = (1, 0, *[0x0040_0040_0040_0040] * 2, 0, 0, 0x1010_1010_1010_1010, 0)
"""What the processor is told of its tiles, in words: eight, of 16 rows of 64 bytes."""


def _tile(body: Body, what: str, *given: int | str | Register) -> None:
    """An instruction: of tiles, places and distances."""
    body.declared.add(f"declare void @llvm.x86.{what}({_INTRINSICS[what]})")
    texts = [
        f"i8 {x}" if isinstance(x, int) else f"ptr {x}" if isinstance(x, str) else f"i64 {x.text}"
        for x in given
    ]
    body.emit(f"call void @llvm.x86.{what}({', '.join(texts)})")


_SQUARE = "ptr %a, ptr %b, i64 %steps, ptr %c, i64 %c_down"
_SMALL, _GREAT = ((0, 2), (0, 1), (1, 1), (1, 0), (2, 0)), ((0, 0),)
"""Pieces of A and B that are multiplied, in an order in which one of both stays."""
_SUM, _OF_A, _OF_B = 0, 4, 6
"""The first of four tiles, and of two each."""


def _write_square(body: Body) -> None:
    """``c = a @ b`` of units, for 32 rows and columns."""

    def steps(pairs: Sequence[tuple[int, int]]) -> None:
        each(body, 0, integer("%steps"), 1, lambda n: step(n, pairs))

    def step(n: Register, pairs: Sequence[tuple[int, int]]) -> None:
        a = address(body, "%a", body.mul(n, UNIT))
        b = address(body, "%b", body.mul(n, 2 * UNIT))
        there = [-1, -1]
        for pair in pairs:
            for which, (at, first) in enumerate(((a, _OF_A), (b, _OF_B))):
                if there[which] != pair[which]:
                    there[which] = pair[which]
                    for half in range(2):
                        place = address(body, at, (2 * pair[which] + half) * TILE)
                        _tile(body, "tileloadd64", first + half, place, integer(TILE // SIDE))
            for one in range(4):
                _tile(body, "tdpbf16ps", _SUM + one, _OF_A + one // 2, _OF_B + one % 2)

    for n in range(4):
        _tile(body, "tilezero", _SUM + n)
    steps(_SMALL)
    steps(_GREAT)
    down = integer("%c_down")
    lower = address(body, "%c", body.mul(down, SIDE))
    for n in range(4):
        place = address(body, lower if n > 1 else "%c", n % 2 * TILE // SIDE)
        _tile(body, "tilestored64", _SUM + n, place, down)


# Sums

_ADD = "ptr %room, ptr %c, i64 %c_down, i64 %rows, i64 %width, i64 %begins"
_DOUBLES = 8
"""Lanes in which sums are multiplied: rounded once, and denormal numbers cost no more than others."""


def _write_add(body: Body) -> None:
    """The sums of a block, multiplied, are added to what is there, unless it begins."""
    factor = body.spread(load(body, FLOAT64, "%room", 0, None), _DOUBLES)
    begins = body.compare("ne", integer("%begins"), 0)
    sums, none = address(body, "%room", pieces.SUMS), body.constant(BOOL, 0, _DOUBLES)
    is_first = body.spread(begins, _DOUBLES)

    def row(r: Register) -> None:
        at = address(body, sums, body.mul(r, PITCH))
        c = address(body, "%c", body.mul(r, integer("%c_down")))

        def vector(j: Register) -> None:
            left = body.spread(body.sub(integer("%width"), j), _DOUBLES)
            mask = body.compare("lt", counting(_DOUBLES), left)
            x = load(body, FLOAT32, address(body, at, body.mul(j, 4)), _DOUBLES, None)
            x = body.convert(body.mul(body.convert(x, FLOAT64), factor), FLOAT32)
            to = address(body, c, body.mul(j, 4))
            base = load(body, FLOAT32, to, _DOUBLES, body.select(is_first, none, mask))
            store(body, body.add(base, x), FLOAT32, to, mask)

        each(body, 0, integer("%width"), _DOUBLES, vector)

    each(body, 0, integer("%rows"), 1, row)


# Blocks

_BLOCK = "ptr %a, ptr %b, ptr %c, i64 %c_down, i64 %rows, i64 %width, i64 %begins, ptr %room"


def _write_block(body: Body, tile: Tile) -> None:
    """The product of a block of A and a panel of B: of their pieces, or as in `llvm_gemm.py`."""
    rows, width, begins, c_down = map(integer, ("%rows", "%width", "%begins", "%c_down"))
    sums, pitch = address(body, "%room", pieces.SUMS), integer(PITCH)

    def word(head: str, place: int) -> Register:
        return load(body, INT64, address(body, head, place), 0, None)

    def pointer(head: str) -> str:
        return body.named(f"load ptr, ptr {address(body, head, pieces.FROM)}, align 8")

    def add(factor: Register) -> None:
        store(body, factor, FLOAT64, "%room", None)
        call(body, "add", "%room", "%c", c_down, rows, width, begins)

    def in_tiles() -> None:
        factor = pieces.factor(body, "%a", "%b")
        whole = body.and_(body.compare("eq", rows, HIGH), body.compare("eq", width, WIDE))
        whole = body.and_(whole, body.compare("ne", begins, 0))
        whole = body.and_(whole, body.compare("eq", factor, 1.0))
        to, down = pick(body, whole, "%c", sums), body.select(whole, c_down, PITCH)
        steps = pieces.steps_of(body, word("%a", pieces.COUNT))

        def half(n: Register) -> None:
            at = address(body, to, body.mul(n, 4))
            units = address(body, address(body, "%b", HEAD), body.mul(n, UNIT // STEP))
            call(body, "square", address(body, "%a", HEAD), units, steps, at, down)

        each(body, 0, width, STEP, half)
        either(body, whole, lambda: None, lambda: add(factor))

    def plainly() -> None:
        copy, count = address(body, "%room", pieces.COPY), word("%a", pieces.COUNT)
        strides = (word("%b", pieces.DOWN), word("%b", pieces.ACROSS))
        call(body, "pack", pointer("%b"), *strides, copy, pitch, count, width)
        x, down, across = pointer("%a"), word("%a", pieces.DOWN), word("%a", pieces.ACROSS)

        def few(r: Register) -> None:
            last = body.sub(body.intrinsic("smin", body.sub(rows, r), ROWS), 1)
            some, to = address(body, x, body.mul(r, down)), address(body, sums, body.mul(r, PITCH))
            given = (some, last, down, across, copy, pitch, count, to, pitch)
            call(body, product(ROWS, tile.vectors), *given, "@matmul_zeros", integer(0))

        each(body, 0, rows, ROWS, few)
        add(body.constant(FLOAT64, 1, 0))

    either(body, body.compare("ne", pieces.judged(body, "%a", "%b"), 0), plainly, in_tiles)


# Loops

_A, _B, _C, _ROOM, _N, _K, _A_DOWN, _B_DOWN, _C_DOWN = 0, 1, 2, 3, 5, 6, 7, 9, 11
"""Words of the table of a product; after strides down there are those across."""


class Pieces:
    """The loops around blocks, for rows from one to another; B is cut into pieces by them, or lies in panels, through
    which they go there or ``back``. Words of the table are read where they are needed: there are too many for
    registers."""

    def __init__(self, body: Body, first: Register, last: Register, back: Register | None = None) -> None:
        self._body, self._first, self._last, self._back = body, first, last, back

    def write(self) -> None:
        body = self._body
        sums = address(body, self._room(), pieces.SUMS)
        for place, value in enumerate(_BEGIN):
            body.emit(f"store i64 {value}, ptr {address(body, sums, 8 * place)}, align 8")
        _tile(body, "ldtilecfg", sums)
        n, k = (integer(self._word(place)) for place in (_N, _K))
        few = body.compare("le", body.sub(self._last, self._first), HEIGHT)
        self._stays = body.and_(few, body.compare("le", k, DEPTH))
        """Whether the pieces of A are those of all columns."""
        self._most = n if self._back else body.select(self._stays, integer(WIDE), WIDTH)
        each(body, 0, n, self._most, self._columns)
        _tile(body, "tilerelease")

    def _word(self, place: int, type_: str = "i64") -> str:
        return word(self._body, place, type_)

    def _room(self, place: int = 0) -> str:
        return address(self._body, self._word(_ROOM, "ptr"), place)

    def _columns(self, j: Register) -> None:
        body = self._body
        n, k = (integer(self._word(place)) for place in (_N, _K))
        self._j, self._width = j, body.intrinsic("smin", body.sub(n, j), self._most)
        each(body, 0, k, DEPTH, self._terms)

    def _terms(self, p: Register) -> None:
        """Some columns of A and rows of B."""
        body = self._body
        k = integer(self._word(_K))
        self._p, self._count = p, body.intrinsic("smin", body.sub(k, p), DEPTH)
        if self._back is None:
            each(body, 0, self._width, WIDE, self._split_columns)
        each(body, self._first, self._last, HEIGHT, self._rows)

    def _split_columns(self, q: Register) -> None:
        at = self._place(_B, _B_DOWN, self._p, self._body.add(self._j, q))
        self._split(at, _B_DOWN, self._panel(q), self._least(self._width, q, WIDE), is_panel=1)

    def _split_rows(self, r: Register) -> None:
        at = self._place(_A, _A_DOWN, self._body.add(self._i, r), self._p)
        self._split(at, _A_DOWN, self._block(r), self._least(self._height, r, HIGH), is_panel=0)

    def _split(self, at: str, strides: int, head: str, others: Register, *, is_panel: int) -> None:
        down, across = (integer(self._word(strides + n)) for n in range(2))
        copy = self._room(pieces.COPY)
        call(self._body, "split", at, down, across, copy, head, self._count, others, integer(is_panel))

    def _place(self, base: int, strides: int, i: Register, j: Register) -> str:
        down, across = (integer(self._word(strides + n)) for n in range(2))
        return Matrix(self._word(base, "ptr"), down, across).place(self._body, i, j)

    def _least(self, size: Register, begin: Register, most: int) -> Register:
        return self._body.intrinsic("smin", self._body.sub(size, begin), most)

    def _block(self, r: Register) -> str:
        """The head of some rows."""
        return self._head(r, HIGH, 1, 0)

    def _panel(self, q: Register) -> str:
        """The head of some columns."""
        if self._back is None:
            return self._head(q, WIDE, 2, HEIGHT // HIGH)
        made, n = self._word(_B, "ptr"), integer(self._word(_N))
        return pieces.panel(self._body, made, n, self._p, pieces.divided(self._body, q, WIDE), self._count)

    def _head(self, begin: Register, most: int, units: int, blocks: int) -> str:
        """In the room past the copy and so many blocks of A, where blocks of so many units a step stand."""
        body = self._body
        steps = pieces.steps_of(body, self._count)
        before = body.add(body.mul(steps, STEP * PITCH + blocks * UNIT), pieces.COPY + blocks * HEAD)
        size = body.add(body.mul(steps, units * UNIT), HEAD)
        number = pieces.divided(body, begin, most)
        return address(body, self._room(), body.add(before, body.mul(number, size)))

    def _rows(self, i: Register) -> None:
        """Some rows of C."""
        body = self._body
        self._i, self._height = i, self._least(self._last, i, HEIGHT)
        is_there = body.and_(self._stays, body.compare("gt", self._j, 0))
        each(body, 0, body.select(is_there, 0, self._height), HIGH, self._split_rows)
        each(body, 0, self._width, WIDE, self._blocks)

    def _blocks(self, q: Register) -> None:
        """One block of C below the other."""
        body = self._body
        if self._back is not None:
            last = body.and_(body.sub(self._width, 1), -WIDE)
            q = body.select(body.compare("ne", self._back, 0), body.sub(last, q), q)
        panel, width = self._panel(q), self._least(self._width, q, WIDE)
        begins = body.select(body.compare("eq", self._p, 0), integer(1), 0)

        def one(r: Register) -> None:
            down = integer(self._word(_C_DOWN))
            to = Matrix(self._word(_C, "ptr"), down, integer(4))
            c = to.place(body, body.add(self._i, r), body.add(self._j, q))
            rows = self._least(self._height, r, HIGH)
            call(body, "block", self._block(r), panel, c, down, rows, width, begins, self._room())

        each(body, 0, self._height, HIGH, one)
