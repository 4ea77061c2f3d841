"""The devices of this process by their names, and what runs a plan on one."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from symgraph.graph.node import Node
from symgraph.optimizations.plan import Plan
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.device import Device


def program_on(name: str, plan: Plan, *, donated: Collection[Node], limit: int | None) -> CudaProgram:
    """A plan on "cuda-sim", "cuda", or "cuda:" and a number. Raises DeviceError where it is not there."""
    made = _device(name)
    if name == "cuda-sim":
        return CudaProgram(plan, made, donated=donated, limit=limit)
    from symgraph.runtime.cuda import Cuda
    from symgraph.runtime.gpu_program import GpuProgram

    assert isinstance(made, Cuda)
    return GpuProgram(plan, made, donated=donated, limit=limit)


@cache
def _device(name: str) -> Device:
    """One for each name."""
    if name == "cuda-sim":
        from symgraph.runtime.simulator import Simulator

        return Simulator()
    from symgraph.runtime.cuda import Cuda

    return Cuda(int(name.partition(":")[2] or 0))
