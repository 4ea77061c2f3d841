"""Scalar primitives on registers, as NumPy defines them: division by zero, shifts too far, NaN and the sign of zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from symgraph.codegen import own_llvm
from symgraph.codegen.llvm_exp import Scale, scaled_exp
from symgraph.codegen.llvm_math import FUNCTIONS, WITH_ATTRIBUTES
from symgraph.codegen.llvm_memory import FLOAT64, INT32, INT64, computed_in, round_to
from symgraph.codegen.llvm_ready import ready
from symgraph.codegen.vectors import Body, Comparison, Register
from symgraph.graph.op import Attrs, Op
from symgraph.graph.types import BOOL, DType
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.own_scalar import ScalarOp

Meaning: TypeAlias = Callable[..., Register]


def is_spoken(op: Op, args: Sequence[DType], row: DType) -> bool:
    """Whether `compute` knows an op of operands of these dtypes that gives another, of which none is complex."""
    last, name = args[-1], op.name
    own = _OF_FLOATS if last.is_float else _OF_MASKS if last is BOOL else _OF_INTEGERS
    if name in own or (last.is_float and (name in FUNCTIONS or name in WITH_ATTRIBUTES)):
        return True
    return op is astype.op or name in _MEANINGS or name in _COMPARISONS


def compute(
    body: Body,
    op: Op,
    args: Sequence[Register],
    rows: Sequence[DType],
    row: DType,
    attrs: Attrs | None = None,
    *,
    apart: bool = False,
) -> Register:
    """The result of an op in the register of a dtype; ``rows`` are the operands' dtypes in memory. ``apart`` calls a
    function for it, if it is long."""
    if isinstance(op, ScalarOp):
        return own_llvm.compute(body, op, args, rows, row)
    if op is astype.op:
        return _cast(body, args[0], rows[0], row)
    if op.name in _COMPARISONS:
        return body.compare(_COMPARISONS[op.name], *args)
    if row.is_float and op is not where.op:
        args = [body.convert(x, computed_in(row)) for x in args]
    last = args[-1].row
    own = _OF_FLOATS if last.is_float else _OF_MASKS if last is BOOL else _OF_INTEGERS
    meaning = _MEANINGS.get(op.name) or own.get(op.name)
    if meaning is not None:
        return round_to(body, meaning(body, *args), row)
    if op.name in WITH_ATTRIBUTES:
        assert attrs is not None, f"{op.name} has attributes"
        return round_to(body, WITH_ATTRIBUTES[op.name](body, *args, **attrs.fields()), row)
    function = FUNCTIONS[op.name]
    found = ready(body, op.name, args)
    if found is None:
        found = body.apart(op.name, function, *args) if apart else function(body, *args)
    return round_to(body, found, row)


def maximum(body: Body, x: Register, y: Register) -> Register:
    """The greater one, or the NaN. Only ``y`` is looked at alone: where ``x`` is what a loop has found, it waits less,
    and where ``y`` is a constant nothing is left to do."""
    if x.row is BOOL:
        return body.or_(x, y)
    greater = body.select(body.compare("gt", y, x), y, x)
    return body.select(body.is_nan(y), y, greater) if x.row.is_float else greater


def minimum(body: Body, x: Register, y: Register) -> Register:
    """The smaller one, or the NaN, as `maximum`."""
    if x.row is BOOL:
        return body.and_(x, y)
    smaller = body.select(body.compare("lt", y, x), y, x)
    return body.select(body.is_nan(y), y, smaller) if x.row.is_float else smaller


def _cast(body: Body, x: Register, source: DType, row: DType) -> Register:
    to = computed_in(row)
    if row is BOOL:
        return x if x.row is BOOL else body.compare("ne", x, 0)
    if source.is_float and row.is_integer and row.bits < 64:
        # As processors do: to a wider integer, whose lower bits are taken.
        wide = INT32 if row.kind == "int" and row.bits < 32 else row if row.kind == "int" else INT64
        return body.convert(body.convert(x, wide), row)
    if row.is_float and row.bits == 16 and source.bits > 32:
        return _narrowed(body, x, row)
    if x.row is BOOL and to.is_float:  # x86 has an instruction for this, and three for the conversion
        return round_to(body, body.select(x, body.constant(to, 1.0, x.lanes), 0.0), row)
    return round_to(body, body.convert(x, to), row)


def _narrowed(body: Body, x: Register, row: DType) -> Register:
    """A 16-bit float of a wider number, rounded once: what float32 loses is put into its lowest bit."""
    if not x.row.is_float:
        x = body.convert(x, FLOAT64)
    near = body.convert(x, computed_in(row))
    back = body.convert(near, x.row)
    bits = body.as_integer(near)
    # Rounded to odd: where the number is not exact and its last bit is even, the neighbour towards it.
    away = body.compare("gt", body.abs(back), body.abs(x))
    lower = body.select(away, body.sub(bits, 1), bits)
    odd = body.or_(lower, 1)
    inexact = body.and_(body.compare("ne", back, x), body.compare("lt", body.abs(back), float("inf")))
    return round_to(body, body.as_float(body.select(inexact, odd, bits)), row)


def _same(body: Body, x: Register) -> Register:
    return x


def _sign_of_float(body: Body, x: Register) -> Register:
    below = body.select(body.compare("lt", x, 0), -1, body.add(x, 0))  # -0.0 + 0 is 0.0, and a NaN stays one
    return body.select(body.compare("gt", x, 0), 1, below)


def _sign_of_integer(body: Body, x: Register) -> Register:
    one = body.select(body.compare("gt", x, 0), 1, body.constant(x.row, 0, x.lanes))
    return body.select(body.compare("lt", x, 0), -1, one) if x.row.kind == "int" else one


def _absolute(body: Body, x: Register) -> Register:
    return body.select(body.compare("lt", x, 0), body.neg(x), x) if x.row.kind == "int" else x


def _quotient(body: Body, x: Register, y: Register) -> tuple[Register, Register, Register]:
    """The quotient towards 0 and what it leaves, for a divisor that does no harm, and where it is 0."""
    zero = body.compare("eq", y, 0)
    harm = zero
    if x.row.kind == "int":
        least = body.compare("eq", x, int(np.iinfo(x.row.numpy).min))
        harm = body.or_(zero, body.and_(least, body.compare("eq", y, -1)))
    divisor = body.select(harm, 1, y)
    quotient = body.div(x, divisor)
    return quotient, body.sub(x, body.mul(quotient, divisor)), zero


def _floor_divide(body: Body, x: Register, y: Register) -> Register:
    quotient, rest, zero = _quotient(body, x, y)
    if x.row.kind == "int":
        apart = body.compare("lt", body.xor(rest, y), 0)
        below = body.and_(apart, body.compare("ne", rest, 0))
        quotient = body.select(below, body.sub(quotient, 1), quotient)
    return body.select(zero, 0, quotient)


def _remainder(body: Body, x: Register, y: Register) -> Register:
    _, rest, zero = _quotient(body, x, y)
    if x.row.kind == "int":
        apart = body.compare("lt", body.xor(rest, y), 0)
        below = body.and_(apart, body.compare("ne", rest, 0))
        rest = body.select(below, body.add(rest, y), rest)
    return body.select(zero, 0, rest)


def _fmod(body: Body, x: Register, y: Register) -> Register:
    _, rest, zero = _quotient(body, x, y)
    return body.select(zero, 0, rest)


def _divided(body: Body, x: Register, y: Register) -> tuple[Register, Register]:
    """The quotient rounded down and what it leaves, as NumPy has them of floats: the latter with the sign of ``y``."""
    rest = FUNCTIONS["fmod"](body, x, y)
    quotient = body.div(body.sub(x, rest), y)
    apart = body.xor(body.compare("lt", y, 0), body.compare("lt", rest, 0))
    has_rest = body.compare("ne", rest, 0)
    below = body.and_(has_rest, apart)
    quotient = body.select(below, body.sub(quotient, 1), quotient)
    down = body.floor(quotient)
    down = body.select(body.compare("gt", body.sub(quotient, down), 0.5), body.add(down, 1), down)
    plain = body.div(x, y)
    down = body.select(body.compare("eq", quotient, 0), body.copysign(0, plain), down)
    down = body.select(body.compare("eq", y, 0), plain, down)
    left = body.select(has_rest, body.select(below, body.add(rest, y), rest), body.copysign(0, y))
    return down, body.select(body.compare("eq", y, 0), rest, left)


def _power(body: Body, x: Register, y: Register) -> Register:
    """By the bits of the exponent, which is not negative: as NumPy, modulo a power of 2."""

    def turn(state: list[Register]) -> tuple[list[Register], Register]:
        found, square, left = state
        found = body.select(body.compare("ne", body.and_(left, 1), 0), body.mul(found, square), found)
        left = body.shr(left, 1)
        return [found, body.mul(square, square), left], body.compare("ne", left, 0)

    return body.again_all([body.like(1, x), x, body.as_unsigned(y)], turn)[0]


def _reciprocal(body: Body, x: Register) -> Register:
    """Of 0 what processors make of infinity."""
    signed = x.row.kind == "int"
    endless = int(np.iinfo(x.row.numpy).min) if signed and x.row.bits >= 32 else 0
    small = body.compare("eq", x, 1)
    if signed:
        small = body.or_(small, body.compare("eq", x, -1))
    return body.select(body.compare("eq", x, 0), endless, body.select(small, x, 0))


def _shift_left(body: Body, x: Register, count: Register) -> Register:
    fits = _fits(body, count)
    return body.select(fits, body.shl(x, body.select(fits, count, 0)), 0)


def _shift_right(body: Body, x: Register, count: Register) -> Register:
    fits = _fits(body, count)
    far = x.row.bits - 1
    if x.row.kind == "int":
        return body.shr(x, body.select(fits, count, far))
    return body.select(fits, body.shr(x, body.select(fits, count, 0)), 0)


def _fits(body: Body, count: Register) -> Register:
    below = body.compare("lt", count, count.row.bits)
    return body.and_(below, body.compare("ge", count, 0)) if count.row.kind == "int" else below


def _signbit(body: Body, x: Register) -> Register:
    if x.row.is_float:
        return body.compare("lt", body.as_integer(x), 0)
    return body.compare("lt", x, 0)


def _finite(body: Body, x: Register) -> Register:
    return body.compare("lt", body.abs(x), float("inf"))


def _truth(body: Body, x: Register) -> Register:
    return x if x.row is BOOL else body.compare("ne", x, 0)


def _logical_not(body: Body, x: Register) -> Register:
    return body.not_(_truth(body, x))


def _never(body: Body, x: Register) -> Register:
    return body.constant(BOOL, 0, x.lanes)


def _always(body: Body, x: Register) -> Register:
    return body.constant(BOOL, 1, x.lanes)


def _invert(body: Body, x: Register) -> Register:
    return body.xor(x, body.constant(x.row, 1 if x.row is BOOL else -1, x.lanes))


_COMPARISONS: Mapping[str, Comparison] = {
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}

_OF_MASKS: Mapping[str, Meaning] = {
    "add": Body.or_,
    "multiply": Body.and_,
    "maximum": Body.or_,
    "minimum": Body.and_,
    "abs": _same,
    "floor": _same,
    "ceil": _same,
    "trunc": _same,
    "isnan": _never,
    "isinf": _never,
    "isfinite": _always,
    "bitwise_and": Body.and_,
    "bitwise_or": Body.or_,
    "bitwise_xor": Body.xor,
    "bitwise_invert": _invert,
}
"""Of bools."""

_OF_FLOATS: Mapping[str, Meaning] = {
    "add": Body.add,
    "subtract": Body.sub,
    "multiply": Body.mul,
    "divide": Body.div,
    "negative": lambda body, x: body.neg(x),
    "reciprocal": lambda body, x: body.div(1, x),
    "abs": Body.abs,
    "sign": _sign_of_float,
    "maximum": maximum,
    "minimum": minimum,
    "floor": Body.floor,
    "ceil": Body.ceil,
    "trunc": Body.trunc,
    "rint": Body.rint,
    "floor_divide": lambda body, x, y: _divided(body, x, y)[0],
    "remainder": lambda body, x, y: _divided(body, x, y)[1],
    "sqrt": Body.sqrt,
    "scaled_exp": lambda body, x, less, n: scaled_exp(body, x, less, Scale.of(body, n)),
    "copysign": Body.copysign,
    "isnan": lambda body, x: body.is_nan(x),
    "isinf": lambda body, x: body.compare("eq", body.abs(x), float("inf")),
    "isfinite": _finite,
}

_OF_INTEGERS: Mapping[str, Meaning] = {
    "add": Body.add,
    "subtract": Body.sub,
    "multiply": Body.mul,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "pow": _power,
    "reciprocal": _reciprocal,
    "negative": lambda body, x: body.neg(x),
    "abs": _absolute,
    "sign": _sign_of_integer,
    "maximum": maximum,
    "minimum": minimum,
    "floor": _same,
    "ceil": _same,
    "trunc": _same,
    "rint": _same,
    "isnan": _never,
    "isinf": _never,
    "isfinite": _always,
    "bitwise_and": Body.and_,
    "bitwise_or": Body.or_,
    "bitwise_xor": Body.xor,
    "bitwise_invert": _invert,
    "bitwise_left_shift": _shift_left,
    "bitwise_right_shift": _shift_right,
}

_MEANINGS: Mapping[str, Meaning] = {
    "real": _same,
    "conj": _same,
    "copy": _same,
    "stop_gradient": _same,
    "imag": lambda body, x: body.constant(x.row, 0, x.lanes),
    "where": lambda body, *args: body.select(*args),
    "signbit": _signbit,
    "logical_and": lambda body, x, y: body.and_(_truth(body, x), _truth(body, y)),
    "logical_or": lambda body, x, y: body.or_(_truth(body, x), _truth(body, y)),
    "logical_xor": lambda body, x, y: body.xor(_truth(body, x), _truth(body, y)),
    "logical_not": _logical_not,
}
"""Of any dtype that they are declared for."""
