"""The loop IR: what a kernel does, for all printers to read.

::

    kernel    = def NAME(PARAM, ..., *, WRITTEN, ...):           parameters and their types
                    statement ...                                once
                    for i, ... in rows(SIZE, ...):               in any order, in parallel
                        statement | sweep ...
    sweep     = for j, ... in sweep(SIZE, ...):                  along each row
                        statement ...
    statement = v: TYPE = PARAM[INDEX, ...]                      load
              | v: TYPE = OP(v, ..., ATTRIBUTE=...)              one element
              | v: TYPE = reduce(OP, v)                          in a sweep; known after it
              | v: TYPE = carry(v, v)                            in a sweep; from one turn to the next
              | PARAM[INDEX, ...] = v                            store
    INDEX     = an expression of loop variables and sizes

Where a ``v`` is read a number may stand, as in graphs: ``f32(0.5)``. An attribute at its default is left out, and
a block of nothing is ``pass``. `parse_loops` reads the text back.
A value is named once. In a sweep it is one element for each turn; a later sweep over the same axes may read it, and the
printer keeps it or computes it again. What a sweep reduces is one element of the row after it; ``argmax`` and
``argmin`` are how many turns of the sweep come before the one that has it, in the order of its loops, the last turning
fastest: the first turn of several, and the first with NaN if there is one.
What a sweep carries is, in its first turn, the first of the two, which is known before the sweep; in every other turn,
what the second was in the turn before, wherever that stands in the sweep; and after the sweep, what it was in the last.
Turns of a sweep that carries follow each other, and there is no other sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, NamedTuple, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from symgraph.graph.attributes import spell_all
from symgraph.graph.dims import Dim, Size
from symgraph.graph.literals import spell_constant
from symgraph.graph.op import Attrs, Op, constant
from symgraph.graph.origin import Origin
from symgraph.graph.types import DType, TensorType

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Loop:
    """A variable, and how often it turns: 0, 1, … below ``size``."""

    variable: Size
    size: Dim


@dataclass(frozen=True, slots=True)
class Param:
    """An array that the kernel reads, or one that it writes."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A number that is known, of a dtype; equal are those of the same bits."""

    row: DType
    value: Any
    _bits: tuple[DType, bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        bits = self.row, np.asarray(self.value, self.row.numpy).tobytes()
        object.__setattr__(self, "_bits", bits)

    def __str__(self) -> str:
        return spell_constant(constant(self.value, self.row), {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self._bits == other._bits

    def __hash__(self) -> int:
        return hash(self._bits)


class Value(NamedTuple):
    """A name, and the dtype of what it stands for."""

    name: str
    row: DType

    def __str__(self) -> str:
        return self.name


Operand: TypeAlias = Value | Number


@dataclass(frozen=True, slots=True)
class Load:
    """``v0: f32 = x[i, j]``."""

    target: Value
    param: Param
    index: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"{_declared(self.target)} = {self.param.name}[{_index(self.index)}]"


@dataclass(frozen=True, slots=True)
class Compute:
    """``v1: f32 = add(v0, f32(0.5))``."""

    target: Value
    op: Op
    args: tuple[Operand, ...]
    attrs: Attrs | None = None
    origin: Origin | None = field(default=None, compare=False)

    def __str__(self) -> str:
        given = [*map(str, self.args), *(spell_all(self.attrs, {}) if self.attrs is not None else ())]
        return f"{_declared(self.target)} = {self.op.name}({', '.join(given)})"


@dataclass(frozen=True, slots=True)
class Reduce:
    """``v2: f32 = reduce(sum, v1)``."""

    target: Value
    op: Op
    arg: Operand
    origin: Origin | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{_declared(self.target)} = reduce({self.op.name}, {self.arg})"


@dataclass(frozen=True, slots=True)
class Carry:
    """``v3: f32 = carry(v0, v4)``."""

    target: Value
    first: Operand
    after: Operand

    def __str__(self) -> str:
        return f"{_declared(self.target)} = carry({self.first}, {self.after})"


@dataclass(frozen=True, slots=True)
class Store:
    """``out[i] = v2``."""

    param: Param
    index: tuple[Dim, ...]
    value: Operand

    def __str__(self) -> str:
        return f"{self.param.name}[{_index(self.index)}] = {self.value}"


Statement: TypeAlias = Load | Compute | Reduce | Carry | Store


@dataclass(frozen=True, slots=True)
class Sweep:
    """Statements for each element of a row."""

    loops: tuple[Loop, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class LoopKernel:
    """Loops over rows; every row is computed by itself. Kernels are equal whatever lines they come from."""

    name: str
    reads: tuple[Param, ...]
    writes: tuple[Param, ...]
    once: tuple[Statement, ...]
    rows: tuple[Loop, ...]
    body: tuple[Statement | Sweep, ...]
    known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was found out about it; see `of_kernel`."""

    def __str__(self) -> str:
        given = [f"{param.name}: {param.type}" for param in self.reads]
        written = [f"{param.name}: {param.type}" for param in self.writes]
        signature = [*given, *(["*", *written] if written else [])]
        lines = [f"def {self.name}({', '.join(signature)}):"]
        lines += [f"    {statement}" for statement in self.once]
        lines.append(f"    for {_header(self.rows, 'rows')}:")
        for part in self.body or ("pass",):
            if isinstance(part, Sweep):
                lines.append(f"        for {_header(part.loops, 'sweep')}:")
                lines += [f"            {statement}" for statement in part.body or ("pass",)]
            else:
                lines.append(f"        {part}")
        return "\n".join(lines) + "\n"


def of_kernel(find: Callable[[LoopKernel], Found]) -> Callable[[LoopKernel], Found]:
    """A function of a kernel and nothing else, which is asked for again and again: the kernel keeps what it gives."""

    @wraps(find)
    def ask(kernel: LoopKernel) -> Found:
        if find not in kernel.known:
            kernel.known[find] = find(kernel)
        found: Found = kernel.known[find]
        return found

    return ask


class Common:
    """What is known of kernels that differ in names and lines alone."""

    __slots__ = ("__weakref__", "known")

    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}


_common: WeakValueDictionary[Any, Common] = WeakValueDictionary()


@of_kernel
def common(kernel: LoopKernel) -> Common:
    """One object for all kernels that differ from this one in names and lines alone, as long as one of them lives."""
    places = {param.name: n for n, param in enumerate((*kernel.reads, *kernel.writes))}

    def spelled(x: Operand) -> str | Number:
        return x.name if isinstance(x, Value) else x

    def form(each: Statement) -> tuple[Any, ...]:
        match each:
            case Compute():
                return each.target.name, each.op, *map(spelled, each.args), each.attrs, each.target.row
            case Load():
                return each.target.name, places[each.param.name], each.index
            case Store():
                return places[each.param.name], each.index, spelled(each.value)
            case Reduce():
                return each.target.name, each.op, spelled(each.arg), each.target.row
            case Carry():
                return each.target.name, spelled(each.first), spelled(each.after)

    def forms(part: Statement | Sweep) -> tuple[Any, ...]:
        return (part.loops, *map(form, part.body)) if isinstance(part, Sweep) else form(part)

    params = [param.type.dtype for param in (*kernel.reads, *kernel.writes)]
    key = len(kernel.reads), *params, *map(form, kernel.once), kernel.rows, *map(forms, kernel.body)
    return _common.setdefault(key, Common())


def of_form(find: Callable[[LoopKernel], Found]) -> Callable[[LoopKernel], Found]:
    """The same for what is asked of kernels whatever names and lines they have: it is found once for all of a form."""

    @wraps(find)
    def ask(kernel: LoopKernel) -> Found:
        known = common(kernel).known
        if find not in known:
            known[find] = find(kernel)
        found: Found = known[find]
        return found

    return ask


@of_kernel
def statements(kernel: LoopKernel) -> Sequence[tuple[Statement, tuple[Loop, ...], bool]]:
    """Every statement, with the loops around it, and whether it stands in a sweep."""
    found: list[tuple[Statement, tuple[Loop, ...], bool]] = [(each, (), False) for each in kernel.once]
    for part in kernel.body:
        if isinstance(part, Sweep):
            loops = kernel.rows + part.loops
            found += [(each, loops, True) for each in part.body]
        else:
            found.append((part, kernel.rows, False))
    return found


@of_kernel
def all_of(kernel: LoopKernel) -> Sequence[Statement]:
    """The statements, in their order."""
    return [*kernel.once, *in_order(kernel)]


@of_kernel
def makers(kernel: LoopKernel) -> Mapping[str, Load | Compute | Reduce | Carry]:
    """The statement that gives each value, in their order."""
    return {x.target.name: x for x in all_of(kernel) if not isinstance(x, Store)}


def columns_of(kernel: LoopKernel) -> tuple[Loop, ...]:
    """The loops along each row, which all sweeps have; none where there is no sweep."""
    return next((part.loops for part in kernel.body if isinstance(part, Sweep)), ())


@of_kernel
def carries(kernel: LoopKernel) -> Sequence[Carry]:
    """What goes from turn to turn, in the order of the statements."""
    return [x for x in all_of(kernel) if isinstance(x, Carry)]


@of_kernel
def in_order(kernel: LoopKernel) -> Sequence[Statement]:
    """The statements for a row, those of sweeps among them."""
    return [x for part in kernel.body for x in (part.body if isinstance(part, Sweep) else (part,))]


def operands(statement: Statement) -> tuple[Operand, ...]:
    """What a statement reads of values and numbers."""
    match statement:
        case Compute(args=args):
            return args
        case Reduce(arg=arg):
            return (arg,)
        case Carry(first=first, after=after):
            return (first, after)
        case Store(value=value):
            return (value,)
    return ()


def _declared(target: Value) -> str:
    return f"{target.name}: {target.row.short}"


def _index(index: tuple[Dim, ...]) -> str:
    return ", ".join(map(str, index)) or "()"


def _header(loops: tuple[Loop, ...], kind: str) -> str:
    variables = ", ".join(str(loop.variable) for loop in loops) or "_"
    return f"{variables} in {kind}({', '.join(str(loop.size) for loop in loops)})"
