"""CUDA C as text, a number at a time: the same bodies of functions that become LLVM IR become device functions.

So a function has one definition for processors and GPUs, and gives the same bits on both: every operation is rounded
as IEEE 754 has it, nothing is contracted, and `fma` is said where it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symgraph.codegen.vectors import Body, Comparison, Complex, Register, Turn, Value
from symgraph.graph.types import BOOL, DType, dtype

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

_FUNCTIONS = {"roundeven": "rint", "fmuladd": "fma"}
"""The names of C where they are others than LLVM's."""


@cache
def c_type(row: DType) -> str:
    """The type of a number in a register or in memory; a 16-bit float is its bits, a complex number a struct."""
    if row is BOOL:
        return "bool"
    if row.is_complex:
        return f"sg_complex<{'float' if row.bits == 64 else 'double'}>"
    if row.is_float:
        return {16: "unsigned short", 32: "float", 64: "double"}[row.bits]
    name = {8: "char", 16: "short", 32: "int", 64: "long long"}[row.bits]
    return name if row.kind == "int" and row.bits > 8 else f"{'un' * (row.kind != 'int')}signed {name}"


def c_literal(row: DType, value: complex) -> str:
    """A number of a dtype: of floats the shortest text that is read back as the same."""
    if row is BOOL:
        return "true" if value else "false"
    if row.is_complex:
        part = dtype(f"float{row.bits // 2}")
        parts = row.numpy.type(value)
        return f"{c_type(row)}{{{c_literal(part, parts.real)}, {c_literal(part, parts.imag)}}}"
    if row.is_float:
        assert row.bits > 16, "16-bit floats are computed in float32"
        number = row.numpy.type(value)
        tail = "f" if row.bits == 32 else ""
        if not math.isfinite(number):
            sign, word = "-" * bool(np.signbit(number)), "NAN" if math.isnan(number) else "INFINITY"
            return f"{sign}{word}" if row.bits == 32 else f"(double){sign}{word}"
        return f"{number!s}{tail}"
    number = int(value.real)
    tail = {"int": "", "uint": "u"}[row.kind] + ("ll" if row.bits == 64 else "")
    if row.kind == "int" and row.bits >= 32 and number == -(1 << row.bits - 1):
        return f"(-{-number - 1}{tail} - 1)"  # in C the sign is no part of a number
    return f"{number}{tail}"


class CudaBody(Body):
    """Lines of a function in C; registers are constant variables."""

    def __init__(self, indent: int = 1) -> None:
        super().__init__(fma=True)
        self.functions: dict[str, str] = {}
        """The texts of the functions that the lines call, each after those that it calls itself."""
        self._indent = indent

    def emit(self, line: str) -> None:
        self.lines.append(f"{'    ' * self._indent}{line}")

    def taken(self) -> list[str]:
        """The lines, which are forgotten."""
        lines, self.lines = self.lines, []
        return lines

    @contextmanager
    def nested(self, head: str) -> Iterator[None]:
        """The lines inside stand in braces."""
        self.emit(f"{head} {{")
        self._indent += 1
        try:
            yield
        finally:
            self._indent -= 1
        self.emit("}")

    def variable(self, row: DType, text: str) -> Register:
        """A new variable that begins with a value and may change."""
        self._count += 1
        self.emit(f"{c_type(row)} t{self._count} = {text};")
        return Register(f"t{self._count}", row, 0)

    def assign(self, to: Register, x: Register) -> None:
        self.emit(f"{to.text} = {x.text};")

    def made(self, row: DType, text: str) -> Register:
        """A new constant."""
        self._count += 1
        self.emit(f"const {c_type(row)} t{self._count} = {text};")
        return Register(f"t{self._count}", row, 0)

    # Control flow

    def rarely(self, mask: Register, usual: Register, slow: Callable[[], Register]) -> Register:
        (found,) = self.rarely_all(mask, (usual,), lambda: (slow(),))
        return found

    def rarely_all(
        self, mask: Register, usual: tuple[Register, ...], slow: Callable[[], tuple[Register, ...]]
    ) -> tuple[Register, ...]:
        found = tuple(self.variable(x.row, x.text) for x in usual)
        with self.nested(f"if ({mask.text})"):
            for to, x in zip(found, slow(), strict=True):
                self.assign(to, x)
        return found

    def each_lane(
        self, x: Register, rows: Sequence[DType], one: Callable[[Register], tuple[Register, ...]]
    ) -> tuple[Register, ...]:
        return one(x)

    def any(self, mask: Register) -> str:
        return mask.text

    def loop(
        self, start: Value, stop: Register, step: Value, carried: Sequence[Register], turn: Turn
    ) -> list[Register]:
        by = step.text if isinstance(step, Register) else step
        state = [self.variable(x.row, x.text) for x in carried]
        self._count += 1
        number = Register(f"i{self._count}", stop.row, 0)
        first, name = self.like(start, stop).text, number.text
        head = f"for ({c_type(stop.row)} {name} = {first}; {name} < {stop.text}; {name} += {by})"
        with self.nested(head):
            new = [self._kept(x) for x in turn(number, state)]
            for to, x in zip(state, new, strict=True):
                self.assign(to, x)
        return state

    def again_all(
        self,
        carried: Sequence[Register],
        turn: Callable[[list[Register]], tuple[list[Register], Register]],
    ) -> list[Register]:
        state = [self.variable(x.row, x.text) for x in carried]
        with self.nested("for (;;)"):
            found, more = turn(state)
            found = [self._kept(x) for x in found] if len(found) > 1 else found
            for to, x in zip(state, found, strict=True):
                self.assign(to, x)
            self.emit(f"if (!{more.text}) break;")
        return state

    def until_done(
        self,
        carried: Sequence[Register],
        turn: Callable[[list[Register]], tuple[list[Register], Register]],
    ) -> list[Register]:
        return self.again_all(carried, turn)

    def _kept(self, x: Register) -> Register:
        """What other assignments do not change."""
        return self.made(x.row, x.text)

    # Functions

    def apart(self, name: str, what: Callable[..., Register], *args: Register) -> Register:
        function = _defined(name, what, tuple(x.row for x in args), apart=False)
        return self.called(function, *(x.text for x in args))

    def apart_all(
        self, name: str, what: Callable[..., tuple[Register, ...]], *args: Register, rare: bool = False
    ) -> tuple[Register, ...]:
        function = _defined(name, what, tuple(x.row for x in args), apart=rare)
        others = [self.variable(row, "0") for row in function.rows[1:]]
        return self.called(function, *(x.text for x in (*args, *others))), *others

    def called(self, function: Function, *texts: str) -> Register:
        """The first result of a function."""
        self.functions.update(function.texts)
        return self.made(function.rows[0], f"{function.name}({', '.join(texts)})")

    # Constants

    def constant(self, row: DType, value: float | int, lanes: int = 0) -> Register:
        return Register(c_literal(row, value), row, 0)

    def spread(self, x: Register, lanes: int) -> Register:
        return x

    # Operations

    def intrinsic(self, name: str, *args: Value) -> Register:
        first = next(x for x in args if isinstance(x, Register))
        given = ", ".join(self.like(x, first).text for x in args)
        function = _FUNCTIONS.get(name, name) + "f" * (first.row.bits == 32)
        return self.made(first.row, f"{function}({given})")

    def neg(self, x: Register) -> Register:
        if not x.row.is_float:
            return self.sub(0, x)
        return self.made(x.row, f"-({x.text})" if x.text.startswith("-") else f"-{x.text}")

    def not_(self, mask: Register) -> Register:
        return self.made(BOOL, f"!{mask.text}")

    def _binary(self, of_floats: str, signed: str, unsigned: str, x: Value, y: Value) -> Register:
        a, b = self._pair(x, y)
        sign = _SIGNS[signed]
        if a.row is BOOL:
            return self.made(a.row, f"{a.text} {'!=' if sign == '^' else sign} {b.text}")
        if a.row.is_float or sign in ("&", "|", "^", "/", "%", ">>"):
            return self.made(a.row, _fitted(a.row, f"{a.text} {sign} {b.text}"))
        return self.made(a.row, wrapping(a.row, a.text, sign, b.text))

    def _bitcast(self, x: Register, row: DType) -> Register:
        to, bits = c_type(row), x.row.bits
        if row.is_float:
            source = x.text if x.row.kind == "int" else f"({c_type(dtype(f'int{bits}'))}){x.text}"
            return self.made(row, f"{'sg_float' if bits == 32 else 'sg_double'}({source})")
        if x.row.is_float:
            found = f"sg_bits({x.text})"
            return self.made(row, found if row.kind == "int" else f"({to}){found}")
        return self.made(row, f"({to}){x.text}")

    def compare(self, how: Comparison, x: Value, y: Value) -> Register:
        a, b = self._pair(x, y)
        return self.made(BOOL, f"{a.text} {_OPERATORS[how]} {b.text}")

    def is_nan(self, x: Register) -> Register:
        return self.made(BOOL, f"{x.text} != {x.text}")

    def select(self, mask: Register, x: Value, y: Value) -> Register:
        a, b = self._pair(x, y)
        return self.made(a.row, f"{mask.text} ? {a.text} : {b.text}")

    def table(self, name: str, values: Sequence[float], index: Register, row: DType) -> Register:
        place = name.replace(".", "_")
        numbers = ", ".join(c_literal(row, value) for value in values)
        self.functions[place] = (
            f"static __device__ const {c_type(row)} {place}[{len(values)}] = {{{numbers}}};\n"
        )
        return self.made(row, f"{place}[{index.text}]")

    def convert(self, x: Register, row: DType) -> Register:
        if x.row is row:
            return x
        if x.row.is_float and x.row.bits == 16:
            x = self.made(dtype("float32"), f"sg_from_half({x.text})")
            return self.convert(x, row)
        if row.is_float and row.bits == 16:
            return self.made(row, f"sg_to_half({self.convert(x, dtype('float32')).text})")
        return self.made(row, f"({c_type(row)}){x.text}")


_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "sdiv": "/", "srem": "%", "and": "&", "or": "|", "xor": "^",
    "shl": "<<", "ashr": ">>",
}  # fmt: skip


def wrapping(row: DType, x: str, sign: str, y: str) -> str:
    """A sum, product or shift of integers that wraps around: in C those with a sign must not."""
    wide = "unsigned long long" if row.bits == 64 else "unsigned"
    return f"({c_type(row)})(({wide}){x} {sign} ({wide}){y})"


def _fitted(row: DType, text: str) -> str:
    """C computes in int what is shorter."""
    return f"({c_type(row)})({text})" if row.is_integer and row.bits < 32 else text


@dataclass(frozen=True, slots=True)
class Function:
    """A device function."""

    name: str
    rows: tuple[DType, ...]
    """The dtypes of what it gives; the second of two is written to its last parameter."""
    texts: Mapping[str, str]
    """Its own, after those of the functions that it calls."""


def define(
    name: str,
    what: Callable[..., Register | Complex | tuple[Register, ...]],
    rows: Sequence[DType],
    *,
    apart: bool = False,
) -> Function:
    """The function of numbers of these dtypes that gives what ``what`` makes of them; one that is kept ``apart`` is
    called, and not written out where it is."""
    body = CudaBody()
    found = what(body, *(operand(f"x{n}", row) for n, row in enumerate(rows)))
    first, *rest = (found,) if isinstance(found, Register | Complex) else found
    assert len(rest) < 2, "the second of two has a name"
    parameters = [f"const {c_type(row)} x{n}" for n, row in enumerate(rows)]
    parameters += [f"{c_type(x.row)}& second" for x in rest]
    for x in rest:
        body.emit(f"second = {x.text};")
    body.emit(f"return {text_of(first)};")
    lines = "\n".join(body.lines)
    head = f"static __device__ {'__noinline__ ' * apart}{c_type(first.row)} {name}({', '.join(parameters)})"
    text = f"{head}\n{{\n{lines}\n}}\n"
    return Function(name, (first.row, *(x.row for x in rest)), {**body.functions, name: text})


def operand(text: str, row: DType) -> Register | Complex:
    """What a text stands for."""
    if not row.is_complex:
        return Register(text, row, 0)
    part = dtype(f"float{row.bits // 2}")
    return Complex(Register(f"{text}.re", part, 0), Register(f"{text}.im", part, 0))


def text_of(x: Register | Complex) -> str:
    return x.text if isinstance(x, Register) else f"{c_type(x.row)}{{{x.re.text}, {x.im.text}}}"


@cache
def _defined(name: str, what: Callable[..., Any], rows: tuple[DType, ...], *, apart: bool) -> Function:
    function = f"sg_{name}_{'_'.join(dict.fromkeys(row.short for row in rows))}"
    return define(function, what, rows, apart=apart)
