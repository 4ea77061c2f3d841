"""The steps of a plan as a graph of networkx: what waits for what, and what that says."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING

from symgraph.errors import ArgumentError
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.graph.types import TupleType
from symgraph.optimizations.cost import node_cost

if TYPE_CHECKING:
    import networkx

    from symgraph.optimizations.plan import Plan


def to_networkx(plan: Plan) -> networkx.MultiDiGraph:
    """A node for each step, each array that is given and each result; an edge for each value that passes.

    A node is keyed by its name, and has ``kind`` ("kernel", "call", "view", "given" or "result"), ``ops`` (names of
    what it computes), ``cost`` (scalar operations, where a size that is not known counts as a few elements) and
    ``label``. An edge has ``type`` and ``bytes``, a number where the sizes are known and else the text of their
    expression. Constants are left out. Of a networkx DiGraph this is the one that may have several edges between two
    nodes.

    >>> from symgraph import exp, placeholder
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> x, w = placeholder("float32", ("n", 8), name="x"), placeholder("float32", (8, 4), name="w")
    >>> steps = to_networkx(plan(graph([x, w], [exp(x @ w) + 1])))
    >>> for source, target, value in steps.edges(data=True):
    ...     print(source, target, value["type"], value["bytes"])
    x matmul_0 f32[n, 8] 32*n
    w matmul_0 f32[8, 4] 128
    matmul_0 kernel_0 f32[n, 4] 16*n
    kernel_0 result_0 f32[n, 4] 16*n
    >>> steps.nodes["kernel_0"]["ops"]
    ('exp', 'add')
    """
    import networkx

    made = networkx.MultiDiGraph(name=plan.name)
    taken: dict[str, int] = {}
    writer: dict[Node, str] = {}
    for x in plan.given:
        name = _free(x.name or x.op.name, taken)
        made.add_node(name, kind="given", ops=(), cost=0.0, label=f"{name}: {x.type}")
        writer[x] = name
    for step in plan.steps:
        name = _free(getattr(step, "name", f"{step.writes[0].op.name}_0"), taken)
        nodes: tuple[Node, ...] = getattr(step, "nodes", ()) or step.writes
        ops = tuple(node.op.name for node in nodes)
        kind = type(step).__name__.lower()
        cost = 0.0 if kind == "view" else sum(map(node_cost, nodes))
        made.add_node(name, kind=kind, ops=ops, cost=cost, label=f"{name}: {' '.join(ops)}")
        _pass(step.needs, name, writer, made)
        writer |= dict.fromkeys(step.writes, name)
    for number, x in enumerate(plan.results):
        name = _free(f"result_{number}", taken)
        made.add_node(name, kind="result", ops=(), cost=0.0, label=f"{name}: {x.type}")
        _pass([x], name, writer, made)
    return made


def critical_path(plan: Plan) -> list[str]:
    """The chain of steps that computes most, from what is given to a result: no number of workers runs faster.

    >>> from symgraph import exp, placeholder, sum
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> x = placeholder("float32", (64, 64), name="x")
    >>> critical_path(plan(graph([x], [exp(x @ x) @ x + sum(x)])))
    ['x', 'matmul_0', 'kernel_0', 'matmul_1', 'kernel_1', 'result_0']
    """
    import networkx

    made = to_networkx(plan)
    for source, _, value in made.edges(data=True):
        value["cost"] = 1.0 + made.nodes[source]["cost"]  # each step counts, also a view
    return list(networkx.dag_longest_path(made, weight="cost"))


def generations(plan: Plan) -> list[list[str]]:
    """Steps that could run at the same time, each list when those before it are done.

    >>> from symgraph import exp, placeholder
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> x = placeholder("float32", (64, 64), name="x")
    >>> generations(plan(graph([x], [x @ x.T, exp(x)])))
    [['x'], ['transpose_0', 'kernel_0'], ['matmul_0', 'result_1'], ['result_0']]
    """
    import networkx

    return [list(names) for names in networkx.topological_generations(to_networkx(plan))]


def bottlenecks(plan: Plan, name: str) -> list[str]:
    """The nodes through which all goes that the node of this name tells the results, in their order.

    >>> from symgraph import exp, placeholder
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> x, w = placeholder("float32", (9, 9), name="x"), placeholder("float32", (9, 9), name="w")
    >>> product = exp(x @ w)
    >>> bottlenecks(plan(graph([x, w], [product @ w, product])), "x")
    ['matmul_0', 'kernel_0']
    """
    import networkx

    made = to_networkx(plan)
    if name not in made:
        raise ArgumentError(f"{plan.name} has no step and no array called {name!r}")
    end = object()  # which no name equals
    made.add_edges_from((each, end) for each, kind in list(made.nodes(data="kind")) if kind == "result")
    before = networkx.immediate_dominators(made, name)
    found: list[str] = []
    each = before.get(end, name)
    while each != name:
        found.append(each)
        each = before[each]
    return found[::-1]


def _pass(values: Iterable[Node], target: str, writer: dict[Node, str], made: networkx.MultiDiGraph) -> None:
    for x in dict.fromkeys(values):
        if x.op is not CONSTANT:
            made.add_edge(writer[x], target, type=str(x.type), bytes=_bytes(x))


def _bytes(node: Node) -> int | str:
    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    count: Dim = 0
    for each in types:
        count += reduce(operator.mul, each.shape, each.dtype.numpy.itemsize)
    return count if isinstance(count, int) else str(count)


def _free(wanted: str, taken: dict[str, int]) -> str:
    """The name; where it is taken, the same with another number: ``x_1`` for ``x``, ``matmul_1`` for ``matmul_0``."""
    name, stem = wanted, wanted.removesuffix("_0")
    while name in taken:
        taken[stem] = taken.get(stem, 0) + 1
        name = f"{stem}_{taken[stem]}"
    taken.setdefault(name, 0)
    return name
