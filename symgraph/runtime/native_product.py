"""Products of two matrices as machine code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.denormals import flushes, flushing
from symgraph.codegen.llvm_matmul import blocks, is_cut, print_matmul, room
from symgraph.codegen.llvm_panels import bytes_of_panels, is_wide, panels, print_product
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.machine import Machine
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.types import FLOAT32, FLOAT64, DType, dtype
from symgraph.ops.linalg import matmul
from symgraph.optimizations.cost import typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.fields import begin_of
from symgraph.runtime.memory import Arena, is_own
from symgraph.runtime.native import NativeCall
from symgraph.runtime.nests import collapsed
from symgraph.runtime.panels import Lying, Panels, Weight
from symgraph.runtime.prepared import KernelCall
from symgraph.runtime.shares import Shares, part, shares

Array = np.ndarray[Any, Any]

_MOST_COPIED = 1 << 26
"""Bytes of a weight that is held twice."""


def is_product(step: Step) -> bool:
    """Whether a step multiplies matrices or vectors of float32 or float64."""
    return isinstance(step, Call) and step.node.op is matmul.op and step.node.row in (FLOAT32, FLOAT64)


class NativeProduct:
    """A step that multiplies matrices; a vector is a row from the left, and a column from the right. What is multiplied
    from the right may be a matrix that ``is_weight``: a variable that the program does not change, a constant, or a
    view of one."""

    def __init__(
        self, step: Call, threads: int = 1, machine: Machine | None = None, *, is_weight: bool = False
    ) -> None:
        self.step, self._threads, self._machine = step, threads, machine or host()
        self.nodes = (*step.node.inputs, step.node)
        self.functions: set[Function] = set()
        self._weight = Weight() if is_weight and len(step.node.inputs[1].shape) == 2 else None

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call."""
        try:
            a, b, c = (tuple(evaluate_dim(size, sizes) for size in x.shape) for x in self.nodes)
        except UnboundSize:
            return Needs()
        (m, k), (_, n) = _as_row(a, 1), _as_column(b, 1)
        count = prod(c[: len(c) - (len(a) > 1) - (len(b) > 1)])
        each = self._shares(m, n, k, count if max(len(a), len(b)) > 2 else self._turns(m, n, k), sizes)
        stacked = self._shares(m * count, n, k, self._turns(m * count, n, k), sizes)
        return Needs(max(each.bytes, stacked.bytes if len(a) > 2 >= len(b) else 0), True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        a, b, c = _stacked(*arrays)
        (m, k), (other, n) = _as_row(a.shape, 1), _as_column(b.shape, 1)
        if k != other:
            raise ValueError(f"{a.shape} @ {b.shape}")
        many = a.ndim > 2 or b.ndim > 2
        down = c.strides[-1 if b.ndim == 1 else -2] if a.ndim > 1 else 0
        tail = [m, n, k, *_as_row(a.strides, 0), *_as_column(b.strides, 0), down]
        if not many:
            turns = self._turns(m, n, k)
            shared = self._shares(m, n, k, turns, sizes)
            is_by_rows = n == 1 and a.strides[-1] == a.itemsize and b.strides[0] == b.itemsize
            some = part(turns, a.nbytes) if is_by_rows else turns

            def plain() -> NativeCall:
                function = self._function(self._plain(many, m, n, k))
                return NativeCall(function, tail, turns, room, shared, fails=False, chunks=1, part=some)

            weight = self._weight_in(a, b)
            if weight is None:
                return plain()
            function = self._function(self._from_panels(m, n, k))
            packed = NativeCall(function, [*tail, 0, 0], turns, room, shared, fails=False)
            return WeightCall(weight, packed, plain, _lying(b, cut=self._is_cut(m, n, k)))
        function = self._function(self._plain(many, m, n, k))
        counts, steps = _groups(a, b, c)
        if len(counts) > 2:
            return _by_numpy
        tail += [counts[1], *(own[1] for own in steps), *(own[0] for own in steps)]
        shared = self._shares(m, n, k, prod(counts), sizes)
        return NativeCall(function, tail, prod(counts), room, shared, fails=False)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native:
        """One text serves all products of a dtype, another those with a vector, and others those of batches."""
        a, b, _ = _stacked(*arrays)
        (m, k), (_, n) = _as_row(a.shape, 1), _as_column(b.shape, 1)
        if self._weight_in(a, b) is not None:
            return self._from_panels(m, n, k)
        return self._plain(a.ndim > 2 or b.ndim > 2, m, n, k)

    def texts(self) -> list[Native]:
        """That of its products."""
        arrays = [np.empty(tuple(map(typical, x.shape)), x.dtype) for x in self.nodes]
        return [self.printed_for(arrays, {}).fastest]

    def _weight_in(self, a: Array, b: Array) -> Weight | None:
        """The weight, where its panels are read faster than it is itself, and give the same bits."""
        weight = self._weight
        if weight is None or not weight.is_steady or a.ndim > 2 or not 0 < b.nbytes <= _MOST_COPIED:
            return None
        is_row = a.ndim == 1 or len(a) == 1
        lies = b.strides[1] == b.itemsize
        is_worth = lies and is_wide(b.shape[1], self.step.node.row, host()) if is_row else b.shape[1] > 1
        return weight if is_worth else None

    def _plain(self, many: bool, m: int, n: int, k: int) -> Native:
        cut = self._is_cut(m, n, k)
        return _printed(self.step.node.row, many, m == 1 or n == 1, cut, self._machine)

    def _from_panels(self, m: int, n: int, k: int) -> Native:
        return _of_panels(self.step.node.row, self._is_cut(m, n, k), self._machine)

    def _is_cut(self, m: int, n: int, k: int) -> bool:
        return is_cut(m, n, k, self.step.node.row, host())

    def _turns(self, m: int, n: int, k: int) -> int:
        return int(blocks(m, cut=self._is_cut(m, n, k)))

    def _function(self, native: Native) -> Function:
        (function,) = code().functions([native])
        self.functions.add(function)
        return function

    def _shares(self, m: int, n: int, k: int, turns: int, sizes: Mapping[Size, int]) -> Shares:
        cut = self._is_cut(m, n, k)
        return shares(
            self.step, sizes, self._threads, turns, room(m, n, k, self.step.node.row, host(), cut=cut)
        )


class WeightCall:
    """A product with a weight: of its panels for as long as it is steady."""

    def __init__(
        self, weight: Weight, packed: NativeCall, plain: Callable[[], NativeCall], lying: Lying
    ) -> None:
        self.weight, self.packed, self._lying = weight, packed, lying
        """The second takes panels' memory in the place of the matrix."""
        self._make = plain

    @cached_property
    def plain(self) -> NativeCall:
        return self._make()

    def on(
        self, arrays: Sequence[Array], place: tuple[Array, int] | None = None
    ) -> tuple[NativeCall, Sequence[Array], Panels | None]:
        """What runs, and on which arrays. The matrix is the second of them, or lies so at a ``place``: in this array,
        so many bytes after its beginning."""
        a, b, c = arrays
        source, begin = _place(b) if place is None else place
        found = self.weight.panels(self.packed.function, source, self.lying_at(begin))
        return (self.plain, arrays, None) if found is None else (self.packed, (a, found.memory, c), found)

    def lying_at(self, begin: int) -> Lying:
        """The matrix, beginning with some byte of an array."""
        return Lying(begin, *self._lying.words[1:])

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        call, arrays, _ = self.on(arrays)
        call(arrays, arena)


def _lying(b: Array, *, cut: bool) -> Lying:
    """A matrix by itself."""
    (k, n), (down, across) = b.shape, b.strides
    row, machine = dtype(b.dtype), host()
    sizes = bytes_of_panels(n, k, row, machine, cut=cut)
    return Lying(0, n, k, down, across, panels(n, row, machine), *sizes)


def _place(x: Array) -> tuple[Array, int]:
    """The array that has the memory of a view, and the bytes before the view's."""
    owner = x if is_own(x) or not isinstance(x.base, np.ndarray) else x.base
    return owner, begin_of(x) - begin_of(owner)


def _by_numpy(arrays: Sequence[Array], arena: Arena) -> None:
    a, b, c = arrays
    np.matmul(a, b, out=c)


def _as_row(each: tuple[int, ...], other: int) -> tuple[int, int]:
    """The sizes or strides of a matrix, the last of several, or of a vector that is one row."""
    first, second = each[-2:] if len(each) > 1 else (other, *each)
    return first, second


def _as_column(each: tuple[int, ...], other: int) -> tuple[int, int]:
    first, second = each[-2:] if len(each) > 1 else (*each, other)
    return first, second


def _stacked(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """The same, where matrices that lie below each other and have one factor are one matrix."""
    if a.ndim > 2 >= b.ndim and a.flags.c_contiguous:
        rows = prod(a.shape[:-1])
        return a.reshape(rows, a.shape[-1]), b, c.reshape(rows, *c.shape[a.ndim - 1 :])
    return a, b, c


def _groups(a: Array, b: Array, c: Array) -> tuple[list[int], list[list[int]]]:
    """The sizes of the loops over products, two at least, and the bytes that a turn of each goes in each array."""
    sizes = c.shape[: c.ndim - (a.ndim > 1) - (b.ndim > 1)]
    seen = [np.broadcast_to(x, (*sizes, *x.shape[-2:])).strides for x in (a, b)]
    long = [axis for axis, size in enumerate(sizes) if size != 1]
    strides = [[own[axis] for axis in long] for own in (*seen, c.strides)]
    counts, steps, _ = collapsed([sizes[axis] for axis in long], strides)
    missing = max(0, 2 - len(counts))
    return [1] * missing + counts, [[0] * missing + own for own in steps]


@cache
def _printed(row: DType, many: bool, dots: bool, cut: bool, machine: Machine) -> Native:
    ready = not flushes(machine)
    found = print_matmul(row, host(), many=many, quick=True, dots=dots, cut=cut, ready=ready)
    return flushing(found, machine)


@cache
def _of_panels(row: DType, cut: bool, machine: Machine) -> Native:
    return flushing(print_product(row, host(), cut=cut, ready=not flushes(machine)), machine)
