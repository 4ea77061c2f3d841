"""Graph: a program with inputs, outputs and updates. Equal graphs are the same object."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from symgraph.errors import DTypeError, GraphError
from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import Dim, Size, same
from symgraph.graph.node import Node, located, make, type_symbols
from symgraph.graph.op import PLACEHOLDER, VARIABLE, InnerGraph, PlaceholderAttrs
from symgraph.graph.types import TensorType
from symgraph.graph.walk import toposort, transform


class Update(NamedTuple):
    """A variable, and the expression it becomes after a call."""

    variable: Node
    value: Node


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Graph(InnerGraph):
    """Inputs are placeholders; outputs and updates are expressions of them and of variables; nothing has effects."""

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    updates: tuple[Update, ...]
    _nodes: tuple[Node, ...] = field(default=(), init=False)
    _free: frozenset[Size] | None = field(default=None, init=False)

    @property
    def roots(self) -> tuple[Node, ...]:
        """What a run has to compute."""
        return self.outputs + tuple(update.value for update in self.updates)

    def nodes(self) -> tuple[Node, ...]:
        """Every node, each after what it needs; unused inputs are not among them."""
        if not self._nodes:
            object.__setattr__(self, "_nodes", tuple(toposort(self.roots)))
        return self._nodes

    def variables(self) -> tuple[Node, ...]:
        """The variables read or updated, in the order they are met."""
        read = [node for node in self.nodes() if node.op is VARIABLE]
        return tuple(dict.fromkeys(read + [update.variable for update in self.updates]))

    def free_sizes(self) -> frozenset[Size]:
        """The sizes that the nodes need from outside: those bound by a call's arguments, or by nodes elsewhere."""
        if self._free is None:  # asked once: graphs hold graphs, and the same one again and again
            object.__setattr__(self, "_free", self._find_free())
        assert self._free is not None
        return self._free

    def _find_free(self) -> frozenset[Size]:
        nodes = self.nodes()
        own = set(nodes)
        sizes = {
            size
            for node in nodes
            if node.attrs and node.op is not PLACEHOLDER
            for size in node.attrs.symbols()
        }
        return frozenset(size for size in sizes if size.source not in own)

    def map_sizes(self, change: Callable[[Size], Dim]) -> Graph:
        """This graph with sizes replaced, in its inputs' types too."""
        sizes = self.free_sizes().union(*(type_symbols(node.type) for node in self.inputs))
        renamed = {size: change(size) for size in sizes}
        if all(new is old for old, new in renamed.items()):
            return self
        inputs = [_retyped(node, renamed) for node in self.inputs]
        replaced = dict(zip(self.inputs, inputs, strict=True))
        roots = transform(self.outputs, lambda node: node, replaced, renamed)
        return graph(inputs, roots, name=self.name, inner=True)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.inputs)} inputs, {len(self.outputs)} outputs>"


_live: WeakValueDictionary[Any, Graph] = WeakValueDictionary()
_making = threading.Lock()


def graph(
    inputs: Iterable[Node],
    outputs: Iterable[Node],
    updates: Mapping[Node, Node] | Iterable[Update] = (),
    name: str = "main",
    *,
    inner: bool = False,
) -> Graph:
    """The graph of these inputs, outputs and updates.

    An ``inner`` graph, held by a node, may leave sizes to the graph around it.

    Raises GraphError when an input is missing, duplicate or no placeholder, when two inputs share a name, when a
    variable is updated twice or a size is bound by nothing; DTypeError when an update has another dtype or rank
    than its variable.
    """
    if isinstance(updates, Mapping):
        updates = [Update(variable, value) for variable, value in updates.items()]
    made = Graph(name, tuple(inputs), tuple(outputs), tuple(updates))
    key = (
        name,
        _ids(made.inputs),
        _ids(made.outputs),
        tuple((id(u.variable), id(u.value)) for u in made.updates),
    )
    with _making:
        known = _live.get(key)
    if known is not None:
        return known
    _check_inputs(made)
    _check_updates(made)
    _check_complete(made, inner)
    with _making:
        return _live.setdefault(key, made)


def _retyped(node: Node, sizes: Mapping[Size, Dim]) -> Node:
    shape = tuple(dim if isinstance(dim, int) else substitute_dim(dim, sizes) for dim in node.shape)
    return make(PLACEHOLDER, (), PlaceholderAttrs(node.name or "", TensorType(node.row, shape)))


def _ids(nodes: tuple[Node, ...]) -> tuple[int, ...]:
    return tuple(map(id, nodes))


def _check_inputs(made: Graph) -> None:
    names: dict[str | None, Node] = {}
    for node in made.inputs:
        if node.op is not PLACEHOLDER:
            raise located(GraphError(f"an input must be a placeholder, and {node!r} is none"), [node])
        other = names.setdefault(node.name, node)
        if other is not node:
            raise located(GraphError(f"two inputs are called {node.name!r}"), [other, node])
    if len(set(made.inputs)) < len(made.inputs):
        twice = next(node for i, node in enumerate(made.inputs) if node in set(made.inputs[:i]))
        raise located(GraphError(f"the input {twice.name!r} is given twice"), [twice])


def _check_updates(made: Graph) -> None:
    seen: set[Node] = set()
    for update in made.updates:
        variable, value = update.variable, update.value
        if variable.op is not VARIABLE:
            raise located(GraphError(f"only a variable can be updated, and {variable!r} is none"), [variable])
        if variable in seen:
            raise located(GraphError(f"the variable {variable.name!r} is updated twice"), [variable, value])
        seen.add(variable)
        if variable.row is not value.row or variable.ndim != value.ndim:
            text = f"the variable {variable.name!r} is {variable.type} and its update is {value.type}"
            raise located(
                DTypeError(f"{text}; dtype and rank must agree (x.astype converts)"), [variable, value]
            )
        if any(same(a, b) is False for a, b in zip(variable.shape, value.shape, strict=True)):
            text = f"the variable {variable.name!r} is {variable.type} and its update is {value.type}"
            raise located(GraphError(f"{text}; sizes must agree"), [variable, value])


def _check_complete(made: Graph, inner: bool) -> None:
    nodes = made.nodes()
    given = set(made.inputs)
    for node in nodes:
        if node.op is PLACEHOLDER and node not in given:
            text = (
                f"the outputs need {node.name!r}, and nothing gives it a value: add it to the inputs or feeds"
            )
            raise located(GraphError(text), [node])
    if inner:
        return
    bound: set[Size] = {size for node in made.inputs for size in type_symbols(node.type)}
    unbound = {size for size in made.free_sizes() if size.source is None} - bound
    for node in nodes if unbound else ():
        for size in node.attrs.symbols() & unbound if node.attrs and node.op is not PLACEHOLDER else ():
            raise located(GraphError(f"the size {size} is bound by no input"), [node])
