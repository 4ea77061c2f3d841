"""Scalar primitives in CUDA C: an expression where C has one, else a call of a device function.

What an op means stands in `symgraph.codegen.llvm_ops` and `complex_ops`, for processors and GPUs alike; C's own
operators stand here where they mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from symgraph.codegen import own_cuda
from symgraph.codegen.complex_ops import Element, compute, part_of
from symgraph.codegen.cuda_body import CudaBody, Function, c_type, define, wrapping
from symgraph.codegen.llvm_math import WITH_ATTRIBUTES
from symgraph.codegen.llvm_memory import computed_in
from symgraph.graph.op import Attrs, Op
from symgraph.graph.types import BOOL, DType
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.own_scalar import ScalarOp


def spelled(
    op: Op,
    args: Sequence[str],
    rows: Sequence[DType],
    row: DType,
    functions: dict[str, str],
    attrs: Attrs | None = None,
) -> str:
    """The expression of an op of operands, given as texts and by their dtypes in memory, that gives another dtype; the
    ``functions`` that it calls are added."""
    if isinstance(op, ScalarOp):
        return rounded(own_cuda.called(op, args, rows, row, functions), row)
    plain = _plain(op, args, rows, row)
    if plain is not None:
        return rounded(plain, row)
    function = _defined(op, tuple(rows), row, attrs if op.name in WITH_ATTRIBUTES else None)
    functions.update(function.texts)
    return f"{function.name}({', '.join(args)})"


def rounded(text: str, row: DType) -> str:
    """A number as the dtype holds it, in the type that it is computed in."""
    return from_memory(to_memory(text, row), row) if _is_short(row) else text


def from_memory(text: str, row: DType) -> str:
    """What is computed with, of what stands in memory."""
    return f"sg_from_{_short(row)}({text})" if _is_short(row) else text


def to_memory(text: str, row: DType) -> str:
    return f"sg_to_{_short(row)}({text})" if _is_short(row) else text


def _is_short(row: DType) -> bool:
    return row.is_float and row.bits == 16


def _short(row: DType) -> str:
    return "bfloat16" if row.name == "bfloat16" else "half"


@cache
def _defined(op: Op, rows: tuple[DType, ...], row: DType, attrs: Attrs | None) -> Function:
    """The function of an op, whose text says what `compute` does."""

    def what(body: CudaBody, *args: Element) -> Element:
        return compute(body, op, args, rows, row, attrs)

    ends = [] if attrs is None else [str(value) for value in attrs.fields().values()]
    ends += [*dict.fromkeys(each.short for each in rows), *([row.short] if op is astype.op else [])]
    return define(f"sg_{op.name}_{'_'.join(ends)}", what, [computed_in(each) for each in rows])


def _plain(op: Op, args: Sequence[str], rows: Sequence[DType], row: DType) -> str | None:
    """C's own expression; None where it has none, or it means something else."""
    last, name = rows[-1], op.name
    if op is where.op:
        return "{} ? {} : {}".format(*args)
    if row.is_complex or any(each.is_complex for each in rows):
        return _of_complex(op, args, rows[0], row)
    if op is astype.op:
        return _cast(args[0], rows[0], row)
    if name in _COMPARISONS:
        return f"{args[0]} {_COMPARISONS[name]} {args[1]}"
    if any(computed_in(each) is not computed_in(last) for each in rows) or len(args) > 2:
        return None
    if last is BOOL:
        return _OF_BOOLS[name].format(*args) if name in _OF_BOOLS else None
    if last.is_float:
        if computed_in(row) is not computed_in(last) or name not in _OF_FLOATS:
            return None
        return _OF_FLOATS[name].format(*args, f="f" * (computed_in(last).bits == 32))
    if row is not last:
        return None
    if name in _WRAPPING:
        return wrapping(row, args[0], _WRAPPING[name], args[1])
    if name in _OF_BITS:
        text = _OF_BITS[name].format(*args)
        return f"({c_type(row)})({text})" if row.bits < 32 else text
    return None


def _of_complex(op: Op, args: Sequence[str], source: DType, row: DType) -> str | None:
    """Where the operands or the result are complex; `prelude.cu` has the operators."""
    if op is not astype.op:
        return _OF_COMPLEX[op.name].format(*args, type=c_type(source)) if op.name in _OF_COMPLEX else None
    if row is BOOL:
        return None
    if not row.is_complex:
        return _cast(f"{args[0]}.re", part_of(source), row)
    if not source.is_complex:
        return f"{c_type(row)}{{{_cast(args[0], source, part_of(row))}, 0}}"
    parts = [_cast(f"{args[0]}.{part}", part_of(source), part_of(row)) for part in ("re", "im")]
    return f"{c_type(row)}{{{parts[0]}, {parts[1]}}}"


def _cast(x: str, source: DType, row: DType) -> str | None:
    """A cast of C's where it is exact, or rounds to the nearest."""
    near, to = computed_in(source), computed_in(row)
    if near is to or row is BOOL:
        return x if near is to else f"{x} != 0"
    if (_is_short(row) and source.bits > 32) or (source.is_float and row.is_integer):
        return None
    return f"({c_type(to)}){x}"


_COMPARISONS: Mapping[str, str] = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}

_OF_BOOLS: Mapping[str, str] = {
    "logical_and": "{} && {}",
    "logical_or": "{} || {}",
    "logical_xor": "{} != {}",
    "logical_not": "!{}",
}

_OF_FLOATS: Mapping[str, str] = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
    "abs": "fabs{f}({})",
    "sqrt": "sqrt{f}({})",
    "floor": "floor{f}({})",
    "ceil": "ceil{f}({})",
    "trunc": "trunc{f}({})",
    "rint": "rint{f}({})",
    "copysign": "copysign{f}({}, {})",
    "copy": "{}",
    "stop_gradient": "{}",
}

_OF_COMPLEX: Mapping[str, str] = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "negative": "-{}",
    "equal": "{} == {}",
    "not_equal": "{} != {}",
    "real": "{}.re",
    "imag": "{}.im",
    "conj": "{type}{{{0}.re, -{0}.im}}",
    "copy": "{}",
    "stop_gradient": "{}",
}

_WRAPPING: Mapping[str, str] = {"add": "+", "subtract": "-", "multiply": "*"}

_OF_BITS: Mapping[str, str] = {
    "bitwise_and": "{} & {}",
    "bitwise_or": "{} | {}",
    "bitwise_xor": "{} ^ {}",
    "bitwise_invert": "~{}",
}
