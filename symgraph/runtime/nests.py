"""Loops over arrays of any strides: neighbours that every array goes through as through one are one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


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
