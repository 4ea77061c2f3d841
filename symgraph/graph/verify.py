"""The invariants of a graph, each a check with a name.

==============  ============================================================================================
acyclic         no node needs itself
dependencies    ``deps`` are the inputs, and whatever decides data-dependent sizes in the attributes
attributes      they are of the op's own class, and none where it has none
constants       arrays are read-only, contiguous, native, and hold the bytes that they are compared by
types           a node's type is what the op's rule says of its inputs
interned        ``make`` and ``graph`` give this very node and graph; a variable is itself
inputs          they are distinct placeholders, whose names are distinct and identifiers
closed          every placeholder that is needed is an input
sizes           every size is bound by an input, a variable, or a node of the graph
updates         distinct variables become values of their dtype and rank, whose sizes can agree
inner graphs    all of this holds for the graphs among the attributes, which may take sizes from outside
==============  ============================================================================================
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Sequence
from typing import NoReturn

from symgraph.errors import SymgraphError, VerifyError
from symgraph.graph.attributes import inner_graphs
from symgraph.graph.dims import Size, same, symbols
from symgraph.graph.graph import Graph
from symgraph.graph.graph import graph as make_graph
from symgraph.graph.node import Node, make, type_symbols
from symgraph.graph.op import CONSTANT, PLACEHOLDER, VARIABLE, ConstantAttrs
from symgraph.graph.types import TensorType, TupleType, Type


def verify(graph: Graph, *, inner: bool = False) -> None:
    """Raises VerifyError naming the check and the node; ``inner`` for a graph that a node holds."""
    seen: set[Graph] = set()
    waiting = [(graph, inner)]
    while waiting:
        current, is_inner = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        try:
            found = _verify(current, is_inner)
        except VerifyError as error:
            raise (
                error if current is graph else VerifyError(f"inner graphs: in {current!r}: {error}")
            ) from None
        waiting += [(other, True) for other in found]


def _verify(graph: Graph, inner: bool) -> list[Graph]:
    """The graphs among the attributes of this one, which verifies."""
    _check_inputs(graph)
    order = _order(graph)
    for node in order:
        for name, check in _NODE_CHECKS.items():
            if (why := check(node)) is not None:
                _fail(name, node, why)
    _check_closed(graph, order)
    if not inner:
        _check_sizes(graph, order)
    _check_updates(graph)
    try:
        known = make_graph(graph.inputs, graph.outputs, graph.updates, graph.name, inner=inner)
    except SymgraphError as error:
        _fail("interned", graph, str(error))
    if known is not graph:
        _fail("interned", graph, f"there is another one, {known!r}")
    return [each for node in order if node.attrs is not None for each in inner_graphs(node.attrs)]


def _fail(check: str, what: Node | Graph, why: str) -> NoReturn:
    raise VerifyError(f"{check}: {what!r}: {why}")


def _order(graph: Graph) -> list[Node]:
    """Every node after what it needs, which `toposort` finds only where no node needs itself."""
    order: list[Node] = []
    done: dict[Node, bool] = {}  # False while what the node needs is being visited
    for root in (*graph.roots, *(update.variable for update in graph.updates)):
        stack = [root] if root not in done else []
        while stack:
            node = stack[-1]
            if node not in done:
                done[node] = False
                for dep in (*node.inputs, *node.deps):
                    if done.get(dep) is False:
                        _fail("acyclic", node, f"it needs {dep!r}, which needs it")
                    if dep not in done:
                        stack.append(dep)
            else:
                stack.pop()
                if not done[node]:
                    done[node] = True
                    order.append(node)
    return order


# Checks of one node: what is wrong, or None


def _dependencies(node: Node) -> str | None:
    sizes = node.attrs.symbols() if node.attrs is not None else ()
    sources = {size.source for size in sizes if size.source is not None}
    wanted = set(node.inputs) | sources
    if set(node.deps) != wanted or node.deps[: len(node.inputs)] != node.inputs:
        return f"deps are {node.deps}, and should be {node.inputs} and {sources - set(node.inputs)}"
    return None


def _attributes(node: Node) -> str | None:
    wanted = node.op.attrs
    if type(node.attrs) is not (wanted or type(None)):
        return f"its attributes are a {type(node.attrs).__name__}, not {wanted and wanted.__name__}"
    try:
        hash(node.attrs)
    except TypeError as error:
        return f"its attributes cannot be compared: {error}"
    return None


def _constants(node: Node) -> str | None:
    if not isinstance(node.attrs, ConstantAttrs):
        return None
    value = node.attrs.value
    if value.flags.writeable or not value.flags.c_contiguous or not value.dtype.isnative:
        return "its array must be read-only, contiguous and native"
    if ConstantAttrs(value) != node.attrs:
        return "its array was changed"
    return None


def _types(node: Node) -> str | None:
    try:
        inferred = node.op.infer_type(node.inputs, node.attrs)
    except SymgraphError as error:
        return f"{node.op.name} refuses its inputs: {error}"
    if inferred == node.type or (node.op.binds_sizes and _alike(node.type, inferred, node)):
        return None
    return f"{node.op.name}({', '.join(str(x.type) for x in node.inputs)}) is {inferred}"


def _alike(type: Type, inferred: Type, node: Node) -> bool:
    """Whether the types differ in nothing but the names of sizes that the node decides."""
    if isinstance(type, TupleType) and isinstance(inferred, TupleType):
        return len(type.items) == len(inferred.items) and all(
            _alike(a, b, node) for a, b in zip(type.items, inferred.items, strict=True)
        )
    if not isinstance(type, TensorType) or not isinstance(inferred, TensorType):
        return False
    return (
        type.dtype is inferred.dtype
        and type.rank == inferred.rank
        and all(
            a is b or a == b or any(size.source is node for size in symbols(a))
            for a, b in zip(type.shape, inferred.shape, strict=True)
        )
    )


def _interned(node: Node) -> str | None:
    if node.op is VARIABLE:
        return None
    known = make(node.op, node.inputs, node.attrs)
    return None if known is node else f"there is another one, {known!r}"


_NODE_CHECKS: dict[str, Callable[[Node], str | None]] = {
    "attributes": _attributes,
    "dependencies": _dependencies,
    "constants": _constants,
    "types": _types,
    "interned": _interned,
}


# Checks of a graph


def _check_inputs(graph: Graph) -> None:
    names: set[str | None] = set()
    for node in graph.inputs:
        if node.op is not PLACEHOLDER:
            _fail("inputs", node, "an input must be a placeholder")
        name = node.name or ""
        if not name.isidentifier() or keyword.iskeyword(name):
            _fail("inputs", node, f"{name!r} is no identifier")
        if name in names:
            _fail("inputs", node, f"two inputs are called {name!r}")
        names.add(name)


def _check_closed(graph: Graph, order: Sequence[Node]) -> None:
    given = set(graph.inputs)
    for node in order:
        if node.op is PLACEHOLDER and node not in given:
            _fail("closed", node, "it is needed and is no input")


def _check_sizes(graph: Graph, order: Sequence[Node]) -> None:
    nodes = set(order)
    leaves = [*graph.inputs, *(node for node in order if node.op is VARIABLE)]
    bound: set[Size] = {size for node in leaves for size in type_symbols(node.type)}
    for node in order:
        sizes = type_symbols(node.type)
        if node.attrs is not None and node.op is not CONSTANT:
            sizes |= node.attrs.symbols()
        for size in sizes:
            if size not in bound and size.source not in nodes:
                _fail("sizes", node, f"nothing binds {size}")


def _check_updates(graph: Graph) -> None:
    seen: set[Node] = set()
    for update in graph.updates:
        variable, value = update.variable, update.value
        if variable.op is not VARIABLE:
            _fail("updates", variable, "only a variable can be updated")
        if variable in seen:
            _fail("updates", variable, "it is updated twice")
        seen.add(variable)
        fits = (
            isinstance(value.type, TensorType)
            and variable.row is value.row
            and variable.ndim == value.ndim
            and all(same(a, b) is not False for a, b in zip(variable.shape, value.shape, strict=True))
        )
        if not fits:
            _fail("updates", variable, f"its update is {value.type}")
