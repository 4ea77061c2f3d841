"""Gradients of the user's own: ``stop_gradient`` and ``custom_gradient``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.errors import DTypeError, GradientError
from symgraph.graph.graph import Graph, graph
from symgraph.graph.node import Node, located
from symgraph.graph.op import Attrs, Op, as_node, items, pack, register
from symgraph.graph.trace import arguments, capture, inline
from symgraph.graph.types import TensorType, TupleType
from symgraph.ops.annotations import Array, ArrayLike
from symgraph.ops.cases import elementwise_cases
from symgraph.ops.create import zeros_like
from symgraph.ops.declare import ALL, macro, op


@op(elementwise=True, dtypes=ALL, cases=elementwise_cases(1), reference=lambda x: x, differentiable=False)
def stop_gradient(x: ArrayLike) -> Node:
    """``x`` itself, of which gradients know nothing.

    >>> evaluate(stop_gradient([1.0, 2.0]))
    array([1., 2.])
    """
    return stop_gradient.op(as_node(x))


@stop_gradient.infer
def _(x: TensorType) -> TensorType:
    return x


@stop_gradient.numpy
def _(x: Array) -> Array:
    return x


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CallAttrs(Attrs):
    """``body`` is what is computed; ``gradient`` takes the same inputs and the cotangents of the outputs."""

    body: Graph
    gradient: Graph


def _infer_call(*types: TensorType, body: Graph, gradient: Graph) -> TensorType | TupleType:
    wanted = [x.type for x in body.inputs]
    if list(types) != wanted:
        raise DTypeError(f"takes ({', '.join(map(str, wanted))})")
    outputs = tuple(out.tensor for out in body.outputs)
    return outputs[0] if len(outputs) == 1 else TupleType(outputs)


def _call_body(*inputs: Node, body: Graph, gradient: Graph) -> Node:
    outputs = inline(body, inputs)
    return outputs[0] if len(outputs) == 1 else pack(*outputs)


def _call_vjp(g: Any, *inputs_and_out: Node, body: Graph, gradient: Graph) -> tuple[Any, ...]:
    *inputs, _ = inputs_and_out
    cotangents = g if isinstance(g, tuple) else (g,)
    given = [part for part in cotangents if part is not None]
    found = inline(gradient, [*inputs, *given])
    return (*found, *(0 for _ in inputs[len(found) :]))


CALL = register(Op("call", infer=_infer_call, body=_call_body, vjp=_call_vjp, attrs=CallAttrs))


@macro()
def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator for a function that returns its result and its derivative.

    The derivative is a function from the cotangent of the result to the cotangents of the arguments. With several
    results (a tuple) it takes one cotangent for each; it returns one node for one argument, a tuple for several.
    Values that ``f`` reads from outside get no gradient.

    >>> @custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: clip(g, -1.0, 1.0)
    >>> x = placeholder("float64", (), name="x")
    >>> evaluate(grad(clipped(x) * 100.0, x), {x: 2.0})
    array(1.)

    Raises GradientError when the cotangents do not have the types of the arguments.
    """

    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        nodes = [as_node(x) for x in args]
        with arguments([x.tensor for x in nodes]) as stands:
            results, rule = _split(f(*stands), f)
            many = isinstance(results, (tuple, list))
            outputs = [as_node(out) for out in (results if many else [results])]
            with arguments([out.tensor for out in outputs if out.row.is_inexact]) as seeds:
                slopes = _slopes(rule(*seeds), stands, f)
                cut = capture([*stands, *seeds], [*outputs, *slopes])
        inputs, roots = [*stands, *cut.stands], cut.roots
        body = graph(inputs, roots[: len(outputs)], name="body", inner=True)
        gradient = graph([*inputs, *seeds], roots[len(outputs) :], name="gradient", inner=True)
        call = CALL(*nodes, *map(stop_gradient, cut.outer), body=body, gradient=gradient)
        if not many:
            return call
        return type(results)(items(call) if len(outputs) > 1 else [call])

    return wrapped


def _split(returned: Any, f: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    if isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1]):
        return returned
    text = f"{_name(f)} must return its result and a function of the cotangent, not {returned!r}"
    raise located(GradientError(text), [])


def _slopes(found: Any, stands: list[Node], f: Callable[..., Any]) -> list[Node]:
    """The cotangents that the user's rule gave, in the types of the arguments."""
    slopes = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(slopes) != len(stands):
        text = f"{_name(f)} takes {len(stands)} arguments and its rule gives {len(slopes)} cotangents"
        raise located(GradientError(text), [])
    nodes = [zeros_like(x) if g is None else as_node(g, x.row) for g, x in zip(slopes, stands, strict=True)]
    for g, x in zip(nodes, stands, strict=True):
        if g.row is not x.row or g.ndim != x.ndim:
            raise located(
                GradientError(f"the rule of {_name(f)} gives {g.type} for an argument that is {x.type}"), []
            )
    return nodes


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "the function")
