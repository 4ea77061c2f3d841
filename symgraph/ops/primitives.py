"""The scalar primitives: the closed set of which every elementwise op is composed.

Derivatives are of real losses. For complex values the gradient is ``∂L/∂a + i ∂L/∂b``, the direction of steepest
ascent, so a holomorphic ``f`` has the rule ``g * conj(f'(x))``. A rule that returns 0 says that the slope is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import BOOL, BY_NAME, DType, TensorType, dtype
from symgraph.ops.cases import case, draw, elementwise_cases
from symgraph.ops.declare import (
    ALL,
    COMPLEXES,
    FLOATS,
    INTEGERS,
    Loop,
    _settled,
    alias,
    macro,
    op,
    primitive,
)  # fmt: skip

_NUMBERS = (*INTEGERS, *FLOATS, *COMPLEXES)
_REALS = (*INTEGERS, *FLOATS)
_INEXACT = (*FLOATS, *COMPLEXES)
_BITS = ("bool", *INTEGERS)

# Arithmetic


@primitive(np.add, commutative=True, onnx="Add", dtypes=ALL)
def add(x, y):
    """The sum ``x + y``; of booleans, the logical or.

    >>> evaluate(add([1.0, 2.0], 1))
    array([2., 3.])
    """


@add.vjp
def add(g, x, y, out):
    return g, g


@primitive(np.subtract, onnx="Sub", dtypes=_NUMBERS)
def subtract(x, y):
    """The difference ``x - y``.

    >>> evaluate(subtract([1.0, 2.0], 1))
    array([0., 1.])
    """


@subtract.vjp
def subtract(g, x, y, out):
    return g, -g


@primitive(np.multiply, commutative=True, onnx="Mul", dtypes=ALL)
def multiply(x, y):
    """The product ``x * y``; of booleans, the logical and.

    >>> evaluate(multiply([1.0, 2.0], 3))
    array([3., 6.])
    """


@multiply.vjp
def multiply(g, x, y, out):
    return g * conj(y), g * conj(x)


@primitive(np.true_divide, onnx="Div", dtypes=_NUMBERS, sample=((-3, 3), (0.5, 3)), reference="numpy.divide")
def divide(x, y):
    """The quotient ``x / y``; of integers, in float64.

    >>> evaluate(divide([1.0, 2.0], 4))
    array([0.25, 0.5 ])
    """


@divide.vjp
def divide(g, x, y, out):
    return g / conj(y), -g * conj(out / y)


@primitive(np.floor_divide, dtypes=_REALS, sample=((-9, 9), (0.6, 4)))
def floor_divide(x, y):
    """The quotient rounded towards minus infinity, as Python's ``//``; an integer divided by 0 is 0.

    >>> evaluate(floor_divide([7, -7], 2))
    array([ 3, -4])
    """


@floor_divide.vjp
def floor_divide(g, x, y, out):
    return 0, 0


@primitive(np.remainder, dtypes=_REALS, sample=((-9, 9), (0.6, 4)))
def remainder(x, y):
    """What is left of ``x // y``, with the sign of ``y``, as Python's ``%``.

    >>> evaluate(remainder([7, -7], 3))
    array([1, 2])
    """


@remainder.vjp
def remainder(g, x, y, out):
    return g, -g * floor(x / y)


@primitive(np.fmod, dtypes=_REALS, sample=((-9, 9), (0.6, 4)))
def fmod(x, y):
    """What is left of the division rounded towards zero, with the sign of ``x``, as C's ``fmod``.

    >>> evaluate(fmod([7.0, -7.0], 3))
    array([ 1., -1.])
    """


@fmod.vjp
def fmod(g, x, y, out):
    return g, -g * trunc(x / y)


@primitive(np.power, onnx="Pow", dtypes=_NUMBERS, sample=((0.3, 3), (0, 3)), reference="numpy.power")
def pow(x, y):
    """``x`` to the power ``y``. Integers to negative powers are refused at the call, as NumPy does.

    >>> evaluate(pow([1.0, 2.0, 3.0], 2))
    array([1., 4., 9.])
    """


@pow.vjp
def pow(g, x, y, out):
    lower = x ** where(y == 0, 1, y - 1)
    return g * conj(y * lower), g * conj(log(where(x == 0, 1, x)) * out)


@primitive(np.negative, onnx="Neg", dtypes=_NUMBERS)
def negative(x):
    """``-x``.

    >>> evaluate(negative([1.0, -2.0]))
    array([-1.,  2.])
    """


@negative.vjp
def negative(g, x, out):
    return -g


@primitive(np.reciprocal, onnx="Reciprocal", dtypes=_NUMBERS, sample=(0.5, 3))
def reciprocal(x):
    """``1 / x``; of integers, rounded towards zero.

    >>> evaluate(reciprocal([2.0, 4.0]))
    array([0.5 , 0.25])
    """


@reciprocal.vjp
def reciprocal(g, x, out):
    return -g * conj(out * out)


@primitive(np.absolute, onnx="Abs", dtypes=ALL, sample=(-3, -0.3))
def abs(x):
    """The absolute value; of a complex number, its modulus, which is real.

    The derivative at 0 is 0.

    >>> evaluate(abs([-1.5, 2.0]))
    array([1.5, 2. ])
    """


@abs.vjp
def abs(g, x, out):
    return g * sign(x)


@primitive(np.sign, onnx="Sign", dtypes=_NUMBERS)
def sign(x):
    """-1, 0 or 1; of a complex number, ``x / abs(x)``.

    >>> evaluate(sign([-2.0, 0.0, 3.0]))
    array([-1.,  0.,  1.])
    """


@sign.vjp
def sign(g, x, out):
    if not x.row.is_complex:
        return 0
    size = where(x == 0, 1, abs(x))
    return where(x == 0, 0, (g - out * real(conj(out) * g)) / size)


@primitive(np.maximum, commutative=True, onnx="Max", dtypes=ALL)
def maximum(x, y):
    """The larger of two, NaN when one is NaN. Where they are equal each gets half of the gradient.

    >>> evaluate(maximum([1.0, 5.0], 3))
    array([3., 5.])
    """


@maximum.vjp
def maximum(g, x, y, out):
    return _share(g, x > y, x == y), _share(g, y > x, x == y)


@primitive(np.minimum, commutative=True, onnx="Min", dtypes=ALL)
def minimum(x, y):
    """The smaller of two, NaN when one is NaN. Where they are equal each gets half of the gradient.

    >>> evaluate(minimum([1.0, 5.0], 3))
    array([1., 3.])
    """


@minimum.vjp
def minimum(g, x, y, out):
    return _share(g, x < y, x == y), _share(g, y < x, x == y)


def _share(g: Node, mine: Node, tie: Node) -> Node:
    return where(mine, g, where(tie, g * 0.5, 0))


# Powers, exponentials, logarithms


@primitive(np.sqrt, onnx="Sqrt", dtypes=_INEXACT, sample=(0.3, 4))
def sqrt(x):
    """The square root; NaN for negative reals.

    >>> evaluate(sqrt([4.0, 9.0]))
    array([2., 3.])
    """


@sqrt.vjp
def sqrt(g, x, out):
    return g * conj(0.5 / out)


@primitive(np.cbrt, dtypes=FLOATS, sample=(0.3, 4))
def cbrt(x):
    """The cube root, real for negative numbers too.

    >>> evaluate(cbrt([8.0, -27.0]))
    array([ 2., -3.])
    """


@cbrt.vjp
def cbrt(g, x, out):
    return g / (3 * out * out)


@primitive(np.exp, onnx="Exp", dtypes=_INEXACT)
def exp(x):
    """``e`` to the power ``x``.

    >>> evaluate(exp([0.0, 1.0]))
    array([1.        , 2.71828183])
    """


@exp.vjp
def exp(g, x, out):
    return g * conj(out)


@primitive(np.exp2, dtypes=_INEXACT)
def exp2(x):
    """2 to the power ``x``.

    >>> evaluate(exp2([0.0, 3.0]))
    array([1., 8.])
    """


@exp2.vjp
def exp2(g, x, out):
    return g * conj(out * _LN2)


@primitive(np.expm1, dtypes=_INEXACT)
def expm1(x):
    """``exp(x) - 1``, exact for small ``x``.

    >>> evaluate(expm1(1e-10))
    array(1.e-10)
    """


@expm1.vjp
def expm1(g, x, out):
    return g * conj(exp(x))


@primitive(np.log, onnx="Log", dtypes=_INEXACT, sample=(0.3, 4))
def log(x):
    """The natural logarithm; ``-inf`` at 0 and NaN for negative reals.

    >>> evaluate(log([1.0, 2.0]))
    array([0.        , 0.69314718])
    """


@log.vjp
def log(g, x, out):
    return g / conj(x)


@primitive(np.log2, dtypes=_INEXACT, sample=(0.3, 4))
def log2(x):
    """The logarithm to base 2.

    >>> evaluate(log2([1.0, 8.0]))
    array([0., 3.])
    """


@log2.vjp
def log2(g, x, out):
    return g / conj(x * _LN2)


@primitive(np.log10, dtypes=_INEXACT, sample=(0.3, 4))
def log10(x):
    """The logarithm to base 10.

    >>> evaluate(log10([1.0, 1000.0]))
    array([0., 3.])
    """


@log10.vjp
def log10(g, x, out):
    return g / conj(x * _LN10)


@primitive(np.log1p, dtypes=_INEXACT, sample=(-0.6, 4))
def log1p(x):
    """``log(1 + x)``, exact for small ``x``.

    >>> evaluate(log1p(1e-10))
    array(1.e-10)
    """


@log1p.vjp
def log1p(g, x, out):
    return g / conj(1 + x)


_LN2 = float(np.log(2.0))
_LN10 = float(np.log(10.0))

# Trigonometric and hyperbolic


@primitive(np.sin, onnx="Sin", dtypes=_INEXACT)
def sin(x):
    """The sine of an angle in radians.

    >>> evaluate(sin([0.0, 1.0]))
    array([0.        , 0.84147098])
    """


@sin.vjp
def sin(g, x, out):
    return g * conj(cos(x))


@primitive(np.cos, onnx="Cos", dtypes=_INEXACT)
def cos(x):
    """The cosine of an angle in radians.

    >>> evaluate(cos([0.0, 1.0]))
    array([1.        , 0.54030231])
    """


@cos.vjp
def cos(g, x, out):
    return -g * conj(sin(x))


@primitive(np.tan, onnx="Tan", dtypes=_INEXACT, sample=(-1.2, 1.2))
def tan(x):
    """The tangent of an angle in radians.

    >>> evaluate(tan([0.0, 1.0]))
    array([0.        , 1.55740772])
    """


@tan.vjp
def tan(g, x, out):
    return g * conj(1 + out * out)


@primitive(np.arcsin, onnx="Asin", dtypes=_INEXACT, sample=(-0.9, 0.9), reference="numpy.arcsin")
def asin(x):
    """The angle in ``[-π/2, π/2]`` whose sine is ``x``, in radians.

    >>> evaluate(asin([0.0, 1.0]))
    array([0.        , 1.57079633])
    """


@asin.vjp
def asin(g, x, out):
    return g / conj(sqrt(1 - x * x))


@primitive(np.arccos, onnx="Acos", dtypes=_INEXACT, sample=(-0.9, 0.9), reference="numpy.arccos")
def acos(x):
    """The angle in ``[0, π]`` whose cosine is ``x``, in radians.

    >>> evaluate(acos([1.0, 0.0]))
    array([0.        , 1.57079633])
    """


@acos.vjp
def acos(g, x, out):
    return -g / conj(sqrt(1 - x * x))


@primitive(np.arctan, onnx="Atan", dtypes=_INEXACT, reference="numpy.arctan", sample=(-0.9, 0.9))
def atan(x):
    """The angle in ``[-π/2, π/2]`` whose tangent is ``x``, in radians.

    >>> evaluate(atan([0.0, 1.0]))
    array([0.        , 0.78539816])
    """


@atan.vjp
def atan(g, x, out):
    return g / conj(1 + x * x)


@primitive(np.arctan2, dtypes=FLOATS, sample=((0.3, 3), (0.3, 3)), reference="numpy.arctan2")
def atan2(y, x):
    """The angle in ``[-π, π]`` of the point ``(x, y)``, in radians.

    >>> evaluate(atan2([0.0, 1.0], -1.0))
    array([3.14159265, 2.35619449])
    """


@atan2.vjp
def atan2(g, y, x, out):
    square = x * x + y * y
    return g * x / square, -g * y / square


@primitive(np.sinh, onnx="Sinh", dtypes=_INEXACT)
def sinh(x):
    """The hyperbolic sine.

    >>> evaluate(sinh([0.0, 1.0]))
    array([0.        , 1.17520119])
    """


@sinh.vjp
def sinh(g, x, out):
    return g * conj(cosh(x))


@primitive(np.cosh, onnx="Cosh", dtypes=_INEXACT)
def cosh(x):
    """The hyperbolic cosine.

    >>> evaluate(cosh([0.0, 1.0]))
    array([1.        , 1.54308063])
    """


@cosh.vjp
def cosh(g, x, out):
    return g * conj(sinh(x))


@primitive(np.tanh, onnx="Tanh", dtypes=_INEXACT, sample=(-1.4, 1.4))
def tanh(x):
    """The hyperbolic tangent.

    >>> evaluate(tanh([0.0, 1.0]))
    array([0.        , 0.76159416])
    """


@tanh.vjp
def tanh(g, x, out):
    return g * conj(1 - out * out)


@primitive(np.arcsinh, onnx="Asinh", dtypes=_INEXACT, reference="numpy.arcsinh", sample=(-0.9, 0.9))
def asinh(x):
    """The inverse of the hyperbolic sine.

    >>> evaluate(asinh([0.0, 1.0]))
    array([0.        , 0.88137359])
    """


@asinh.vjp
def asinh(g, x, out):
    return g / conj(sqrt(x * x + 1))


@primitive(np.arccosh, onnx="Acosh", dtypes=_INEXACT, sample=(1.3, 4), reference="numpy.arccosh")
def acosh(x):
    """The inverse of the hyperbolic cosine; NaN for reals below 1.

    >>> evaluate(acosh([1.0, 2.0]))
    array([0.       , 1.3169579])
    """


@acosh.vjp
def acosh(g, x, out):
    return g / conj(sqrt(x - 1) * sqrt(x + 1))


@primitive(np.arctanh, onnx="Atanh", dtypes=_INEXACT, sample=(-0.8, 0.8), reference="numpy.arctanh")
def atanh(x):
    """The inverse of the hyperbolic tangent.

    >>> evaluate(atanh([0.0, 0.5]))
    array([0.        , 0.54930614])
    """


@atanh.vjp
def atanh(g, x, out):
    return g / conj(1 - x * x)


@primitive(np.hypot, dtypes=FLOATS, sample=(0.3, 3), commutative=True)
def hypot(x, y):
    """``sqrt(x² + y²)`` without overflow.

    >>> evaluate(hypot(3e200, 4e200))
    array(5.e+200)
    """


@hypot.vjp
def hypot(g, x, y, out):
    return g * (x / out), g * (y / out)


# Rounding


@primitive(np.floor, onnx="Floor", dtypes=_REALS)
def floor(x):
    """The largest integer not above ``x``, in the dtype of ``x``.

    >>> evaluate(floor([-1.5, 1.5]))
    array([-2.,  1.])
    """


@primitive(np.ceil, onnx="Ceil", dtypes=_REALS)
def ceil(x):
    """The smallest integer not below ``x``, in the dtype of ``x``.

    >>> evaluate(ceil([-1.5, 1.5]))
    array([-1.,  2.])
    """


@primitive(np.trunc, dtypes=_REALS)
def trunc(x):
    """``x`` rounded towards zero, in its dtype.

    >>> evaluate(trunc([-1.5, 1.5]))
    array([-1.,  1.])
    """


@primitive(np.rint, onnx="Round", dtypes=_INEXACT)
def rint(x):
    """``x`` rounded to the nearest integer, halves to even, in its dtype.

    >>> evaluate(rint([0.5, 1.5]))
    array([0., 2.])
    """


for _stepwise in (floor, ceil, trunc, rint):
    _stepwise.vjp(lambda g, x, out: 0)

# Comparisons


@primitive(np.equal, commutative=True, onnx="Equal", dtypes=ALL)
def equal(x, y):
    """Whether ``x == y``, elementwise; NaN equals nothing.

    >>> evaluate(equal([1, 2], 2))
    array([False,  True])
    """


@primitive(np.not_equal, commutative=True, dtypes=ALL)
def not_equal(x, y):
    """Whether ``x != y``, elementwise.

    >>> evaluate(not_equal([1, 2], 2))
    array([ True, False])
    """


@primitive(np.less, onnx="Less", dtypes=ALL)
def less(x, y):
    """Whether ``x < y``, elementwise; complex values are ordered by real, then imaginary part, as in NumPy.

    >>> evaluate(less([1, 2], 2))
    array([ True, False])
    """


@primitive(np.less_equal, onnx="LessOrEqual", dtypes=ALL)
def less_equal(x, y):
    """Whether ``x <= y``, elementwise.

    >>> evaluate(less_equal([1, 2, 3], 2))
    array([ True,  True, False])
    """


@primitive(np.greater, onnx="Greater", dtypes=ALL)
def greater(x, y):
    """Whether ``x > y``, elementwise.

    >>> evaluate(greater([1, 2, 3], 2))
    array([False, False,  True])
    """


@primitive(np.greater_equal, onnx="GreaterOrEqual", dtypes=ALL)
def greater_equal(x, y):
    """Whether ``x >= y``, elementwise.

    >>> evaluate(greater_equal([1, 2, 3], 2))
    array([False,  True,  True])
    """


@primitive(np.isnan, onnx="IsNaN", dtypes=_NUMBERS)
def isnan(x):
    """Whether a value is NaN.

    >>> evaluate(isnan([1.0, float("nan")]))
    array([False,  True])
    """


@primitive(np.isinf, onnx="IsInf", dtypes=_NUMBERS)
def isinf(x):
    """Whether a value is infinite.

    >>> evaluate(isinf([1.0, float("-inf")]))
    array([False,  True])
    """


@primitive(np.isfinite, dtypes=_NUMBERS)
def isfinite(x):
    """Whether a value is neither infinite nor NaN.

    >>> evaluate(isfinite([1.0, float("inf")]))
    array([ True, False])
    """


@primitive(np.signbit, dtypes=FLOATS)
def signbit(x):
    """Whether the sign bit is set: true of -0.0 as well.

    >>> evaluate(signbit([-0.0, 1.0]))
    array([ True, False])
    """


# Logic and bits


@primitive(np.logical_and, commutative=True, onnx="And", dtypes=ALL)
def logical_and(x, y):
    """Whether both are true (not zero).

    >>> evaluate(logical_and([True, False], True))
    array([ True, False])
    """


@primitive(np.logical_or, commutative=True, onnx="Or", dtypes=ALL)
def logical_or(x, y):
    """Whether at least one is true (not zero).

    >>> evaluate(logical_or([True, False], False))
    array([ True, False])
    """


@primitive(np.logical_xor, commutative=True, onnx="Xor", dtypes=ALL)
def logical_xor(x, y):
    """Whether exactly one is true (not zero).

    >>> evaluate(logical_xor([True, False], True))
    array([False,  True])
    """


@primitive(np.logical_not, onnx="Not", dtypes=ALL)
def logical_not(x):
    """Whether a value is false (zero).

    >>> evaluate(logical_not([True, False]))
    array([False,  True])
    """


@primitive(np.bitwise_and, commutative=True, onnx="BitwiseAnd", dtypes=_BITS)
def bitwise_and(x, y):
    """The bits set in both; the logical and of booleans.

    >>> evaluate(bitwise_and([6, 5], 3))
    array([2, 1])
    """


@primitive(np.bitwise_or, commutative=True, onnx="BitwiseOr", dtypes=_BITS)
def bitwise_or(x, y):
    """The bits set in either; the logical or of booleans.

    >>> evaluate(bitwise_or([6, 5], 3))
    array([7, 7])
    """


@primitive(np.bitwise_xor, commutative=True, onnx="BitwiseXor", dtypes=_BITS)
def bitwise_xor(x, y):
    """The bits set in exactly one.

    >>> evaluate(bitwise_xor([6, 5], 3))
    array([5, 6])
    """


@primitive(np.invert, onnx="BitwiseNot", dtypes=_BITS, reference="numpy.invert")
def bitwise_invert(x):
    """Every bit flipped; the logical not of booleans.

    >>> evaluate(bitwise_invert([0, 5]))
    array([-1, -6])
    """


@primitive(np.left_shift, dtypes=INTEGERS, sample=((-9, 9), (0, 7)), reference="numpy.left_shift")
def bitwise_left_shift(x, y):
    """``x`` with its bits moved left by ``y`` places.

    >>> evaluate(bitwise_left_shift([1, 2], 3))
    array([ 8, 16])
    """


@primitive(np.right_shift, dtypes=INTEGERS, sample=((-9, 9), (0, 7)), reference="numpy.right_shift")
def bitwise_right_shift(x, y):
    """``x`` with its bits moved right by ``y`` places, keeping the sign.

    >>> evaluate(bitwise_right_shift([16, -16], 2))
    array([ 4, -4])
    """


# Floating-point anatomy


@primitive(np.copysign, dtypes=FLOATS)
def copysign(x, y):
    """The size of ``x`` with the sign of ``y``.

    >>> evaluate(copysign([1.0, 2.0], -0.0))
    array([-1., -2.])
    """


@copysign.vjp
def copysign(g, x, y, out):
    return where(signbit(x) == signbit(y), g, -g), 0


@primitive(np.nextafter, dtypes=FLOATS)
def nextafter(x, y):
    """The next number after ``x`` in the direction of ``y``.

    >>> evaluate(nextafter(1.0, 2.0)) - 1
    np.float64(2.220446049250313e-16)
    """


@nextafter.vjp
def nextafter(g, x, y, out):
    return g, 0


# Complex parts


def _real_part_loops(*kinds: Any) -> Loop:
    (row,) = _settled(kinds)
    return (row,), {"complex64": BY_NAME["float32"], "complex128": BY_NAME["float64"]}.get(row.name, row)


@primitive(np.real, _real_part_loops, dtypes=ALL)
def real(x):
    """The real part, real in dtype.

    >>> evaluate(real([1 + 2j, 3.0]))
    array([1., 3.])
    """


@real.vjp
def real(g, x, out):
    return g


@primitive(np.imag, _real_part_loops, dtypes=ALL)
def imag(x):
    """The imaginary part, real in dtype; 0 for a real input.

    >>> evaluate(imag([1 + 2j, 3.0]))
    array([2., 0.])
    """


@imag.vjp
def imag(g, x, out):
    return g * 1j if x.row.is_complex else 0


@op(elementwise=True, dtypes=_NUMBERS, cases=elementwise_cases(1))
def conj(x):
    """The complex conjugate; a real value itself.

    >>> evaluate(conj([1 + 2j]))
    array([1.-2.j])
    """
    x = as_node(x)
    return conj.op(x) if x.row.is_complex else x


@conj.infer
def conj(x):
    return x


@conj.numpy
def conj(x):
    return np.conjugate(x)


@conj.vjp
def conj(g, x, out):
    return conj(g)


# Choice and conversion


def _where_loops(condition: Any, *branches: Any) -> Loop:
    (row,) = _settled(branches)
    return (BOOL, row, row), row


@primitive(
    np.where, _where_loops, onnx="Where", dtypes=ALL,
    cases=[
        case(draw(dtype="bool"), draw(), draw()),
        case(draw(3, dtype="bool"), draw(3), draw(3)),
        case(draw(2, 3, dtype="bool"), draw(3), draw(2, 1)),
        case(draw(0, dtype="bool"), draw(1), draw(0)),
        case(draw(2, 1, dtype="bool"), draw(), 1),
    ],
)  # fmt: skip
def where(condition, x, y):
    """``x`` where the condition holds, else ``y``. No gradient reaches the element that was not taken.

    >>> evaluate(where([True, False], 1.0, 2.0))
    array([1., 2.])
    """


@where.vjp
def where(g, condition, x, y, out):
    return None, where(condition, g, 0), where(condition, 0, g)


@dataclass(frozen=True, slots=True)
class CastAttrs(Attrs):
    dtype: DType


def _cast_reference(x: np.ndarray[Any, Any], dtype_: str) -> np.ndarray[Any, Any]:
    return np.asarray(x).astype(dtype(dtype_).numpy)


@op(
    CastAttrs, elementwise=True, onnx="Cast", dtypes=ALL, sample=(0, 3), reference=_cast_reference,
    cases=[case(draw(2, 3), name) for name in ALL] + [case(draw(), "float32"), case(draw(0), "int8")],
)  # fmt: skip
def astype(x, dtype_):
    """``x`` converted to a dtype as NumPy does: floats are cut to integers, complex values to their real parts.

    >>> evaluate(astype([1.9, -1.9], "int32"))
    array([ 1, -1], dtype=int32)
    """
    x, row = as_node(x), dtype(dtype_)
    return x if x.row is row else astype.op(x, dtype=row)


@astype.infer
def astype(x, dtype):
    return TensorType(dtype, x.shape)


@astype.numpy
def astype(x, dtype):
    if x.dtype.kind == "c" and dtype.kind not in ("complex", "bool"):
        x = x.real
    return x.astype(dtype.numpy)


@astype.vjp
def astype(g, x, out, dtype):
    if not (x.row.is_inexact and dtype.is_inexact):
        return None
    if g.row.is_complex and not x.row.is_complex:
        g = real(g)
    return astype(g, x.row)


@macro(dtypes=_NUMBERS, cases=elementwise_cases(1))
def positive(x):
    """``x`` itself.

    >>> evaluate(positive([1.0, -2.0]))
    array([ 1., -2.])
    """
    return as_node(x)


@macro(dtypes=INTEGERS, cases=elementwise_cases(2), sample=((-9, 9), (1, 4)), reference=np.divmod)
def divmod(x, y):
    """The pair ``(x // y, x % y)``.

    >>> [int(evaluate(part)) for part in divmod(7, 2)]
    [3, 1]
    """
    return floor_divide(x, y), remainder(x, y)


for _name, _function in {
    "absolute": abs, "arccos": acos, "arccosh": acosh, "arcsin": asin, "arcsinh": asinh, "arctan": atan,
    "arctan2": atan2, "arctanh": atanh, "conjugate": conj, "invert": bitwise_invert, "bitwise_not": bitwise_invert,
    "mod": remainder, "left_shift": bitwise_left_shift, "right_shift": bitwise_right_shift, "power": pow,
    "true_divide": divide,
}.items():  # fmt: skip
    alias(_name, _function)
