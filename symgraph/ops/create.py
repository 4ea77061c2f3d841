"""Arrays made from sizes and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.dims import Dim, Size, dim_floordiv, dim_max
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node, constant, size_value
from symgraph.graph.types import DType, TensorType, as_shape, dtype
from symgraph.graph.types import dtype as dtype_row
from symgraph.ops.annotations import Array, ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.axes import new_axes
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import ALL, INTEGERS, cast_to, macro, op
from symgraph.ops.math import whole
from symgraph.ops.shape import expand_dims, reshape

_MADE = {"dtypes": ("float64",), "differentiable": False}
_LIKE = {"dtypes": ALL, "differentiable": False, "cases": [case(draw(2, 3)), case(draw()), case(draw(0))]}


@macro(**_MADE, cases=[case((2, 3)), case(4), case(()), case((0, 2), dtype="int32")])
def zeros(shape: ShapeLike, dtype: DTypeLike | None = "float64") -> Node:
    """Zeros of a shape, whose sizes may be symbolic.

    >>> evaluate(zeros(3))
    array([0., 0., 0.])
    """
    return full(shape, 0, _row(dtype))


@macro(**_MADE, cases=[case((2, 3)), case(4), case(()), case((0, 2), dtype="bool")])
def ones(shape: ShapeLike, dtype: DTypeLike | None = "float64") -> Node:
    """Ones of a shape.

    >>> evaluate(ones(3, "int64"))
    array([1, 1, 1])
    """
    return full(shape, 1, _row(dtype))


@macro(**_MADE, cases=[case((2, 3))], reference="numpy.zeros")
def empty(shape: ShapeLike, dtype: DTypeLike | None = "float64") -> Node:
    """Zeros: nothing in a graph is left unset.

    >>> evaluate(empty(2))
    array([0., 0.])
    """
    return full(shape, 0, _row(dtype))


@macro(
    dtypes=ALL,
    cases=[
        case((2, 3), draw()),
        case(4, 7),
        case((), 1.5),
        case((0, 2), 1, dtype="int8"),
        case((2, 3), draw(3)),
    ],
)
def full(shape: ShapeLike, fill_value: ArrayLike, dtype: DTypeLike | None = None) -> Node:
    """One value, or an array that broadcasts, repeated to a shape.

    >>> evaluate(full((2, 2), 7))
    array([[7, 7],
           [7, 7]])
    """
    return broadcast_to(asarray(fill_value, dtype), as_shape(shape))


@macro(**_LIKE)
def zeros_like(x: ArrayLike, dtype: DTypeLike | None = None) -> Node:
    """Zeros of the shape and dtype of ``x``.

    >>> evaluate(zeros_like([1.0, 2.0]))
    array([0., 0.])
    """
    return _filled_like(x, 0, dtype)


@macro(**_LIKE)
def ones_like(x: ArrayLike, dtype: DTypeLike | None = None) -> Node:
    """Ones of the shape and dtype of ``x``.

    >>> evaluate(ones_like([1.5, 2.5]))
    array([1., 1.])
    """
    return _filled_like(x, 1, dtype)


@macro(**_LIKE, reference="numpy.zeros_like")
def empty_like(x: ArrayLike, dtype: DTypeLike | None = None) -> Node:
    """Zeros of the shape and dtype of ``x``: nothing in a graph is left unset.

    >>> evaluate(empty_like([1.0, 2.0]))
    array([0., 0.])
    """
    return _filled_like(x, 0, dtype)


@macro(
    dtypes=ALL,
    differentiable=False,
    cases=[case(draw(2, 3), 1), case(draw(0), 0), case(draw(2), True, dtype="bool")],
)
def full_like(x: ArrayLike, fill_value: ArrayLike, dtype: DTypeLike | None = None) -> Node:
    """One value in the shape and dtype of ``x``.

    >>> evaluate(full_like([1.0, 2.0], 7))
    array([7., 7.])
    """
    return _filled_like(x, fill_value, dtype)


def _filled_like(x: ArrayLike, value: ArrayLike, wanted: DTypeLike | None) -> Node:
    x = as_node(x)
    row = x.row if wanted is None else dtype(wanted)
    return broadcast_to(cast_to(as_node(value, row), row), x.shape)


@macro(dtypes=ALL, cases=[case(draw(2, 3)), case(draw(), dtype="complex128"), case([1, 2])])
def asarray(x: ArrayLike, dtype: DTypeLike | None = None) -> Node:
    """``x`` as a node, of this dtype if one is given.

    >>> evaluate(asarray([1, 2], "float32"))
    array([1., 2.], dtype=float32)
    """
    if dtype is None or isinstance(x, Node):
        return as_node(x) if dtype is None else astype(x, dtype)
    row = dtype_row(dtype)
    return cast_to(as_node(x, row), row)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IotaAttrs(Attrs):
    size: Dim
    dtype: DType


@op(IotaAttrs, dtypes=("int64",), cases=[case(5), case(0)], reference="numpy.arange", differentiable=False)
def iota(size: Dim, dtype: DTypeLike | None = "int64") -> Node:
    """0, 1, 2, … so many, which may be a symbolic size.

    >>> evaluate(iota(3))
    array([0, 1, 2])
    """
    sizes = as_shape(size)
    if len(sizes) != 1:
        raise ShapeError(f"takes one size, not {size!r}")
    return iota.op(size=sizes[0], dtype=_row(dtype))


@iota.infer
def _(size: Dim, dtype: DType) -> TensorType:
    return TensorType(dtype, (size,))


@iota.numpy
def _(size: int, dtype: DType) -> Array:
    return np.arange(size).astype(dtype.numpy)


def _row(spec: DTypeLike | None) -> DType:
    """A dtype; float64 for None, as NumPy has it."""
    return dtype("float64" if spec is None else spec)


@macro(
    **_MADE,
    cases=[case(5), case(2, 7), case(2, 9, 3), case(5, 0, -2), case(0), case(3, 1), case(0.0, 1.0, 0.25),
           case(4, dtype="float32"), case(1, 2.5, 0.5, dtype="float64"), case(np.int64(3)), case(np.int32(1), 4)],
)  # fmt: skip
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: DTypeLike | None = None) -> Node:
    """Numbers from ``start`` (0 if only one bound is given) up to ``stop`` in steps; bounds may be symbolic sizes.

    >>> evaluate(arange(2, 8, 2))
    array([2, 4, 6])
    """
    if stop is None:
        start, stop = 0, start
    if any(isinstance(bound, Node) for bound in (start, stop, step)):
        raise ArgumentError(
            "a bound that is a node decides the size only at the call; use a size such as x.shape[0]"
        )
    if step == 0:
        raise ArgumentError("the step cannot be 0")
    for bound in (start, stop, step):
        if not isinstance(bound, (int, float, np.integer, np.floating, Size)):
            raise ArgumentError(f"a bound is a number or a size, not {bound!r}")
    are_whole = all(isinstance(bound, (int, np.integer, Size)) for bound in (start, stop, step))
    row = _row(dtype if dtype is not None else "int64" if are_whole else "float64")
    if not are_whole:
        if any(isinstance(bound, Size) for bound in (start, stop, step)):
            raise ArgumentError("symbolic bounds go with an integer start and step")
        try:
            return constant(np.arange(start, stop, step).astype(row.numpy))
        except (ValueError, OverflowError) as error:
            raise ArgumentError(f"there are no numbers from {start} to {stop} by {step}: {error}") from None
    start, stop = (bound if isinstance(bound, Size) else int(bound) for bound in (start, stop))
    step = whole("the step", step)
    count = iota(_steps(start, stop, step), "int64")
    scaled = count if step == 1 else count * step
    return cast_to(scaled if _is_zero(start) else scaled + start, row)


def _steps(start: Dim, stop: Dim, step: int) -> Dim:
    length = stop - start if step > 0 else start - stop
    return dim_max(dim_floordiv(length + abs(step) - 1, abs(step)), 0)


def _is_zero(start: object) -> bool:
    return not isinstance(start, Size) and start == 0


@macro(
    dtypes=("float64",), sample=(-2, 3),
    cases=[case(0.0, 1.0, 5), case(draw(), draw(), 4), case(0, 1, 3, endpoint=False),
           case(2.0, 3.0, 1), case(0.0, 1.0, 0), case(draw(3), draw(2, 1), 4), case(draw(2), 5.0, 3, False)],
)  # fmt: skip
def linspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: Dim = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
) -> Node:
    """So many numbers at equal distances from ``start`` to ``stop``, the last one included or not.

    They stand along a new first axis where the ends are arrays; ``num`` may be a symbolic size.

    >>> evaluate(linspace(0.0, 1.0, 5))
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    count = num if isinstance(num, Size) else whole("the number of numbers", num)
    start, stop = as_node(start) * 1.0, as_node(stop) * 1.0
    across = stop - start
    intervals = astype(size_value(dim_max(count - 1 if endpoint else count, 1)), across.row)
    places = iota(count, "int64")
    if across.ndim:
        places = expand_dims(places, tuple(range(1, across.ndim + 1)))
    values = start + across / intervals * astype(places, across.row)
    if endpoint:  # but one number alone is the start
        values = where((places == count - 1) & (places > 0), stop, values)
    return values if dtype is None else astype(values, dtype)


@macro(**_MADE, cases=[case(3), case(2, 4), case(3, 2, k=1), case(3, k=-1), case(0), case(2, dtype="int32")])
def eye(N: Dim, M: Dim | None = None, k: int = 0, dtype: DTypeLike | None = "float64") -> Node:
    """Ones on a diagonal, zeros elsewhere; ``k`` above the main diagonal, or below when negative.

    >>> evaluate(eye(2))
    array([[1., 0.],
           [0., 1.]])
    """
    rows, columns = iota(N), iota(N if M is None else M)
    return astype(expand_dims(rows, 1) + whole("k", k) == columns, _row(dtype))


@macro(**_MADE, cases=[case(3), case(2, 4), case(3, 3, 1), case(3, k=-1)])
def tri(N: Dim, M: Dim | None = None, k: int = 0, dtype: DTypeLike | None = "float64") -> Node:
    """Ones on and below a diagonal, zeros above.

    >>> evaluate(tri(2))
    array([[1., 0.],
           [1., 1.]])
    """
    rows, columns = iota(N), iota(N if M is None else M)
    return astype(expand_dims(rows, 1) + whole("k", k) >= columns, _row(dtype))


_TRIANGLES = [case(draw(3, 3)), case(draw(2, 4), 1), case(draw(2, 3, 2), k=-1), case(draw(0, 2))]


@macro(dtypes=ALL, cases=_TRIANGLES)
def tril(x: ArrayLike, k: int = 0) -> Node:
    """The lower triangle of the last two axes, zeros above.

    >>> evaluate(tril([[1, 2], [3, 4]]))
    array([[1, 0],
           [3, 4]])
    """
    x = _matrix(x)
    return where(tri(x.shape[-2], x.shape[-1], k, "bool"), x, zeros((), x.row))


@macro(dtypes=ALL, cases=_TRIANGLES)
def triu(x: ArrayLike, k: int = 0) -> Node:
    """The upper triangle of the last two axes, zeros below.

    >>> evaluate(triu([[1, 2], [3, 4]]))
    array([[1, 2],
           [0, 4]])
    """
    x = _matrix(x)
    return where(tri(x.shape[-2], x.shape[-1], whole("k", k) - 1, "bool"), zeros((), x.row), x)


def _matrix(x: ArrayLike) -> Node:
    x = as_node(x)
    if x.ndim < 2:
        raise ShapeError(f"a matrix has two axes, and {x.type} has {x.ndim}")
    return x


def _meshgrid_reference(*arrays: Any, indexing: Any = "xy") -> Any:
    return tuple(np.meshgrid(*arrays, indexing=indexing))


@macro(
    dtypes=ALL, reference=_meshgrid_reference,
    cases=[case(draw(2), draw(3)), case(draw(2), draw(3), indexing="ij"),
           case(draw(2), draw(3), draw(4)), case(draw(2))],
)  # fmt: skip
def meshgrid(*arrays: ArrayLike, indexing: str = "xy") -> tuple[Node, ...]:
    """The coordinates of a grid: each vector repeated along the axes of the others.

    >>> [evaluate(part).tolist() for part in meshgrid([1, 2], [3, 4])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f'indexing is "xy" or "ij", not {indexing!r}')
    vectors = [as_node(x) for x in arrays]
    if any(x.ndim > 1 for x in vectors):
        raise ShapeError("takes vectors")
    order = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        order[0], order[1] = 1, 0
    sizes = [reshape(x, -1).shape[0] for x in vectors]
    shape = tuple(sizes[i] for i in order)
    return tuple(
        broadcast_to(
            reshape(x, tuple(sizes[i] if order[axis] == i else 1 for axis in range(len(order)))), shape
        )
        for i, x in enumerate(vectors)
    )


def _one_hot_reference(x: Any, depth: Any, dtype: Any = "float32", axis: Any = -1) -> Any:
    hot = (x[..., None] == np.arange(depth)).astype(dtype)
    return np.moveaxis(hot, -1, axis)


@macro(
    dtypes=INTEGERS, sample=(0, 3), reference=_one_hot_reference, differentiable=False,
    cases=[case(draw(4), 3), case(draw(2, 3), 4, axis=0), case(draw(), 3, dtype="int64"), case(draw(0), 3)],
)  # fmt: skip
def one_hot(x: ArrayLike, depth: Dim, dtype: DTypeLike = "float32", axis: int = -1) -> Node:
    """A new axis with 1 at the place that the integer names and 0 elsewhere; all 0 for one outside.

    >>> evaluate(one_hot([0, 2], 3))
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    x = as_node(x)
    if not x.row.is_integer:
        raise ArgumentError(f"takes integers, not {x.row.name}")
    (place,) = new_axes(axis, x)
    places = iota(depth, x.row)
    around = tuple(i for i in range(x.ndim + 1) if i != place)
    return astype(expand_dims(x, place) == (expand_dims(places, around) if around else places), dtype)
