"""Scalar primitives of complex numbers, each of which is two registers; those of other numbers are in `llvm_ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from symgraph.codegen import complex_exp, complex_logs, llvm_ops
from symgraph.codegen import complex_numbers as numbers
from symgraph.codegen.vectors import Body, Comparison, Complex, Register
from symgraph.graph.op import Attrs, Op
from symgraph.graph.types import BOOL, DType, dtype
from symgraph.ops.arithmetic import astype, where

Element: TypeAlias = Register | Complex
"""What an operand or a result is in registers."""


def part_of(row: DType) -> DType:
    """The dtype of the parts of a complex one."""
    return dtype(f"float{row.bits // 2}")


def is_spoken(op: Op, args: Sequence[DType], row: DType) -> bool:
    """Whether `compute` knows an op of operands of these dtypes that gives another."""
    if not (row.is_complex or any(each.is_complex for each in args)):
        return llvm_ops.is_spoken(op, args, row)
    return op is astype.op or op is where.op or op.name in _MEANINGS


def is_long(op: Op, args: Sequence[DType]) -> bool:
    """Whether even one use is better called, unless a constant lets most of it go."""
    return op.name == "pow" and args[0].is_complex


def compute(
    body: Body,
    op: Op,
    args: Sequence[Element],
    rows: Sequence[DType],
    row: DType,
    attrs: Attrs | None = None,
    *,
    apart: bool = False,
) -> Element:
    """The result of an op in the register of a dtype; ``rows`` are the operands' dtypes in memory. ``apart`` calls a
    function for it, if it is long."""
    if not (row.is_complex or any(each.is_complex for each in rows)):
        return llvm_ops.compute(body, op, _real(args), rows, row, attrs, apart=apart)
    if op is astype.op:
        return _cast(body, op, args[0], rows[0], row)
    if op is where.op:
        mask, x, y = args
        assert isinstance(mask, Register) and isinstance(x, Complex) and isinstance(y, Complex)
        return numbers.select(body, mask, x, y)
    meaning = _MEANINGS[op.name]
    if not (apart and op.name in _FUNCTIONS):
        return meaning(body, *args)
    parts = [part for x in args if isinstance(x, Complex) for part in (x.re, x.im)]
    return Complex(*body.apart_all(f"complex_{op.name}", _of_parts(meaning), *parts))


def _cast(body: Body, op: Op, x: Element, source: DType, row: DType) -> Element:
    """Complex numbers become their real parts, or whether they are not 0."""
    if isinstance(x, Register):
        re = llvm_ops.compute(body, op, [x], [source], part_of(row))
        return Complex(re, body.like(0.0, re))
    if row.is_complex:
        to = part_of(row)
        return Complex(body.convert(x.re, to), body.convert(x.im, to))
    if row is BOOL:
        return numbers.is_true(body, x)
    return llvm_ops.compute(body, op, [x.re], [part_of(source)], row)


def _real(args: Sequence[Element]) -> list[Register]:
    found = [x for x in args if isinstance(x, Register)]
    assert len(found) == len(args), "none is complex"
    return found


@cache
def _of_parts(meaning: Callable[..., Complex]) -> Callable[..., tuple[Register, ...]]:
    """A function of the parts of its operands, which gives those of its result."""

    def what(body: Body, *parts: Register) -> tuple[Register, ...]:
        found = meaning(body, *map(Complex, parts[::2], parts[1::2]))
        return found.re, found.im

    return what


def _ordered(how: Comparison) -> Callable[..., Register]:
    def what(body: Body, x: Complex, y: Complex) -> Register:
        return numbers.ordered(body, how, x, y)

    return what


def _logical(join: Callable[[Body, Register, Register], Register]) -> Callable[..., Register]:
    def what(body: Body, x: Complex, y: Complex) -> Register:
        return join(body, numbers.is_true(body, x), numbers.is_true(body, y))

    return what


_FUNCTIONS: Mapping[str, Callable[..., Complex]] = {
    "pow": complex_exp.pow,
    "sqrt": complex_exp.sqrt,
    "exp": complex_exp.exp,
    "exp2": complex_exp.exp2,
    "expm1": complex_exp.expm1,
    "sinh": complex_exp.sinh,
    "cosh": complex_exp.cosh,
    "tanh": complex_exp.tanh,
    "sin": complex_exp.sin,
    "cos": complex_exp.cos,
    "tan": complex_exp.tan,
    "log": complex_logs.log,
    "log2": complex_logs.log2,
    "log10": complex_logs.log10,
    "log1p": complex_logs.log1p,
    "asin": complex_logs.asin,
    "acos": complex_logs.acos,
    "atan": complex_logs.atan,
    "asinh": complex_logs.asinh,
    "acosh": complex_logs.acosh,
    "atanh": complex_logs.atanh,
}
"""Those with many lines."""

_MEANINGS: Mapping[str, Callable[..., Element]] = {
    **_FUNCTIONS,
    "add": numbers.add,
    "subtract": numbers.subtract,
    "multiply": numbers.multiply,
    "divide": numbers.divide,
    "negative": numbers.negative,
    "reciprocal": numbers.reciprocal,
    "abs": numbers.size,
    "sign": numbers.sign,
    "maximum": numbers.maximum,
    "minimum": numbers.minimum,
    "rint": numbers.rint,
    "real": lambda body, x: x.re,
    "imag": lambda body, x: x.im,
    "conj": numbers.conj,
    "copy": lambda body, x: x,
    "stop_gradient": lambda body, x: x,
    "isnan": numbers.is_nan,
    "isinf": numbers.is_infinite,
    "isfinite": numbers.is_finite,
    "equal": numbers.equal,
    "not_equal": numbers.not_equal,
    "less": _ordered("lt"),
    "less_equal": _ordered("le"),
    "greater": _ordered("gt"),
    "greater_equal": _ordered("ge"),
    "logical_and": _logical(Body.and_),
    "logical_or": _logical(Body.or_),
    "logical_xor": _logical(Body.xor),
    "logical_not": lambda body, x: body.not_(numbers.is_true(body, x)),
}
