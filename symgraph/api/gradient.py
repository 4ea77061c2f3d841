"""Gradients of programs in their stable form: what is differentiated is what is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from symgraph.api.stable import known, stabilized
from symgraph.autodiff import reverse
from symgraph.errors import GradientError
from symgraph.graph.node import Node, located
from symgraph.graph.op import as_node
from symgraph.graph.types import TensorType
from symgraph.ops.create import ones_like
from symgraph.optimizations import pipeline


@overload
def grad(loss: Node, wrt: Node, *, disconnected: str = ...) -> Node: ...
@overload
def grad(loss: Node, wrt: Sequence[Node], *, disconnected: str = ...) -> list[Node]: ...
def grad(loss: Node, wrt: Node | Sequence[Node], *, disconnected: str = "raise") -> Node | list[Node]:
    """The gradient of a real scalar with respect to a node, or to each node of a sequence.

    Any node can stand in ``wrt``: a placeholder, a variable, an intermediate value. Each gradient has the type of its
    node. A node that the loss does not depend on raises, or with ``disconnected="zero"`` has gradient zero.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (3,), name="x")
    >>> evaluate(grad((x * x).sum(), x), {x: [1.0, 2.0, 3.0]})
    array([2., 4., 6.])

    Raises GradientError when the loss is no real floating-point scalar, when a node of ``wrt`` is not floating-point
    or complex, and for disconnected nodes.

    Algorithm: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, ch. 3.
    """
    loss = as_node(loss)
    _check_loss(loss)
    nodes = [wrt] if isinstance(wrt, Node) else list(wrt)
    for node in nodes:
        reverse.check_differentiable(node)

    def found(losses: Sequence[Node], nodes: Sequence[Node]) -> list[Node]:
        seeds = [ones_like(loss)]
        return reverse.vjp(losses, nodes, seeds, disconnected=disconnected, meaning=pipeline.stabilized)

    gradients = known(f"gradient, disconnected {disconnected}", [loss], nodes, found)
    return gradients[0] if isinstance(wrt, Node) else gradients


def vjp(
    outputs: Node | Sequence[Node],
    inputs: Sequence[Node],
    cotangents: Any,
    *,
    disconnected: str = "zero",
) -> list[Node]:
    """The product of cotangents with the Jacobian: for each input ``Σ cotangent · ∂output/∂input`` over the outputs.

    A cotangent has the type of its output, or broadcasts to it.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (2,), name="x")
    >>> (g,) = vjp([x * x], [x], [[1.0, 10.0]])
    >>> evaluate(g, {x: [1.0, 2.0]})
    array([ 2., 40.])

    Raises GradientError for inputs and outputs that are not floating-point or complex.
    """
    outs = [outputs] if isinstance(outputs, Node) else [as_node(out) for out in outputs]
    seeds = [cotangents] if isinstance(cotangents, Node) else list(cotangents)
    return reverse.vjp(outs, inputs, seeds, disconnected=disconnected, meaning=stabilized)


def _check_loss(loss: Node) -> None:
    if not isinstance(loss.type, TensorType) or loss.ndim:
        text = f"a gradient is of a scalar, and this loss is {loss.type}; sum it, or use sg.vjp"
        raise located(GradientError(text), [loss])
    if not loss.row.is_float:
        hint = (
            "take its real part or abs" if loss.row.is_complex else "only floating-point values have slopes"
        )
        raise located(
            GradientError(f"a gradient is of a real number, and this loss is {loss.type}; {hint}"), [loss]
        )
