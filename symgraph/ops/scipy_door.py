"""The one way to SciPy, which takes longer to import than all of symgraph: each part is loaded at the first call."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def special(name: str) -> Callable[..., Array]:
    """The function of scipy.special with this name, on floats; 16-bit ones are computed in float32."""

    def call(*arrays: Any) -> Array:
        dtype = np.result_type(*arrays) if len({x.dtype for x in arrays}) > 1 else arrays[0].dtype
        wide = [x.astype(np.float32) if x.dtype.itemsize == 2 else x for x in arrays]
        return np.asarray(getattr(_special(), name)(*wide)).astype(dtype, copy=False)

    call.__name__ = name
    return call


def linalg(name: str) -> Any:
    """The function of scipy.linalg with this name."""
    return getattr(_linalg(), name)


def fourier(name: str) -> Any:
    """The function of scipy.fft with this name."""
    return getattr(_fft(), name)


@cache
def lapack(name: str, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """LAPACK's routine of this name for matrices of a dtype: ``lapack("trtrs", dtype)`` is ``dtrtrs`` for float64."""
    (found,) = linalg("get_lapack_funcs")((name,), dtype=dtype)
    return found  # type: ignore[no-any-return]


@cache
def _special() -> Any:
    return importlib.import_module("scipy.special")


@cache
def _linalg() -> Any:
    return importlib.import_module("scipy.linalg")


@cache
def _fft() -> Any:
    return importlib.import_module("scipy.fft")
