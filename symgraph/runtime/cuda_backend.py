"""A plan on a device that runs CUDA C; what is no kernel is done by the array library of the device."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from symgraph.codegen.llvm_printer import unspoken
from symgraph.graph.node import Node
from symgraph.optimizations.plan import Kernel, Plan, Step
from symgraph.options import DEFAULT
from symgraph.runtime.cuda_kernel import CudaStep
from symgraph.runtime.device import Array, Device, text_of
from symgraph.runtime.kernel import Compiled
from symgraph.runtime.memory import Memory
from symgraph.runtime.prepared import KernelCode, KernelTurn, Prepared
from symgraph.runtime.program import PlanProgram


class CudaProgram(PlanProgram):
    """A plan whose kernels are CUDA C."""

    def __init__(
        self,
        plan: Plan,
        device: Device,
        *,
        donated: Collection[Node] = (),
        limit: int | None = None,
    ) -> None:
        self._device = device
        codes: dict[Step, KernelCode] = {}
        self.left: dict[Kernel, str] = {}
        """What of a kernel has no CUDA C yet."""
        for step in plan.kernels:
            made = CudaStep(step, device)
            codes[step] = made
            if (why := unspoken(made.loops)) is not None:
                codes[step], self.left[step] = Compiled(step, DEFAULT.block), why
        super().__init__(plan, codes, donated=donated, limit=limit)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        given = [self._device.to(x) for x in arrays]
        return [self._device.back(x) for x in super().run(given)]

    def explain(self) -> str:
        """Which kernels are not CUDA C, and why; nothing where all are."""
        return "\n".join(
            f"  {step.name} is loops of NumPy calls: there is no CUDA C for {why}"
            for step, why in self.left.items()
        )

    def get_ready(self, prepared: Prepared, arrays: Sequence[Array]) -> None:
        """All kernels are compiled together."""
        memory = Memory()
        rehearsal = prepared.rehearsed(arrays, memory.take(prepared.storage.arena.size))
        self._device.load(
            [
                turn.made.printed_for(given, prepared.sizes)
                for turn, given in rehearsal.turns
                if isinstance(turn, KernelTurn) and isinstance(turn.made, CudaStep)
            ]
        )

    def text(self) -> str:
        """The functions of all kernels, as they are or will be for arrays in order."""
        made = [each for each in self.codes.values() if isinstance(each, CudaStep)]
        return text_of([kernel for each in made for kernel in each.texts()])
