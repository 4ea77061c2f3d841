"""Square matrices factored, and systems solved, as LLVM IR: of any size and strides, in batches, in one function.

The function is called as a kernel is, for a range of the matrices of a batch::

    void linalg_0(ptr table, i64 begin, i64 end)

The table has 8 bytes for each of these: the addresses of what is read, of what is written, and of the room; n, where
matrices are n by n, and m, the right-hand sides of each; the bytes from a row to the next and from a column to the
next, of each array that is read; for each axis of the batch its size and the bytes that a step goes in each array; and,
if the function `checks`, the address of a word that becomes `SINGULAR` where a matrix has no result. What is written
lies in order, each matrix at least.

Matrices are copied into the room, each row whole vectors, and what is done to rows is done in vectors. The algorithms
are those of G. Golub and C. Van Loan, "Matrix Computations", 4th edition: elimination with partial pivoting, section
3.4, on the matrix with its right-hand sides beside it; substitution by columns, 3.1; Cholesky's factorisation, 4.2, row
by row of the upper factor. Numbers are added up in an order that follows from n alone. A NaN counts as the largest of
its column, so that it comes out where it went in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypeAlias

from symgraph.codegen.llvm_determinants import Pair, Scaled
from symgraph.codegen.llvm_elimination import Elimination
from symgraph.codegen.llvm_memory import address
from symgraph.codegen.llvm_parts import INF
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.llvm_rows import Matrix, Rows, lanes_of
from symgraph.codegen.llvm_tiles import each, either, integer
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.dims import Dim
from symgraph.graph.types import BOOL, DType

SINGULAR = 5
"""What the word for trouble says where a matrix has no result."""
VECTORS = 4
"""Of a row that stay in registers while all rows above it go by."""

What: TypeAlias = Literal["cholesky", "solve", "triangular", "inv", "det", "slogdet"]


class Factorization(NamedTuple):
    """What is made of each matrix of a dtype, in a batch of so many axes."""

    what: What
    row: DType
    axes: int = 0
    upper: bool = False
    """Which triangle there is: of Cholesky's factor and what is read for it, or of a triangular system."""
    unit: bool = False
    """Whether the diagonal of a triangular system counts as ones."""
    nan: bool = False
    """Whether a matrix without a result has NaN for it."""
    items: tuple[int, ...] = ()
    """Which parts of a result that is a tuple are written."""

    @property
    def read(self) -> int:
        """How many arrays are read."""
        return 2 if self.what in ("solve", "triangular") else 1

    @property
    def written(self) -> int:
        """How many are written."""
        return len(self.items) or 1

    @property
    def checks(self) -> bool:
        """Whether the table ends with the address of a word for trouble."""
        return not (self.nan or self.unit or self.what in ("det", "slogdet"))


def room(form: Factorization, n: Dim, m: Dim, machine: Machine) -> Any:
    """The bytes of room that a call with these sizes needs."""
    lanes = lanes_of(form.row, machine)
    matrix, sides = (-(-size // lanes) * lanes for size in (n, m))
    width = {"solve": matrix + sides, "triangular": sides, "inv": matrix + matrix}.get(form.what, matrix)
    return n * (width + lanes) * form.row.numpy.itemsize


@cache
def print_factorization(form: Factorization, machine: Machine) -> Native:
    """The function; its name follows from its text."""
    body = Body(fma=machine.fma)
    _Printer(body, form, machine).run()
    body.emit("ret void")
    lines = "\n".join(body.lines)
    name = f"linalg_{sha256(lines.encode()).hexdigest()[:16]}"
    text = f"define void @{name}(ptr %table, i64 %begin, i64 %end) #0 {{\nentry:\n{lines}\n}}\n"
    return Native(name, text, frozenset(body.declared))


class _Printer:
    def __init__(self, body: Body, form: Factorization, machine: Machine) -> None:
        self._body, self._form = body, form
        self._words = 0
        self._arrays = [self._pointer() for _ in range(form.read + form.written)]
        begin = self._pointer()
        self._n, m = self._word(), self._word()
        self._m = self._n if form.what == "inv" else m
        """Right-hand sides."""
        self._strides = [(self._word(), self._word()) for _ in range(form.read)]
        steps = form.read + form.written
        self._axes = [[self._word() for _ in range(1 + steps)] for _ in range(form.axes)]
        self._trouble = self._pointer() if form.checks else ""
        self._zero = integer(0)
        lanes, size = lanes_of(form.row, machine), form.row.numpy.itemsize
        matrix, sides = (
            body.mul(body.and_(body.add(count, lanes - 1), -lanes), size) for count in (self._n, self._m)
        )
        self._beside = self._zero if form.what == "triangular" else matrix
        """The place of the right-hand sides in the rows."""
        width = body.add(self._beside, sides) if form.what in ("solve", "triangular", "inv") else matrix
        pitch = body.add(
            width, machine.bytes
        )  # where that is a power of two, columns lie in few sets of the cache
        self._rows = Rows(body, form.row, machine, begin, self._n, pitch, width)

    def run(self) -> None:
        """One matrix after the other."""
        writers: dict[What, Callable[..., None]] = {
            "cholesky": self._cholesky,
            "solve": self._solve,
            "triangular": self._triangular,
            "inv": self._solve,
            "det": self._det,
            "slogdet": self._slogdet,
        }
        write, count = writers[self._form.what], self._form.read

        def one(number: Register) -> None:
            places = self._places(number)
            read = [Matrix(at, *own) for at, own in zip(places[:count], self._strides, strict=True)]
            write(read, *places[count:])

        each(self._body, integer("%begin"), integer("%end"), 1, one)

    # The table

    def _pointer(self) -> str:
        """The next of its words, as an address."""
        at = address(self._body, "%table", 8 * self._words)
        self._words += 1
        return self._body.named(f"load ptr, ptr {at}, align 8")

    def _word(self) -> Register:
        """The same, as a number."""
        at = address(self._body, "%table", 8 * self._words)
        self._words += 1
        return integer(self._body.named(f"load i64, ptr {at}, align 8"))

    def _places(self, number: Register) -> list[str]:
        """Where the arrays of one matrix of the batch are."""
        body, places = self._body, list(self._arrays)
        for axis, (size, *steps) in reversed(list(enumerate(self._axes))):
            turn = body.rem(number, size) if axis else number
            number = body.div(number, size) if axis else number
            places = [address(body, at, body.mul(turn, step)) for at, step in zip(places, steps, strict=True)]
        return places

    # Cholesky

    def _cholesky(self, read: Sequence[Matrix], out: str) -> None:
        """The upper factor: each row less those above it, times their numbers over its diagonal."""
        body, rows = self._body, self._rows
        rows.copy_in(read[0] if self._form.upper else read[0].turned, self._n, self._zero, from_diagonal=True)

        def row(i: Register, given: list[Register]) -> list[Register]:
            at, begin, several = rows.at(i), rows.block(i), VECTORS * rows.bytes
            end = body.add(begin, body.and_(body.sub(rows.width, begin), -several))
            each(body, begin, end, several, lambda place: self._less_above(i, at, place, VECTORS))
            each(body, end, rows.width, rows.bytes, lambda place: self._less_above(i, at, place, 1))
            square = rows.number(at, rows.column(i))
            root = body.sqrt(square)
            rows.divide(at, begin, rows.width, root)
            rows.put(root, at, rows.column(i))
            return [body.or_(given[0], body.compare("le", square, 0))]

        (bad,) = body.loop(self._zero, self._n, 1, [body.constant(BOOL, 0, 0)], row)
        self._give(bad, out, self._n, lambda: self._triangle_out(out))

    def _less_above(self, i: Register, at: str, place: Register, count: int) -> None:
        """Some vectors of a row, less those of the rows above it times their numbers in its column."""
        body, rows = self._body, self._rows
        column, here = rows.column(i), address(body, at, place)

        def turn(k: Register, sums: list[Register]) -> list[Register]:
            above = rows.at(k)
            factor = body.spread(body.neg(rows.number(above, column)), rows.lanes)
            from_ = address(body, above, place)
            return [body.fma(factor, rows.vector(from_, n), x) for n, x in enumerate(sums)]

        first = [rows.vector(here, n) for n in range(count)]
        for n, x in enumerate(body.loop(self._zero, i, 1, first, turn)):
            rows.keep(x, here, n)

    def _triangle_out(self, out: str) -> None:
        """The upper factor or its transpose, with zeros beside it."""
        body, rows, n = self._body, self._rows, self._n
        zero = body.constant(rows.row, 0, 0)

        def row(i: Register) -> None:
            to, behind = address(body, out, rows.column(body.mul(i, n))), body.add(i, 1)

            def from_above(j: Register) -> None:
                rows.put(rows.number(rows.at(j), rows.column(i)), to, rows.column(j))

            def nothing(j: Register) -> None:
                rows.put(zero, to, rows.column(j))

            if self._form.upper:
                each(body, 0, i, 1, nothing)
                here = rows.column(i)
                rows.copy(address(body, rows.at(i), here), address(body, to, here), body.sub(n, i))
            else:
                each(body, 0, behind, 1, from_above)
                each(body, behind, n, 1, nothing)

        each(body, 0, n, 1, row)

    # Systems

    def _solve(self, read: Sequence[Matrix], out: str) -> None:
        """What solves the systems of the right-hand sides, or of the identity."""
        body, rows, n = self._body, self._rows, self._n
        rows.copy_in(read[0], n, self._zero)
        if self._form.what == "inv":
            self._identity()
        else:
            rows.copy_in(read[1], self._m, self._beside)
        (bad,) = Elimination(self._rows).run(
            [body.constant(BOOL, 0, 0)],
            lambda _, bits, __, given: [body.or_(given[0], body.compare("eq", bits, 0))],
        )

        def back(turn: Register) -> None:
            k = body.sub(body.sub(n, 1), turn)
            at, column = rows.at(k), rows.column(k)
            rows.divide(at, self._beside, rows.width, rows.number(at, column))

            def above(numbers: list[Register], given: list[Register]) -> list[Register]:
                places = [rows.at(i) for i in numbers]
                factors = [body.neg(rows.number(x, column)) for x in places]
                rows.add(places, factors, at, self._beside, rows.width)
                return given

            rows.several(self._zero, k, [], above)

        each(body, 0, n, 1, back)
        self._give(bad, out, self._m, lambda: rows.copy_out(out, self._m, self._beside))

    def _identity(self) -> None:
        """For right-hand sides."""
        body, rows = self._body, self._rows
        zeros, one = body.constant(rows.row, 0, rows.lanes), body.constant(rows.row, 1, 0)

        def row(i: Register) -> None:
            at = rows.at(i)
            each(
                body, self._beside, rows.width, rows.bytes,
                lambda place: rows.keep(zeros, address(body, at, place)),
            )  # fmt: skip
            rows.put(one, at, body.add(self._beside, rows.column(i)))

        each(body, 0, self._n, 1, row)

    def _triangular(self, read: Sequence[Matrix], out: str) -> None:
        """From the first row on, which a lower triangle has; an upper one has it with the last row and column first."""
        body, form, (a, b) = self._body, self._form, read
        self._rows.copy_in(b, self._m, self._zero)
        rows = self._rows.backwards if form.upper else self._rows
        a = a.backwards(body, body.sub(self._n, 1)) if form.upper else a

        def forward(k: Register, given: list[Register]) -> list[Register]:
            at, column = rows.at(k), address(body, a.at, body.mul(k, a.across))
            (bad,) = given
            if not form.unit:
                pivot = rows.number(column, body.mul(k, a.down))
                bad = body.or_(bad, body.compare("eq", pivot, 0))
                rows.divide(at, self._zero, rows.width, pivot)

            def below(numbers: list[Register], given: list[Register]) -> list[Register]:
                factors = [body.neg(rows.number(column, body.mul(i, a.down))) for i in numbers]
                rows.add([rows.at(i) for i in numbers], factors, at, self._zero, rows.width)
                return given

            rows.several(body.add(k, 1), self._n, [], below)
            return [bad]

        some = body.select(body.compare("eq", self._m, 0), 0, self._n)
        (bad,) = body.loop(self._zero, some, 1, [body.constant(BOOL, 0, 0)], forward)
        self._give(bad, out, self._m, lambda: self._rows.copy_out(out, self._m, self._zero))

    # Determinants

    def _det(self, read: Sequence[Matrix], out: str) -> None:
        bad, scaled, product = self._pivots(read)
        self._rows.put(self._body.select(bad, 0, scaled.number(product)), out, self._zero)

    def _slogdet(self, read: Sequence[Matrix], *out: str) -> None:
        """The logarithm is one of the whole product, which has a power of two beside it that does not overflow."""
        body, (bad, scaled, product) = self._body, self._pivots(read)
        for item, to in zip(self._form.items, out, strict=True):
            if item == 0:
                found = body.select(bad, 0, scaled.sign(product))
            else:
                found = body.select(bad, -INF, scaled.log(product))
            self._rows.put(found, to, self._zero)

    def _pivots(self, read: Sequence[Matrix]) -> tuple[Register, Scaled, Pair]:
        """The product of the pivots, each exchange of rows turning its sign, and whether one of them is 0."""
        body, scaled = self._body, Scaled(self._body, self._rows.row)
        self._rows.copy_in(read[0], self._n, self._zero)

        def times(
            pivot: Register, bits: Register, exchanged: Register, given: list[Register]
        ) -> list[Register]:
            bad, number, power = given
            turned = body.select(exchanged, body.neg(pivot), pivot)
            return [
                body.or_(bad, body.compare("eq", bits, 0)),
                *scaled.times((number, power), turned),
            ]

        bad, number, power = Elimination(self._rows).run([body.constant(BOOL, 0, 0), *scaled.one], times)
        return bad, scaled, (number, power)

    # Results

    def _give(self, bad: Register, out: str, width: Register, good: Callable[[], None]) -> None:
        """The result; of a matrix that has none NaN, or trouble."""
        body, rows = self._body, self._rows

        def trouble() -> None:
            body.emit(f"store i64 {SINGULAR}, ptr {self._trouble}, align 8")

        def nan() -> None:
            numbers = body.constant(rows.row, float("nan"), rows.lanes)
            rows.vectors(
                body.mul(self._n, width),
                lambda place, mask: rows.keep(numbers, address(body, out, place), mask=mask),
            )

        if self._form.unit:
            good()
        else:
            either(body, bad, nan if self._form.nan else trouble, good)
