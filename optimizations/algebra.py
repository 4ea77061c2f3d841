"""Arithmetic that IEEE allows: one spelling for what can be spelt in many ways, and less of it."""

from __future__ import annotations

import builtins
import math

from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.ops.arithmetic import (
    abs,
    add,
    ceil,
    conj,
    floor,
    imag,
    multiply,
    negative,
    real,
    reciprocal,
    remainder,
    rint,
    sign,
    trunc,
)  # fmt: skip
from symgraph.ops.comparison import bitwise_and, bitwise_invert, bitwise_or, bitwise_xor
from symgraph.ops.declare import BITS as BIT_DTYPES
from symgraph.ops.declare import COMPLEXES, FLOATS, INEXACTS, INTEGERS, NUMBERS, REALS
from symgraph.ops.math import square
from symgraph.ops.transcendental import cos, cosh, exp, exp2, log, pow, sin, sinh, sqrt, tan, tanh
from symgraph.optimizations.pattern import Match, may_have_number, wild
from symgraph.optimizations.rules import ALGEBRAIC, ROUNDING, SHARPER, rule, rules

SIGNED_INTEGERS = ("int8", "int16", "int32", "int64")
SIGNED = (*SIGNED_INTEGERS, *INEXACTS)
WIDE = ("float32", "float64")
REAL_SIGNED = (*SIGNED_INTEGERS, *FLOATS)

x, y, z = wild("x y z")
i, j, k = wild("i j k", "int64")
c = wild("c", "complex128")


def _plus_negative(found: Match) -> Node | None:
    number = uniform(found[y])
    return None if number is None else add.op(found[x], constant(-number, found[y].row))


def _times_negative(found: Match) -> Node | None:
    number = uniform(found[y])
    return None if number is None else multiply.op(found[x], constant(-number, found[y].row))


def _times_inverse(found: Match) -> Node | None:
    """By a power of two, whose inverse is exact."""
    number = uniform(found[y])
    if number is None or not _is_power_of_two(number):
        return None
    inverse = constant(1 / float(number), found[y].row)
    return multiply.op(found[x], inverse)


def _zero(found: Match) -> Node:
    return constant(0, found.root.row)


def _one(found: Match) -> Node:
    return constant(1, found.root.row)


def _numbers_together(found: Match) -> Node | None:
    """``(x * 2) * 4`` as ``x * 8``: for integers, which wrap around in any order."""
    first, second = uniform(found[i]), uniform(found[j])
    if first is None or second is None:
        return None
    return found.root.op(found[k], found.root.op(found[i], found[j]))


def _powers_together(found: Match) -> Node | None:
    """``2 * (c * x)`` as ``(2 * c) * x``: a product with a power of two is exact unless it leaves the range."""
    outer = _number_times(found.root)
    inner = outer and _number_times(outer[1])
    if not outer or not inner:
        return None
    a, b = float(uniform(outer[0])), float(uniform(inner[0]))
    if not (_is_power_of_two(a) or _is_power_of_two(b)) or not 2.0**-100 < builtins.abs(a * b) < 2.0**100:
        return None
    return multiply(outer[0], inner[0]) * inner[1]


def _powers_cancelled(found: Match) -> Node | None:
    """``(0.5 * x) * (2 * y)`` as ``x * y``."""
    first, second = map(_number_times, found.root.inputs)
    if not first or not second:
        return None
    a, b = float(uniform(first[0])), float(uniform(second[0]))
    return first[1] * second[1] if _is_power_of_two(a) and a * b == 1 else None


def _number_times(node: Node) -> tuple[Node, Node] | None:
    """The number and what it multiplies, of such a product of floats."""
    if node.op is not multiply.op or node.row.name not in WIDE:
        return None
    first, second = node.inputs
    if uniform(second) is not None:
        return second, first
    return (first, second) if uniform(first) is not None else None


def _is_power_of_two(number: float) -> bool:
    return 2.0**-100 < builtins.abs(number) < 2.0**100 and math.frexp(number)[0] in (0.5, -0.5)


def _of_number_and_product(node: Node) -> bool:
    return may_have_number(node) and any(x.op is multiply.op for x in node.inputs)


def _of_products(node: Node) -> bool:
    return all(x.op is multiply.op for x in node.inputs)


SIGNS = (
    rule("minus minus", negative(-x), x, dtypes=SIGNED),
    rule("plus minus", x + -y, x - y, dtypes=SIGNED),
    rule("minus of minus", x - -y, x + y, dtypes=SIGNED),
    rule("times minus", x * -y, -(x * y), dtypes=REAL_SIGNED),
    rule("minus over", -x / y, -(x / y), dtypes=FLOATS),
    rule("over minus", x / -y, -(x / y), dtypes=FLOATS),
    rule("minus one times", x * -1.0, -x, dtypes=REAL_SIGNED),
    rule("over minus one", x / -1.0, -x, dtypes=FLOATS),
    rule("minus a number is plus its negative", x - y, _plus_negative, ops=may_have_number, dtypes=INEXACTS),
    rule("minus a product with a number", -(x * y), _times_negative, dtypes=FLOATS),
)

NEUTRAL = (
    rule("times one", x * 1.0, x, dtypes=REALS),
    rule("over one", x / 1.0, x, dtypes=FLOATS),
    rule("plus minus zero", x + -0.0, x, dtypes=INEXACTS),
    rule("plus zero, of integers", i + 0, i),
    rule("minus zero, of integers", i - 0, i),
    rule("times zero, of integers", i * 0, _zero),
    rule("minus itself, of integers", i - i, _zero),
    rule("plus itself is twice", x + x, x * 2.0, dtypes=(*INTEGERS, *FLOATS)),
    rule("over a power of two", x / y, _times_inverse, ops=may_have_number, dtypes=WIDE),
    rule("a power of two times a number times", multiply.op, _powers_together, keeps=SHARPER, dtypes=WIDE,
         ops=_of_number_and_product, example=lambda: (x * 0.3) * 2.0),
    rule("a power of two times its inverse", multiply.op, _powers_cancelled, keeps=SHARPER, dtypes=WIDE,
         ops=_of_products, example=lambda: (x * 0.5) * (y * 2.0)),
    rule("a number times a number times", (k * i) * j, _numbers_together, ops=may_have_number),
    rule("a number plus a number plus", (k + i) + j, _numbers_together, ops=may_have_number),
    rule("remainder by one, of integers", remainder(i, 1), _zero),
)  # fmt: skip

POWERS = (
    rule("to the power of one", pow(x, 1.0), x, dtypes=FLOATS),
    rule("to the power of two", pow(x, 2.0), x * x, keeps=ROUNDING, dtypes=FLOATS),
    rule("to the power of three", pow(x, 3.0), x * x * x, keeps=ROUNDING, dtypes=("float32", "float64")),
    rule(
        "to the power of four", pow(x, 4.0), (x * x) * (x * x), keeps=ROUNDING, dtypes=("float32", "float64")
    ),
    rule("to the power of minus one", pow(x, -1.0), 1 / x, keeps=ROUNDING, dtypes=FLOATS),
    rule("to the power of zero", pow(x, 0.0), _one, dtypes=FLOATS),
    rule("one to the power", pow(1.0, x), _one, dtypes=FLOATS),
    rule("square", square(x), x * x, dtypes=NUMBERS),
    rule("reciprocal", reciprocal(x), 1 / x, dtypes=FLOATS),
    rule("two to the power", pow(2.0, x), exp2(x), keeps=ROUNDING, dtypes=("float32", "float64")),
)

EVEN_AND_ODD = (
    rule("abs of minus", abs(-x), abs(x), dtypes=INEXACTS),
    rule("abs of abs", abs(abs(x)), abs(x), dtypes=(*INTEGERS, *FLOATS)),
    rule("abs of a square", abs(x * x), x * x, dtypes=FLOATS),
    rule("abs of exp", abs(exp(x)), exp(x), dtypes=FLOATS),
    rule("abs times abs", abs(x) * abs(x), x * x, dtypes=FLOATS),
    rule("minus times minus itself", -x * -x, x * x, dtypes=FLOATS),
    rule("cos of minus", cos(-x), cos(x), dtypes=FLOATS),
    rule("cosh of minus", cosh(-x), cosh(x), dtypes=FLOATS),
    rule("cos of abs", cos(abs(x)), cos(x), dtypes=FLOATS),
    rule("cosh of abs", cosh(abs(x)), cosh(x), dtypes=FLOATS),
    rule("sin of minus", sin(-x), -sin(x), dtypes=FLOATS),
    rule("tan of minus", tan(-x), -tan(x), dtypes=FLOATS),
    rule("sinh of minus", sinh(-x), -sinh(x), dtypes=FLOATS),
    rule("tanh of minus", tanh(-x), -tanh(x), dtypes=FLOATS),
    rule("sign of sign", sign(sign(x)), sign(x), dtypes=(*INTEGERS, *FLOATS)),
)

ROUNDED = tuple(
    rule(f"{outer.name} of {inner.name}", outer(inner(x)), inner(x), dtypes=FLOATS)
    for outer in (floor, ceil, trunc, rint)
    for inner in (floor, ceil, trunc, rint)
)

COMPLEX = (
    rule("conj of conj", conj(conj(c)), c, dtypes=COMPLEXES),
    rule("real part of a real number", real(x), x),
    rule("real part of conj", real(conj(c)), real(c), dtypes=COMPLEXES),
    rule("imaginary part of conj", imag(conj(c)), -imag(c), dtypes=COMPLEXES),
)

BITWISE = (
    rule("and with itself", bitwise_and(i, i), i, dtypes=BIT_DTYPES),
    rule("or with itself", bitwise_or(i, i), i, dtypes=BIT_DTYPES),
    rule("invert twice", bitwise_invert(bitwise_invert(i)), i, dtypes=BIT_DTYPES),
    rule("xor with itself", bitwise_xor(i, i), _zero),
    rule("and with zero", bitwise_and(i, 0), _zero),
    rule("or with zero", bitwise_or(i, 0), i),
    rule("xor with zero", bitwise_xor(i, 0), i),
)

ALGEBRA = rules("ALGEBRA", SIGNS, NEUTRAL, POWERS, EVEN_AND_ODD, ROUNDED, COMPLEX, BITWISE)

FAST = rules(
    "FAST",
    rule("plus zero", x + 0.0, x, keeps=ALGEBRAIC),
    rule("zero minus", 0.0 - x, -x, keeps=ALGEBRAIC),
    rule("times zero", x * 0.0, _zero, keeps=ALGEBRAIC),
    rule("minus itself", x - x, _zero, keeps=ALGEBRAIC),
    rule("over itself", x / x, _one, keeps=ALGEBRAIC),
    rule("minus of a difference", -(x - y), y - x, keeps=ALGEBRAIC),
    rule("times over", x * y / y, x, keeps=ALGEBRAIC),
    rule("over times", x / y * y, x, keeps=ALGEBRAIC),
    rule("plus and minus", x + y - y, x, keeps=ALGEBRAIC),
    rule("minus and plus", x - y + y, x, keeps=ALGEBRAIC),
    rule("over over", x / (y / z), x * z / y, keeps=ALGEBRAIC),
    rule("over, twice", x / y / z, x / (y * z), keeps=ALGEBRAIC),
    rule("exp of log", exp(log(x)), x, keeps=ALGEBRAIC, example=lambda: exp(log(abs(x)))),
    rule("root squared", sqrt(x) * sqrt(x), x, keeps=ALGEBRAIC, example=lambda: sqrt(abs(x)) * sqrt(abs(x))),
    rule("to the power of minus two", pow(x, -2.0), 1 / (x * x), keeps=ALGEBRAIC),
    rule("to the power of a half", pow(x, 0.5), sqrt(x), keeps=ALGEBRAIC, example=lambda: pow(abs(x), 0.5)),
    rule("sign of minus", sign(-x), -sign(x), keeps=ALGEBRAIC),
    rule("factored", x * y + x * z, x * (y + z), keeps=ALGEBRAIC),
)  # fmt: skip
"""What is true of real numbers: under ``fast_math`` alone."""
