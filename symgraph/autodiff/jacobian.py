"""Jacobians: every slope of every element, a row for each element of the outputs or a column for each of the inputs.

A row is the reverse mode with a cotangent that is 1 in one place, a column the forward mode with such a tangent. All
rows are one graph, of arrays with an axis more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from symgraph.autodiff.batch import batched
from symgraph.autodiff.forward import Meaning, checked, pushforward
from symgraph.autodiff.reverse import pullback
from symgraph.errors import GradientError
from symgraph.graph.collector import paused
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node, located
from symgraph.graph.trace import stand_in
from symgraph.graph.types import promote
from symgraph.graph.walk import toposort
from symgraph.ops.arithmetic import conj
from symgraph.ops.create import eye, zeros
from symgraph.ops.declare import cast_to
from symgraph.ops.shape import moveaxis, reshape


def jacobian(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    *,
    mode: str | None = None,
    holomorphic: bool = False,
    meaning: Meaning = lambda outputs, inputs: outputs,
) -> list[list[Node]]:
    """For each output a list with the slopes in each input, of the output's sizes and then the input's.

    Slopes have the dtype that the two are promoted to.
    ``mode`` is "reverse" or "forward"; by default what takes fewer rows. ``meaning`` gives the outputs in the form that
    is differentiated.

    Raises GradientError for what is not floating-point, and for complex values unless ``holomorphic`` is set, when all
    must be complex; forward mode takes real inputs to complex outputs without it.
    """
    if mode not in (None, "reverse", "forward"):
        raise located(GradientError(f'mode is "reverse", "forward" or None, not {mode!r}'), [])
    outs = checked(outputs, inputs, meaning=meaning)
    chosen = mode or cheaper_mode(outputs, inputs)
    if holomorphic:
        _check_holomorphic((*outputs, *inputs))
    elif mode is None and any(out.row.is_complex for out in outputs):
        chosen = "forward"
    if not holomorphic:
        check_real(inputs if chosen == "forward" else (*inputs, *outputs))
    with paused():
        if chosen == "forward":
            columns = [_columns(outs, x) for x in inputs]
            table = [[column[i] for column in columns] for i in range(len(outs))]
        else:  # a cotangent is multiplied by the conjugate of a slope
            table = [[conj(rows) for rows in _rows(out, inputs)] for out in outs]
        return [
            [cast_to(part, promote(out.row, x.row)) for part, x in zip(row, inputs, strict=True)]
            for row, out in zip(table, outs, strict=True)
        ]


def cheaper_mode(outputs: Sequence[Node], inputs: Sequence[Node]) -> str:
    """Reverse where the outputs have fewer elements than the inputs, or are alone in having a known number."""
    rows, columns = (sum((prod(x.shape) for x in nodes), start=0) for nodes in (outputs, inputs))
    if isinstance(rows, int):
        return "reverse" if not isinstance(columns, int) or rows < columns else "forward"
    return "forward"


def basis(x: Node) -> Node:
    """All arrays of a node's shape that are 1 in one place and 0 elsewhere, along a new axis in front."""
    count: Dim = prod(x.shape)
    whole: Node = reshape(eye(count, dtype=x.dtype), (count, *x.shape))
    return whole


def _columns(outputs: Sequence[Node], x: Node) -> list[Node]:
    t = stand_in("_tangent", x.tensor)
    moved = pushforward(outputs, [x], [t])
    known = toposort(outputs)
    found = []
    for out, tangent in zip(outputs, moved, strict=True):
        if tangent is None:
            found.append(zeros((*out.shape, *x.shape), out.dtype))
            continue
        (column,) = batched([tangent], {t: basis(x)}, given=known)
        found.append(reshape(moveaxis(column, 0, -1), (*out.shape, *x.shape)))
    return found


def _rows(out: Node, inputs: Sequence[Node]) -> list[Node]:
    g = stand_in("_cotangent", out.tensor)
    pulled = pullback([out], [g], inputs)
    reached = [slope for slope in pulled if slope is not None]
    rows = iter(batched(reached, {g: basis(out)}, given=toposort([out])))
    return [
        zeros((*out.shape, *x.shape), x.dtype)
        if slope is None
        else reshape(next(rows), (*out.shape, *x.shape))
        for x, slope in zip(inputs, pulled, strict=True)
    ]


def check_real(nodes: Iterable[Node]) -> None:
    """Raise GradientError for complex values."""
    for node in nodes:
        if node.row.is_complex:
            text = f"{node!r} is complex, and its slopes form no matrix"
            hint = "take real and imaginary parts, or say sg.jacobian(…, holomorphic=True)"
            raise located(GradientError(f"{text}; {hint}"), [node])


def _check_holomorphic(nodes: Iterable[Node]) -> None:
    for node in nodes:
        if not node.row.is_complex:
            text = f"{node!r} is {node.row.name}; a holomorphic function takes and gives complex values"
            raise located(GradientError(text), [node])
