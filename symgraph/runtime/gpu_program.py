"""Plans on a GPU: values stay there from the first step to the last, and a whole call may be one CUDA graph."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from sys import getrefcount
from typing import Any

import numpy as np

from symgraph.errors import DeviceError, MemoryLimitError, SymgraphError
from symgraph.graph.collector import paused
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import bind_sizes, run_node, schedule
from symgraph.graph.node import Node
from symgraph.ops.index import index
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Plan, Step
from symgraph.runtime.cuda import Cuda
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.cuda_launch import LaunchedStep
from symgraph.runtime.cupy_calls import OF_CUPY
from symgraph.runtime.device import Array
from symgraph.runtime.inner import BranchStep, LoopStep
from symgraph.runtime.kernel import Compiled
from symgraph.runtime.memory import Arena, Memory
from symgraph.runtime.prepared import CallTurn, KernelCall, KernelTurn, Library, Prepared, _Place
from symgraph.runtime.program import PlanProgram

_KEPT = 64
"""For how many shapes a program keeps what it knows."""


class GpuProgram(CudaProgram):
    """A plan on a GPU; its values stay there from the first step to the last.

    What CuPy does not do as NumPy does is done by NumPy on the processor, on copies; `explain` names it. With
    ``replays``, a call whose arrays lie where those of an earlier one did is one launch of a CUDA graph, if all its
    steps are kernels. What is donated is not written over.
    """

    def __init__(
        self,
        plan: Plan,
        device: Cuda,
        *,
        donated: Collection[Node] = (),
        limit: int | None = None,
        replays: bool = False,
    ) -> None:
        super().__init__(plan, device, donated=donated, limit=limit)
        self._gpu = device
        self._memory = _GpuMemory(device)
        self.codes = {
            step: _HostKernel(code, device) if isinstance(code, Compiled) else code
            for step, code in self.codes.items()
        }
        self._libraries: dict[Step, _Library] = {
            step: _Library(library.node, device, is_view=library.is_view)
            for step, library in self._calls.items()
        }
        self._replays = _Replays(device) if replays else None

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results as arrays of NumPy; where one of those that are given is of CuPy, as arrays of CuPy."""
        with self._gpu.current():
            results = self.on_device(arrays)
            is_there = any(not isinstance(x, np.ndarray) for x in arrays)
            return results if is_there else [self._gpu.back(x) for x in results]

    @property
    def of_device(self) -> Callable[[Any], Any]:
        return self._gpu.to

    def home(self, array: Array) -> np.ndarray[Any, Any]:
        return self._gpu.back(array)

    def on_device(self, arrays: Sequence[Array]) -> list[Array]:
        """The results as arrays of CuPy. They may not be computed yet, unless indices were looked at: what the stream
        does next comes after them."""
        with self._gpu.current():
            given = [self._gpu.to(x) for x in arrays]
            try:
                results = self._run(given)
            except (DeviceError, MemoryLimitError):
                raise
            except (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError) as error:
                self._look_for_trouble(given)
                host = [self._gpu.back(x) for x in given]
                schedule(self.plan.results, self.plan.given).run(host)  # names the user's line
                if isinstance(error.__context__, DeviceError):
                    raise error.__context__ from None
                raise
            self._look_for_trouble(given)
            return results

    def explain(self) -> str:
        """Which steps are not done on the GPU, and why."""
        lines = [super().explain()]
        lines += [
            f"  {library.node.op.name} is done by NumPy on copies: CuPy does not do it as NumPy does"
            for library in self._libraries.values()
            if library.is_of_host
        ]
        inner = (code for code in self.codes.values() if isinstance(code, LoopStep | BranchStep))
        lines += [program.explain() for code in inner for program in code.programs]
        return "\n".join(filter(None, lines))

    def _run(self, given: Sequence[Array]) -> list[Array]:
        if self._replays is not None:
            prepared = self.prepared(given)
            assert isinstance(prepared, _Prepared)
            if prepared.is_launches:
                return self._replays.run(prepared, given, self._memory)
        return PlanProgram.run(self, given)

    def _prepare(self, key: Hashable, arrays: Sequence[Array], known: Mapping[Size, int]) -> Prepared:
        sizes = {**known, **bind_sizes(self.plan.given, arrays)}
        storage = self.storage(sizes)
        with paused():
            made = _Prepared(self.plan, storage, sizes, self.codes, self._calls, self._libraries, self._gpu)
            self.get_ready(made, arrays)
        if len(self._prepared) >= _KEPT:
            self._prepared.clear()
        self._prepared[key] = made
        return made

    def _spent(self, arrays: Sequence[Array]) -> set[int]:
        return set()


class _Prepared(Prepared):
    """Turns whose arrays lie on a GPU: what is known before a call is there, too."""

    def __init__(self, *args: Any) -> None:
        *rest, libraries, device = args
        super().__init__(*rest)
        self._device: Cuda = device
        self._start = [device.to(x) if isinstance(x, np.ndarray | np.generic) else x for x in self._start]
        by_node = {library.node: library for library in libraries.values()}
        for turn in self._turns:
            if isinstance(turn, CallTurn):
                turn.library = by_node[turn.library.node]
        self.is_launches = not self._others and all(map(_launches, self._turns))
        """Whether a call does nothing but launch kernels."""

    def _unshared(self, results: list[Any], arrays: Sequence[Array]) -> list[Array]:
        seen = {id(x) for x in (*arrays, *(x for n, x in enumerate(results) if n not in self._others))}
        seen |= {id(x) for x in self._start if x is not None}
        for n in self._others:
            x = results[n]
            if x.base is not None or id(x) in seen or not x.flags.c_contiguous:
                x = results[n] = x.copy(order="C")
            seen.add(id(x))
        return results


def _launches(turn: Any) -> bool:
    """Whether a turn does nothing but launch kernels."""
    if isinstance(turn, KernelTurn):
        return turn.is_known and isinstance(turn.made, LaunchedStep)  # no loop, whose turns depend on results
    return not isinstance(turn, CallTurn) or turn.library.is_view


# Memory


class _GpuMemory(Memory):
    """Memory of CuPy's pool. An arena is taken again on its own stream alone, where what wrote into it is done."""

    def __init__(self, device: Cuda) -> None:
        super().__init__()
        self._device = device
        self._idle: dict[tuple[int, int], list[Arena]] = {}

    def take(self, size: int) -> Arena:
        try:
            found = self._idle[self._device.stream()].pop()
        except (KeyError, IndexError):
            return self.arena(size)
        return found if found.memory.nbytes >= size else self.arena(size)

    def give(self, arena: Arena) -> None:
        key = self._device.stream()
        if key not in self._idle and len(self._idle) >= _STREAMS:
            self._idle.clear()
        self._idle.setdefault(key, []).append(arena)

    def arena(self, size: int) -> Arena:
        arena = Arena(self._device.empty((max(size, 1),), np.dtype(np.uint8)))
        arena.cache = _Cuts(arena.memory)
        return arena

    def result(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        return self._device.empty(shape, dtype)


_STREAMS = 16
"""For how many streams there are arenas."""


class _Cuts(dict[object, Any]):
    """The arrays of an arena, each cut from its bytes when a place asks for it."""

    def __init__(self, memory: Array) -> None:
        super().__init__()
        self._memory = memory

    def get(self, key: object, default: Any = None) -> Any:
        if key not in self and isinstance(key, _Place) and key.offset is not None and key.shape is not None:
            size = prod(key.shape) * key.dtype.itemsize
            part = self._memory[key.offset : key.offset + size]
            self[key] = part.view(key.dtype).reshape(key.shape)
        return super().get(key, default)


# What is no kernel in CUDA C


class _Library(Library):
    """A call of CuPy through NumPy's functions, or of NumPy on copies."""

    def __init__(self, node: Node, device: Cuda, *, is_view: bool) -> None:
        super().__init__(node, is_view=is_view)
        self._device = device
        own = OF_CUPY.get(node.op)
        self._of_cupy = self.meaning if own is None and is_view else own
        self.is_of_host = self._of_cupy is None or (node.op is index.op and len(node.inputs) > 1)

    def run(self, inputs: Sequence[Array], sizes: dict[Size, int], out: Array | None) -> Any:
        if self.is_of_host:
            return self._on_copies(inputs, sizes, out)
        assert self._of_cupy is not None
        told = out is not None and self.writer is not None
        meaning = partial(self.writer, out) if told and self.writer is not None else self._of_cupy
        try:
            value = run_node(self.node, meaning, inputs, self._attributes, sizes)
        except ImportError as error:
            raise DeviceError(
                f"{self.node.op.name} needs a library that CuPy does not find: {error}"
            ) from error
        if told:
            return out
        shared = not self.is_view and not isinstance(value, tuple)
        arrays = [x for x in inputs if not isinstance(x, tuple)] if shared else []
        return value.copy() if any(np.may_share_memory(value, x) for x in arrays) else value

    def _on_copies(self, inputs: Sequence[Array], sizes: dict[Size, int], out: Array | None) -> Any:
        device = self._device
        host: list[Any] = [
            tuple(map(device.back, x)) if isinstance(x, tuple) else device.back(x) for x in inputs
        ]
        value = super().run(host, sizes, None)
        if isinstance(value, tuple):
            return tuple(map(device.to, value))
        if out is None:
            return device.to(value)
        out[...] = device.to(value)
        return out


class _HostKernel:
    """A kernel of NumPy calls, on copies."""

    def __init__(self, made: Compiled, device: Cuda) -> None:
        self.step, self.nodes = made.step, made.nodes
        self._made, self._device, self._memory = made, device, Memory()

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """Its room is on the processor."""
        needs = self._made.needs(sizes)
        return needs if needs.room is None else Needs(0, needs.writes_into)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        size = self._made.needs(sizes).room or 0
        reads = len(arrays) - len(self.step.writes)
        calls: list[KernelCall] = []

        def call(arrays: Sequence[Array], arena: Arena) -> None:
            host = [self._device.back(x) for x in arrays[:reads]]
            host += [np.empty(x.shape, x.dtype) for x in arrays[reads:]]
            if not calls:
                calls.append(self._made.call(host, sizes, 0))
            own = self._memory.take(size)
            try:
                calls[0](host, own)
            finally:
                self._memory.give(own)
            for x, value in zip(arrays[reads:], host[reads:], strict=True):
                x[...] = self._device.to(value)

        return call


# Graphs


@dataclass(slots=True)
class _Replay:
    """A graph, the memory that it works in, and the arrays that it writes."""

    graph: Any
    memory: Memory
    results: list[Array]

    @property
    def is_idle(self) -> bool:
        """Whether nobody has its results."""
        return [getrefcount(x) for x in self.results] == [_UNSEEN] * len(self.results)


def _references() -> int:
    """How many references there are to what only a list and a loop over it hold."""
    (count,) = [getrefcount(x) for x in [object()]]
    return count


_UNSEEN = _references()
_GRAPHS = 16
"""How many graphs a program keeps."""


class _Replays:
    """Graphs by the addresses of what calls are given; one is made when addresses come for the second time."""

    def __init__(self, device: Cuda) -> None:
        self._device = device
        self._kept: OrderedDict[object, _Replay | None] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, prepared: _Prepared, given: Sequence[Array], memory: Memory) -> list[Array]:
        key = self._device.stream(), tuple([(x.data.ptr, x.shape) for x in given])
        with self._lock:
            is_known, found = key in self._kept, self._kept.get(key)
            if is_known and found is None:
                found = self._made(prepared, given)
            elif found is not None and not found.is_idle:
                found = None
            if not is_known or found is not None:
                self._kept[key] = found
                self._kept.move_to_end(key)
                if len(self._kept) > _GRAPHS:
                    self._kept.popitem(last=False)
            if found is not None:
                results = list(found.results)
                found.graph.launch()
                return results
        return prepared.run(given, memory, ())

    def _made(self, prepared: _Prepared, given: Sequence[Array]) -> _Replay:
        memory = _GpuMemory(self._device)
        with self._device.recording() as launches:
            results = prepared.run(given, memory, ())
        return _Replay(self._device.graph(launches), memory, results)
