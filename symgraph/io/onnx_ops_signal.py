"""ONNX's operators on signals, texts as numbers, and bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.graph.types import FLOAT32, DType
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import reduce, shape, transforms
from symgraph.ops.arithmetic import astype, imag, real
from symgraph.ops.create import iota, zeros
from symgraph.ops.index import index
from symgraph.ops.join import stack
from symgraph.ops.linalg import matmul
from symgraph.ops.own import python_op
from symgraph.ops.own_op import OwnOp


@operator("DFT", since=20)
def dft(
    at: Call,
    x: Node,
    length: Node | None = None,
    axis: Node | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> Node:
    return _transformed(x, None if length is None else int(at.number(length)),
                        -2 if axis is None else int(at.number(axis)), bool(inverse), bool(onesided))  # fmt: skip


@operator("DFT", since=17)
def early_dft(
    at: Call, x: Node, length: Node | None = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0
) -> Node:
    size = None if length is None else int(at.number(length))
    return _transformed(x, size, axis, bool(inverse), bool(onesided))


def _transformed(x: Node, size: int | None, axis: int, inverse: bool, onesided: bool) -> Node:
    """The transform of numbers whose last axis holds a real part, or both parts."""
    parts = fixed(x.shape[-1], "the last size")
    along = axis % x.ndim
    if along == x.ndim - 1 or parts not in (1, 2):
        raise Refused(f"the axis {axis} of {x.type}")
    values = index(x, (..., 0))
    if onesided and inverse:
        if parts == 1:
            raise Refused("a one-sided inverse of real numbers")
        full = values + 1j * index(x, (..., 1))
        return shape.expand_dims(transforms.irfft(full, size, along), -1)
    if parts == 2 and onesided:
        raise Refused("a one-sided transform of complex numbers")
    if parts == 2:
        values = values + 1j * index(x, (..., 1))
    if onesided:
        found = transforms.rfft(values, size, along)
    else:
        found = (transforms.ifft if inverse else transforms.fft)(values, size, along)
    return stack([real(found), imag(found)], axis=-1)


@operator("STFT", since=17)
def stft(
    at: Call,
    signal: Node,
    step: Node,
    window: Node | None = None,
    length: Node | None = None,
    *,
    onesided: int = 1,
) -> Node:
    """The transforms of windows that move over a signal."""
    hop = int(at.number(step))
    if window is not None:
        size = fixed(window.shape[0], "the size of the window")
    elif length is not None:
        size = int(at.number(length))
    else:
        raise Refused("neither a window nor the length of a frame")
    parts = fixed(signal.shape[-1], "the last size") if signal.ndim == 3 else 1
    values = signal if signal.ndim == 2 else index(signal, (..., 0))
    frames = (values.shape[1] - size) // hop + 1
    places = shape.expand_dims(iota(frames) * hop, 1) + iota(size)
    rows = index(values, (slice(None), places))
    if parts == 2:
        rows = rows + 1j * index(index(signal, (..., 1)), (slice(None), places))
    rows = rows if window is None else rows * window
    # What is complex has no one-sided transform: all of it is given.
    found = transforms.rfft(rows) if onesided and parts == 1 else transforms.fft(rows)
    return stack([real(found), imag(found)], axis=-1)


@operator("MelWeightMatrix", since=17)
def mel_weight_matrix(
    at: Call, bins: Node, length: Node, rate: Node, lower: Node, upper: Node, *, output_datatype: int = 1
) -> Node:
    """Triangles over the bins of a spectrum, at equal distances on the mel scale."""
    count, size, hertz = (int(at.number(each)) for each in (bins, length, rate))
    low, high = (2595 * np.log10(1 + at.number(each) / 700) for each in (lower, upper))
    mels = np.arange(count + 2) * ((high - low) / (count + 2)) + low
    edges = ((size + 1) * (700 * (10 ** (mels / 2595) - 1)) // hertz).astype(int)
    table = np.zeros((size // 2 + 1, count))
    if edges[0] < 0 or edges[-1] >= len(table):
        raise Refused(f"frequencies from {at.number(lower)} to {at.number(upper)} at the rate {hertz}")
    for i, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        if left == centre:
            table[centre, i] = 1
        else:
            table[left : centre + 1, i] = np.arange(centre + 1 - left) / (centre - left)
        if right > centre:
            table[centre:right, i] = (right - np.arange(centre, right)) / (right - centre)
    return constant(table, at.row(output_datatype))


@operator("TfIdfVectorizer", since=9)
def tf_idf_vectorizer(
    x: Node, *,
    max_gram_length: int, max_skip_count: int, min_gram_length: int, mode: str, ngram_counts: Sequence[int],
    ngram_indexes: Sequence[int], pool_int64s: Sequence[int] | None = None,
    pool_strings: Sequence[str] | None = None, weights: Sequence[float] | None = None,
) -> Node:  # fmt: skip
    """How often each n-gram of a pool occurs, with the same number of elements skipped between its own."""
    if pool_int64s is None or not x.row.is_integer:
        raise Refused("a pool of strings")
    if mode not in ("TF", "IDF", "TFIDF"):
        raise Refused(f"the mode {mode!r}")
    rows = x if x.ndim == 2 else shape.expand_dims(x, 0)
    long = fixed(rows.shape[1], "the number of elements")
    totals, first = [], 0
    bounds = [*ngram_counts, len(pool_int64s)]
    for size, (start, stop) in enumerate(pairwise(bounds), start=1):
        grams = np.asarray(pool_int64s[start:stop], np.int64).reshape(-1, size)
        if not len(grams):
            continue
        total: Node = constant(np.zeros((1, len(grams)), np.float32))
        wanted = min_gram_length <= size <= max_gram_length
        for skip in range((max_skip_count if size > 1 else 0) + 1 if wanted else 0):
            places = long - (size - 1) * (skip + 1)
            if places <= 0:
                break
            key = np.arange(places)[:, None] + np.arange(size) * (skip + 1)
            seen = index(rows, (slice(None), key))
            same = reduce.all(shape.expand_dims(seen, 2) == constant(grams, x.row), -1)
            total = total + reduce.sum(astype(same, FLOAT32), 1)
        totals.append((total, ngram_indexes[first : first + len(grams)]))
        first += len(grams)
    width = max(ngram_indexes) + 1
    out: Node = zeros((rows.shape[0], width), FLOAT32)
    for total, places_ in totals:
        spread = np.zeros((len(places_), width), np.float32)
        spread[np.arange(len(places_)), list(places_)] = 1
        out = out + matmul(total, constant(spread))
    scale = np.ones(width, np.float32)
    if weights is not None:
        scale[list(ngram_indexes)] = weights
    if mode == "IDF":
        out = astype(out > 0, FLOAT32)
    out = out if mode == "TF" else out * constant(scale)
    return out if x.ndim == 2 else shape.squeeze(out, 0)


@operator("BitCast", since=26)
def bit_cast(at: Call, x: Node, *, to: int) -> Node:
    """The bits of each element as those of another dtype of the same width."""
    row = at.row(to)
    if row.numpy.itemsize != x.row.numpy.itemsize:
        raise Refused(f"the bits of {x.row.name} as {row.name}")
    if row is x.row:
        return x
    if row.is_integer and x.row.is_integer:
        return astype(x, row)
    return shape.reshape(_view(x.row, row)(shape.ravel(x)), x.shape)


@cache
def _view(given: DType, wanted: DType) -> OwnOp:
    """The op that reads the bits of one dtype as another."""

    @python_op(result=f"{given.short}[n] -> {wanted.short}[n]", name=f"bits_of_{given.name}_as_{wanted.name}")
    def bits(x: Any) -> Any:
        return np.ascontiguousarray(x).view(wanted.numpy)

    return bits
