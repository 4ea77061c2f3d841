"""The one way to scipy.special, which takes longer to import than all of symgraph: it is loaded at the first call."""

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
        return np.asarray(getattr(_module(), name)(*wide)).astype(dtype, copy=False)

    call.__name__ = name
    return call


@cache
def _module() -> Any:
    return importlib.import_module("scipy.special")
