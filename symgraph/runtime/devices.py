"""The devices of this process by their names."""

from __future__ import annotations

from functools import cache

from symgraph.runtime.device import Device


@cache
def device(name: str) -> Device:
    """One for each name: "cuda-sim", "cuda", or "cuda:" and a number. Raises DeviceError where it is not there."""
    if name == "cuda-sim":
        from symgraph.runtime.simulator import Simulator

        return Simulator()
    from symgraph.runtime.cuda import Cuda

    return Cuda(int(name.partition(":")[2] or 0))
