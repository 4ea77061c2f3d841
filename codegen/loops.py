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
              | PARAM[INDEX, ...] = v                            store
    INDEX     = an expression of loop variables and sizes

A value is named once. In a sweep it is one element for each turn; a later sweep over the same axes may read it, and the
printer keeps it or computes it again. What a sweep reduces is one element of the row after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from symgraph.errors import VerifyError
from symgraph.graph.dims import Dim, Size, symbols
from symgraph.graph.op import Attrs, Op
from symgraph.graph.origin import Origin
from symgraph.graph.types import DType, TensorType


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


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is known, of a dtype."""

    row: DType
    value: Any

    def __str__(self) -> str:
        return f"{self.row.short}({self.value})"


@dataclass(frozen=True, slots=True)
class Value:
    """A name, and the dtype of what it stands for."""

    name: str
    row: DType

    def __str__(self) -> str:
        return self.name


Operand: TypeAlias = Value | Number


@dataclass(frozen=True, slots=True)
class Load:
    target: Value
    param: Param
    index: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"{_declared(self.target)} = {self.param.name}[{_index(self.index)}]"


@dataclass(frozen=True, slots=True)
class Compute:
    target: Value
    op: Op
    args: tuple[Operand, ...]
    attrs: Attrs | None = None
    origin: Origin | None = None

    def __str__(self) -> str:
        fields = self.attrs.fields() if self.attrs is not None else {}
        given = [*map(str, self.args), *(f"{key}={value}" for key, value in fields.items())]
        return f"{_declared(self.target)} = {self.op.name}({', '.join(given)})"


@dataclass(frozen=True, slots=True)
class Reduce:
    target: Value
    op: Op
    arg: Operand
    origin: Origin | None = None

    def __str__(self) -> str:
        return f"{_declared(self.target)} = reduce({self.op.name}, {self.arg})"


@dataclass(frozen=True, slots=True)
class Store:
    param: Param
    index: tuple[Dim, ...]
    value: Operand

    def __str__(self) -> str:
        return f"{self.param.name}[{_index(self.index)}] = {self.value}"


Statement: TypeAlias = Load | Compute | Reduce | Store


@dataclass(frozen=True, slots=True)
class Sweep:
    """Statements for each element of a row."""

    loops: tuple[Loop, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class LoopKernel:
    """Loops over rows; every row is computed by itself."""

    name: str
    reads: tuple[Param, ...]
    writes: tuple[Param, ...]
    once: tuple[Statement, ...]
    rows: tuple[Loop, ...]
    body: tuple[Statement | Sweep, ...]

    def __str__(self) -> str:
        given = [f"{param.name}: {param.type}" for param in self.reads]
        written = [f"{param.name}: {param.type}" for param in self.writes]
        lines = [f"def {self.name}({', '.join([*given, '*', *written])}):"]
        lines += [f"    {statement}" for statement in self.once]
        lines.append(f"    for {_header(self.rows, 'rows')}:")
        for part in self.body:
            if isinstance(part, Sweep):
                lines.append(f"        for {_header(part.loops, 'sweep')}:")
                lines += [f"            {statement}" for statement in part.body]
            else:
                lines.append(f"        {part}")
        return "\n".join(lines) + "\n"


def statements(kernel: LoopKernel) -> Iterator[tuple[Statement, tuple[Loop, ...], bool]]:
    """Every statement, with the loops around it, and whether it stands in a sweep."""
    for statement in kernel.once:
        yield statement, (), False
    for part in kernel.body:
        if isinstance(part, Sweep):
            yield from ((statement, kernel.rows + part.loops, True) for statement in part.body)
        else:
            yield part, kernel.rows, False


def verify_loops(kernel: LoopKernel) -> None:
    """Raise VerifyError for a value that is read before it is known, an index with a foreign variable, a dtype that
    does not fit, an array that is not written, or a store that several turns of the loops make at one place."""
    known: dict[str, bool] = {}
    written: set[str] = set()
    for statement, loops, swept in statements(kernel):
        for x in operands(statement):
            if isinstance(x, Value) and x.name not in known:
                raise VerifyError(f"{kernel.name}: {x} is read before it is known: {statement}")
            if isinstance(x, Value) and known[x.name] and not swept:
                raise VerifyError(f"{kernel.name}: {x} is an element, and a row reads it: {statement}")
        match statement:
            case Load(target, param, index) | Store(param, index, target):
                _check_index(kernel, param, index, loops, statement)
                if target.row is not param.type.dtype:
                    raise VerifyError(
                        f"{kernel.name}: {target.row.name} is no element of {param.type}: {statement}"
                    )
        match statement:
            case Store(param, index, _):
                used = {variable for dim in index if isinstance(dim, Size) for variable in symbols(dim)}
                missing = [loop.variable for loop in loops if loop.variable not in used and loop.size != 1]
                if missing:
                    raise VerifyError(
                        f"{kernel.name}: every turn of {missing[0]} writes one place: {statement}"
                    )
                written.add(param.name)
            case Reduce(target):
                if not swept:
                    raise VerifyError(f"{kernel.name}: a row is reduced outside of a sweep: {statement}")
                known[target.name] = False
            case Load(target) | Compute(target):
                if target.name in known:
                    raise VerifyError(f"{kernel.name}: {target} is named twice: {statement}")
                known[target.name] = swept
    for param in kernel.writes:
        if param.name not in written:
            raise VerifyError(f"{kernel.name}: nothing is written to {param.name}")


def operands(statement: Statement) -> tuple[Operand, ...]:
    """What a statement reads of values and numbers."""
    match statement:
        case Compute(args=args):
            return args
        case Reduce(arg=arg):
            return (arg,)
        case Store(value=value):
            return (value,)
    return ()


def _check_index(
    kernel: LoopKernel, param: Param, index: tuple[Dim, ...], loops: tuple[Loop, ...], statement: Statement
) -> None:
    if len(index) != len(param.type.shape):
        raise VerifyError(f"{kernel.name}: {param.type} has {len(param.type.shape)} axes: {statement}")
    own = {loop.variable for loop in loops}
    every = {loop.variable for part in kernel.body if isinstance(part, Sweep) for loop in part.loops} | {
        loop.variable for loop in kernel.rows
    }
    for dim in index:
        strange = [x for x in (symbols(dim) if isinstance(dim, Size) else ()) if x in every and x not in own]
        if strange:
            raise VerifyError(f"{kernel.name}: {strange[0]} does not turn here: {statement}")


def _declared(target: Value) -> str:
    return f"{target.name}: {target.row.short}"


def _index(index: tuple[Dim, ...]) -> str:
    return ", ".join(map(str, index)) or "()"


def _header(loops: tuple[Loop, ...], kind: str) -> str:
    variables = ", ".join(str(loop.variable) for loop in loops) or "_"
    return f"{variables} in {kind}({', '.join(str(loop.size) for loop in loops)})"
