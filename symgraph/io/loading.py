"""The functions that a native file holds, made of its text and arrays without trust."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from symgraph.api.function import CompiledFunction
from symgraph.api.program import Program
from symgraph.api.variable import Variable
from symgraph.errors import DeviceError, MemoryLimitError, SymgraphError
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, OPS
from symgraph.graph.parse import parse
from symgraph.graph.quoting import first_line
from symgraph.graph.text import variable_names
from symgraph.io.container import LARGEST_COPIED, LONGEST_HEADER, Array, Container, checksum, is_canonical
from symgraph.io.manifest import (
    FORMAT,
    MANIFEST,
    OP_VERSIONS,
    FunctionRow,
    Manifest,
    from_json,
    read_structure,
    uses,
)
from symgraph.io.saving import Given, is_own, ops_of
from symgraph.options import USUAL, Options


def functions_of(opened: Container, options: Options | None) -> Any:
    """The function, or the dict of functions. Raises FileError."""
    manifest = checked_manifest(opened)
    _check_ops(opened, manifest)
    variables = {
        key: Variable(_own(opened, row.value), row.name, row.trainable)
        for key, row in manifest.variables.items()
    }
    constants = Given(
        (name.removeprefix("constant/"), array)
        for name, array in opened.arrays.items()
        if name.startswith("constant/")
    )
    # Equal constants are one node: those that are parsed will be these, whose arrays lie in the file.
    nodes = [CONSTANT(value=array) for array in constants.values()]
    reader = _Reader(opened, manifest, variables, constants, options or USUAL)
    functions = {name: reader.function(name, row) for name, row in manifest.functions.items()}
    reader.default_updates()
    reader.check_ops()
    del nodes
    return next(iter(functions.values())) if manifest.single else functions


def checked_manifest(opened: Container) -> Manifest:
    """The manifest of a file all of whose bytes are those that were saved. Raises FileError."""
    said = opened.metadata.get("format", "")
    version = re.fullmatch(r"symgraph ([1-9][0-9]{0,5})", said)
    if version is None:
        opened.refuse("it has arrays and no program; sg.checkpoint.restore reads checkpoints")
    if int(version[1]) > FORMAT:
        why = f"this symgraph reads formats up to {FORMAT}: it needs a newer one"
        opened.refuse(f"it has format {version[1]}, and {why}")
    if not is_canonical(opened):
        opened.refuse("its header is not as symgraph writes it")
    text = _array(opened, MANIFEST)
    if text.nbytes > LONGEST_HEADER:
        opened.refuse(f"its manifest has {text.nbytes} bytes, and {LONGEST_HEADER} is the most")
    if checksum(text) != opened.metadata.get("manifest"):
        opened.refuse("its manifest is damaged: the checksum is another")
    manifest = from_json(text.tobytes(), opened.place)
    names = opened.arrays.keys() - {MANIFEST}
    if names != manifest.checksums.keys():
        odd = min(names ^ manifest.checksums.keys())
        opened.refuse(f"its manifest and its header do not both have the array {odd!r:.60}")
    for name, wanted in manifest.checksums.items():
        if checksum(opened.arrays[name]) != wanted:
            opened.refuse(f"the array {name!r:.60} is damaged: its checksum is another")
    _check_uses(opened, manifest)
    return manifest


def text_of(opened: Container, name: str) -> str:
    """An array as the text that it is. Raises FileError."""
    array = _array(opened, name)
    if array.dtype != np.uint8 or array.ndim != 1:
        opened.refuse(f"the array {name!r:.60} is no text")
    try:
        return array.tobytes().decode("utf-8")
    except UnicodeDecodeError as error:
        opened.refuse(f"the array {name!r:.60} is no text: {error}")


@dataclass(slots=True)
class _Reader:
    """Makes functions of what a file says."""

    opened: Container
    manifest: Manifest
    variables: Mapping[str, Variable]
    constants: Mapping[str, Array]
    options: Options
    ops: set[str] = field(default_factory=set)

    def function(self, name: str, row: FunctionRow) -> CompiledFunction:
        where = f"function {name!r:.60}"
        made = self.graph(row.program, row.variables, where)
        if len(row.arguments) != len(made.inputs):
            self.refuse(where, f"it has {len(made.inputs)} inputs, and {len(row.arguments)} names for them")
        leaves = iter(made.outputs)
        outputs = read_structure(row.outputs, leaves, f"{self.opened.place}: {where}")
        if next(leaves, None) is not None:
            self.refuse(where, "its program has more results than its outputs have places")
        defaults = {int(i): self.default(made.inputs[int(i)], key, where) for i, key in row.defaults.items()}
        if not defaults.keys().isdisjoint(row.donated):
            self.refuse(where, "an argument is donated, and has a default")
        donated = [made.inputs[i] for i in row.donated]
        updates = {update.variable: update.value for update in made.updates}
        try:
            program = Program(
                made.inputs,
                made.outputs,
                updates,
                made.name,
                self.options,
                unused_inputs=True,
                donate=donated,
            )
        except (DeviceError, MemoryLimitError):  # of the options
            raise
        except SymgraphError as error:
            self.refuse(where, first_line(error))
        program.names = list(row.arguments)
        return CompiledFunction(program, outputs, defaults, row.title)

    def default(self, node: Node, key: str, where: str) -> Array:
        array = _array(self.opened, key)
        sizes = zip(array.shape, node.shape, strict=False)
        if (
            array.dtype != node.dtype
            or array.ndim != node.ndim
            or any(isinstance(b, int) and a != b for a, b in sizes)
        ):
            self.refuse(where, f"the default of {node.name} is no {node.type}")
        return np.array(array)

    def graph(self, key: str, names: Mapping[str, str], where: str) -> Graph:
        """The graph that an array's text says, of the file's own variables."""
        given = {}
        for printed, variable in names.items():
            if variable not in self.variables:
                self.refuse(where, f"there is no variable {variable!r:.60}")
            given[printed] = self.variables[variable]
        text = text_of(self.opened, key)
        try:
            made = parse(text, variables=given, arrays=self.constants)
        except SymgraphError as error:
            self.refuse(where, error)
        for node in variable_names(made).values():
            if not isinstance(node, Variable):
                self.refuse(where, f"the variable {node.name!r:.60} has no value")
        self.ops.update(ops_of(made))
        return made

    def default_updates(self) -> None:
        """Give the variables what they become after calls that read them; the programs have this already."""
        row, where = self.manifest.default_updates, "the default updates"
        if row is None:
            return
        made = self.graph(row.program, row.variables, where)
        if len(made.outputs) != len(row.updated) or made.updates:
            self.refuse(where, f"there are {len(made.outputs)} for {len(row.updated)} variables")
        for key in row.updated:
            if key not in self.variables:
                self.refuse(where, f"there is no variable {key!r:.60}")
        variables = [self.variables[key] for key in row.updated]
        try:
            graph(made.inputs, (), map(Update, variables, made.outputs))
        except SymgraphError as error:
            self.refuse(where, first_line(error))
        for variable, value in zip(variables, made.outputs, strict=True):
            variable.default_update = value

    def check_ops(self) -> None:
        """Refuse a list of ops that is not that of the programs."""
        if self.ops != {*self.manifest.ops, *self.manifest.own_ops}:
            self.opened.refuse("its list of ops is not that of its programs")

    def refuse(self, where: str, fault: object) -> NoReturn:
        self.opened.refuse(f"{where}: {fault}")


def _check_uses(opened: Container, manifest: Manifest) -> None:
    """Refuse an array with two uses, which would be read twice: then a small file could be a large one many times."""
    used: set[str] = set()
    for name in uses(manifest):
        if name in used:
            opened.refuse(f"the array {name!r:.60} is used twice")
        used.add(name)


def _check_ops(opened: Container, manifest: Manifest) -> None:
    for name, version in manifest.ops.items():
        known = OP_VERSIONS.get(name, 1) if name in OPS and not is_own(name) else None
        if known is None:
            opened.refuse(f"it needs symgraph's op {name!r:.60}, which this symgraph does not have")
        if version != known:
            opened.refuse(
                f"it needs version {version} of the op {name}, and this symgraph has version {known}"
            )
    for name in manifest.own_ops:
        if not is_own(name):
            text = "import what declares it, and load then"
            opened.refuse(
                f"it needs the op {name!r:.60}, which somebody declared and this program has not: {text}"
            )


def _array(opened: Container, name: str) -> Array:
    if name not in opened.arrays:
        opened.refuse(f"it has no array {name!r:.60}")
    return opened.arrays[name]


def _own(opened: Container, name: str) -> Array:
    """An array that may stay in the file where it is large."""
    array = _array(opened, name)
    return array if array.nbytes > LARGEST_COPIED else array.copy()
