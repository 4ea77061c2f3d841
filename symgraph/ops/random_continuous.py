"""Draws of floats by the inverse of a distribution function, one number for each block of random bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.ops.annotations import ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.arithmetic import where
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import macro
from symgraph.ops.math import clip
from symgraph.ops.random_bits import KEY
from symgraph.ops.random_uniform import (
    Asked,
    asked,
    inner,
    placed,
    reference_draw,
    reference_inner,
    reference_tail,
    tail,
)
from symgraph.ops.scipy_door import special
from symgraph.ops.special import ndtr, ndtri
from symgraph.ops.transcendental import log, log1p, tan

_FLOATS = ("float32", "float64")
_PLACED = [
    case(KEY, (2, 3)),
    case(KEY, (2, 3), draw(3), draw(2, 1, interval=(0.5, 2))),
    case(KEY, loc=draw(3), scale=2.0),
    case(KEY, 4, dtype="float64"),
    case(KEY, 4, dtype="float16"),
    case(KEY, (3, 0)),
    case(KEY, ()),
]


def _by_tail(inverse: Any) -> Any:
    """The reference of `_to_either_side`."""

    def draw(key: Any, shape: Any = None, loc: Any = 0.0, scale: Any = 1.0, dtype: Any = None) -> Any:
        a, b, work, row = reference_draw(key, shape, dtype, loc, scale)
        coin, p = reference_tail(a, b, work)
        z = np.where(coin, inverse(p), -inverse(p))
        return (np.asarray(loc, work) + np.asarray(scale, work) * z).astype(row)

    return draw


def _by_inverse(inverse: Any) -> Any:
    """A reference: ``inverse`` of a probability."""

    def draw(key: Any, shape: Any = None, loc: Any = 0.0, scale: Any = 1.0, dtype: Any = None) -> Any:
        a, b, work, row = reference_draw(key, shape, dtype, loc, scale)
        z = inverse(reference_inner(a, b, work))
        return (np.asarray(loc, work) + np.asarray(scale, work) * z).astype(row)

    return draw


@macro(namespace="random", dtypes=_FLOATS, cases=_PLACED, tolerance=4, reference=_by_tail(special("ndtri")))
def normal(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the normal distribution with mean ``loc`` and standard deviation ``scale``.

    Each is ``ndtri`` of a probability of 32 bits, or 64 for float64, whose tails have all digits: standard ones go to
    ±6.3, and to ±9.1 in float64. 16-bit floats are rounded from float32. The shape is that of the parameters and the
    dtype theirs where none is given, and float32 of Python's numbers. The gradient reaches the parameters.

    >>> evaluate(random.normal(random.key(0), 3))
    array([-0.06563663,  0.02684929,  0.9695086 ], dtype=float32)

    Raises DTypeError for a dtype that holds no floats and for what is no key, ShapeError for parameters that do not fit
    the shape, ArgumentError for more than 2³² numbers.
    """
    draw = asked(key, shape, dtype, loc, scale)
    return draw.given(placed(standard_normal(draw), *draw.params))


def standard_normal(draw: Asked) -> Node:
    """The draw with mean 0 and standard deviation 1, in the dtype that is worked in."""
    return _to_either_side(draw, ndtri)


def _to_either_side(draw: Asked, inverse: Callable[[Node], Node]) -> Node:
    """``inverse`` of the probability of the nearer tail, on the side that a coin says."""
    coin, p = tail(draw)
    z = inverse(p)
    return where(coin, z, -z)


def _truncated_reference(key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None) -> Any:
    a, b, work, row = reference_draw(key, shape, dtype, lower, upper)
    bottom, top = np.asarray(lower, work), np.asarray(upper, work)
    turned = bottom + top > 0
    left, right = np.where(turned, -top, bottom), np.where(turned, -bottom, top)
    below, above = special("ndtr")(left), special("ndtr")(right)
    z = np.clip(special("ndtri")(below + (above - below) * reference_inner(a, b, work)), left, right)
    return np.where(turned, -z, z).astype(row)


@macro(
    namespace="random", dtypes=_FLOATS, tolerance=8,
    reference=_truncated_reference,
    cases=[
        case(KEY, -1.0, 2.0, (2, 3)),
        case(KEY, draw(3, interval=(-3, -1)), draw(2, 1, interval=(0, 2))),
        case(KEY, draw(interval=(3, 4)), math.inf, 4),
        case(KEY, -math.inf, draw(interval=(-4, -3)), 4),
        case(KEY, 1.0, 2.0, (0,), dtype="float64"),
    ],
)  # fmt: skip
def truncated_normal(
    key: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    shape: ShapeLike | None = None,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the standard normal distribution between two bounds, which may be infinite.

    NaN where the probability of the interval is too small for a float: beyond ±13, and ±38 in float64. The gradient
    reaches the bounds.

    >>> evaluate(random.truncated_normal(random.key(0), 1.0, 2.0, 3))
    array([1.0298384, 1.012104 , 1.4915372], dtype=float32)

    Raises what ``normal`` raises.
    """
    draw = asked(key, shape, dtype, lower, upper)
    bottom, top = draw.params
    turned = bottom + top > 0  # the interval is taken where probabilities are small and have all digits
    left, right = where(turned, -top, bottom), where(turned, -bottom, top)
    below, above = ndtr(left), ndtr(right)
    z = clip(ndtri(below + (above - below) * inner(draw)), left, right)
    z = where(above > below, where(turned, -z, z), math.nan)
    return draw.given(z)


def _exponential_reference(key: Any, shape: Any = None, scale: Any = 1.0, dtype: Any = None) -> Any:
    row = np.dtype(dtype or getattr(scale, "dtype", np.float32))
    return _by_inverse(lambda p: -np.log(p))(
        key, np.shape(scale) if shape is None else shape, 0.0, scale, row
    )


@macro(
    namespace="random", dtypes=_FLOATS, reference=_exponential_reference,
    cases=[
        case(KEY, (2, 3)), case(KEY, (2, 3), draw(3, interval=(0.5, 2))), case(KEY, 4, dtype="float64"),
        case(KEY, (0,)),
    ],
)  # fmt: skip
def exponential(
    key: ArrayLike, shape: ShapeLike | None = None, scale: ArrayLike = 1.0, dtype: DTypeLike | None = None
) -> Node:
    """Positive numbers of the exponential distribution with mean ``scale``: up to 22.9 of it, and 45 in float64.

    The gradient reaches the scale.

    >>> evaluate(random.exponential(random.key(0), 3))
    array([0.05375198, 0.0216528 , 1.1017427 ], dtype=float32)

    Raises what ``normal`` raises.
    """
    draw = asked(key, shape, dtype, 0.0, scale)
    return draw.given(placed(-log(inner(draw)), *draw.params))


@macro(
    namespace="random", dtypes=_FLOATS, cases=_PLACED,
    reference=_by_tail(lambda p: np.log(2 * p)),
)  # fmt: skip
def laplace(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the Laplace distribution: ``loc`` and an exponential number of mean ``scale`` to either side.

    The gradient reaches the parameters.

    >>> evaluate(random.laplace(random.key(0), 3))
    array([-0.05375198,  0.0216528 ,  1.1017427 ], dtype=float32)

    Raises what ``normal`` raises.
    """
    draw = asked(key, shape, dtype, loc, scale)
    return draw.given(placed(_to_either_side(draw, lambda p: log(2 * p)), *draw.params))


@macro(
    namespace="random", dtypes=_FLOATS, cases=_PLACED, tolerance=2,
    reference=_by_tail(lambda p: np.log(p) - np.log1p(-p)),
)  # fmt: skip
def logistic(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the logistic distribution, ``sigmoid((x - loc) / scale)`` being the probability below ``x``.

    The gradient reaches the parameters.

    >>> evaluate(random.logistic(random.key(0), 3))
    array([-0.10476142,  0.04284668,  1.6131933 ], dtype=float32)

    Raises what ``normal`` raises.
    """
    draw = asked(key, shape, dtype, loc, scale)
    return draw.given(placed(_to_either_side(draw, lambda p: log(p) - log1p(-p)), *draw.params))


@macro(
    namespace="random", dtypes=_FLOATS, cases=_PLACED, tolerance=2,
    reference=_by_inverse(lambda p: -np.log(-np.log1p(-p))),
)  # fmt: skip
def gumbel(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the Gumbel distribution of largest values: ``loc - scale * log(e)`` for exponential numbers ``e``.

    Standard ones go from -2.8 to 22.9, and from -3.6 to 45 in float64. The gradient reaches the parameters.

    >>> evaluate(random.gumbel(random.key(0), 3))
    array([-1.0818495, -1.3463645,  0.9065792], dtype=float32)

    Raises what ``normal`` raises.
    """
    draw = asked(key, shape, dtype, loc, scale)
    return draw.given(placed(-log(-log1p(-inner(draw))), *draw.params))


@macro(
    namespace="random", dtypes=_FLOATS, cases=_PLACED, tolerance=8,
    reference=_by_tail(lambda p: -1 / np.tan(p.dtype.type(np.pi) * p)),
)  # fmt: skip
def cauchy(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers of the Cauchy distribution around ``loc``, half of them within ``scale`` of it.

    The gradient reaches the parameters.

    >>> evaluate(random.cauchy(random.key(0), 3))
    array([-0.08238997,  0.03365924,  1.7386154 ], dtype=float32)

    Raises what ``normal`` raises.
    """
    draw = asked(key, shape, dtype, loc, scale)
    return draw.given(placed(_to_either_side(draw, lambda p: -1 / tan(math.pi * p)), *draw.params))
