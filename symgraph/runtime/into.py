"""Calls of libraries that write their result where they are told: ``out`` first, then as the op's own meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph.node import Node
from symgraph.graph.op import Op
from symgraph.graph.types import TupleType
from symgraph.ops.index import index
from symgraph.ops.join import concat, pad
from symgraph.ops.keys import Gather, Item, Slice, numpy_key
from symgraph.ops.linalg import matmul, tensordot
from symgraph.ops.scan import cumulative_prod, cumulative_sum
from symgraph.ops.shape import reshape
from symgraph.ops.update import MODES, combine, update

Array = np.ndarray[Any, Any]
Writer = Callable[..., None]


def writer(node: Node) -> Writer | None:
    """The function that writes the node's value into an array; None where the library has memory of its own."""
    if isinstance(node.type, TupleType) or (node.row.is_float and node.row.bits == 16):
        return None
    if node.op is index.op and _gathered(node.attrs.items) is None:  # type: ignore[union-attr]
        return None
    return _WRITERS.get(node.op)


def _matmul(out: Array, a: Array, b: Array) -> None:
    np.matmul(a, b, out=out)


def _tensordot(out: Array, a: Array, b: Array, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    """One matrix product, of operands that are copied where their axes do not lie together."""
    if [a.shape[axis] for axis in first] != [b.shape[axis] for axis in second]:
        raise ShapeError(f"axes {first} of {a.shape} and {second} of {b.shape} are summed together")
    free_a = [axis for axis in range(a.ndim) if axis not in first]
    free_b = [axis for axis in range(b.ndim) if axis not in second]
    rows, columns = prod(a.shape[axis] for axis in free_a), prod(b.shape[axis] for axis in free_b)
    both = prod(a.shape[axis] for axis in first)
    left = a.transpose(*free_a, *first).reshape(rows, both)
    right = b.transpose(*second, *free_b).reshape(both, columns)
    np.matmul(left, right, out=out.reshape(rows, columns))


def _concat(out: Array, *arrays: Array, axis: int) -> None:
    np.concatenate(arrays, axis=axis, out=out)


def _pad(out: Array, x: Array, value: Array, widths: tuple[tuple[int, int], ...]) -> None:
    out[...] = value
    out[tuple(slice(a, a + size) for size, (a, _) in zip(x.shape, widths, strict=True))] = x


def _take(out: Array, x: Array, places: Array, items: tuple[Item, ...]) -> None:
    axis = _gathered(items)
    assert axis is not None
    size = x.shape[axis]
    if places.size:
        worst = max(places.min(), places.max(), key=lambda place: place if place >= 0 else -1 - place)
        if not -size <= worst < size:
            raise IndexError(f"index {worst} is out of bounds for axis {axis} with size {size}")
        np.take(x, places, axis=axis, out=out, mode="wrap")  # the others copy, or refuse what is negative


def _gathered(items: tuple[Item, ...]) -> int | None:
    """The one axis that is read by an array of indices, where all others are read whole."""
    axes = [axis for axis, item in enumerate(items) if isinstance(item, Gather)]
    whole = all(item == Slice() for item in items if not isinstance(item, Gather))
    return axes[0] if len(axes) == 1 and whole else None


def _reshape(out: Array, x: Array, shape: tuple[int, ...]) -> None:
    np.copyto(out.reshape(x.shape), x)


def _cumulative(ufunc: np.ufunc) -> Writer:
    def write(out: Array, x: Array, axis: int, reverse: bool, exclusive: bool) -> None:
        x, out = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
        if reverse:
            x, out = x[::-1], out[::-1]
        if exclusive:
            out[:1] = ufunc.identity
            ufunc.accumulate(x[:-1], axis=0, dtype=out.dtype, out=out[1:])
        else:
            ufunc.accumulate(x, axis=0, dtype=out.dtype, out=out)

    return write


def _update(out: Array, x: Array, value: Array, *arrays: Array, items: tuple[Item, ...], mode: str) -> None:
    if x.ctypes.data != out.ctypes.data or x.strides != out.strides:  # else it is written over
        np.copyto(out, x)
    key = numpy_key(items, arrays)
    if mode == "set":
        out[key] = value
    elif arrays:
        combine(mode, out, key, value)
    else:
        part = out[(*key, ...)]
        MODES[mode](part, value, out=part)


_WRITERS: Mapping[Op, Writer] = {
    matmul.op: _matmul,
    tensordot.op: _tensordot,
    concat.op: _concat,
    pad.op: _pad,
    index.op: _take,
    reshape.op: _reshape,
    cumulative_sum.op: _cumulative(np.add),
    cumulative_prod.op: _cumulative(np.multiply),
    update.op: _update,
}

IN_PLACE = frozenset({update.op})
"""The ops that may write over their first input."""
