"""Draws of integers, booleans and places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, constant, size_value
from symgraph.graph.types import INT64, DType, as_shape, broadcast_shapes, dtype
from symgraph.ops.annotations import ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.axes import one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import FLOAT, INTEGERS, cast_to, macro
from symgraph.ops.random_bits import (
    KEY,
    MOST,
    UINT64,
    Key,
    as_key,
    joined,
    reference_block,
    reference_words,
    word,
    words,
)
from symgraph.ops.random_continuous import gumbel
from symgraph.ops.random_keys import folded
from symgraph.ops.random_uniform import asked, fitted, reference_draw, unit
from symgraph.ops.reduce import argmax
from symgraph.ops.shape import moveaxis


def _randint_reference(
    key: Any, shape: Any = None, low: Any = 0, high: Any = None, dtype: Any = "int64"
) -> Any:
    low, high = (0, low) if high is None else (low, high)
    shape = np.broadcast_shapes(np.shape(low), np.shape(high)) if shape is None else shape
    lows, highs = (np.broadcast_to(np.asarray(x, object), shape).ravel() for x in (low, high))
    numbers = isinstance(low, int) and isinstance(high, int)
    short = high - low <= 2**32 if numbers else np.dtype(dtype).itemsize < 8
    keys = [key] if short else [np.array(reference_block(key, n), np.uint32) for n in range(2)]
    found = []
    for place, (bottom, top) in enumerate(zip(lows, highs, strict=True)):
        whole = 0
        for each in keys:
            a, b = reference_block(each, place)
            whole = whole * 2**64 + a * 2**32 + b
        found.append(int(bottom) + (whole * int(top - bottom) >> 64 * len(keys)))
    return np.array(found, object).reshape(shape).astype(dtype)


_BETWEEN = [
    case(KEY, (2, 3), 10),
    case(KEY, (2, 3), -5, 2**31, dtype="int64"),
    case(KEY, (2, 3), -(2**63), 2**63),
    case(KEY, 5, 0, 2**64, dtype="uint64"),
    case(KEY, 5, 1, 3 * 2**60),
    *[case(KEY, 5, 0 if name[0] == "u" else -100, 127, dtype=name) for name in INTEGERS],
    case(KEY, (2, 3), draw(3, dtype="int32", interval=(-9, 0)), draw(2, 1, dtype="int32", interval=(1, 9))),
    case(KEY, low=draw(3, interval=(-9, 0)), high=draw(3, interval=(1, 9)), dtype="int32"),
    case(KEY, (0,), 3),
]


@macro(
    namespace="random", dtypes=("int64",), reference=_randint_reference, differentiable=False, cases=_BETWEEN
)
def randint(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    low: ArrayLike = 0,
    high: ArrayLike | None = None,
    dtype: DTypeLike = "int64",
) -> Node:
    """Integers from ``low`` up to ``high - 1``; from 0 up to ``low - 1`` where one bound is given.

    A probability differs from the same for all by less than 2⁻⁶⁴: a random fraction of 64 bits, or of 128 for more than
    2³² integers, is multiplied by their number. Bounds may be nodes; where no integer lies between, the result is
    ``low``.

    >>> evaluate(random.randint(random.key(0), 5, 1, 7))
    array([3, 2, 6, 4, 4])

    Raises DTypeError for a dtype or bounds of other kinds, ArgumentError for numbers between which no integer lies, or
    which the dtype does not hold, ShapeError for bounds that do not fit the shape.
    """
    row, pair = dtype_of(dtype), as_key(key)
    low, high = (0, low) if high is None else (low, high)
    if isinstance(low, int) and isinstance(high, int):
        _check_bounds(low, high, row)
        sizes = as_shape(shape)
        span: Node | None = constant(high - low, UINT64) if high - low < 2**64 else None
        start, is_short = constant(low % 2**64, UINT64), high - low <= MOST
    else:
        bottom, top = as_node(low), as_node(high)
        for x in (bottom, top):
            if not x.row.is_integer:
                raise DTypeError(f"bounds are integers, not {x.type}")
        sizes = broadcast_shapes(bottom.shape, top.shape) if shape is None else as_shape(shape)
        start, is_short = fitted(astype(bottom, UINT64), sizes), row.bits < 64
        span = fitted(where(top > bottom, astype(top, UINT64) - astype(bottom, UINT64), 0), sizes)
    if is_short:
        assert span is not None
        return astype(_below(pair, sizes, span) + start, row)
    return astype(_below_wide(pair, sizes, span) + start, row)


def dtype_of(spec: DTypeLike) -> DType:
    """A dtype of integers; raises DTypeError for others."""
    row = dtype(spec)
    if not row.is_integer:
        raise DTypeError(f"draws integers, not {row.name}")
    return row


def _check_bounds(low: int, high: int, row: DType) -> None:
    bounds = np.iinfo(row.numpy)
    if low >= high:
        raise ArgumentError(f"no integer lies from {low} up to and without {high}")
    if low < bounds.min or high - 1 > bounds.max:
        raise ArgumentError(f"{row.name} does not hold the integers from {low} up to {high - 1}")


def below(key: Key, shape: tuple[Dim, ...], count: Dim) -> Node:
    """Integers below a size, int64; each with the same probability but for less than 2⁻⁶⁴."""
    if isinstance(count, int) and count <= MOST:
        return astype(_below(key, shape, constant(count, UINT64)), INT64)
    span = astype(size_value(count), UINT64)
    return astype(_upper_product(joined(*words(key, shape)), span), INT64)


def _below(key: Key, shape: tuple[Dim, ...], span: Node) -> Node:
    """Integers below a span of at most 2³², as uint64."""
    a, b = (astype(x, UINT64) for x in words(key, shape))
    return (a * span + ((b * span) >> 32)) >> 32


def _below_wide(key: Key, shape: tuple[Dim, ...], span: Node | None) -> Node:
    """Integers below any span, or all of 64 bits where it is None."""
    upper, lower = (joined(*words(folded(key, as_node(n)), shape)) for n in range(2))
    if span is None:
        return upper
    first, rest = upper * span, _upper_product(lower, span)
    carry = astype(first + rest < first, UINT64)
    return _upper_product(upper, span) + carry


def _upper_product(x: Node, y: Node) -> Node:
    """The upper 64 bits of the product of two uint64."""
    mask = 0xFFFFFFFF
    x1, x0, y1, y0 = x >> 32, x & mask, y >> 32, y & mask
    cross, other = x1 * y0, x0 * y1
    middle = ((x0 * y0) >> 32) + (cross & mask) + (other & mask)
    return x1 * y1 + (cross >> 32) + (other >> 32) + (middle >> 32)


def _bernoulli_reference(key: Any, p: Any = 0.5, shape: Any = None) -> Any:
    a, b, work, _ = reference_draw(key, shape, None, p)
    if work == np.float64:
        return (((a << np.uint64(32)) | b) >> np.uint64(11)) * 2.0**-53 < p
    return ((a ^ b) >> np.uint64(8)) * 2.0**-24 < p


@macro(
    namespace="random", dtypes=("float32", "float64"), reference=_bernoulli_reference, sample=(0, 1),
    differentiable=False,
    cases=[case(KEY, 0.5, (2, 3)), case(KEY, draw(3), (2, 3)), case(KEY, draw(2)), case(KEY, 0.0, 4),
           case(KEY, 1.0, 4)],
)  # fmt: skip
def bernoulli(key: ArrayLike, p: ArrayLike = 0.5, shape: ShapeLike | None = None) -> Node:
    """True with probability ``p``, to the next multiple of 2⁻²⁴, or of 2⁻⁵³ where ``p`` is float64: never for 0.

    The shape is that of ``p`` where none is given. ``p`` gets no gradient.

    >>> evaluate(random.bernoulli(random.key(0), 0.6, 5))
    array([False, False,  True,  True,  True])

    Raises DTypeError and ShapeError for what is no key, ShapeError for ``p`` that does not fit the shape, ArgumentError
    for more than 2³² numbers.
    """
    draw = asked(key, shape, None, p)
    return unit(replace(draw, row=draw.work)) < draw.params[0]


def _rademacher_reference(key: Any, shape: Any = (), dtype: Any = "int32") -> Any:
    a, b = reference_words(key, int(np.prod(shape)))
    return np.where((a ^ b) & np.uint64(1), 1, -1).astype(dtype).reshape(shape)


@macro(
    namespace="random", dtypes=("int32",), reference=_rademacher_reference, differentiable=False,
    cases=[case(KEY, (2, 3)), case(KEY, 4, dtype="float32"), case(KEY)],
)  # fmt: skip
def rademacher(key: ArrayLike, shape: ShapeLike = (), dtype: DTypeLike = "int32") -> Node:
    """1 or -1, both with the same probability, in a signed dtype.

    >>> evaluate(random.rademacher(random.key(0), 5))
    array([ 1, -1, -1,  1,  1], dtype=int32)

    Raises DTypeError for a dtype without -1 and for what is no key, ArgumentError for more than 2³² numbers.
    """
    row = _signed(dtype)
    return where((word(as_key(key), as_shape(shape)) & 1) == 1, constant(1, row), constant(-1, row))


def _signed(spec: DTypeLike) -> DType:
    row = dtype(spec)
    if row.kind in ("bool", "uint"):
        raise DTypeError(f"{row.name} has no -1")
    return row


def _categorical_reference(key: Any, logits: Any, axis: Any = -1, shape: Any = None) -> Any:
    logits = np.moveaxis(np.asarray(logits), axis, -1)
    shape = logits.shape[:-1] if shape is None else shape
    sizes = (*np.atleast_1d(shape).astype(int), logits.shape[-1])
    noise = gumbel.reference(key, sizes, dtype=logits.dtype)  # type: ignore[operator]
    return np.argmax(noise + logits, -1)


@macro(
    namespace="random", dtypes=("float32", "float64"), reference=_categorical_reference, differentiable=False,
    cases=[case(KEY, draw(5)), case(KEY, draw(2, 5)), case(KEY, draw(5, 3), axis=0), case(KEY, draw(5), shape=(4,)),
           case(KEY, draw(2, 5), shape=(3, 2))],
)  # fmt: skip
def categorical(key: ArrayLike, logits: ArrayLike, axis: int = -1, shape: ShapeLike | None = None) -> Node:
    """Places along an axis, int64, each with the probability that ``softmax(logits, axis)`` has there.

    The place of the largest sum of a logit and a Gumbel number is taken, so that no exponential can overflow; -inf is
    never taken unless all are. ``shape`` is that of the result: by default that of the logits without the axis,
    with which it broadcasts. Logits get no gradient.

    >>> evaluate(random.categorical(random.key(0), [0.0, 1.0, 2.0], shape=5))
    array([1, 2, 2, 2, 2])

    Raises DTypeError for logits that are no floats, DTypeError and ShapeError for what is no key, ShapeError for logits
    that do not fit the shape, ArgumentError for more than 2³² numbers.
    """
    logits = as_node(logits)
    logits = moveaxis(cast_to(logits, FLOAT.row(logits.row)), one_axis(axis, logits), -1)
    *batch, count = logits.shape
    sizes = tuple(batch) if shape is None else as_shape(shape)
    noise = gumbel(key, (*sizes, count), dtype=logits.row)
    return argmax(noise + fitted(logits, (*sizes, count)), axis=-1)
