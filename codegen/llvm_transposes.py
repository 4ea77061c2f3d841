"""Arrays that are read across their rows: tiles of them are turned in registers, and lie on the stack in order.

::

    for each block of rows (of the loop that the array's neighbours follow), for each strip along the loop in vectors:
        square by square: W vectors are read along the array, turned by shuffles, and written along the strip
        for each row of the block: the usual loop in vectors, which reads the strip

A gather would read as many lines of the cache as a vector has lanes, and use one element of each. Blocks and strips are
some lines of the cache long, since memory gives neighbouring lines sooner. Of arrays that no cache holds, the lines of
the next block are asked for meanwhile, because no processor foresees where they are.
"""

from __future__ import annotations

from typing import NamedTuple

from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import address, fetch, load, store
from symgraph.codegen.llvm_shuffles import transposed
from symgraph.codegen.loops import Load, LoopKernel, Store, all_of
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import DType, dtype

LONG = 128
"""Elements of a strip: whole vectors, and with those of a block not more than the nearest cache holds."""

_SQUARES = 2
"""Beside each other in a block, where one array is turned."""

_FAR_SQUARES = 8
"""The same where no cache holds the array."""

_NEAR = 3 << 10
"""Turns of the loop in vectors, up to which what is fetched in one block for the next is still there."""

_MOST = 4
"""Arrays that there is room for on the stack."""


class Turned(NamedTuple):
    """The arrays of a kernel that are read across their rows, and the loop that their neighbours follow."""

    loop: int
    arrays: tuple[Access, ...]
    is_far: bool
    """Whether no cache holds them."""

    @property
    def squares(self) -> int:
        """How many lie beside each other in a block."""
        return max(1, (_FAR_SQUARES if self.is_far else _SQUARES) // len(self.arrays))

    def ahead(
        self, body: Body, row: DType, lanes: int, stride: Register, turns: Register, vector: int
    ) -> Register | None:
        """How many bytes further to fetch: the same place of the next block, or of the next strip if that is long
        away; ``turns`` and ``stride`` are of the loop in vectors."""
        if not self.is_far:
            return None
        strip = body.mul(stride, LONG)
        if self.loop != vector - 1:
            return strip
        is_near = body.compare("le", turns, _NEAR // len(self.arrays))
        return body.select(is_near, self.squares * lanes * row.numpy.itemsize, strip)


def turned(kernel: LoopKernel, layout: Layout) -> Turned | None:
    """What is to be turned; None where nothing is, or it is not known how."""
    vector, steps = layout.vector, dict(zip(accesses(kernel), layout.steps, strict=True))
    if layout.columns or vector < 1:
        return None
    written = {x.param.name for x in all_of(kernel) if isinstance(x, Store)}
    read = {Access(x.param.name, x.index) for x in all_of(kernel) if isinstance(x, Load)}
    across = [x for x in steps if x in read and x.param not in written and steps[x][vector] is Step.FAR]
    loops = [steps[x].index(Step.UNIT) for x in across if Step.UNIT in steps[x]]
    if not loops:
        return None
    arrays = tuple(x for x in across if steps[x][loops[0]] is Step.UNIT)[:_MOST]
    return Turned(loops[0], arrays, layout.is_far)


class Strip(NamedTuple):
    """Where the elements of an array are turned to: rows of `LONG` elements, as many as ``squares`` beside each other
    have."""

    place: str
    row: DType
    lanes: int
    squares: int

    @property
    def pitch(self) -> int:
        """Bytes from row to row."""
        return LONG * self.row.numpy.itemsize

    @property
    def line(self) -> str:
        """What the function begins with."""
        return f"  {self.place} = alloca [{self.squares * self.lanes * self.pitch} x i8], align 64"

    def fill(
        self,
        body: Body,
        source: str,
        stride: Register,
        rows: Register,
        columns: Register,
        ahead: Register | None,
    ) -> None:
        """With so many rows and columns of an array, whose columns are a stride of bytes apart; what lies so many bytes
        ``ahead`` of them is fetched, if any."""
        least = body.intrinsic("smin", rows, columns)
        whole, part, after = (body.label(what) for what in ("whole", "part", "turned"))
        body.emit(f"br i1 {body.compare('le', self.lanes, least).text}, label %{whole}, label %{part}")
        body.begin(whole)
        self._whole(body, source, stride, rows, columns, ahead)
        body.emit(f"br label %{after}")
        body.begin(part)
        self._part(body, source, stride, rows, columns)
        body.emit(f"br label %{after}")
        body.begin(after)

    def _whole(
        self,
        body: Body,
        source: str,
        stride: Register,
        rows: Register,
        columns: Register,
        ahead: Register | None,
    ) -> None:
        """In squares, of which the last ones overlap those before."""
        last_row, last_column = (body.sub(count, self.lanes) for count in (rows, columns))

        def column(n: Register, _: list[Register]) -> list[Register]:
            n = body.intrinsic("smin", n, last_column)

            def square(m: Register, _: list[Register]) -> list[Register]:
                self._square(body, source, stride, body.intrinsic("smin", m, last_row), n, ahead)
                return []

            return body.loop(0, rows, self.lanes, [], square)

        body.loop(0, columns, self.lanes, [], column)

    def _square(
        self,
        body: Body,
        source: str,
        stride: Register,
        row: Register,
        column: Register,
        ahead: Register | None,
    ) -> None:
        bits = self._bits
        at, to = self._ends(body, source, stride, row, column)
        places = [address(body, at, body.mul(stride, n)) for n in range(self.lanes)]
        vectors = [load(body, bits, place, self.lanes, None) for place in places]
        if ahead is not None:
            for place in places:
                fetch(body, address(body, place, ahead))
        for n, x in enumerate(transposed(body, vectors)):
            store(body, x, bits, address(body, to, n * self.pitch), None)

    def _part(self, body: Body, source: str, stride: Register, rows: Register, columns: Register) -> None:
        """One by one, where there is no square."""

        def column(j: Register, _: list[Register]) -> list[Register]:
            def element(i: Register, _: list[Register]) -> list[Register]:
                at, to = self._ends(body, source, stride, i, j)
                store(body, load(body, self._bits, at, 0, None), self._bits, to, None)
                return []

            return body.loop(0, rows, 1, [], element)

        body.loop(0, columns, 1, [], column)

    @property
    def _bits(self) -> DType:
        return dtype(f"uint{8 * self.row.numpy.itemsize}")

    def _ends(
        self, body: Body, source: str, stride: Register, row: Register, column: Register
    ) -> tuple[str, str]:
        """Where an element is, and where it goes."""
        size = self.row.numpy.itemsize
        at = body.add(body.mul(column, stride), body.mul(row, size))
        to = body.add(body.mul(column, size), body.mul(row, self.pitch))
        return address(body, source, at), address(body, self.place, to)
