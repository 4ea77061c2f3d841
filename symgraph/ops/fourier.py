"""Discrete Fourier transforms, as ``numpy.fft``, by ``scipy.fft``.

All are one of four ops: to a spectrum and back, from real values to half a spectrum and back. The adjoint of a
transform is the transform back with the scale of the way there; so is each derivative. Of half a spectrum, all elements
but the first and, for an even size, the last stand for two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import BY_NAME, FLOAT64, TensorType
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.axes import many_axes, one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.create import iota
from symgraph.ops.declare import cast_to, op
from symgraph.ops.join import pad
from symgraph.ops.matrices import complex_row, real_row
from symgraph.ops.scipy_door import fourier
from symgraph.ops.shape import expand_dims

Norm = Literal["backward", "ortho", "forward"]
_DUAL = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The norm with which the transform back is the adjoint of the one there."""

TRANSFORM_DTYPES = ("float32", "float64", "complex64", "complex128")
META: dict[str, Any] = {"namespace": "fft", "sample": (-1, 1), "tolerance": 8}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FourierAttrs(Attrs):
    """The axes in the order in which they are named: the last is that of which half is kept."""

    axes: tuple[int, ...]
    norm: Norm = "backward"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BackAttrs(Attrs):
    """``size`` is that of the last of the axes in the result."""

    axes: tuple[int, ...]
    size: Dim
    norm: Norm = "backward"


# All axes


_ND_CASES = (
    case(draw(2, 3)),
    case(draw(2, 4), (3, 3)),
    case(draw(2, 3, 4), None, (0, 2), "ortho"),
    case(draw(2, 3, 4), (3, 5), (2, 0), "forward"),
    case(draw(3, 4), axes=(1,)),
    case(draw(0, 3), axes=(1,)),
)


@op(
    FourierAttrs, **META, dtypes=("int32", "bfloat16", "float16", *TRANSFORM_DTYPES), reference="scipy.fft.fftn",
    cases=_ND_CASES,
)  # fmt: skip
def fftn(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = None, norm: Norm | None = None
) -> Node:
    """The Fourier transform along several axes, by default all or the last ``len(s)``.

    ``s`` are the sizes to which these axes are cut, or filled up with zeros; None and -1 leave one as it is. ``norm``
    is ``"backward"`` (the default: transforms back are divided by the number of elements), ``"forward"`` (those there
    are) or ``"ortho"`` (both are, by its root). The result is complex; 16-bit floats give complex64.

    >>> evaluate(fft.fftn([[1j, 1j], [1j, 1j]]))
    array([[0.+4.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])

    Raises ShapeError for axes that do not exist or of size 0, ArgumentError for other norms.
    """
    x, found = _fitted(wide(a), s, axes)
    norm = _norm(norm)
    return fftn.op(x, axes=found, norm=norm) if found else cast_to(x, complex_row(x.row))


@fftn.infer
def _(x: TensorType, axes: tuple[int, ...], norm: Norm) -> TensorType:
    _check(x, axes)
    return TensorType(complex_row(x.dtype), x.shape)


@fftn.numpy
def _(x: Array, axes: tuple[int, ...], norm: Norm) -> Array:
    return _transformed("fftn", x, axes, norm)


@fftn.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], norm: str) -> Slopes:
    return ifftn.op(g, axes=axes, norm=_DUAL[norm])


@op(
    FourierAttrs, **META, dtypes=("int32", *TRANSFORM_DTYPES), reference="scipy.fft.ifftn", cases=_ND_CASES,
)  # fmt: skip
def ifftn(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = None, norm: Norm | None = None
) -> Node:
    """The inverse of ``fftn``, with the same arguments.

    >>> evaluate(fft.ifftn([[4j, 0.0], [0.0, 0.0]]))
    array([[0.+1.j, 0.+1.j],
           [0.+1.j, 0.+1.j]])
    """
    x, found = _fitted(wide(a), s, axes)
    norm = _norm(norm)
    return ifftn.op(x, axes=found, norm=norm) if found else cast_to(x, complex_row(x.row))


@ifftn.infer
def _(x: TensorType, axes: tuple[int, ...], norm: Norm) -> TensorType:
    _check(x, axes)
    return TensorType(complex_row(x.dtype), x.shape)


@ifftn.numpy
def _(x: Array, axes: tuple[int, ...], norm: Norm) -> Array:
    return _transformed("ifftn", x, axes, norm)


@ifftn.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], norm: str) -> Slopes:
    return fftn.op(g, axes=axes, norm=_DUAL[norm])


@op(
    FourierAttrs, **META, dtypes=("int32", "float32", "float64"), reference="scipy.fft.rfftn",
    cases=_ND_CASES,
)  # fmt: skip
def rfftn(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = None, norm: Norm | None = None
) -> Node:
    """The Fourier transform of real values: of the last of the axes only the first ``n // 2 + 1`` elements.

    The others are conjugates of these. Arguments are those of ``fftn``.

    >>> evaluate(fft.rfftn([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    array([[6.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])

    Raises DTypeError for complex values, ShapeError where there is no axis, or one of size 0.
    """
    x, found = _fitted(_real(a), s, axes)
    return rfftn.op(x, axes=found, norm=_norm(norm))


@rfftn.infer
def _(x: TensorType, axes: tuple[int, ...], norm: Norm) -> TensorType:
    _check(x, axes)
    if x.dtype.is_complex:
        raise DTypeError(f"takes real values, not {x.dtype.name}")
    shape = list(x.shape)
    shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    return TensorType(complex_row(x.dtype), tuple(shape))


@rfftn.numpy
def _(x: Array, axes: tuple[int, ...], norm: Norm) -> Array:
    shape = list(x.shape)
    shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    return _transformed("rfftn", x, axes, norm, shape=shape, dtype=np.result_type(x, np.complex64))


@rfftn.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], norm: str) -> Slopes:
    size = x.shape[axes[-1]]
    return irfftn.op(g * _halves(g, axes[-1], size), axes=axes, size=size, norm=_DUAL[norm])


@op(
    BackAttrs, **META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.irfftn",
    cases=[
        case(draw(2, 3)),
        case(draw(2, 3), (2, 5)),
        case(draw(2, 3, 4), None, (0, 2), "ortho"),
        case(draw(2, 3, 4), (5, 3), (2, 0), "forward"),
        case(draw(3, 4), axes=(1,)),
        case(draw(0, 3), axes=(1,)),
    ],
)  # fmt: skip
def irfftn(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = None, norm: Norm | None = None
) -> Node:
    """The inverse of ``rfftn``: real values from half a spectrum.

    ``s`` are the sizes of the result, whose last is by default twice that of the input less 2; arguments are those of
    ``fftn``. Imaginary parts that no real values could have given are not read.

    >>> evaluate(fft.irfftn([[6.0, 0.0], [0.0, 0.0]], (2, 3)))
    array([[1., 1., 1.],
           [1., 1., 1.]])

    Raises ShapeError where there is no axis, or one of size 0.
    """
    x = wide(a)
    found = _named_axes(s, axes, x)
    if not found:
        raise ShapeError(f"there is no axis to transform {x.type} along")
    sizes = _sizes(s, found, x)
    size = sizes[-1]
    size = 2 * (x.shape[found[-1]] - 1) if size is None else size
    x = _resized(x, found, [*sizes[:-1], size // 2 + 1])
    return irfftn.op(x, axes=found, size=size, norm=_norm(norm))


@irfftn.infer
def _(x: TensorType, axes: tuple[int, ...], size: Dim, norm: Norm) -> TensorType:
    _check(x, axes)
    if isinstance(size, int) and size < 1:
        raise ShapeError(f"a transform has one element at least, not {size}")
    shape = list(x.shape)
    shape[axes[-1]] = size
    return TensorType(real_row(x.dtype), tuple(shape))


@irfftn.numpy
def _(x: Array, axes: tuple[int, ...], size: int, norm: Norm) -> Array:
    sizes = [x.shape[axis] for axis in axes[:-1]] + [size]
    shape = list(x.shape)
    shape[axes[-1]] = size
    dtype = np.empty(0, x.dtype).real.dtype
    return _transformed("irfftn", x, axes, norm, sizes, shape=shape, dtype=dtype)


@irfftn.vjp
def _(g: Node, x: Node, out: Node, axes: tuple[int, ...], size: Dim, norm: str) -> Slopes:
    slope = rfftn.op(g, axes=axes, norm=_DUAL[norm])
    return slope / _halves(slope, axes[-1], size)


def _halves(x: Node, axis: int, size: Dim) -> Node:
    """For each element of half a spectrum one over how many it stands for."""
    place = iota(x.shape[axis])
    ends = (place == 0) | (place * 2 == as_node(size))
    weights = cast_to(where(ends, 1.0, 0.5), real_row(x.row))
    return expand_dims(weights, tuple(i for i in range(x.ndim) if i != axis))


# Arguments


def wide(a: ArrayLike) -> Node:
    """The operand in a dtype that transforms are computed in."""
    x = as_node(a)
    if not x.row.is_inexact:
        return astype(x, FLOAT64)
    return x if x.row.bits > 16 else astype(x, BY_NAME["float32"])


def _real(a: ArrayLike) -> Node:
    x = wide(a)
    if x.row.is_complex:
        raise DTypeError(f"takes real values, not {x.row.name}")
    return x


def _norm(norm: Any) -> Norm:
    if norm is None:
        return "backward"
    if not isinstance(norm, str) or norm not in _DUAL:
        raise ArgumentError(f"norm is 'backward', 'ortho', 'forward' or None, not {norm!r}")
    return norm  # type: ignore[return-value]


def opposite(norm: Norm | None) -> Any:
    return _DUAL[_norm(norm)]


def _fitted(x: Node, s: Sequence[Dim] | None, axes: AxisLike) -> tuple[Node, tuple[int, ...]]:
    """The operand with the sizes that are asked for, and its axes in the order in which they are named."""
    found = _named_axes(s, axes, x)
    return _resized(x, found, _sizes(s, found, x)), found


def _named_axes(s: Sequence[Dim] | None, axes: AxisLike, x: Node) -> tuple[int, ...]:
    if axes is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise ShapeError(f"there are {count} sizes, and {x.type} has {x.ndim} axes")
        return tuple(range(x.ndim - count, x.ndim))
    given = tuple(axes) if isinstance(axes, tuple | list) else (axes,)
    many_axes(given, x)
    return tuple(one_axis(axis, x) for axis in given)


def _sizes(s: Sequence[Dim] | None, axes: tuple[int, ...], x: Node) -> list[Dim | None]:
    """The size for each axis, None where it stays as it is."""
    if s is None:
        return [None] * len(axes)
    if len(s) != len(axes):
        raise ShapeError(f"there are {len(s)} sizes and {len(axes)} axes")
    return [
        None if size is None else x.shape[i] if size == -1 else positive_size(size)
        for i, size in zip(axes, s, strict=True)
    ]


def positive_size(size: Any) -> Dim:
    if isinstance(size, Size):
        return size
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise ArgumentError(f"a size is an int or a symbolic size, not {size!r}")
    if size < 1:
        raise ShapeError(f"a transform has one element at least, not {size}")
    return int(size)


def _resized(x: Node, axes: tuple[int, ...], sizes: Sequence[Dim | None]) -> Node:
    """``x`` cut or filled up with zeros behind."""
    for axis, size in zip(axes, sizes, strict=True):
        old = x.shape[axis]
        if size is None or size == old:
            continue
        inside = (slice(None),) * axis + (slice(0, size),)
        if isinstance(size, int) and isinstance(old, int):
            x = x[inside] if size < old else _filled(x, axis, size - old)
        else:  # filled up so far that it can be cut
            x = _filled(x, axis, size)[inside]
    return x


def _filled(x: Node, axis: int, count: Dim) -> Node:
    """``x`` with so many zeros behind an axis."""
    return pad(x, tuple((0, count if i == axis else 0) for i in range(x.ndim)))


def _check(x: TensorType, axes: tuple[int, ...]) -> None:
    if x.dtype.name not in TRANSFORM_DTYPES:
        raise DTypeError(f"takes {', '.join(TRANSFORM_DTYPES)}, not {x.dtype.name}")
    if not axes or len(set(axes)) != len(axes) or not all(0 <= axis < x.rank for axis in axes):
        raise ShapeError(f"{axes} are no axes of {x}")
    for axis in axes:
        if x.shape[axis] == 0:
            raise ShapeError(f"axis {axis} of {x} is empty, and a transform has one element at least")


def _transformed(
    name: str,
    x: Array,
    axes: tuple[int, ...],
    norm: Norm,
    sizes: Sequence[int] | None = None,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
) -> Array:
    """What SciPy makes of an array; of an empty one zeros of this shape and dtype, by default its own in complex."""
    if any(x.shape[axis] == 0 for axis in axes):
        raise ShapeError("a transform has one element at least, and an axis is empty")
    if not x.size:
        return np.zeros(x.shape if shape is None else shape, dtype or np.result_type(x, np.complex64))
    return np.asarray(fourier(name)(x, sizes, axes, norm))
