"""What a product of matrices is made of, as functions of LLVM: tiles, copies of their operands, sums along vectors.

The functions of one dtype and machine call each other as ``@matmul_what``. All strides are in bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from symgraph.codegen.llvm_memory import INT64, address, counting, load, store
from symgraph.codegen.llvm_shuffles import shuffled, transposed
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register, Value, type_of
from symgraph.graph.types import DType

ROWS = 6
"""Of a tile."""
FEW_ROWS = (1, 2, 4)
"""Of tiles for what is left."""
TURNS = 2
"""Columns of A that a tile takes in at once: code of level 0 keeps all sums in memory from turn to turn. Four would be
too many for level 2, which reads ahead until it has no registers left."""
SIDE = 8
"""Rows and columns of a square that is transposed at once, at most."""
DOTS = 4
"""Rows that are multiplied by a vector at once, each into two registers."""
TERMS = 8
"""Rows of B that a single row of A takes in at once: each is read from its beginning to its end, as memory likes it."""


class Tile(NamedTuple):
    """`ROWS` rows of so many vectors."""

    row: DType
    lanes: int
    vectors: int

    @classmethod
    def of(cls, row: DType, machine: Machine) -> Tile:
        """Of 32 registers a tile takes 24, and of 16 it takes 12."""
        many = machine.masks or machine.triple.startswith(("aarch64", "arm64"))
        return cls(row, machine.bytes // row.numpy.itemsize, 4 if many else 2)

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return self.row.numpy.itemsize

    @property
    def columns(self) -> int:
        """Of a tile, and of a panel of B."""
        return self.lanes * self.vectors

    @property
    def pitch(self) -> int:
        """Bytes from a row of a panel to the next."""
        return self.columns * self.size

    @property
    def bytes(self) -> int:
        return ROWS * self.pitch


def functions(
    tile: Tile, machine: Machine, *, quick: bool, panels: bool = False, dots: bool = False
) -> Iterator[tuple[str, frozenset[str]]]:
    """The texts of the functions, and what they declare. The ``quick`` ones are compiled soonest: those without which
    nothing goes. Some are not needed where B lies in ``panels``, and the sums along vectors, ``dots``, only where one
    factor is a vector."""
    yield from needed(tile, machine, quick=quick)
    for rows, vectors in () if quick else ((ROWS, 1), *((rows, tile.vectors) for rows in FEW_ROWS)):
        yield _product(tile, machine, rows, vectors, quick=quick)
    if not quick and not panels:
        body = Body(fma=machine.fma)
        _write_product(body, tile, ROWS, tile.vectors, keeps=True)
        yield function(body, KEEPING, f"{_PRODUCT}, ptr %kept")
    for name, parameters, write in (
        ("unpack", _UNPACK, _write_unpack),
        *([("dots", _DOTS, _write_dots)] if dots else []),
        *([] if quick or panels else [("row", _ROW, _write_row)]),
    ):
        body = Body(fma=machine.fma)
        write(body, tile)
        yield function(body, name, parameters)


def needed(tile: Tile, machine: Machine, *, quick: bool) -> Iterator[tuple[str, frozenset[str]]]:
    """Of these the product of a whole tile and the copy of an operand."""
    yield _product(tile, machine, ROWS, tile.vectors, quick=quick)
    body = Body(fma=machine.fma)
    _write_pack(body, tile, quick=quick)
    yield function(body, "pack", _PACK)


def _product(
    tile: Tile, machine: Machine, rows: int, vectors: int, *, quick: bool
) -> tuple[str, frozenset[str]]:
    body = Body(fma=machine.fma)
    zeros = f"[{tile.columns} x {type_of(tile.row, 0)}] zeroinitializer"
    body.declared.add(f"@matmul_zeros = private constant {zeros}")
    _write_product(body, tile, rows, vectors, turns=TURNS if rows == ROWS and not quick else 1)
    return function(body, product(rows, vectors), _PRODUCT)


def product(rows: int, vectors: int) -> str:
    """The name of the function for tiles of so many rows and vectors."""
    return f"{rows}x{vectors}"


def function(
    body: Body, name: str, parameters: str, linkage: str = "internal "
) -> tuple[str, frozenset[str]]:
    """The text of a function with these lines, and what it declares."""
    body.emit("ret void")
    lines = "\n".join(body.lines)
    head = f"define {linkage}void @matmul{name and '_'}{name}({parameters})"
    return f"{head} #0 {{\nentry:\n{lines}\n}}\n", frozenset(body.declared)


def call(body: Body, name: str, *given: str | Register) -> None:
    """A call of one of the functions, or of a pointer to one: addresses are texts."""
    texts = [f"ptr {x}" if isinstance(x, str) else f"i64 {x.text}" for x in given]
    callee = name if name.startswith("%") else f"@matmul_{name}"
    body.emit(f"call void {callee}({', '.join(texts)})")


def integer(value: str | int) -> Register:
    """An i64 by its name, or by its value."""
    return Register(str(value), INT64, 0)


def word(body: Body, n: int, type_: str) -> str:
    """One of the table of a product."""
    return body.named(f"load {type_}, ptr {address(body, '%table', 8 * n)}, align 8")


def each(body: Body, start: Value, stop: Register, step: Value, turn: Callable[[Register], None]) -> None:
    """A loop that carries nothing."""

    def inside(n: Register, given: list[Register]) -> list[Register]:
        turn(n)
        return given

    body.loop(start, stop, step, [], inside)


def either(
    body: Body, mask: Register, then: Callable[[], None], other: Callable[[], None] = lambda: None
) -> None:
    """The lines of one where a bit is set, else those of the other."""
    first, second, after = body.label("then"), body.label("else"), body.label("after")
    body.emit(f"br i1 {mask.text}, label %{first}, label %{second}")
    for label, lines in ((first, then), (second, other)):
        body.begin(label)
        lines()
        body.emit(f"br label %{after}")
    body.begin(after)


def pick(body: Body, mask: Register, x: str, y: str) -> str:
    """One address where a bit is set, else the other."""
    return body.named(f"select i1 {mask.text}, ptr {x}, ptr {y}")


# Tiles

_PRODUCT = (
    "ptr %a, i64 %last, i64 %a_down, i64 %a_across, ptr %b, i64 %b_down, i64 %k, "
    "ptr %c, i64 %c_down, ptr %base, i64 %base_down"
)


KEEPING = "keeping"
"""The name of the function for whole tiles that copies the rows of B it reads into a panel."""


def _write_product(
    body: Body, tile: Tile, rows: int, vectors: int, *, turns: int = 1, keeps: bool = False
) -> None:
    """``c = base + a @ b``, where columns of b, c and base are neighbours; rows past the last are the last one again,
    and computed and written again. So many turns stand one after the other. It ``keeps`` b where it was asked to."""
    a, c, base = (
        [_row(body, at, n, down) for n in range(rows)]
        for at, down in (("%a", "%a_down"), ("%c", "%c_down"), ("%base", "%base_down"))
    )
    places = list(itertools.product(range(rows), range(vectors)))

    def vector(at: str, n: int) -> Register:
        return load(body, tile.row, address(body, at, n * tile.lanes * tile.size), tile.lanes, None)

    def turn(p: Register, given: list[Register]) -> list[Register]:
        x, y, sums = given[0], given[1], given[2:]
        at = address(body, "%b", y)
        terms = [vector(at, n) for n in range(vectors)]
        if keeps:
            to = address(body, "%kept", body.mul(p, tile.pitch))
            for n, term in enumerate(terms):
                store(body, term, tile.row, address(body, to, n * tile.lanes * tile.size), None)
        new = []
        for n in range(rows):
            factor = body.spread(load(body, tile.row, address(body, a[n], x), 0, None), tile.lanes)
            some = sums[vectors * n : vectors * (n + 1)]
            new += [body.fma(factor, term, before) for term, before in zip(terms, some, strict=True)]
        return [body.add(x, integer("%a_across")), body.add(y, integer("%b_down")), *new]

    def some(n: Register, given: list[Register]) -> list[Register]:
        for _ in range(turns):
            given = turn(n, given)
        return given

    zero = body.constant(tile.row, 0, tile.lanes)
    start, carried = integer(0), [integer(0), integer(0), *[zero] * len(places)]
    if turns > 1:
        whole = body.and_(integer("%k"), -turns)
        start, carried = whole, body.loop(start, whole, turns, carried, some)
    sums = body.loop(start, integer("%k"), 1, carried, turn)[2:]
    found = [body.add(vector(base[i], j), x) for (i, j), x in zip(places, sums, strict=True)]
    for (i, j), x in zip(places, found, strict=True):
        store(body, x, tile.row, address(body, c[i], j * tile.lanes * tile.size), None)


def _row(body: Body, at: str, n: int, down: str) -> str:
    """Where a row begins, or the last one."""
    if not n:
        return at
    return address(body, at, body.mul(body.intrinsic("smin", integer("%last"), n), integer(down)))


_ROW = "ptr %a, i64 %a_across, ptr %b, i64 %b_down, i64 %k, ptr %c, i64 %begins, ptr %sums, i64 %width"


def _write_row(body: Body, tile: Tile) -> None:
    """``c = a @ b``, added to what is there unless it ``begins``, for one row a; columns of b and c are neighbours, and
    the sums are whole vectors."""
    width, k = integer("%width"), integer("%k")
    zero = body.constant(tile.row, 0, tile.lanes)

    def columns(turn: Callable[[Register, Register | None], None]) -> None:
        whole = body.and_(width, -tile.lanes)
        each(body, 0, whole, tile.lanes, lambda j: turn(body.mul(j, tile.size), None))
        each(
            body,
            whole,
            width,
            tile.lanes,
            lambda j: turn(body.mul(j, tile.size), _first(body, tile, width, j)),
        )

    def vector(at: str, offset: Register, mask: Register | None) -> Register:
        return load(body, tile.row, address(body, at, offset), tile.lanes, mask)

    def keep(x: Register, offset: Register) -> None:
        store(body, x, tile.row, address(body, "%sums", offset), None)

    def terms(p: Register, count: int) -> None:
        numbers = [body.add(p, n) for n in range(count)]
        places = [address(body, "%a", body.mul(n, integer("%a_across"))) for n in numbers]
        factors = [body.spread(load(body, tile.row, at, 0, None), tile.lanes) for at in places]
        rows = [address(body, "%b", body.mul(n, integer("%b_down"))) for n in numbers]

        def take(offset: Register, mask: Register | None) -> None:
            total = vector("%sums", offset, None)
            for factor, row in zip(factors, rows, strict=True):
                total = body.fma(factor, vector(row, offset, mask), total)
            keep(total, offset)

        columns(take)

    def give(offset: Register, mask: Register | None, base: Register | None = None) -> None:
        base = zero if base is None else base
        found = body.add(base, vector("%sums", offset, None))
        store(body, found, tile.row, address(body, "%c", offset), mask)

    columns(lambda offset, _: keep(zero, offset))
    whole = body.and_(k, -TERMS)
    each(body, 0, whole, TERMS, lambda p: terms(p, TERMS))
    each(body, whole, k, 1, lambda p: terms(p, 1))
    either(
        body,
        body.compare("ne", integer("%begins"), 0),
        lambda: columns(give),
        lambda: columns(lambda offset, mask: give(offset, mask, vector("%c", offset, mask))),
    )


# Copies

_PACK = "ptr %from, i64 %down, i64 %across, ptr %to, i64 %pitch, i64 %count, i64 %width"


def _write_pack(body: Body, tile: Tile, *, quick: bool) -> None:
    """Rows of any strides to rows of whole vectors; where it is ``quick``, columns number by number."""

    def others() -> None:
        done = integer(0) if quick else in_squares()
        each(body, done, integer("%count"), 1, numbers)

    def in_squares() -> Register:
        near = body.compare("eq", integer("%down"), tile.size)
        side = min(tile.lanes, SIDE)
        squares = body.select(near, body.and_(integer("%count"), -side), 0)
        each(body, 0, integer("%width"), side, lambda j: _write_squares(body, tile, j, squares))
        return squares

    def numbers(i: Register) -> None:
        x, y = _ends(body, i, "%down", "%pitch")

        def number(j: Register) -> None:
            found = load(body, tile.row, address(body, x, body.mul(j, integer("%across"))), 0, None)
            store(body, found, tile.row, address(body, y, body.mul(j, tile.size)), None)

        each(body, 0, integer("%width"), 1, number)

    def vectors(i: Register) -> None:
        x, y = _ends(body, i, "%down", "%pitch")

        def vector(j: Register, mask: Register | None) -> None:
            at = body.mul(j, tile.size)
            found = load(body, tile.row, address(body, x, at), tile.lanes, mask)
            store(body, found, tile.row, address(body, y, at), None)

        width = integer("%width")
        whole = body.and_(width, -tile.lanes)
        each(body, 0, whole, tile.lanes, lambda j: vector(j, None))
        each(body, whole, width, tile.lanes, lambda j: vector(j, _first(body, tile, width, j)))

    is_near = body.compare("eq", integer("%across"), tile.size)
    either(body, is_near, lambda: each(body, 0, integer("%count"), 1, vectors), others)


def _write_squares(body: Body, tile: Tile, j: Register, stop: Register) -> None:
    """Columns from one on to columns, where rows are neighbours; those past the last are the last one again."""
    side = min(tile.lanes, SIDE)
    last = body.sub(integer("%width"), 1)
    columns = [body.intrinsic("smin", body.add(j, n), last) for n in range(side)]
    bases = [address(body, "%from", body.mul(n, integer("%across"))) for n in columns]
    left = address(body, "%to", body.mul(j, tile.size))

    def square(i: Register) -> None:
        at = body.mul(i, tile.size)
        lines = [load(body, tile.row, address(body, base, at), side, None) for base in bases]
        to = address(body, left, body.mul(i, integer("%pitch")))
        for n, line in enumerate(transposed(body, lines)):
            store(body, line, tile.row, address(body, to, body.mul(integer("%pitch"), n)), None)

    each(body, 0, stop, side, square)


_UNPACK = "ptr %from, i64 %pitch, ptr %to, i64 %down, i64 %count, i64 %width"


def _write_unpack(body: Body, tile: Tile) -> None:
    """Rows of whole vectors to rows of neighbours."""

    def row(i: Register) -> None:
        x, y = _ends(body, i, "%pitch", "%down")

        def vector(j: Register) -> None:
            at = body.mul(j, tile.size)
            found = load(body, tile.row, address(body, x, at), tile.lanes, None)
            store(body, found, tile.row, address(body, y, at), _first(body, tile, integer("%width"), j))

        each(body, 0, integer("%width"), tile.lanes, vector)

    each(body, 0, integer("%count"), 1, row)


def _ends(body: Body, i: Register, down: str, to_down: str) -> tuple[str, str]:
    """Where a row is, and where it goes."""
    return (
        address(body, "%from", body.mul(i, integer(down))),
        address(body, "%to", body.mul(i, integer(to_down))),
    )


# Sums along vectors

_DOTS = "ptr %a, i64 %down, ptr %x, i64 %k, ptr %c, i64 %c_down, i64 %first, i64 %last"


def _write_dots(body: Body, tile: Tile) -> None:
    """The products of rows from the first to the last with a vector, where neighbours are multiplied by neighbours."""
    k, end = integer("%k"), integer("%last")

    def rows(i: Register) -> None:
        last = body.sub(end, 1)
        numbers = [body.intrinsic("smin", body.add(i, n), last) for n in range(DOTS)]
        bases = [address(body, "%a", body.mul(n, integer("%down"))) for n in numbers]

        def take(n: Register, sums: Sequence[Register], mask: Register | None) -> list[Register]:
            at = body.mul(n, tile.size)
            x = load(body, tile.row, address(body, "%x", at), tile.lanes, mask)
            terms = [load(body, tile.row, address(body, base, at), tile.lanes, mask) for base in bases]
            return [body.fma(x, term, before) for term, before in zip(terms, sums, strict=True)]

        def pair(n: Register, sums: list[Register]) -> list[Register]:
            first = take(n, sums[:DOTS], None)
            return [*first, *take(body.add(n, tile.lanes), sums[DOTS:], None)]

        def rest(n: Register, sums: list[Register]) -> list[Register]:
            return take(n, sums, _first(body, tile, k, n))

        zeros = [body.constant(tile.row, 0, tile.lanes)] * (2 * DOTS)
        whole = body.and_(k, -2 * tile.lanes)
        sums = body.loop(integer(0), whole, 2 * tile.lanes, zeros, pair)
        sums = [body.add(x, y) for x, y in zip(sums[:DOTS], sums[DOTS:], strict=True)]
        for n, x in zip(numbers, body.loop(whole, k, tile.lanes, sums, rest), strict=True):
            at = address(body, "%c", body.mul(n, integer("%c_down")))
            store(body, _total(body, x), tile.row, at, None)

    each(body, integer("%first"), end, DOTS, rows)


# Lanes


def _first(body: Body, tile: Tile, stop: Register, start: Register) -> Register:
    """A mask of the lanes between two numbers, or of all, or of none."""
    return body.compare("lt", counting(tile.lanes), body.spread(body.sub(stop, start), tile.lanes))


def _total(body: Body, x: Register) -> Register:
    """The sum of all lanes: halves are added up again and again."""
    while x.lanes > 1:
        half = x.lanes // 2
        x = body.add(shuffled(body, x, x, range(half)), shuffled(body, x, x, range(half, x.lanes)))
    return Register(body.named(f"extractelement {x.type} {x.text}, i64 0"), x.row, 0)
