"""Numbers of float32 as sums of bfloat16, for processors that multiply tiles of these.

A float32 has 24 bits, and is the sum of three numbers of 8 bits: its nearest bfloat16, the nearest to what is left, and
what is left then. Of the nine products of such pieces the three least are below 2**-25 of the whole, where a float32 is
rounded at 2**-24: a product of two numbers is made of the six others, each of them exact. G. Henry, P. T. P. Tang and
A. Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", ARITH 2019.

Tiles take denormal numbers as 0, and pieces of infinity are no numbers. So the numbers of a block of A or B have to lie
between `_LEAST` and `_MOST`, or to be 0. Where they do not, the block is multiplied by a power of two that makes the
greatest of them great. Some may be too small even then: their products may be lost if those are nothing beside the
least float32, as where small slopes stand beside others. Elsewhere, and where not all numbers are finite, products of
the block are those of `llvm_tiles.py`. What is done follows from the numbers of a block of A and one of B alone, and
blocks are the same for every range of rows.

Pieces of A are in units of 32 rows and `STEP` terms, those of B in units of 32 columns; a unit has two tiles of each
piece. A word of a tile has two terms, half of `STEP` apart. Before the units of a block stands its head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from symgraph.codegen.llvm_memory import FLOAT32, FLOAT64, INT64, address, counting, load, store
from symgraph.codegen.llvm_tiles import call, either, integer, pick
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import BOOL, DType, dtype

HIGH = 32
"""Rows of a block of C, and what a range counts."""
WIDE = 64
"""Columns of a panel of B."""
DEPTH = 1024
"""Products that are added up in a tile."""
WIDTH = 512
"""Columns of B whose pieces are there at once."""
HEIGHT = 128
"""Rows of A whose pieces are there at once: the second cache holds them."""

STEP, SIDE = 32, 16
"""Terms of a unit; rows and words of a tile."""
TILE = 1024
UNIT = 6 * TILE
"""Bytes."""
HEAD = 192
"""Bytes; in them these have their places: where the block is, the bytes to its next row and column, its terms, what is
wrong with its numbers, what they were multiplied by, the inverse of that, and of each lane the greatest and the
smallest."""
FROM, DOWN, ACROSS, COUNT, WRONG, _SCALE, BACK, _GREATEST, _SMALLEST = 0, 8, 16, 24, 32, 40, 44, 64, 128
_SMALL, _GREAT = 1, 2
"""What may be wrong: some are too small, or too great."""
_NOTHING = 2.0**-40
"""What a product of numbers below 2**-126 may be multiplied by, for six sums of `DEPTH` to be no float32."""
PITCH = 4 * WIDE
"""Bytes of a row of copies and of sums."""
_LEAST, _MOST = 2.0**-50, 2.0**58
"""The sum of `DEPTH` products of such numbers is no more than float32 has, and those of their pieces no less."""
_EXPONENT = 127 + 57
"""Of the greatest number of a block that is multiplied, in bits."""

_FEW, _TERMS, _WORTH = 64, 64, 1 << 14
"""Rows and columns of C, terms, and numbers of C, at least: below, to make pieces takes as long as they save."""


def has_tiles(row: DType, machine: Machine) -> bool:
    """Whether products of a dtype may be made of pieces."""
    return machine.tiles and row is FLOAT32


def in_pieces(m: int, n: int, k: int) -> bool:
    """Whether a product of these sizes is: where it is sooner ready, with the pieces made."""
    return m >= _FEW and n >= _FEW and k >= _TERMS and m * n >= _WORTH


def room(m: int, n: int, k: int) -> int:
    """The bytes that a call needs."""
    is_few = m <= HEIGHT and k <= DEPTH
    rows, columns = HEIGHT // HIGH, min(-(-n // WIDE), 1 if is_few else WIDTH // WIDE)
    units = steps(min(k, DEPTH))
    return COPY + units * STEP * PITCH + (rows + columns) * HEAD + (rows + 2 * columns) * units * UNIT


def steps(k: int) -> int:
    """How many units have so many terms."""
    return -(-k // STEP)


def bytes_of_panels(n: int, k: int) -> tuple[int, int]:
    """Of the pieces of a matrix, and of the room for a copy while they are made."""
    panels, blocks = -(-n // WIDE), -(-k // DEPTH)
    return panels * (blocks * HEAD + 2 * steps(k) * UNIT), min(k, DEPTH) * PITCH


SUMS, COPY = 64, 64 + HIGH * PITCH
"""Places in the room, which begins with a number that sums are multiplied by: of a block's sums, and of a copy.
The blocks of A come after it, then those of B."""


def functions(*, quick: bool) -> Iterator[tuple[str, Callable[[Body], None], str]]:
    """The names of the functions that make pieces, what writes them, and their parameters."""
    yield "down", partial(_write_rows, quick=quick), _SPLIT
    yield "across", partial(_write_columns, quick=quick), _SPLIT
    yield "split", _write_split, f"ptr %x, i64 %down, i64 %across, ptr %copy, {_OF_BLOCK}, i64 %is_panel"


_OF_BLOCK = "ptr %head, i64 %count, i64 %others"
_SPLIT = f"ptr %from, i64 %down, {_OF_BLOCK}"
_UNSIGNED = dtype("uint32")


class _Split:
    """Pairs of vectors become pieces; on the way the greatest number and the smallest are found."""

    def __init__(self, body: Body) -> None:
        self._body = body
        scale = load(body, FLOAT32, address(body, "%head", _SCALE), 0, None)
        self._scale = body.spread(scale, SIDE)
        self.start = [body.constant(_UNSIGNED, n, SIDE) for n in (0, 0xFFFF_FFFF)]
        self.units = address(body, "%head", HEAD)

    def pair(self, xs: Sequence[Register], to: str, found: Sequence[Register]) -> list[Register]:
        """The pieces of two vectors, which stand together in words; 0 is not a small number."""
        body = self._body
        greatest, smallest = found
        given = [body.mul(x, self._scale) for x in xs]
        for z in given:
            bits = body.and_(body.as_unsigned(z), 0x7FFF_FFFF)
            greatest = body.intrinsic("umax", greatest, bits)
            smallest = body.intrinsic("umin", smallest, body.sub(bits, 1))
        for piece in range(3):
            low, high = (self._piece(z, piece) for z in given)
            word = body.or_(body.shr(low, 16), high)
            store(body, word, _UNSIGNED, address(body, to, piece * 2 * TILE), None)
            if piece < 2:
                given = [body.sub(z, body.as_float(part)) for z, part in zip(given, (low, high), strict=True)]
        return [greatest, smallest]

    def _piece(self, x: Register, n: int) -> Register:
        """The nearest bfloat16; the last piece is one."""
        bits = self._body.as_unsigned(x)
        return bits if n == 2 else self._body.and_(self._body.add(bits, 0x8000), 0xFFFF_0000)

    def leave(self, found: Sequence[Register]) -> None:
        for x, at in zip(found, (_GREATEST, _SMALLEST), strict=True):
            store(self._body, x, _UNSIGNED, address(self._body, "%head", at), None)


def _write_rows(body: Body, *, quick: bool) -> None:
    """Of so many rows, whose columns are neighbours, in units of rows; terms past the last are 0. The text that is
    compiled soonest takes each step as if it were the last."""
    split, count = _Split(body), integer("%count")
    whole = integer(0) if quick else body.and_(count, -STEP)

    def row(r: Register, found: list[Register]) -> list[Register]:
        at = address(body, "%from", body.mul(r, integer("%down")))
        to = address(body, split.units, body.mul(r, 4 * SIDE))

        def step(p: Register, found: list[Register], *, is_last: bool) -> list[Register]:
            pair = []
            for n in range(2):
                term = body.add(p, n * SIDE)
                mask = _first(body, body.sub(count, term)) if is_last else None
                pair.append(load(body, FLOAT32, address(body, at, body.mul(term, 4)), SIDE, mask))
            return split.pair(pair, address(body, to, body.mul(p, UNIT // STEP)), found)

        if not quick:
            found = body.loop(integer(0), whole, STEP, found, lambda p, given: step(p, given, is_last=False))
        return body.loop(whole, count, STEP, found, lambda p, given: step(p, given, is_last=True))

    split.leave(body.loop(integer(0), integer("%others"), 1, split.start, row))


def _write_columns(body: Body, *, quick: bool) -> None:
    """Of so many columns, which are neighbours, in units of columns; rows and columns past the last are 0. The text
    that is compiled soonest has one vector of a row after the other."""
    split, count, none = _Split(body), integer("%count"), body.constant(BOOL, 0, SIDE)
    vectors = WIDE // SIDE
    masks = [] if quick else [_first(body, body.sub(integer("%others"), n * SIDE)) for n in range(vectors)]

    def step(p: Register, found: list[Register]) -> list[Register]:
        to = address(body, split.units, body.mul(p, 2 * UNIT // STEP))

        def row(r: Register, found: list[Register]) -> list[Register]:
            terms = [body.add(body.add(p, r), n * SIDE) for n in range(2)]
            places = [address(body, "%from", body.mul(n, integer("%down"))) for n in terms]
            there = [body.spread(body.compare("lt", n, count), SIDE) for n in terms]
            line = address(body, to, body.mul(r, 4 * SIDE))

            def vector(
                at: Register | int, mask: Register, unit: Register | int, found: list[Register]
            ) -> list[Register]:
                pair = [
                    load(body, FLOAT32, address(body, place, at), SIDE, body.select(is_there, mask, none))
                    for place, is_there in zip(places, there, strict=True)
                ]
                return split.pair(pair, address(body, line, unit), found)

            def one(n: Register, found: list[Register]) -> list[Register]:
                mask = _first(body, body.sub(integer("%others"), body.mul(n, SIDE)))
                half = body.mul(body.shr(n, 1), UNIT)
                unit = body.add(half, body.mul(body.and_(n, 1), TILE))
                return vector(body.mul(n, 4 * SIDE), mask, unit, found)

            if quick:
                return body.loop(integer(0), integer(vectors), 1, found, one)
            for n, mask in enumerate(masks):
                found = vector(n * 4 * SIDE, mask, n // 2 * UNIT + n % 2 * TILE, found)
            return found

        return body.loop(integer(0), integer(SIDE), 1, found, row)

    split.leave(body.loop(integer(0), count, STEP, split.start, step))


def _first(body: Body, count: Register) -> Register:
    """A mask of so many lanes, of all, or of none."""
    return body.compare("lt", counting(SIDE), body.spread(count, SIDE))


def _write_split(body: Body) -> None:
    """The head and the pieces of a block: of so many other rows than terms, or of columns in a panel of B."""
    down, across, count, others = map(integer, ("%down", "%across", "%count", "%others"))
    is_panel, near = body.compare("ne", integer("%is_panel"), 0), body.compare("eq", across, 4)
    pitch = body.select(is_panel, integer(PITCH), body.mul(steps_of(body, count), 4 * STEP))

    def copied() -> None:
        rows, columns = body.select(is_panel, count, others), body.select(is_panel, others, count)
        call(body, "pack", "%x", down, across, "%copy", pitch, rows, columns)

    either(body, near, lambda: None, copied)
    at, to_next = pick(body, near, "%x", "%copy"), body.select(near, down, pitch)

    def split() -> None:
        given = (at, to_next, "%head", count, others)
        either(body, is_panel, lambda: call(body, "across", *given), lambda: call(body, "down", *given))

    def wrong() -> Register:
        greatest, smallest = (
            load(body, _UNSIGNED, address(body, "%head", at), SIDE, None) for at in (_GREATEST, _SMALLEST)
        )
        small = body.any(body.compare("lt", smallest, _bits(_LEAST) - 1))
        great = body.any(body.compare("gt", greatest, _bits(_MOST)))
        given = (
            body.select(Register(bit, BOOL, 0), integer(n), 0)
            for bit, n in ((small, _SMALL), (great, _GREAT))
        )
        return body.or_(*given)

    def keep(value: Register, place: int) -> None:
        store(body, value, value.row, address(body, "%head", place), None)

    def scaled() -> None:
        exponent = body.sub(_EXPONENT + 127, body.shr(_greatest(body, "%head"), 23))
        exponent = body.intrinsic("umin", exponent, 253)
        keep(body.shl(exponent, 23), _SCALE)
        keep(body.shl(body.sub(254, exponent), 23), BACK)
        split()
        keep(wrong(), WRONG)

    one = body.constant(FLOAT32, 1, 0)
    body.emit(f"store ptr %x, ptr {address(body, '%head', FROM)}, align 8")
    for value, place in ((down, DOWN), (across, ACROSS), (count, COUNT)):
        keep(value, place)
    for value, place in ((integer(0), WRONG), (one, _SCALE), (one, BACK)):
        keep(value, place)
    split()
    either(body, body.compare("ne", wrong(), 0), scaled)


def _greatest(body: Body, head: str) -> Register:
    """The bits of the greatest number of a block."""

    def lane(n: Register, given: list[Register]) -> list[Register]:
        at = address(body, address(body, head, _GREATEST), body.mul(n, 4))
        return [body.intrinsic("umax", given[0], load(body, _UNSIGNED, at, 0, None))]

    return body.loop(integer(0), integer(SIDE), 1, [body.constant(_UNSIGNED, 0, 0)], lane)[0]


def factor(body: Body, a: str, b: str) -> Register:
    """What products of two blocks are multiplied by."""
    backs = [load(body, FLOAT32, address(body, head, BACK), 0, None) for head in (a, b)]
    return body.mul(*(body.convert(x, FLOAT64) for x in backs))


def judged(body: Body, a: str, b: str) -> Register:
    """What is wrong with two blocks; 0 where what is lost is nothing."""
    wrong = [load(body, INT64, address(body, head, WRONG), 0, None) for head in (a, b)]
    every = body.or_(*wrong)

    def small(_: Register, given: list[Register]) -> list[Register]:
        lost = body.constant(FLOAT64, 1, 0)
        for own, other in zip(wrong, (b, a), strict=True):
            beside = body.convert(body.as_float(_greatest(body, other)), FLOAT64)
            beside = body.select(body.compare("eq", own, 0), 1.0, beside)
            lost = body.select(body.compare("gt", beside, lost), beside, lost)
        is_nothing = body.compare("le", body.mul(lost, factor(body, a, b)), _NOTHING)
        return [body.select(is_nothing, integer(0), every)]

    is_small = body.select(body.compare("eq", every, _SMALL), integer(1), 0)
    return body.loop(integer(0), is_small, 1, [every], small)[0]


def _bits(x: float) -> int:
    return int(np.float32(x).view(np.uint32))


def panel(body: Body, made: str, n: Register, p: Register, number: Register, count: Register) -> str:
    """Where a panel of a matrix begins, for the terms from p on, of which it has so many."""
    wide = divided(body, body.add(n, WIDE - 1), WIDE)
    units = body.add(body.mul(divided(body, p, STEP), wide), body.mul(number, steps_of(body, count)))
    heads = body.add(body.mul(divided(body, p, DEPTH), wide), number)
    return address(body, made, body.add(body.mul(units, 2 * UNIT), body.mul(heads, HEAD)))


def steps_of(body: Body, count: Register) -> Register:
    return divided(body, body.add(count, STEP - 1), STEP)


def divided(body: Body, x: Register, power: int) -> Register:
    """By a power of two."""
    return body.shr(x, power.bit_length() - 1)
