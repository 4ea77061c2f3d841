"""Exact numbers rounded to a dtype, and how far its floats lie from them."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from symgraph.debug.exact_numbers import Array, as_array, mpmath, part


def nearest(value: Any, dtype: Any) -> Array:
    """Exact numbers rounded to a float or complex dtype: to nearest, halves to even; too large ones are inf.

    >>> nearest(as_array(0.1), "float32")
    array(0.1, dtype=float32)
    """
    target = np.dtype(dtype)
    array = as_array(value)
    if target.kind == "c":
        half = np.dtype(f"f{target.itemsize // 2}")
        real, imag = (nearest(part(name, array), half) for name in ("real", "imag"))
        return np.asarray(real + 1j * imag.astype(target), target)
    rounded = [_nearest(x, target) for x in array.ravel()]
    with np.errstate(all="ignore"):
        return np.array(rounded, np.float64).reshape(array.shape).astype(target)


def ulps(found: Any, truth: Any) -> Array:
    """How far floats lie from exact numbers, in units in the last place of their dtype at the truth.

    0 for two NaNs and for the infinity that the truth rounds to; inf where only one is NaN or infinite. Of complex
    numbers, the worse part.
    """
    found, truth = np.asarray(found), as_array(truth)
    if found.dtype.kind == "c":
        parts = (ulps(getattr(found, name), part(name, truth)) for name in ("real", "imag"))
        return np.asarray(np.maximum(*parts))
    if found.shape != truth.shape:
        raise ValueError(f"found has shape {found.shape} and the truth {truth.shape}")
    distances = [_ulps(float(x), t, found.dtype) for x, t in zip(found.ravel(), truth.ravel(), strict=True)]
    return np.array(distances, np.float64).reshape(found.shape)


def _format(dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """Bits of precision, the least exponent of a unit in the last place, the exponent of the first power too large."""
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return info.nmant + 1, info.minexp - info.nmant, info.maxexp


def _unit(exponent: int, dtype: np.dtype[Any]) -> int:
    """The exponent of the unit in the last place of numbers from ``2**(exponent - 1)`` to ``2**exponent``."""
    bits, least, _ = _format(dtype)
    return max(exponent - bits, least)


def _nearest(x: Any, dtype: np.dtype[Any]) -> float:
    x = mpmath().mpmathify(x)
    sign, mantissa, exponent, size = x._mpf_
    if not mantissa:
        return float(x)
    _, least, largest = _format(dtype)
    if exponent + size < least - 1:
        return math.copysign(0.0, -sign)
    if exponent + size > largest:
        return math.copysign(math.inf, -sign)
    unit = _unit(exponent + size, dtype)
    drop = unit - exponent
    whole = mantissa >> drop if drop > 0 else mantissa << -drop
    if drop > 0:
        rest, half = mantissa - (whole << drop), 1 << (drop - 1)
        whole += rest > half or (rest == half and whole & 1)
    if int(whole).bit_length() + unit > largest:
        return math.copysign(math.inf, -sign)
    return math.copysign(math.ldexp(int(whole), unit), -sign)


def _ulps(found: float, truth: Any, dtype: np.dtype[Any]) -> float:
    mp = mpmath()
    truth = mp.mpmathify(truth)
    target = _nearest(truth, dtype)
    if not (math.isfinite(found) and math.isfinite(target)):
        same = found == target or (math.isnan(found) and math.isnan(target))
        return 0.0 if same else math.inf
    _, mantissa, exponent, size = truth._mpf_
    unit = _unit(exponent + size if mantissa else -(1 << 20), dtype)
    with mp.workdps(40):
        return float(mp.fabs(mp.ldexp(mp.fsub(mp.mpf(found), truth), -unit)))
