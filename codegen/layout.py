"""How the arrays of a call lie along the loops of a kernel: what its native code depends on, and of sizes only whether
they are too large for the caches."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from symgraph.codegen.loops import (
    Load,
    LoopKernel,
    Store,
    all_of,
    carries,
    columns_of,
    of_form,
    of_kernel,
)
from symgraph.graph.dims import Dim, Size, symbols


class Step(Enum):
    """How far a turn of a loop goes in an array."""

    NONE = 0
    """Nowhere."""
    UNIT = 1
    """To the neighbour in memory."""
    FAR = 2
    """As many bytes as the call says."""

    # Layouts have hundreds of them, and are looked up: an Enum's own is Python code.
    __hash__ = object.__hash__


class Access(NamedTuple):
    """An array of a kernel, by its name, and an index that it is read or written at."""

    param: str
    index: tuple[Dim, ...]  # type: ignore[assignment]  # which hides a tuple's own


class Layout(NamedTuple):
    """The loops of a kernel at a call, where neighbours are one if all arrays allow it.

    One loop is worked on in vectors: the last over the columns, or, if there is none or the kernel is `upright`, the
    last over the rows.
    """

    rows: int
    """How many loops over rows there are."""
    columns: int
    upright: bool
    steps: tuple[tuple[Step, ...], ...]
    """For each of `accesses`, one for each loop."""
    streams: bool = False
    """Whether results pass by the caches; see `symgraph.codegen.streams`."""
    is_far: bool = False
    """Whether arrays are read across their rows that no cache holds; see `symgraph.codegen.llvm_transposes`."""
    is_narrow: bool = False
    """Whether one vector of the machine holds all rows: there is nothing to work on beside it."""
    is_long: bool = True
    """Whether rows may have several blocks; see `symgraph.codegen.row_blocks`."""
    is_shared: bool = False
    """Whether threads share these."""

    @property
    def vector(self) -> int:
        """The number of the loop that is worked on in vectors; -1 where there is none."""
        inner = self.columns and not (self.upright and self.rows)
        return self.rows - 1 + (self.columns if inner else 0)


@of_kernel
def accesses(kernel: LoopKernel) -> tuple[Access, ...]:
    """Every array by every index, in the order of the statements."""
    found = [Access(x.param.name, x.index) for x in all_of(kernel) if isinstance(x, Load | Store)]
    return tuple(dict.fromkeys(found))


@of_form
def axes_of(kernel: LoopKernel) -> tuple[tuple[int | None, ...], ...]:
    """For each of `accesses` which loop each of its indices follows, as `axis_of` says."""
    variables = [loop.variable for loop in (*kernel.rows, *columns_of(kernel))]
    return tuple([tuple([axis_of(dim, variables) for dim in access.index]) for access in accesses(kernel)])


def axis_of(dim: Dim, variables: Sequence[Size]) -> int | None:
    """Which loop an index follows; None where it follows none."""
    if isinstance(dim, int):
        return None
    used = symbols(dim)
    for axis, variable in enumerate(variables):
        if variable in used:
            return axis
    return None


FEW = 8
"""Rows that are known to be no longer are worked on side by side."""


@of_form
def is_upright(kernel: LoopKernel) -> bool:
    """Whether neighbours in memory are neighbouring rows, in most arrays that lie along rows and columns; or rows are
    known to be short, or carry something."""
    along_rows = columns_of(kernel)
    if not along_rows or not kernel.rows:
        return False
    if carries(kernel):
        return True
    count = 1
    for loop in along_rows:
        count = count * loop.size if isinstance(loop.size, int) else FEW + 1
    if count <= FEW:
        return True
    rows = {loop.variable for loop in kernel.rows}
    columns = {loop.variable for loop in along_rows}
    votes = 0
    for access in accesses(kernel):
        used = [x for dim in access.index if isinstance(dim, Size) for x in symbols(dim)]
        along = [x for x in used if x in rows or x in columns]
        if any(x in rows for x in along) and any(x in columns for x in along):
            votes += 1 if along[-1] in rows else -1
    return votes > 0
