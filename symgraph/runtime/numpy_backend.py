"""A plan as Python functions of NumPy calls: what runs everywhere."""

from __future__ import annotations

from collections.abc import Collection

from symgraph.graph.node import Node
from symgraph.optimizations.plan import Plan, Step
from symgraph.options import DEFAULT, Target
from symgraph.runtime.kernel import Compiled
from symgraph.runtime.memory import Memory
from symgraph.runtime.prepared import KernelCode
from symgraph.runtime.program import PlanProgram


class NumpyProgram(PlanProgram):
    """A plan whose kernels are functions of NumPy calls."""

    def __init__(
        self,
        plan: Plan,
        target: Target = DEFAULT,
        memory: Memory | None = None,
        *,
        donated: Collection[Node] = (),
        limit: int | None = None,
    ) -> None:
        self._target = target
        fresh = frozenset(() if donated else plan.results)
        codes: dict[Step, KernelCode] = {step: Compiled(step, target.block, fresh) for step in plan.kernels}
        super().__init__(plan, codes, memory, donated=donated, limit=limit)

    def part(self, plan: Plan) -> NumpyProgram:
        return NumpyProgram(plan, self._target)


def source(plan: Plan, target: Target = DEFAULT) -> str:
    """The functions of all kernels."""
    fresh = frozenset(plan.results)
    return "\n\n".join(Compiled(step, target.block, fresh).text for step in plan.kernels)
