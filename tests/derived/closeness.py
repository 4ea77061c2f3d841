"""When two results are the same."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]


def mismatch(actual: Array, expected: Array, ulps: float, scale: float = 0.0) -> str | None:
    """What differs: the shape, a NaN, an infinity or its sign, a zero's sign, or a value by more than some ulps.

    Differences are measured in the precision of ``actual``, relative to each value or to ``scale`` if that is more.
    """
    if actual.shape != expected.shape:
        return f"the shape is {actual.shape}, not {expected.shape}"
    kind = "f" if actual.dtype == ml_dtypes.bfloat16 else actual.dtype.kind
    if kind in "biu":
        same = np.array_equal(actual, expected)
        return None if same else f"{_brief(actual)}, not {_brief(expected)}"
    info = ml_dtypes.finfo(actual.dtype)
    with np.errstate(all="ignore"):
        rounded = expected.astype(actual.dtype)
    if kind == "f":
        return _mismatch(_wide(actual), _wide(rounded), _wide(rounded), ulps, scale, info)
    size = np.abs(_wide(rounded))
    for part in ("real", "imag"):
        a, b = getattr(_wide(actual), part), getattr(_wide(rounded), part)
        if (found := _mismatch(a, b, size, ulps, scale, info)) is not None:
            return f"{part} part: {found}"
    return None


def _wide(x: Array) -> Array:
    return x.astype("complex128" if x.dtype.kind == "c" else "float64")


def _mismatch(
    actual: Array, expected: Array, size: Array, ulps: float, scale: float, info: Any
) -> str | None:
    if not np.array_equal(np.isnan(actual), np.isnan(expected)):
        return f"NaN elsewhere: {_brief(actual)}, not {_brief(expected)}"
    unbounded = np.isinf(actual) | np.isinf(expected)
    if not np.array_equal(actual[unbounded], expected[unbounded]):
        return f"infinite elsewhere: {_brief(actual)}, not {_brief(expected)}"
    zeros = (actual == 0) & (expected == 0)
    if not np.array_equal(np.signbit(actual[zeros]), np.signbit(expected[zeros])):
        return f"a zero of the other sign: {_brief(actual)}, not {_brief(expected)}"
    finite = np.isfinite(actual) & np.isfinite(expected) & np.isfinite(size)
    a, b = actual[finite], expected[finite]
    unit = float(info.eps) * np.maximum(np.abs(size[finite]), scale) + float(info.smallest_subnormal)
    apart = np.abs(a - b) / unit
    if apart.size and np.max(apart) > ulps:
        return f"{np.max(apart):.1f} ulp apart: {_brief(actual)}, not {_brief(expected)}"
    return None


def _brief(x: Array) -> str:
    text = np.array2string(x, threshold=12, edgeitems=3, precision=8).replace("\n", "")
    return text if len(text) < 200 else f"{text[:200]}…"
