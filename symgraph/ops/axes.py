"""Axes as a user names them: negative, many, or None for all."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any

from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node


def one_axis(axis: Any, x: Node) -> int:
    """The axis counted from the front; raises ShapeError when ``x`` does not have it."""
    return _from_front(axis, x.ndim, x.type)


def many_axes(axis: Any, x: Node) -> tuple[int, ...]:
    """The axes, sorted: all of them for None, one for an int; raises ShapeError for one that is named twice."""
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    found = sorted(one_axis(each, x) for each in given)
    for a, b in pairwise(found):
        if a == b:
            raise ShapeError(f"axis {a} is named twice")
    return tuple(found)


def new_axes(axis: Any, x: Node) -> tuple[int, ...]:
    """Where axes are to be added, counted in the result and sorted."""
    given = axis if isinstance(axis, tuple | list) else (axis,)
    rank = x.ndim + len(given)
    found = sorted(_from_front(each, rank, f"a result of rank {rank}") for each in given)
    for a, b in pairwise(found):
        if a == b:
            raise ShapeError(f"axis {a} is named twice")
    return tuple(found)


def reduced_shape(shape: tuple[Dim, ...], axes: tuple[int, ...], keepdims: bool = False) -> tuple[Dim, ...]:
    """The sizes that are left when these axes, counted from the front and sorted, are reduced."""
    for axis in axes:
        check_axis(axis, shape)
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)


def check_axis(axis: int, shape: tuple[Dim, ...]) -> None:
    """Raise ShapeError for an attribute that is no axis counted from the front."""
    if not 0 <= axis < len(shape):
        raise ShapeError(f"axis {axis} does not exist: there are {len(shape)}, counted from 0")


def _from_front(axis: Any, rank: int, where: Any) -> int:
    try:
        index = operator.index(axis)
    except TypeError:
        index = None
    if index is None or isinstance(axis, bool):
        raise ArgumentError(f"an axis is an int, not {axis!r}")
    if not -rank <= index < rank:
        raise ShapeError(f"axis {index} does not exist in {where}")
    return index % rank
