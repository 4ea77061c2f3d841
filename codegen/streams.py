"""Results that pass by the caches: which kernels write so, and where whole lines of the cache begin."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.llvm_memory import INT64, address
from symgraph.codegen.loops import Compute, Load, LoopKernel, Reduce, Store, all_of, of_kernel
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import BOOL
from symgraph.optimizations.cost import weight

SHARE = 32 << 20
"""Bytes of the last cache that a kernel can count on. Of more than it reads and writes, nothing is there when the next
kernel asks for it."""

_LONG = 1 << 12
"""Neighbours from which on it does not matter that the first and the last are no whole line of the cache."""

_WORK = 2.0
"""Operations for each byte that is read or written, from which on a kernel waits for them and not for memory."""


def streams(kernel: LoopKernel, nbytes: int, neighbours: int) -> bool:
    """Whether a kernel that reads and writes so many bytes, and so many elements without a gap, writes by the caches:
    memory bounds it, and nobody reads soon what it writes.

    Kernels that reduce do not: they would wait for memory in one sweep and leave it idle in the others.
    """
    return nbytes > SHARE and neighbours >= _LONG and _is_light(kernel)


def first_whole(
    body: Body, begin: Register, arrays: Sequence[tuple[str, int]], lanes: int
) -> tuple[Register, Register]:
    """The first number from ``begin`` on whose element in the first array begins a whole vector of memory, and whether
    it does so in every array. An array is the place of its element 0, and the bytes of each."""
    first, together = begin, body.constant(BOOL, 1, 0)
    for n, (place, size) in enumerate(arrays):
        at = address(body, place, body.mul(first, size))
        start = Register(body.named(f"ptrtoint ptr {at} to i64"), INT64, 0)
        missing = body.and_(body.sub(0, start), size * lanes - 1)
        if not n:
            first = body.add(first, body.div(missing, size))
            missing = body.and_(missing, size - 1)
        together = body.and_(together, body.compare("eq", missing, 0))
    return first, together


@of_kernel
def _is_light(kernel: LoopKernel) -> bool:
    every = all_of(kernel)
    if any(isinstance(x, Reduce) for x in every):
        return False
    work = sum(weight(x.op, len(x.args)) for x in every if isinstance(x, Compute))
    moved = sum(x.param.type.dtype.numpy.itemsize for x in every if isinstance(x, Load | Store))
    return work <= _WORK * moved
