"""What a kernel in CUDA C runs on: a GPU, or what stands in for one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Protocol, TypeAlias

import numpy as np

from symgraph.codegen.cuda_printer import CudaKernel

Array: TypeAlias = Any
"""An array of the device: of NumPy, or of CuPy."""
Argument: TypeAlias = int | np.generic
"""The address of an array, or a number of the parameter's dtype."""


class Device(Protocol):
    """Arrays and functions of one device."""

    @property
    def blocks(self) -> int:
        """How many blocks keep it busy."""

    def load(self, kernels: Sequence[CudaKernel]) -> None:
        """Make the functions of kernels known, those that are new compiled together."""

    def launch(self, function: str, grid: tuple[int, int], block: int, arguments: Sequence[Argument]) -> None:
        """Run a function that was loaded, after all that was launched before it."""

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """A new array."""

    def to(self, array: Array) -> Array:
        """An array with the same numbers on the device, in order: itself, if it is one."""

    def back(self, array: Array) -> np.ndarray[Any, Any]:
        """An array of the device as one of NumPy's."""


def address(array: Array) -> int:
    """Where an array of the device begins."""
    if isinstance(array, np.ndarray):
        return int(array.ctypes.data)
    return int(array.__cuda_array_interface__["data"][0])


def text_of(kernels: Sequence[CudaKernel]) -> str:
    """All that a compiler needs: what every text begins with, the functions that kernels call, and they themselves."""
    helpers = {name: text for kernel in kernels for name, text in kernel.helpers.items()}
    prelude = files("symgraph.codegen").joinpath("prelude.cu").read_text("utf-8")
    return "\n".join([prelude, *helpers.values(), *(kernel.text for kernel in kernels)])
