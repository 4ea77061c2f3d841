"""The user's own ops that are Python functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, GraphError, ShapeError, SymgraphError
from symgraph.graph.dims import Size
from symgraph.graph.node import Node, located
from symgraph.graph.op import Op, as_node, constant
from symgraph.graph.types import DType, TensorType, dtype
from symgraph.ops.own_op import (
    Array,
    Inputs,
    OwnOp,
    attributes,
    called,
    enter,
    keywords,
    name_of,
    place_of,
    seen,
)
from symgraph.ops.type_rules import TypeRule


def python_op(
    *, result: str, name: str | None = None, vjp: Callable[..., Any] | None = None
) -> Callable[[Callable[..., Any]], OwnOp]:
    """Make an op of a Python function of NumPy arrays, which runs at each call, on every device.

    ``result`` is its type rule, as `symgraph.ops.type_rules` has them: ``"f64[n, k], f64[k] -> f64[n]"``. It is kept
    when nodes are built, and again when the function runs. Several results are ``"f64[n] -> f64[n], i64"``, and a name
    that no argument has is a size that the data decide: ``"T[n] -> T[found]"``. Parameters behind a ``*`` are
    attributes, as of `composite`; ints among them may stand in sizes.

    The function is pure: it changes none of its arguments, which are read-only, and its results depend on nothing else.
    Equal calls are one call, what nobody asks for is not called, and what is known before is called once, then.

    >>> @python_op(result="f64[n], f64[m] -> f64[n + m - 1]")
    ... def convolve(a, b):
    ...     return np.convolve(a, b)
    >>> x = placeholder("float64", ("n",), name="x")
    >>> convolve(x, [1.0, 1.0]).type
    f64[n + 1]
    >>> evaluate(convolve(x, [1.0, 1.0]), {x: [1.0, 2.0]})
    array([1., 3., 2.])

    Raises GraphError for a rule that is none and a name that is no identifier or is taken by another op; where it runs,
    RunError for what the function raises, which is its ``__cause__``, DTypeError and ShapeError for a result that is
    not what the rule says. They name the function and its line.
    """

    def declare(f: Callable[..., Any]) -> OwnOp:
        own, place = name_of(f, name), place_of(f)
        try:
            rule = TypeRule(result, numbers=keywords(f))
        except GraphError as error:
            raise located(GraphError(f"{own} ({place}): {error}"), []) from None
        meaning = checked(f, rule, own, place)
        op = Op(
            own,
            infer=lambda *types, **attrs: rule.types(types, attrs),
            numpy=meaning,
            attrs=attributes(f, own),
            binds_sizes=bool(rule.new),
        )
        made = enter(OwnOp(op, f, place, typed(rule)))
        return made.vjp(vjp) if vjp is not None else made

    return declare


def typed(rule: TypeRule) -> Inputs:
    """Arguments as nodes; numbers and lists take the dtype that the rule has for them."""

    def inputs(values: Sequence[Any]) -> list[Node]:
        rows = [each.dtype for each in rule.takes]
        if len(values) != len(rows):
            raise ArgumentError(
                f"its rule {rule.text!r} has {len(rows)} arguments, and it is given {len(values)}"
            )
        bound = {row: x.row for row, x in zip(rows, values, strict=True) if isinstance(x, Node)}
        return [
            _typed(x, row if isinstance(row, DType) else bound.get(row))
            for x, row in zip(values, rows, strict=True)
        ]

    return inputs


def _typed(value: Any, row: DType | None) -> Node:
    if row is None or isinstance(value, Node | Size | np.ndarray | np.generic):
        return as_node(value)
    found = as_node(value)
    if found.row is row:
        return found
    if not np.can_cast(found.dtype, row.numpy, "same_kind") and not (found.row.is_integer and row.is_inexact):
        raise DTypeError(f"{value!r} is no {row.name}")
    return constant(value, row)


def checked(f: Callable[..., Any], rule: TypeRule, name: str, place: str) -> Callable[..., Any]:
    """The function on arrays that it cannot change; what it gives is what the rule says, and memory of its own."""

    known: set[Any] = set()
    """Dtypes, shapes and attributes that fit."""

    def meaning(*arrays: Any, **attrs: Any) -> Any:
        given = [seen(x) for x in arrays]
        forms: Any = tuple([(x.dtype, x.shape) for x in given]), tuple(attrs.items())
        if forms not in known:
            rule.bind([TensorType(dtype(x.dtype), x.shape) for x in given], attrs)
        found = called(f, given, attrs, name, place)
        results = _arrays(found, rule, name, place)
        both = forms, tuple([(x.dtype, x.shape) for x in results])
        if both not in known:
            why = rule.refuse(given, attrs, results)
            if why is not None:
                raise _refusal(results, rule)(f"{name} ({place}): {why}")
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known.update((forms, both))
        own = [x.copy() if any(np.may_share_memory(x, y) for y in given) else x for x in results]
        return own[0] if rule.is_single else tuple(own)

    return meaning


_MOST_KNOWN = 256
"""For how many shapes a function keeps that they fit."""


def _arrays(found: Any, rule: TypeRule, name: str, place: str) -> list[Array]:
    """What a function gave, as arrays; raises DTypeError for what is none."""
    if not rule.is_single and not isinstance(found, tuple | list):
        text = f"it gave one {type(found).__name__}, and its rule says {len(rule.gives)} results"
        raise ShapeError(f"{name} ({place}): {text}")
    try:
        return [np.asarray(x) for x in ([found] if rule.is_single else found)]
    except ValueError as error:
        raise DTypeError(f"{name} ({place}): it gave what is no array: {error}") from None


def _refusal(results: Sequence[Array], rule: TypeRule) -> type[SymgraphError]:
    """What kind of error it is: of dtypes where these differ."""
    rows = [each.dtype for each in rule.gives]
    odd = any(isinstance(row, DType) and x.dtype != row.numpy for row, x in zip(rows, results, strict=False))
    return DTypeError if odd else ShapeError
