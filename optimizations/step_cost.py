"""What the steps of a plan cost: nanoseconds, as a core of 2020 with NumPy's kernels would take them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from symgraph.errors import ShapeError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.types import TupleType
from symgraph.ops import factorizations, inverses, solvers
from symgraph.optimizations.cost import (
    BYTE,
    ENDLESS,
    FACTORED,
    OPERATION,
    PRODUCT,
    PRODUCTS,
    SOLVED,
    START,
    SizeOf,
    elements,
    node_cost,
    typical,
)
from symgraph.optimizations.plan import Branch, Kernel, Loop, Step, View, inner_plans

_ROW = 15.0
"""Nanoseconds for a row of a matrix that is factored or solved with, however short: pivots and divisions wait for each
other."""
_ELIMINATED = frozenset(
    {factorizations.cholesky.op, inverses.det.op, inverses.inv.op, inverses.slogdet.op, solvers.solve.op,
     solvers.solve_triangular.op}
)  # fmt: skip
"""What goes through rows as products do."""


def step_cost(step: Step, sizes: Mapping[Size, int] | None = None) -> float:
    """Nanoseconds: what the step reads and writes, and what it computes; a view costs nothing.

    Sizes that are not given are taken to be `symgraph.optimizations.cost.TYPICAL`.

    >>> from symgraph import exp, placeholder
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> x = placeholder("float64", (1000,), name="x")
    >>> (step,) = plan(graph([x], [exp(x) * x])).steps
    >>> step_cost(step)  # 16,000 bytes, and 13 operations for each of 1,000 elements
    6500.0
    """
    if isinstance(step, View):
        return 0.0
    of = _size_of(sizes or {})
    if isinstance(step, Loop):
        length = step.node.attrs.length  # type: ignore[union-attr]
        turns = ENDLESS if length is None else of(length)
        return START + turns * sum(
            step_cost(each, sizes) for part in inner_plans(step) for each in part.steps
        )
    if isinstance(step, Branch):
        return START + max(sum(step_cost(each, sizes) for each in part.steps) for part in step.branches)
    nodes = step.nodes if isinstance(step, Kernel) else (step.node,)
    moved = sum(_bytes(x, of) for x in (*step.needs, *step.writes))
    return START + BYTE * moved + sum(_computed(node, of) for node in nodes)


def _computed(node: Node, of: SizeOf) -> float:
    if node.op in _ELIMINATED:
        return _eliminated(node, of)
    return node_cost(node, of) * (PRODUCT if node.op in PRODUCTS else OPERATION)


def _eliminated(node: Node, of: SizeOf) -> float:
    """Each matrix by itself, also one that has right-hand sides in several members of a batch."""
    n, sides = (of(x.shape[-1]) for x in (node.inputs[0], node.inputs[-1]))
    made = node.type.items[0] if isinstance(node.type, TupleType) else node.tensor
    count = prod(map(of, made.shape[: max(x.ndim for x in node.inputs) - 2]))
    operations = FACTORED.get(node.op, 0.0) * n**3 + (2.0 * n * n * sides if node.op in SOLVED else 0.0)
    return count * (_ROW * n + PRODUCT * operations)


def _bytes(node: Node, of: SizeOf) -> int:
    if isinstance(node.type, TupleType):
        return 8 * elements(node, of)
    return elements(node, of) * node.dtype.itemsize


def _size_of(sizes: Mapping[Size, int]) -> SizeOf:
    def of(dim: Dim) -> int:
        try:
            return evaluate_dim(dim, sizes)
        except ShapeError:
            return typical(dim)

    return of
