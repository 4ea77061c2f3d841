"""Loops and branches whose turns are programs: what runs them on every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.ops.control import BranchAttrs, LoopAttrs
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Branch, Loop
from symgraph.runtime.memory import Arena

if TYPE_CHECKING:
    from symgraph.runtime.prepared import KernelCall
    from symgraph.runtime.program import PlanProgram

Array = np.ndarray[Any, Any]


class LoopStep:
    """A loop, whose turns are runs of a program."""

    def __init__(self, step: Loop, body: PlanProgram, condition: PlanProgram | None) -> None:
        assert isinstance(step.node.attrs, LoopAttrs)
        self.step, self.attrs = step, step.node.attrs
        self.body, self.condition = body, condition
        self.programs: tuple[PlanProgram, ...] = (body,) if condition is None else (condition, body)
        self.nodes: tuple[Node, ...] = (*step.node.inputs, *step.items)
        self.numbers = [x.attrs.index for x in step.items]  # type: ignore[union-attr]
        """Which of the loop's results the items are."""

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        return Needs(0, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides."""
        length = None if self.attrs.length is None else evaluate_dim(self.attrs.length, sizes)
        known = dict(sizes)

        def call(arrays: Sequence[Array], arena: Arena) -> None:
            self._run(arrays, length, known)

        return call

    def _run(self, arrays: Sequence[Array], length: int | None, sizes: Mapping[Size, int]) -> None:
        attrs, body, condition = self.attrs, self.body, self.condition
        inputs = len(self.step.node.inputs)
        end = attrs.carries + attrs.rows
        now, through, outer = list(arrays[: attrs.carries]), arrays[attrs.carries : end], arrays[end:inputs]
        into = dict(zip(self.numbers, arrays[inputs:], strict=True))
        count = len(attrs.body.outputs)
        stacked = [into[n] for n in self.numbers if attrs.carries <= n < count]
        turns = 0
        while length is None or turns < length:
            place = length - 1 - turns if attrs.reverse and length is not None else turns
            number = body.of_host(np.asarray(place, np.int64))
            if condition is not None:
                (asked,) = condition.run_part([number, *now, *outer], sizes)
                if not condition.home(asked):
                    break
            results = body.run_part([number, *now, *(x[place, ...] for x in through), *outer], sizes)
            now = results[: attrs.carries]
            for array, row in zip(stacked, results[attrs.carries :], strict=True):
                array[place] = row
            turns += 1
        for array in stacked:
            array[turns:] = 0  # nothing is left where all turns were
        for n, array in into.items():
            if n < attrs.carries:
                array[...] = now[n]
            elif n == count:
                array[...] = turns


class BranchStep:
    """A branch, each of whose ways is a program."""

    def __init__(self, step: Branch, programs: Sequence[PlanProgram]) -> None:
        assert isinstance(step.node.attrs, BranchAttrs)
        self.step, self.programs = step, tuple(programs)
        self.nodes: tuple[Node, ...] = (*step.node.inputs, *step.items)

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        return Needs(0, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides."""
        known = dict(sizes)

        def call(arrays: Sequence[Array], arena: Arena) -> None:
            self._run(arrays, known)

        return call

    def _run(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> None:
        inputs = len(self.step.node.inputs)
        n = int(self.programs[0].home(arrays[0]))
        if not 0 <= n < len(self.programs):
            raise IndexError(f"there is no branch {n}")
        results = self.programs[n].run_part(arrays[1:inputs], sizes)
        for array, value in zip(arrays[inputs:], results, strict=True):
            array[...] = value


InnerStep: TypeAlias = LoopStep | BranchStep


def inner_step(program: PlanProgram, step: Loop | Branch) -> InnerStep:
    """A loop or a branch, whose parts run as the program does that has it."""
    if isinstance(step, Loop):
        condition = None if step.condition is None else program.part(step.condition)
        return LoopStep(step, program.part(step.body), condition)
    return BranchStep(step, [program.part(each) for each in step.branches])
