"""Products of two matrices as machine code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.llvm_matmul import blocks, print_matmul, room
from symgraph.codegen.llvm_printer import Native
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.types import FLOAT32, FLOAT64, DType
from symgraph.ops.linalg import matmul
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeCall
from symgraph.runtime.nests import collapsed
from symgraph.runtime.prepared import KernelCall
from symgraph.runtime.shares import Shares, shares

Array = np.ndarray[Any, Any]


def is_product(step: Step) -> bool:
    """Whether a step multiplies matrices or vectors of float32 or float64."""
    return isinstance(step, Call) and step.node.op is matmul.op and step.node.row in (FLOAT32, FLOAT64)


class NativeProduct:
    """A step that multiplies matrices; a vector is a row from the left, and a column from the right."""

    def __init__(self, step: Call, threads: int = 1) -> None:
        self.step, self._threads = step, threads
        self.nodes = (*step.node.inputs, step.node)
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call."""
        try:
            a, b, c = (tuple(evaluate_dim(size, sizes) for size in x.shape) for x in self.nodes)
        except UnboundSize:
            return Needs()
        (m, k), (_, n) = _as_row(a, 1), _as_column(b, 1)
        count = prod(c[: len(c) - (len(a) > 1) - (len(b) > 1)])
        each = self._shares(m, n, k, count if max(len(a), len(b)) > 2 else blocks(m), sizes)
        stacked = self._shares(m * count, n, k, blocks(m * count), sizes)
        return Needs(max(each.bytes, stacked.bytes if len(a) > 2 >= len(b) else 0), True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        a, b, c = _stacked(*arrays)
        (m, k), (other, n) = _as_row(a.shape, 1), _as_column(b.shape, 1)
        if k != other:
            raise ValueError(f"{a.shape} @ {b.shape}")
        many = a.ndim > 2 or b.ndim > 2
        (function,) = code().functions([_printed(self.step.node.row, many)])
        self.functions.add(function)
        down = c.strides[-1 if b.ndim == 1 else -2] if a.ndim > 1 else 0
        tail = [m, n, k, *_as_row(a.strides, 0), *_as_column(b.strides, 0), down]
        if not many:
            shared = self._shares(m, n, k, blocks(m), sizes)
            return NativeCall(function, 3, tail, blocks(m), room, shared, fails=False, chunks=1)
        counts, steps = _groups(a, b, c)
        if len(counts) > 2:
            return _by_numpy
        tail += [counts[1], *(own[1] for own in steps), *(own[0] for own in steps)]
        shared = self._shares(m, n, k, prod(counts), sizes)
        return NativeCall(function, 3, tail, prod(counts), room, shared, fails=False)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native:
        """One text serves all products of a dtype, and one those of batches."""
        a, b, _ = _stacked(*arrays)
        return _printed(self.step.node.row, a.ndim > 2 or b.ndim > 2)

    def texts(self) -> list[Native]:
        """That of its products."""
        return [_printed(self.step.node.row, any(x.ndim > 2 for x in self.step.node.inputs)).fastest]

    def _shares(self, m: int, n: int, k: int, turns: int, sizes: Mapping[Size, int]) -> Shares:
        return shares(self.step, sizes, self._threads, turns, room(m, n, k, self.step.node.row, host()))


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
def _printed(row: DType, many: bool) -> Native:
    return print_matmul(row, host(), many=many, quick=True)
