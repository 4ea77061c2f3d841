"""How the threads of a GPU share a kernel: what its text depends on beside the layout, chosen from the sizes of a call.

What is chosen follows from sizes alone, never from the device, so that a sum has one order everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from symgraph.codegen.layout import Layout, Step, accesses, is_upright
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.llvm_transposes import turned
from symgraph.codegen.loops import (
    LoopKernel,
    Reduce,
    Store,
    Sweep,
    Value,
    all_of,
    of_kernel,
    operands,
)

BLOCK = 256
"""Threads of a block, unless a row has more."""
WARP = 32
"""Threads that go in step, and pass each other numbers without a barrier."""

_BYTES = 16
"""Of the widest load."""
_MOST = 1024
"""Threads of a block, at most."""
_EACH = 16
"""Numbers of a row for each thread, as long as there are threads enough."""
_HELD = 32
"""Registers of 4 bytes for what a thread holds of a row: with more it reads again."""
FULL = 1 << 17
"""So many threads keep a large GPU busy."""
PART = 1 << 13
"""Numbers of a row that a block has at least, where a row is cut into parts."""
PARTS = 1024
"""Parts of a row, at most."""
_NEAR = 1 << 30
"""What indices of 32 bits reach."""


@dataclass(frozen=True, slots=True)
class Form:
    """A way to share rows: some threads have each row together."""

    wide: bool
    """Whether indices have 64 bits."""
    vector: int
    """Neighbours that a thread reads at once."""
    threads: int = 1
    """Of a row."""
    upright: bool = False
    """Whether neighbouring threads have neighbouring rows."""
    held: int = 0
    """How many times a thread takes ``vector`` numbers of its row and keeps them; 0 where it keeps none."""
    is_cut: bool = False
    """Whether rows are cut into parts, and the kernel into one function for each sweep."""
    tiled: bool = False
    """Whether arrays are read across their rows, in tiles."""

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return WARP if self.upright else max(1, BLOCK // self.threads)

    @property
    def block(self) -> int:
        """Threads of a block."""
        return self.rows * self.threads


def form(
    kernel: LoopKernel,
    layout: Layout,
    turns: Sequence[int],
    steps: Sequence[Sequence[int]],
    addresses: Sequence[int],
    spans: Sequence[int],
) -> Form:
    """The form for loops of so many turns.

    For each access ``steps`` has the bytes that a turn of each loop goes, and ``addresses`` where it begins; ``spans``
    has the numbers that each array reaches over.
    """
    rows, columns = prod(turns[: layout.rows]), prod(turns[layout.rows :])
    wide = is_wide(*spans, rows * max(1, columns))
    if not layout.columns and turned(kernel, layout):
        return Form(wide, 1, tiled=True)
    if not layout.columns:
        return Form(wide, _vector(kernel, layout, turns, steps, addresses, whole=len(turns) > 1))
    threads, is_cut = shared(kernel, rows, columns)
    if layout.upright and layout.rows:
        return Form(wide, 1, threads, upright=True, is_cut=is_cut)
    vector = _vector(kernel, layout, turns, steps, addresses, whole=True)
    held = -(-columns // (threads * vector)) if is_held(kernel, rows, columns) else 0
    return Form(wide, vector, threads, held=held, is_cut=is_cut)


def is_wide(*numbers: int) -> bool:
    """Whether indices need more than 32 bits."""
    return max(numbers) >= _NEAR


def shared(kernel: LoopKernel, rows: int, columns: int) -> tuple[int, bool]:
    """How many threads share a row, and whether blocks share it."""
    is_cut = columns >= 4 * PART and rows * BLOCK < FULL
    if is_upright(kernel) and kernel.rows:
        return _power(columns // _EACH, BLOCK // WARP), is_cut
    if is_cut:
        return BLOCK, True
    return _power(max(columns / _EACH, min(columns / 4, WARP)), _MOST), False


def is_held(kernel: LoopKernel, rows: int, columns: int) -> bool:
    """Whether threads keep what later sweeps read of their numbers."""
    threads, is_cut = shared(kernel, rows, columns)
    return (
        not (is_cut or (is_upright(kernel) and kernel.rows))
        and _words(kernel) * -(-columns // threads) <= _HELD
    )


def parts(columns: int) -> tuple[int, int]:
    """Into how many parts a row is cut, and how long they are."""
    count = max(1, min(PARTS, columns // PART))
    length = -(-columns // count)
    length = -(-length // BLOCK) * BLOCK
    return max(1, -(-columns // length)), length


def _power(wanted: float, most: int) -> int:
    """The least power of 2 that is not less than wanted."""
    found = 1
    while found < min(wanted, most):
        found *= 2
    return found


def _vector(
    kernel: LoopKernel,
    layout: Layout,
    turns: Sequence[int],
    steps: Sequence[Sequence[int]],
    addresses: Sequence[int],
    *,
    whole: bool,
) -> int:
    """Neighbours that a thread reads at once: as many as all arrays allow. Where rows follow each other, they have a
    ``whole`` number of them."""
    if not turns:
        return 1
    itemsizes = {param.name: param.type.dtype.numpy.itemsize for param in (*kernel.reads, *kernel.writes)}
    last = len(turns) - 1
    near = [x.param for x, own in zip(accesses(kernel), layout.steps, strict=True) if own[last] is Step.UNIT]
    found = _BYTES // max((itemsizes[name] for name in near), default=_BYTES)
    for access, kinds, own, address in zip(accesses(kernel), layout.steps, steps, addresses, strict=True):
        if kinds[last] is Step.FAR:
            return 1
        if kinds[last] is Step.UNIT:
            bytes_ = found * itemsizes[access.param]
            while found > 1 and any(x % bytes_ for x in (address, *own[:last])):
                found, bytes_ = found // 2, bytes_ // 2
    while whole and found > 1 and turns[last] % found:
        found //= 2
    return found


@of_kernel
def crossing(kernel: LoopKernel) -> frozenset[str]:
    """The values of sweeps that later ones read."""
    made: dict[str, int] = {}
    found: set[str] = set()
    for n, part in enumerate(kernel.body):
        if isinstance(part, Sweep):
            for each in part.body:
                for x in operands(each):
                    if isinstance(x, Value) and made.get(x.name, n) != n:
                        found.add(x.name)
                if not isinstance(each, Store | Reduce):
                    made[each.target.name] = n
    return frozenset(found)


@of_kernel
def _words(kernel: LoopKernel) -> int:
    """Registers of 4 bytes for what is kept of one number of a row."""
    names = crossing(kernel)
    return sum(
        -(-computed_in(x.target.row).bits // 32)
        for x in all_of(kernel)
        if not isinstance(x, Store | Reduce) and x.target.name in names
    )
