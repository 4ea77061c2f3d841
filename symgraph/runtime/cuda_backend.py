"""A plan on a device that runs CUDA C; what is no kernel is done by the array library of the device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from symgraph.codegen import own_cuda
from symgraph.codegen.cuda_printer import CudaKernel
from symgraph.codegen.spoken import unspoken
from symgraph.errors import DeviceError, MemoryLimitError, OutOfBoundsError
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import schedule
from symgraph.graph.node import Node
from symgraph.graph.origin import describe
from symgraph.optimizations.plan import Kernel, Plan, Step
from symgraph.options import DEFAULT
from symgraph.runtime.cuda_gather import CudaGather, is_cuda_gather
from symgraph.runtime.cuda_kernel import CudaStep
from symgraph.runtime.cuda_launch import LaunchedStep, Trouble
from symgraph.runtime.cuda_own import CudaOwn, is_own_kernel
from symgraph.runtime.cuda_scan import CudaScan, is_cuda_scan
from symgraph.runtime.device import Array, Device, text_of
from symgraph.runtime.kernel import Compiled
from symgraph.runtime.memory import Memory
from symgraph.runtime.prepared import KernelCode, KernelTurn, Prepared
from symgraph.runtime.program import PlanProgram


class CudaProgram(PlanProgram):
    """A plan whose kernels are CUDA C."""

    language = "CUDA C"

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
        left: dict[Kernel, str] = {}
        self._trouble = Trouble(device)
        for number, step in enumerate(plan.steps):
            if isinstance(step, Kernel):
                made = CudaStep(step, device)
                codes[step] = made
                if (why := unspoken(made.loops) or own_cuda.unwritten(made.loops)) is not None:
                    codes[step], left[step] = Compiled(step, DEFAULT.block), why
            elif is_cuda_gather(step):
                codes[step] = CudaGather(step, device, self._trouble, number + 1)
            elif is_cuda_scan(step):
                codes[step] = CudaScan(step, device)
            elif is_own_kernel(step):
                codes[step] = CudaOwn(step, device)
        self._has_indices = any(isinstance(each, CudaGather) and each.checks for each in codes.values())
        super().__init__(plan, codes, left=left, donated=donated, limit=limit)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        given = [self._device.to(x) for x in arrays]
        try:
            results = super().run(given)
        except (DeviceError, MemoryLimitError):
            raise
        except Exception:
            self._look_for_trouble(given)  # which may be why
            raise
        self._look_for_trouble(given)
        return [self._device.back(x) for x in results]

    def run_part(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> list[Array]:
        results = super().run_part(arrays, sizes)
        if self._has_indices and self._trouble.told():
            raise IndexError("an index is out of bounds")
        return results

    def part(self, plan: Plan) -> CudaProgram:
        return type(self)(plan, self._device)

    def of_host(self, array: Array) -> Array:
        return self._device.to(array)

    def _look_for_trouble(self, given: Sequence[Array]) -> None:
        """Raises OutOfBoundsError with the user's line where a step has met an index out of bounds."""
        if not self._has_indices or not (number := self._trouble.told()):
            return
        if not self.donated:
            schedule(self.plan.results, self.plan.given).run([self._device.back(x) for x in given])
        (node,) = self.plan.steps[number - 1].writes
        rows = [(str(x.type), x.name or "", x.origin) for x in node.inputs]
        rows.append((str(node.type), node.op.name, node.origin))
        raise OutOfBoundsError(describe(f"{node.op.name}: an index is out of bounds", rows))

    def get_ready(self, prepared: Prepared, arrays: Sequence[Array]) -> None:
        """All kernels are compiled together."""
        memory = Memory()
        rehearsal = prepared.rehearsed(arrays, memory.take(prepared.storage.arena.size))
        found: list[CudaKernel] = []
        for turn, given in rehearsal.turns:
            if isinstance(turn, KernelTurn) and isinstance(turn.made, LaunchedStep):
                found += turn.made.kernels_for(given, prepared.sizes)
        try:
            self._device.load(found)
        except DeviceError as error:
            raise own_cuda.explained(error) from None

    def text(self) -> str:
        """The functions of all kernels, as they are or will be for arrays in order."""
        made = [each for each in self.codes.values() if isinstance(each, LaunchedStep)]
        kernels = {kernel.functions[0]: kernel for each in made for kernel in each.texts()}
        return text_of(list(kernels.values()))
