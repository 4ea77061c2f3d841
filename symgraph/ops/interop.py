"""NumPy's functions on nodes: ``np.exp(x)`` builds what ``sg.exp(x)`` builds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError
from symgraph.graph.node import Node, located
from symgraph.graph.op import as_node
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.types import dtype
from symgraph.ops.declare import Function


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``ufunc(node, …)`` means; raises DTypeError for ``reduce`` and its like, ArgumentError for ``out=``."""
    operands = [x for x in inputs if isinstance(x, Node)]
    if method != "__call__":
        hint = f"; use {_METHODS[method]}" if method in _METHODS else ""
        raise located(DTypeError(f"np.{ufunc.__name__}.{method} takes no nodes{hint}"), operands)
    for key, value in kwargs.items():
        if key != "dtype" and not _changes_nothing(key, value):
            raise located(ArgumentError(_refusal(f"np.{ufunc.__name__}", key)), operands)
    function = _found(ufunc)
    result = function(*inputs)
    return result if kwargs.get("dtype") is None else _computed_in(kwargs["dtype"], function, inputs, result)


def call_function(theirs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``np.function(node, …)`` means: the function of that name, its arguments told apart as NumPy does."""
    if theirs in _KNOWN_BEFORE:
        return _KNOWN_BEFORE[theirs](*args, **kwargs)
    function = _found(theirs)
    args, kwargs = _matched(theirs, function, args, kwargs)
    return function(*args, **kwargs)


FUNCTIONS["__array_ufunc__"] = call_ufunc
FUNCTIONS["__array_function__"] = call_function


# Which function


_METHODS = {
    "reduce": "sg.sum, sg.prod, sg.max or sg.min",
    "accumulate": "sg.cumsum",
    "outer": "x[:, None]",
    "at": "x.at[i].add(v) and its like, which give a new node",
}
_SPACES: dict[str, Callable[[], Any]] = {"": lambda: np, "linalg": lambda: np.linalg, "fft": lambda: np.fft}
"""NumPy's modules; that of transforms is loaded when it is asked for."""
_NAMES = {
    np.transpose: "transpose",  # np.permute_dims is the same object and takes fewer arguments
    np.amax: "max",
    np.amin: "min",
    np.linalg.cross: "cross",
    np.linalg.matmul: "matmul",
    np.linalg.matrix_transpose: "matrix_transpose",
    np.linalg.norm: "norm",
    np.linalg.tensordot: "tensordot",
    np.linalg.vecdot: "vecdot",
}


_KNOWN_BEFORE: dict[Any, Callable[..., Any]] = {
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
    np.copy: lambda a, order="K", subok=False: a,
}
"""What needs no call to be told."""


def _table() -> dict[Any, Callable[..., Any]]:
    """NumPy's functions and ufuncs, each with the function of the same name here."""
    table: dict[Any, Callable[..., Any]] = {}
    for name, function in FUNCTIONS.items():
        space, _, own = name.rpartition(".")
        theirs = getattr(_SPACES[space](), own, None) if space in _SPACES else None
        if isinstance(function, Function) and callable(theirs):
            table[theirs] = function
    return table | {theirs: FUNCTIONS[name] for theirs, name in _NAMES.items()}


_functions: dict[Any, Callable[..., Any]] = {}


def _found(theirs: Any) -> Callable[..., Any]:
    if not _functions:
        _functions.update(_table())
    function = _functions.get(theirs)
    if function is None:
        raise located(DTypeError(f"{_name(theirs)} takes no nodes; symgraph ops lists what there is"), [])
    return function


def _name(theirs: Any) -> str:
    """``np.linalg.det``, as a user writes it."""
    name = getattr(theirs, "__name__", repr(theirs))
    return f"np.linalg.{name}" if getattr(theirs, "__module__", None) == "numpy.linalg" else f"np.{name}"


# With what arguments


_RENAMED = {"a_min": "min", "a_max": "max"}
"""NumPy's older names of arguments."""
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "casting": ("same_kind",),
    "copy": (True, False, None),
    "device": (None, "cpu"),
    "kind": (None, "quicksort", "mergesort", "heapsort", "stable"),
    "optimize": (True, False, "greedy", "optimal"),
    "order": (None, "C", "K", "A"),
    "out": (None,),
    "overwrite_input": (True, False),
    "subok": (True, False),
    "where": (True,),
}
"""Arguments that say how NumPy is to do it, and change no value where they are these."""


@cache
def _signature(theirs: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(theirs)
    except (TypeError, ValueError):
        return None


def _matched(
    theirs: Any, ours: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments under our names: those of one name are the same, and NumPy's required ones stand in our order.

    An argument that we do not have is left out where it changes nothing, and refused elsewhere: by place alone,
    ``np.sort(x, 0, "stable")`` would sort in descending order.
    """
    signature = _signature(theirs)
    if signature is None:
        return args, kwargs
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as misfit:
        raise located(ArgumentError(f"{_name(theirs)}: {misfit}"), []) from None
    names = tuple((ours.signature if isinstance(ours, Function) else inspect.signature(ours)).parameters)
    many: tuple[Any, ...] = ()
    named: dict[str, Any] = {}
    for place, (name, parameter) in enumerate(signature.parameters.items()):
        if name not in given:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            many = given[name]
            continue
        pairs = given[name] if parameter.kind is parameter.VAR_KEYWORD else {name: given[name]}
        for key, value in pairs.items():
            if _is_left_out(parameter, value):
                continue
            mine = _RENAMED.get(key, key)
            if mine not in names and parameter.default is parameter.empty and place < len(names):
                mine = names[place]
            if mine in names:
                named[mine] = value
            elif not _changes_nothing(key, value):
                raise located(
                    ArgumentError(_refusal(_name(theirs), key)), [x for x in args if isinstance(x, Node)]
                )
    return many, named


def _changes_nothing(key: str, value: Any) -> bool:
    is_plain = value is None or isinstance(value, bool | str | tuple)
    return is_plain and any(
        type(value) is type(allowed) and value == allowed for allowed in _ALLOWED.get(key, ())
    )


def _is_left_out(parameter: inspect.Parameter, value: Any) -> bool:
    """Whether an argument that was given says no more than one that was not."""
    if parameter.kind is parameter.VAR_KEYWORD or parameter.default is parameter.empty:
        return False
    if value is parameter.default:
        return value is None or value is np._NoValue or isinstance(value, bool)
    return False


def _refusal(name: str, key: str) -> str:
    why = {"out": "nodes are values, and nothing is written to", "where": "use sg.where"}
    return f"{name} of a node takes no {key}=" + (f": {why[key]}" if key in why else "")


def _computed_in(wanted: Any, function: Callable[..., Any], inputs: tuple[Any, ...], result: Any) -> Any:
    """The result in this dtype: computed in it, because a sum of int8 that overflowed stays wrong in int64."""
    row = dtype(wanted)
    if not isinstance(result, Node):
        raise located(ArgumentError(f"{function.__name__} has several results and takes no dtype="), [])
    if result.row is row:
        return result
    nodes = [as_node(x) for x in inputs]
    for x in nodes:
        if not np.can_cast(x.dtype, row.numpy, "same_kind"):
            raise located(
                DTypeError(f"{x.row.name} is not computed with in {row.name}; convert it with astype"), nodes
            )
    again = function(*(FUNCTIONS["astype"](x, row) for x in nodes))
    if again.row is not row:
        raise located(DTypeError(f"{function.__name__} gives {again.row.name}, and not {row.name}"), nodes)
    return again
