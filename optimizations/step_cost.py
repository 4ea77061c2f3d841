"""What the steps of a plan cost: nanoseconds, as a core of 2020 with NumPy's kernels would take them."""

from __future__ import annotations

from collections.abc import Mapping

from symgraph.errors import ShapeError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.types import TupleType
from symgraph.optimizations.cost import (
    BYTE,
    ENDLESS,
    OPERATION,
    PRODUCT,
    PRODUCTS,
    START,
    SizeOf,
    elements,
    node_cost,
    typical,
)
from symgraph.optimizations.plan import Branch, Kernel, Loop, Step, View, inner_plans


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
    computed = sum(node_cost(node, of) * (PRODUCT if node.op in PRODUCTS else OPERATION) for node in nodes)
    return START + BYTE * moved + computed


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
