"""Products of matrices as LLVM IR: ``C = A @ B`` of any sizes and strides in one function.

The function is called as a kernel is, for a range of blocks of `ROWS` rows of C::

    void matmul_0(ptr table, i64 begin, i64 end)

The table has 8 bytes for each of these: the addresses of A, of B, of C, and of the room; m, n and k, where A is m by k and
B is k by n; the bytes from a row of A to the next, from a column of A to the next, the same two of B, and from a row
of C to the next. Columns of C are neighbours, and C shares no memory with the rest. Calls that run at the same time need
a room each.

The algorithm is that of K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS
34(3), 2008, with the loops around the kernel as in F. Van Zee and R. van de Geijn, "BLIS: a framework for rapidly
instantiating BLAS functionality", ACM TOMS 41(3), 2015. A tile of C stays in registers while `DEPTH` columns of A and
rows of B go by. B is copied before into panels that are as wide as a tile, and A, where its columns are not neighbours,
into blocks. Rows of A past the last are the last one again, and a tile that reaches past the last column is computed
in the room.

Every number of C is a sum of sums of `DEPTH` products, each added up one by one; that of a matrix and a vector whose
products lie side by side is added up in vectors. The order is the same for every range, and nothing is skipped: NaN and
infinity come out as IEEE 754 has it, and what has no terms is 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from symgraph.codegen.llvm_memory import INT64, address, counting, load, store
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register, type_of
from symgraph.graph.types import DType

ROWS = 6
"""Of a tile."""
DEPTH = 256
"""Products that are added up in a register."""
HEIGHT = 16 * ROWS
"""Rows of a block of A, which the second cache holds."""
WIDTH = 1024
"""Columns of a block of B, which the last cache holds."""
SIDE = 8
"""Rows and columns of a square that is transposed at once, at most."""
TURNS = 2
"""Columns of A that a tile takes in at once: where registers are kept in memory from turn to turn, turns are dear."""
FEW = 5
"""So many rows, or fewer, are not worth the copying of B."""


def print_matmul(row: DType, machine: Machine) -> Native:
    """The function for float32 or float64; its name follows from its text."""
    printer = _Printer(_Tile.of(row, machine), machine)
    text = "\n".join(printer.functions())
    name = f"matmul_{sha256(text.encode()).hexdigest()[:16]}"
    declared = frozenset(line.replace("@matmul", f"@{name}") for line in printer.declared)
    return Native(name, text.replace("@matmul", f"@{name}"), declared)


def blocks(m: int) -> int:
    """The end of the range that is all of C."""
    return -(-m // ROWS)


def room(m: int, n: int, k: int, row: DType, machine: Machine) -> int:
    """The bytes of room that a call with these sizes needs, whatever the strides."""
    tile = _Tile.of(row, machine)
    panels = -(-min(max(m if n == 1 else n, 1), WIDTH) // tile.columns)
    return tile.room_of_b + max(panels * tile.panel, k * tile.size)


@dataclass(frozen=True, slots=True)
class _Tile:
    """`ROWS` rows of so many vectors, and what follows from it."""

    row: DType
    lanes: int
    vectors: int

    @classmethod
    def of(cls, row: DType, machine: Machine) -> _Tile:
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
    def panel(self) -> int:
        """Bytes of a panel."""
        return DEPTH * self.pitch

    @property
    def room_of_a(self) -> int:
        """Where the block of A begins in the room, after one tile."""
        return ROWS * self.pitch

    @property
    def room_of_b(self) -> int:
        return self.room_of_a + DEPTH * HEIGHT * self.size


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Where a matrix is, and the bytes from a row to the next and from a column to the next."""

    at: str
    down: Register
    across: Register


class _Printer:
    """The functions of a product; they call each other as ``@matmul_what``."""

    def __init__(self, tile: _Tile, machine: Machine) -> None:
        self._tile, self._machine = tile, machine
        self._side = min(tile.lanes, SIDE)
        self.declared: set[str] = set()

    def functions(self) -> list[str]:
        tile = self._tile
        zeros = f"[{tile.columns * 4} x {type_of(tile.row, 0)}]"
        self.declared.add(f"@matmul_zeros = private constant {zeros} zeroinitializer")
        return [
            self._product(ROWS, tile.vectors),
            self._product(ROWS, 1),
            self._product(3, tile.vectors),
            self._product(1, tile.vectors),
            self._product(1, 4 * tile.vectors),
            self._function("pack", _PACK, self._pack),
            self._function("unpack", _UNPACK, self._unpack),
            self._function("dots", _DOTS, self._dots),
            self._function("blocks", _BLOCKS, self._blocks),
            self._function("", "ptr %table, i64 %begin, i64 %end", self._entry),
        ]

    def _function(self, what: str, parameters: str, write: Callable[[Body], None]) -> str:
        body = Body(fma=self._machine.fma)
        write(body)
        body.emit("ret void")
        self.declared |= body.declared
        lines = "\n".join(body.lines)
        head = f"internal void @matmul_{what}" if what else "void @matmul"
        return f"define {head}({parameters}) #0 {{\nentry:\n{lines}\n}}\n"

    # Tiles

    def _product(self, rows: int, vectors: int) -> str:
        """``c = base + a @ b`` for so many rows, or fewer: those past the last are the last one again."""
        tile = self._tile
        places = list(itertools.product(range(rows), range(vectors)))

        def rows_of(body: Body, base: str, stride: str) -> list[str]:
            last = _int("%last")
            numbers = [body.intrinsic("smin", last, n) if n else _int("0") for n in range(rows)]
            return [
                address(body, base, body.mul(n, _int(stride))) if n.text != "0" else base for n in numbers
            ]

        def vector(body: Body, at: str, n: int) -> Register:
            return load(body, tile.row, address(body, at, n * tile.lanes * tile.size), tile.lanes, None)

        def write(body: Body) -> None:
            a, c, base = (
                rows_of(body, at, stride)
                for at, stride in (("%a", "%a_down"), ("%c", "%c_down"), ("%base", "%base_down"))
            )

            def turn(_: Register, given: list[Register]) -> list[Register]:
                x, y, sums = given[0], given[1], given[2:]
                at = address(body, "%b", y)
                terms = [vector(body, at, j) for j in range(vectors)]
                new = []
                for i in range(rows):
                    number = load(body, tile.row, address(body, a[i], x), 0, None)
                    factor = body.spread(number, tile.lanes)
                    new += [body.fma(factor, terms[j], sums[vectors * i + j]) for j in range(vectors)]
                return [body.add(x, _int("%a_across")), body.add(y, _int("%b_down")), *new]

            def turns(n: Register, given: list[Register]) -> list[Register]:
                for _ in range(TURNS):
                    given = turn(n, given)
                return given

            carried = [_int("0"), _int("0"), *[body.constant(tile.row, 0, tile.lanes)] * len(places)]
            begin = _int("0")
            if rows == ROWS:
                stop = body.and_(_int("%k"), -TURNS)
                begin, carried = stop, body.loop(begin, stop, TURNS, carried, turns)
            sums = body.loop(begin, _int("%k"), 1, carried, turn)[2:]
            found = [body.add(vector(body, base[i], j), x) for (i, j), x in zip(places, sums, strict=True)]
            for (i, j), x in zip(places, found, strict=True):
                store(body, x, tile.row, address(body, c[i], j * tile.lanes * tile.size), None)

        return self._function(f"{rows}x{vectors}", _PRODUCT, write)

    # Copies

    def _pack(self, body: Body) -> None:
        """Rows of a width to rows of whole vectors, in which neighbours are neighbours."""
        tile, count, width = self._tile, _int("%count"), _int("%width")
        size = _int(str(tile.size))

        def rows() -> None:
            def whole(j: Register, n: str, to: str) -> None:
                at = body.mul(j, tile.size)
                x = load(body, tile.row, address(body, n, at), tile.lanes, None)
                store(body, x, tile.row, address(body, to, at), None)

            def part(j: Register, n: str, to: str) -> None:
                at = body.mul(j, tile.size)
                mask = body.compare("lt", counting(tile.lanes), body.spread(body.sub(width, j), tile.lanes))
                x = load(body, tile.row, address(body, n, at), tile.lanes, mask)
                store(body, x, tile.row, address(body, to, at), None)

            def one(i: Register) -> None:
                n = address(body, "%from", body.mul(i, _int("%down")))
                to = address(body, "%to", body.mul(i, _int("%pitch")))
                middle = body.and_(width, -tile.lanes)
                _each(body, 0, middle, tile.lanes, lambda j: whole(j, n, to))
                _each(body, middle, width, tile.lanes, lambda j: part(j, n, to))

            _each(body, 0, count, 1, one)

        def others() -> None:
            near = body.compare("eq", _int("%down"), size)
            turned = body.select(near, body.and_(count, -self._side), 0)
            _each(body, 0, width, self._side, lambda j: self._turned(body, j, turned))

            def one(i: Register) -> None:
                n = address(body, "%from", body.mul(i, _int("%down")))
                to = address(body, "%to", body.mul(i, _int("%pitch")))

                def number(j: Register) -> None:
                    x = load(body, tile.row, address(body, n, body.mul(j, _int("%across"))), 0, None)
                    store(body, x, tile.row, address(body, to, body.mul(j, size)), None)

                _each(body, 0, width, 1, number)

            _each(body, turned, count, 1, one)

        _either(body, body.compare("eq", _int("%across"), size), rows, others)

    def _turned(self, body: Body, j: Register, stop: Register) -> None:
        """Columns from one on as rows, where rows are neighbours; those past the last are the last one again."""
        tile, side = self._tile, self._side
        last = body.sub(_int("%width"), 1)
        columns = [body.intrinsic("smin", body.add(j, n), last) for n in range(side)]
        bases = [address(body, "%from", body.mul(n, _int("%across"))) for n in columns]
        left = address(body, "%to", body.mul(j, tile.size))

        def square(i: Register) -> None:
            at = body.mul(i, tile.size)
            lines = [load(body, tile.row, address(body, base, at), side, None) for base in bases]
            to = address(body, left, body.mul(i, _int("%pitch")))
            for n, line in enumerate(_transposed(body, lines)):
                store(body, line, tile.row, address(body, to, body.mul(_int("%pitch"), n)), None)

        _each(body, 0, stop, side, square)

    def _unpack(self, body: Body) -> None:
        """Rows of whole vectors to rows of a width."""
        tile, width = self._tile, _int("%width")

        def one(i: Register) -> None:
            n = address(body, "%from", body.mul(i, _int("%pitch")))
            to = address(body, "%to", body.mul(i, _int("%down")))

            def part(j: Register) -> None:
                at = body.mul(j, tile.size)
                mask = body.compare("lt", counting(tile.lanes), body.spread(body.sub(width, j), tile.lanes))
                x = load(body, tile.row, address(body, n, at), tile.lanes, None)
                store(body, x, tile.row, address(body, to, at), mask)

            _each(body, 0, width, tile.lanes, part)

        _each(body, 0, _int("%count"), 1, one)

    # Products with a vector

    def _dots(self, body: Body) -> None:
        """The sums of the products of rows with a vector, where what is multiplied lies side by side."""
        tile, k = self._tile, _int("%k")
        rows, pairs = 4, 2
        step = pairs * tile.lanes

        def some(i: Register) -> None:
            last = body.sub(_int("%end"), 1)
            numbers = [body.intrinsic("smin", body.add(i, n), last) for n in range(rows)]
            bases = [address(body, "%a", body.mul(n, _int("%down"))) for n in numbers]

            def take(at: Register, sums: Sequence[Register], mask: Register | None) -> list[Register]:
                x = load(body, tile.row, address(body, "%x", at), tile.lanes, mask)
                terms = [load(body, tile.row, address(body, base, at), tile.lanes, mask) for base in bases]
                return [body.fma(x, y, s) for y, s in zip(terms, sums, strict=True)]

            def turn(n: Register, sums: list[Register]) -> list[Register]:
                at = body.mul(n, tile.size)
                parts = [sums[rows * p : rows * (p + 1)] for p in range(pairs)]
                new = [take(body.add(at, p * tile.lanes * tile.size), parts[p], None) for p in range(pairs)]
                return list(itertools.chain(*new))

            def rest(n: Register, sums: list[Register]) -> list[Register]:
                mask = body.compare("lt", counting(tile.lanes), body.spread(body.sub(k, n), tile.lanes))
                return take(body.mul(n, tile.size), sums, mask)

            zeros = [body.constant(tile.row, 0, tile.lanes)] * (rows * pairs)
            middle = body.and_(k, -step)
            sums = body.loop(_int("0"), middle, step, zeros, turn)
            first = [body.add(x, y) for x, y in zip(sums[:rows], sums[rows:], strict=True)]
            for number, x in zip(numbers, body.loop(middle, k, tile.lanes, first, rest), strict=True):
                store(
                    body,
                    _total(body, x),
                    tile.row,
                    address(body, "%c", body.mul(number, _int("%c_down"))),
                    None,
                )

        _each(body, _int("%begin"), _int("%end"), rows, some)

    # Blocks

    def _entry(self, body: Body) -> None:
        """Finds out what kind of product it is."""
        tile = self._tile
        a, b, c, room = (self._word(body, n, "ptr") for n in range(4))
        m, n, k, a_down, a_across, b_down, b_across, c_down = (
            _int(self._word(body, n, "i64")) for n in range(4, 12)
        )
        size = _int(str(tile.size))
        first = body.mul(_int("%begin"), ROWS)
        last = body.intrinsic("smin", body.mul(_int("%end"), ROWS), m)
        ranged = body.compare("lt", first, last)

        def one_column() -> None:
            def dots() -> None:
                x = self._side_by_side(body, b, b_down, k, room)
                self._call(body, "dots", a, a_down, x, k, c, c_down, first, last)

            def others() -> None:
                whole = body.compare("eq", a_down, size)
                whole = body.and_(whole, body.compare("eq", c_down, size))
                whole = body.and_(whole, body.compare("gt", m, 1))

                def turned() -> None:
                    """The transposed product, of one row."""
                    start = body.mul(first, tile.size)
                    self._call(
                        body, "blocks", b, b_across, b_down, address(body, a, start), a_across, a_down,
                        address(body, c, start), c_down, room, _int("1"), body.sub(last, first), k, _int("0"), _int("1"),
                    )  # fmt: skip

                _either(body, whole, turned, usual)

            _either(body, body.compare("eq", a_across, size), dots, others)

        def one_row() -> None:
            def dots() -> None:
                x = self._side_by_side(body, a, a_across, k, room)
                self._call(body, "dots", b, b_across, x, k, c, size, _int("0"), n)

            near = body.compare("eq", b_down, size)
            far = body.compare("ne", b_across, size)
            _either(body, body.and_(near, far), dots, usual)

        def usual() -> None:
            self._call(
                body,
                "blocks",
                a,
                a_down,
                a_across,
                b,
                b_down,
                b_across,
                c,
                c_down,
                room,
                m,
                n,
                k,
                first,
                last,
            )

        def matrices() -> None:
            _either(body, body.compare("eq", m, 1), one_row, usual)

        def some() -> None:
            _either(body, body.compare("eq", n, 1), one_column, matrices)

        _either(body, ranged, some, lambda: None)

    def _side_by_side(self, body: Body, x: str, stride: Register, k: Register, room: str) -> str:
        """A vector whose numbers are neighbours: itself, or a copy in the room."""
        tile = self._tile
        copy = address(body, room, tile.room_of_b)
        near = body.compare("eq", stride, tile.size)
        _either(
            body,
            near,
            lambda: None,
            lambda: self._call(body, "pack", x, stride, _int("0"), copy, _int(str(tile.size)), k, _int("1")),
        )
        return body.named(f"select i1 {near.text}, ptr {x}, ptr {copy}")

    def _blocks(self, body: Body) -> None:
        """Rows from the first to the last, in blocks that fit the caches."""
        tile = self._tile
        m, n, k, first, last = (_int(f"%{name}") for name in ("m", "n", "k", "first", "last"))
        a = _Matrix("%a", _int("%a_down"), _int("%a_across"))
        b = _Matrix("%b", _int("%b_down"), _int("%b_across"))
        size, pitch = _int(str(tile.size)), _int(str(tile.pitch))
        room_a, room_b = address(body, "%room", tile.room_of_a), address(body, "%room", tile.room_of_b)
        few = body.compare("le", m, FEW)
        direct = body.and_(few, body.compare("eq", b.across, size))
        near = body.compare("eq", a.across, size)
        single = body.and_(direct, body.compare("eq", m, 1))

        def at(matrix: _Matrix, i: Register, j: Register) -> str:
            there = address(body, matrix.at, body.mul(i, matrix.down))
            return address(body, there, body.mul(j, matrix.across))

        def columns(j: Register) -> None:
            width = body.intrinsic("smin", body.sub(n, j), WIDTH)
            terms = body.intrinsic("smax", k, 1)  # a turn with none makes zeros
            _each(body, 0, terms, DEPTH, lambda p: depth(j, width, p))

        def depth(j: Register, width: Register, p: Register) -> None:
            count = body.intrinsic("smin", body.sub(k, p), DEPTH)
            start = body.select(direct, body.and_(width, -tile.columns), 0)

            def panel(i: Register) -> None:
                to = address(body, room_b, body.mul(body.div(i, tile.columns), tile.panel))
                some = body.intrinsic("smin", body.sub(width, i), tile.columns)
                self._call(body, "pack", at(b, p, body.add(j, i)), b.down, b.across, to, pitch, count, some)

            _each(body, start, width, tile.columns, panel)
            _each(body, first, last, HEIGHT, lambda i: block(j, width, p, count, i))

        def block(j: Register, width: Register, p: Register, count: Register, i: Register) -> None:
            height = body.intrinsic("smin", body.sub(last, i), HEIGHT)
            from_a = at(a, i, p)
            _either(
                body,
                near,
                lambda: None,
                lambda: self._call(
                    body,
                    "pack",
                    from_a,
                    a.across,
                    a.down,
                    room_a,
                    _int(str(HEIGHT * tile.size)),
                    count,
                    height,
                ),
            )
            mine = _Matrix(
                body.named(f"select i1 {near.text}, ptr {from_a}, ptr {room_a}"),
                body.select(near, a.down, size),
                body.select(near, size, HEIGHT * tile.size),
            )
            here = address(body, "%c", body.mul(i, _int("%c_down")))
            here = address(body, here, body.mul(j, size))
            start = body.compare("eq", p, 0)
            wide = 4 * tile.columns
            stop = body.select(single, body.and_(width, -wide), 0)

            def one(q: Register) -> None:
                c = address(body, here, body.mul(q, size))
                base = body.named(f"select i1 {start.text}, ptr @matmul_zeros, ptr {c}")
                name = f"1x{4 * tile.vectors}"
                self._call(
                    body, name, mine.at, _int("0"), mine.down, mine.across, at(b, p, body.add(j, q)), b.down,
                    count, c, _int("0"), base, _int("0"),
                )  # fmt: skip

            _each(body, 0, stop, wide, one)
            _each(
                body,
                stop,
                width,
                tile.columns,
                lambda q: panel(j, width, p, count, height, mine, here, start, q),
            )

        def panel(
            j: Register, width: Register, p: Register, count: Register, height: Register, mine: _Matrix,
            here: str, start: Register, q: Register,
        ) -> None:  # fmt: skip
            left = body.sub(width, q)
            whole = body.compare("ge", left, tile.columns)
            narrow = body.compare("le", left, tile.columns // 2)
            as_it_is = body.and_(direct, whole)
            there = at(b, p, body.add(j, q))
            packed = address(body, room_b, body.mul(body.div(q, tile.columns), tile.panel))
            from_b = body.named(f"select i1 {as_it_is.text}, ptr {there}, ptr {packed}")
            b_down = body.select(as_it_is, b.down, tile.pitch)
            c = address(body, here, body.mul(q, size))

            def tiles(i: Register) -> None:
                rows = body.intrinsic("smin", body.sub(height, i), ROWS)
                above = address(body, mine.at, body.mul(i, mine.down))
                to = address(body, c, body.mul(i, _int("%c_down")))

                def product(kind: str, from_b: str, to: str, down: Register, base: str) -> None:
                    base = body.named(f"select i1 {start.text}, ptr @matmul_zeros, ptr {base}")
                    self._call(
                        body, kind, above, body.sub(rows, 1), mine.down, mine.across, from_b, b_down, count,
                        to, down, base, body.select(start, 0, down),
                    )  # fmt: skip

                def inside() -> None:
                    product(self._kind(body, rows), from_b, to, _int("%c_down"), to)

                def across() -> None:
                    def vector(v: Register) -> None:
                        x, y = (address(body, base, body.mul(v, size)) for base in (from_b, "%room"))
                        product(f"{ROWS}x1", x, y, pitch, y)

                    _either(
                        body,
                        start,
                        lambda: None,
                        lambda: self._call(
                            body, "pack", to, _int("%c_down"), size, "%room", pitch, rows, left
                        ),
                    )
                    _either(
                        body,
                        narrow,
                        lambda: _each(body, 0, left, tile.lanes, vector),
                        lambda: product(self._kind(body, rows), from_b, "%room", pitch, "%room"),
                    )
                    self._call(body, "unpack", "%room", pitch, to, _int("%c_down"), rows, left)

                _either(body, whole, inside, across)

            _each(body, 0, height, ROWS, tiles)

        _each(body, 0, n, WIDTH, columns)

    def _kind(self, body: Body, rows: Register) -> str:
        """The function for tiles of so many rows."""
        name = f"x{self._tile.vectors}"
        one, three = (body.compare("le", rows, n).text for n in (1, 3))
        found = body.named(f"select i1 {three}, ptr @matmul_3{name}, ptr @matmul_{ROWS}{name}")
        return body.named(f"select i1 {one}, ptr @matmul_1{name}, ptr {found}")

    def _word(self, body: Body, n: int, type_: str) -> str:
        return body.named(f"load {type_}, ptr {address(body, '%table', 8 * n)}, align 8")

    def _call(self, body: Body, function: str, *given: str | Register) -> None:
        texts = [f"ptr {x}" if isinstance(x, str) else f"i64 {x.text}" for x in given]
        name = function if function.startswith("%") else f"@matmul_{function}"
        body.emit(f"call void {name}({', '.join(texts)})")


_PRODUCT = (
    "ptr %a, i64 %last, i64 %a_down, i64 %a_across, ptr %b, i64 %b_down, i64 %k, "
    "ptr %c, i64 %c_down, ptr %base, i64 %base_down"
)
_PACK = "ptr %from, i64 %down, i64 %across, ptr %to, i64 %pitch, i64 %count, i64 %width"
_UNPACK = "ptr %from, i64 %pitch, ptr %to, i64 %down, i64 %count, i64 %width"
_DOTS = "ptr %a, i64 %down, ptr %x, i64 %k, ptr %c, i64 %c_down, i64 %begin, i64 %end"
_BLOCKS = (
    "ptr %a, i64 %a_down, i64 %a_across, ptr %b, i64 %b_down, i64 %b_across, ptr %c, i64 %c_down, ptr %room, "
    "i64 %m, i64 %n, i64 %k, i64 %first, i64 %last"
)


def _int(text: str) -> Register:
    return Register(text, INT64, 0)


def _each(
    body: Body, start: Register | int, stop: Register, step: int, turn: Callable[[Register], None]
) -> None:
    """A loop that carries nothing."""

    def inside(n: Register, given: list[Register]) -> list[Register]:
        turn(n)
        return given

    body.loop(start, stop, step, [], inside)


def _either(body: Body, mask: Register, then: Callable[[], None], other: Callable[[], None]) -> None:
    """The lines of one or of the other."""
    first, second, after = body.label("then"), body.label("else"), body.label("after")
    body.emit(f"br i1 {mask.text}, label %{first}, label %{second}")
    for label, lines in ((first, then), (second, other)):
        body.begin(label)
        lines()
        body.emit(f"br label %{after}")
    body.begin(after)


def _transposed(body: Body, lines: Sequence[Register]) -> list[Register]:
    """A square of numbers with rows and columns exchanged: halves, then halves of halves, are."""
    found, distance = list(lines), len(lines) // 2
    while distance:
        for i in (i for i in range(len(found)) if not i & distance):
            x, y = found[i], found[i + distance]
            lower = [p if not p & distance else x.lanes + p - distance for p in range(x.lanes)]
            found[i] = _shuffled(body, x, y, lower)
            found[i + distance] = _shuffled(body, x, y, [p + distance for p in lower])
        distance //= 2
    return found


def _total(body: Body, x: Register) -> Register:
    """The sum of all lanes: halves are added up again and again."""
    while x.lanes > 1:
        half = x.lanes // 2
        x = body.add(_shuffled(body, x, x, range(half)), _shuffled(body, x, x, range(half, x.lanes)))
    return Register(body.named(f"extractelement {x.type} {x.text}, i64 0"), x.row, 0)


def _shuffled(body: Body, x: Register, y: Register, places: Sequence[int]) -> Register:
    """Lanes of two vectors, those of the second after those of the first."""
    numbers = ", ".join(f"i32 {n}" for n in places)
    text = f"shufflevector {x.type} {x.text}, {y.type} {y.text}, <{len(places)} x i32> <{numbers}>"
    return Register(body.named(text), x.row, len(places))
