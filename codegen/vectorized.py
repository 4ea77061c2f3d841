"""What of a kernel is worked on in vectors: how many numbers at a time, which values, and what is kept of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.long_rows import DEAR, Row, in_parts
from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    LoopKernel,
    Operand,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
    all_of,
    carries,
    makers,
    of_form,
    of_kernel,
    operands,
    statements,
)
from symgraph.codegen.machine import Machine
from symgraph.graph.types import DType
from symgraph.optimizations.cost import weight

_LIGHT = 12.0
"""A sweep with reductions whose turn has no more operations than so many works on four vectors at a time: one alone
would wait for its own accumulator."""

_LONG = 45.0
"""A turn of up to so many operations is worth compiling for two vectors at a time: the operations of one follow each
other, and a processor has done them before it sees the next."""

_BUSY = 4.0
"""Operations for each reading or writing, below which memory is waited for."""

_PAIRS = 4.0
"""Operations on the parts of complex numbers, for one operation on these."""

_CHAIN, _ALIVE = 0.7, 7
"""Where so much of the work is one operation after the other, two vectors at a time are not enough; four are kept in 32
registers as long as no more than so many numbers are."""

_MOST_BESIDE, _WAITING = 8, 8.0
"""Vectors at a time of a sweep that carries; and the operations that a processor does while it waits for one."""

_NEAREST = 32 << 10
"""Bytes of the nearest cache."""


def lanes_of(kernel: LoopKernel, machine: Machine, *, single: bool = False) -> int:
    """The numbers of a vector: as many of the widest as fit into a register, into two or into four; into one where a
    ``single`` one is asked for."""
    widest, vectors = _numbers(kernel, machine.registers < 32)
    return (1 if single else vectors) * (machine.bytes // max(4, widest))


def _numbers(kernel: LoopKernel, has_few_registers: bool) -> tuple[int, int]:
    """The bytes of the widest number, and how many vectors are worked on at a time."""
    shape = _shape(kernel)
    if shape.reduces and shape.work <= _LIGHT:
        return shape.widest, 4
    if carries(kernel):
        return shape.widest, _beside(kernel, 16 if has_few_registers else 32)
    if shape.work > _LONG or has_few_registers or not (shape.reduces or shape.work >= _BUSY * shape.moves):
        return shape.widest, 1
    return shape.widest, 4 if not shape.reduces and shape.dearest < DEAR and _is_chain(kernel) else 2


class _Shape(NamedTuple):
    """What a kernel does for one element."""

    widest: int
    """Bytes of a number, or of a part of a complex one."""
    reduces: bool
    moves: int
    """How often it reads or writes."""
    work: float
    """Operations."""
    dearest: float
    """Those of a single statement."""


@of_form
def _shape(kernel: LoopKernel) -> _Shape:
    every = all_of(kernel)
    rows = {x.param.type.dtype if isinstance(x, Store) else x.target.row for x in every}
    weights = [_work(x) for x in every if isinstance(x, Compute)]
    return _Shape(
        max((_bits(row) // 8 for row in rows), default=8),
        any(isinstance(x, Reduce) for x in every),
        sum(isinstance(x, Load | Store) for x in every),
        sum(weights),
        max(weights, default=0.0),
    )


def _work(x: Compute) -> float:
    """The operations of a statement."""
    pairs = any(row.is_complex for row in (x.target.row, *(y.row for y in x.args)))
    return weight(x.op, len(x.args)) * (_PAIRS if pairs else 1.0)


def _bits(row: DType) -> int:
    """Of a lane that holds a number, or half of it."""
    return row.bits // 2 if row.is_complex else computed_in(row).bits


@of_kernel
def dearest(kernel: LoopKernel) -> tuple[Statement, ...] | None:
    """The sweep that takes longest; None where there are not several."""
    sweeps = [section for section in parts_of(kernel).sections if isinstance(section, tuple)]
    if len(sweeps) < 2:
        return None
    return max(sweeps, key=lambda sweep: sum(_work(x) for x in sweep if isinstance(x, Compute)))


def carries_well(kernel: LoopKernel, machine: Machine, elements: int) -> bool:
    """Whether a sweep that carries, done for vectors one after the other, is quicker than each of its turns for all.

    It is for a few elements, and for so many that the nearest cache does not hold what they carry. Else a processor
    would do the same turn of other vectors while one waits for its turn before; as it does where enough are worked on
    at a time. What is long is enough by itself, and rows that are written far apart are waited for.
    """
    shape, widest = _shape(kernel), lanes_of(kernel, machine)
    if elements <= lanes_of(kernel, machine, single=True):
        return True
    if shape.dearest >= DEAR or any(swept for x, _, swept in statements(kernel) if isinstance(x, Store)):
        return False
    bytes_each = sum(x.target.row.numpy.itemsize for x in carries(kernel))
    if elements <= widest or elements * bytes_each > _NEAREST:
        return True
    vectors = widest // lanes_of(kernel, machine, single=True)
    return vectors * shape.work >= _WAITING * _recurrence(kernel)


@of_form
def _recurrence(kernel: LoopKernel) -> float:
    """The operations from what a turn is given to what it gives, of which each waits for the one before."""
    behind: dict[str, float] = {x.target.name: 0.0 for x in carries(kernel)}
    for x in all_of(kernel):
        own = [behind[y.name] for y in operands(x) if isinstance(y, Value) and y.name in behind]
        if isinstance(x, Compute) and own:
            behind[x.target.name] = _work(x) + max(own)
    return max(behind.get(name_of(x.after), 0.0) for x in carries(kernel))


def _beside(kernel: LoopKernel, registers: int) -> int:
    """How many vectors of a sweep that carries there are registers for."""
    _, most = _dependence(kernel)
    vectors = _MOST_BESIDE
    while vectors > 1 and vectors * most > registers:
        vectors //= 2
    return vectors


@of_form
def _is_chain(kernel: LoopKernel) -> bool:
    """Whether most operations wait for the one before, and there are few numbers at a time."""
    depth, most = _dependence(kernel)
    return depth >= _CHAIN * _shape(kernel).work and most <= _ALIVE


@of_form
def _dependence(kernel: LoopKernel) -> tuple[float, int]:
    """The most operations of which each waits for the one before, and how many numbers there are at a time."""
    depths: dict[str, float] = {}
    alive: set[str] = set()
    most = 0
    every = all_of(kernel)
    for x in every:
        if not isinstance(x, Store):
            own = _work(x) if isinstance(x, Compute) else 0.0
            behind = [depths[y.name] for y in operands(x) if isinstance(y, Value) and y.name in depths]
            depths[x.target.name] = own + max(behind, default=0.0)
    for x in reversed(every):
        alive.update(y.name for y in operands(x) if isinstance(y, Value))
        most = max(most, len(alive))
        if not isinstance(x, Store):
            alive.discard(x.target.name)
    return max(depths.values(), default=0.0), most


@of_form
def has_own_rest(kernel: LoopKernel) -> bool:
    """Whether the last turn, which is no whole vector, is code of its own: any branch in the others costs time where
    memory is waited for, and keeps quick code from using registers. What is dear is long, and not compiled twice."""
    shape = _shape(kernel)
    sweeps = [part for part in kernel.body if isinstance(part, Sweep)]
    is_short = len(sweeps) == 1 and shape.reduces and shape.work <= _LIGHT
    return is_short or _is_plain(shape.work, shape.dearest) or shape.work <= _BUSY * shape.moves


def is_plain(section: Sequence[Statement]) -> bool:
    """Whether that turn of a sweep is code of its own though it is not in others of the kernel, which are dear."""
    works = [_work(x) for x in section if isinstance(x, Compute)]
    return _is_plain(sum(works), max(works, default=0.0))


def _is_plain(work: float, dearest: float) -> bool:
    return work <= _LONG and dearest < DEAR


class Room(NamedTuple):
    """What a kernel keeps of one sweep for another: a row of each of these, or as many rows as a vector has lanes."""

    kept: tuple[Value, ...]
    rows: int

    def bytes(self, columns: int) -> int:
        return sum(-(-self.rows * columns * x.row.numpy.itemsize // 64) * 64 for x in self.kept)


def room_of(kernel: LoopKernel, machine: Machine, *, upright: bool) -> Room:
    known = makers(kernel)
    homes = parts_of(kernel).kept
    kept = tuple(known[name].target for name, home in homes.items() if home is None)
    return Room(kept, lanes_of(kernel, machine) if upright and kernel.rows else 1)


@of_kernel
def parts_of(kernel: LoopKernel) -> Row:
    """What is done for a row: a sweep that carries as it is, and others as `in_parts` has them."""
    if not carries(kernel):
        return in_parts(kernel)
    return Row(tuple(part.body if isinstance(part, Sweep) else part for part in kernel.body), {})


def followed(
    kernel: LoopKernel, layout: Layout, kept: Collection[str]
) -> tuple[dict[str, int], frozenset[str]]:
    """The number of the deepest loop that each value follows, -1 for none; and the values that are vectors.

    What is ``kept`` of a row is kept of each of its elements. What is carried is a vector where the first of it is, or
    what any turn makes of it.
    """
    spread: set[str] = set()
    while True:
        depths, vectors = _followed(kernel, layout, kept, spread)
        new = {x.target.name for x in carries(kernel) if name_of(x.after) in vectors} - vectors
        if not new:
            return depths, vectors
        spread |= new


def _followed(
    kernel: LoopKernel, layout: Layout, kept: Collection[str], spread: Collection[str]
) -> tuple[dict[str, int], frozenset[str]]:
    """The same, where what is carried is a vector if its first is, or if it is among the ``spread``."""
    vector, rows = layout.vector, layout.rows
    followed_by = {
        access: (_deepest(steps), vector >= 0 and steps[vector] is not Step.NONE)
        for access, steps in zip(accesses(kernel), layout.steps, strict=True)
    }
    depths: dict[str, int] = {}
    vectors: set[str] = set()
    for name, x in makers(kernel).items():
        behind = [y.name for y in operands(x) if isinstance(y, Value)]
        is_vector = not vectors.isdisjoint(behind)
        if isinstance(x, Load):
            depths[name], is_vector = followed_by[Access(x.param.name, x.index)]
        elif isinstance(x, Reduce):
            depths[name], is_vector = rows - 1, is_vector and vector < rows
        elif isinstance(x, Carry):
            depths[name], is_vector = rows + layout.columns - 1, name in spread or name_of(x.first) in vectors
        else:
            depths[name] = max([depths[y] for y in behind], default=-1)
        if name in kept:
            depths[name], is_vector = rows + layout.columns - 1, True
        if is_vector:
            vectors.add(name)
    return depths, frozenset(vectors)


def name_of(x: Operand) -> str:
    """That of a value; "" for a number."""
    return x.name if isinstance(x, Value) else ""


def _deepest(steps: Sequence[Step]) -> int:
    """The number of the last loop that goes anywhere; -1 where none does."""
    return max((n for n, step in enumerate(steps) if step is not Step.NONE), default=-1)
