"""Sums of blocks, and of the parts of what is longer than a block: as accurate as pairwise ones."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def add_up(x: Array, axes: tuple[int, ...], out: Array, room: Array) -> None:
    """The sum along the last axes, or the first, which stay with size 1; there is room for a copy of ``x``.

    NumPy sums pairwise along the last axis of a contiguous array and one by one along any other.
    """
    if axes and axes[-1] != -1:
        _fold_up(x, len(axes), out, room)
        return
    if not x.flags.c_contiguous:
        np.copyto(room, x)
        x = room
    rows = x.shape[: x.ndim - len(axes)]
    flat = x.reshape(*rows, prod(x.shape[len(rows) :]))
    np.add.reduce(flat, axis=-1, dtype=x.dtype, out=out.reshape(rows))


def _fold_up(x: Array, axes: int, out: Array, room: Array) -> None:
    """The sum along the first axes: one half added to the other, again and again."""
    rows = x.shape[axes:]
    if axes > 1:
        np.copyto(room, x)
        x = room = room.reshape(prod(x.shape[:axes]), *rows)
    out, count = out.reshape(rows), len(x)
    if not count:
        out[...] = 0
    while count > 1:
        half = count // 2
        np.add(x[:half], x[half : 2 * half], out=room[:half])
        if count % 2:
            np.add(room[0], x[count - 1], out=room[0])
        x, count = room, half
    if len(x):
        np.copyto(out, x[0])


def add_part(total: Array, part: Array, lost: Array, spare: Array, begun: bool) -> None:
    """Add a part to a total; ``lost`` is what rounding has taken from it (W. Kahan, "Further remarks on reducing
    truncation errors", Communications of the ACM 8 (1965) 40). ``part`` and ``spare`` are overwritten."""
    if not begun:
        np.copyto(total, part)
        lost[...] = 0
        return
    np.subtract(part, lost, out=part)
    np.add(total, part, out=spare)
    np.subtract(spare, total, out=lost)
    np.subtract(lost, part, out=lost)
    np.copyto(lost, 0, where=lost != lost)  # infinity loses nothing
    np.copyto(total, spare)
