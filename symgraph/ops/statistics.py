"""Averages, spread, order statistics and histograms."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from math import prod as product

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, OutOfBoundsError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node, constant, size_value
from symgraph.graph.types import BOOL, FLOAT64, INT64, DType, TensorType, as_shape
from symgraph.graph.types import dtype as dtype_row
from symgraph.ops.axes import many_axes, one_axis, reduced_shape
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw, in_float32, reduction_cases
from symgraph.ops.declare import ALL, COMPLEXES, FLOATS, INTEGERS, _settled, cast_to, macro, op
from symgraph.ops.index import take
from symgraph.ops.join import concat
from symgraph.ops.primitives import (
    astype,
    conj,
    floor,
    isinf,
    isnan,
    logical_and,
    logical_or,
    maximum,
    minimum,
    not_equal,
    real,
    rint,
    sqrt,
    where,
)  # fmt: skip
from symgraph.ops.reduce import ReduceAttrs, kept, sum, widened
from symgraph.ops.shape import expand_dims, reshape, transpose
from symgraph.ops.sort import searchsorted, sort

_REALS = ("bool", *INTEGERS, *FLOATS)

# Averages and spread


@op(ReduceAttrs, onnx="ReduceMean", dtypes=ALL, reference=in_float32("mean"), cases=reduction_cases())
def mean(x, axis=None, dtype=None, keepdims=False):
    """The arithmetic mean over axes, over all by default; NaN over nothing.

    Of integers and bools in float64; 16-bit floats are averaged in float32.

    >>> evaluate(mean([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([2., 3.])
    """
    x = as_node(x)
    x, axes = _as_inexact(x, dtype), many_axes(axis, x)
    return mean.op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@mean.body
def mean(x, axes, keepdims):
    if not x.row.is_inexact:
        raise DTypeError(f"takes floating-point or complex values, not {x.row.name}")
    total = sum.op(widened(x), axes=axes, keepdims=keepdims)
    return cast_to(total / _count(x, axes, total.row), x.row)


def _var_reference(x, axis=None, dtype=None, ddof=0, keepdims=False, correction=None):
    ddof = ddof if correction is None else correction
    return in_float32("var")(x, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)


def _std_reference(x, axis=None, dtype=None, ddof=0, keepdims=False, correction=None):
    ddof = ddof if correction is None else correction
    return in_float32("std")(x, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)


_VAR_CASES = [
    *reduction_cases(),
    case(draw(2, 3), axis=1, ddof=1),
    case(draw(2, 3), axis=1, correction=0.5, keepdims=True),
]
_STD_CASES = [  # off variance 0, where there is no gradient
    case(draw(5)),
    case(draw(2, 3), axis=1, ddof=1),
    case(draw(2, 3), axis=0, correction=0.5, keepdims=True),
    case(draw(2, 3, 4), axis=(0, -1)),
    case(draw(2, 3), keepdims=True),
    case(draw(0, 3), axis=1),
    case(draw(0)),
]


@op(ReduceAttrs, dtypes=ALL, reference=_var_reference, cases=_VAR_CASES)
def var(x, axis=None, dtype=None, ddof=0, keepdims=False, correction=None):
    """The variance over axes: the sum of ``abs(x - mean(x))**2``, over ``n - ddof``.

    ``correction`` is the Array API's name for ``ddof``. Made in two passes, so that a large mean costs no accuracy.
    Of integers and bools in float64; 16-bit floats are treated in float32. A divisor that is not positive counts as
    0, and gives NaN or inf.

    >>> evaluate(var([1.0, 2.0, 3.0, 4.0]))
    array(1.25)
    """
    x = as_node(x)
    x, axes = _as_inexact(x, dtype), many_axes(axis, x)
    if correction is not None and not (isinstance(ddof, int) and ddof == 0):
        raise ArgumentError("ddof and correction are the same; give one")
    ddof = as_node(ddof if correction is None else correction)
    if ddof.row.is_complex or ddof.shape:
        raise ArgumentError(f"ddof is a real number, not {ddof.type}")
    return var.op(x, cast_to(ddof, real(widened(x)).row), axes=axes, keepdims=bool(keepdims))


@var.body
def var(x, ddof, axes, keepdims):
    if not x.row.is_inexact:
        raise DTypeError(f"takes floating-point or complex values, not {x.row.name}")
    off = _centred(x, axes)
    total = sum.op(real(off * conj(off)), axes=axes, keepdims=keepdims) if axes else real(off * conj(off))
    return cast_to(total / _freedom(x, ddof, axes), real(x).row)


@var.vjp
def var(g, x, ddof, out, axes, keepdims):
    freedom = _freedom(x, ddof, axes)
    slope = kept(g, axes, keepdims) * (2 / freedom) * _centred(x, axes)
    of_ddof = g * out / freedom
    return slope, sum.op(
        of_ddof, axes=tuple(range(of_ddof.ndim)), keepdims=False
    ) if of_ddof.ndim else of_ddof


@macro(dtypes=ALL, reference=_std_reference, cases=_STD_CASES)
def std(x, axis=None, dtype=None, ddof=0, keepdims=False, correction=None):
    """The standard deviation over axes: the square root of ``var``.

    Where it is 0 its gradient is NaN, as in JAX: the square root has no slope there.

    >>> evaluate(std([1.0, 2.0, 3.0, 4.0], ddof=1))
    array(1.29099445)
    """
    return sqrt(var(x, axis, dtype, ddof, keepdims, correction))


def _average_reference(x, axis=None, weights=None, keepdims=False):
    return np.average(x, axis, np.asarray(weights) if weights is not None else None, keepdims=keepdims)


@macro(
    dtypes=(*FLOATS, *COMPLEXES), reference=in_float32(_average_reference),
    cases=[
        case(draw(2, 3)),
        case(draw(2, 3), axis=0),
        case(draw(2, 3), axis=1, weights=draw(3, interval=(0.5, 2))),
        case(draw(2, 3), weights=draw(2, 3, interval=(0.5, 2)), keepdims=True),
        case(draw(2, 3, 4), axis=(0, 2), weights=draw(2, 3, 4, interval=(0.5, 2))),
    ],
)  # fmt: skip
def average(x, axis=None, weights=None, keepdims=False):
    """The weighted mean over axes; ``weights`` are of the shape of ``x``, or a vector along the one axis.

    >>> evaluate(average([1.0, 2.0], weights=[3.0, 1.0]))
    array(1.25)
    """
    x = as_node(x)
    if weights is None:
        return mean(x, axis, keepdims=keepdims)
    weights, axes = as_node(weights), many_axes(axis, x)
    if weights.ndim == 1 and x.ndim > 1:
        if len(axes) != 1:
            raise ShapeError(f"weights {weights.type} for {x.type} need one axis")
        weights = expand_dims(weights, tuple(range(1, x.ndim - axes[0])))
    elif weights.ndim != x.ndim:
        raise ShapeError(f"weights {weights.type} do not fit {x.type}")
    weights = broadcast_to(weights, x.shape)
    return sum(x * weights, axes, keepdims=keepdims) / sum(weights, axes, keepdims=keepdims)


# Order statistics


@macro(
    dtypes=_REALS, reference=in_float32("median"),
    cases=[case(draw(6)), *reduction_cases(empty=False)],
)  # fmt: skip
def median(x, axis=None, keepdims=False):
    """The middle element in order over axes, or the mean of the middle two; NaN when one is NaN.

    Of integers and bools in float64. Over an axis of size 0 it raises.

    >>> evaluate(median([3.0, 1.0, 2.0, 9.0]))
    array(2.5)
    """
    x = as_node(x)
    rows, axes = _first_axis(x, axis)
    size = rows.shape[0]
    found = _as_inexact(rows, None)
    low, high = (widened(take(found, _place(at), 0)) for at in ((size - 1) // 2, size // 2))
    middle = low if same((size - 1) // 2, size // 2) else (low + high) / 2
    if middle is not low and same(size % 2, 0) is None:
        middle = where(size_value(size % 2) == 1, low, middle)
    middle = cast_to(_unless_nan(middle, found), found.row)
    return reshape(middle, reduced_shape(x.shape, axes, True)) if keepdims else middle


def _quantile_reference(name):
    """NumPy's, whose differences of float32 are rounded to float32 even where the result is float64."""

    def reference(x, q, **kwargs):
        row = getattr(np, name)(x.astype(np.float32) if x.dtype.kind == "V" else x, q, **kwargs).dtype
        found = getattr(np, name)(x.astype(np.float64) if x.dtype.kind in "fV" else x, q, **kwargs)
        narrow = row == np.float32 and x.dtype.kind == "V"
        return found.astype(x.dtype if narrow else row)

    return reference


_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")
_QUANTILE_CASES = [
    case(draw(7), 0.3),
    case(draw(7), 0.5),
    case(draw(7), [0.0, 0.25, 1.0]),
    case(draw(2, 5), 0.3, axis=0),
    case(draw(2, 5), [0.3, 0.9], axis=-1, keepdims=True),
    case(draw(2, 3, 4), [[0.1, 0.2], [0.3, 0.4]], axis=(0, 2)),
    case(draw(1), 0.7),
    case(draw(0, 3), 0.5, axis=1),
    *(case(draw(2, 5), [0.1, 0.5, 0.625, 0.9], axis=1, method=method) for method in _METHODS),
]
_PERCENTILE_CASES = [
    case(draw(7), 30),
    case(draw(7), 50.0),
    case(draw(2, 5), [0, 30, 90], axis=-1, keepdims=True),
    *(case(draw(2, 5), [10.0, 50.0, 62.5, 90.0], axis=1, method=method) for method in _METHODS),
]


@macro(dtypes=_REALS[1:], reference=_quantile_reference("quantile"), cases=_QUANTILE_CASES)
def quantile(x, q, axis=None, method="linear", keepdims=False):
    """The value below which the fraction ``q`` of the elements over axes lies; NaN when an element is NaN.

    The axes of ``q`` come first in the result. Between two elements ``method`` decides: ``"linear"``, ``"lower"``,
    ``"higher"``, ``"nearest"`` or ``"midpoint"``, with NumPy's meanings. A ``q`` that is a node and outside of 0 to 1
    counts as 0 or 1. Over an axis of size 0 it raises.

    >>> evaluate(quantile([1.0, 2.0, 4.0], [0.5, 0.75]))
    array([2., 3.])

    Definition: Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50, 1996, no. 7.
    """
    return _quantile(x, q, 1, axis, method, keepdims)


@macro(dtypes=_REALS[1:], reference=_quantile_reference("percentile"), cases=_PERCENTILE_CASES)
def percentile(x, q, axis=None, method="linear", keepdims=False):
    """``quantile`` with ``q`` in hundredths, from 0 to 100.

    >>> evaluate(percentile([1.0, 2.0, 4.0], 75))
    array(3.)
    """
    return _quantile(x, q, 100, axis, method, keepdims)


def _quantile(x, q, unit: int, axis, method: str, keepdims):
    x = as_node(x)
    if method not in _METHODS:
        raise ArgumentError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    q, row = _fractions(x, q, unit)
    rows, axes = _first_axis(x, axis)
    last = _place(rows.shape[0] - 1)
    position = minimum(maximum(astype(q, FLOAT64), 0) * last, last)
    tail = reduced_shape(x.shape, axes, bool(keepdims))

    def at(index: Node):
        return take(rows, astype(index, INT64), 0)

    match method:
        case "lower":
            found = at(floor(position))
        case "higher":
            found = at(minimum(floor(position) + (position > floor(position)), last))
        case "nearest":
            found = at(rint(position))
        case _:
            low = floor(position)
            between = position - low if method == "linear" else where(position == low, 0.0, 0.5)
            between = reshape(cast_to(between, row), (*q.shape, *[1] * (rows.ndim - 1)))
            low, high = (widened(cast_to(at(i), row)) for i in (low, minimum(low + 1, last)))
            found = cast_to(_between(low, high, widened(between)), row)
    found = _unless_nan(found, rows)
    return reshape(found, (*q.shape, *tail)) if keepdims else found


def _fractions(x: Node, q, unit: int) -> tuple[Node, DType]:
    """``q`` from 0 to 1, and the dtype of what is interpolated with it."""
    weak = type(q) in (int, float)
    if not isinstance(q, Node):
        given = np.asarray(q)
        if given.dtype.kind not in "iuf" or not np.all((given >= 0) & (given <= unit)):
            raise ArgumentError(f"q is from 0 to {unit}, not {q!r}")
        q = as_node(given / unit)
    elif not (q.row.is_float or q.row.is_integer):
        raise DTypeError(f"q is a real number, not {q.type}")
    else:
        q = q / unit if unit != 1 else q
    row = _settled((x.row, float if weak else q.row))[0]
    return q, row if row.is_inexact else FLOAT64


def _between(low: Node, high: Node, t: Node):
    """From ``low`` at ``t == 0`` to ``high`` at ``t == 1``, reaching both exactly, infinities too."""
    endless = isinf(low)
    at_low = logical_or(
        logical_and(endless, high != -low), logical_and(logical_or(endless, isinf(high)), t == 0)
    )
    step = where(at_low, 0, high - low)
    return where(logical_or(t < 0.5, endless), low + step * t, high - step * (1 - t))


def _first_axis(x: Node, axis) -> tuple[Node, tuple[int, ...]]:
    """``x`` with the axes to reduce brought together in front as one, in order along it."""
    if x.row.is_complex:
        raise DTypeError(f"takes real values, not {x.row.name}: complex numbers have no order")
    axes = many_axes(axis, x)
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    size = product((x.shape[i] for i in axes), start=1)
    if size == 0 and isinstance(size, int):
        raise ShapeError(f"{x.type} has nothing to choose from")
    rows = x if axes == (0,) else reshape(transpose(x, axes + rest), (size, *(x.shape[i] for i in rest)))
    return sort(rows, 0), axes


def _unless_nan(found: Node, rows: Node):
    """NaN where the last of the sorted rows is one."""
    if not rows.row.is_float:
        return found
    last = take(rows, _place(rows.shape[0] - 1), 0)
    return where(isnan(last), cast_to(last, found.row), found)


# Histograms


@dataclass(frozen=True, slots=True)
class BincountAttrs(Attrs):
    length: Dim


def _bincount_reference(x, weights=None, *, length):
    return np.bincount(x, weights, length).astype(np.int64 if weights is None else weights.dtype)


@op(
    BincountAttrs, dtypes=FLOATS, reference=_bincount_reference,
    cases=[
        case(draw(6, interval=(0, 4), dtype="int64"), length=5),
        case(draw(6, interval=(0, 4), dtype="int64"), draw(6), length=5),
        case(draw(3, interval=(0, 1), dtype="uint8"), draw(3), length=7),
        case(draw(0, interval=(0, 1), dtype="int64"), length=2),
    ],
)  # fmt: skip
def bincount(x, weights=None, *, length):
    """How often each of the integers from 0 to ``length - 1`` comes in a vector, or the sum of its weights.

    Raises OutOfBoundsError at the call for any other integer.

    >>> evaluate(bincount([0, 2, 2], length=4))
    array([1, 0, 2, 0])
    """
    x = as_node(x)
    if not (x.row.is_integer or x.row is BOOL):
        raise DTypeError(f"counts integers, not {x.row.name}")
    weights = as_node(1) if weights is None else as_node(weights)
    if weights.row is BOOL:
        weights = cast_to(weights, INT64)
    weights = broadcast_to(weights, x.shape) if weights.ndim == 0 else weights
    return bincount.op(cast_to(x, INT64), weights, length=as_shape(length)[0])


@bincount.infer
def bincount(x, weights, length):
    if x.rank != 1 or weights.rank != 1 or same(x.shape[0], weights.shape[0]) is False:
        raise ShapeError("takes a vector, and weights of its size")
    if x.dtype is not INT64 or weights.dtype is BOOL:
        raise DTypeError("takes int64, and numeric weights")
    return TensorType(weights.dtype, (length,))


@bincount.numpy
def bincount(x, weights, length):
    if x.shape != weights.shape:
        raise ShapeError(f"{x.shape[0]} integers have {weights.shape[0]} weights")
    if x.size and (x.min() < 0 or x.max() >= length):
        raise OutOfBoundsError(f"integers from {x.min()} to {x.max()} do not lie below {length}")
    wide = np.float32 if weights.dtype.kind in "fV" and weights.dtype.itemsize == 2 else weights.dtype
    counts = np.zeros(length, wide)
    np.add.at(counts, x, weights.astype(wide, copy=False))
    return counts.astype(weights.dtype, copy=False)


@bincount.vjp
def bincount(g, x, weights, out, length):
    return None, take(g, x, 0)


_EDGES = [-2.5, -1.25, 0.25, 2.0]


def _histogram_reference(x, bins=10, range=None, density=None, weights=None):
    counts, edges = np.histogram(
        x, np.asarray(bins) if isinstance(bins, list) else bins, range, density, weights
    )
    return counts.astype(weights.dtype) if weights is not None and not density else counts, edges


@macro(
    dtypes=("float32", "float64"), reference=_histogram_reference,
    cases=[
        case(draw(20), _EDGES),
        case(draw(4, 5), _EDGES, density=True),
        case(draw(20), _EDGES, weights=draw(20)),
        case(draw(20), 4, range=(-2.1, 2.3)),
        case(draw(0), _EDGES),
        case(draw(), _EDGES),
    ],
)  # fmt: skip
def histogram(x, bins, range=None, density=None, weights=None):
    """How many elements lie between consecutive edges, or the sum of their weights; and the edges.

    ``bins`` are the edges, which must rise, or the number of equal bins over ``range``. A bin has its lower edge, the
    last bin both. ``density`` divides by the total and the widths. Gradients reach the weights.

    >>> evaluate(histogram([1.0, 2.0, 2.5, 9.0], [1.0, 2.0, 3.0])[0])
    array([1, 2])
    """
    x = as_node(x)
    edges = _edges(bins, range, _settled((x.row, float))[0])
    count = edges.shape[0] - 1
    x = reshape(x, (x.size,))
    lowest, highest = take(edges, 0, 0), take(edges, _place(count), 0)
    places = minimum(searchsorted(edges, x, side="right") - 1, _place(count - 1))  # the last edge is inside
    inside = logical_and(x >= lowest, x <= highest)
    places = where(inside, places, _place(count))
    if weights is not None:
        weights = as_node(weights)
        if weights.ndim != 1:
            weights = reshape(weights, (weights.size,))
    counts = bincount(places, weights, length=count + 1)[:-1]
    if density:
        counts = counts / diff(edges) / sum(counts)
    return counts, edges


def _edges(bins, range_, row: DType) -> Node:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if range_ is None:
            raise ArgumentError(
                "a number of bins needs range=(lowest, highest): edges do not depend on the data"
            )
        if bins < 1 or not range_[0] < range_[1]:
            raise ArgumentError(f"there are no {bins} bins over {range_}")
        lowest, highest = range_
        return constant(np.linspace(lowest, highest, int(bins) + 1), row)
    if range_ is not None:
        raise ArgumentError("range goes with a number of bins, not with edges")
    edges = as_node(bins)
    if edges.ndim != 1 or same(edges.shape[0], 0) or same(edges.shape[0], 1):
        raise ShapeError(f"edges are a vector of two or more, not {edges.type}")
    if not isinstance(bins, Node) and np.any(np.diff(bins) < 0):
        raise ArgumentError("the edges do not rise")
    return edges


@macro(
    dtypes=ALL,
    cases=[
        case(draw(5)),
        case(draw(2, 3), axis=0),
        case(draw(2, 4), n=2),
        case(draw(4), n=0),
        case(draw(3), n=3),
        case(draw(1)),
        case(draw(0)),
        case(draw(2, 3), axis=1, prepend=draw(2, 1), append=draw(2, 2)),
        case(draw(2, 3), axis=0, append=draw()),
    ],
)  # fmt: skip
def diff(x, n=1, axis=-1, prepend=None, append=None):
    """The differences ``x[1:] - x[:-1]`` along an axis, taken ``n`` times; of bools, whether neighbours differ.

    ``prepend`` and ``append`` are put before and behind ``x`` first.

    >>> evaluate(diff([1.0, 2.0, 4.0]))
    array([1., 2.])
    """
    x = as_node(x)
    axis = one_axis(axis, x)
    if (times := operator.index(n)) < 0:
        raise ArgumentError(f"differences cannot be taken {n} times")
    ends = [_end(part, x, axis) for part in (prepend, x, append) if part is not None]
    x = concat(ends, axis) if len(ends) > 1 else x
    before, behind = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
    for _ in range(times):
        x = not_equal(x[behind], x[before]) if x.row is BOOL else x[behind] - x[before]
    return x


def _end(part, x: Node, axis: int):
    part = as_node(part)
    return (
        part
        if part.ndim
        else broadcast_to(part, tuple(1 if i == axis else size for i, size in enumerate(x.shape)))
    )


# Helpers


def _as_inexact(x: Node, wanted) -> Node:
    """``x`` in the dtype that is asked for; integers and bools in float64 else."""
    return cast_to(x, dtype_row(wanted) if wanted is not None else x.row if x.row.is_inexact else FLOAT64)


def _size(x: Node, axes: tuple[int, ...]) -> Dim:
    return product((x.shape[axis] for axis in axes), start=1)


def _place(size: Dim) -> Node:
    """A size as an int64 node."""
    return size_value(size)


def _count(x: Node, axes: tuple[int, ...], row: DType):
    """How many elements are reduced to one, in this dtype."""
    return astype(size_value(_size(x, axes)), row)


def _centred(x: Node, axes: tuple[int, ...]) -> Node:
    wide = widened(x)
    return wide - (mean.op(wide, axes=axes, keepdims=True) if axes else wide)


def _freedom(x: Node, ddof: Node, axes: tuple[int, ...]):
    return maximum(_count(x, axes, ddof.row) - ddof, 0)
