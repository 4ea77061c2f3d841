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

from collections.abc import Callable, Iterable, Sequence
from functools import cache as once
from hashlib import sha256
from typing import Any

from symgraph.codegen import llvm_pieces as pieces
from symgraph.codegen import llvm_squares as squares
from symgraph.codegen.llvm_gemm import BLOCKS, DEPTH, HEIGHT, WIDTH, Blocks
from symgraph.codegen.llvm_memory import address
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.llvm_tiles import (
    ROWS,
    Tile,
    call,
    each,
    either,
    function,
    functions,
    integer,
    pick,
    word,
)
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.codegen.x86_ready import mark, name_of
from symgraph.graph.dims import Dim, dim_max, dim_min
from symgraph.graph.types import DType


def print_matmul(
    row: DType,
    machine: Machine,
    *,
    many: bool = False,
    quick: bool = False,
    dots: bool = True,
    cut: bool = False,
    ready: bool = False,
) -> Native:
    """The function for float32 or float64; its name follows from its text. With ``quick`` the text is the one that is
    compiled soonest: of the functions for a tile it has one, and reads B where it lies whenever it can. Without
    ``dots`` it is a shorter one for products in which neither A is one row nor B one column. That for products which
    `is_cut` is another one, without dots, whose range counts blocks of `symgraph.codegen.llvm_pieces.HIGH` rows. The
    ``quick`` text may be a mark of code that is ``ready``, where there is some.

    The one of ``many`` products takes a range of them. Its table goes on with 8 bytes for each of these: how many there
    are in a group, the bytes from an A, B and C of a group to the next, and those from a group to the next.
    """
    kind = f"{row.short}{' many' * many}{' dots' * dots}{' cut' * cut}"
    return named(
        lambda quick: _text(row, machine, many=many, quick=quick, dots=dots, cut=cut),
        quick=quick,
        ready=name_of(kind, machine) if quick and ready else None,
    )


def named(
    texts: Callable[[bool], tuple[str, frozenset[str]]], *, quick: bool, ready: str | None = None
) -> Native:
    """The functions of a text, which begin with "matmul", under names that follow from it; ``quick`` is the one that is
    compiled soonest, with the other to come, or a mark where there is code of that name ``ready``."""
    if ready is not None:
        return Native(ready, f"{mark(ready)}\n", frozenset(), once(lambda: _named(ready, *texts(False))))
    first = texts(quick)
    name = f"matmul_{sha256(first[0].encode()).hexdigest()[:16]}"
    return _named(name, *first)._replace(slow=once(lambda: _named(name, *texts(False))) if quick else None)


def _named(name: str, text: str, declared: Iterable[str]) -> Native:
    lines = frozenset(line.replace("@matmul", f"@{name}") for line in declared)
    return Native(name, text.replace("@matmul", f"@{name}"), lines)


def _text(
    row: DType, machine: Machine, *, many: bool, quick: bool, dots: bool, cut: bool
) -> tuple[str, frozenset[str]]:
    """The functions, whose names begin with "matmul", and what they declare."""
    tile = Tile.of(row, machine)
    body, entry, all_ = (Body(fma=machine.fma) for _ in range(3))
    if cut:
        squares.Pieces(entry, *rows_of(entry, integer(word(entry, 4, "i64")), pieces.HIGH)).write()
        parts = [*squares.functions(tile, machine, quick=quick)]
    else:
        Blocks(body, tile, quick=quick).write()
        _write_entry(entry, tile, dots=dots)
        parts = [*functions(tile, machine, quick=quick, dots=dots), function(body, "blocks", BLOCKS)]
    if many:
        _write_many(all_)
        parts += [function(entry, "one", RANGE), function(all_, "", RANGE, linkage="")]
    else:
        parts.append(function(entry, "", RANGE, linkage=""))
    return joined(parts)


def joined(parts: Sequence[tuple[str, frozenset[str]]]) -> tuple[str, frozenset[str]]:
    """The texts of functions as one, and all that they declare."""
    return "\n".join(text for text, _ in parts), frozenset(line for _, lines in parts for line in lines)


def is_cut(m: Dim, n: Dim, k: Dim, row: DType, machine: Machine) -> bool:
    """Whether a product is made of pieces of its numbers; where a processor could, its sizes are known."""
    return (
        pieces.has_tiles(row, machine)
        and isinstance(m, int)
        and isinstance(n, int)
        and isinstance(k, int)
        and pieces.in_pieces(m, n, k)
    )


def blocks(m: Dim, *, cut: bool = False) -> Any:
    """The end of the range that is all of C."""
    return -(-m // (pieces.HIGH if cut else ROWS))


def room(m: Dim, n: Dim, k: Dim, row: DType, machine: Machine, *, cut: bool = False) -> Any:
    """The bytes of room that a call with these sizes needs, whatever its strides; of sizes that may be 1, the more."""
    if cut:
        assert isinstance(m, int) and isinstance(n, int) and isinstance(k, int)
        return pieces.room(m, n, k)
    tile = Tile.of(row, machine)
    wide = m if n == 1 else n if isinstance(n, int) else dim_max(m, n)
    panels = -(-dim_min(wide, WIDTH) // tile.columns)
    depth = dim_min(k, DEPTH)
    copies = depth * HEIGHT * tile.size + dim_max(depth, 1) * panels * tile.pitch
    vector = k * tile.size if any(size == 1 or not isinstance(size, int) for size in (m, n)) else 0
    return tile.bytes + dim_max(copies, vector)


RANGE = "ptr %table, i64 %begin, i64 %end"
_WORDS = 12
"""Of the table of one product."""


def _write_many(body: Body) -> None:
    """A table for each product, and its call."""
    own = body.named(f"alloca [{_WORDS} x i64]")
    words = [integer(word(body, n, "i64")) for n in range(_WORDS + 7)]
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


def _write_entry(body: Body, tile: Tile, *, dots: bool) -> None:
    """Finds out what kind of product it is; without ``dots`` there is one kind."""
    a, b, c, room = (word(body, n, "ptr") for n in range(4))
    m, n, k, a_down, a_across, b_down, b_across, c_down = (
        integer(word(body, n, "i64")) for n in range(4, 12)
    )
    first, last = rows_of(body, m)

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

    either(body, body.compare("lt", first, last), some if dots else usual)


def rows_of(body: Body, m: Register, each: int = ROWS) -> tuple[Register, Register]:
    """The first row of the range, and the one after the last."""
    first = body.mul(integer("%begin"), each)
    return first, body.intrinsic("smin", body.mul(integer("%end"), each), m)


def _side_by_side(body: Body, tile: Tile, x: str, stride: Register, k: Register, room: str) -> str:
    """A vector whose numbers are neighbours: itself, or a copy in the room."""
    copy, size = address(body, room, tile.bytes), integer(tile.size)
    near = body.compare("eq", stride, size)
    either(
        body, near, lambda: None, lambda: call(body, "pack", x, stride, integer(0), copy, size, k, integer(1))
    )
    return pick(body, near, x, copy)
