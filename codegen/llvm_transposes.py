"""Arrays that are read across their rows: tiles of them are turned in registers, and lie on the stack in order.

::

    for each block of rows (of the loop that the array's neighbours follow), for each strip along the loop in vectors:
        tile by tile: W vectors are read along the array, turned by shuffles, and written along the strip
        for each row of the block: the usual loop in vectors, which reads the strip

A gather would read as many lines of the cache as a vector has lanes, and use one element of each.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import address, load, store
from symgraph.codegen.llvm_shuffles import transposed
from symgraph.codegen.loops import Load, LoopKernel, Store, statements
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import DType, dtype

LONG = 256
"""Elements of a strip: whole vectors, and with those of a block not more than the nearest cache holds."""

_MOST = 4
"""Arrays that there is room for on the stack."""


@dataclass(frozen=True, slots=True)
class Turned:
    """The arrays of a kernel that are read across their rows, and the loop that their neighbours follow."""

    loop: int
    arrays: tuple[Access, ...]


def turned(kernel: LoopKernel, layout: Layout) -> Turned | None:
    """What is to be turned; None where nothing is, or it is not known how."""
    vector, steps = layout.vector, dict(zip(accesses(kernel), layout.steps, strict=True))
    if layout.columns or vector < 1:
        return None
    written = {x.param.name for x, _, _ in statements(kernel) if isinstance(x, Store)}
    read = {Access(x.param.name, x.index) for x, _, _ in statements(kernel) if isinstance(x, Load)}
    across = [x for x in steps if x in read and x.param not in written and steps[x][vector] is Step.FAR]
    loops = [steps[x].index(Step.UNIT) for x in across if Step.UNIT in steps[x]]
    if not loops:
        return None
    return Turned(loops[0], tuple(x for x in across if steps[x][loops[0]] is Step.UNIT)[:_MOST])


@dataclass(frozen=True, slots=True)
class Strip:
    """Where the elements of an array are turned to: ``lanes`` rows of `LONG` elements."""

    place: str
    row: DType
    lanes: int

    @property
    def pitch(self) -> int:
        """Bytes from row to row."""
        return LONG * self.row.numpy.itemsize

    @property
    def line(self) -> str:
        """What the function begins with."""
        return f"  {self.place} = alloca [{self.lanes * self.pitch} x i8], align 64"

    def fill(self, body: Body, source: str, stride: Register, rows: Register, columns: Register) -> None:
        """With so many rows and columns of an array, whose columns are a stride of bytes apart."""
        lanes, size = self.lanes, self.row.numpy.itemsize

        def tile(n: Register, _: list[Register]) -> list[Register]:
            at, to = address(body, source, body.mul(n, stride)), address(body, self.place, body.mul(n, size))
            left = body.sub(columns, n)
            is_whole = body.and_(body.compare("eq", rows, lanes), body.compare("le", lanes, left))
            whole, part, after = (body.label(what) for what in ("whole", "part", "turned"))
            body.emit(f"br i1 {is_whole.text}, label %{whole}, label %{part}")
            body.begin(whole)
            self._whole(body, at, to, stride)
            body.emit(f"br label %{after}")
            body.begin(part)
            self._part(body, at, to, stride, rows, body.intrinsic("smin", left, lanes))
            body.emit(f"br label %{after}")
            body.begin(after)
            return []

        body.loop(0, columns, lanes, [], tile)

    def _whole(self, body: Body, source: str, to: str, stride: Register) -> None:
        bits = dtype(f"uint{8 * self.row.numpy.itemsize}")
        vectors = [
            load(body, bits, address(body, source, body.mul(stride, n)), self.lanes, None)
            for n in range(self.lanes)
        ]
        for n, x in enumerate(transposed(body, vectors)):
            store(body, x, bits, address(body, to, n * self.pitch), None)

    def _part(
        self, body: Body, source: str, to: str, stride: Register, rows: Register, columns: Register
    ) -> None:
        size = self.row.numpy.itemsize
        bits = dtype(f"uint{8 * size}")

        def column(j: Register, _: list[Register]) -> list[Register]:
            at, up = address(body, source, body.mul(j, stride)), address(body, to, body.mul(j, size))

            def element(i: Register, _: list[Register]) -> list[Register]:
                found = load(body, bits, address(body, at, body.mul(i, size)), 0, None)
                store(body, found, bits, address(body, up, body.mul(i, self.pitch)), None)
                return []

            return body.loop(0, rows, 1, [], element)

        body.loop(0, columns, 1, [], column)
