"""Products of two matrices as machine code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
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
from symgraph.runtime.native import NativeCall
from symgraph.runtime.shares import Shares, shares

Array = np.ndarray[Any, Any]


def is_product(step: Step) -> bool:
    """Whether a step multiplies two matrices or vectors of float32 or float64."""
    if not isinstance(step, Call) or step.node.op is not matmul.op:
        return False
    return step.node.row in (FLOAT32, FLOAT64) and all(x.ndim in (1, 2) for x in step.node.inputs)


class NativeProduct:
    """A step that multiplies two matrices, or a vector as a row from the left or as a column from the right."""

    def __init__(self, step: Call, threads: int = 1) -> None:
        self.step, self._threads = step, threads
        self.nodes = (*step.node.inputs, step.node)
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call."""
        first, second, _ = self.nodes
        try:
            a, b = (tuple(evaluate_dim(size, sizes) for size in x.shape) for x in (first, second))
        except UnboundSize:
            return Needs()
        (m, k), (_, n) = _as_row(a, 1), _as_column(b, 1)
        return Needs(self._shares(m, n, k, sizes).bytes, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> NativeCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        a, b, c = arrays
        (m, k), (other, n) = _as_row(a.shape, 1), _as_column(b.shape, 1)
        if k != other:
            raise ValueError(f"{a.shape} @ {b.shape}")
        (function,) = code().functions([self.printed_for(arrays, sizes)])
        self.functions.add(function)
        down = c.strides[0] if a.ndim == 2 else 0
        tail = [m, n, k, *_as_row(a.strides, 0), *_as_column(b.strides, 0), down]
        shared = self._shares(m, n, k, sizes)
        return NativeCall(function, 3, tail, blocks(m), room, shared, fails=False, chunks=1)

    def _shares(self, m: int, n: int, k: int, sizes: Mapping[Size, int]) -> Shares:
        return shares(self.step, sizes, self._threads, room(m, n, k, self.nodes[0].row, host()))

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native:
        """One text serves all products of a dtype."""
        return _printed(self.nodes[0].row)


def _as_row(each: tuple[int, ...], other: int) -> tuple[int, int]:
    """The sizes or strides of a matrix, or of a vector that is one row."""
    first, second = each if len(each) == 2 else (other, *each)
    return first, second


def _as_column(each: tuple[int, ...], other: int) -> tuple[int, int]:
    first, second = each if len(each) == 2 else (*each, other)
    return first, second


@cache
def _printed(row: DType) -> Native:
    return print_matmul(row, host())
