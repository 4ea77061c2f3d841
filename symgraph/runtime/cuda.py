"""The device "cuda": arrays, streams and graphs are CuPy's, which is imported here alone; kernels are our own cubins.

CuPy never compiles a kernel of ours, since it would flush denormals (``-ftz=true``), and no argument goes as it is:
each is packed as its parameter has it, because CuPy passes every Python number as 8 bytes.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from symgraph.codegen.cuda_printer import CudaKernel
from symgraph.errors import DeviceError
from symgraph.runtime import nvrtc
from symgraph.runtime.cubins import Cubins, nearest
from symgraph.runtime.device import Argument, Array, text_of

try:
    import cupy
except ImportError as error:
    cupy, _WHY = None, str(error).strip().partition("\n")[0]

Launch: TypeAlias = Callable[[], object]

_BLOCKS = 8
"""Blocks of 256 threads that a multiprocessor has at once."""
_ALIGNED = 16
"""Bytes; kernels are chosen for arrays that begin at a multiple, as all that CuPy allocates do."""


def available(number: int = 0) -> bool:
    """Whether there is a GPU of this number, and all that it takes to use it."""
    return missing(number) is None


def missing(number: int = 0) -> str | None:
    """What there is not, in one sentence, that the device "cuda" needs."""
    needs = 'the device "cuda" needs'
    if cupy is None:
        if not _WHY.startswith("No module named 'cupy'"):
            return f"{needs} CuPy, which cannot be imported here: {_WHY}"
        return f'{needs} CuPy: pip install "symgraph-compiler[cuda13]", or [cuda12] where the driver is older'
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        driver = runtime.driverGetVersion()
        if driver == 0:
            return f"{needs} NVIDIA's driver, and there is none on this machine"
        if driver // 1000 < runtime.runtimeGetVersion() // 1000:
            wanted, there = (_version(each) for each in (runtime.runtimeGetVersion(), driver))
            return f"{needs} a driver for CUDA {wanted}, which CuPy is built for; the one here is for {there}"
        return f"{needs} an NVIDIA GPU, and the driver shows none: {error}"
    if not 0 <= number < count:
        return f"{needs} a GPU number {number}, and there {'is' if count == 1 else 'are'} {count}, from 0 on"
    if not nvrtc.available():
        return (
            f"{needs} NVRTC, which compiles its kernels: pip install nvidia-cuda-nvrtc, or the CUDA toolkit"
        )
    try:
        nearest(_capability(number))
    except DeviceError as error:
        return f"{needs} a GPU that NVRTC knows: {error}"
    return None


class Cuda:
    """GPU number ``number``, on the stream that is current in CuPy.

    Raises DeviceError with what is `missing`.
    """

    def __init__(self, number: int = 0) -> None:
        if (why := missing(number)) is not None:
            raise DeviceError(why)
        self.number = number
        self.architecture = nearest(_capability(number))
        self.blocks = _BLOCKS * int(cupy.cuda.Device(number).attributes["MultiProcessorCount"])
        self._functions: dict[str, _Function] = {}
        self._cubins = Cubins()
        self._lock = threading.Lock()
        self._thread = threading.local()

    def current(self) -> AbstractContextManager[Any]:
        """Where arrays are made and functions run: CuPy has one device for each thread."""
        device: AbstractContextManager[Any] = cupy.cuda.Device(self.number)
        return device

    def load(self, kernels: Sequence[CudaKernel]) -> None:
        with self._lock:
            new = {x.functions[0]: x for x in kernels if x.functions[0] not in self._functions}
            if not new:
                return
            cubin = self._cubins.of(text_of(list(new.values())), self.architecture)
            module = cupy.cuda.Module()
            try:
                with self.current():
                    module.load(cubin)
            except cupy.cuda.driver.CUDADriverError as error:
                driver = _version(cupy.cuda.runtime.driverGetVersion())
                raise DeviceError(
                    f"the driver, for CUDA {driver}, does not load what {nvrtc.version()} compiled: {error}"
                ) from error
            for kernel in new.values():
                number = np.int64 if kernel.form.wide else np.int32
                packed = tuple(number if x.row is None else np.uintp for x in kernel.parameters)
                self._functions |= {
                    name: _Function(module.get_function(name), packed) for name in kernel.functions
                }

    def launch(self, function: str, grid: tuple[int, int], block: int, arguments: Sequence[Argument]) -> None:
        found = self._functions[function]
        words = tuple([pack(x) for pack, x in zip(found.packed, arguments, strict=True)])
        recorded: list[Launch] | None = getattr(self._thread, "recorded", None)
        if recorded is not None:
            recorded.append(partial(found.call, grid, (block,), words))
        else:
            found.call(grid, (block,), words)

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        with self.current():
            return cupy.empty(tuple(shape), dtype)

    def to(self, array: Array) -> Array:
        """What is on this device already is not copied, be it of CuPy or another library, unless it lies badly."""
        with self.current():
            x = array if isinstance(array, cupy.ndarray) else _taken(array)
            if x.device.id != self.number:
                x = cupy.asarray(x)
            fits = x.flags.c_contiguous and x.data.ptr % _ALIGNED == 0
            return x if fits else x.copy(order="C")

    def back(self, array: Array) -> np.ndarray[Any, Any]:
        """After all that was launched on the stream."""
        found: np.ndarray[Any, Any] = array.get() if isinstance(array, cupy.ndarray) else np.asarray(array)
        return found

    @contextmanager
    def recording(self) -> Iterator[list[Launch]]:
        """What this thread launches meanwhile, which is not run."""
        launches: list[Launch] = []
        self._thread.recorded = launches
        try:
            yield launches
        finally:
            self._thread.recorded = None

    def graph(self, launches: Sequence[Launch]) -> Any:
        """A CUDA graph of launches, each after the one before: `launch` runs it on the stream that is current."""
        with self.current():
            stream = cupy.cuda.Stream(non_blocking=True)
            with stream:
                stream.begin_capture()
                try:
                    for launch in launches:
                        launch()
                finally:
                    graph = stream.end_capture()
        return graph

    def stream(self) -> tuple[int, int]:
        """Which stream is current. One number means another stream in each thread, so the thread is part of it."""
        return int(cupy.cuda.get_current_stream(self.number).ptr), threading.get_ident()


@dataclass(frozen=True, slots=True)
class _Function:
    call: Any
    """A ``cupy.cuda.Function``."""
    packed: tuple[type[np.generic], ...]
    """What each parameter is in bytes."""


# What CuPy has beside the functions that NumPy sends on to it


def arange(size: int) -> Array:
    """The first numbers, int64."""
    return cupy.arange(size, dtype=np.int64)


def number(value: int) -> Array:
    """One number, int64."""
    return cupy.full((), value, dtype=np.int64)


def refusing() -> AbstractContextManager[Any]:
    """Inside, functions for matrices wait for what cuSOLVER and cuBLAS report, and raise NumPy's LinAlgError."""
    state: AbstractContextManager[Any] = importlib.import_module("cupyx").errstate(linalg="raise")
    return state


def of_scipy(name: str) -> Callable[..., Any]:
    """A function of scipy.linalg as CuPy has it, which needs libraries when it is loaded."""
    found: Callable[..., Any] = getattr(importlib.import_module("cupyx.scipy.linalg"), name)
    return found


def solves_batches() -> bool:
    """Whether ``solve_triangular`` takes batches."""
    return int(cupy.__version__.partition(".")[0]) >= 14


def _taken(array: Any) -> Array:
    """An array of another library as CuPy's; what is not on a GPU is copied there."""
    if not isinstance(array, np.ndarray) and hasattr(array, "__dlpack_device__"):
        kind, _ = array.__dlpack_device__()
        if kind != _DLPACK_CPU:
            return cupy.from_dlpack(array)
        array = np.from_dlpack(array)
    return cupy.asarray(array)


_DLPACK_CPU = 1


def _capability(number: int) -> int:
    """90 for 9.0."""
    return int(cupy.cuda.Device(number).compute_capability)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
