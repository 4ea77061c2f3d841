"""A graph as text: a subset of Python, with types as annotations, that `parse` reads back into the same nodes.

::

    def main(x: f32[n, 64], *, w: f32[64, 10]):
        v0: f32[n, 10] = matmul(x, w)
        v1: f32[n, 10] = softplus(v0)  # train.py:14
        v2: f32 = sum(v1, axes=(0, 1))
        v3: f32[64, 10] = multiply(w, f32(0.5))
        update(w, v3)
        return v1, v2

Parameters are inputs, and after the star variables. A statement is an op on values by position and attributes by
keyword; an attribute at its default is left out. ``v3[1]`` is one result of several.
Constants stand where they are used: ``f32(0.5)``, ``i64[2]([3, 4])``, ``c64(1.0, -2.0)``; those that decimals cannot
say are ``f32(bits=0x7fc00001)``, large ones ``f32[784, 10](data="5f3a9c0d1e2f3a4b")``, the digest of their content.
A graph among the attributes is a ``def`` above the statement.
A name that is no identifier, or that is taken, stands beside the one that is printed: ``w_2: f32 = "w"`` for a
variable, ``@named("train step")`` for a graph.
A comment is the user's line of that statement and of those below it, up to the next comment.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field

from symgraph.graph.attributes import inner_graphs, quote, spell_all
from symgraph.graph.collector import paused
from symgraph.graph.graph import Graph
from symgraph.graph.literals import Array, spell_constant
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, ITEM, PLACEHOLDER, VARIABLE
from symgraph.graph.origin import Origin
from symgraph.graph.walk import toposort

INDENT = "    "
WIDEST = 100  # a longer signature has a line for each parameter
WIDEST_COMMENTED = 76  # a longer statement does not move the column of the comments


def show(
    what: Graph | Node | Sequence[Node],
    *,
    origins: bool = True,
    arrays: MutableMapping[str, Array] | None = None,
) -> str:
    """The text of a graph, or of nodes as the outputs of a graph whose inputs are the placeholders they need.

    ``origins`` adds the user's lines as comments. Large constants are told by their digests, and their arrays are
    added to ``arrays``. ``parse`` gives the same graph, unless two placeholders with one name meet among nodes.
    """
    with paused():
        graph = (
            what if isinstance(what, Graph) else _loose((what,) if isinstance(what, Node) else tuple(what))
        )
        orders = _orders(graph)
        variables = _variable_names(orders)
        printer = _Printer(orders, variables, origins, arrays if arrays is not None else {})
        return "\n".join(printer.function(graph, _Names(variables), identifier(graph.name))) + "\n"


def variable_names(graph: Graph) -> dict[str, Node]:
    """The variables of a graph by the names they are printed with: what ``parse`` takes as ``variables``."""
    return _variable_names(_orders(graph))


def _loose(nodes: tuple[Node, ...]) -> Graph:
    """A graph that nothing has checked, and that need not be one."""
    return Graph("main", tuple(node for node in toposort(nodes) if node.op is PLACEHOLDER), nodes, ())


def _orders(graph: Graph) -> dict[Graph, tuple[Node, ...]]:
    """The nodes of the graph, and of those among the attributes at any depth."""
    orders: dict[Graph, tuple[Node, ...]] = {}
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        if current not in orders:
            orders[current] = current.nodes()
            waiting += [g for node in orders[current] if node.attrs for g in inner_graphs(node.attrs)][::-1]
    return orders


def _variable_names(orders: dict[Graph, tuple[Node, ...]]) -> dict[str, Node]:
    taken = _Names(node.name or "" for graph in orders for node in graph.inputs)
    read = [node for order in orders.values() for node in order if node.op is VARIABLE]
    updated = [update.variable for graph in orders for update in graph.updates]
    return {taken.new(node.name or "variable"): node for node in dict.fromkeys(read + updated)}


# Names


class _Names:
    """Names that are taken, and new ones like those that were wanted."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def take(self, name: str) -> None:
        self._taken.add(name)

    def new(self, wanted: str) -> str:
        """``w``, or ``w_2``, ``w_3``, … where that is taken."""
        base = name = identifier(wanted)
        while name in self._taken:
            number = self._last[base] = self._last.get(base, 1) + 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def value(self) -> str:
        """``v0``, ``v1``, … without those that are taken."""
        while True:
            number = self._last[""] = self._last.get("", -1) + 1
            if (name := f"v{number}") not in self._taken:
                self._taken.add(name)
                return name


def identifier(text: str) -> str:
    """The text itself if Python takes it for a name and leaves it as it is; one like it otherwise."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isidentifier():
        text = re.sub(r"\W", "_", text, flags=re.ASCII)
        text = text if text.isidentifier() else f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) else text


# Functions and statements


@dataclass(slots=True, eq=False)
class _Body:
    """What one ``def`` has said so far."""

    names: dict[Node, str]
    taken: _Names
    graphs: dict[Graph, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    origins: dict[int, str] = field(default_factory=dict)


class _Printer:
    def __init__(
        self,
        orders: dict[Graph, tuple[Node, ...]],
        variables: dict[str, Node],
        origins: bool,
        arrays: MutableMapping[str, Array],
    ) -> None:
        self.orders = orders
        self.variables = variables
        self.by_variable = {node: name for name, node in variables.items()}
        self.origins = origins
        self.arrays = arrays
        self.constants: dict[Node, str] = {}

    def function(self, graph: Graph, taken: _Names, name: str, indent: str = "") -> list[str]:
        """The lines of ``def name(…):`` and its body."""
        body = _Body(dict(self.by_variable), taken)
        for node in graph.inputs:
            body.names.setdefault(node, taken.new(node.name or ""))
        parameters = [f"{body.names[node]}: {node.type}" for node in graph.inputs]
        if not indent and self.variables:
            parameters += ["*", *(_variable(name, node) for name, node in self.variables.items())]
        last = None
        for node in self.orders[graph]:
            if node.op in (PLACEHOLDER, VARIABLE, CONSTANT, ITEM):
                body.names.setdefault(node, node.name or "")
                continue
            text = self.call(node, body, indent + INDENT)
            body.names[node] = name_ = taken.value()
            if self.origins and node.origin is not None and node.origin != last:
                last = node.origin
                body.origins[len(body.lines)] = _comment(node.origin)
            body.lines.append(f"{indent}{INDENT}{name_}: {node.type} = {text}")
        for update in graph.updates:
            variable, value = self.operand(update.variable, body), self.operand(update.value, body)
            body.lines.append(f"{indent}{INDENT}update({variable}, {value})")
        results = ", ".join(self.operand(node, body) for node in graph.outputs)
        body.lines.append(f"{indent}{INDENT}return {results or '()'}")
        head = [] if name == graph.name else [f"{indent}@named({quote(graph.name)})"]
        return head + _signature(indent, name, parameters) + _commented(body)

    def call(self, node: Node, body: _Body, indent: str) -> str:
        """``sum(v1, axes=(0, 1))``; the graphs it holds are added to the lines of the body."""
        parts = [self.operand(x, body) for x in node.inputs]
        if node.attrs is not None:
            for graph in inner_graphs(node.attrs):
                if graph not in body.graphs:
                    name = body.graphs[graph] = body.taken.new(graph.name)
                    taken = _Names(self.variables)
                    body.lines += self.function(graph, taken, name, indent)
            parts += spell_all(node.attrs, body.graphs)
        return f"{node.op.name}({', '.join(parts)})"

    def operand(self, node: Node, body: _Body) -> str:
        """A name, ``v3[1]`` or a constant."""
        if node.op is CONSTANT:
            if node not in self.constants:
                self.constants[node] = spell_constant(node, self.arrays)
            return self.constants[node]
        if node.op is ITEM:
            return f"{self.operand(node.inputs[0], body)}[{node.attrs.fields()['index']}]"  # type: ignore[union-attr]
        return body.names[node]


def _signature(indent: str, name: str, parameters: list[str]) -> list[str]:
    line = f"{indent}def {name}({', '.join(parameters)}):"
    if len(line) <= WIDEST:
        return [line]
    return [f"{indent}def {name}(", *(f"{indent}{INDENT}{part}," for part in parameters), f"{indent}):"]


def _variable(name: str, node: Node) -> str:
    return f"{name}: {node.type}" + ("" if name == node.name else f" = {quote(node.name or '')}")


def _comment(origin: Origin) -> str:
    return "".join(c if c.isprintable() else "?" for c in origin.place)


def _commented(body: _Body) -> list[str]:
    """The lines, with the comments in a column."""
    widths = [len(body.lines[i]) for i in body.origins]
    column = max((width for width in widths if width <= WIDEST_COMMENTED), default=0)
    lines = list(body.lines)
    for i, place in body.origins.items():
        lines[i] = f"{lines[i]:<{column}}  # {place}"
    return lines
