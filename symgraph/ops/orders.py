"""Stable orders by quick sorts: those of NumPy are vectorised, and its stable ones take several times as long."""

from __future__ import annotations

import numpy as np

from symgraph.ops.annotations import Array

_LONG = 1 << 11
"""Elements from which on it is worth the passes before and after."""
_MOST = 1 << 32
"""Places that half a word can name."""


def sorted_values(x: Array, axis: int) -> Array:
    """The elements in order along an axis; equal ones, as the two zeros, in the order in which they stand."""
    if x.shape[axis] < _LONG or x.dtype.itemsize < 4 or not _tells_apart(x):
        return np.take_along_axis(x, stable_order(x, axis), axis)
    return np.sort(x, axis)


def stable_order(x: Array, axis: int) -> Array:
    """The indices, int64, that put elements in order along an axis, equal ones in the order in which they stand."""
    if not _LONG <= x.shape[axis] < _MOST or x.dtype.itemsize < 4:
        return np.argsort(x, axis, kind="stable").astype(np.int64, copy=False)
    rows = np.moveaxis(x, axis, -1)
    order = np.empty(rows.shape, np.int64)
    for place in np.ndindex(rows.shape[:-1]):
        order[place] = _order_of(np.ascontiguousarray(rows[place]))
    return np.moveaxis(order, -1, axis)


def _order_of(row: Array) -> Array:
    """Any order, in which the places of equal elements, numbered together, are sorted then."""
    order = np.argsort(row)
    found = row[order]
    changes = found[1:] != found[:-1]
    if row.dtype.kind == "f":  # NaN is not equal to itself, and stands at the end
        changes &= found[:-1] == found[:-1]
    if changes.all():
        return order
    keys = np.zeros(len(row), np.uint64)
    np.cumsum(changes, out=keys[1:])
    keys <<= np.uint64(32)
    keys |= order.astype(np.uint64)
    keys.sort()
    keys &= np.uint64(_MOST - 1)
    return keys.astype(np.int64)


def _tells_apart(x: Array) -> bool:
    """Whether elements that are equal have the same bits."""
    if x.dtype.kind != "f":
        return True
    return not (np.isnan(x).any() or (np.signbit(x) & (x == 0)).any())
