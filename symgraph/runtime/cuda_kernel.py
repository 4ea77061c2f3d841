"""Kernels as CUDA C: printed for each way that the arrays of a call lie in memory, and launched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from symgraph.codegen.aliasing import in_place_of_threads
from symgraph.codegen.cuda_body import CudaBody
from symgraph.codegen.cuda_forms import BLOCK, Form, form, is_held, parts, shared
from symgraph.codegen.cuda_merges import Found
from symgraph.codegen.cuda_printer import CudaKernel, print_cuda
from symgraph.codegen.layout import Layout, accesses
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import Reduce, Store, all_of, makers
from symgraph.codegen.lower import arrays_of, lower
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size, symbols
from symgraph.graph.types import DType
from symgraph.optimizations.groups import EXTREMES
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Kernel
from symgraph.runtime.cuda_launch import Given, Launch, LaunchedStep, Place, Room, blocks
from symgraph.runtime.device import Array, Device, address
from symgraph.runtime.nests import arranged


@dataclass(frozen=True, slots=True)
class _Call:
    """Loops for arrays of some shapes and strides."""

    printed: CudaKernel
    rows: int
    columns: int
    turns: Sequence[int]
    strides: Mapping[tuple[int, int], int]
    """In numbers, of each access and loop."""


class CudaStep(LaunchedStep):
    """A kernel, with a text for each layout and form that was met."""

    def __init__(self, kernel: Kernel, device: Device) -> None:
        super().__init__(kernel, (*arrays_of(kernel), *kernel.writes), device)
        self.kernel, self.loops = kernel, lower(kernel)
        self._names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        by_name = dict(zip(self._names, self.nodes, strict=True))
        self._in_place = tuple((by_name[a], by_name[b]) for a, b in sorted(in_place_of_threads(self.loops)))
        self._needs_columns = any(isinstance(x, Reduce) and x.op in EXTREMES for x in all_of(self.loops))
        self._forms: dict[tuple[Layout, Form], CudaKernel] = {}

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        try:
            rows, columns = (prod(each) for each in self._space(sizes))
        except UnboundSize:
            return Needs()
        room = Room()
        for row, count in self._rooms(rows, columns):
            room.array(count, row.numpy.itemsize)
        return Needs(room.bytes, True, self._in_place)

    def launches(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> list[Launch]:
        """Raises ValueError for an extremum of nothing."""
        found = self._at(arrays, *self._space(sizes))
        if self._needs_columns and not found.columns:
            raise ValueError("there is no extremum along an axis of size 0")
        if not found.rows and not any(isinstance(each, Store) for each in self.loops.once):
            return []
        printed, own = found.printed, Room(room)
        count, length = parts(found.columns) if printed.form.is_cut else (1, found.columns)
        given: dict[str, Given] = {}
        for x in printed.parameters:
            match x.kind:
                case "array":
                    given[x.name] = Place(x.place[0])
                case "room" | "part":
                    assert x.row is not None
                    numbers = found.rows * (found.columns if x.kind == "room" else count)
                    given[x.name] = own.array(numbers, x.row.numpy.itemsize)
                case "size":
                    given[x.name] = found.turns[x.place[0]]
                case "stride":
                    given[x.name] = found.strides[x.place[0], x.place[1]]
                case "length":
                    given[x.name] = length
                case "parts":
                    given[x.name] = count
        each = printed.form.rows if self.kernel.columns else BLOCK * printed.form.vector
        across, _ = blocks(self.device, found.rows, each)
        return [
            Launch(printed, (across, count if has_parts else 1), given, n)
            for n, has_parts in enumerate(printed.has_parts)
        ]

    def _sizes(self) -> Iterable[Size]:
        sizes = [*self.kernel.rows.values(), *self.kernel.columns.values()]
        return frozenset().union(*(symbols(size) for size in sizes if isinstance(size, Size)))

    def _space(self, sizes: Mapping[Size, int]) -> tuple[list[int], list[int]]:
        """The sizes of the loops over rows, and over columns."""
        axes = self.kernel.rows, self.kernel.columns
        rows, columns = ([evaluate_dim(size, sizes) for size in each.values()] for each in axes)
        return rows, columns

    def _at(self, arrays: Sequence[Array], rows: Sequence[int], columns: Sequence[int]) -> _Call:
        by_name = dict(zip(self._names, arrays, strict=True))
        layout, turns, steps = arranged(self.loops, by_name, rows, columns)
        layout = layout._replace(streams=False)
        every = [by_name[access.param] for access in accesses(self.loops)]
        spans = [
            sum(abs(step) * (turn - 1) for step, turn in zip(own, turns, strict=True)) // x.dtype.itemsize
            for x, own in zip(every, steps, strict=True)
        ]
        chosen = form(self.loops, layout, turns, steps, [address(x) for x in every], spans)
        key = layout, chosen
        if key not in self._forms:
            self._forms[key] = print_cuda(self.loops, layout, chosen)
        strides = {
            (n, loop): step // x.dtype.itemsize
            for n, (x, own) in enumerate(zip(every, steps, strict=True))
            for loop, step in enumerate(own)
        }
        return _Call(self._forms[key], prod(rows), prod(columns), turns, strides)

    def _rooms(self, rows: int, columns: int) -> Iterator[tuple[DType, int]]:
        """The dtypes and numbers of the arrays of a room."""
        _, is_cut = shared(self.loops, rows, columns)
        if self.kernel.columns and not is_held(self.loops, rows, columns):
            for name, home in in_parts(self.loops).kept.items():
                if home is None:
                    yield computed_in(makers(self.loops)[name].target.row), rows * columns
        if self.kernel.columns and is_cut:
            for each in all_of(self.loops):
                if isinstance(each, Reduce):
                    for x in Found(CudaBody(), each).state:
                        yield x.row, rows * parts(columns)[0]
