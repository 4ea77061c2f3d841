"""Values that the gradient computes again instead of keeping them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from symgraph.api.stable import stabilized
from symgraph.autodiff.reverse import pullback
from symgraph.graph.graph import graph
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, items
from symgraph.graph.structure import flatten, is_single, unflatten
from symgraph.graph.trace import arguments, capture
from symgraph.graph.walk import substitute, toposort
from symgraph.ops.arithmetic import where
from symgraph.ops.checkpoint import CHECKPOINT
from symgraph.ops.comparison import isnan, logical_or
from symgraph.ops.create import zeros_like
from symgraph.ops.custom import custom_gradient, stop_gradient
from symgraph.ops.index import index
from symgraph.ops.reduce import sum
from symgraph.ops.shape import reshape


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator for a function of nodes: what it computes on the way is not kept for the gradient.

    The gradient computes it again, from the arguments and what the function reads from outside, once the cotangents of
    its results are known. Values and gradients are the same. A chain of n equal steps in blocks of √n holds about 2√n
    values at one time instead of n, and runs each step once more; the ``memory`` of a compiled function says what is
    saved.

    Arguments and results are nodes, or tuples, lists and dicts of them.

    >>> from symgraph import evaluate, grad, placeholder, sin, tanh
    >>> x = placeholder("float64", (), name="x")
    >>> y = checkpoint(lambda x: sin(tanh(x)))(x)
    >>> evaluate(grad(y, x), {x: 0.0})
    array(1.)

    Algorithm: Chen, Xu, Zhang and Guestrin 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174.
    """

    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        nodes = [as_node(x) for x in flatten(args, is_single)]
        with arguments([x.tensor for x in nodes]) as stands:
            returned = f(*unflatten(args, is_single, list(stands)))
            cut = capture(stands, [as_node(out) for out in flatten(returned, is_single)])
            given, inputs = [*nodes, *cut.outer], [*stands, *cut.stands]
            roots = stabilized(cut.roots, inputs)
            with arguments([out.tensor for out in roots if out.row.is_inexact]) as seeds:
                slopes = _slopes(given, inputs, roots, seeds) if seeds else []
        if not roots:
            return returned
        body = graph(inputs, roots, name="body", inner=True)
        gradient = graph([*inputs, *seeds], slopes, name="gradient", inner=True)
        call = CHECKPOINT(*given, body=body, gradient=gradient)
        return unflatten(returned, is_single, list(items(call)) if len(roots) > 1 else [call])

    return wrapped


def _slopes(
    given: Sequence[Node], inputs: Sequence[Node], outputs: Sequence[Node], seeds: list[Node]
) -> list[Node]:
    """The cotangents of the inputs, which stand for the given nodes, from values that no forward value is."""
    ready = functools.reduce(logical_or, (isnan(_first(stop_gradient(g))) for g in seeds))
    copies = {x: _again(x, ready) for x in _reaching(given, inputs, outputs)}
    again = substitute(outputs, copies)
    places = [copies.get(x, x) for x in inputs]
    found = pullback([out for out in again if out.row.is_inexact], seeds, places, opaque=True)
    return [zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


@custom_gradient
def _again(x: Node, ready: Node) -> Any:
    """``x`` itself, which waits for ``ready``: what is computed from it is not merged with what is computed from ``x``.

    It is a choice between ``x`` and ``x``, and no rule sees through that.
    """
    return where(ready, stop_gradient(x), x), lambda *g: (g[0] if g else None, None)


def _first(g: Node) -> Node:
    """One element, or 0 where there is none."""
    if all(isinstance(size, int) and size for size in g.shape):
        return index(g, (0,) * g.ndim)
    return sum(reshape(g, -1)[:1])


def _reaching(given: Sequence[Node], inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """A few inputs behind which everything lies that is behind any: those that are computed, and more where needed.

    So what is copied is an activation, and not the parameters that it meets.
    """
    order = toposort(outputs)
    missed = _behind(order, inputs)
    chosen = []
    for x, _ in sorted(zip(inputs, given, strict=True), key=lambda pair: not pair[1].inputs):
        reached = _behind(order, [x])
        if not missed.isdisjoint(reached):
            chosen.append(x)
            missed -= reached
    return chosen


def _behind(order: Iterable[Node], inputs: Iterable[Node]) -> set[Node]:
    """The nodes that depend on inputs, without these."""
    reached = set(inputs)
    for node in order:
        if not reached.isdisjoint(node.inputs):
            reached.add(node)
    return reached.difference(inputs)
