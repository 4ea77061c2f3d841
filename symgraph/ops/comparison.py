"""Comparisons, logic, bits and signs: the second part of the scalar primitives."""

from __future__ import annotations

import numpy as np

from symgraph.graph.node import Node
from symgraph.ops.annotations import ArrayLike, Slopes
from symgraph.ops.arithmetic import where
from symgraph.ops.declare import (
    ALL,
    BITS,
    FLOATS,
    INTEGERS,
    NUMBERS,
    alias,
    primitive,
)


@primitive(np.equal, commutative=True, onnx="Equal", dtypes=ALL)
def equal(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether ``x == y``, elementwise; NaN equals nothing.

    >>> evaluate(equal([1, 2], 2))
    array([False,  True])
    """


@primitive(np.not_equal, commutative=True, dtypes=ALL)
def not_equal(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether ``x != y``, elementwise.

    >>> evaluate(not_equal([1, 2], 2))
    array([ True, False])
    """


@primitive(np.less, onnx="Less", dtypes=ALL)
def less(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether ``x < y``, elementwise; complex values are ordered by real, then imaginary part, as in NumPy.

    >>> evaluate(less([1, 2], 2))
    array([ True, False])
    """


@primitive(np.less_equal, onnx="LessOrEqual", dtypes=ALL)
def less_equal(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether ``x <= y``, elementwise.

    >>> evaluate(less_equal([1, 2, 3], 2))
    array([ True,  True, False])
    """


@primitive(np.greater, onnx="Greater", dtypes=ALL)
def greater(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether ``x > y``, elementwise.

    >>> evaluate(greater([1, 2, 3], 2))
    array([False, False,  True])
    """


@primitive(np.greater_equal, onnx="GreaterOrEqual", dtypes=ALL)
def greater_equal(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether ``x >= y``, elementwise.

    >>> evaluate(greater_equal([1, 2, 3], 2))
    array([False,  True,  True])
    """


@primitive(np.isnan, onnx="IsNaN", dtypes=NUMBERS)
def isnan(x: ArrayLike) -> Node:
    """Whether a value is NaN.

    >>> evaluate(isnan([1.0, float("nan")]))
    array([False,  True])
    """


@primitive(np.isinf, onnx="IsInf", dtypes=NUMBERS)
def isinf(x: ArrayLike) -> Node:
    """Whether a value is infinite.

    >>> evaluate(isinf([1.0, float("-inf")]))
    array([False,  True])
    """


@primitive(np.isfinite, dtypes=NUMBERS)
def isfinite(x: ArrayLike) -> Node:
    """Whether a value is neither infinite nor NaN.

    >>> evaluate(isfinite([1.0, float("inf")]))
    array([ True, False])
    """


@primitive(np.signbit, dtypes=FLOATS)
def signbit(x: ArrayLike) -> Node:
    """Whether the sign bit is set: true of -0.0 as well.

    >>> evaluate(signbit([-0.0, 1.0]))
    array([ True, False])
    """


@primitive(np.logical_and, commutative=True, onnx="And", dtypes=ALL)
def logical_and(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether both are true (not zero).

    >>> evaluate(logical_and([True, False], True))
    array([ True, False])
    """


@primitive(np.logical_or, commutative=True, onnx="Or", dtypes=ALL)
def logical_or(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether at least one is true (not zero).

    >>> evaluate(logical_or([True, False], False))
    array([ True, False])
    """


@primitive(np.logical_xor, commutative=True, onnx="Xor", dtypes=ALL)
def logical_xor(x: ArrayLike, y: ArrayLike) -> Node:
    """Whether exactly one is true (not zero).

    >>> evaluate(logical_xor([True, False], True))
    array([False,  True])
    """


@primitive(np.logical_not, onnx="Not", dtypes=ALL)
def logical_not(x: ArrayLike) -> Node:
    """Whether a value is false (zero).

    >>> evaluate(logical_not([True, False]))
    array([False,  True])
    """


@primitive(np.bitwise_and, commutative=True, onnx="BitwiseAnd", dtypes=BITS)
def bitwise_and(x: ArrayLike, y: ArrayLike) -> Node:
    """The bits set in both; the logical and of booleans.

    >>> evaluate(bitwise_and([6, 5], 3))
    array([2, 1])
    """


@primitive(np.bitwise_or, commutative=True, onnx="BitwiseOr", dtypes=BITS)
def bitwise_or(x: ArrayLike, y: ArrayLike) -> Node:
    """The bits set in either; the logical or of booleans.

    >>> evaluate(bitwise_or([6, 5], 3))
    array([7, 7])
    """


@primitive(np.bitwise_xor, commutative=True, onnx="BitwiseXor", dtypes=BITS)
def bitwise_xor(x: ArrayLike, y: ArrayLike) -> Node:
    """The bits set in exactly one.

    >>> evaluate(bitwise_xor([6, 5], 3))
    array([5, 6])
    """


@primitive(np.invert, onnx="BitwiseNot", dtypes=BITS, reference="numpy.invert")
def bitwise_invert(x: ArrayLike) -> Node:
    """Every bit flipped; the logical not of booleans.

    >>> evaluate(bitwise_invert([0, 5]))
    array([-1, -6])
    """


@primitive(np.left_shift, dtypes=INTEGERS, sample=((-9, 9), (0, 7)), reference="numpy.left_shift")
def bitwise_left_shift(x: ArrayLike, y: ArrayLike) -> Node:
    """``x`` with its bits moved left by ``y`` places.

    >>> evaluate(bitwise_left_shift([1, 2], 3))
    array([ 8, 16])
    """


@primitive(np.right_shift, dtypes=INTEGERS, sample=((-9, 9), (0, 7)), reference="numpy.right_shift")
def bitwise_right_shift(x: ArrayLike, y: ArrayLike) -> Node:
    """``x`` with its bits moved right by ``y`` places, keeping the sign.

    >>> evaluate(bitwise_right_shift([16, -16], 2))
    array([ 4, -4])
    """


@primitive(np.copysign, dtypes=FLOATS)
def copysign(x: ArrayLike, y: ArrayLike) -> Node:
    """The size of ``x`` with the sign of ``y``.

    >>> evaluate(copysign([1.0, 2.0], -0.0))
    array([-1., -2.])
    """


@copysign.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return where(signbit(x) == signbit(y), g, -g), 0


@primitive(np.nextafter, dtypes=FLOATS)
def nextafter(x: ArrayLike, y: ArrayLike) -> Node:
    """The next number after ``x`` in the direction of ``y``.

    >>> evaluate(nextafter(1.0, 2.0)) - 1
    np.float64(2.220446049250313e-16)
    """


@nextafter.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return g, 0


alias("invert", bitwise_invert)
alias("bitwise_not", bitwise_invert)
alias("left_shift", bitwise_left_shift)
alias("right_shift", bitwise_right_shift)
