"""A graph in bytes that say what it computes, and nothing of when or where it was built: equal ones are one program."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from typing import Any

from symgraph.graph.dims import Size
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, VARIABLE, Attrs, ConstantAttrs, Op
from symgraph.graph.types import DType, TensorType, TupleType, dtype


class Unsaid(Exception):
    """A graph of which this file does not know what it computes."""


def said(program: Graph, is_known: Callable[[Op], bool]) -> bytes:
    """The bytes of a graph whose ops are known by their names.

    Names of inputs, variables and sizes are part of it, so that what depends on their order is the same too.

    Raises Unsaid.
    """
    return in_bytes(_Words(is_known).graph(program))


def said_of(nodes: Sequence[Node], is_known: Callable[[Op], bool], *marked: Sequence[Node]) -> bytes:
    """The same of nodes that stand after what they need, and of which of them are marked, each time."""
    numbers = {node: n for n, node in enumerate(nodes)}
    words = _Words(is_known)
    rows = tuple([words.node(node, numbers) for node in nodes])
    places = tuple([tuple([numbers[node] for node in each if node in numbers]) for each in marked])
    return in_bytes((rows, places))


def attrs_said(attrs: Attrs, is_known: Callable[[Op], bool]) -> Any:
    """Attributes as a tuple of their type's name and what `marshal` writes; tuples in it say what they are of."""
    return _Words(is_known).value(attrs)


def constants(program: Graph) -> list[Node]:
    """The constants of a graph, in an order that equal graphs share."""
    return [node for node in program.nodes() if node.op is CONSTANT]


def in_bytes(words: tuple[Any, ...]) -> bytes:
    """Equal bytes for equal words: version 2 of the format does so, and later ones tell what is one object."""
    return marshal.dumps(words, 2)


class _Words:
    """What is said of one program; a graph that nodes hold again and again is said once."""

    def __init__(self, is_known: Callable[[Op], bool]) -> None:
        self._is_known = is_known
        self._graphs: dict[Graph, int] = {}

    def graph(self, program: Graph) -> tuple[Any, ...]:
        leaves = dict.fromkeys((*program.inputs, *program.variables()))
        numbers: dict[Node, int] = {}
        rows = []
        for node in (*leaves, *(each for each in program.nodes() if each not in leaves)):
            numbers[node] = len(numbers)
            rows.append(self.node(node, numbers))
        outputs = tuple([numbers[node] for node in program.outputs])
        updates = tuple([(numbers[each.variable], numbers[each.value]) for each in program.updates])
        return tuple(rows), len(program.inputs), outputs, updates

    def node(self, node: Node, numbers: dict[Node, int]) -> tuple[Any, ...]:
        op, attrs = node.op, node.attrs
        if not self._is_known(op):
            raise Unsaid(f"what {op.name} computes")
        if op is VARIABLE:
            return (op.name, node.name, str(node.type))
        inputs = [numbers[x] for x in node.inputs]
        own = str(node.type) if op.binds_sizes else None
        return (op.name, *inputs, None if attrs is None else self.value(attrs), own)

    def value(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        match value:
            case tuple():
                return ("tuple", *map(self.value, value))
            case Size():
                return ("size", str(value))
            case DType():
                return ("dtype", value.name)
            case TensorType() | TupleType():
                return ("type", str(value))
            case ConstantAttrs():
                kind, shape, content = value._key
                return ("constant", dtype(kind).name, shape, content)
            case Attrs():
                return (type(value).__name__, *map(self.value, value.fields().values()))
            case Graph():
                if value in self._graphs:
                    return ("again", self._graphs[value])
                self._graphs[value] = len(self._graphs)
                return ("graph", value.name, self.graph(value))
        raise Unsaid(f"{type(value).__name__} among the attributes")
