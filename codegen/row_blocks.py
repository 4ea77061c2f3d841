"""Long rows in blocks, which threads can share: what a row reduces to is what its blocks do, one after the other.

Where rounding matters, a row has blocks whether threads share it or not, so that all numbers of threads give the same
bits. A block is so many turns of the first loop over columns as have so many elements of a row, or one turn.

Threads that share a row do one sweep of it after the other. A sweep has a turn for each of its blocks, all of them a
number: those of the first sweep come first. What blocks reduce to stands in memory, for who is done last.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from symgraph.codegen.layout import is_upright
from symgraph.codegen.llvm_reductions import reduction
from symgraph.codegen.loops import LoopKernel, Reduce, Statement, carries, columns_of, of_kernel
from symgraph.codegen.machine import LINE
from symgraph.codegen.vectorized import parts_of
from symgraph.codegen.vectors import Body

BLOCK, LOW_BLOCK = 1 << 15, 1 << 11
"""Elements of a row; and of rows that are worked on in vectors, beside each other: some microseconds of work, and a
multiple of what goes into a total at once."""


def size_of_block(*, upright: bool) -> int:
    """Elements of a row."""
    return LOW_BLOCK if upright else BLOCK


def may_be_long(kernel: LoopKernel, *, upright: bool) -> bool:
    """Whether a row may have several blocks."""
    sizes = [loop.size for loop in columns_of(kernel)]
    known = [size for size in sizes if isinstance(size, int)]
    return len(known) < len(sizes) or prod(known) > size_of_block(upright=upright)


@of_kernel
def can_be_shared(kernel: LoopKernel) -> bool:
    """Whether threads can share a row: nothing goes from turn to turn."""
    is_long = bool(columns_of(kernel)) and may_be_long(kernel, upright=is_upright(kernel))
    return is_long and not carries(kernel)


def blocks(columns: Sequence[int], *, upright: bool) -> int:
    """How many a row has whose loops over columns have these sizes."""
    turns = max(1, size_of_block(upright=upright) // max(1, prod(columns[1:])))
    return -(-columns[0] // turns)


def most_blocks(elements: int, *, upright: bool) -> int:
    """Those of a row of so many elements, whatever its loops: two that follow each other have as many as there are in a
    block, or more."""
    return 2 * (elements // size_of_block(upright=upright)) + 2


def units(rows: Sequence[int], lanes: int, *, upright: bool) -> int:
    """How many rows there are, or vectors of rows."""
    return prod(rows[:-1]) * -(-rows[-1] // lanes) if upright and rows else prod(rows)


@of_kernel
def sweeps(kernel: LoopKernel) -> Sequence[tuple[Statement, ...]]:
    """The sections of a row that are sweeps."""
    return [section for section in parts_of(kernel).sections if isinstance(section, tuple)]


def bytes_of_blocks(kernel: LoopKernel, lanes: int, count: int) -> int:
    """The memory for what so many blocks of each sweep reduce to, in vectors of so many lanes, and for what all do."""
    return (count + 1) * sum(bytes_of_block(section, lanes) for section in sweeps(kernel))


def bytes_of_block(section: Sequence[Statement], lanes: int) -> int:
    """From what one block of a sweep reduces to, to that of the next: they share no line of the caches."""
    body = Body()
    states = [reduction(x, lanes).start(body) for x in section if isinstance(x, Reduce)]
    size = sum(x.lanes * x.row.numpy.itemsize for state in states for x in state)
    return -(-size // LINE) * LINE
