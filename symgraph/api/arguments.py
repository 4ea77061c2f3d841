"""What a caller passes becomes an array of a node's type, or a clear error; never a silent loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.graph.origin import describe

Array = np.ndarray[Any, Any]


def as_argument(value: Any, node: Node, name: str, of_device: Callable[[Any], Any] | None = None) -> Array:
    """``value`` as an array of the dtype and rank of ``node``; what lies on a GPU as ``of_device`` makes it one.

    Arrays may be cast where NumPy calls it safe; Python numbers and lists of them take the node's dtype when they
    fit it. Raises DTypeError, ShapeError and ArgumentError naming the argument and the line of its placeholder.
    """
    declared = node.tensor
    wanted, shape = declared.dtype.numpy, declared.shape
    array = (
        value
        if type(value) is np.ndarray and value.dtype is wanted
        else _as_array(value, node, name, of_device)
    )
    if array.dtype != wanted:
        if not np.can_cast(array.dtype, wanted, "safe"):
            given = f"is {node.type} and was given {array.dtype}"
            text = f"{given}: that is no safe cast; convert with .astype({str(wanted)!r})"
            raise _refusal(DTypeError, node, name, text)
        array = array.astype(wanted)
    if array.ndim != len(shape):
        raise _misfit(array, node, name, f"its rank is {array.ndim}, not {len(shape)}")
    for axis, size in enumerate(shape):
        if not isinstance(size, Size) and size != array.shape[axis]:
            raise _misfit(array, node, name, f"axis {axis} is {array.shape[axis]}, not {size}")
    return array


def _misfit(array: Array, node: Node, name: str, why: str) -> Exception:
    given = f"is {node.type} and was given an array of shape {array.shape}"
    return _refusal(ShapeError, node, name, f"{given}: {why}")


def lies_on_gpu(value: Any) -> bool:
    """Whether an array of another library lies on a GPU."""
    if hasattr(value, "__cuda_array_interface__"):
        return True
    return hasattr(value, "__dlpack_device__") and value.__dlpack_device__()[0] in _DLPACK_CUDA


_DLPACK_CUDA = (2, 13)
"""A GPU's memory, and what it shares with the processor."""


def _as_array(value: Any, node: Node, name: str, of_device: Callable[[Any], Any] | None) -> Array:
    if isinstance(value, Node):
        raise _refusal(ArgumentError, node, name, f"was given {value!r}, which is a node and has no value")
    if isinstance(value, np.ma.MaskedArray):
        raise _refusal(
            ArgumentError, node, name, "was given a masked array, whose mask would be lost; use .filled()"
        )
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
    elif lies_on_gpu(value):
        if of_device is None:
            text = "lies on a GPU, and this runs on the processor: pass a copy, or compile with device='cuda'"
            raise _refusal(ArgumentError, node, name, text)
        array = of_device(value)
    elif hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        array = np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)
    else:
        return _from_python(value, node, name)
    if array.dtype.kind in "OSUMm":
        raise _refusal(DTypeError, node, name, f"is {node.type} and was given an array of {array.dtype}")
    return array


def _from_python(value: Any, node: Node, name: str) -> Array:
    """Python numbers and nested lists of them: weak, so they take the node's dtype if their kind allows it."""
    try:
        natural = np.asarray(value)
    except ValueError as error:
        raise _refusal(ArgumentError, node, name, f"was given a ragged sequence: {error}") from None
    if natural.size and (natural.dtype.kind not in "biufcV" or not _kind_fits(natural.dtype, node.dtype)):
        text = f"is {node.type} and was given {_brief(value)}, which is {natural.dtype} in NumPy"
        raise _refusal(DTypeError, node, name, text)
    try:
        return np.asarray(value, dtype=node.dtype)
    except (OverflowError, ValueError, TypeError) as error:
        raise _refusal(
            DTypeError, node, name, f"is {node.type} and was given {_brief(value)}: {error}"
        ) from None


def _kind_fits(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    return np.can_cast(given, wanted, "same_kind") or (given.kind in "iu" and wanted.kind in "iu")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _refusal(kind: type[Exception], node: Node, name: str, text: str) -> Exception:
    return kind(describe(f"{name} {text}", [(str(node.type), name, node.origin)]))
