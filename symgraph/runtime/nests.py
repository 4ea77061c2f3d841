"""Loops over arrays of any strides: neighbours that every array goes through as through one are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.layout import Access, Layout, Step, accesses, axis_of, is_upright
from symgraph.codegen.llvm_transposes import turned
from symgraph.codegen.loops import LoopKernel, columns_of
from symgraph.codegen.streams import SHARE, streams
from symgraph.graph.dims import Size

Array = np.ndarray[Any, Any]


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
    kernel: LoopKernel, arrays: Mapping[str, Array], rows: Sequence[int], columns: Sequence[int]
) -> tuple[Layout, list[int], list[list[int]]]:
    """The layout for arrays of these shapes and strides, the sizes of its loops, and the bytes that a turn of each goes
    in each access."""
    sizes = [*rows, *columns]
    variables = [loop.variable for loop in (*kernel.rows, *columns_of(kernel))]
    found = accesses(kernel)
    strides = [_strides(access, arrays[access.param], variables, sizes) for access in found]
    turns, steps, count = collapsed(sizes, strides, len(rows))
    each = (
        tuple(_step(stride, arrays[access.param].itemsize) for stride in own)
        for access, own in zip(found, steps, strict=True)
    )
    nbytes = sum(array.nbytes for array in arrays.values())
    by_caches = streams(kernel, nbytes, turns[-1] if turns else 0)
    layout = Layout(count, len(turns) - count, is_upright(kernel), tuple(each), by_caches)
    if nbytes > SHARE and turned(kernel, layout):
        layout = replace(layout, is_far=True)
    return layout, turns, steps


def _step(stride: int, itemsize: int) -> Step:
    return Step.NONE if not stride else Step.UNIT if stride == itemsize else Step.FAR


def _strides(access: Access, array: Array, variables: Sequence[Size], sizes: Sequence[int]) -> list[int]:
    """The bytes that a turn of each loop goes; where there is one turn, as in an array in order: so that what is one
    loop for other sizes is one for these."""
    found = [0] * len(variables)
    inner = array.itemsize
    for dim, size, stride in reversed(list(zip(access.index, array.shape, array.strides, strict=True))):
        axis = axis_of(dim, variables)
        if axis is not None:
            if size != 1:
                found[axis] = stride
            elif sizes[axis] == 1:
                found[axis] = inner
            inner = size * (stride if size != 1 else inner)
    return found
