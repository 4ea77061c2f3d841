"""Kernels in CUDA C that users wrote, launched on the arrays of a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from symgraph.codegen.cuda_forms import Form, is_wide
from symgraph.codegen.cuda_gather import Move, print_move
from symgraph.codegen.cuda_printer import CudaKernel, Parameter
from symgraph.codegen.own_cuda import explained, whole
from symgraph.errors import DeviceError, ShapeError, SymgraphError
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.op import PLACEHOLDER, VARIABLE
from symgraph.graph.types import dtype
from symgraph.ops.own_kernels import KernelOp
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.cuda_launch import (
    ALIGNED,
    Given,
    Launch,
    LaunchedCall,
    Launches,
    Place,
    Room,
    blocks,
    loops_of,
    span_of,
    steps_of,
)
from symgraph.runtime.device import Array, Device, address
from symgraph.runtime.memory import Arena
from symgraph.runtime.picked import strides_of


def is_own_kernel(step: Step) -> bool:
    """Whether a step is a kernel of a user's."""
    return isinstance(step, Call) and isinstance(step.node.op, KernelOp)


@dataclass(frozen=True, slots=True)
class _Form(Form):
    """So many threads, which share the work as the text says."""

    size: int = 1

    @property
    def block(self) -> int:
        return self.size


class CudaOwn(LaunchedCall):
    """A kernel of a user's, and copies of what does not lie in order."""

    def __init__(self, step: Call, device: Device) -> None:
        super().__init__(step, device)
        assert isinstance(self.node.op, KernelOp)
        self.op = self.node.op
        name, text = whole(self.op)
        parameters = tuple(
            Parameter(x.name, "size")
            if x.array is None
            else Parameter(x.name, "array", self.nodes[x.array].row, (x.array,))
            for x in self.op.parameters
        )
        form = _Form(self.op.wide, 1, size=self.op.block)
        self.kernel = CudaKernel((name,), (False,), text, {}, parameters, form)

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call: for copies of what may lie otherwise than in order."""
        room = Room()
        try:
            for x in self.node.inputs:
                count = 1
                for size in x.shape:
                    count *= evaluate_dim(size, sizes)
                if _may_be_copied(x):
                    room.array(count, x.dtype.itemsize)
            for size in self.node.shape:
                evaluate_dim(size, sizes)
        except UnboundSize:
            return Needs()
        return Needs(room.bytes, True)

    def kernels_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> list[CudaKernel]:
        """But for the user's own, which is compiled alone, since its macros and functions are its own."""
        return [x for x in super().kernels_for(arrays, sizes) if x is not self.kernel]

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> Launches:
        made = _Launches(self.device, lambda arrays: self._made(arrays, sizes, room))
        made.name = self.op.name
        with _named(self.op.name):
            made.get_ready(arrays)
        return made

    def launches(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> list[Launch]:
        """Raises ShapeError for shapes that the rule refuses, and where results are wanted of no block."""
        *inputs, out = arrays
        known = self.op.sizes([tuple(x.shape) for x in inputs])
        if not out.size:
            return []
        assert self.op.grid is not None
        grid = self.op.grid(known)
        if min(grid) <= 0:
            said = ", ".join(f"{name} is {size}" for name, size in known.items())
            raise ShapeError(f"{self.op.name} ({self.op.place}): its grid {grid} has no blocks where {said}")
        if known and not self.op.wide and is_wide(*known.values()):
            raise ShapeError(f"{self.op.name} ({self.op.place}): its sizes are int, and {known} do not fit")
        found, own = [], Room(room)
        given: dict[str, Given] = {}
        for x in self.op.parameters:
            given[x.name] = known[x.name] if x.array is None else Place(x.array)
        for x, array, node in zip(self.op.parameters, inputs, self.node.inputs, strict=False):
            place = own.array(array.size, array.itemsize) if _may_be_copied(node) else None
            if array.size and not (array.flags.c_contiguous and address(array) % ALIGNED == 0):
                assert place is not None, "arguments lie in order"
                assert x.array is not None
                found.append(_copy(self.device, x.array, array, place))
                given[x.name] = place
        return [*found, Launch(self.kernel, grid, given)]

    def _sizes(self) -> Iterable[Size]:
        return frozenset().union(*(type_symbols(x.type) for x in self.nodes))


def _may_be_copied(x: Node) -> bool:
    """Whether an array may lie otherwise than in order: not what a kernel wrote, and not an argument or a variable, but
    what a loop gives to its body."""
    if x.op is PLACEHOLDER:
        return x.name is None or x.name.startswith("_")
    return x.op is not VARIABLE and not x.op.elementwise


class _Launches(Launches):
    """Launches of a user's kernel, whose errors are about the user's text."""

    name: str

    def get_ready(self, arrays: Sequence[Array]) -> list[tuple[Launch, list[Any]]]:
        try:
            return super().get_ready(arrays)
        except DeviceError as error:
            raise explained(error) from None

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        with _named(self.name):
            super().__call__(arrays, arena)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors know which op it was: if it has no meaning in NumPy, that has nothing to add."""
    try:
        yield
    except SymgraphError as error:
        error.kernel = name  # type: ignore[attr-defined]
        raise


def _copy(device: Device, place: int, x: Array, to: Place) -> Launch:
    """The elements of an array, in order."""
    row, size = dtype(x.dtype), x.itemsize
    inner, order = size, []
    for count in reversed(x.shape):
        order.append(inner)
        inner *= count
    loops = loops_of(list(x.shape), [strides_of(x), order[::-1]])
    steps = tuple(steps_of(own, size) for own in loops.strides)
    kernel = print_move(Move(row, "read", steps, (), 1, is_wide(x.size, span_of(x))))
    given: dict[str, Given] = {"x": Place(place), "y": to, **loops.given("e", ["x", "y"], [size, size])}
    return Launch(kernel, blocks(device, x.size), given)
