"""Forward mode and what is built on it: directional derivatives, products with Hessians, Jacobians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from symgraph.api.gradient import grad
from symgraph.api.stable import stabilized
from symgraph.autodiff import forward, sparse
from symgraph.autodiff import jacobian as dense
from symgraph.graph.node import Node
from symgraph.graph.op import as_node


@overload
def jvp(outputs: Node, inputs: Node | Sequence[Node], tangents: Any) -> Node: ...
@overload
def jvp(outputs: Sequence[Node], inputs: Node | Sequence[Node], tangents: Any) -> list[Node]: ...
def jvp(outputs: Node | Sequence[Node], inputs: Node | Sequence[Node], tangents: Any) -> Node | list[Node]:
    """The product of the Jacobian with tangents: for each output ``Σ ∂output/∂input · tangent`` over the inputs.

    The slope of the outputs in one direction, in about the time of the outputs themselves. A tangent has the type of
    its input, or broadcasts to it; each result has the type of its output. For one output there is one result.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (2,), name="x")
    >>> evaluate(jvp(x * x, x, [1.0, 10.0]), {x: [1.0, 2.0]})
    array([ 2., 40.])

    Raises GradientError for inputs and outputs that are not floating-point or complex, and where a `custom_gradient`
    is not linear in the cotangent.

    Algorithm: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, ch. 3; the rule of an op is the
    transpose of its reverse rule (Radul et al. 2023, "You only linearize once", POPL, arXiv:2204.10923, turned round).
    """
    given = [tangents] if isinstance(inputs, Node) else list(tangents)
    found = forward.jvp(_outputs(outputs), _inputs(inputs), given, meaning=stabilized)
    return found[0] if isinstance(outputs, Node) else found


def linearize(
    outputs: Node | Sequence[Node], inputs: Node | Sequence[Node]
) -> tuple[Any, Callable[..., Any]]:
    """The outputs, and the function from tangents, one for each input, to the tangents of the outputs.

    The function is linear, and may be called any number of times: values that do not depend on tangents are shared.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (), name="x")
    >>> y, along = linearize(x**3, x)
    >>> [float(evaluate(node, {x: 2.0})) for node in (y, along(1.0), along(10.0))]
    [8.0, 12.0, 120.0]

    Raises GradientError as `jvp` does, when it is called and when the function is.
    """
    outs, nodes = _outputs(outputs), _inputs(inputs)
    stable = forward.checked(outs, nodes, meaning=stabilized)

    def along(*tangents: Any) -> Any:
        """The tangents of the outputs."""
        found = forward.jvp(stable, nodes, tangents)
        return found[0] if isinstance(outputs, Node) else found

    return outputs, along


@overload
def hvp(loss: Node, inputs: Node, vectors: Any) -> Node: ...
@overload
def hvp(loss: Node, inputs: Sequence[Node], vectors: Any) -> list[Node]: ...
def hvp(loss: Node, inputs: Node | Sequence[Node], vectors: Any) -> Node | list[Node]:
    """The product of the Hessian of a real scalar with vectors: how the gradient changes in one direction.

    There is a vector for each input, of its type or broadcast to it, and as many results of these types. Forward mode
    through the gradient, which takes a few times as long as the loss.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (2,), name="x")
    >>> evaluate(hvp((x**3).sum(), x, [1.0, 10.0]), {x: [1.0, 2.0]})
    array([  6., 120.])

    Raises GradientError as `grad` and `jvp` do.

    Algorithm: Pearlmutter 1994, "Fast exact multiplication by the Hessian", Neural Computation 6.
    """
    return jvp(grad(loss, inputs), inputs, vectors)


def jacobian(
    outputs: Node | Sequence[Node],
    inputs: Node | Sequence[Node],
    *,
    mode: str | None = None,
    holomorphic: bool = False,
) -> Any:
    """Every slope of the outputs in the inputs: an array of the output's sizes and then the input's.

    A list of inputs gives a list, and a list of outputs a list of what each of them gives. ``mode`` is "reverse", which
    makes a row for each element of the outputs, or "forward", a column for each of the inputs; the default takes fewer.
    Either is one graph over arrays with an axis more, whatever their number, which may be symbolic. Of few nonzero
    slopes `sparse_jacobian` makes less work.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (2,), name="x")
    >>> evaluate(jacobian(x * x.sum(), x), {x: [1.0, 2.0]})
    array([[4., 1.],
           [2., 5.]])

    Raises GradientError for inputs and outputs that are not floating-point, and for complex ones unless ``holomorphic``
    says that the function is, when all are complex. Real inputs may have complex outputs, in forward mode.
    """
    outs, nodes = _outputs(outputs), _inputs(inputs)
    found = dense.jacobian(outs, nodes, mode=mode, holomorphic=holomorphic, meaning=stabilized)
    return _as_given(found, outputs, inputs)


def sparse_jacobian(outputs: Node | Sequence[Node], inputs: Node | Sequence[Node]) -> Any:
    """The slopes of the outputs in the inputs that can be nonzero, with their rows and columns.

    Which these are is read from the graph, whose sizes must be known. Columns that have no row in common are found in
    one forward pass, rows that have no column in common in one reverse pass: three for a tridiagonal matrix of any
    size. Lists give lists, as for `jacobian`.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (4,), name="x")
    >>> found = sparse_jacobian(x[1:] * x[:-1], x)
    >>> values = evaluate(found.values, {x: [1.0, 2.0, 3.0, 4.0]})
    >>> values, found.rows.tolist(), found.columns.tolist(), found.passes
    (array([2., 1., 3., 2., 4., 3.]), [0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 3], 2)
    >>> found.toarray(values)
    array([[2., 1., 0., 0.],
           [0., 3., 2., 0.],
           [0., 0., 4., 3.]])

    Raises GradientError for inputs and outputs that are not floating-point, and for sizes that are not known.

    Algorithm: Coleman and Verma 1998, "The efficient computation of sparse Jacobian matrices using automatic
    differentiation", SIAM J. Sci. Comput. 19; the colours are greedy (Curtis, Powell and Reid 1974).
    """
    return _as_given(
        sparse.sparse_jacobian(_outputs(outputs), _inputs(inputs), meaning=stabilized), outputs, inputs
    )


def hessian(loss: Node, inputs: Node | Sequence[Node]) -> Any:
    """Every second slope of a real scalar: an array of the input's sizes, twice.

    A list of inputs gives a list of lists, with the sizes of one input and then of another. The gradient's columns, in
    forward mode.

    >>> from symgraph import evaluate, placeholder
    >>> x = placeholder("float64", (2,), name="x")
    >>> evaluate(hessian(x[0] ** 2 * x[1], x), {x: [1.0, 3.0]})
    array([[6., 2.],
           [2., 0.]])

    Raises GradientError as `grad` does, and for complex inputs.
    """
    return jacobian(grad(loss, inputs), inputs, mode="forward")


def _as_given(table: Sequence[Sequence[Any]], outputs: Any, inputs: Any) -> Any:
    """A row for each output, with an entry for each input; without a list where a single node was given."""
    rows = [row[0] if isinstance(inputs, Node) else row for row in table]
    return rows[0] if isinstance(outputs, Node) else rows


def _outputs(nodes: Node | Sequence[Node]) -> list[Node]:
    return [nodes] if isinstance(nodes, Node) else [as_node(node) for node in nodes]


def _inputs(nodes: Node | Sequence[Node]) -> list[Node]:
    return [nodes] if isinstance(nodes, Node) else list(nodes)
