"""Products of matrices: the machine code of `symgraph.codegen.llvm_matmul`, or calls of CBLAS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Literal, TypeAlias

from symgraph.aot.calls import Calls
from symgraph.aot.places import Place
from symgraph.codegen.llvm_matmul import blocks, print_matmul, room
from symgraph.graph.dims import Dim, dim_max
from symgraph.graph.types import dtype
from symgraph.runtime.nests import collapsed

Blas: TypeAlias = Literal["inline", "cblas"]
"""Who multiplies: the library itself, or the CBLAS that it is linked with."""

_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED = 101, 111, 112


def product(calls: Calls, a: Place, b: Place, c: Place, blas: Blas) -> None:
    """``c = a @ b`` as NumPy's ``matmul`` has it, where a vector is a row from the left and a column from the right."""
    if len(a.shape) > 2 >= len(b.shape) and a.lies_in_order:
        left, rows = len(a.shape) - 1, prod(a.shape[:-1])
        a = Place.in_order(a.pointer, a.offset, (rows, a.shape[-1]), a.dtype)
        c = Place.in_order(c.pointer, c.offset, (rows, *c.shape[left:]), c.dtype)
    counts = c.shape[: len(c.shape) - (len(a.shape) > 1) - (len(b.shape) > 1)]
    factors = [x.spread((*counts, *x.shape[-2:])) if len(x.shape) > 2 else x for x in (a, b)]
    matrices = [
        _matrix(x, *sides) for x, sides in zip((*factors, c), _sides(len(a.shape), len(b.shape)), strict=True)
    ]
    steps = [
        [0] * len(counts) if len(x.shape) < 3 and x is not c else list(x.strides[: len(counts)])
        for x in (*factors, c)
    ]
    calls.lines.require_equal(matrices[0].shape[1], matrices[1].shape[0])
    by_blas = _by_blas(*matrices) if blas == "cblas" else None
    if by_blas is None:
        _inline(calls, matrices, counts, steps)
    else:
        _each(calls, matrices, counts, steps, lambda pointers: by_blas(calls, pointers))


def _sides(left: int, right: int) -> list[tuple[bool, bool]]:
    """Of each of the three, whether it has rows and columns."""
    return [(left > 1, True), (True, right > 1), (left > 1, right > 1)]


def _matrix(x: Place, has_rows: bool, has_columns: bool) -> Place:
    """The last two axes; a vector is one row or one column, whose missing stride is that of a matrix in order."""
    count = has_rows + has_columns
    shape, strides = list(x.shape[len(x.shape) - count :]), list(x.strides[len(x.shape) - count :])
    if not has_rows:
        strides.insert(0, (shape[0] if shape else 1) * x.itemsize)
        shape.insert(0, 1)
    if not has_columns:
        shape.append(1)
        strides.append(x.itemsize)
    return replace(x, shape=tuple(shape), strides=tuple(strides))


def _inline(
    calls: Calls, matrices: Sequence[Place], counts: Sequence[Any], steps: Sequence[Sequence[Any]]
) -> None:
    a, b, c = matrices
    row, (m, k), n = dtype(c.dtype), a.shape, b.shape[1]
    tail = [m, n, k, *a.strides, *b.strides, c.strides[0]]
    own = calls.own(room(m, n, k, row, calls.machine))
    if not counts:
        table = [*map(calls.begin, matrices), own, *tail]
        calls.call(print_matmul(row, calls.machine), table, blocks(m))
        return
    sizes, moves, _ = collapsed(counts, steps)
    outer, inner = sizes[:-2], sizes[-2:]
    missing = [0] * (2 - len(inner))
    first, last = [1] * len(missing) + inner, [[*missing, *each[len(outer) :]] for each in moves]
    many = print_matmul(row, calls.machine, many=True)
    tail += [first[1], *(each[1] for each in last), *(each[0] for each in last)]
    _each(
        calls,
        matrices,
        outer,
        [each[: len(outer)] for each in moves],
        lambda pointers: calls.call(many, [*pointers, own, *tail], prod(first)),
    )


def _each(
    calls: Calls,
    matrices: Sequence[Place],
    counts: Sequence[Any],
    steps: Sequence[Sequence[Any]],
    one: Callable[[list[str]], None],
) -> None:
    """Loops around a product, which is told the pointers to its matrices."""
    lines = calls.lines

    def inside(pointers: list[str], axis: int) -> None:
        if axis == len(counts):
            one(pointers)
            return

        def turn(number: str, _: str) -> None:
            moved = []
            for pointer, step in zip(pointers, steps, strict=True):
                far = lines.named(f"mul i64 {number}, {lines.word(step[axis])}")
                moved.append(lines.named(f"getelementptr i8, ptr {pointer}, i64 {far}"))
            inside(moved, axis + 1)

        lines.loop(lines.word(counts[axis]), turn)

    inside([calls.begin(x) for x in matrices], 0)


def _by_blas(a: Place, b: Place, c: Place) -> Callable[[Calls, list[str]], None] | None:
    """The call of CBLAS for matrices that it can read as they lie; None for others."""
    forms = [_form(x) for x in (a, b)]
    if None in forms:
        return None
    (ta, lda), (tb, ldb) = (form for form in forms if form is not None)
    (m, k), n, row = a.shape, b.shape[1], dtype(c.dtype)
    kind, name = ("float", "cblas_sgemm") if row.bits == 32 else ("double", "cblas_dgemm")

    def call(calls: Calls, pointers: list[str]) -> None:
        lines = calls.lines
        size, i32, ptr = c.itemsize, "i32", "ptr"
        types = [i32] * 6 + [kind, ptr, i32, ptr, i32, kind, ptr, i32]
        calls.declared.add(f"declare void @{name}({', '.join(types)})")
        numbers = [_narrow(calls, x) for x in (m, n, k, lda, ldb, dim_max(c.strides[0] // size, 1))]
        at, to, ot = pointers
        forms = [str(_ROW_MAJOR), str(ta), str(tb)]
        given = [*forms, *numbers[:3], "1.0", at, numbers[3], to, numbers[4], "0.0", ot, numbers[5]]
        lines.emit(f"call void @{name}({', '.join(f'{t} {x}' for t, x in zip(types, given, strict=True))})")

    return call


def _form(x: Place) -> tuple[int, Dim] | None:
    """Whether a matrix is read as it is or transposed, and its leading dimension."""
    down, across = x.strides
    if across == x.itemsize:
        return _AS_IT_IS, dim_max(down // x.itemsize, x.shape[1], 1)
    if down == x.itemsize or x.shape[0] == 1:
        return _TRANSPOSED, dim_max(across // x.itemsize, x.shape[0], 1)
    return None


def _narrow(calls: Calls, dim: Dim) -> str:
    """A number of 32 bits, as CBLAS takes them."""
    calls.lines.require_least(((1 << 31) - 1) - dim, 0)
    return (
        str(dim) if isinstance(dim, int) else calls.lines.named(f"trunc i64 {calls.lines.word(dim)} to i32")
    )
