"""What CuPy does on the GPU with the results that NumPy has: products, joins, reductions, order, transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph.op import ITEM, PACK, SIZE, Op
from symgraph.graph.types import DType
from symgraph.ops.create import iota
from symgraph.ops.einsum import einsum
from symgraph.ops.fourier import Norm, fftn, ifftn, irfftn, rfftn
from symgraph.ops.index import index
from symgraph.ops.join import concat, pad
from symgraph.ops.keys import Item, numpy_key
from symgraph.ops.linalg import matmul, tensordot
from symgraph.ops.nonzero import nonzero
from symgraph.ops.reduce import all, any, argmax, argmin, max, min, prod, sum, supremum
from symgraph.ops.scan import shift
from symgraph.ops.shape import reshape
from symgraph.ops.sort import argsort, sort
from symgraph.runtime import cuda
from symgraph.runtime.cupy_linalg import MATRICES
from symgraph.runtime.device import Array


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """A meaning that takes 16-bit floats in float32 and rounds at the end."""

    @wraps(function)
    def computed(*arrays: Any, **attrs: Any) -> Any:
        given = arrays[0].dtype
        if given.kind in "fV" and given.itemsize == 2:
            arrays = tuple(x.astype(np.float32) for x in arrays)
        return function(*arrays, **attrs).astype(given, copy=False)

    return computed


# Products and joins


def _tensordot(a: Array, b: Array, first: tuple[int, ...], second: tuple[int, ...]) -> Array:
    return np.tensordot(a, b, (first, second))


def _einsum(*arrays: Array, spec: str) -> Array:
    found: Array = np.einsum(spec, *arrays, optimize=True)
    return found


def _padded(x: Array, value: Array, widths: Sequence[tuple[int, int]]) -> Array:
    shape = tuple(a + size + b for size, (a, b) in zip(x.shape, widths, strict=True))
    out = np.empty_like(x, shape=shape)
    out[...] = value
    out[tuple(slice(a, a + size) for size, (a, _) in zip(x.shape, widths, strict=True))] = x
    return out


def _indexed(x: Array, items: tuple[Item, ...]) -> Array:
    return x[numpy_key(items, ())]


def _joined(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis=axis)


def _iota(size: int, dtype: DType) -> Array:
    return cuda.arange(size).astype(dtype.numpy, copy=False)


def _size(size: int) -> Array:
    return cuda.number(size)


# Reductions that are no kernels


def _sum(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.sum(x, axis, dtype=x.dtype, keepdims=keepdims)


def _prod(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.prod(x, axis, dtype=x.dtype, keepdims=keepdims)


def _supremum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """CuPy's ``max`` takes no ``initial``: where there is nothing, it is given an element. NaN is nothing."""
    if 0 in [x.shape[n] for n in axes]:
        x = np.empty_like(x, shape=[1 if n in axes else size for n, size in enumerate(x.shape)])
        x[...] = -np.inf
    numbers = np.where(np.isnan(x), x.dtype.type(-np.inf), x)
    return _reduced(_in_float32(np.max))(numbers, axes, keepdims)


def _reduced(function: Callable[..., Array]) -> Callable[..., Array]:
    """A reduction; along axes of size 1 the elements themselves, so that -0.0 stays what it is."""

    def computed(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        left = tuple(axis for axis in axes if x.shape[axis] != 1)
        found = function(x, axis=left, keepdims=True) if left else x
        kept = [1 if n in axes else size for n, size in enumerate(x.shape) if keepdims or n not in axes]
        return found.reshape(kept)

    return computed


def _place(function: Callable[..., Array]) -> Callable[..., Array]:
    """Where an extremum is; of several NaN CuPy finds any, and the first is looked for by itself."""

    def computed(x: Array, axis: int, keepdims: bool) -> Array:
        x = _comparable(x)
        found = function(x, axis, keepdims=keepdims)
        if x.dtype.kind != "f":
            return found
        odd = np.isnan(x)
        first = np.argmax(odd, axis, keepdims=keepdims)
        return np.where(np.any(odd, axis, keepdims=keepdims), first, found)

    return computed


# Order


def _argsorted(x: Array, axis: int, descending: bool) -> Array:
    """CuPy sorts a vector by its bits, where a NaN with a sign comes first, and the rows of a matrix by their values,
    equal ones in their order."""
    rows = np.moveaxis(_comparable(x), axis, -1)
    if not rows.size:
        return np.empty_like(x, dtype=np.int64)
    shape = rows.shape
    rows = (np.flip(rows, -1) if descending else rows).reshape(-1, shape[-1])
    order = np.argsort(rows, -1).astype(np.int64, copy=False).reshape(shape)
    if descending:  # backwards twice, so that equal elements keep their order
        order = shape[-1] - 1 - np.flip(order, -1)
    return np.moveaxis(order, -1, axis)


def _sorted(x: Array, axis: int, descending: bool) -> Array:
    return np.take_along_axis(x, _argsorted(x, axis, descending), axis)


def _nonzero(x: Array) -> tuple[Array, ...]:
    return tuple(found.astype(np.int64, copy=False) for found in np.nonzero(x))


def _comparable(x: Array) -> Array:
    """bfloat16 in float32, which holds every such value."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


# Fourier transforms


def _fftn(x: Array, axes: tuple[int, ...], norm: Norm) -> Array:
    return _transformed(np.fft.fftn, x, axes, norm, x.shape[axes[-1]])


def _ifftn(x: Array, axes: tuple[int, ...], norm: Norm) -> Array:
    return _transformed(np.fft.ifftn, x, axes, norm, x.shape[axes[-1]])


def _rfftn(x: Array, axes: tuple[int, ...], norm: Norm) -> Array:
    return _transformed(np.fft.rfftn, x, axes, norm, x.shape[axes[-1]] // 2 + 1)


def _irfftn(x: Array, axes: tuple[int, ...], size: int, norm: Norm) -> Array:
    """One axis after the other, for what is no half of a spectrum has another result from cuFFT at once."""

    def function(x: Array, _: None, axes: tuple[int, ...], norm: Norm) -> Array:
        *others, last = axes
        x = np.fft.ifftn(x, None, tuple(others), norm) if others else x
        return np.fft.irfft(x, size, last, norm)

    return _transformed(function, x, axes, norm, size, real=True)


def _transformed(
    function: Callable[..., Array],
    x: Array,
    axes: tuple[int, ...],
    norm: Norm,
    size: int,
    *,
    real: bool = False,
) -> Array:
    """What CuPy makes of an array, ``size`` elements along the last of the axes; it refuses empty ones."""
    if 0 in [x.shape[axis] for axis in axes]:
        raise ShapeError("a transform has one element at least, and an axis is empty")
    dtype = np.empty(0, x.dtype).real.dtype if real else np.result_type(x.dtype, np.complex64)
    if not x.size:
        shape = list(x.shape)
        shape[axes[-1]] = size
        return np.zeros_like(x, shape=shape, dtype=dtype)
    return function(x, None, axes, norm).astype(dtype, copy=False)


OF_CUPY: Mapping[Op, Callable[..., Any] | None] = {
    **MATRICES,
    matmul.op: _in_float32(np.matmul),
    tensordot.op: _in_float32(_tensordot),
    einsum.op: _in_float32(_einsum),
    concat.op: _joined,
    pad.op: _padded,
    index.op: _indexed,
    reshape.op: reshape.op.numpy,
    shift.op: shift.op.numpy,
    iota.op: _iota,
    sum.op: _reduced(_in_float32(_sum)),
    prod.op: _reduced(_in_float32(_prod)),
    max.op: _reduced(_in_float32(np.max)),
    supremum.op: _supremum,
    min.op: _reduced(_in_float32(np.min)),
    any.op: _reduced(np.any),
    all.op: _reduced(np.all),
    argmax.op: _place(np.argmax),
    argmin.op: _place(np.argmin),
    argsort.op: _argsorted,
    sort.op: _sorted,
    nonzero.op: _nonzero,
    fftn.op: _fftn,
    ifftn.op: _ifftn,
    rfftn.op: _rfftn,
    irfftn.op: _irfftn,
    SIZE: _size,
    ITEM: ITEM.numpy,
    PACK: PACK.numpy,
}
"""What NumPy's functions, given arrays of CuPy, do on the GPU with the same results; besides these there are views.

Not here: what reads or writes at indices, since CuPy wraps those that are out of bounds around; sums of what goes to
one place, whose order CuPy leaves open; distinct values and places in sorted arrays, where NaN is another matter;
functions of SciPy.
"""
