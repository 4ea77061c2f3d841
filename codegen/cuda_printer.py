"""Kernels as CUDA C: each of the loop IR's statements is a line, with the user's line beside it.

A kernel becomes one function, or one for each sweep where long rows are cut into parts: then every block leaves what
its part adds up to, and the next function begins by merging that, in one order. Nothing is added up by atomic
operations, so that results have the same bits each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from symgraph.codegen.aliasing import in_place_of_threads
from symgraph.codegen.cuda_body import CudaBody, c_type
from symgraph.codegen.cuda_forms import Form
from symgraph.codegen.cuda_rows import Rows
from symgraph.codegen.cuda_statements import Statements
from symgraph.codegen.cuda_tiles import Tiles
from symgraph.codegen.layout import Access, Layout
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.loops import Load, LoopKernel, Store
from symgraph.graph.types import DType


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the functions of a kernel are given, one after the other."""

    name: str
    kind: str
    """"array", "room" or "part", which are addresses; "size", "stride", "length" or "parts", which are indices."""
    row: DType | None = None
    """Of what lies at an address."""
    place: tuple[int, ...] = ()
    """Which array or loop it is; of a stride, which access and loop."""


@dataclass(frozen=True, slots=True)
class CudaKernel:
    """A printed kernel; all of its functions take the same parameters."""

    functions: tuple[str, ...]
    """Their names, in the order in which they run."""
    has_parts: tuple[bool, ...]
    """For each, whether a block has a part of a row."""
    text: str
    helpers: Mapping[str, str]
    """The device functions that it calls, each after those that it calls itself."""
    parameters: tuple[Parameter, ...]
    form: Form


def print_cuda(kernel: LoopKernel, layout: Layout, form: Form) -> CudaKernel:
    """The functions of a kernel for a layout, shared among threads in one form; names follow from the text."""
    body = CudaBody()
    bodies: list[list[str]] = []
    if layout.columns:
        rows = Rows(kernel, layout, form, body)
        phases = rows.phases
        for phase in phases:
            rows.write(phase)
            bodies.append(body.taken())
        names, has_parts = rows.names, tuple(phase.has_parts for phase in phases)
        parameters = [*_arrays(kernel, names), *_rooms(rows), *_indices(rows, layout)]
    else:
        elements = Tiles(kernel, layout, form, body) if form.tiled else Elements(kernel, layout, form, body)
        elements.write()
        bodies.append(body.taken())
        names, has_parts = elements.names, (False,)
        parameters = [*_arrays(kernel, names), *_indices(elements, layout)]
    signature = ",\n    ".join(_declared(kernel, names, parameters, form))
    lines = ["\n".join(each) for each in bodies]
    digest = sha256("\n".join([signature, *map(uncommented, lines)]).encode()).hexdigest()[:16]
    functions = [f"kernel_{digest}{f'_{n}' * (len(lines) > 1)}" for n in range(len(lines))]
    head = f'extern "C" __global__ void __launch_bounds__({form.block})'
    texts = [
        f"{head} {name}(\n    {signature})\n{{\n{each}\n}}\nSG_KERNEL({name})\n"
        for name, each in zip(functions, lines, strict=True)
    ]
    return CudaKernel(tuple(functions), has_parts, "\n".join(texts), body.functions, tuple(parameters), form)


def uncommented(text: str) -> str:
    """A text without the user's lines: what its code depends on."""
    return "\n".join(line.partition("  //")[0] for line in text.split("\n"))


class Elements(Statements):
    """Kernels without sweeps: a thread has a number at a time, or some neighbours."""

    def write(self) -> None:
        body, form = self._body, self.form
        sizes = [f"n{n}" for n in range(self._layout.rows)]
        self._do(self._kernel.once)
        if not sizes:
            with body.nested("if (blockIdx.x == 0 && threadIdx.x == 0)"):
                self._do(self._of_elements)
            return
        *outer, last = sizes
        first = f"blockIdx.x * {form.block}{'ll' * form.wide} + threadIdx.x"
        inner = f"({last} / {form.vector})" if form.vector > 1 else last
        with self._grid(first, " * ".join([*outer, inner])):
            self._stand("p", range(self._layout.rows), [*outer, inner])
            if form.vector > 1:
                self._index[self._last] = self._line("i", f"{self._index[self._last]} * {form.vector}")
            loads = [Access(x.param.name, x.index) for x in self._of_elements if isinstance(x, Load)]
            stores = [Access(x.param.name, x.index) for x in self._of_elements if isinstance(x, Store)]
            self._neighbours(loads, stores, lambda: self._do(self._of_elements))
        if form.vector > 1 and not outer:
            with self._grid(f"{last} / {form.vector} * {form.vector} + {first}", last):
                self._index[0] = "p"
                self._do(self._of_elements)

    @contextmanager
    def _grid(self, first: str, count: str) -> Iterator[None]:
        """Turns that all threads of the grid share."""
        stride = f"gridDim.x * {self.form.block}{'ll' * self.form.wide}"
        head = f"for ({self._integer} p = {first}; p < {count}; p += {stride})"
        with self._body.nested(head), self._scoped():
            yield


def _arrays(kernel: LoopKernel, names: Mapping[str, str]) -> Iterator[Parameter]:
    for n, param in enumerate((*kernel.reads, *kernel.writes)):
        yield Parameter(names[param.name], "array", param.type.dtype, (n,))


def _rooms(rows: Rows) -> Iterator[Parameter]:
    for value in rows.rooms:
        yield Parameter(f"{value.name}_kept", "room", computed_in(value.row))
    for part in rows.parts:
        yield Parameter(part.name, "part", part.row)


def _indices(statements: Statements, layout: Layout) -> Iterator[Parameter]:
    for n in range(layout.rows + layout.columns):
        yield Parameter(f"n{n}", "size", place=(n,))
    yield from (Parameter(name, "stride", place=place) for place, name in statements.strides)
    if statements.form.is_cut:
        yield Parameter("length", "length")
        yield Parameter("parts", "parts")


def _declared(
    kernel: LoopKernel, names: Mapping[str, str], parameters: Sequence[Parameter], form: Form
) -> Iterator[str]:
    """The parameters in C. What may lie where something else does is not ``__restrict__``."""
    written = {names[param.name] for param in kernel.writes}
    shared = {names[name] for pair in in_place_of_threads(kernel) for name in pair}
    for x in parameters:
        if x.row is None:
            yield f"const {'long long' if form.wide else 'int'} {x.name}"
        else:
            const = "const " * (x.kind == "array" and x.name not in written)
            alone = " __restrict__" * (x.name not in shared)
            yield f"{const}{c_type(x.row)}*{alone} {x.name}"
