"""How a program is to be compiled and run, as a value."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from symgraph.errors import ArgumentError


def has_llvm() -> bool:
    """Whether llvmlite is installed, without which there is no machine code."""
    return find_spec("llvmlite") is not None


@dataclass(frozen=True, slots=True)
class Target:
    """What the compiler may know of the machine.

    ``block`` is how many elements a loop of NumPy calls works on at a time where it has three arrays of 8 bytes each:
    with more, or wider ones, it is fewer, so that they fit into the second-level cache together.
    """

    block: int = 1 << 16


DEFAULT = Target()


_DEVICE = re.compile(r"cpu|cuda(:\d+)?|cuda-sim")


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one function or session; part of every cache key, so two equal ones mean the same code.

    ``watch`` raises on the first NaN, naming the line that made it.
    ``fast_math`` allows rules that are true of real numbers and not of all floats: ``x * 0`` is 0, of infinity too; and
    what ``flush_denormals`` allows.
    ``flush_denormals`` lets machine code for the processor take denormal numbers as 0, as JAX always does: many
    processors are some twenty times slower with them, and gradients that vanish and averages that decay, as Adam's do
    where a gradient is 0, become denormal in the end.
    ``memory_limit`` is how many bytes a call may take above arguments, variables and results: values are computed again
    instead of kept where that is needed, and ``f.memory(...)`` says how much work that is.
    ``rules`` are rules of the user's own, tried after all others.
    ``device`` is where a program runs: "cpu"; "cuda", a GPU of NVIDIA's, through CuPy, or "cuda:1" for the second; or
    "cuda-sim", which runs the GPU's text on the processor, slowly, so that it can be tested without a GPU.
    ``backend`` is what kernels become on the processor: "llvm", machine code, or "numpy", loops of NumPy calls. None is
    the first of them that is installed.
    ``threads`` is how many threads a long kernel may use; results have the same bits whatever it is. None is one for
    each processor that the process may use.
    ``verify`` checks every invariant of the graph after each pass.
    """

    watch: bool = False
    fast_math: bool = False
    rules: tuple[Any, ...] = ()
    verify: bool = False
    memory_limit: int | None = None
    device: str = "cpu"
    backend: str | None = None
    threads: int | None = None
    flush_denormals: bool = False

    def __post_init__(self) -> None:
        for name in ("watch", "fast_math", "verify", "flush_denormals"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ArgumentError(f"Options: {name} is {value!r}; it must be True or False")
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            text = "it must be 'cpu', 'cuda', 'cuda:1' or another number, or 'cuda-sim'"
            raise ArgumentError(f"Options: device is {self.device!r}; {text}")
        if self.device != "cpu" and self.backend is not None:
            text = f"a backend is for the processor, and device is {self.device!r}"
            raise ArgumentError(f"Options: backend is {self.backend!r}; {text}")
        if self.backend not in (None, "llvm", "numpy"):
            raise ArgumentError(f"Options: backend is {self.backend!r}; it must be 'llvm', 'numpy' or None")
        if self.backend == "llvm" and not has_llvm():
            raise ArgumentError("Options: backend is 'llvm', which needs llvmlite: pip install llvmlite")
        threads = self.threads
        if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
            raise ArgumentError(f"Options: threads is {threads!r}; it must be a number of 1 or more, or None")
        limit = self.memory_limit
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            raise ArgumentError(f"Options: memory_limit is {limit!r}; it must be a number of bytes, or None")
        if not isinstance(self.rules, Iterable) or any(not hasattr(each, "keeps") for each in self.rules):
            raise ArgumentError(f"Options: rules is {self.rules!r}; it must be rules made by sg.rule")
        object.__setattr__(self, "rules", tuple(self.rules))

    @property
    def flushes(self) -> bool:
        """Whether denormal numbers may be 0."""
        return self.fast_math or self.flush_denormals


USUAL = Options()
"""Those of who gives none."""
