"""Kernels as CUDA C: printed for each way that the arrays of a call lie in memory, and launched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from symgraph.codegen.aliasing import in_place_of_threads
from symgraph.codegen.cuda_body import CudaBody
from symgraph.codegen.cuda_forms import BLOCK, Form, form, is_held, parts, shared
from symgraph.codegen.cuda_merges import Found
from symgraph.codegen.cuda_printer import CudaKernel, print_cuda
from symgraph.codegen.layout import Layout, accesses
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import Reduce, Store, makers, statements
from symgraph.codegen.lower import arrays_of, lower
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.types import DType
from symgraph.optimizations.cost import typical
from symgraph.optimizations.groups import EXTREMES
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Kernel
from symgraph.runtime.device import Argument, Array, Device, address
from symgraph.runtime.memory import Arena
from symgraph.runtime.nests import arranged

_LINE = 256
"""The arrays of a room begin at multiples of so many bytes."""


@dataclass(frozen=True, slots=True)
class _Call:
    """Loops for arrays of some shapes and strides."""

    printed: CudaKernel
    rows: int
    columns: int
    turns: Sequence[int]
    strides: Mapping[tuple[int, int], int]
    """In numbers, of each access and loop."""


class CudaStep:
    """A kernel, with a text for each layout and form that was met."""

    def __init__(self, kernel: Kernel, device: Device) -> None:
        self.step = self.kernel = kernel
        self._device = device
        self.loops = lower(kernel)
        self.nodes = (*arrays_of(kernel), *kernel.writes)
        self._names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        by_name = dict(zip(self._names, self.nodes, strict=True))
        self._in_place = tuple((by_name[a], by_name[b]) for a, b in sorted(in_place_of_threads(self.loops)))
        self._needs_columns = any(
            isinstance(x, Reduce) and x.op in EXTREMES for x, _, _ in statements(self.loops)
        )
        self._printed: dict[tuple[Layout, Form], CudaKernel] = {}

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call, and what may be the same array."""
        try:
            rows, columns = (prod(each) for each in self._space(sizes))
        except UnboundSize:
            return Needs()
        room = sum(_padded(count * row.numpy.itemsize) for row, count in self._rooms(rows, columns))
        return Needs(room, True, self._in_place)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> CudaCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        found = self._found(arrays, sizes)
        printed, index = found.printed, np.int64 if found.printed.form.wide else np.int32
        self._device.load([printed])
        count, length = parts(found.columns) if printed.form.is_cut else (1, found.columns)
        arguments: list[Argument | _Place] = []
        for x in printed.parameters:
            match x.kind:
                case "array":
                    arguments.append(_Place(x.place[0]))
                case "room" | "part":
                    assert x.row is not None
                    arguments.append(_Place(None, room))
                    numbers = found.rows * (found.columns if x.kind == "room" else count)
                    room += _padded(numbers * x.row.numpy.itemsize)
                case "size":
                    arguments.append(index(found.turns[x.place[0]]))
                case "stride":
                    arguments.append(index(found.strides[x.place[0], x.place[1]]))
                case "length":
                    arguments.append(index(length))
                case "parts":
                    arguments.append(index(count))
        blocks = self._blocks(found)
        grids = [(blocks, count if has_parts else 1) for has_parts in printed.has_parts]
        fails = self._needs_columns and not found.columns
        is_needed = found.rows or any(isinstance(each, Store) for each in self.loops.once)
        return CudaCall(self._device, printed, grids if is_needed else [], arguments, fails=fails)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> CudaKernel:
        """The text for arrays of these shapes and strides."""
        return self._found(arrays, sizes).printed

    def texts(self) -> list[CudaKernel]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            shapes = [tuple(map(typical, node.shape)) for node in self.nodes]
            arrays = [np.empty(shape, node.dtype) for shape, node in zip(shapes, self.nodes, strict=True)]
            rows, columns = ([typical(size) for size in axes.values()] for axes in self._axes)
            self._at(arrays, rows, columns)
        return list(self._printed.values())

    @property
    def _axes(self) -> tuple[Mapping[int, Size | int], Mapping[int, Size | int]]:
        return self.kernel.rows, self.kernel.columns

    def _space(self, sizes: Mapping[Size, int]) -> tuple[list[int], list[int]]:
        """The sizes of the loops over rows, and over columns."""
        rows, columns = ([evaluate_dim(size, sizes) for size in axes.values()] for axes in self._axes)
        return rows, columns

    def _found(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> _Call:
        return self._at(arrays, *self._space(sizes))

    def _at(self, arrays: Sequence[Array], rows: Sequence[int], columns: Sequence[int]) -> _Call:
        by_name = dict(zip(self._names, arrays, strict=True))
        layout, turns, steps = arranged(self.loops, by_name, rows, columns)
        layout = replace(layout, streams=False)
        every = [by_name[access.param] for access in accesses(self.loops)]
        spans = [
            sum(abs(step) * (turn - 1) for step, turn in zip(own, turns, strict=True)) // x.dtype.itemsize
            for x, own in zip(every, steps, strict=True)
        ]
        chosen = form(self.loops, layout, turns, steps, [address(x) for x in every], spans)
        key = layout, chosen
        if key not in self._printed:
            self._printed[key] = print_cuda(self.loops, layout, chosen)
        strides = {
            (n, loop): step // x.dtype.itemsize
            for n, (x, own) in enumerate(zip(every, steps, strict=True))
            for loop, step in enumerate(own)
        }
        return _Call(self._printed[key], prod(rows), prod(columns), turns, strides)

    def _rooms(self, rows: int, columns: int) -> Iterator[tuple[DType, int]]:
        """The dtypes and numbers of the arrays of a room."""
        _, is_cut = shared(self.loops, rows, columns)
        if self.kernel.columns and not is_held(self.loops, rows, columns):
            for name, home in in_parts(self.loops).kept.items():
                if home is None:
                    yield computed_in(makers(self.loops)[name].target.row), rows * columns
        if self.kernel.columns and is_cut:
            for each, _, _ in statements(self.loops):
                if isinstance(each, Reduce):
                    for x in Found(CudaBody(), each).state:
                        yield x.row, rows * parts(columns)[0]

    def _blocks(self, found: _Call) -> int:
        """How many blocks take turns at the rows."""
        chosen = found.printed.form
        each = chosen.rows if self.kernel.columns else BLOCK * chosen.vector
        return max(1, min(-(-found.rows // each), self._device.blocks))


@dataclass(frozen=True, slots=True)
class _Place:
    """An address that a call decides: of an array, or so many bytes after the beginning of the arena."""

    array: int | None
    offset: int = 0


class CudaCall:
    """The functions of a kernel on arrays of these shapes and strides."""

    def __init__(
        self,
        device: Device,
        printed: CudaKernel,
        grids: Sequence[tuple[int, int]],
        arguments: Sequence[Argument | _Place],
        *,
        fails: bool,
    ) -> None:
        self._device, self._arguments, self._fails = device, arguments, fails
        self._block = printed.form.block
        self._launches = list(zip(printed.functions, grids, strict=False))

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        if self._fails:
            raise ValueError("there is no extremum along an axis of size 0")
        begin = address(arena.memory)
        arguments = [
            x
            if not isinstance(x, _Place)
            else begin + x.offset
            if x.array is None
            else address(arrays[x.array])
            for x in self._arguments
        ]
        for function, grid in self._launches:
            self._device.launch(function, grid, self._block, arguments)


def _padded(size: int) -> int:
    return -(-size // _LINE) * _LINE
