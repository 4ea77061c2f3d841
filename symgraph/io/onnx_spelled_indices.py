"""Indexing and updates in ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.types import INT64
from symgraph.io.onnx_table import Refused
from symgraph.io.onnx_writing import Writer, spelled
from symgraph.ops.keys import Gather, NewAxis, Slice, indexed_shape


@spelled("index")
def index(w: Writer, node: Node, x: str, *arrays: str, items: tuple[Any, ...]) -> str:
    return _indexed(w, x, node.inputs[0].ndim, node.ndim, arrays, items)


def _indexed(
    w: Writer, x: str, rank: int, rank_after: int, arrays: Sequence[str], items: tuple[Any, ...]
) -> str:
    """Slices first, then either numbers and new axes or arrays of indices, among which numbers count as arrays."""
    keys = [item for item in items if not isinstance(item, NewAxis)]
    cut = [(axis, key) for axis, key in enumerate(keys) if isinstance(key, Slice) and key != Slice()]
    if cut:
        x = w.add(
            "Slice",
            x,
            _joined(w, [_start(w, key) for _, key in cut]),
            _joined(w, [_stop(w, key) for _, key in cut]),
            w.ints(axis for axis, _ in cut),
            w.ints(key.step for _, key in cut),
        )
    places = {axis: _place(w, key, arrays) for axis, key in enumerate(keys) if not isinstance(key, Slice)}
    if any(isinstance(key, Gather) for key in keys):
        if len(keys) < len(items):
            raise Refused("arrays of indices together with new axes")
        if len(places) == 1:
            ((axis, place),) = places.items()
            return w.add("Gather", x, place, axis=axis)
        return _gathered(w, x, places, rank, rank_after)
    for axis in reversed(places):
        x = w.add("Gather", x, places[axis], axis=axis)
    kept = [item for item in items if isinstance(item, NewAxis | Slice)]
    new = [place for place, item in enumerate(kept) if isinstance(item, NewAxis)]
    return w.add("Unsqueeze", x, w.ints(new)) if new else x


def _place(w: Writer, key: Any, arrays: Sequence[str]) -> str:
    """The array of indices, or the one number, by which an axis is read."""
    if isinstance(key, Gather):
        return arrays[key.array]
    return w.constant(key, np.int64) if isinstance(key, int) else w.add("Squeeze", w.size(key), w.ints([0]))


_FAR = 2**63 - 1


def _start(w: Writer, key: Slice) -> str:
    if key.start is not None:
        return w.size(key.start)
    return w.ints([0 if key.step > 0 else _FAR])


def _stop(w: Writer, key: Slice) -> str:
    if key.stop is not None:
        return w.size(key.stop)
    return w.ints([_FAR if key.step > 0 else -_FAR])


def _joined(w: Writer, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else w.add("Concat", *parts, axis=0)


def _gathered(w: Writer, x: str, places: Mapping[int, str], rank: int, rank_after: int) -> str:
    """The elements at arrays of indices on several axes, which come first, and then stand where NumPy has them."""
    axes = list(places)
    rest = [axis for axis in range(rank) if axis not in places]
    found = w.add("GatherND", w.add("Transpose", x, perm=[*axes, *rest]), _stacked(w, list(places.values())))
    width = rank_after - len(rest)
    neighbours = axes == list(range(axes[0], axes[0] + len(axes)))
    before = axes[0] if neighbours else 0
    if not before:
        return found
    order = [*range(width, width + before), *range(width), *range(width + before, rank_after)]
    return w.add("Transpose", found, perm=order)


def _stacked(w: Writer, arrays: list[str]) -> str:
    """Indices of several axes, broadcast against one another, side by side."""
    shape = w.add("Shape", _summed(w, [w.cast(each, INT64) for each in arrays]))
    wide = [w.add("Unsqueeze", w.add("Expand", w.cast(each, INT64), shape), w.ints([-1])) for each in arrays]
    return w.add("Concat", *wide, axis=-1)


def _summed(w: Writer, arrays: list[str]) -> str:
    total = arrays[0]
    for each in arrays[1:]:
        total = w.add("Add", total, each)
    return total


_REDUCTIONS = {"set": "none", "add": "add", "multiply": "mul", "min": "min", "max": "max"}


@spelled("update")
def update(w: Writer, node: Node, x: str, value: str, *arrays: str, items: tuple[Any, ...], mode: str) -> str:
    """The elements, flattened, at the places that the key names in an array of all places."""
    given = node.inputs[0]
    if given.row.kind == "bool":
        raise Refused("an update of bools")
    shape, zero, one = w.shape(given.shape), w.constant(0, np.int64), w.constant(1, np.int64)
    every = w.add("Reshape", w.add("Range", zero, w.add("Size", x), one), shape, allowzero=1)
    rank = len(indexed_shape(given.shape, [array.shape for array in node.inputs[2:]], items))
    places = _indexed(w, every, given.ndim, rank, arrays, items)
    values = w.add("Expand", value, w.add("Shape", places))
    flat = w.add("Reshape", x, w.ints([-1]))
    new = w.add(
        "ScatterND", flat, w.add("Unsqueeze", places, w.ints([-1])), values, reduction=_REDUCTIONS[mode]
    )
    return w.add("Reshape", new, shape, allowzero=1)
