"""Powers, exponentials, logarithms, trigonometry: the last part of the scalar primitives."""

from __future__ import annotations

import numpy as np

from symgraph.graph.node import Node
from symgraph.ops.annotations import ArrayLike, Slopes
from symgraph.ops.arithmetic import conj, where
from symgraph.ops.declare import (
    FLOATS,
    INEXACTS,
    NUMBERS,
    alias,
    primitive,
)


@primitive(np.power, onnx="Pow", dtypes=NUMBERS, sample=((0.3, 3), (0, 3)), reference="numpy.power")
def pow(x: ArrayLike, y: ArrayLike) -> Node:
    """``x`` to the power ``y``. Integers to negative powers are refused at the call, as NumPy does.

    >>> evaluate(pow([1.0, 2.0, 3.0], 2))
    array([1., 4., 9.])
    """


@pow.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    lower = x ** where(y == 0, 1, y - 1)
    return g * conj(y * lower), g * conj(log(where(x == 0, 1, x)) * out)


@primitive(np.sqrt, onnx="Sqrt", dtypes=INEXACTS, sample=(0.3, 4))
def sqrt(x: ArrayLike) -> Node:
    """The square root; NaN for negative reals.

    >>> evaluate(sqrt([4.0, 9.0]))
    array([2., 3.])
    """


@sqrt.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(0.5 / out)


@primitive(np.cbrt, dtypes=FLOATS, sample=(0.3, 4))
def cbrt(x: ArrayLike) -> Node:
    """The cube root, real for negative numbers too.

    >>> evaluate(cbrt([8.0, -27.0]))
    array([ 2., -3.])
    """


@cbrt.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / (3 * out * out)


@primitive(np.exp, onnx="Exp", dtypes=INEXACTS)
def exp(x: ArrayLike) -> Node:
    """``e`` to the power ``x``.

    >>> evaluate(exp([0.0, 1.0]))
    array([1.        , 2.71828183])
    """


@exp.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(out)


@primitive(np.exp2, dtypes=INEXACTS)
def exp2(x: ArrayLike) -> Node:
    """2 to the power ``x``.

    >>> evaluate(exp2([0.0, 3.0]))
    array([1., 8.])
    """


@exp2.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(out * _LN2)


@primitive(np.expm1, dtypes=INEXACTS)
def expm1(x: ArrayLike) -> Node:
    """``exp(x) - 1``, exact for small ``x``.

    >>> evaluate(expm1(1e-10))
    array(1.e-10)
    """


@expm1.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(exp(x))


@primitive(np.log, onnx="Log", dtypes=INEXACTS, sample=(0.3, 4))
def log(x: ArrayLike) -> Node:
    """The natural logarithm; ``-inf`` at 0 and NaN for negative reals.

    >>> evaluate(log([1.0, 2.0]))
    array([0.        , 0.69314718])
    """


@log.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(x)


@primitive(np.log2, dtypes=INEXACTS, sample=(0.3, 4))
def log2(x: ArrayLike) -> Node:
    """The logarithm to base 2.

    >>> evaluate(log2([1.0, 8.0]))
    array([0., 3.])
    """


@log2.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(x * _LN2)


@primitive(np.log10, dtypes=INEXACTS, sample=(0.3, 4))
def log10(x: ArrayLike) -> Node:
    """The logarithm to base 10.

    >>> evaluate(log10([1.0, 1000.0]))
    array([0., 3.])
    """


@log10.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(x * _LN10)


@primitive(np.log1p, dtypes=INEXACTS, sample=(-0.6, 4))
def log1p(x: ArrayLike) -> Node:
    """``log(1 + x)``, exact for small ``x``.

    >>> evaluate(log1p(1e-10))
    array(1.e-10)
    """


@log1p.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(1 + x)


@primitive(np.sin, onnx="Sin", dtypes=INEXACTS)
def sin(x: ArrayLike) -> Node:
    """The sine of an angle in radians.

    >>> evaluate(sin([0.0, 1.0]))
    array([0.        , 0.84147098])
    """


@sin.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(cos(x))


@primitive(np.cos, onnx="Cos", dtypes=INEXACTS)
def cos(x: ArrayLike) -> Node:
    """The cosine of an angle in radians.

    >>> evaluate(cos([0.0, 1.0]))
    array([1.        , 0.54030231])
    """


@cos.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return -g * conj(sin(x))


@primitive(np.tan, onnx="Tan", dtypes=INEXACTS, sample=(-1.2, 1.2))
def tan(x: ArrayLike) -> Node:
    """The tangent of an angle in radians.

    >>> evaluate(tan([0.0, 1.0]))
    array([0.        , 1.55740772])
    """


@tan.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(1 + out * out)


@primitive(np.arcsin, onnx="Asin", dtypes=INEXACTS, sample=(-0.9, 0.9), reference="numpy.arcsin")
def asin(x: ArrayLike) -> Node:
    """The angle in ``[-π/2, π/2]`` whose sine is ``x``, in radians.

    >>> evaluate(asin([0.0, 1.0]))
    array([0.        , 1.57079633])
    """


@asin.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(sqrt(1 - x * x))


@primitive(np.arccos, onnx="Acos", dtypes=INEXACTS, sample=(-0.9, 0.9), reference="numpy.arccos")
def acos(x: ArrayLike) -> Node:
    """The angle in ``[0, π]`` whose cosine is ``x``, in radians.

    >>> evaluate(acos([1.0, 0.0]))
    array([0.        , 1.57079633])
    """


@acos.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return -g / conj(sqrt(1 - x * x))


@primitive(np.arctan, onnx="Atan", dtypes=INEXACTS, reference="numpy.arctan")
def atan(x: ArrayLike) -> Node:
    """The angle in ``[-π/2, π/2]`` whose tangent is ``x``, in radians.

    >>> evaluate(atan([0.0, 1.0]))
    array([0.        , 0.78539816])
    """


@atan.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(1 + x * x)


@primitive(np.arctan2, dtypes=FLOATS, sample=((0.3, 3), (0.3, 3)), reference="numpy.arctan2")
def atan2(y: ArrayLike, x: ArrayLike) -> Node:
    """The angle in ``[-π, π]`` of the point ``(x, y)``, in radians.

    >>> evaluate(atan2([0.0, 1.0], -1.0))
    array([3.14159265, 2.35619449])
    """


@atan2.vjp
def _(g: Node, y: Node, x: Node, out: Node) -> Slopes:
    square = x * x + y * y
    return g * x / square, -g * y / square


@primitive(np.sinh, onnx="Sinh", dtypes=INEXACTS)
def sinh(x: ArrayLike) -> Node:
    """The hyperbolic sine.

    >>> evaluate(sinh([0.0, 1.0]))
    array([0.        , 1.17520119])
    """


@sinh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(cosh(x))


@primitive(np.cosh, onnx="Cosh", dtypes=INEXACTS)
def cosh(x: ArrayLike) -> Node:
    """The hyperbolic cosine.

    >>> evaluate(cosh([0.0, 1.0]))
    array([1.        , 1.54308063])
    """


@cosh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(sinh(x))


@primitive(np.tanh, onnx="Tanh", dtypes=INEXACTS, sample=(-1.4, 1.4))
def tanh(x: ArrayLike) -> Node:
    """The hyperbolic tangent.

    >>> evaluate(tanh([0.0, 1.0]))
    array([0.        , 0.76159416])
    """


@tanh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * conj(1 - out * out)


@primitive(np.arcsinh, onnx="Asinh", dtypes=INEXACTS, reference="numpy.arcsinh")
def asinh(x: ArrayLike) -> Node:
    """The inverse of the hyperbolic sine.

    >>> evaluate(asinh([0.0, 1.0]))
    array([0.        , 0.88137359])
    """


@asinh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(sqrt(x * x + 1))


@primitive(np.arccosh, onnx="Acosh", dtypes=INEXACTS, sample=(1.3, 4), reference="numpy.arccosh")
def acosh(x: ArrayLike) -> Node:
    """The inverse of the hyperbolic cosine; NaN for reals below 1.

    >>> evaluate(acosh([1.0, 2.0]))
    array([0.       , 1.3169579])
    """


@acosh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(sqrt(x - 1) * sqrt(x + 1))


@primitive(np.arctanh, onnx="Atanh", dtypes=INEXACTS, sample=(-0.8, 0.8), reference="numpy.arctanh")
def atanh(x: ArrayLike) -> Node:
    """The inverse of the hyperbolic tangent.

    >>> evaluate(atanh([0.0, 0.5]))
    array([0.        , 0.54930614])
    """


@atanh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g / conj(1 - x * x)


@primitive(np.hypot, dtypes=FLOATS, commutative=True)
def hypot(x: ArrayLike, y: ArrayLike) -> Node:
    """``sqrt(x² + y²)`` without overflow.

    >>> evaluate(hypot(3e200, 4e200))
    array(5.e+200)
    """


@hypot.vjp
def _(g: Node, x: Node, y: Node, out: Node) -> Slopes:
    return g * (x / out), g * (y / out)


_LN2 = float(np.log(2.0))
_LN10 = float(np.log(10.0))

alias("arccos", acos)
alias("arccosh", acosh)
alias("arcsin", asin)
alias("arcsinh", asinh)
alias("arctan", atan)
alias("arctan2", atan2)
alias("arctanh", atanh)
alias("power", pow)
