"""Kernels with sweeps along rows, in CUDA C: threads that share a row, and blocks that share long ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from symgraph.codegen.cuda_body import CudaBody, c_type
from symgraph.codegen.cuda_forms import WARP, Form, crossing
from symgraph.codegen.cuda_merges import Found, merged
from symgraph.codegen.cuda_ops import from_memory, to_memory
from symgraph.codegen.cuda_statements import Statements
from symgraph.codegen.layout import Access, Layout
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.llvm_reductions import TURNS
from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import (
    Load,
    LoopKernel,
    Operand,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
    makers,
    operands,
)
from symgraph.graph.origin import Origin
from symgraph.graph.types import DType

Section: TypeAlias = Statement | tuple[Statement, ...]
"""A statement for the row, or those of a sweep."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Some sections of a row, the last of which may be a sweep whose parts are merged by the next phase."""

    start: int
    stop: int
    has_parts: bool
    """Whether a block has a part of a row, and not a whole one."""


@dataclass(frozen=True, slots=True)
class Part:
    """An array with what each part of each row has found: one of the variables of a reduction."""

    name: str
    row: DType


class Rows(Statements):
    """The loop over rows, and what stands in it."""

    def __init__(self, kernel: LoopKernel, layout: Layout, form: Form, body: CudaBody) -> None:
        super().__init__(kernel, layout, form, body)
        self._held = crossing(kernel) if form.held else frozenset()
        self._homes: Mapping[str, Store | None] = {}
        self._sections: Sequence[Section] = [
            part.body if isinstance(part, Sweep) else part for part in kernel.body
        ]
        if not form.held:
            parts = in_parts(kernel)
            self._sections, self._homes = parts.sections, parts.kept
        self._makers = makers(kernel)
        self._row_sizes = [f"n{n}" for n in range(layout.rows)]
        self._column_sizes = [f"n{n}" for n in range(layout.rows, layout.rows + layout.columns)]
        self._begin = ""
        """Where the columns of a block begin, as the beginning of a sum."""

    @property
    def rooms(self) -> list[Value]:
        """What sweeps keep for later ones in arrays of their own."""
        return [self._makers[name].target for name, home in self._homes.items() if home is None]

    @property
    def parts(self) -> list[Part]:
        """What the phases leave to each other."""
        if len(self.phases) == 1:
            return []
        return [part for section in self._sections if _reduces(section) for part in _parts_of(section)]

    @property
    def phases(self) -> list[Phase]:
        """The functions that the kernel becomes."""
        if not self.form.is_cut:
            return [Phase(0, len(self._sections), False)]
        ends = [n + 1 for n, section in enumerate(self._sections) if _reduces(section)]
        found = [Phase(start, stop, True) for start, stop in zip([0, *ends], ends, strict=False)]
        last = ends[-1] if ends else 0
        sweeps = any(isinstance(section, tuple) for section in self._sections[last:])
        return [*found, Phase(last, len(self._sections), sweeps)]

    def write(self, phase: Phase) -> None:
        """The lines of a phase: what was known before it is found again, but for sweeps, whose parts are merged."""
        with self._scoped():
            self._do(self._kernel.once)
            with self._row_loop(phase):
                for n, section in enumerate(self._sections[: phase.stop]):
                    if not isinstance(section, tuple):
                        if n >= phase.start or not isinstance(section, Store):
                            self._of_row(section, phase)
                    elif n >= phase.start:
                        self._sweep(section, leave=self.form.is_cut and _reduces(section))
                    elif _reduces(section):
                        self._recall(section)

    # Rows

    @contextmanager
    def _row_loop(self, phase: Phase) -> Iterator[None]:
        """The rows of a block, a turn for so many; all threads take all turns, since they may wait for each other."""
        body, form = self._body, self.form
        count, columns = " * ".join(self._row_sizes) or "1", " * ".join(self._column_sizes)
        own, lane = f"threadIdx.x / {form.threads}", f"threadIdx.x % {form.threads}"
        if form.upright:
            own, lane = f"threadIdx.x % {WARP}", f"threadIdx.x / {WARP}"
        body.emit(f"const int lane = {lane};")
        if phase.has_parts:
            body.emit(f"const {self._integer} part = blockIdx.y;")
        step = f"{form.rows}{'ll' * form.wide}"
        head = f"for ({self._integer} p = blockIdx.x * {step}; p < {count}; p += gridDim.x * {step})"
        with body.nested(head), self._scoped():
            self._begin, end = "", columns
            if form.rows > 1:
                body.emit(f"const bool mine = p + {own} < {count};")
                body.emit(f"const {self._integer} row = mine ? p + {own} : {count} - 1;")
            else:
                body.emit(f"const {self._integer} row = p;")
            self._stand("row", range(self._layout.rows), self._row_sizes)
            if phase.has_parts:
                body.emit(f"const {self._integer} begin = part * length;")
                self._begin, end = "begin + ", f"begin + length < {columns} ? begin + length : {columns}"
            if form.rows > 1:
                end = f"!mine ? 0 : {end}"
            body.emit(f"const {self._integer} end = {end};")
            yield

    def _of_row(self, each: Statement, phase: Phase) -> None:
        """A statement that all threads of a row do, but for stores."""
        if not isinstance(each, Store):
            self._statement(each)
            return
        alone = [*self._first_thread, *["part == 0"] * phase.has_parts]
        with self._body.nested(f"if ({' && '.join(alone) or 'true'})"):
            self._statement(each)

    @property
    def _first_thread(self) -> list[str]:
        """The conditions of one thread of each row."""
        return ["mine"] * (self.form.rows > 1) + ["lane == 0"] * (self.form.threads > 1)

    # Sweeps

    def _sweep(self, section: Sequence[Statement], *, leave: bool) -> None:
        """The turns of a sweep; what it reduces is known after it, or left to the next phase."""
        found = {each.target.name: Found(self._body, each) for each in section if isinstance(each, Reduce)}
        every = list(found.values())
        self._declare(section)
        self._turns(lambda: self._turn(section, found), [each for each in every if each.has_total])
        for each in every:
            each.finish()
        merged(self._body, self.form, every)
        if leave:
            self._leave(tuple(section), every)
        else:
            self._know(every)

    def _turns(self, turn: Callable[[], None], gathered: Sequence[Found]) -> None:
        """The numbers of a row that a thread has; after some of them what they add up to is gathered."""
        body, form = self._body, self.form
        stride, first = form.threads * form.vector, "lane" if form.vector == 1 else f"lane * {form.vector}"
        some = max(1, TURNS // form.vector)
        if form.held:
            body.emit("#pragma unroll")
            with body.nested(f"for (int e = 0; e < {form.held}; ++e)"):
                body.emit(f"const {self._integer} j = e * {stride} + {first};")
                with body.nested("if (j < end)"):
                    turn()
                if gathered:
                    with body.nested(f"if (e % {some} == {some - 1} || e == {form.held - 1})"):
                        _gather(gathered)
            return
        start = f"for ({self._integer} j = {self._begin}{first}; j < end;"
        if not gathered:
            with body.nested(f"{start} j += {stride})"):
                turn()
            return
        with body.nested(f"{start})"):
            with body.nested(f"for (int e = 0; e < {some} && j < end; ++e, j += {stride})"):
                turn()
            _gather(gathered)

    def _turn(self, section: Sequence[Statement], found: Mapping[str, Found]) -> None:
        """The statements of a sweep for the numbers of a vector from ``j`` on."""
        with self._scoped():
            self._stand("j", range(self._layout.rows, self._last + 1), self._column_sizes)
            loads = [Access(x.param.name, x.index) for x in section if isinstance(x, Load)]
            stores = [Access(x.param.name, x.index) for x in section if isinstance(x, Store)]
            made = {x.target.name for x in section if not isinstance(x, Store | Reduce)}
            for name, home in self._homes.items():
                if home is not None and name in made and home.value != self._makers[name].target:
                    stores.append(Access(home.param.name, home.index))
                elif home is not None and name not in made and _reads(section, name):
                    loads.append(Access(home.param.name, home.index))

            def inside() -> None:
                for each in section:
                    if isinstance(each, Reduce):
                        found[each.target.name].take(self._operand(each.arg), self._number)
                    else:
                        self._statement(each)

            self._neighbours(loads, stores, inside)

    @property
    def _number(self) -> str:
        """How many turns of the row come before."""
        return "j + k" if self.form.vector > 1 else "j"

    def _declare(self, section: Sequence[Statement]) -> None:
        """Room in registers for what later sweeps read."""
        form = self.form
        for each in section:
            if not isinstance(each, Store | Reduce) and each.target.name in self._held:
                name, type_ = each.target.name, c_type(computed_in(each.target.row))
                self._body.emit(f"{type_} {name}[{form.held * form.vector}];")
                self._values[name] = f"{name}[e]" if form.vector == 1 else f"{name}[e * {form.vector} + k]"

    def _give(self, target: Value, text: str, origin: Origin | None = None) -> None:
        super()._give(target, text, origin)
        if target.name in self._homes:
            home = self._homes[target.name]
            if home is None:
                self._body.emit(f"{self._room(target.name)} = {self._values[target.name]};")
            elif home.value != target:
                place = self._stored(Access(home.param.name, home.index))
                self._body.emit(f"{place} = {to_memory(self._values[target.name], target.row)};")

    def _operand(self, x: Operand) -> str:
        if isinstance(x, Value) and x.name not in self._values:
            home = self._homes[x.name]
            text = self._room(x.name)
            if home is not None:
                text = from_memory(self._loaded(Access(home.param.name, home.index)), x.row)
            super()._give(x, text)
        return super()._operand(x)

    def _room(self, name: str) -> str:
        """The place of a number that is kept."""
        return f"{name}_kept[row * ({' * '.join(self._column_sizes)}) + {self._number}]"

    # What reductions have found

    def _leave(self, section: Section, found: Sequence[Found]) -> None:
        """For the next phase."""
        with self._body.nested(f"if ({' && '.join(self._first_thread)})"):
            every = [x for each in found for x in each.state]
            for part, x in zip(_parts_of(section), every, strict=True):
                self._body.emit(f"{part.name}[row * parts + part] = {x.text};")

    def _recall(self, section: Sequence[Statement]) -> None:
        """What all parts of a row have found in an earlier phase."""
        reduces = [each for each in section if isinstance(each, Reduce)]
        found = [Found(self._body, each, has_total=False) for each in reduces]
        names = iter(_parts_of(tuple(section)))
        with self._body.nested(f"for ({self._integer} j = lane; j < parts; j += {self.form.threads})"):
            for each in found:
                each.merge([f"{next(names).name}[row * parts + j]" for _ in each.state])
        merged(self._body, self.form, found)
        self._know(found)

    def _know(self, found: Sequence[Found]) -> None:
        for each in found:
            self._give(each.each.target, each.text, each.each.origin)


def _gather(found: Sequence[Found]) -> None:
    for each in found:
        each.gather()


def _parts_of(section: Section) -> list[Part]:
    assert isinstance(section, tuple)
    return [
        Part(f"part_{each.target.name}_{n}", x.row)
        for each in section
        if isinstance(each, Reduce)
        for n, x in enumerate(Found(CudaBody(), each).state)
    ]


def _reduces(section: Section) -> bool:
    return isinstance(section, tuple) and any(isinstance(each, Reduce) for each in section)


def _reads(section: Sequence[Statement], name: str) -> bool:
    return any(isinstance(x, Value) and x.name == name for each in section for x in operands(each))
