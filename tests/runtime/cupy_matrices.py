"""CuPy's functions for matrices, transforms and order, on arrays of NumPy: what it refuses, and what it leaves behind
where NumPy raises an error (cupy.linalg, cupy.fft, cupyx.errstate, cupyx.scipy.linalg of versions 13 and 14)."""

import threading
import warnings
from contextlib import contextmanager

import numpy as np
import scipy.linalg

STATE = threading.local()


@contextmanager
def errstate(*, linalg):
    assert linalg in ("ignore", "raise")
    before = getattr(STATE, "linalg", "ignore")
    STATE.linalg = linalg
    try:
        yield
    finally:
        STATE.linalg = before


def _told(function, *arrays, **how):
    """The result of a batch; with members that are refused an error that names none, or no error and any numbers."""
    try:
        return function(*arrays, **how)
    except np.linalg.LinAlgError:
        if getattr(STATE, "linalg", "ignore") == "raise":
            raise np.linalg.LinAlgError("Error reported by potrf in cuSOLVER. devInfo = [1]") from None
        whole = function(
            *(np.broadcast_to(np.eye(*x.shape[-2:], dtype=x.dtype), x.shape) for x in arrays), **how
        )
        return whole if isinstance(whole, tuple) else whole * 0 + 7


def cholesky(a):
    return _told(np.linalg.cholesky, a)


def inv(a):
    return _told(np.linalg.inv, a)


def solve(a, b):
    if a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if a.ndim > 2 and not b.shape[-1]:
        raise ZeroDivisionError("the step between addresses is 0")
    return _told(np.linalg.solve, a, b)


def qr(a, mode="reduced"):
    return tuple(np.linalg.qr(a, mode))


def svd(a, full_matrices=True, compute_uv=True):
    found = _told(np.linalg.svd, a, full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(found) if compute_uv else found


def eigh(a, UPLO="L"):
    return tuple(_told(np.linalg.eigh, a, UPLO=UPLO))


def eigvalsh(a, UPLO="L"):
    return _told(np.linalg.eigvalsh, a, UPLO=UPLO)


def det(a):
    return np.linalg.det(a)


def slogdet(a):
    with np.errstate(all="ignore"):
        return tuple(np.linalg.slogdet(a))


def solve_triangular(
    a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=False, batches=True
):
    if a.ndim == 2:
        if a.shape[0] != a.shape[1]:
            raise ValueError("expected square matrix")
        if len(a) != len(b):
            raise ValueError("incompatible dimensions")
    elif not batches or a.shape[:-2] != b.shape[: a.ndim - 2]:
        raise ValueError("incompatible batch count")
    if not b.size:
        raise ZeroDivisionError("the step between addresses is 0")
    out = np.empty(b.shape, a.dtype)
    for place in np.ndindex(a.shape[:-2]):
        turned = {0: a[place], 1: a[place].T, 2: a[place].conj().T}[trans]
        triangle = np.tril(turned) if lower == (trans == 0) else np.triu(turned)
        if unit_diagonal:
            np.fill_diagonal(triangle, 1)
        if np.diagonal(triangle).all():
            out[place] = np.linalg.solve(triangle, b[place])
        else:
            out[place] = 7
    return out


def lu(a, permute_l=False, overwrite_a=False, check_finite=True):
    if a.ndim != 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    assert min(a.shape), "k1 <= k2"
    order, lower, upper = scipy.linalg.lu(a, check_finite=check_finite)
    if not np.diagonal(upper).all():
        warnings.warn("Diagonal number 1 is exactly zero. Singular matrix.", RuntimeWarning, stacklevel=2)
    return order, lower, upper


def _transform(function):
    def transformed(a, s=None, axes=None, norm=None):
        if not a.size:
            raise ValueError("Invalid number of FFT data points (0) specified.")
        if function is np.fft.rfftn and a.dtype.kind == "c":
            raise TypeError("a is complex")
        return function(a, s, axes, norm)

    return transformed


def irfft(a, n=None, axis=-1, norm=None):
    return np.fft.irfft(a, n, axis, norm)


def argsort(a, axis=-1, kind=None):
    assert kind is None
    if a.ndim == 1 and a.dtype.kind == "f":  # radix sort, of bits
        bits = a.view(f"i{a.itemsize}").astype(np.int64)
        top = np.int64(1) << (8 * a.itemsize - 1)
        return np.argsort(np.where(a == 0, 0, np.where(bits < 0, -(bits & (top - 1)), bits)), kind="stable")
    assert axis in (-1, a.ndim - 1)
    return np.argsort(a, axis, kind="stable")


def _place(function):
    def place(a, axis=None, dtype=None, out=None, keepdims=False):
        found = function(a, axis, keepdims=keepdims)
        if axis is None or a.dtype.kind != "f" or not np.isnan(a).any():
            return found
        backwards = a.shape[axis] - 1 - function(np.flip(a, axis), axis, keepdims=keepdims)  # the last NaN
        return np.where(np.isnan(a).any(axis, keepdims=keepdims), backwards, found)

    return place


OWN = {
    **{f"linalg.{f.__name__}": f for f in (cholesky, inv, solve, qr, svd, eigh, eigvalsh, det, slogdet)},
    **{f"fft.{name}": _transform(getattr(np.fft, name)) for name in ("fftn", "ifftn", "rfftn")},
    "fft.irfft": irfft,
    "argsort": argsort,
    "argmax": _place(np.argmax),
    "argmin": _place(np.argmin),
}
"""What is another function than NumPy's."""
SAME = {
    *(
        "all",
        "any",
        "cumprod",
        "diagonal",
        "flip",
        "max",
        "min",
        "moveaxis",
        "nonzero",
        "ones_like",
        "prod",
        "sum",
    ),
    *("swapaxes", "take_along_axis", "where", "zeros_like"),
}
"""What is NumPy's."""
UFUNCS = {
    *("absolute", "conjugate", "divide", "equal", "greater", "isfinite", "isnan", "multiply", "subtract"),
}
