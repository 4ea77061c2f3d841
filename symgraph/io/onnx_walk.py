"""The walk through a model's graphs: each node becomes what its rule, or its function, makes of it."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.errors import FileError, Problem, SymgraphError
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.io import (  # noqa: F401  (the rules)
    onnx_ops_conv,
    onnx_ops_image,
    onnx_ops_index,
    onnx_ops_loops,
    onnx_ops_math,
    onnx_ops_norm,
    onnx_ops_pool,
    onnx_ops_recurrent,
    onnx_ops_reduce,
    onnx_ops_resize,
    onnx_ops_shape,
    onnx_ops_signal,
)
from symgraph.io.onnx_call import Call
from symgraph.io.onnx_known import Known
from symgraph.io.onnx_proto import MOST_AXES, Source, attributes, number_of, package
from symgraph.io.onnx_table import Refused, Report, Rule, Stopped, Unknown, find

Values = MutableMapping[str, Node | None]
"""What names stand for; None for a value that could not be made."""

_DEEPEST = 64
"""Functions and graphs inside one another."""
_LARGEST = 1 << 45
"""Elements of one array, which no machine has room for."""
MOST_NODES = 100_000
"""Nodes of a model, and nodes walked, those of a function or a loop's body each time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a node stands: the opsets in force, the attributes of the function's call, the calls around it."""

    opsets: Mapping[str, int]
    attributes: Mapping[str, Any]
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """A node that the walk has come to: what it is called in errors, the values that it may read, where it stands."""

    node: Any
    name: str
    values: Values
    frame: Frame

    @property
    def what(self) -> str:
        return f"node {self.name!r} ({self.node.op_type})"


class Inside(Exception):
    """A fault in a graph among the attributes of a node, on its way through the op that traces it."""

    def __init__(self, fault: FileError) -> None:
        super().__init__(str(fault))
        self.fault = fault


_FAULTS = (SymgraphError, ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What a node raises that contradicts itself: an attribute of another kind, sizes that do not fit, or have no room."""


def opsets_of(imports: Any) -> dict[str, int]:
    """The version of each domain; the default one is called ``""``."""
    return {_domain(each.domain): each.version for each in imports}


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


class Walk:
    """The import of one model: ``run`` makes the nodes of a graph."""

    def __init__(self, source: Source, inputs: Mapping[Node, str]) -> None:
        self.source = source
        self.known = Known(inputs)
        self.walked = 0
        self.functions = {(_domain(f.domain), f.name): f for f in source.model.functions}

    def run(self, graph: Any, values: Values, frame: Frame, report: Report) -> list[Node | None]:
        """The outputs of a graph whose inputs are in ``values``; None for those that the report speaks of."""
        self._check_depth(frame)
        for tensor in graph.initializer:
            if tensor.name not in values:
                values[tensor.name] = constant(self.source.array(tensor, f"the tensor {tensor.name!r}"))
        if graph.sparse_initializer:
            report.problems.append(Problem("sparse_initializer", f"graph {graph.name}", "sparse tensors"))
            for sparse in graph.sparse_initializer:
                values.setdefault(sparse.values.name, None)
        self._nodes(graph.node, values, frame, report, [each.name for each in graph.output])
        return [self._read(each.name, values, f"the output {each.name!r}") for each in graph.output]

    def _check_depth(self, frame: Frame) -> None:
        if len(frame.path) > _DEEPEST:
            path = " > ".join(frame.path[:8])
            raise self.source.error(f"functions and graphs are nested too deeply, or without end: {path} > …")

    def _nodes(
        self, nodes: Sequence[Any], values: Values, frame: Frame, report: Report, results: Sequence[str]
    ) -> None:
        read = set(results).union(*(names_read(node) for node in nodes))
        self.walked += len(nodes)
        if self.walked > MOST_NODES:
            raise self.source.error(
                f"functions and graphs inside one another come to over {MOST_NODES} nodes"
            )
        for number, node in enumerate(nodes):
            name = node.name or next((each for each in node.output if each), f"number {number}")
            visit = Visit(node, name, values, frame)
            inputs = [self._read(each, values, visit.what) if each else None for each in node.input]
            asked = tuple(bool(each) and each in read for each in node.output)
            found: Sequence[Node | None] = ()
            if not any(each and values[each] is None for each in node.input):
                found = self._node(visit, inputs, asked, report)
            for place, each in enumerate(node.output):
                if not each:
                    continue
                if each in values and each in getattr(values, "maps", [values])[0]:
                    raise self.source.error(f"{visit.what} makes {each!r}, which there is already")
                values[each] = found[place] if place < len(found) else None

    def _read(self, name: str, values: Values, what: str) -> Node | None:
        try:
            return values[name]
        except KeyError:
            raise self.source.error(f"{what} reads {name!r}, which nothing before it makes") from None

    def _node(
        self, visit: Visit, inputs: list[Node | None], asked: tuple[bool, ...], report: Report
    ) -> Sequence[Node | None]:
        """The results of a node; none where the report has got the reason."""
        operator, place = visit.node.op_type, f"node {visit.name}"
        try:
            found = self._results(visit, inputs, asked)
            missing = [each for place, each in enumerate(asked) if each and place >= len(found)]
            if missing:
                raise Refused(f"it gives {len(found)} results, and more are asked for")
            for each in found:
                if each is not None and each.ndim > MOST_AXES:
                    raise Refused(f"a result of {each.ndim} axes, and {MOST_AXES} is the most")
                if each is not None and isinstance(each.size, int) and each.size > _LARGEST:
                    raise Refused(f"a result of {each.size:.3g} elements")
            return found
        except Stopped as error:
            report.add(error.report)
        except Unknown as error:
            report.wanted.update(dict.fromkeys(error.inputs))
            if not error.inputs:
                report.problems.append(Problem(operator, place, str(error)))
        except Refused as error:
            report.problems.append(Problem(operator, place, str(error)))
        except Inside as error:
            raise error.fault from None
        except FileError:
            raise
        except _FAULTS as error:
            raise self.source.error(f"{visit.what}: {error}") from error
        return ()

    def _results(
        self, visit: Visit, inputs: list[Node | None], asked: tuple[bool, ...]
    ) -> Sequence[Node | None]:
        node, frame, what = visit.node, visit.frame, visit.what
        domain = _domain(node.domain)
        given = attributes(node, frame.attributes)
        inside = Frame(frame.opsets, frame.attributes, (*frame.path, visit.name))
        own = self.functions.get((domain, node.op_type))
        if own is not None:
            return self._function(own, inputs, given, inside, what)
        opset = frame.opsets.get(domain)
        if opset is None:
            raise self.source.error(
                f"{what} is of the domain {node.domain or 'ai.onnx'!r}, which is not imported"
            )
        rule = find(node.op_type, opset) if domain == "" else None
        if rule is None:
            body = schema_body(resolved(node, given), domain, opset, inputs)
            if body is None:
                raise Refused(why_not(node.op_type, domain, opset))
            defaults = schema_defaults(node.op_type, domain, opset)
            return self._function(body, inputs, defaults | given, inside, what)

        def run(graph: Any, arguments: Sequence[Node]) -> list[Node]:
            if len(arguments) != len(graph.input):
                raise self.source.error(
                    f"{what} has a graph of {len(graph.input)} inputs and gives it {len(arguments)}"
                )
            own = dict(zip([each.name for each in graph.input], arguments, strict=True))
            report = Report()
            try:
                found = self.run(graph, ChainMap(own, visit.values), inside, report)
            except FileError as error:
                raise Inside(error) from None
            made = [each for each in found if each is not None]
            if report or len(made) < len(found):
                raise Stopped(report)
            return made

        call = Call(node.op_type, opset, asked, self.source, self.known, run)
        while inputs and inputs[-1] is None:
            inputs.pop()
        self._check(rule, inputs, what)
        unknown = given.keys() - rule.attributes - _IGNORED
        if unknown:
            raise Refused(f"the attribute {sorted(unknown)[0]!r}")
        kept = {key: value for key, value in given.items() if key in rule.attributes}
        found = rule.build(*([call] if rule.takes_call else []), *inputs, **kept)
        return [found] if isinstance(found, Node) else list(found)

    def _check(self, rule: Rule, inputs: Sequence[Node | None], what: str) -> None:
        if len(inputs) < rule.least or (rule.most is not None and len(inputs) > rule.most):
            raise self.source.error(f"{what} has {len(inputs)} inputs, and takes {rule.least} to {rule.most}")
        if any(each is None for each in inputs[: rule.least]):
            raise self.source.error(f"{what} is not given an input that it needs")

    def _function(
        self, body: Any, inputs: Sequence[Node | None], given: Mapping[str, Any], frame: Frame, what: str
    ) -> list[Node | None]:
        """The results of a function's body; its opsets are its own."""
        self._check_depth(frame)
        if len(inputs) > len(body.input):
            raise self.source.error(f"{what} has {len(inputs)} inputs, and takes {len(body.input)}")
        defaults = {each.name: each for each in getattr(body, "attribute_proto", ())}
        attrs = {name: package().helper.get_attribute_value(each) for name, each in defaults.items()} | dict(
            given
        )
        values = _Optional(zip(body.input, inputs, strict=False))
        values.absent = {name for name, x in values.items() if x is None} | set(body.input[len(inputs) :])
        nodes = [values.without(node) for node in body.node]
        report = Report()
        opsets = dict(frame.opsets) | opsets_of(body.opset_import)
        self._nodes(nodes, values, Frame(opsets, attrs, frame.path), report, list(body.output))
        if report:
            raise Stopped(report)
        return [values.get(name) for name in body.output]


class _Optional(dict[str, Node | None]):
    """The values in a function, some of whose inputs are left out."""

    absent: set[str]

    def without(self, node: Any) -> Any:
        """The node, with the names of what is left out empty."""
        if not self.absent.intersection(node.input):
            return node
        changed = type(node)()
        changed.CopyFrom(node)
        for place, name in enumerate(node.input):
            if name in self.absent:
                changed.input[place] = ""
        return changed


_IGNORED = frozenset({"consumed_inputs"})
"""Attributes of the first opset that say nothing of the result."""


def names_read(node: Any) -> Iterator[str]:
    """The names that a node reads, the graphs among its attributes included."""
    pending = [node]
    while pending:
        here = pending.pop()
        yield from here.input
        for attribute in here.attribute:
            for graph in graphs_of(attribute):
                pending += graph.node
                yield from (each.name for each in graph.output)


def graphs_of(attribute: Any) -> list[Any]:
    return ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs)


def why_not(operator: str, domain: str, opset: int) -> str:
    """Why there is nothing for an operator that has neither rule nor function."""
    return f"there is no rule for it in opset {opset}" + (f" of {domain}" if domain else "")


def is_known(operator: str, domain: str, opset: int) -> bool:
    """Whether an operator has a rule, or a function in ONNX's own definition."""
    if domain == "" and find(operator, opset) is not None:
        return True
    schema = _schema(operator, domain, opset)
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def _schema(operator: str, domain: str, opset: int) -> Any:
    onnx = package()
    try:
        return onnx.defs.get_schema(operator, opset, domain)
    except Exception:  # onnx has an exception of its own for what it does not know
        return None


def schema_body(node: Any, domain: str, opset: int, inputs: Sequence[Node | None]) -> Any:
    """The function by which ONNX defines an operator, for these inputs, or None."""
    onnx = package()
    schema = _schema(node.op_type, domain, opset)
    if schema is None:
        return None
    if schema.has_function:
        version = _version(schema.function_opset_versions, opset)
        return onnx.FunctionProto.FromString(schema.get_function_with_opset_version(version))
    if not schema.has_context_dependent_function:
        return None
    version = _version(schema.context_dependent_function_opset_versions, opset)
    types = [_type_of(x).SerializeToString() for x in inputs]
    text = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
    return onnx.FunctionProto.FromString(text) if text else None


def resolved(node: Any, given: Mapping[str, Any]) -> Any:
    """The node with the values of those attributes that refer to the call of the function it is in."""
    if not any(attribute.ref_attr_name for attribute in node.attribute):
        return node
    onnx = package()
    changed = type(node)()
    changed.CopyFrom(node)
    del changed.attribute[:]
    changed.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in given.items())
    return changed


def _version(versions: Sequence[int], opset: int) -> int:
    """The newest that is not above the opset; where all are above it, the oldest."""
    return max((each for each in versions if each <= opset), default=min(versions))


def _type_of(x: Node | None) -> Any:
    onnx = package()
    if x is None:
        return onnx.TypeProto()
    sizes = [str(size) if isinstance(size, Size) else size for size in x.shape]
    return onnx.helper.make_tensor_type_proto(number_of(x.row), sizes)


def schema_defaults(operator: str, domain: str, opset: int) -> dict[str, Any]:
    """The values that attributes have where they are left out."""
    onnx = package()
    found = {}
    for name, attribute in _schema(operator, domain, opset).attributes.items():
        if attribute.default_value.name:
            value = onnx.helper.get_attribute_value(attribute.default_value)
            found[name] = value.decode() if isinstance(value, bytes) else value
    return found
