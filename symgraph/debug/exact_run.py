"""A graph run once in high precision: all of it, or what the wanted elements need."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.debug.exact_functions import FUNCTIONS, trunc
from symgraph.debug.exact_numbers import Arithmetic, Array, Number, elementwise, part, sqrt
from symgraph.errors import GraphError, RunError, SymgraphError
from symgraph.graph.binding import bind, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import bind_sizes
from symgraph.graph.node import Node, located
from symgraph.graph.op import PLACEHOLDER, VARIABLE
from symgraph.graph.types import DType, TensorType, TupleType
from symgraph.graph.walk import expand, toposort


@dataclass(frozen=True, slots=True)
class Program:
    """Nodes to run, each after what it needs; the bodies of the composites among them; what is given."""

    order: tuple[Node, ...]
    bodies: Mapping[Node, Node]
    given: Mapping[Node, Array]

    def sizes(self) -> dict[Size, int]:
        return bind_sizes(list(self.given), list(self.given.values()))


def program(nodes: Sequence[Node], given: Mapping[Node, Array]) -> Program:
    """What computes the nodes from given ones."""
    bodies: dict[Node, Node] = {}

    def needs(node: Node) -> tuple[Node, ...]:
        if not _is_composite(node):
            return node.deps
        if node not in bodies:
            bodies[node] = expand(node)
        return (bodies[node],)

    return Program(tuple(toposort(nodes, given, needs)), bodies, given)


Decisions = Mapping[int, Sequence[tuple[Any, Any]]]
"""The numbers that were compared for each element, by its place; at -1 those compared for all."""


@dataclass(frozen=True, slots=True)
class Run:
    values: dict[Node, Any]
    decisions: dict[Node, Decisions]


def run(program: Program, arithmetic: Arithmetic, wanted: Mapping[Node, Array] | None = None) -> Run:
    """The values of all nodes, or of those with wanted elements; what is not wanted in these may be anything."""
    sizes = program.sizes()
    values: dict[Node, Any] = {}
    decisions: dict[Node, Decisions] = {}
    with np.errstate(all="ignore"):
        for node in program.order:
            if node in program.given:
                values[node] = _typed(node.type, program.given[node], arithmetic)
            elif wanted is not None and node not in wanted:
                continue
            elif node.op in (PLACEHOLDER, VARIABLE):
                raise located(GraphError(f"no value is given for {node.name!r}"), [node])
            elif node in program.bodies:
                values[node] = values[program.bodies[node]]
            else:
                inputs = [values[x] for x in node.inputs]
                mask = None if wanted is None else wanted[node]
                found, decisions[node] = _step(node, inputs, sizes, mask, arithmetic)
                values[node] = _typed(node.type, found, arithmetic)
                if node.op.binds_sizes:
                    _bind_results(node, values[node], sizes)
    return Run(values, decisions)


def attributes(node: Node, sizes: Mapping[Size, int]) -> dict[str, Any]:
    """The attributes of a node by name, with numbers for sizes."""
    if node.attrs is None:
        return {}
    fields: dict[str, Any] = node.attrs.map_sizes(lambda size: evaluate_dim(size, sizes)).fields()
    return fields


def _is_composite(node: Node) -> bool:
    direct = node.op.name in FUNCTIONS and _is_inexact(node)
    return node.op.body is not None and node.op.numpy is None and not direct


def _is_inexact(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.row.is_inexact


def _step(
    node: Node, inputs: list[Any], sizes: dict[Size, int], mask: Array | None, arithmetic: Arithmetic
) -> tuple[Any, Decisions]:
    name = node.op.name
    arithmetic.decisions = []
    try:
        attrs = attributes(node, sizes)
        if not any(_is_exact(x) for x in inputs) or (
            name in STRUCTURAL and attrs.get("mode") not in _EXTREMA
        ):
            assert node.op.numpy is not None
            return node.op.numpy(*inputs, **attrs), {}
        if name in FUNCTIONS:
            return _at_elements(node, functools.partial(FUNCTIONS[name], **attrs), inputs, mask, arithmetic)
        if name == "astype":
            return _cast(inputs[0], attrs["dtype"]), {-1: arithmetic.decisions}
        if name == "norm":
            return _norm(inputs[0], **attrs), {-1: arithmetic.decisions}
        if name in ORDERING or name == "update":
            return _by_rank(node, inputs, attrs), {-1: arithmetic.decisions}
    except SymgraphError as error:
        raise located(error, node.inputs, name) from None
    except (ValueError, IndexError, ArithmeticError, TypeError) as error:
        raise located(RunError(str(error)), node.inputs, name) from error
    raise located(RunError(f"{name} has no exact meaning"), node.inputs)


def _at_elements(
    node: Node, f: Callable[..., Any], inputs: list[Array], mask: Array | None, arithmetic: Arithmetic
) -> tuple[Array, Decisions]:
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    found = np.full(shape, math.nan if _is_inexact(node) else False, object)
    decisions: dict[int, Sequence[tuple[Any, Any]]] = {}
    flat, columns = found.reshape(-1), [np.broadcast_to(x, shape).ravel() for x in inputs]
    for i in range(flat.size) if mask is None else np.flatnonzero(mask).tolist():
        arithmetic.decisions = []
        flat[i] = f(*(column[i] for column in columns))
        if arithmetic.decisions:
            decisions[i] = arithmetic.decisions
    return found, decisions


def _is_exact(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == object


def _typed(type: Any, value: Any, arithmetic: Arithmetic) -> Any:
    """The value as its type says: numbers where that is inexact, else NumPy's."""
    if isinstance(type, TupleType):
        return tuple(_typed(t, v, arithmetic) for t, v in zip(type.items, value, strict=True))
    if not type.dtype.is_inexact:
        return np.asarray(value).astype(type.dtype.numpy, copy=False)
    array = np.asarray(value)
    return elementwise(lambda x: arithmetic.number(x, type.dtype.is_complex), array.astype(object))


def _bind_results(node: Node, value: Any, sizes: dict[Size, int]) -> None:
    assert isinstance(node.type, TupleType)
    for type, array in zip(node.type.items, value, strict=True):
        bind(type.shape, array.shape, sizes)


def _cast(x: Array, row: DType) -> Array:
    if row.is_inexact:
        return x if row.is_complex else part("real", x)
    if row.kind == "bool":
        return x.astype(bool)
    bounds = np.iinfo(row.numpy)

    def to_integer(value: Number) -> int:
        whole = trunc(value.real)
        if not whole.is_finite or not bounds.min <= whole <= bounds.max:
            raise RunError(f"{value.of.mp.nstr(value.value, 8)} is no {row.name}")
        return int(whole.value)

    return elementwise(to_integer, x).astype(row.numpy)


def _norm(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    squares = elementwise(lambda v: v.real * v.real + v.imag * v.imag, x)
    totals = np.asarray(np.sum(squares, axis=axes, keepdims=keepdims))
    return elementwise(lambda total: sqrt(total) if total else total, totals)


def _by_rank(node: Node, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """The NumPy meaning on the place of each element among all, which NaN has none of, nor what is found in nothing."""
    numbers: list[Number] = [x for array in inputs if _is_exact(array) for x in array.ravel()]
    ordered = sorted((x for x in numbers if not x.is_nan), key=functools.cmp_to_key(_compared))
    ranks: dict[int, float] = {}
    distinct: list[Number] = []
    for x in ordered:
        if not distinct or x != distinct[-1]:
            distinct.append(x)
        ranks[id(x)] = len(distinct) - 1
    places = [
        elementwise(lambda v: ranks.get(id(v), math.nan), x).astype(np.float64) if _is_exact(x) else x
        for x in inputs
    ]
    assert node.op.numpy is not None
    found = np.asarray(node.op.numpy(*places, **attrs))
    if not _is_inexact(node):
        return found
    return elementwise(lambda r: distinct[int(r)] if math.isfinite(r) else r, found.astype(object))


def _compared(x: Number, y: Number) -> int:
    return (x > y) - (x < y)


STRUCTURAL = frozenset({
    "constant", "item", "pack", "stop_gradient", "broadcast_to", "reshape", "expand_dims", "squeeze", "transpose",
    "index", "update", "concat", "pad", "shift", "where", "sum", "sum_to", "prod", "cumulative_sum",
    "cumulative_prod", "linear_recurrence", "matmul", "tensordot", "einsum", "bincount",
})  # fmt: skip
"""Ops that move, add and multiply elements: their NumPy meaning takes numbers."""

ORDERING = frozenset(
    {"max", "supremum", "min", "argmax", "argmin", "sort", "argsort", "searchsorted", "unique_all"}
)
"""Ops that compare elements: their NumPy meaning takes ranks."""

_EXTREMA = ("max", "min")
