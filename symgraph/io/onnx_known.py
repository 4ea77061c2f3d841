"""What is known of a node's value when the graph is built: numbers, and sizes that the call binds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph.dims import Dim, Size, broadcast, dim_max, dim_min, same
from symgraph.graph.evaluate import evaluate
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, OPS, PLACEHOLDER, SIZE, VARIABLE, constant, size_value
from symgraph.graph.types import TensorType
from symgraph.io.onnx_table import Unknown
from symgraph.ops.join import concat
from symgraph.ops.shape import expand_dims

Array = np.ndarray[Any, Any]

_LARGEST = 1 << 22
"""Elements of an array that is computed to learn sizes from it."""


@dataclass(frozen=True, slots=True)
class Whether:
    """An answer that only the call knows: whether two sizes are the same."""

    a: Dim
    b: Dim

    def unknown(self) -> Unknown:
        return Unknown(f"sizes depend on whether {self.a} is {self.b}")


class Known:
    """The values that nodes have in every call, each found once.

    ``inputs`` are the placeholders of the model's inputs and their names.
    """

    def __init__(self, inputs: Mapping[Node, str]) -> None:
        self._inputs = inputs
        self._found: dict[Node, Any] = {}

    def value(self, node: Node) -> Array:
        """The value of a node; of the dtype object, with ints and sizes as elements, where sizes are among them.

        Raises Unknown where it depends on what a call gives.
        """
        pending = [node]
        while pending:
            here = pending[-1]
            if here in self._found:
                pending.pop()
                continue
            waits = [x for x in here.inputs if x not in self._found]
            if waits:
                pending += waits
                continue
            self._found[here] = self._compute(here)
            pending.pop()
        _refuse_open(self._found[node])
        return self._found[node]  # type: ignore[no-any-return]

    def _compute(self, node: Node) -> Any:
        if node.op is CONSTANT:
            return node.attrs.fields()["value"]  # type: ignore[union-attr]
        if node.op is SIZE:
            return _objects(node.attrs.fields()["size"])  # type: ignore[union-attr]
        if node.op is PLACEHOLDER:
            if node in self._inputs:
                name = self._inputs[node]
                raise Unknown(f"sizes depend on the values of the input {name!r}", [name])
            raise Unknown("sizes depend on what changes from turn to turn of a loop, or on a branch")
        if node.op is VARIABLE:
            raise Unknown(f"sizes depend on the values of the variable {node.name!r}")
        if node.attrs is not None and node.attrs.symbols():
            raise Unknown(f"sizes depend on a value of the shape {node.shape}")
        if isinstance(node.type, TensorType) and node.size > _LARGEST:
            raise Unknown(
                f"sizes depend on {node.type}, an array of too many elements to be computed before a call"
            )
        values = [self._found[x] for x in node.inputs]
        attrs = {} if node.attrs is None else node.attrs.fields()
        if any(isinstance(value, np.ndarray) and value.dtype == object for value in values):
            if node.op.name not in _OF_SIZES:
                raise Unknown(f"sizes are computed by {node.op.name} of other sizes")
            if node.op.name in _COMPUTED and node.op.name != "where":
                for value in values:
                    _refuse_open(value)
            return _settled(_OF_SIZES[node.op.name](*values, **attrs))
        try:
            if node.op.numpy is not None:
                return node.op.numpy(*values, **attrs)
            return evaluate(node, dict(zip(node.inputs, values, strict=True)))
        except (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError) as error:
            raise Unknown(f"{node.op.name} of constants fails: {error}") from None


def from_dims(dims: Iterable[Dim], rank: int = 1) -> Node:
    """An int64 vector of sizes, or for rank 0 the one of them."""
    sizes = list(dims)
    if rank == 0:
        return size_value(sizes[0])
    if all(isinstance(size, int) for size in sizes):
        return constant(np.asarray(sizes, np.int64))
    return concat([expand_dims(size_value(size), 0) for size in sizes], axis=0)


def _objects(value: Any) -> Array:
    array = np.empty((), object)
    array[()] = value
    return array


def _settled(value: Array) -> Array:
    """Numbers again, where no size is left."""
    value = np.asarray(value, object) if not isinstance(value, np.ndarray) else value
    if value.dtype != object or any(isinstance(each, Size | Whether) for each in value.flat):
        return value
    return value.astype(bool if any(isinstance(each, bool) for each in value.flat) else np.int64)


def _refuse_open(value: Any) -> None:
    """Raise Unknown for an array with an answer that only the call knows."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        for each in value.flat:
            if isinstance(each, Whether):
                raise each.unknown()


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    apply = np.frompyfunc(lambda a, b: function(_plain(a), _plain(b)), 2, 1)
    return lambda a, b: apply(a, b)


def _plain(value: Any) -> Any:
    return value if isinstance(value, Size) else int(value)


def _equals(a: Dim, b: Dim) -> bool | Whether:
    answer = same(a, b)
    return Whether(a, b) if answer is None else answer


def _equal(a: Array, b: Array) -> Any:
    return np.frompyfunc(lambda x, y: _equals(_plain(x), _plain(y)), 2, 1)(a, b)


def _not_equal(a: Array, b: Array) -> Any:
    found = np.asarray(_equal(a, b), object)
    _refuse_open(found)
    return ~found.astype(bool)


def _choose(condition: Any, a: Any, b: Any) -> Dim:
    """One of two sizes; ``a if b == 1 else b`` is what NumPy broadcasts the two to."""
    if not isinstance(condition, Whether):
        return _plain(a if condition else b)  # type: ignore[no-any-return]
    if {condition.a, condition.b} == {_plain(b), 1}:
        return broadcast(_plain(a), _plain(b))
    raise condition.unknown()


def _cast(x: Array, dtype: Any) -> Array:
    if not dtype.is_integer:
        raise Unknown(f"sizes become {dtype.name}")
    return x


def _reduced(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def along(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        if x.ndim != 1:
            raise Unknown(f"sizes are computed from {x.ndim} axes of sizes")
        found = _objects(reduce(function, map(_plain, x)) if axes else x[0])
        return found.reshape(1) if keepdims else found

    return along


_MOVES = ("index", "concat", "reshape", "expand_dims", "squeeze", "transpose", "broadcast_to")
"""Ops whose NumPy meaning does not look at the elements."""

_COMPUTED: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "negative": lambda a: -a,
    "floor_divide": _each(lambda a, b: a // b),
    "remainder": _each(lambda a, b: a % b),
    "maximum": _each(dim_max),
    "minimum": _each(dim_min),
    "equal": _equal,
    "not_equal": _not_equal,
    "where": lambda condition, a, b: np.frompyfunc(_choose, 3, 1)(condition, a, b),
    "astype": _cast,
    "sum": _reduced(lambda a, b: a + b),
    "prod": _reduced(lambda a, b: a * b),
    "max": _reduced(dim_max),
    "min": _reduced(dim_min),
}
_OF_SIZES = _COMPUTED | {name: cast(Callable[..., Any], OPS[name].numpy) for name in _MOVES}
"""What ops make of arrays of sizes."""
