"""Compiled functions become models in the ONNX format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from symgraph.api.function import CompiledFunction
from symgraph.api.variable import Variable
from symgraph.errors import ArgumentError, FileError, Problem
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.graph.op import ITEM, PACK, VARIABLE
from symgraph.graph.origin import inherit
from symgraph.graph.types import TupleType
from symgraph.graph.walk import expand, toposort
from symgraph.io import (  # noqa: F401  (the spellings)
    atomic,
    onnx_definitions_matrices,
    onnx_spelled_indices,
    onnx_spelled_loops,
    onnx_spelled_reductions,
    onnx_spellings,
)
from symgraph.io.onnx_definitions import DEFINITIONS
from symgraph.io.onnx_proto import number_of, package
from symgraph.io.onnx_table import Refused, unsupported
from symgraph.io.onnx_walk import names_read
from symgraph.io.onnx_writing import SPELLINGS, Writer

_OLDEST = 18
"""The first opset in which all reductions take their axes as an input."""


def save(f: CompiledFunction, path: str | os.PathLike[str], *, opset: int = 21) -> None:
    """Write a compiled function as an ONNX model, for others to run.

    Inputs have the names of placeholders, and symbolic sizes theirs. The outputs are called ``output``, or
    ``output_0``, ``output_1`` and so on; a dict's have its keys. Variables are tensors of the model, by their names and
    with the values that they have now. What an update makes of a variable is a further output: its name and ``_next``.
    An op that ONNX has becomes its operator; of another, its definition is written.

    Raises UnsupportedOperator, which lists every op that ONNX cannot say, with its line; ArgumentError for an opset
    below 18, or above the newest that the onnx package knows; FileError where the file cannot be written.
    """
    try:
        content = to_proto(f, opset=opset).SerializeToString()
    except ValueError as error:  # what protobuf says of more than 2 GB
        raise FileError(f"{os.fspath(path)}: cannot be written: {error}") from None
    atomic.write(path, [content])


def to_proto(f: CompiledFunction, *, opset: int = 21) -> Any:
    """The ``ModelProto`` that ``save`` writes; raises what it raises."""
    onnx = package()
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(f, CompiledFunction):
        raise ArgumentError(f"a function is made by sg.function, and {f!r} is none")
    if not isinstance(opset, int) or not _OLDEST <= opset <= newest:
        raise ArgumentError(f"the opset is {opset!r}; it must be {_OLDEST} to {newest}")
    problems: list[Problem] = []
    graph, w = f.graph, Writer(opset, lambda w, roots: _write(w, roots, problems))
    inputs = []
    for node in graph.inputs:
        w.values[node] = name = w.named(node.name or "x")
        w.rows[name] = node.row
        inputs.append(_info(name, node))
        w.bind(node, name)
    w.fill(w, graph.roots)
    if problems:
        raise unsupported(f.name, problems, "exported")
    outputs = []
    updated = [w.values.get(each.variable, each.variable.name) for each in graph.updates]
    wishes = [*_names(f, len(graph.outputs)), *(f"{name}_next" for name in updated)]
    for wish, node in zip(wishes, graph.roots, strict=True):
        found = w.values[node]
        assert isinstance(found, str)
        name = w.named(wish)
        w.nodes.append(onnx.helper.make_node("Identity", [found], [name]))
        outputs.append(_info(name, node))
    read = {name for node in w.nodes for name in names_read(node)}
    nodes = [node for node in w.constants if node.output[0] in read] + w.nodes
    made = onnx.helper.make_graph(nodes, f.name, inputs, outputs, w.tensors)
    imports = [onnx.helper.make_opsetid("", opset)]
    version = onnx.helper.find_min_ir_version_for(imports)
    return onnx.helper.make_model(made, opset_imports=imports, ir_version=version, producer_name="symgraph")


def _names(f: CompiledFunction, count: int) -> Sequence[str]:
    structure = f._outputs
    if (
        isinstance(structure, dict)
        and len(structure) == count
        and all(isinstance(key, str) for key in structure)
    ):
        return list(structure)
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _info(name: str, node: Node) -> Any:
    sizes = [str(size) if isinstance(size, Size) else size for size in node.shape]
    return package().helper.make_tensor_value_info(name, number_of(node.row), sizes)


def _write(w: Writer, roots: Sequence[Node], problems: list[Problem]) -> None:
    """Give each node that the roots need a value in the model; where that cannot be, it is a problem, and its value a
    name that nothing makes, so that the problems behind it are found too."""
    for node in toposort(roots, stop=w.values):
        if node in w.values:
            continue
        try:
            found = _value(w, node, problems)
        except Refused as error:
            place = node.origin.place if node.origin else "unknown"
            problems.append(Problem(node.op.name, place, str(error)))
            count = len(node.type.items) if isinstance(node.type, TupleType) else 0
            found = [w.named("missing") for _ in range(count)] if count else w.named("missing")
        w.values[node] = found
        if isinstance(found, str):
            w.rows[found] = node.row
        if isinstance(found, str) and (node.op is ITEM or node.op.binds_sizes):
            w.bind(node, found)  # sizes that a run decides are read from its results


def _value(w: Writer, node: Node, problems: list[Problem]) -> str | list[str]:
    """The name or the names of what a node becomes; raises Refused."""
    inputs: list[Any] = [w.values[x] for x in node.inputs]
    attrs = node.attrs.fields() if node.attrs is not None else {}
    if node.op is ITEM:
        return str(inputs[0][attrs["index"]])
    if node.op is PACK:
        return inputs
    if node.op is VARIABLE:
        assert isinstance(node, Variable)
        return w.tensor(node.name or "variable", node.value)
    spelling = SPELLINGS.get(node.op.name)
    found = None if spelling is None else spelling(w, node, *inputs, **attrs)
    if found is not None:
        return found
    if node.op.name in DEFINITIONS:
        with inherit(node.origin):
            body = DEFINITIONS[node.op.name](*node.inputs, **attrs)
    elif node.op.body is not None:
        body = expand(node)
    else:
        raise Refused("ONNX has no operator for it")
    _write(w, [body], problems)
    return w.values[body]
