"""Sums, products and linear recurrences along an axis as machine code."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.codegen.denormals import flushing
from symgraph.codegen.layout import Layout
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.llvm_printer import Native, print_native
from symgraph.codegen.loops import LoopKernel
from symgraph.codegen.machine import Machine
from symgraph.codegen.recurrences import RECURRENCES, recurrence
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.optimizations.cost import typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeCall
from symgraph.runtime.native_inner import InnerCall, drivers
from symgraph.runtime.native_words import Lane, Outer, Words
from symgraph.runtime.nests import carrying
from symgraph.runtime.pool import pool
from symgraph.runtime.prepared import KernelCall
from symgraph.runtime.shares import Shares

Array = np.ndarray[Any, Any]


def is_recurrence(step: Step) -> bool:
    """Whether a step goes along an axis, each place from the one before."""
    return isinstance(step, Call) and step.node.op in RECURRENCES


def kernel_of(node: Node) -> LoopKernel:
    """The loops of such a step, for arrays that lie backwards along its axis where it goes in reverse."""
    return recurrence(node, computed_in(node.row))


class NativeRecurrence:
    """A step that goes along an axis, with a function for each layout that was met."""

    def __init__(self, step: Call, machine: Machine | None = None) -> None:
        self.step, self.node, self._machine = step, step.node, machine or host()
        self.nodes = (*step.node.inputs, step.node)
        self.loops = kernel_of(step.node)
        self._names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        self._printed: dict[Layout, Native] = {}
        self.functions: set[Function] = set()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        return Needs(0, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides; raises ValueError where they differ."""
        *given, out = arrays
        if any(x.shape != out.shape for x in given):
            raise ValueError("takes arrays of one shape")
        attrs: Any = self.node.attrs
        lying = [np.flip(x, attrs.axis) for x in arrays] if attrs.reverse else arrays
        named = dict(zip(self._names, lying, strict=True))
        layout, turns, steps = self._carrying(named, out.shape)
        (function,) = code().functions([self._native(layout)])
        self.functions.add(function)
        tail = [*turns, *itertools.chain(*steps)]
        made = NativeCall(function, tail, turns[0], room, Shares(), fails=False)
        if not attrs.reverse or not out.size:
            return made
        last = [(x.shape[attrs.axis] - 1) * x.strides[attrs.axis] for x in arrays]

        def lay(arena: Arena, trouble: int) -> tuple[int, Words]:
            words, lane = Words(arena, trouble), Lane()
            words.keep(lying)
            lane.add(words, made, lying, [Outer(1 + n, offset) for n, offset in enumerate(last)])
            rows = [*words.steps(lane.rows), *words.counted(lane.patches)]
            return words.list([*rows, trouble, pool().share, pool().address]), words

        return InnerCall(drivers().sequence, lay)

    def texts(self) -> list[Native]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            arrays = [np.empty(tuple(map(typical, x.shape)), x.dtype) for x in self.nodes]
            named = dict(zip(self._names, arrays, strict=True))
            self._native(self._carrying(named, arrays[-1].shape)[0])
        return list(self._printed.values())

    def _carrying(
        self, arrays: Mapping[str, Array], sizes: Sequence[int]
    ) -> tuple[Layout, list[int], list[list[int]]]:
        axis: int = self.node.attrs.axis  # type: ignore[union-attr]
        return carrying(self.loops, arrays, [*sizes[:axis], *sizes[axis + 1 :]] or [1], sizes[axis], host())

    def _native(self, layout: Layout) -> Native:
        if layout not in self._printed:
            self._printed[layout] = flushing(print_native(self.loops, layout, host()), self._machine)
        return self._printed[layout]
