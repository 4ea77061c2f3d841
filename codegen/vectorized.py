"""What of a kernel is worked on in vectors: how many numbers at a time, which values, and what is kept of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import Compute, Load, LoopKernel, Reduce, Store, Value, operands, statements
from symgraph.codegen.machine import Machine
from symgraph.optimizations.cost import weight

_LIGHT = 12.0
"""A sweep with reductions whose turn has no more operations than so many works on four vectors at a time: one alone
would wait for its own accumulator."""


def lanes_of(kernel: LoopKernel, machine: Machine) -> int:
    """The numbers of a vector: as many of the widest as fit into a register, or into four."""
    every = [x for x, _, _ in statements(kernel)]
    rows = [(x.param.type.dtype if isinstance(x, Store) else x.target.row) for x in every]
    widest = max((computed_in(row).bits // 8 for row in rows), default=8)
    lanes = machine.bytes // max(4, widest)
    work = sum(weight(x.op, len(x.args)) for x in every if isinstance(x, Compute))
    reduces = any(isinstance(x, Reduce) for x in every)
    return 4 * lanes if reduces and work <= _LIGHT else lanes


@dataclass(frozen=True, slots=True)
class Room:
    """What a kernel keeps of one sweep for another: a row of each of these, or as many rows as a vector has lanes."""

    kept: tuple[Value, ...]
    rows: int

    def bytes(self, columns: int) -> int:
        return sum(-(-self.rows * columns * x.row.numpy.itemsize // 64) * 64 for x in self.kept)


def room_of(kernel: LoopKernel, machine: Machine, *, upright: bool) -> Room:
    known = makers(kernel)
    homes = in_parts(kernel, known).kept
    kept = tuple(known[name].target for name, home in homes.items() if home is None)
    return Room(kept, lanes_of(kernel, machine) if upright and kernel.rows else 1)


def followed(
    kernel: LoopKernel, layout: Layout, kept: Collection[str]
) -> tuple[dict[str, int], frozenset[str]]:
    """The number of the deepest loop that each value follows, -1 for none; and the values that are vectors.

    What is ``kept`` of a row is kept of each of its elements.
    """
    steps = dict(zip(accesses(kernel), layout.steps, strict=True))
    vector, rows = layout.vector, layout.rows
    depths: dict[str, int] = {}
    vectors: set[str] = set()
    for name, x in makers(kernel).items():
        behind = [y.name for y in operands(x) if isinstance(y, Value)]
        if isinstance(x, Load):
            found = steps[Access(x.param.name, x.index)]
            depths[name] = max((n for n, step in enumerate(found) if step is not Step.NONE), default=-1)
            is_vector = vector >= 0 and found[vector] is not Step.NONE
        elif isinstance(x, Reduce):
            depths[name] = rows - 1
            is_vector = vector < rows and any(y in vectors for y in behind)
        else:
            depths[name] = max((depths[y] for y in behind), default=-1)
            is_vector = any(y in vectors for y in behind)
        if name in kept:
            depths[name], is_vector = rows + layout.columns - 1, True
        if is_vector:
            vectors.add(name)
    return depths, frozenset(vectors)


def makers(kernel: LoopKernel) -> dict[str, Load | Compute | Reduce]:
    """The statement that gives each value, in their order."""
    return {x.target.name: x for x, _, _ in statements(kernel) if not isinstance(x, Store)}
