"""Order statistics: the median, quantiles and percentiles."""

from __future__ import annotations

from collections.abc import Callable
from math import prod as product
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import same
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, size_value
from symgraph.graph.types import FLOAT64, INT64, DType
from symgraph.ops.annotations import ArrayLike, AxisLike
from symgraph.ops.arithmetic import astype, floor, maximum, minimum, rint, where
from symgraph.ops.axes import many_axes, reduced_shape
from symgraph.ops.cases import case, draw, in_float32, reduction_cases
from symgraph.ops.comparison import isinf, isnan, logical_and, logical_or
from symgraph.ops.declare import FLOATS, INTEGERS, cast_to, macro, settled
from symgraph.ops.index import take
from symgraph.ops.reduce import widened
from symgraph.ops.shape import reshape, transpose
from symgraph.ops.sort import sort
from symgraph.ops.statistics import as_inexact

_REALS = ("bool", *INTEGERS, *FLOATS)


@macro(
    dtypes=_REALS, reference=in_float32("median"),
    cases=[case(draw(6)), *reduction_cases(empty=False)],
)  # fmt: skip
def median(x: ArrayLike, axis: AxisLike = None, keepdims: bool = False) -> Node:
    """The middle element in order over axes, or the mean of the middle two; NaN when one is NaN.

    Of integers and bools in float64. Over an axis of size 0 it raises.

    >>> evaluate(median([3.0, 1.0, 2.0, 9.0]))
    array(2.5)
    """
    x = as_node(x)
    rows, axes = _first_axis(x, axis)
    size = rows.shape[0]
    found = as_inexact(rows, None)
    low, high = (widened(take(found, size_value(at), 0)) for at in ((size - 1) // 2, size // 2))
    middle = low if same((size - 1) // 2, size // 2) else (low + high) / 2
    if middle is not low and same(size % 2, 0) is None:
        middle = where(size_value(size % 2) == 1, low, middle)
    middle = cast_to(_unless_nan(middle, found), found.row)
    return reshape(middle, reduced_shape(x.shape, axes, True)) if keepdims else middle


def _quantile_reference(name: str) -> Callable[..., Any]:
    """NumPy's, whose differences of float32 are rounded to float32 even where the result is float64."""

    def reference(x: Any, q: Any, **kwargs: Any) -> Any:
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
def quantile(
    x: ArrayLike, q: ArrayLike, axis: AxisLike = None, method: str = "linear", keepdims: bool = False
) -> Node:
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
def percentile(
    x: ArrayLike, q: ArrayLike, axis: AxisLike = None, method: str = "linear", keepdims: bool = False
) -> Node:
    """``quantile`` with ``q`` in hundredths, from 0 to 100.

    >>> evaluate(percentile([1.0, 2.0, 4.0], 75))
    array(3.)
    """
    return _quantile(x, q, 100, axis, method, keepdims)


def _quantile(x: ArrayLike, q: ArrayLike, unit: int, axis: AxisLike, method: str, keepdims: bool) -> Node:
    x = as_node(x)
    if method not in _METHODS:
        raise ArgumentError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    q, row = _fractions(x, q, unit)
    rows, axes = _first_axis(x, axis)
    last = size_value(rows.shape[0] - 1)
    position = minimum(maximum(astype(q, FLOAT64), 0) * last, last)
    tail = reduced_shape(x.shape, axes, bool(keepdims))

    def at(index: Node) -> Node:
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


def _fractions(x: Node, q: ArrayLike, unit: int) -> tuple[Node, DType]:
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
    row = settled((x.row, float if weak else q.row))[0]
    return q, row if row.is_inexact else FLOAT64


def _between(low: Node, high: Node, t: Node) -> Node:
    """From ``low`` at ``t == 0`` to ``high`` at ``t == 1``, reaching both exactly, infinities too."""
    endless = isinf(low)
    at_low = logical_or(
        logical_and(endless, high != -low), logical_and(logical_or(endless, isinf(high)), t == 0)
    )
    step = where(at_low, 0, high - low)
    return where(logical_or(t < 0.5, endless), low + step * t, high - step * (1 - t))


def _first_axis(x: Node, axis: AxisLike) -> tuple[Node, tuple[int, ...]]:
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


def _unless_nan(found: Node, rows: Node) -> Node:
    """NaN where the last of the sorted rows is one."""
    if not rows.row.is_float:
        return found
    last = take(rows, size_value(rows.shape[0] - 1), 0)
    return where(isnan(last), cast_to(last, found.row), found)
