"""A program, its arrays and its variables as the arrays of a native file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from symgraph.api.function import CompiledFunction, is_node_or_number
from symgraph.api.program import OwnValues
from symgraph.api.variable import Variable
from symgraph.errors import ArgumentError, FileError, GraphError, SymgraphError
from symgraph.graph.attributes import inner_graphs
from symgraph.graph.graph import Graph, graph
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, PLACEHOLDER
from symgraph.graph.parse import parse
from symgraph.graph.quoting import first_line
from symgraph.graph.text import show, variable_names
from symgraph.graph.walk import toposort
from symgraph.io import container
from symgraph.io.container import Array, checksum
from symgraph.io.manifest import (
    FORMAT,
    MANIFEST,
    OP_VERSIONS,
    DefaultsRow,
    FunctionRow,
    Manifest,
    VariableRow,
    from_json,
    spell_structure,
    to_json,
)
from symgraph.ops import own_op

V = TypeVar("V", bound=Node)
Saved = CompiledFunction | Graph | Mapping[str, CompiledFunction | Graph]


def encoded(what: Saved, place: str, lines: bool = True) -> list[bytes | memoryview]:
    """The parts of the file. Raises FileError, ArgumentError."""
    functions = _named(what)
    graphs = {name: each if isinstance(each, Graph) else each.graph for name, each in functions.items()}
    writer = _Writer(place, lines)
    variables = _closed_variables(graphs.values(), place)
    by_key = keyed(variables)
    writer.keys.update((variable, key) for key, variable in by_key.items())
    rows = {}
    for name, each in functions.items():
        program, names = writer.program(name, graphs[name])
        rows[name] = _function_row(each, program, names, name, writer)
    defaults = _defaults_row(variables, writer)
    for key, value in zip(by_key, values_of(variables), strict=True):
        writer.arrays[f"variable/{key}"] = value
    writer.arrays |= {f"constant/{digest}": array for digest, array in writer.constants.items()}
    own = {name for name in writer.ops if is_own(name)}
    manifest = Manifest(
        single=not isinstance(what, Mapping),
        functions=rows,
        variables={
            key: VariableRow(each.name or "", bool(each.trainable), f"variable/{key}")
            for key, each in by_key.items()
        },
        default_updates=defaults,
        ops={name: OP_VERSIONS.get(name, 1) for name in sorted(writer.ops - own)},
        own_ops=tuple(sorted(own)),
        checksums={name: checksum(writer.arrays[name]) for name in sorted(writer.arrays)},
    )
    spelled = to_json(manifest)
    from_json(spelled, place)  # which refuses what is too long
    text = np.frombuffer(spelled, "u1")
    metadata = {"format": f"symgraph {FORMAT}", "manifest": checksum(text)}
    return container.encode({**writer.arrays, MANIFEST: text}, metadata, place)


def keyed(variables: Iterable[V]) -> dict[str, V]:
    """The variables by their names: ``w``, and ``w_2`` where that is taken."""
    found: dict[str, V] = {}
    last: dict[str, int] = {}
    for each in dict.fromkeys(variables):
        base = key = each.name or "variable"
        while key in found:
            number = last[base] = last.get(base, 1) + 1
            key = f"{base}_{number}"
        found[key] = each
    return found


def values_of(variables: Sequence[Variable]) -> list[Array]:
    """The values outside sessions, which no call has changed in between."""
    with contextlib.ExitStack() as held:
        for each in sorted(variables, key=id):
            held.enter_context(each.lock)
        return OwnValues().read(variables)


def ops_of(made: Graph) -> Iterator[str]:
    """The names of the ops of a graph, and of the graphs that it holds."""
    waiting, seen = [made], {made}
    while waiting:
        for node in waiting.pop().nodes():
            yield node.op.name
            if node.attrs is not None and node.op is not CONSTANT:
                new = [each for each in inner_graphs(node.attrs) if each not in seen]
                seen.update(new)
                waiting += new


def is_own(name: str) -> bool:
    """Whether a user declared the op."""
    return name in own_op._declared


class Given(dict[str, Array]):
    """Arrays by their digests, of which no other is looked for in this process."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, digest: object) -> bool:
        return True

    def __missing__(self, digest: str) -> None:
        return None


@dataclass(slots=True)
class _Writer:
    """What goes into one file."""

    place: str
    lines: bool
    arrays: dict[str, Array] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    keys: dict[Node, str] = field(default_factory=dict)
    """Variables by the nodes that they are."""
    ops: set[str] = field(default_factory=set)

    def program(self, name: str, made: Graph) -> tuple[str, dict[str, str]]:
        """The array of a graph's text, and which variable each name in it is."""
        variables = variable_names(made)
        text = show(made, origins=self.lines, arrays=self.constants)
        self._read_back(made, text, variables)
        self.ops.update(ops_of(made))
        key = f"program/{name}"
        self.arrays[key] = np.frombuffer(text.encode(), "u1")
        return key, {printed: self.keys[node] for printed, node in variables.items()}

    def _read_back(self, made: Graph, text: str, variables: Mapping[str, Node]) -> None:
        """Refuse what would not be read as what it is."""
        try:
            again = parse(text, variables=variables, arrays=Given(self.constants))
        except SymgraphError as error:
            raise FileError(f"{self.place}: {made.name} has no text that is read back: {error}") from None
        if again is not made and show(again, origins=False) != show(made, origins=False):
            raise FileError(f"{self.place}: {made.name} has a text that is read back as another program")


def _named(what: Any) -> dict[str, CompiledFunction | Graph]:
    named = dict(what) if isinstance(what, Mapping) else {"main": what}
    for name, each in named.items():
        if not isinstance(name, str) or not isinstance(each, CompiledFunction | Graph):
            text = "a file is of a function, a graph, or a dict of them by names"
            raise ArgumentError(f"{text}, not of {name!r:.60}: {type(each).__name__}")
    if not named:
        raise ArgumentError("there is no function to save in an empty dict")
    return named


def _closed_variables(graphs: Iterable[Graph], place: str) -> list[Variable]:
    """The variables of the graphs, and those that their default updates read, in the order they are met."""
    found: dict[Node, Variable] = {}
    waiting = [node for each in graphs for node in variable_names(each).values()]
    while waiting:
        more: list[Node] = []
        for node in waiting:
            if not isinstance(node, Variable):
                raise FileError(f"{place}: the variable {node.name!r} has no value to save")
            if node not in found:
                found[node] = node
                if node.default_update is not None:
                    more += _loose_graph([node.default_update], place).variables()
        waiting = more
    return list(found.values())


def _function_row(
    what: CompiledFunction | Graph, program: str, variables: Mapping[str, str], name: str, writer: _Writer
) -> FunctionRow:
    if isinstance(what, Graph):
        outputs: Any = what.outputs if len(what.outputs) != 1 else what.outputs[0]
        names: Sequence[str] = [node.name or "" for node in what.inputs]
        title, donated, defaults = what.name, (), {}
    else:
        made = what._program
        outputs, names, title = what._outputs, made.names, what.name
        gone = set(made.executor._donated)
        donated = tuple(i for i, node in enumerate(made.graph.inputs) if node in gone)  # type: ignore[assignment]
        defaults = {str(i): f"default/{name}/{i}" for i in what._defaults}
        writer.arrays |= {f"default/{name}/{i}": array for i, array in what._defaults.items()}
    structure = spell_structure(outputs, is_node_or_number, writer.place)
    return FunctionRow(title, program, tuple(names), donated, defaults, variables, structure)


def _defaults_row(variables: Sequence[Variable], writer: _Writer) -> DefaultsRow | None:
    updated = [each for each in variables if each.default_update is not None]
    if not updated:
        return None
    made = _loose_graph(
        [each.default_update for each in updated if each.default_update is not None], writer.place
    )
    key = "default updates"
    program, names = writer.program(key, made)
    writer.arrays[key] = writer.arrays.pop(program)
    return DefaultsRow(key, names, tuple(writer.keys[each] for each in updated))


def _loose_graph(roots: Sequence[Node], place: str) -> Graph:
    """A graph of default updates, whose inputs are the placeholders that they need."""
    inputs = [node for node in toposort(roots) if node.op is PLACEHOLDER]
    try:
        return graph(inputs, roots, name="default_updates")
    except GraphError as error:
        raise FileError(f"{place}: a default update cannot be saved: {first_line(error)}") from None
