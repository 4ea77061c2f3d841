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
    """Whether a step multiplies two matrices of float32 or float64."""
    if not isinstance(step, Call) or step.node.op is not matmul.op:
        return False
    return step.node.row in (FLOAT32, FLOAT64) and all(x.ndim == 2 for x in step.node.inputs)


class NativeProduct:
    """A step that multiplies two matrices."""

    def __init__(self, step: Call, threads: int = 1) -> None:
        self.step, self._threads = step, threads
        self.nodes = (*step.node.inputs, step.node)
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call."""
        first, second, _ = self.nodes
        try:
            m, k, n = (evaluate_dim(size, sizes) for size in (*first.shape, second.shape[1]))
        except UnboundSize:
            return Needs()
        return Needs(self._shares(m, n, k, sizes).bytes, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> NativeCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        a, b, c = arrays
        if a.shape[1] != b.shape[0]:
            raise ValueError(f"{a.shape} @ {b.shape}")
        (function,) = code().functions([self.printed_for(arrays, sizes)])
        self.functions.add(function)
        tail = [a.shape[0], b.shape[1], a.shape[1], *a.strides, *b.strides, c.strides[0]]
        shared = self._shares(a.shape[0], b.shape[1], a.shape[1], sizes)
        return NativeCall(function, 3, tail, blocks(a.shape[0]), room, shared, fails=False, chunks=1)

    def _shares(self, m: int, n: int, k: int, sizes: Mapping[Size, int]) -> Shares:
        return shares(self.step, sizes, self._threads, room(m, n, k, self.nodes[0].row, host()))

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native:
        """One text serves all products of a dtype."""
        return _printed(self.nodes[0].row)


@cache
def _printed(row: DType) -> Native:
    return print_matmul(row, host())
