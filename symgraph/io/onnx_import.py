"""Models in the ONNX format become functions."""

from __future__ import annotations

import keyword
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from symgraph.api.arguments import as_argument
from symgraph.api.function import CompiledFunction, function
from symgraph.api.variable import Variable, variable
from symgraph.errors import ArgumentError, GraphError, Problem, ShapeError
from symgraph.graph.dims import Dim, Size, fresh, symbol
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.op import PLACEHOLDER, constant, placeholder
from symgraph.graph.types import DType
from symgraph.graph.walk import toposort
from symgraph.io.onnx_proto import MOST_AXES, Source, dtype_of, type_name
from symgraph.io.onnx_table import Refused, Report, unsupported
from symgraph.io.onnx_walk import MOST_NODES, Frame, Values, Walk, graphs_of, is_known, opsets_of, why_not
from symgraph.options import USUAL, Options

Array = np.ndarray[Any, Any]

_MOST_PROGRAMS = 32
_MOST_ELEMENTS = 4096
_LONGEST = 80
"""Characters of a name that a placeholder or a size keeps."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a model: what it is called there, its placeholder's name, its dtype, its sizes.

    ``shape`` is None where the model does not say how many axes there are.
    """

    name: str
    spelled: str
    row: DType
    shape: tuple[Dim, ...] | None

    def node(self, rank: int) -> Node:
        shape = self.shape if self.shape is not None else tuple(fresh() for _ in range(rank))
        return placeholder(self.row, shape, self.spelled)


@dataclass(frozen=True, slots=True)
class Program:
    """A model's nodes where some inputs have known values, and the function of the inputs that the outputs need."""

    inputs: dict[str, Node]
    outputs: dict[str, Node]
    needed: tuple[int, ...]
    compiled: CompiledFunction


class OnnxFunction:
    """A model that ``load`` read: called with arrays by position or by the names of its inputs.

    The result is one array, or a tuple of them in the order of ``output_names``. Where sizes depend on the values of an
    input (the shape that a Reshape is given, say) a program is compiled for each value that is met; ``value_inputs``
    names those inputs, as far as they are known. ``variables`` has the weights, by name, where ``load`` was asked to
    make variables of them.
    """

    def __init__(self, source: Source, givens: Mapping[str, Any], variables: bool, options: Options) -> None:
        self._source = source
        self._options = options
        self._lock = Lock()
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._weights: dict[str, Node] = {}
        self.variables: dict[str, Variable] = {}
        graph = source.model.graph
        self.name = graph.name or "main"
        self._opsets = opsets_of(source.model.opset_import)
        _refuse_unknown(source, self._opsets)
        self._read_weights(variables)
        self._inputs = _inputs_of(source, {tensor.name for tensor in graph.initializer})
        self._fixed = self._as_fixed(givens)
        self._asked = [each for each in self._inputs if each.name not in self._fixed]
        self.input_names = tuple(each.name for each in self._asked)
        self.output_names = tuple(each.name for each in graph.output)
        self.value_inputs: tuple[str, ...] = ()
        self._first = self._program({}, {}) if all(each.shape is not None for each in self._asked) else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs as NumPy arrays.

        Raises ArgumentError for a wrong number or name of arguments, DTypeError and ShapeError for one that does not
        fit, UnsupportedOperator where the values of ``value_inputs`` ask for what cannot be imported.
        """
        values = self._bind(args, kwargs)
        program = self._first if self._first is not None else self._for(values)
        results = program.compiled(*[values[place] for place in program.needed])
        return results[0] if len(results) == 1 else results

    @property
    def inputs(self) -> dict[str, Node]:
        """The placeholders by the names of the inputs; raises GraphError where values of inputs are needed first."""
        return self._whole().inputs

    @property
    def outputs(self) -> dict[str, Node]:
        """The nodes of the outputs, to build upon; raises GraphError where the values of inputs are needed first."""
        return self._whole().outputs

    @property
    def compiled(self) -> CompiledFunction:
        """The compiled function of the inputs that matter; raises GraphError as ``inputs`` does."""
        return self._whole().compiled

    def as_function(self) -> CompiledFunction:
        """The model as a function for ``symgraph.save``: of the inputs that matter, by the names of their placeholders,
        with a dict of the outputs; raises GraphError as ``inputs`` does."""
        whole = self._whole()
        inputs = list(whole.compiled.graph.inputs)
        return function(inputs, whole.outputs, name=self.name, options=self._options)

    def __repr__(self) -> str:
        return f"<ONNX model {self.name}({', '.join(self.input_names)}) -> {', '.join(self.output_names)}>"

    def _whole(self) -> Program:
        if self._first is None:
            names = ", ".join(self.value_inputs) or "inputs without a rank"
            raise GraphError(
                f"{self._source.name}: sizes depend on {names}: load the model with givens for them"
            )
        return self._first

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Array]:
        names = self.input_names
        if len(args) > len(names):
            raise ArgumentError(f"{self!r} takes {len(names)} arguments and was given {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names or name in given:
                why = "was given twice" if name in given else "is no input"
                raise ArgumentError(f"{self!r}: {name!r} {why}")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise ArgumentError(f"{self!r} was given no {', '.join(map(repr, missing))}")
        return [
            as_argument(given[each.name], each.node(np.ndim(given[each.name])), each.name)
            for each in self._asked
        ]

    def _for(self, values: Sequence[Array]) -> Program:
        """The program for arguments: one for the values of each of ``value_inputs`` and each rank that is open."""
        arrays = dict(zip(self.input_names, values, strict=True))
        ranks = {each.name: arrays[each.name].ndim for each in self._asked if each.shape is None}
        while True:
            known = {name: self._small(name, arrays[name]) for name in self.value_inputs}
            key = (
                tuple((name, x.shape, x.tobytes()) for name, x in known.items()),
                tuple(ranks.items()),
            )
            with self._lock:
                program = self._programs.get(key)
                if program is not None:
                    self._programs.move_to_end(key)
                    return program
            program = self._program(known, ranks)
            if program is None:
                continue
            with self._lock:
                self._programs[key] = program
                while len(self._programs) > _MOST_PROGRAMS:
                    self._programs.popitem(last=False)
            return program

    def _small(self, name: str, value: Array) -> Array:
        if value.size > _MOST_ELEMENTS:
            reason = f"sizes depend on its {value.size} elements, and {_MOST_ELEMENTS} is the most"
            raise unsupported(self._source.name, [Problem("input", name, reason)])
        return value

    def _program(self, known: Mapping[str, Array], ranks: Mapping[str, int]) -> Program | None:
        """The program where some inputs have values; None where the values of more are needed, which are noted."""
        fixed = {**self._fixed, **{name: constant(value) for name, value in known.items()}}
        nodes = {
            each.name: each.node(ranks.get(each.name, 0)) for each in self._asked if each.name not in fixed
        }
        walk = Walk(self._source, {node: name for name, node in nodes.items()})
        values: Values = {**self._weights, **fixed, **nodes}
        report = Report()
        results = walk.run(self._source.model.graph, values, Frame(self._opsets, {}), report)
        if report.problems:
            raise unsupported(self._source.name, report.problems)
        if report.wanted:
            self.value_inputs = tuple(dict.fromkeys([*self.value_inputs, *report.wanted]))
            return None
        outputs = [node for node in results if node is not None]
        if len(outputs) < len(results):
            raise self._source.error("outputs depend on values that are left out")
        needed = _needed(list(nodes.values()), outputs)
        places = {each.name: place for place, each in enumerate(self._asked)}
        used = {name: node for name, node in nodes.items() if node in needed}
        try:
            compiled = function(list(used.values()), tuple(outputs), name="main", options=self._options)
        except GraphError as error:
            raise self._source.error(str(error)) from error
        return Program(
            nodes,
            dict(zip(self.output_names, outputs, strict=True)),
            tuple(places[name] for name in used),
            compiled,
        )

    def _read_weights(self, variables: bool) -> None:
        for tensor in self._source.model.graph.initializer:
            array = self._source.array(tensor, f"the tensor {tensor.name!r}")
            if tensor.name in self._weights:
                raise self._source.error(f"there are two tensors {tensor.name!r}")
            if variables and array.dtype.kind in "fV":
                self.variables[tensor.name] = variable(array, name=tensor.name)
            made = self.variables.get(tensor.name)
            self._weights[tensor.name] = constant(array) if made is None else made

    def _as_fixed(self, givens: Mapping[str, Any]) -> dict[str, Node]:
        """The values that inputs were given for good; a tensor of the model may be replaced by one too."""
        inputs = {each.name: each for each in self._inputs}
        fixed = {}
        for name, value in givens.items():
            if name in inputs:
                fixed[name] = constant(as_argument(value, inputs[name].node(np.ndim(value)), name))
            elif name in self._weights:
                fixed[name] = constant(as_argument(value, self._weights[name], name))
            else:
                raise ArgumentError(f"{self._source.name} has no input or tensor {name!r}")
        return fixed


def load(
    model: str | os.PathLike[str] | bytes | Any,
    *,
    givens: Mapping[str, Any] | None = None,
    variables: bool = False,
    options: Options | None = None,
) -> OnnxFunction:
    """Read an ONNX model, from a path, from bytes or as a ``ModelProto``, and compile it.

    Names of sizes become symbolic sizes, so one program serves all of them. ``givens`` fixes inputs, or replaces
    tensors of the model, by name. With ``variables``, the weights that are floats become variables, to be trained or
    replaced, instead of constants. The tensors that a model has may lie in other files, in its own folder or below it.

    Operators have the meaning of the opset that the model names; see ``docs/onnx.md`` for which there are. Nothing in a
    file is executed.

    Raises UnsupportedOperator, which lists every operator that cannot be imported with the name of its node; FileError
    for a file that cannot be read or contradicts itself; ArgumentError, DTypeError and ShapeError for ``givens`` that
    do not fit.
    """
    source = Source(model)
    try:
        return OnnxFunction(source, givens or {}, variables, options or USUAL)
    except Refused as error:  # a tensor of the model
        raise unsupported(
            source.name, [Problem("tensor", f"graph {source.model.graph.name}", str(error))]
        ) from None


def _refuse_unknown(source: Source, opsets: Mapping[str, int]) -> None:
    """Raise UnsupportedOperator for operators that have neither rule nor function, wherever they stand."""
    model = source.model
    if not opsets:
        raise source.error("names no opset")
    own = {(each.domain, each.name) for each in model.functions}
    problems = []
    places: list[tuple[Any, Mapping[str, int]]] = [(model.graph.node, opsets)]
    places += [(f.node, {**opsets, **opsets_of(f.opset_import)}) for f in model.functions]
    count = 0
    while places:
        nodes, versions = places.pop()
        count += len(nodes)
        if count > MOST_NODES:
            raise source.error(f"has over {MOST_NODES} nodes")
        for number, node in enumerate(nodes):
            domain = "" if node.domain == "ai.onnx" else node.domain
            places += [(graph.node, versions) for each in node.attribute for graph in graphs_of(each)]
            if (node.domain, node.op_type) in own or is_known(node.op_type, domain, versions.get(domain, 0)):
                continue
            name = node.name or next(iter(node.output), f"number {number}")
            problems.append(
                Problem(node.op_type, f"node {name}", why_not(node.op_type, domain, versions.get(domain, 0)))
            )
    if problems:
        raise unsupported(source.name, problems)


def _inputs_of(source: Source, weights: set[str]) -> list[Input]:
    """The inputs that a call gives, which are those without a tensor in the model."""
    found: list[Input] = []
    names: dict[str, str] = {}
    sizes: dict[str, Size] = {}
    problems = []
    for info in source.model.graph.input:
        if info.name in weights:
            continue
        if info.name in names:
            raise source.error(f"there are two inputs {info.name!r}")
        names[info.name] = _identifier(info.name, names.values())
        kind = info.type.WhichOneof("value")
        if kind != "tensor_type":
            problems.append(
                Problem("input", info.name, f"it is no tensor but a {kind or 'value without a type'}")
            )
            continue
        tensor = info.type.tensor_type
        row = dtype_of(tensor.elem_type)
        if row is None:
            reason = f"it is of the type {type_name(tensor.elem_type)}, which symgraph does not have"
            problems.append(Problem("input", info.name, reason))
            continue
        shape = None
        if tensor.HasField("shape"):
            if len(tensor.shape.dim) > MOST_AXES:
                text = (
                    f"the input {info.name!r} has {len(tensor.shape.dim)} axes, and {MOST_AXES} is the most"
                )
                raise source.error(text)
            shape = tuple(_size(each, sizes, source, info.name) for each in tensor.shape.dim)
        found.append(Input(info.name, names[info.name], row, shape))
    if problems:
        raise unsupported(source.name, problems)
    return found


def _size(dim: Any, sizes: dict[str, Size], source: Source, name: str) -> Dim:
    which = dim.WhichOneof("value")
    if which == "dim_value":
        if dim.dim_value < 0:
            raise source.error(f"the input {name!r} has a size of {dim.dim_value}")
        return int(dim.dim_value)
    if which is None or not dim.dim_param:
        return fresh()
    if dim.dim_param not in sizes:
        spelled = _identifier(dim.dim_param, [str(size) for size in sizes.values()])
        try:
            sizes[dim.dim_param] = symbol(spelled)
        except ShapeError:  # max, min and other words of the language of sizes
            sizes[dim.dim_param] = symbol(spelled + "_size")
    return sizes[dim.dim_param]


def _identifier(name: str, taken: Iterable[str]) -> str:
    """A name for a placeholder or a size like one of the model's, which may hold any character."""
    clean = re.sub(r"[^A-Za-z0-9_]", "_", name[:_LONGEST]).strip("_") or "x"
    if not clean[0].isalpha() or keyword.iskeyword(clean):
        clean = f"x_{clean}"
    known = set(taken)
    spelled, number = clean, 2
    while spelled in known:
        spelled, number = f"{clean}_{number}", number + 1
    return spelled


def _needed(inputs: Sequence[Node], outputs: Sequence[Node]) -> set[Node]:
    """The inputs that the outputs read, or whose sizes they need."""
    nodes = toposort(outputs)
    sizes = {
        size
        for node in nodes
        if node.attrs is not None and node.op is not PLACEHOLDER
        for size in node.attrs.symbols()
    }
    present = set(nodes)
    return {node for node in inputs if node in present or type_symbols(node.type) & sizes}
