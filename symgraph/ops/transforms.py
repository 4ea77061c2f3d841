"""Fourier transforms along one axis or two, and their frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.graph.types import FLOAT64
from symgraph.ops.annotations import ArrayLike, AxisLike
from symgraph.ops.arithmetic import astype, conj, multiply, where
from symgraph.ops.axes import many_axes
from symgraph.ops.cases import case, draw
from symgraph.ops.create import iota
from symgraph.ops.declare import NUMBERS, macro
from symgraph.ops.fourier import (
    META,
    TRANSFORM_DTYPES,
    Norm,
    fftn,
    ifftn,
    irfftn,
    opposite,
    positive_size,
    rfftn,
    wide,
)
from symgraph.ops.join import roll

# One axis and two


_1D_CASES = (
    case(draw(5)),
    case(draw(4), 3),
    case(draw(3), 6, norm="forward"),
    case(draw(2, 4), axis=0),
    case(draw(2, 4), 5, 1, "ortho"),
    case(draw(1)),
    case(draw(0, 3)),
)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.fft", cases=_1D_CASES)
def fft(a: ArrayLike, n: Dim | None = None, axis: int = -1, norm: Norm | None = None) -> Node:
    """The Fourier transform along one axis, which is cut or filled up with zeros to size ``n``; see ``fftn``.

    >>> evaluate(abs(fft.fft([1.0, 2.0, 1.0, 2.0])))
    array([6., 0., 2., 0.])
    """
    return fftn(a, None if n is None else (n,), (axis,), norm)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.ifft", cases=_1D_CASES)
def ifft(a: ArrayLike, n: Dim | None = None, axis: int = -1, norm: Norm | None = None) -> Node:
    """The inverse of ``fft``, with the same arguments.

    >>> evaluate(abs(fft.ifft([6.0, 0.0, -2.0, 0.0])))
    array([1., 2., 1., 2.])
    """
    return ifftn(a, None if n is None else (n,), (axis,), norm)


@macro(**META, dtypes=("float32", "float64"), reference="scipy.fft.rfft", cases=_1D_CASES)
def rfft(a: ArrayLike, n: Dim | None = None, axis: int = -1, norm: Norm | None = None) -> Node:
    """The Fourier transform of real values along one axis: the first ``n // 2 + 1`` elements; see ``rfftn``.

    >>> evaluate(fft.rfft([1.0, 0.0, 0.0, 0.0]))
    array([1.+0.j, 1.+0.j, 1.+0.j])
    """
    return rfftn(a, None if n is None else (n,), (axis,), norm)


_HALF_CASES = (
    case(draw(5)),
    case(draw(4), 7),
    case(draw(4), 3),
    case(draw(3), 6, norm="forward"),
    case(draw(2, 4), axis=0),
    case(draw(2, 4), 5, 1, "ortho"),
    case(draw(0, 3)),
)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.irfft", cases=_HALF_CASES)
def irfft(a: ArrayLike, n: Dim | None = None, axis: int = -1, norm: Norm | None = None) -> Node:
    """The inverse of ``rfft``: ``n`` real values, by default twice the size of the input less 2; see ``irfftn``.

    >>> evaluate(fft.irfft([1.0, 1.0, 1.0]))
    array([1., 0., 0., 0.])
    """
    return irfftn(a, None if n is None else (n,), (axis,), norm)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.hfft", cases=_HALF_CASES)
def hfft(a: ArrayLike, n: Dim | None = None, axis: int = -1, norm: Norm | None = None) -> Node:
    """The Fourier transform of values whose other half are conjugates: ``n`` real values.

    >>> evaluate(fft.hfft([1.0, 1.0, 1.0]))
    array([4., 0., 0., 0.])
    """
    return irfft(conj(wide(a)), n, axis, opposite(norm))


@macro(**META, dtypes=("float32", "float64"), reference="numpy.fft.ihfft", cases=_1D_CASES)
def ihfft(a: ArrayLike, n: Dim | None = None, axis: int = -1, norm: Norm | None = None) -> Node:
    """The inverse of ``hfft``.

    >>> evaluate(fft.ihfft([4.0, 0.0, 0.0, 0.0]))
    array([1.-0.j, 1.-0.j, 1.-0.j])
    """
    return conj(rfft(a, n, axis, opposite(norm)))


_2D_CASES = (
    case(draw(2, 3)),
    case(draw(2, 4), (3, 3)),
    case(draw(2, 3, 4), None, (0, 2), "ortho"),
)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.fft2", cases=_2D_CASES)
def fft2(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = (-2, -1), norm: Norm | None = None
) -> Node:
    """The Fourier transform along two axes, by default the last; see ``fftn``.

    >>> evaluate(abs(fft.fft2([[1.0, 1.0], [1.0, 1.0]])))
    array([[4., 0.],
           [0., 0.]])
    """
    return fftn(a, s, axes, norm)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.ifft2", cases=_2D_CASES)
def ifft2(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = (-2, -1), norm: Norm | None = None
) -> Node:
    """The inverse of ``fft2``.

    >>> evaluate(abs(fft.ifft2([[4.0, 0.0], [0.0, 0.0]])))
    array([[1., 1.],
           [1., 1.]])
    """
    return ifftn(a, s, axes, norm)


@macro(**META, dtypes=("float32", "float64"), reference="scipy.fft.rfft2", cases=_2D_CASES)
def rfft2(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = (-2, -1), norm: Norm | None = None
) -> Node:
    """The Fourier transform of real values along two axes; see ``rfftn``.

    >>> evaluate(fft.rfft2([[1.0, 1.0], [1.0, 1.0]]))
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])
    """
    return rfftn(a, s, axes, norm)


@macro(**META, dtypes=TRANSFORM_DTYPES, reference="scipy.fft.irfft2", cases=_2D_CASES)
def irfft2(
    a: ArrayLike, s: Sequence[Dim] | None = None, axes: AxisLike = (-2, -1), norm: Norm | None = None
) -> Node:
    """The inverse of ``rfft2``.

    >>> evaluate(fft.irfft2([[4.0, 0.0], [0.0, 0.0]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return irfftn(a, s, axes, norm)


# Frequencies


_SHIFT_CASES = (case(draw(5)), case(draw(4, 3)), case(draw(4, 3), 1), case(draw(2, 4, 3), (0, 2)))


@macro(namespace="fft", dtypes=NUMBERS, reference="numpy.fft.fftshift", cases=_SHIFT_CASES)
def fftshift(x: ArrayLike, axes: AxisLike = None) -> Node:
    """``x`` with the frequency 0 in the middle of axes, by default of all.

    >>> evaluate(fft.fftshift([0, 1, 2, -2, -1]))
    array([-2, -1,  0,  1,  2])
    """
    x = as_node(x)
    found = many_axes(axes, x)
    halves: Any = tuple(x.shape[axis] // 2 for axis in found)
    return roll(x, halves, found) if found else x


@macro(namespace="fft", dtypes=NUMBERS, reference="numpy.fft.ifftshift", cases=_SHIFT_CASES)
def ifftshift(x: ArrayLike, axes: AxisLike = None) -> Node:
    """The inverse of ``fftshift``.

    >>> evaluate(fft.ifftshift([-2, -1, 0, 1, 2]))
    array([ 0,  1,  2, -2, -1])
    """
    x = as_node(x)
    found = many_axes(axes, x)
    halves: Any = tuple(-(x.shape[axis] // 2) for axis in found)
    return roll(x, halves, found) if found else x


@macro(
    namespace="fft",
    dtypes=("float64",),
    reference="numpy.fft.fftfreq",
    cases=[case(5), case(4, 0.1), case(1)],
)
def fftfreq(n: Dim, d: float = 1.0) -> Node:
    """The frequencies of the elements of a transform of size ``n``, in cycles for a distance ``d`` of samples.

    >>> evaluate(fft.fftfreq(4, 0.5))
    array([ 0. ,  0.5, -1. , -0.5])
    """
    place = iota(positive_size(n))
    size = as_node(n)
    return multiply(astype(where(place < (n + 1) // 2, place, place - size), FLOAT64), _step(n, d))


@macro(
    namespace="fft",
    dtypes=("float64",),
    reference="numpy.fft.rfftfreq",
    cases=[case(5), case(4, 0.1), case(1)],
)
def rfftfreq(n: Dim, d: float = 1.0) -> Node:
    """The frequencies of the elements that ``rfft`` gives for size ``n``.

    >>> evaluate(fft.rfftfreq(4, 0.5))
    array([0. , 0.5, 1. ])
    """
    return multiply(astype(iota(positive_size(n) // 2 + 1), FLOAT64), _step(n, d))


def _step(n: Dim, d: float) -> Any:
    return 1.0 / (n * d) if isinstance(n, int) else 1.0 / (astype(as_node(n), FLOAT64) * d)
