"""Matrices on a GPU: CuPy's decompositions with the meaning, the errors and the empty results of NumPy's.

cuSOLVER leaves anything where there is no result. CuPy looks at what it reports inside of `refusing` alone, and says
of a batch only that some member is refused; halves of the batch tell which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from symgraph.errors import LinAlgError
from symgraph.graph.op import Op
from symgraph.ops.factorizations import cholesky, lu, qr
from symgraph.ops.inverses import adjugate, det, inv, slogdet
from symgraph.ops.least_squares import lstsq, pinv
from symgraph.ops.matrices import Singular, check_square, conjugate_transpose, refused
from symgraph.ops.solvers import solve, solve_triangular
from symgraph.ops.spectra import eigh, eigvalsh, svd, svdvals
from symgraph.runtime import cuda
from symgraph.runtime.device import Array

# Systems


def _inv(a: Array, singular: Singular) -> Array:
    return _or_nan(np.linalg.inv, singular, "singular", a)


def _solve(a: Array, b: Array, singular: Singular) -> Array:
    if not b.shape[-1]:  # CuPy counts columns by addresses; one of zeros asks whether the matrix is singular
        column = np.zeros_like(b, shape=(*b.shape[:-1], 1))
        return _or_nan(np.linalg.solve, singular, "singular", a, column)[..., :0]
    return _or_nan(np.linalg.solve, singular, "singular", a, b)


def _solve_triangular(
    a: Array, b: Array, lower: bool, trans: Literal[0, 1, 2], unit_diagonal: bool, singular: Singular
) -> Array:
    check_square(a)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = batch + b.shape[-2:]
    if 0 in shape:
        return np.empty_like(b, shape=shape)
    a, b = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b))
    options = {"trans": trans, "lower": lower, "unit_diagonal": unit_diagonal}
    found = np.empty_like(b, order="C", shape=shape)
    for place in [()] if cuda.solves_batches() else np.ndindex(batch):
        found[place] = cuda.of_scipy("solve_triangular")(a[place], b[place], **options)
    if unit_diagonal:
        return found
    zero = np.diagonal(a, axis1=-2, axis2=-1) == 0
    if singular == "nan":
        return np.where(np.any(zero, -1)[..., None, None], np.nan, found).astype(found.dtype, copy=False)
    if np.any(zero):
        *member, i = map(int, np.unravel_index(int(np.argmax(zero)), zero.shape))
        raise refused(tuple(member), f"singular: element {i} of its diagonal is 0")
    return found


def _or_nan(function: Callable[..., Array], singular: Singular, what: str, *arrays: Array) -> Array:
    """What CuPy makes of a batch; where it refuses a member, NaN of the last array's shape, or LinAlgError."""
    check_square(arrays[0])
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    shape = batch + arrays[-1].shape[-2:]
    if 0 in shape:
        return np.empty_like(arrays[-1], shape=shape)
    wide = [np.broadcast_to(x, batch + x.shape[-2:]) for x in arrays]
    try:
        with cuda.refusing():
            return function(*wide)
    except np.linalg.LinAlgError:
        members = [x.reshape(-1, *x.shape[-2:]) for x in wide]
    found = np.empty_like(members[-1], order="C")
    for n in _filled(found, function, members):
        if singular == "raise":
            raise refused(tuple(map(int, np.unravel_index(n, batch))), what)
        found[n] = np.nan
    return found.reshape(shape)


def _filled(found: Array, function: Callable[..., Array], arrays: Sequence[Array]) -> Iterator[int]:
    """The members of a batch that are refused, from the first on; the results of all others are in ``found``."""
    left = [(0, len(found))]
    while left:
        begin, end = left.pop()
        try:
            with cuda.refusing():
                found[begin:end] = function(*(x[begin:end] for x in arrays))
        except np.linalg.LinAlgError:
            if end - begin == 1:
                yield begin
                continue
            middle = (begin + end) // 2
            left += [(middle, end), (begin, middle)]


# Factors


def _cholesky(a: Array, upper: bool, singular: Singular) -> Array:
    """CuPy's reads the lower triangle. The transpose of a Hermitian matrix is its conjugate, whose factor is the
    conjugate of L, and the transpose of that is the adjoint of L."""
    found = _or_nan(np.linalg.cholesky, singular, "not positive definite", _turned(a) if upper else a)
    return _turned(found) if upper else found


def _turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _qr(a: Array, mode: Literal["reduced", "complete"]) -> tuple[Array, ...]:
    return tuple(np.linalg.qr(a, mode))


def _lu(a: Array) -> tuple[Array, ...]:
    """CuPy's has no batches, gives a matrix for the order of rows, and warns of a pivot that is 0."""
    *batch, m, n = a.shape
    k = min(m, n)
    order = np.empty_like(a, shape=(*batch, m), dtype=np.int64)
    lower, upper = np.empty_like(a, shape=(*batch, m, k)), np.empty_like(a, shape=(*batch, k, n))
    for place in np.ndindex(*batch):
        if k:
            rows, lower[place], upper[place] = cuda.of_scipy("lu")(a[place], check_finite=False)
            order[place] = np.argmax(rows, 1)
        else:
            order[place] = cuda.arange(m)
    return order, lower, upper


# Determinants


def _det(a: Array) -> Array:
    check_square(a)
    return np.linalg.det(a).astype(a.dtype, copy=False)


def _slogdet(a: Array) -> tuple[Array, ...]:
    check_square(a)
    return tuple(np.linalg.slogdet(a))


def _adjugate(a: Array) -> Array:
    """From singular values, as on the processor."""
    check_square(a)
    u, s, vh = _svd(a, True)
    ones = np.ones_like(s, shape=(*s.shape[:-1], 1))
    before = _products(np.concatenate([ones, s], -1))[..., :-1]
    behind = np.flip(_products(np.concatenate([ones, np.flip(s, -1)], -1))[..., :-1], -1)
    turns = (np.linalg.det(u) * np.linalg.det(vh))[..., None]
    middle = (turns * before * behind)[..., None, :]
    found = (conjugate_transpose(vh) * middle) @ conjugate_transpose(u)
    return found.astype(a.dtype, copy=False)


def _products(x: Array) -> Array:
    return np.cumprod(x, -1)


# Values and vectors


def _eigh(a: Array, UPLO: Literal["L", "U"]) -> tuple[Array, ...]:
    check_square(a)
    return tuple(_found("eigenvalues", np.linalg.eigh, a, UPLO))


def _eigvalsh(a: Array, UPLO: Literal["L", "U"]) -> Array:
    check_square(a)
    return _found("eigenvalues", np.linalg.eigvalsh, a, UPLO)


def _svd(a: Array, full_matrices: bool) -> tuple[Array, ...]:
    return tuple(_found("singular values", np.linalg.svd, a, full_matrices))


def _svdvals(x: Array) -> Array:
    return _found("singular values", np.linalg.svd, x, False, False)


def _found(what: str, function: Callable[..., Any], a: Array, *how: Any) -> Any:
    """What CuPy finds by an iteration; LinAlgError where that does not end."""
    if function is np.linalg.svd and np.any(np.isnan(a)):
        raise LinAlgError(f"its {what} do not exist: a value is not finite")
    try:
        with cuda.refusing():
            return function(a, *how)
    except np.linalg.LinAlgError:
        why = "did not converge" if np.all(np.isfinite(a)) else "do not exist: a value is not finite"
        raise LinAlgError(f"its {what} {why}") from None


# What singular values decide


def _pinv(a: Array, rcond: float | None, hermitian: bool) -> Array:
    if not a.size:
        return np.zeros_like(a, shape=(*a.shape[:-2], a.shape[-1], a.shape[-2]))
    if hermitian:
        values, vectors = _eigh(a, "L")
        inverse, _ = _inverse_of_large(values, _limit(a, rcond))
        return (vectors * inverse[..., None, :]) @ conjugate_transpose(vectors)
    u, s, vh = _svd(a, False)
    inverse, _ = _inverse_of_large(s, _limit(a, rcond))
    return conjugate_transpose(vh) @ (inverse[..., None] * conjugate_transpose(u))


def _lstsq(a: Array, b: Array, rcond: float | None) -> tuple[Array, ...]:
    u, s, vh = _svd(a, False)
    if not s.size:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        x = np.zeros_like(a, shape=(*batch, a.shape[-1], b.shape[-1]))
        return x, np.zeros_like(a, shape=a.shape[:-2], dtype=np.int64), s
    inverse, large = _inverse_of_large(s, _limit(a, rcond))
    x = conjugate_transpose(vh) @ (inverse[..., None] * (conjugate_transpose(u) @ b))
    return x, np.sum(large, -1, dtype=np.int64), s


def _inverse_of_large(values: Array, limit: float) -> tuple[Array, Array]:
    """One over each value, and 0 for those that are small beside the largest; which are large."""
    sizes = np.abs(values)
    large = sizes > limit * np.max(sizes, -1, keepdims=True)
    return np.where(large, 1 / np.where(large, values, 1), 0).astype(values.dtype, copy=False), large


def _limit(a: Array, rcond: float | None) -> float:
    """What singular values are compared with, relative to the largest."""
    return float(np.finfo(a.dtype).eps) * max(a.shape[-2:]) if rcond is None else rcond


MATRICES: Mapping[Op, Callable[..., Any]] = {
    cholesky.op: _cholesky,
    qr.op: _qr,
    lu.op: _lu,
    inv.op: _inv,
    solve.op: _solve,
    solve_triangular.op: _solve_triangular,
    det.op: _det,
    slogdet.op: _slogdet,
    adjugate.op: _adjugate,
    eigh.op: _eigh,
    eigvalsh.op: _eigvalsh,
    svd.op: _svd,
    svdvals.op: _svdvals,
    pinv.op: _pinv,
    lstsq.op: _lstsq,
}
"""Not here: eigenvalues of any matrix, which CuPy has since version 14 and for drivers of CUDA 12 and later alone, and
looks at the last of a batch for failures; exponentials of matrices."""
