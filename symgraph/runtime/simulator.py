"""A device without a GPU: kernels of CUDA run on the processor, and arrays are NumPy's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from symgraph.codegen.cuda_printer import CudaKernel, uncommented
from symgraph.optimizations.memory import ALIGNMENT
from symgraph.runtime.device import Argument, Array, text_of
from symgraph.runtime.emulator import Emulator
from symgraph.runtime.memory import Pages


class Simulator:
    """Slow, and strict: what CUDA does not define is an error. ``seed`` draws the order of threads; a ``sanitized``
    one, of which `symgraph.runtime.emulator` says more, ends the process where memory is misused."""

    blocks = 4

    def __init__(self, seed: int = 0, *, sanitized: bool = False) -> None:
        self.seed, self._sanitized = seed, sanitized
        self._modules: dict[str, Emulator] = {}

    def load(self, kernels: Sequence[CudaKernel]) -> None:
        new = {each.functions[0]: each for each in kernels if each.functions[0] not in self._modules}
        if new:
            module = _module(uncommented(text_of(list(new.values()))), self._sanitized)
            self._modules |= {name: module for each in new.values() for name in each.functions}

    def launch(self, function: str, grid: tuple[int, int], block: int, arguments: Sequence[Argument]) -> None:
        self._modules[function].launch(function, grid, (block,), 0, arguments, self.seed)

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        return np.empty(shape, dtype)

    def to(self, array: Array) -> Array:
        found = np.asarray(array, order="C")
        if self._sanitized:  # whose end is seen
            return found.copy()
        if found.ctypes.data % ALIGNMENT:  # as memory of a GPU never lies
            found = Pages.of(found.nbytes).array(found.shape, found.dtype)
            found[...] = array
        return found

    def back(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)


@cache
def _module(text: str, sanitized: bool) -> Emulator:
    return Emulator(text, sanitized=sanitized)
