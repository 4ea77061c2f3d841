"""Arithmetic, rounding, choice and conversion: the first part of the scalar primitives.

The primitives are a closed set, of which every elementwise op is composed: ``arithmetic``, ``comparison`` and
``transcendental``. Derivatives are of real losses. For complex values the gradient is ``∂L/∂a + i ∂L/∂b``, the
direction of steepest ascent, so a holomorphic ``f`` has the rule ``g * conj(f'(x))``. A rule that returns 0 says that
the slope is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.constants import is_zero
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import BOOL, BY_NAME, DType, TensorType, dtype
from symgraph.ops.annotations import Array, ArrayLike, DTypeLike, Slopes
from symgraph.ops.cases import case, draw, elementwise_cases
from symgraph.ops.declare import (
    ALL,
    INEXACTS,
    INTEGERS,
    NUMBERS,
    REALS,
    Loop,
    alias,
    macro,
    op,
    primitive,
    settled,
)


@primitive(np.add, commutative=True, onnx="Add", dtypes=ALL)
def add(x: ArrayLike, y: ArrayLike) -> Node:
    """The sum ``x + y``; of booleans, the logical or.

    >>> evaluate(add([1.0, 2.0], 1))
    array([2., 3.])
    """


@add.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return g, g


@primitive(np.subtract, onnx="Sub", dtypes=NUMBERS)
def subtract(x: ArrayLike, y: ArrayLike) -> Node:
    """The difference ``x - y``.

    >>> evaluate(subtract([1.0, 2.0], 1))
    array([0., 1.])
    """


@subtract.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return g, -g


@primitive(np.multiply, commutative=True, onnx="Mul", dtypes=ALL)
def multiply(x: ArrayLike, y: ArrayLike) -> Node:
    """The product ``x * y``; of booleans, the logical and.

    >>> evaluate(multiply([1.0, 2.0], 3))
    array([3., 6.])
    """


@multiply.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    # What is multiplied by the constant 0 has slope 0, an infinite slope behind it included.
    return 0 if is_zero(y) else g * conj(y), 0 if is_zero(x) else g * conj(x)


@primitive(np.true_divide, onnx="Div", dtypes=NUMBERS, sample=((-3, 3), (0.5, 3)), reference="numpy.divide")
def divide(x: ArrayLike, y: ArrayLike) -> Node:
    """The quotient ``x / y``; of integers, in float64.

    >>> evaluate(divide([1.0, 2.0], 4))
    array([0.25, 0.5 ])
    """


@divide.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    if x is y:
        return 0, 0
    return g / conj(y), -g * conj(out / y)


@primitive(np.floor_divide, dtypes=REALS, sample=((-9, 9), (0.6, 4)))
def floor_divide(x: ArrayLike, y: ArrayLike) -> Node:
    """The quotient rounded towards minus infinity, as Python's ``//``; an integer divided by 0 is 0.

    >>> evaluate(floor_divide([7, -7], 2))
    array([ 3, -4])
    """


@floor_divide.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return 0, 0


@primitive(np.remainder, dtypes=REALS, sample=((-9, 9), (0.6, 4)))
def remainder(x: ArrayLike, y: ArrayLike) -> Node:
    """What is left of ``x // y``, with the sign of ``y``, as Python's ``%``.

    >>> evaluate(remainder([7, -7], 3))
    array([1, 2])
    """


@remainder.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return g, -g * floor(x / y)


@primitive(np.fmod, dtypes=REALS, sample=((-9, 9), (0.6, 4)))
def fmod(x: ArrayLike, y: ArrayLike) -> Node:
    """What is left of the division rounded towards zero, with the sign of ``x``, as C's ``fmod``.

    >>> evaluate(fmod([7.0, -7.0], 3))
    array([ 1., -1.])
    """


@fmod.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return g, -g * trunc(x / y)


@macro(dtypes=INTEGERS, cases=elementwise_cases(2), sample=((-9, 9), (1, 4)), reference=np.divmod)
def divmod(x: ArrayLike, y: ArrayLike) -> tuple[Node, Node]:
    """The pair ``(x // y, x % y)``.

    >>> [int(evaluate(part)) for part in divmod(7, 2)]
    [3, 1]
    """
    return floor_divide(x, y), remainder(x, y)


@primitive(np.negative, onnx="Neg", dtypes=NUMBERS)
def negative(x: ArrayLike) -> Node:
    """``-x``.

    >>> evaluate(negative([1.0, -2.0]))
    array([-1.,  2.])
    """


@negative.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return -g


@macro(dtypes=NUMBERS, cases=elementwise_cases(1))
def positive(x: ArrayLike) -> Node:
    """``x`` itself.

    >>> evaluate(positive([1.0, -2.0]))
    array([ 1., -2.])
    """
    return as_node(x)


@primitive(np.reciprocal, onnx="Reciprocal", dtypes=NUMBERS, sample=(0.5, 3))
def reciprocal(x: ArrayLike) -> Node:
    """``1 / x``; of integers, rounded towards zero.

    >>> evaluate(reciprocal([2.0, 4.0]))
    array([0.5 , 0.25])
    """


@reciprocal.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return -g * conj(out * out)


@primitive(np.absolute, onnx="Abs", dtypes=ALL)
def abs(x: ArrayLike) -> Node:
    """The absolute value; of a complex number, its modulus, which is real.

    The derivative at 0 is 0.

    >>> evaluate(abs([-1.5, 2.0]))
    array([1.5, 2. ])
    """


@abs.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * sign(x)


@primitive(np.sign, onnx="Sign", dtypes=NUMBERS)
def sign(x: ArrayLike) -> Node:
    """-1, 0 or 1; of a complex number, ``x / abs(x)``.

    >>> evaluate(sign([-2.0, 0.0, 3.0]))
    array([-1.,  0.,  1.])
    """


@sign.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    if not x.row.is_complex:
        return 0
    size = where(x == 0, 1, abs(x))
    return where(x == 0, 0, (g - out * real(conj(out) * g)) / size)


@primitive(np.maximum, commutative=True, onnx="Max", dtypes=ALL)
def maximum(x: ArrayLike, y: ArrayLike) -> Node:
    """The larger of two, NaN when one is NaN. Where they are equal each gets half of the gradient.

    >>> evaluate(maximum([1.0, 5.0], 3))
    array([3., 5.])
    """


@maximum.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return _share(g, x > y, x == y), _share(g, y > x, x == y)


@primitive(np.minimum, commutative=True, onnx="Min", dtypes=ALL)
def minimum(x: ArrayLike, y: ArrayLike) -> Node:
    """The smaller of two, NaN when one is NaN. Where they are equal each gets half of the gradient.

    >>> evaluate(minimum([1.0, 5.0], 3))
    array([1., 3.])
    """


@minimum.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return _share(g, x < y, x == y), _share(g, y < x, x == y)


def _share(g: Node, mine: Node, tie: Node) -> Node:
    return where(mine, g, where(tie, g * 0.5, 0))


@primitive(np.floor, onnx="Floor", dtypes=REALS)
def floor(x: ArrayLike) -> Node:
    """The largest integer not above ``x``, in the dtype of ``x``.

    >>> evaluate(floor([-1.5, 1.5]))
    array([-2.,  1.])
    """


@primitive(np.ceil, onnx="Ceil", dtypes=REALS)
def ceil(x: ArrayLike) -> Node:
    """The smallest integer not below ``x``, in the dtype of ``x``.

    >>> evaluate(ceil([-1.5, 1.5]))
    array([-1.,  2.])
    """


@primitive(np.trunc, dtypes=REALS)
def trunc(x: ArrayLike) -> Node:
    """``x`` rounded towards zero, in its dtype.

    >>> evaluate(trunc([-1.5, 1.5]))
    array([-1.,  1.])
    """


@primitive(np.rint, onnx="Round", dtypes=INEXACTS)
def rint(x: ArrayLike) -> Node:
    """``x`` rounded to the nearest integer, halves to even, in its dtype.

    >>> evaluate(rint([0.5, 1.5]))
    array([0., 2.])
    """


def _real_part_loops(*kinds: Any) -> Loop:
    (row,) = settled(kinds)
    return (row,), {"complex64": BY_NAME["float32"], "complex128": BY_NAME["float64"]}.get(row.name, row)


@primitive(np.real, _real_part_loops, dtypes=ALL)
def real(x: ArrayLike) -> Node:
    """The real part, real in dtype.

    >>> evaluate(real([1 + 2j, 3.0]))
    array([1., 3.])
    """


@real.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g


@primitive(np.imag, _real_part_loops, dtypes=ALL)
def imag(x: ArrayLike) -> Node:
    """The imaginary part, real in dtype; 0 for a real input.

    >>> evaluate(imag([1 + 2j, 3.0]))
    array([2., 0.])
    """


@imag.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * 1j if x.row.is_complex else 0


@op(elementwise=True, dtypes=NUMBERS, cases=elementwise_cases(1))
def conj(x: ArrayLike) -> Node:
    """The complex conjugate; a real value itself.

    >>> evaluate(conj([1 + 2j]))
    array([1.-2.j])
    """
    x = as_node(x)
    return conj.op(x) if x.row.is_complex else x


@conj.infer
def _(x: TensorType) -> TensorType:
    return x


@conj.numpy
def _(x: Array) -> Array:
    return np.conjugate(x)


@conj.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return conj(g)


def _where_loops(condition: Any, *branches: Any) -> Loop:
    (row,) = settled(branches)
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
def where(condition: ArrayLike, x: ArrayLike, y: ArrayLike) -> Node:
    """``x`` where the condition holds, else ``y``. No gradient reaches the element that was not taken.

    >>> evaluate(where([True, False], 1.0, 2.0))
    array([1., 2.])
    """


@where.vjp
def _(g: Node, condition: Node, x: Node, y: Node, out: Node) -> Slopes:
    return 0, where(condition, g, 0), where(condition, 0, g)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CastAttrs(Attrs):
    dtype: DType


def _cast_reference(x: np.ndarray[Any, Any], dtype_: str) -> np.ndarray[Any, Any]:
    return np.asarray(x).astype(dtype(dtype_).numpy)


@op(
    CastAttrs, elementwise=True, onnx="Cast", dtypes=ALL, sample=(0, 3), reference=_cast_reference,
    cases=[case(draw(2, 3), name) for name in ALL] + [case(draw(), "float32"), case(draw(0), "int8")],
)  # fmt: skip
def astype(x: ArrayLike, dtype_: DTypeLike) -> Node:
    """``x`` converted to a dtype as NumPy does: floats are cut to integers, complex values to their real parts.

    >>> evaluate(astype([1.9, -1.9], "int32"))
    array([ 1, -1], dtype=int32)
    """
    x, row = as_node(x), dtype(dtype_)
    return x if x.row is row else astype.op(x, dtype=row)


@astype.infer
def _(x: TensorType, dtype: DType) -> TensorType:
    return TensorType(dtype, x.shape)


@astype.numpy
def _(x: Array, dtype: DType) -> Array:
    if x.dtype.kind == "c" and dtype.kind not in ("complex", "bool"):
        x = x.real
    return x.astype(dtype.numpy)


@astype.vjp
def _(g: Node, x: Node, out: Node, dtype: DType) -> Slopes:
    if not (x.row.is_inexact and dtype.is_inexact):
        return 0
    if g.row.is_complex and not x.row.is_complex:
        g = real(g)
    return astype(g, x.row)


for _stepwise in (floor, ceil, trunc, rint):
    _stepwise.vjp(lambda g, x, out: 0)
alias("absolute", abs)
alias("conjugate", conj)
alias("mod", remainder)
alias("true_divide", divide)
