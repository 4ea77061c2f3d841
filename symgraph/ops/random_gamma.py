"""Draws of the gamma distribution, and of those that are made of it.

Numbers are proposed and refused as by G. Marsaglia and W. W. Tsang, *A simple method for generating gamma variables*
(2000), in a loop that ends when every element has one; what an element is given depends on its own place alone. The
gradient in the shape parameter is implicit (M. Figurnov, S. Mohamed and A. Mnih, *Implicit reparameterization
gradients*, 2018): a number moves so that the probability below it stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph.node import Node
from symgraph.graph.op import Op, as_node, constant, register
from symgraph.graph.types import DType, TensorType, as_shape
from symgraph.ops.annotations import ArrayLike, DTypeLike, ShapeLike, Slopes
from symgraph.ops.arithmetic import maximum, where
from symgraph.ops.cases import case, draw
from symgraph.ops.create import zeros
from symgraph.ops.custom import stop_gradient
from symgraph.ops.declare import macro
from symgraph.ops.loops import while_loop
from symgraph.ops.math import sigmoid
from symgraph.ops.random_bits import KEY, Key, reference_block
from symgraph.ops.random_continuous import normal, standard_normal
from symgraph.ops.random_keys import folded, reference_folded
from symgraph.ops.random_uniform import Asked, asked, inner, reference_draw, reference_inner, reference_tail
from symgraph.ops.reduce import any, sum
from symgraph.ops.scipy_door import special
from symgraph.ops.shape import expand_dims
from symgraph.ops.softmax import softmax
from symgraph.ops.special import digamma
from symgraph.ops.transcendental import exp, expm1, log, log1p, sqrt

# The sampler


def log_gamma_draw(draw: Asked) -> Node:
    """Logarithms of gamma numbers whose shape parameter is the draw's; NaN where that is not positive."""
    a = draw.params[0]
    a = a if a.ndim == len(draw.shape) else a + zeros(draw.shape, draw.work)
    fixed = stop_gradient(a)
    is_well = fixed > 0
    first, second = _two(draw.key)
    small = fixed < 1  # Γ(a) is Γ(a + 1) times a uniform number to the power 1 / a
    raised = where(is_well, where(small, fixed + 1, fixed), 1)
    found = log(_marsaglia_tsang(first, draw, raised))
    boost = log(inner(Asked(second, draw.shape, draw.work, ()))) / where(is_well, fixed, 1)
    found = where(is_well, where(small, found + boost, found), math.nan)
    return FOLLOWED(a, stop_gradient(found))


def _two(key: Key) -> tuple[Key, Key]:
    """The keys that ``split`` makes of one."""
    return folded(key, as_node(0)), folded(key, as_node(1))


def _marsaglia_tsang(key: Key, draw: Asked, a: Node) -> Node:
    """Gamma numbers for shape parameters of 1 and more."""
    d = a - 1 / 3
    c = 1 / sqrt(9 * d)

    def propose(turn: Node, found: Node) -> Node:
        x = standard_normal(Asked(folded(key, 2 * turn), draw.shape, draw.work, ()))
        u = inner(Asked(folded(key, 2 * turn + 1), draw.shape, draw.work, ()))
        stretched = 1 + c * x
        v = where(stretched > 0, stretched * stretched * stretched, 1)
        taken = (stretched > 0) & (log(u) < 0.5 * x * x + d * (1 - v + log(v)))
        return where((found == 0) & taken, d * v, found)

    return until_found(propose, zeros(draw.shape, draw.work), lambda found: found == 0)


def until_found(propose: Callable[[Node, Node], Node], start: Node, is_open: Callable[[Node], Node]) -> Node:
    """What is found when no element is open any more: ``propose(turn, found)`` may fill those that are."""
    found: Node
    _, found = while_loop(
        lambda state: any(is_open(state[1])),
        lambda state: (state[0] + 1, propose(state[0], state[1])),
        (constant(0, "int64"), start),
    )
    return found


# The derivative of a number in its shape parameter


def _infer_followed(a: TensorType, found: TensorType) -> TensorType:
    return found


def _followed_vjp(g: Node, a: Node, found: Node, out: Node) -> Slopes:
    return g * _slope(a, out), 0


FOLLOWED = register(
    Op(
        "gamma_followed",
        infer=_infer_followed,
        body=lambda a, found: found,
        vjp=_followed_vjp,
        elementwise=True,
    )
)
"""The logarithm of a gamma number, which follows the shape parameter as its probability says."""


def _slope(a: Node, log_z: Node) -> Node:
    """The derivative of ``log(z)`` in ``a`` where the probability below ``z`` stays.

    With ``F`` that probability and ``f`` its density it is ``-F_a / (z f)``. In ``t = z exp(-v)`` that is the integral
    over ``v > 0``, or over ``v < 0``, of ``exp(-a v - z (exp(-v) - 1)) (log z - v - ψ(a))``: the side is taken on which
    the integrand falls at once, and the integral is a sum at points of double exponential spacing (H. Takahasi and
    M. Mori, 1974).
    """
    points, weights = _quadrature(a.row)
    z = exp(log_z)
    is_left = z <= maximum(a, 1)
    side = where(is_left, constant(1, a.row), constant(-1, a.row))
    fall = where(is_left, maximum(a - z, 0), z - a)
    width = 2 / (fall + sqrt(fall * fall + 2 * z))
    width = where(is_left & (width > 1), 1 / a, width)
    is_near = z > 0.5 * a
    gap = where(is_near, log1p((where(is_near, z, a) - a) / a), log_z - log(a)) + _log_less_digamma(a)
    v = expand_dims(side * width, -1) * points
    body = exp(-expand_dims(a, -1) * v - expand_dims(z, -1) * expm1(-v)) * (expand_dims(gap, -1) - v)
    return -side * width * sum(body * weights, axis=-1)


def _log_less_digamma(a: Node) -> Node:
    """``log(a) - digamma(a)``; for large ``a``, where the two cancel, by DLMF 5.11.2."""
    is_large = a > 10
    far, near = where(is_large, a, 10), where(is_large, 10, a)
    square = 1 / (far * far)
    series = 0.5 / far + square * (1 / 12 - square * (1 / 120 - square / 252))
    return where(is_large, series, log(near) - digamma(near))


def _quadrature(row: DType) -> tuple[Node, Node]:
    """Points and weights for integrals from 0 of what falls as an exponential."""
    step = 0.125 if row.name == "float64" else 0.2
    s = np.arange(-3.6, 4.2, step)
    points = np.exp(s - np.exp(-s))
    weights = points * (1 + np.exp(-s)) * step
    return constant(points, row), constant(weights, row)


# The same in NumPy, an element at a time, for references


def reference_number(key: Any, place: int, work: Any) -> Any:
    """What ``inner`` gives at a place."""
    a, b = (np.array([x], np.uint64) for x in reference_block(key, place))
    return reference_inner(a, b, work)[0]


def _log_gamma_reference(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Any:
    *_, work, row = reference_draw(key, shape, dtype, a)
    sizes = np.shape(a) if shape is None else shape
    flat = np.broadcast_to(np.asarray(a, work), sizes).ravel().tolist()
    first, second = reference_folded(key, 0), reference_folded(key, 1)
    found = []
    for place, each in enumerate(flat):
        boosted = each + (each < 1)
        d, turn, value = boosted - 1 / 3, 0, 0.0
        while not value:
            a, b = (
                np.array([word], np.uint64)
                for word in reference_block(reference_folded(first, 2 * turn), place)
            )
            coin, p = reference_tail(a, b, work)
            x = float(special("ndtri")(p)[0]) * (1 if coin[0] else -1)
            u = float(reference_number(reference_folded(first, 2 * turn + 1), place, work))
            v = (1 + x / math.sqrt(9 * d)) ** 3
            if v > 0 and math.log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
                value = d * v
            turn += 1
        boost = math.log(float(reference_number(second, place, work))) / each if each < 1 else 0.0
        found.append(math.log(value) + boost)
    return np.array(found, work).reshape(sizes).astype(row)


def _gamma_reference(key: Any, a: Any, shape: Any = None, scale: Any = 1.0, dtype: Any = None) -> Any:
    row = np.dtype(dtype or getattr(a, "dtype", np.float32))
    return (np.exp(_log_gamma_reference(key, a, shape, row)) * np.asarray(scale, row)).astype(row)


# What users say

_FLOATS = ("float32", "float64")


@macro(
    namespace="random", dtypes=_FLOATS, sample=(0.3, 4), reference=_log_gamma_reference, differentiable=False,
    tolerance=64, cases=[case(KEY, draw(3)), case(KEY, 0.01, (2, 3)), case(KEY, draw(3), (0, 3))],
)  # fmt: skip
def log_gamma(
    key: ArrayLike, a: ArrayLike, shape: ShapeLike | None = None, dtype: DTypeLike | None = None
) -> Node:
    """Logarithms of numbers of the gamma distribution with shape parameter ``a``, where those would be too small.

    The gradient reaches ``a``.

    >>> evaluate(random.log_gamma(random.key(0), 0.001, 3))
    array([-4922.8496, -3869.1763,  -541.7851], dtype=float32)

    Raises what ``gamma`` raises.
    """
    draw = asked(key, shape, dtype, a)
    return draw.given(log_gamma_draw(draw))


@macro(
    namespace="random", dtypes=_FLOATS, sample=(0.3, 4), reference=_gamma_reference, differentiable=False,
    tolerance=64,
    cases=[case(KEY, draw(3)), case(KEY, draw(3), (2, 3), scale=2.0), case(KEY, 100.0, 3, dtype="float64"),
           case(KEY, draw(0))],
)  # fmt: skip
def gamma(
    key: ArrayLike,
    a: ArrayLike,
    shape: ShapeLike | None = None,
    scale: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the gamma distribution with shape parameter ``a`` and mean ``a * scale``.

    NaN where ``a`` is not positive. The shape is that of the parameters and the dtype theirs where none is given, and
    float32 of Python's numbers. The
    gradient reaches the parameters; in ``a`` it is right to 2e-6, and to 1e-9 in float64.

    >>> evaluate(random.gamma(random.key(0), 2.0, 3))
    array([0.62893564, 1.3431947 , 3.0146842 ], dtype=float32)

    Raises DTypeError for a dtype that holds no floats and for what is no key, ShapeError for parameters that do not fit
    the shape, ArgumentError for more than 2³² numbers.
    """
    draw = asked(key, shape, dtype, a, scale)
    return draw.given(exp(log_gamma_draw(draw)) * draw.params[1])


def _beta_reference(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None) -> Any:
    *_, work, row = reference_draw(key, shape, dtype, a, b)
    sizes = np.broadcast_shapes(np.shape(a), np.shape(b)) if shape is None else shape
    p, q = (
        _log_gamma_reference(reference_folded(key, n), np.broadcast_to(np.asarray(x, work), sizes))
        for n, x in enumerate((a, b))
    )
    return special("expit")(p - q).astype(row)


@macro(
    namespace="random", dtypes=_FLOATS, sample=(0.3, 4), reference=_beta_reference, differentiable=False,
    tolerance=64, cases=[case(KEY, draw(3), 2.0), case(KEY, draw(3), draw(2, 1), (2, 3)), case(KEY, 0.5, 0.5, (0,))],
)  # fmt: skip
def beta(
    key: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    shape: ShapeLike | None = None,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the beta distribution, of mean ``a / (a + b)``; the gradient reaches both parameters.

    >>> evaluate(random.beta(random.key(0), 2.0, 3.0, 3))
    array([0.5963484 , 0.3354505 , 0.51687765], dtype=float32)

    Raises what ``gamma`` raises.
    """
    draw = asked(key, shape, dtype, a, b)
    p, q = (
        log_gamma_draw(Asked(each, draw.shape, draw.row, (param,)))
        for each, param in zip(_two(draw.key), draw.params, strict=True)
    )
    return draw.given(sigmoid(p - q))


def _dirichlet_reference(key: Any, alpha: Any, shape: Any = None, dtype: Any = None) -> Any:
    sizes = alpha.shape if shape is None else (*np.atleast_1d(shape).astype(int), alpha.shape[-1])
    logs = _log_gamma_reference(key, alpha, sizes, dtype)
    parts = np.exp(logs - np.max(logs, -1, initial=-math.inf, keepdims=True))
    return (parts / np.sum(parts, -1, keepdims=True)).astype(logs.dtype)


@macro(
    namespace="random", dtypes=_FLOATS, sample=(0.3, 4), reference=_dirichlet_reference, differentiable=False,
    tolerance=64, cases=[case(KEY, draw(3)), case(KEY, draw(2, 3)), case(KEY, draw(3), 4), case(KEY, draw(3), (0,))],
)  # fmt: skip
def dirichlet(
    key: ArrayLike, alpha: ArrayLike, shape: ShapeLike | None = None, dtype: DTypeLike | None = None
) -> Node:
    """Vectors of positive numbers that add up to 1, of the Dirichlet distribution; ``alpha`` is positive.

    The result has the axes of ``shape``, by default those of ``alpha`` but the last, and that last one. The gradient
    reaches ``alpha``.

    >>> evaluate(random.dirichlet(random.key(0), [1.0, 2.0, 3.0]))
    array([0.3831839 , 0.20495864, 0.41185746])

    Raises ShapeError where ``alpha`` has no axes, and what ``gamma`` raises.
    """
    alpha = as_node(alpha)
    if alpha.ndim == 0:
        raise ShapeError("alpha is a vector, or vectors along the last axis")
    sizes = None if shape is None else (*as_shape(shape), alpha.shape[-1])
    draw = asked(key, sizes, dtype, alpha)
    return draw.given(softmax(log_gamma_draw(draw), axis=-1))


def _chisquare_reference(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Any:
    row = np.dtype(dtype or getattr(df, "dtype", np.float32))
    return 2 * _gamma_reference(
        key, np.asarray(df, row) / 2, np.shape(df) if shape is None else shape, 1.0, row
    )


@macro(
    namespace="random", dtypes=_FLOATS, sample=(0.3, 4), reference=_chisquare_reference, differentiable=False,
    tolerance=64, cases=[case(KEY, draw(3)), case(KEY, 5.0, (2, 3)), case(KEY, draw(0))],
)  # fmt: skip
def chisquare(
    key: ArrayLike, df: ArrayLike, shape: ShapeLike | None = None, dtype: DTypeLike | None = None
) -> Node:
    """Numbers of the χ² distribution: sums of ``df`` squares of standard normal numbers, for any positive ``df``.

    The gradient reaches ``df``.

    >>> evaluate(random.chisquare(random.key(0), 3.0, 3))
    array([0.69703245, 1.7995284 , 4.6793814 ], dtype=float32)

    Raises what ``gamma`` raises.
    """
    draw = asked(key, shape, dtype, df)
    halved = Asked(draw.key, draw.shape, draw.row, (draw.params[0] * 0.5,))
    return draw.given(2 * exp(log_gamma_draw(halved)))


def _student_reference(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Any:
    *_, work, row = reference_draw(key, shape, dtype, df)
    sizes = np.shape(df) if shape is None else shape
    half = np.broadcast_to(np.asarray(df, work) / 2, sizes)
    z = normal.reference(reference_folded(key, 0), sizes, dtype=work)  # type: ignore[operator]
    return (z * np.exp(0.5 * (np.log(half) - _log_gamma_reference(reference_folded(key, 1), half)))).astype(
        row
    )


@macro(
    namespace="random", dtypes=_FLOATS, sample=(0.6, 4), reference=_student_reference, differentiable=False,
    tolerance=64, cases=[case(KEY, draw(3)), case(KEY, 5.0, (2, 3)), case(KEY, draw(0))],
)  # fmt: skip
def student_t(
    key: ArrayLike, df: ArrayLike, shape: ShapeLike | None = None, dtype: DTypeLike | None = None
) -> Node:
    """Numbers of Student's t distribution with ``df`` degrees of freedom; the gradient reaches ``df``.

    >>> evaluate(random.student_t(random.key(0), 5.0, 3))
    array([-0.18256892,  1.9950614 ,  1.2883711 ], dtype=float32)

    Raises what ``gamma`` raises.
    """
    draw = asked(key, shape, dtype, df)
    (first, second), half = _two(draw.key), draw.params[0] * 0.5
    z = standard_normal(Asked(first, draw.shape, draw.work, ()))
    spread = log_gamma_draw(Asked(second, draw.shape, draw.row, (half,)))
    return draw.given(z * exp(0.5 * (log(half) - spread)))
