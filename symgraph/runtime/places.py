"""Where the largest or smallest elements of blocks are, and of what is longer than a block."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Find = Callable[..., Any]
"""``np.argmax`` or ``np.argmin``."""


def find_first(find: Find, x: Array, axes: tuple[int, ...], out: Array, room: Array) -> None:
    """The place of the first extremum along the last axes, or the first, which stay with size 1; counted in row-major
    order. There is room for a copy of ``x``."""
    flat = _flat(x, axes, room)
    find(flat, axis=-1, out=out.reshape(flat.shape[:-1]))


def find_part(
    find: Find,
    x: Array,
    axes: tuple[int, ...],
    place: Array,
    best: Array,
    found: Array,
    room: Array,
    begun: int,
) -> int:
    """Go on with a part that ``begun`` elements lie before, and return how many lie before the next.

    ``place`` is where the first extremum is up to here, and ``best`` is that element; NaN is the extremum if there is
    one. ``found`` and ``room`` are overwritten.
    """
    flat = _flat(x, axes, room)
    rows = flat.reshape(-1, flat.shape[-1])
    if len(rows) == 1:
        at = find(rows)
        if not begun or _is_better(find, rows[0, at], best.reshape(())):
            best[...], place[...] = rows[0, at], begun + at
        return begun + rows.shape[1]
    places = found.reshape(len(rows))
    find(rows, axis=1, out=places)
    new = rows[np.arange(len(rows)), places].reshape(best.shape)
    np.add(found, begun, out=found)
    better = _is_better(find, new, best) if begun else True
    np.copyto(best, new, where=better)
    np.copyto(place, found, where=better)
    return begun + rows.shape[1]


def _is_better(find: Find, new: Any, best: Any) -> Any:
    """Whether the new elements come before the best so far, which were met earlier."""
    return (new > best if find is np.argmax else new < best) | (new != new) & (best == best)


def _flat(x: Array, axes: tuple[int, ...], room: Array) -> Array:
    """The elements along the axes in order, as the last axis."""
    count = len(axes)
    seen = x if axes[-1] == -1 else x.transpose(*range(count, x.ndim), *range(count))
    rows = seen.shape[: x.ndim - count]
    if x.dtype.kind == "V":  # NumPy's order of bfloat16 does not know NaN; float32 holds every such value
        seen = seen.astype(np.float32, order="C")
    elif not seen.flags.c_contiguous and room is not x:
        copy = room.reshape(seen.shape)
        np.copyto(copy, seen)
        seen = copy
    return seen.reshape(*rows, prod(seen.shape[len(rows) :]))
