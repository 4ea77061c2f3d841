"""NumPy's functions on nodes: ``np.exp(x)`` builds what ``sg.exp(x)`` builds."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError
from symgraph.graph.node import Node, located
from symgraph.graph.operators import FUNCTIONS
from symgraph.ops.declare import Function

_NAMES = {
    np.transpose: "transpose",  # np.permute_dims is the same object and takes fewer arguments
    np.linalg.norm: "norm",
    np.linalg.matrix_transpose: "matrix_transpose",
    np.linalg.vecdot: "vecdot",
}
_KEYWORDS = {"a": "x", "a_min": "min", "a_max": "max"}
"""NumPy's older names of arguments."""


def _table() -> dict[Any, Function]:
    """NumPy's functions and ufuncs, each with the function of the same name here."""
    table = {}
    for name, function in FUNCTIONS.items():
        if isinstance(function, Function) and callable(theirs := getattr(np, name, None)):
            table[theirs] = function
    return table | {function: FUNCTIONS[name] for function, name in _NAMES.items()}  # type: ignore[return-value]


_functions: dict[Any, Function] = {}


def _found(theirs: Any) -> Function:
    if not _functions:
        _functions.update(_table())
    function = _functions.get(theirs)
    if function is None:
        name = getattr(theirs, "__name__", repr(theirs))
        text = f"np.{name} takes no nodes; symgraph ops lists what there is"
        raise located(DTypeError(text), [])
    return function


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``ufunc(node, …)`` means; raises DTypeError for ``out=``, ``where=``, ``reduce`` and their like."""
    operands = [x for x in inputs if isinstance(x, Node)]
    if method != "__call__":
        instead = {
            "reduce": "sg.sum, sg.prod, sg.max or sg.min",
            "accumulate": "sg.cumsum",
            "outer": "x[:, None]",
        }
        hint = f"; use {instead[method]}" if method in instead else ""
        raise located(DTypeError(f"np.{ufunc.__name__}.{method} takes no nodes{hint}"), operands)
    refused = [key for key in kwargs if key not in ("dtype",)]
    if refused:
        text = f"np.{ufunc.__name__} of a node takes no {refused[0]}=: nodes are values, and nothing is written to"
        raise located(ArgumentError(text), operands)
    result = _found(ufunc)(*inputs)
    return FUNCTIONS["astype"](result, kwargs["dtype"]) if kwargs.get("dtype") is not None else result


def call_function(theirs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``np.function(node, …)`` means: the function of the same name, given the same arguments."""
    return _found(theirs)(*args, **{_KEYWORDS.get(key, key): value for key, value in kwargs.items()})


FUNCTIONS["__array_ufunc__"] = call_ufunc
FUNCTIONS["__array_function__"] = call_function
