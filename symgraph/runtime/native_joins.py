"""Arrays put together, with a margin or moved, as machine code: each part is copied to its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.spoken import unspoken
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import attributes_of
from symgraph.ops.join import concat, pad
from symgraph.ops.scan import shift
from symgraph.ops.shape import reshape
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step, View
from symgraph.runtime.code import Function
from symgraph.runtime.memory import Arena
from symgraph.runtime.native_copies import copier, copy
from symgraph.runtime.native_inner import InnerCall, drivers
from symgraph.runtime.native_words import Fixed, Lane, Lying, Outer, Words
from symgraph.runtime.pool import pool
from symgraph.runtime.prepared import KernelCall

Array = np.ndarray[Any, Any]

_JOINS = frozenset({concat.op, pad.op, reshape.op, shift.op})
_ZEROS = -1
"""In the place of an array that pieces are copied from: one that is 0 everywhere."""


def is_join(step: Step) -> bool:
    """Whether there is machine code for a step that puts arrays together, or elements into another order of axes."""
    if not isinstance(step, Call) or isinstance(step, View) or step.node.op not in _JOINS:
        return False
    return unspoken(copier(step.node.row, step.node.ndim).loops) is None


class _Piece(NamedTuple):
    """What is copied: which array, as it lies, to where in the result."""

    array: int
    source: Lying
    begin: int
    """Bytes after the beginning of the array."""
    target: Lying
    offset: int
    """The same, of the result."""


class NativeJoin:
    """A step whose result is made of copies."""

    def __init__(self, step: Call) -> None:
        self.step, self.node = step, step.node
        self.nodes = (*step.node.inputs, step.node)
        self._attributes = attributes_of(step.node)
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        return Needs(0, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides; raises ValueError for shapes that NumPy refuses."""
        pieces = list(self._pieces(arrays, sizes))
        out = len(arrays)

        def lay(arena: Arena, trouble: int) -> tuple[int, Words]:
            words, lane = Words(arena, trouble), Lane()
            zero = Fixed(words.list([0, 0]))
            for each in pieces:
                source = zero if each.array == _ZEROS else Outer(1 + each.array, each.begin)
                copy(lane, words, each.source, each.target, (source, Outer(out, each.offset)))
            self.functions |= {row.function for row in lane.rows if row.function is not None}
            made = [
                *words.steps(lane.rows),
                *words.counted(lane.patches),
                trouble,
                pool().share,
                pool().address,
            ]
            return words.list(made), words

        return InnerCall(drivers().sequence, lay)

    def texts(self) -> list[Native]:
        return copier(self.node.row, self.node.ndim).texts()

    def _pieces(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Iterator[_Piece]:
        *given, out = arrays
        attributes = self._attributes(sizes)
        if self.node.op is concat.op:
            return _joined(given, out, attributes["axis"])
        if self.node.op is pad.op:
            return _padded(given[0], given[1], out, attributes["widths"])
        if self.node.op is shift.op:
            return _shifted(given[0], out, attributes["axis"], attributes["by"])
        return _reshaped(given[0], out)


def _joined(given: Sequence[Array], out: Array, axis: int) -> Iterator[_Piece]:
    begin = 0
    for n, x in enumerate(given):
        end = begin + x.shape[axis]
        part = out[(*(slice(None),) * axis, slice(begin, end))]
        if part.shape != x.shape:
            raise ValueError("all axes but one must agree")
        yield _piece(n, x, part, out)
        begin = end
    if begin != out.shape[axis]:
        raise ValueError(f"{begin} elements along axis {axis} of {out.shape}")


def _padded(x: Array, value: Array, out: Array, widths: Sequence[tuple[int, int]]) -> Iterator[_Piece]:
    """The margins one axis after the other, so that nothing is written twice; then what is inside."""
    inside = out
    for axis, (before, after) in enumerate(widths):
        if before < 0 or after < 0:
            raise ValueError("widths are not negative")
        lead = (slice(None),) * axis
        size = x.shape[axis]
        for part in (inside[(*lead, slice(0, before))], inside[(*lead, slice(before + size, None))]):
            if part.size:
                yield _piece(1, np.broadcast_to(value, part.shape), part, out)
        inside = inside[(*lead, slice(before, before + size))]
    if inside.shape != x.shape:
        raise ValueError(f"{x.shape} does not fit {out.shape}")
    yield _piece(0, x, inside, out)


def _reshaped(x: Array, out: Array) -> Iterator[_Piece]:
    yield _piece(0, x, out.reshape(x.shape), out)


def _shifted(x: Array, out: Array, axis: int, by: int) -> Iterator[_Piece]:
    lead, size = (slice(None),) * axis, x.shape[axis]
    by = max(-size, min(by, size))
    source, target = slice(max(-by, 0), size - max(by, 0)), slice(max(by, 0), size + min(by, 0))
    yield _piece(0, x[(*lead, source)], out[(*lead, target)], out, x)
    margin = out[(*lead, slice(0, by) if by > 0 else slice(size + by, None))]
    if margin.size:
        yield _piece(_ZEROS, np.broadcast_to(np.zeros((), out.dtype), margin.shape), margin, out)


def _piece(n: int, x: Array, part: Array, out: Array, whole: Array | None = None) -> _Piece:
    """From an array, or a part of a ``whole`` one, to a part of the result."""
    source = Lying.of(x)
    strides = tuple(0 if size == 1 else step for size, step in zip(source.shape, source.strides, strict=True))
    begin = 0 if whole is None else _between(whole, x)
    return _Piece(n, source._replace(strides=strides), begin, Lying.of(part), _between(out, part))


def _between(whole: Array, part: Array) -> int:
    """The bytes from the beginning of an array to that of a part of it."""
    return int(part.ctypes.data - whole.ctypes.data) if part.size else 0
