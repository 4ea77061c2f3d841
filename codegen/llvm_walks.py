"""Kernels that go once through arrays in order: their loop comes with the package, and they are what stands in it.

Such a loop is the same for all that read as many arrays of a dtype and write one. It takes a vector of each array,
calls a function of registers, which is all that is printed of the kernel then, and writes what that gives. Better code
has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from symgraph.codegen.layout import Step, accesses
from symgraph.codegen.llvm_ahead import Ahead
from symgraph.codegen.llvm_memory import INT64, address, first_lanes, load, store
from symgraph.codegen.loops import Load, Reduce, Statement, Store, in_order
from symgraph.codegen.vectors import Body, Register, declarations, suffix, type_of
from symgraph.codegen.x86_ready import BYTES, mark
from symgraph.graph.types import FLOAT32, FLOAT64, DType

MOST = 4
"""Arrays that a loop reads."""


def print_walk(row: DType, count: int) -> str:
    """The loop over so many arrays of a dtype, and one that is written; it calls ``turn``."""
    body, lanes = Body(), BYTES // row.numpy.itemsize
    places = [
        body.named(f"load ptr, ptr {address(body, '%table', 8 * n)}, align 8") for n in range(count + 1)
    ]
    begin, end = Register("%begin", INT64, 0), Register("%end", INT64, 0)

    def turn(n: Register, _: list[Register]) -> list[Register]:
        mask = first_lanes(body, body.intrinsic("smin", body.sub(end, n), lanes), lanes, masks=True)
        at = [body.named(f"getelementptr i{row.bits}, ptr {place}, i64 {n.text}") for place in places]
        given = [load(body, row, place, lanes, mask) for place in at[:-1]]
        store(body, body.result_of("@turn", row, given), row, at[-1], mask)
        return []

    body.loop(begin, end, lanes, [], turn)
    body.emit("ret void")
    lines = "\n".join(body.lines)
    head = "define void @walk(ptr %table, i64 %begin, i64 %end) #0"
    return f"{head} {{\nentry:\n{lines}\n}}\n{declarations(body.declared)}"


def kind_of(row: DType, count: int) -> str:
    """What the loop is called where it is looked for."""
    return f"walk {suffix(row, BYTES // row.numpy.itemsize)} {count}"


class Walks(Ahead):
    """What is printed of a kernel whose loop is there."""

    def _walked(self) -> str | None:
        """The name of its code; None where the kernel is no such one."""
        kernel, layout, count = self._kernel, self._layout, len(self._kernel.reads)
        is_one_loop = (layout.rows, layout.columns, layout.is_shared) == (1, 0, False) and not kernel.once
        if self._body.ready is None or not is_one_loop or len(kernel.writes) != 1 or not 0 < count <= MOST:
            return None
        row = kernel.writes[0].type.dtype
        is_in_order = len(accesses(kernel)) == count + 1 and {*layout.steps} == {(Step.UNIT,)}
        is_alike = {*self._row_of.values()} == {row} and self._lanes * row.numpy.itemsize == BYTES
        if not (is_in_order and is_alike and row in (FLOAT32, FLOAT64)) or self._machine.flushes:
            return None
        is_plain = all(
            isinstance(x, Store) or (self._is_vector(x) and not isinstance(x, Reduce))
            for x in in_order(kernel)
        )
        return self._body.ready(kind_of(row, count)) if is_plain else None

    def _in_walk(self, walk: str, besides: str) -> tuple[str, str]:
        """The kernel's name, and the text of the function in the loop."""
        kernel, body = self._kernel, self._body
        row, statements = kernel.writes[0].type.dtype, in_order(kernel)
        type_ = type_of(row, self._lanes)
        given = [Register(f"%x{n}", row, self._lanes) for n in range(len(kernel.reads))]
        self._begin(statements, dict(zip([x.name for x in kernel.reads], given, strict=True)))
        for each in statements:
            if isinstance(each, Store):
                result = self._operand(each.value, self._lanes)
            elif not isinstance(each, Load):
                self._statement(each)
        assert isinstance(result, Register), "it is a float's"
        body.emit(f"ret {type_} {result.text}")
        lines = "\n".join(body.lines)
        name = f"kernel_{sha256(f'{lines}{walk}{besides}'.encode()).hexdigest()[:16]}"
        body.declared.add(mark(name, walk))
        head = f"define internal {type_} @{name}_turn({', '.join(f'{type_} {x.text}' for x in given)}) #0"
        return name, f"{head} {{\nentry:\n{lines}\n}}\n"

    def _begin(self, statements: Sequence[Statement], given: dict[str, Register]) -> None:
        """What was read is there."""
        for each in statements:
            if isinstance(each, Load):
                self._scope.values[each.target.name] = given[each.param.name]
        self._spread(statements)
