"""Launches of functions of CUDA C on the arrays of a step, and the word that says which step met a wrong index."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from symgraph.codegen.cuda_forms import BLOCK
from symgraph.codegen.cuda_printer import CudaKernel
from symgraph.codegen.layout import Step as Stride
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.optimizations.cost import typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.device import Argument, Array, Device, address
from symgraph.runtime.memory import Arena
from symgraph.runtime.nests import Lying, collapsed
from symgraph.runtime.picked import sizes_of

ALIGNED = 16
"""Bytes that a thread loads at once, at most."""
_LINE = 256
"""The arrays of a room begin at multiples of so many bytes."""


class Trouble(threading.local):
    """An int of the device, of each thread that calls: 0 until a kernel stores the number of its step there."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._word: Array = device.to(np.zeros(1, np.int32))

    @property
    def address(self) -> int:
        return address(self._word)

    def told(self) -> int:
        """What stands there after all that was launched, and is forgotten."""
        found = int(self._device.back(self._word)[0])
        if found:
            self._word[...] = 0  # where it is, for launches may be kept that know the place
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """An address that a call decides: so many bytes after the beginning of an array, or of the arena."""

    array: int | None
    offset: int = 0


Given: TypeAlias = Place | Trouble | int
"""What a function is given for a parameter."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A function, by so many blocks."""

    kernel: CudaKernel
    grid: tuple[int, int]
    given: Mapping[str, Given]
    """By the names of parameters; there may be more."""
    function: int = 0
    """Which of the kernel's."""
    unless: tuple[int, int] | None = None
    """Arrays that need nothing done where they are the same."""


_Late: TypeAlias = Place | Trouble | Argument


class LaunchedStep(ABC):
    """A step of a plan as launches, for arrays of any shapes and strides."""

    def __init__(self, step: Step, nodes: tuple[Node, ...], device: Device) -> None:
        self.step, self.nodes, self.device = step, nodes, device
        self._printed: dict[str, CudaKernel] = {}

    @abstractmethod
    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call, and what may be the same array."""

    @abstractmethod
    def launches(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> list[Launch]:
        """Raises IndexError and ValueError for shapes that NumPy refuses."""

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> Launches:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        made = Launches(self.device, lambda arrays: self._made(arrays, sizes, room))
        made.get_ready(arrays)
        return made

    def kernels_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> list[CudaKernel]:
        """The texts for arrays of these shapes and strides; none for shapes that NumPy refuses."""
        try:
            return [each.kernel for each in self._made(arrays, sizes, 0)]
        except (IndexError, ValueError):
            return []

    def texts(self) -> list[CudaKernel]:
        """What has been printed until now; if nothing, the texts for arrays in order."""
        if not self._printed:
            arrays = [np.empty(tuple(map(typical, x.shape)), x.dtype) for x in self.nodes]
            self.kernels_for(arrays, {size: typical(size) for size in self._sizes()})
        return list(self._printed.values())

    @abstractmethod
    def _sizes(self) -> Iterable[Size]:
        """What `launches` asks for, of the sizes."""

    def _made(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> list[Launch]:
        found = self.launches(arrays, sizes, room)
        self._printed |= {each.kernel.functions[0]: each.kernel for each in found}
        return found


class LaunchedCall(LaunchedStep):
    """One op."""

    def __init__(self, step: Call, device: Device) -> None:
        self.node = step.node
        super().__init__(step, (*step.node.inputs, step.node), device)

    def _sizes(self) -> Iterable[Size]:
        return sizes_of(self.node)


class Launches:
    """What a step does on arrays of some shapes and strides: ``made`` gives it for arrays, whose addresses decide how
    many numbers are loaded at once."""

    def __init__(self, device: Device, made: Callable[[Sequence[Array]], Sequence[Launch]]) -> None:
        self._device, self._made = device, made
        self._known: dict[tuple[int, ...], list[tuple[Launch, list[_Late]]]] = {}

    def get_ready(self, arrays: Sequence[Array]) -> list[tuple[Launch, list[_Late]]]:
        """The launches for arrays that lie like these."""
        key = tuple([address(x) % ALIGNED for x in arrays])
        if key not in self._known:
            launches = self._made(arrays)
            self._device.load([each.kernel for each in launches])
            self._known[key] = [(each, _arguments(each)) for each in launches]
        return self._known[key]

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        begins, room = [address(x) for x in arrays], address(arena.memory)
        for launch, arguments in self.get_ready(arrays):
            if launch.unless is not None and begins[launch.unless[0]] == begins[launch.unless[1]]:
                continue
            function = launch.kernel.functions[launch.function]
            given = [_now(x, begins, room) for x in arguments]
            self._device.launch(function, launch.grid, launch.kernel.form.block, given)


class Room:
    """Arrays that a step has to itself, one after the other."""

    def __init__(self, begin: int = 0) -> None:
        self._begin = self._end = begin

    def array(self, count: int, itemsize: int) -> Place:
        place = Place(None, self._end)
        self._end += -(-count * itemsize // _LINE) * _LINE
        return place

    @property
    def bytes(self) -> int:
        return self._end - self._begin


def blocks(device: Device, count: int, each: int = BLOCK) -> tuple[int, int]:
    """A grid whose blocks share so many turns, and have ``each`` at a time."""
    return max(1, min(-(-count // each), device.blocks)), 1


def _arguments(launch: Launch) -> list[_Late]:
    """What the parameters of a function are given, numbers in its type of indices."""
    index = np.int64 if launch.kernel.form.wide else np.int32
    found = [launch.given[x.name] for x in launch.kernel.parameters]
    return [index(x) if isinstance(x, int) else x for x in found]


def _now(x: _Late, begins: Sequence[int], room: int) -> Argument:
    if isinstance(x, Trouble):
        return x.address
    if isinstance(x, Place):
        return x.offset + (room if x.array is None else begins[x.array])
    return x


# How arrays lie along loops


@dataclass(frozen=True, slots=True)
class Loops:
    """The sizes of loops, and the bytes that a turn of each goes in some arrays."""

    sizes: list[int]
    strides: list[list[int]]

    def given(self, letter: str, names: Sequence[str], itemsizes: Sequence[int]) -> dict[str, Given]:
        """What functions are given for them."""
        found: dict[str, Given] = {f"n_{letter}{n}": size for n, size in enumerate(self.sizes)}
        for name, size, own in zip(names, itemsizes, self.strides, strict=True):
            found |= {f"{name}_{letter}{n}": stride // size for n, stride in enumerate(own)}
        return found


def loops_of(sizes: Sequence[int], strides: Sequence[Sequence[int]], least: int = 1) -> Loops:
    """Neighbours that all arrays go through as through one are one loop."""
    left, found, _ = collapsed(sizes, strides)
    if len(left) < least:
        left, found = [1], [[0] for _ in strides]
    return Loops(left, found)


def steps_of(strides: Sequence[int], itemsize: int) -> tuple[Stride, ...]:
    kinds = {0: Stride.NONE, itemsize: Stride.UNIT}
    return tuple(kinds.get(stride, Stride.FAR) for stride in strides)


def span_of(array: Lying) -> int:
    """How many elements an array reaches over."""
    own = zip(array.shape, array.strides, strict=True)
    return sum(abs(step) * (size - 1) for size, step in own if size) // array.itemsize
