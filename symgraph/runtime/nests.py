"""Loops over arrays of any strides: neighbours that every array goes through as through one are one.

Sizes and strides are ints at a call, which annotations speak of. Where code is made ahead of all calls they are the
expressions of `symgraph.graph.dims`, which compute alike: nothing here asks which of two is larger without need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Protocol

from symgraph.codegen.layout import Layout, Step, accesses, axes_of, is_upright
from symgraph.codegen.llvm_transposes import turned
from symgraph.codegen.loops import LoopKernel
from symgraph.codegen.machine import Machine
from symgraph.codegen.row_blocks import blocks
from symgraph.codegen.streams import SHARE, streams
from symgraph.codegen.vectorized import lanes_of
from symgraph.graph.dims import dim_min


class Lying(Protocol):
    """An array, of which only matters how it lies."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def strides(self) -> tuple[int, ...]: ...

    @property
    def itemsize(self) -> int: ...


def collapsed(
    sizes: Sequence[int], strides: Sequence[Sequence[int]], rows: int = 0
) -> tuple[list[int], list[list[int]], int]:
    """The sizes of the loops that are left, the bytes that a turn of each goes in each array, and how many of them were
    among the first ``rows``, which stay apart from the others.

    >>> collapsed([2, 3, 4], [[96, 32, 8], [32, 0, 8]])
    ([2, 3, 4], [[96, 32, 8], [32, 0, 8]], 0)
    >>> collapsed([2, 3, 4], [[96, 32, 8], [0, 0, 0]])
    ([24], [[8], [0]], 0)
    """
    groups: list[list[int]] = []
    for axis, size in enumerate(sizes):
        if groups and axis != rows and all(own[groups[-1][-1]] == own[axis] * size for own in strides):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    left = [prod(sizes[axis] for axis in group) for group in groups]
    return left, [[own[group[-1]] for group in groups] for own in strides], sum(g[0] < rows for g in groups)


def arranged(
    kernel: LoopKernel, arrays: Mapping[str, Lying], rows: Sequence[int], columns: Sequence[int]
) -> tuple[Layout, list[int], list[list[int]]]:
    """The layout for arrays of these shapes and strides, the sizes of its loops, and the bytes that a turn of each goes
    in each access. Arrays of sizes that are not known are taken to fit the caches."""
    sizes = [*rows, *columns]
    found = accesses(kernel)
    strides = [
        _strides(axes, arrays[access.param], sizes)
        for access, axes in zip(found, axes_of(kernel), strict=True)
    ]
    turns, steps, count = collapsed(sizes, strides, len(rows))
    each = (
        tuple(_step(stride, arrays[access.param].itemsize) for stride in own)
        for access, own in zip(found, steps, strict=True)
    )
    layout = Layout(count, len(turns) - count, is_upright(kernel), tuple(each))
    nbytes = sum(array.itemsize * prod(array.shape) for array in arrays.values())
    if isinstance(nbytes, int) and nbytes > SHARE:
        layout = layout._replace(streams=streams(kernel, nbytes, turns[-1] if turns else 0))
        layout = layout._replace(is_far=turned(kernel, layout) is not None)
    return layout, turns, steps


def with_blocks(
    layout: Layout, turns: list[int], steps: list[list[int]], *, shared: bool
) -> tuple[Layout, list[int], list[list[int]]]:
    """The same for the number of blocks that rows have, which are ``shared`` if they are several. One row has no loop
    around it then."""
    upright = layout.vector < layout.rows
    if not layout.columns or blocks(turns[layout.rows :], upright=upright) < 2:
        return layout._replace(is_long=False), turns, steps
    if not shared:
        return layout, turns, steps
    if prod(turns[: layout.rows]) == 1 and not upright:
        layout, turns, steps = _inside(layout.rows, layout, turns, steps)
    return layout._replace(is_shared=True), turns, steps


def without_single(
    layout: Layout, turns: list[int], steps: list[list[int]]
) -> tuple[Layout, list[int], list[list[int]]]:
    """The same without loops over rows that turn once and stand around another, which threads can share."""
    single = next((n for n, size in enumerate(turns[: layout.rows]) if size != 1), layout.rows)
    return _inside(min(single, max(layout.rows - 1, 0)), layout, turns, steps)


def _inside(
    n: int, layout: Layout, turns: list[int], steps: list[list[int]]
) -> tuple[Layout, list[int], list[list[int]]]:
    """What stands inside of so many loops over rows."""
    inner = layout._replace(rows=layout.rows - n, steps=tuple(own[n:] for own in layout.steps))
    return inner, turns[n:], [own[n:] for own in steps]


def carrying(
    kernel: LoopKernel, arrays: Mapping[str, Lying], rows: Sequence[int], turns: int, machine: Machine
) -> tuple[Layout, list[int], list[list[int]]]:
    """The same of a kernel with one sweep of so many turns, which carries something from each to the next."""
    layout, sizes, steps = arranged(kernel, arrays, rows, [turns])
    along = sizes[layout.vector]
    is_narrow = isinstance(along, int) and along <= lanes_of(kernel, machine, single=True)
    return layout._replace(streams=False, is_far=False, is_narrow=is_narrow), sizes, steps


def stretched(stride: int, size: int, turns: int) -> int:
    """The bytes that one of so many turns goes along an axis of a size: none where its one element serves all, which
    for sizes without a number may turn out at the call."""
    if size is turns or isinstance(size, int):
        return stride
    return stride * dim_min(size - 1, 1)


def _step(stride: int, itemsize: int) -> Step:
    return Step.NONE if stride == 0 else Step.UNIT if stride == itemsize else Step.FAR


def _strides(axes: Sequence[int | None], array: Lying, sizes: Sequence[int]) -> list[int]:
    """The bytes that a turn of each loop goes; where there is one turn, as in an array in order, and so in an empty one
    (whose strides NumPy makes 0): so that what is one loop for other sizes is one for these."""
    found = [0] * len(sizes)
    inner = array.itemsize
    is_empty = 0 in array.shape
    for axis, size, stride in reversed(list(zip(axes, array.shape, array.strides, strict=True))):
        if axis is not None:
            if is_empty and size != 1:
                found[axis] = stride = inner
            elif size != 1:
                found[axis] = stretched(stride, size, sizes[axis])
            elif sizes[axis] == 1:
                found[axis] = inner
            inner = size * (stride if size != 1 else inner)
    return found
