"""The same elements in another shape or order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph.dims import Dim, Size, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import TensorType, as_shape
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, ShapeLike, Slopes
from symgraph.ops.axes import many_axes, new_axes, one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import ALL, alias, macro, op


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShapeAttrs(Attrs):
    shape: tuple[Dim, ...]


@op(
    ShapeAttrs, onnx="Reshape", dtypes=ALL,
    cases=[
        case(draw(2, 3), (3, 2), symbolic=False),
        case(draw(2, 3), -1),
        case(draw(2, 3, 4), (2, -1)),
        case(draw(0, 3), (3, 0)),
        case(draw(), (1, 1)),
        case(draw(1), ()),
    ],
)  # fmt: skip
def reshape(x: ArrayLike, shape: ShapeLike) -> Node:
    """The same elements, in row-major order, in another shape; one size may be -1 and follows from the others.

    >>> evaluate(reshape([[1, 2], [3, 4]], -1))
    array([1, 2, 3, 4])

    Raises ShapeError when the numbers of elements are known to differ; else the call does.
    """
    x = as_node(x)
    shape = _completed(shape, x)
    return x if x.shape == shape else reshape.op(x, shape=shape)


@reshape.infer
def _(x: TensorType, shape: tuple[Dim, ...]) -> TensorType:
    before, after = _count(x.shape), _count(shape)
    if same(before, after) is False:
        raise ShapeError(f"{x} has {before} elements and the new shape {_spell(shape)} has {after}")
    return TensorType(x.dtype, shape)


@reshape.numpy
def _(x: Array, shape: tuple[Dim, ...]) -> Array:
    return np.reshape(x, shape)


@reshape.vjp
def _(g: Node, x: Node, out: Node, shape: tuple[Dim, ...]) -> Slopes:
    return reshape(g, x.shape)


def _completed(shape: Any, x: Node) -> tuple[Dim, ...]:
    shape = shape.tolist() if isinstance(shape, np.ndarray) else shape
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    holes = [i for i, size in enumerate(sizes) if not isinstance(size, (Size, str)) and size == -1]
    if len(holes) > 1:
        raise ShapeError(f"only one size can be -1, and {_spell(sizes)} has {len(holes)}")
    if not holes:
        return as_shape(sizes)
    known = as_shape(sizes[: holes[0]] + sizes[holes[0] + 1 :])
    count, rest = _count(x.shape), _count(known)
    if rest == 0:
        raise ShapeError(f"-1 cannot be told in {_spell(sizes)}: the other sizes have no elements")
    if same(count % rest, 0) is False:
        raise ShapeError(f"{count} elements cannot be reshaped to {_spell(sizes)}")
    return (*known[: holes[0]], count // rest, *known[holes[0] :])


def _count(shape: tuple[Dim, ...]) -> Dim:
    return prod(shape)


def _spell(shape: Any) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AxesAttrs(Attrs):
    """Counted from the front; sorted, but for ``transpose``."""

    axes: tuple[int, ...]


@op(
    AxesAttrs, onnx="Unsqueeze", dtypes=ALL,
    cases=[case(draw(3), 0), case(draw(3), -1), case(draw(2, 3), (0, 2)), case(draw(), 0), case(draw(0), 1)],
)  # fmt: skip
def expand_dims(x: ArrayLike, axis: int | Sequence[int] = 0) -> Node:
    """New axes of size 1, at these places in the result.

    >>> evaluate(expand_dims([1, 2], 1))
    array([[1],
           [2]])
    """
    x = as_node(x)
    axes = new_axes(axis, x)
    return expand_dims.op(x, axes=axes) if axes else x


@expand_dims.infer
def _(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    rank = len(x.shape) + len(axes)
    if sorted(set(axes)) != list(axes) or not all(0 <= axis < rank for axis in axes):
        raise ShapeError(f"axes {axes} cannot be added to {x}")
    sizes = iter(x.shape)
    return TensorType(x.dtype, tuple(1 if axis in axes else next(sizes) for axis in range(rank)))


@expand_dims.numpy
def _(x: Array, axes: tuple[int, ...]) -> Array:
    return np.expand_dims(x, axes)


@expand_dims.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...]) -> Slopes:
    return squeeze(g, axes)


@op(
    AxesAttrs, onnx="Squeeze", dtypes=ALL,
    cases=[case(draw(1, 3), 0), case(draw(3, 1), -1), case(draw(1, 3, 1), (0, 2)), case(draw(1, 1)),
           case(draw(0, 1), 1)],
)  # fmt: skip
def squeeze(x: ArrayLike, axis: AxisLike = None) -> Node:
    """Without axes of size 1: these, or all that are known to be 1.

    >>> evaluate(squeeze([[1, 2]], 0))
    array([1, 2])

    Raises ShapeError for an axis of another size; for a symbolic one, at the call.
    """
    x = as_node(x)
    axes = tuple(i for i, size in enumerate(x.shape) if size == 1) if axis is None else many_axes(axis, x)
    return squeeze.op(x, axes=axes) if axes else x


@squeeze.infer
def _(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    for axis in axes:
        if not 0 <= axis < len(x.shape) or same(x.shape[axis], 1) is False:
            raise ShapeError(f"axis {axis} of {x} is not 1, so it cannot be squeezed")
    return TensorType(x.dtype, tuple(size for i, size in enumerate(x.shape) if i not in axes))


@squeeze.numpy
def _(x: Array, axes: tuple[int, ...]) -> Array:
    return np.squeeze(x, axes)


@squeeze.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...]) -> Slopes:
    return expand_dims(g, axes)


@op(
    AxesAttrs, onnx="Transpose", dtypes=ALL,
    cases=[case(draw(2, 3)), case(draw(2, 3, 4), (2, 0, 1)), case(draw(2, 3, 4), (-1, 0, 1)), case(draw()),
           case(draw(0, 2))],
)  # fmt: skip
def transpose(x: ArrayLike, axes: AxisLike = None) -> Node:
    """The axes in another order, reversed by default.

    >>> evaluate(transpose([[1, 2], [3, 4]]))
    array([[1, 3],
           [2, 4]])
    """
    x = as_node(x)
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(_axis_list(axes, x))
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"axes {_spell(order)} are no order of the {x.ndim} axes of {x.type}")
    return x if order == tuple(range(x.ndim)) else transpose.op(x, axes=order)


@transpose.infer
def _(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(f"axes {axes} are no order of the axes of {x}")
    return TensorType(x.dtype, tuple(x.shape[axis] for axis in axes))


@transpose.numpy
def _(x: Array, axes: tuple[int, ...]) -> Array:
    return np.transpose(x, axes)


@transpose.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...]) -> Slopes:
    return transpose(g, tuple(axes.index(i) for i in range(len(axes))))


@macro(dtypes=ALL, cases=[case(draw(2, 3, 4), (2, 0, 1))], reference="numpy.transpose")
def permute_dims(x: ArrayLike, axes: AxisLike) -> Node:
    """The axes in another order: the Array API's ``transpose``.

    >>> evaluate(permute_dims([[1, 2], [3, 4]], (1, 0)))
    array([[1, 3],
           [2, 4]])
    """
    return transpose(x, axes)


@macro(dtypes=ALL, cases=[case(draw(2, 3)), case(draw(4, 2, 3))], reference=lambda x: np.swapaxes(x, -1, -2))
def matrix_transpose(x: ArrayLike) -> Node:
    """The last two axes swapped.

    >>> evaluate(matrix_transpose([[1, 2], [3, 4]]))
    array([[1, 3],
           [2, 4]])
    """
    x = as_node(x)
    if x.ndim < 2:
        raise ShapeError(f"a matrix has two axes, and {x.type} has {x.ndim}")
    return swapaxes(x, -1, -2)


@macro(dtypes=ALL, cases=[case(draw(2, 3, 4), 0, -1), case(draw(2, 3), 0, 1), case(draw(2), 0, 0)])
def swapaxes(x: ArrayLike, axis1: int, axis2: int) -> Node:
    """Two axes swapped.

    >>> evaluate(swapaxes([[1, 2], [3, 4]], 0, 1))
    array([[1, 3],
           [2, 4]])
    """
    x = as_node(x)
    a, b = one_axis(axis1, x), one_axis(axis2, x)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return transpose(x, order)


@macro(
    dtypes=ALL,
    cases=[case(draw(2, 3, 4), 0, -1), case(draw(2, 3, 4), (0, 1), (-1, -2)), case(draw(2, 3), 1, 0)],
)
def moveaxis(x: ArrayLike, source: AxisLike, destination: AxisLike) -> Node:
    """Axes moved to other places, the rest in their order.

    >>> evaluate(moveaxis(zeros((2, 3, 4)), 0, -1)).shape
    (3, 4, 2)
    """
    x = as_node(x)
    origin, target = _axis_list(source, x), _axis_list(destination, x)
    if len(origin) != len(target) or len(set(origin)) < len(origin) or len(set(target)) < len(target):
        raise ShapeError(f"axes {source} cannot be moved to {destination}")
    order = [axis for axis in range(x.ndim) if axis not in origin]
    for to, axis in sorted(zip(target, origin, strict=True)):
        order.insert(to, axis)
    return transpose(x, order)


def _axis_list(axis: AxisLike, x: Node) -> list[int]:
    return [one_axis(each, x) for each in (axis if isinstance(axis, (tuple, list)) else (axis,))]


@macro(dtypes=ALL, cases=[case(draw(2, 3)), case(draw()), case(draw(0, 2))])
def ravel(x: ArrayLike) -> Node:
    """All elements along one axis, in row-major order.

    >>> evaluate(ravel([[1, 2], [3, 4]]))
    array([1, 2, 3, 4])
    """
    return reshape(x, -1) if _count(as_node(x).shape) != 0 else reshape(x, (0,))


@macro(dtypes=ALL, cases=[case(draw()), case(draw(3))])
def atleast_1d(x: ArrayLike) -> Node:
    """``x`` with at least one axis.

    >>> evaluate(atleast_1d(1.0))
    array([1.])
    """
    x = as_node(x)
    return x if x.ndim else expand_dims(x, 0)


@macro(dtypes=ALL, cases=[case(draw()), case(draw(3)), case(draw(2, 3))])
def atleast_2d(x: ArrayLike) -> Node:
    """``x`` with at least two axes, new ones in front.

    >>> evaluate(atleast_2d([1.0, 2.0]))
    array([[1., 2.]])
    """
    x = as_node(x)
    return x if x.ndim >= 2 else expand_dims(x, tuple(range(2 - x.ndim)))


@macro(dtypes=ALL, cases=[case(draw()), case(draw(3)), case(draw(2, 3)), case(draw(2, 3, 4))])
def atleast_3d(x: ArrayLike) -> Node:
    """``x`` with at least three axes, where NumPy puts them.

    >>> evaluate(atleast_3d([1.0, 2.0])).shape
    (1, 2, 1)
    """
    x = as_node(x)
    return x if x.ndim >= 3 else expand_dims(x, {0: (0, 1, 2), 1: (0, 2), 2: (2,)}[x.ndim])


alias("flatten", ravel)
