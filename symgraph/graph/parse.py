"""Text back into nodes: what `show` prints, read through `ast` and never executed."""

from __future__ import annotations

import ast
import functools
import inspect
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from symgraph.errors import ParseError, SymgraphError
from symgraph.graph.attributes import Reader, fields_of, size_names
from symgraph.graph.collector import paused
from symgraph.graph.dims import Size, fresh, is_symbol, symbol
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.literals import LARGEST_INLINE, Array, is_constant, read_constant
from symgraph.graph.node import Node, live, make
from symgraph.graph.op import (
    CONSTANT,
    OPS,
    PLACEHOLDER,
    VARIABLE,
    ConstantAttrs,
    Op,
    PlaceholderAttrs,
    VariableAttrs,
    item,
)
from symgraph.graph.origin import Origin, inherit
from symgraph.graph.quoting import TextReader, brief, first_line
from symgraph.graph.types import TensorType, TupleType, Type, parse_type

LEAVES = {PLACEHOLDER: "a parameter", VARIABLE: "a parameter after the star", CONSTANT: "f32(0.5)"}


def parse(
    text: str,
    *,
    variables: Mapping[str, Node] | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> Graph:
    """The graph that the text says; ``parse(show(g), variables=variable_names(g)) is g``.

    ``variables`` gives nodes for the variables by their printed names; the others become new ones. ``arrays`` gives
    large constants by their digests; others must be alive in this process. A size of the inputs that is decided by
    data elsewhere in this process gets a new name.

    Raises ParseError, with line and column, for any text that says no graph.
    """
    reader = _Reader(text, variables or {}, arrays or {})
    try:
        with paused():  # a syntax tree has no garbage, and looking for some takes most of the time
            return reader.program()
    except (RecursionError, MemoryError):
        raise ParseError("the text is too deeply nested") from None


@dataclass(slots=True)
class _Scope:
    """What names mean inside one ``def``."""

    values: dict[str, Node]
    graphs: dict[str, Graph]
    sizes: dict[str, Size]
    top: bool
    types: dict[str, Type] = field(default_factory=dict)
    """Annotations read before, by their text: most programs repeat a few."""


class _Reader(TextReader):
    def __init__(self, text: str, variables: Mapping[str, Node], arrays: Mapping[str, Array]) -> None:
        super().__init__(text)
        self.given = variables
        self.arrays = arrays
        self.variables: dict[str, Node] = {}
        self.alive: dict[str, Array] | None = None

    def program(self) -> Graph:
        """The graph of the one function that the text has."""
        match self.tree().body:
            case [ast.FunctionDef() as function]:
                return self.function(function, None)
        raise self.error("a program is one function, def main(…):", 1, None)

    # Errors

    def unknown(self, what: str, name: str, known: Iterable[str], node: ast.AST) -> NoReturn:
        import difflib

        names = list(known)
        close = difflib.get_close_matches(name[:80], names, n=3) if len(names) <= 2000 else []
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        self.fail(f"there is no {what} called {brief(name)}{hint}", node)

    # Functions

    def function(self, node: ast.FunctionDef, outer: _Scope | None) -> Graph:
        scope = _Scope({}, {}, dict(outer.sizes) if outer else {}, outer is None)
        name = self.graph_name(node)
        inputs = self.parameters(node, scope)
        *statements, last = node.body
        updates: list[Update] = []
        origin = None
        for statement in statements:
            origin = self.origin(statement) or origin
            match statement:
                case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value, simple=1):
                    self.refuse_known(target, scope, statement)
                    scope.values[target] = self.assigned(target, value, statement.annotation, scope, origin)
                case ast.Expr(ast.Call(ast.Name("update"), [variable, value], [])):
                    updates.append(Update(self.updated(variable), self.operand(value, scope)))
                case ast.FunctionDef(name=inner):
                    self.refuse_known(inner, scope, statement)
                    scope.graphs[inner] = self.function(statement, scope)
                case ast.Assign(targets=[ast.Name(id=target)]):
                    self.fail(f"{brief(target)} needs its type: {target[:40]}: f32[n] = …", statement)
                case _:
                    self.fail(
                        "a statement is name: type = op(…), update(…), def or the last return", statement
                    )
        if not isinstance(last, ast.Return):
            self.fail("the last statement must be a return", last)
        outputs = self.outputs(last, scope)
        try:
            return graph(inputs, outputs, updates, name, inner=not scope.top)
        except SymgraphError as error:
            self.fail(first_line(error), node)

    def graph_name(self, node: ast.FunctionDef) -> str:
        """The function's name, or what stands in ``@named("…")`` above it."""
        if node.returns is not None or getattr(node, "type_params", None):
            self.fail("a function is def name(parameters): without more", node)
        match node.decorator_list:
            case []:
                return node.name
            case [ast.Call(ast.Name("named"), [ast.Constant(str(name))], [])]:
                return name
        self.fail('above a function stands nothing but @named("…")', node.decorator_list[0])

    def parameters(self, node: ast.FunctionDef, scope: _Scope) -> list[Node]:
        """The inputs; variables are noted as well."""
        args = node.args
        if args.posonlyargs or args.vararg or args.kwarg or args.defaults:
            self.fail("parameters are name: type, and variables after a star", node)
        if args.kwonlyargs and not scope.top:
            self.fail("variables are parameters of the outermost function", args.kwonlyargs[0])
        inputs = []
        for arg in args.args:
            self.refuse_known(arg.arg, scope, arg)
            type = self.parameter_type(arg, scope)
            scope.values[arg.arg] = made = make(PLACEHOLDER, (), PlaceholderAttrs(arg.arg, type))
            inputs.append(made)
        for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            self.refuse_known(arg.arg, scope, arg)
            self.variables[arg.arg] = self.variable(arg, default, self.parameter_type(arg, scope))
        return inputs

    def parameter_type(self, arg: ast.arg, scope: _Scope) -> TensorType:
        if arg.annotation is None:
            self.fail(f"{brief(arg.arg)} needs its type: {arg.arg[:40]}: f32[n]", arg)
        for name in size_names(arg.annotation):
            if name not in scope.sizes:
                scope.sizes[name] = self.new_size(name, arg)
        type = self.type(arg.annotation, scope)
        if not isinstance(type, TensorType):
            self.fail("a parameter is one array", arg.annotation)
        return type

    def new_size(self, name: str, node: ast.AST) -> Size:
        try:
            size = symbol(name)
        except SymgraphError as error:
            self.fail(error, node)
        # The text's size is bound by an argument; here a node decides the size of this name.
        return fresh() if size.source is not None else size

    def variable(self, arg: ast.arg, default: ast.expr | None, type: TensorType) -> Node:
        match default:
            case None:
                name = arg.arg
            case ast.Constant(str(name)):
                pass
            case _:
                self.fail("beside a variable stands nothing but its name, a string", default)
        if arg.arg in self.given or name in self.given:
            node = self.given[arg.arg if arg.arg in self.given else name]
            if node.op is not VARIABLE:
                self.fail(f"{node!r} is given for the variable {brief(arg.arg)}, and is none", arg)
            if any(node is other for other in self.variables.values()):
                self.fail(f"{node!r} is given for two variables", arg)
            if node.type != type:
                self.fail(f"the variable {brief(arg.arg)} is {type} here, and {node.type} is given", arg)
            return node
        return make(VARIABLE, (), VariableAttrs(name, type))

    def updated(self, node: ast.expr) -> Node:
        if not isinstance(node, ast.Name) or node.id not in self.variables:
            self.fail(f"a variable is expected, and {brief(ast.unparse(node))} is none", node)
        return self.variables[node.id]

    def outputs(self, node: ast.Return, scope: _Scope) -> list[Node]:
        match node.value:
            case None:
                self.fail("return what? return () if nothing", node)
            case ast.Tuple(elts=parts):
                return [self.operand(part, scope) for part in parts]
        return [self.operand(node.value, scope)]

    def refuse_known(self, name: str, scope: _Scope, node: ast.AST) -> None:
        if name in scope.values or name in scope.graphs or name in self.variables:
            self.fail(f"{brief(name)} is defined already", node)

    def origin(self, node: ast.stmt) -> Origin | None:
        """The user's line in the comment behind a statement."""
        line = self.lines[(node.end_lineno or node.lineno) - 1]
        if "#" not in line:
            return None
        rest = line.encode(errors="replace")[node.end_col_offset or 0 :].decode(errors="replace")
        found = re.fullmatch(r"\s*#\s*(.+):([0-9]{1,9})\s*", rest)
        return Origin(found[1], int(found[2])) if found else None

    # Statements

    def assigned(
        self, name: str, value: ast.expr, annotation: ast.expr, scope: _Scope, origin: Origin | None
    ) -> Node:
        """The node of ``name: annotation = value``, whose type must be what the annotation says."""
        match value:
            case ast.Call(ast.Name(op), args, keywords) if not is_constant(value):
                with inherit(origin):
                    node = self.applied(op, args, keywords, value, scope)
            case _:
                node = self.operand(value, scope)
        if node.op.binds_sizes:
            self.bind_sizes(annotation, node, scope)
        told = self.type(annotation, scope)
        if told != node.type:
            self.fail(f"{brief(name)} is {told} here, but {node.op.name} gives {node.type}", annotation)
        return node

    def applied(
        self, name: str, args: list[ast.expr], keywords: list[ast.keyword], node: ast.Call, scope: _Scope
    ) -> Node:
        op = OPS.get(name)
        if op is None:
            self.unknown("op", name, OPS, node)
        if op in LEAVES:
            self.fail(f"{name} is no statement; it is written {LEAVES[op]}", node)
        inputs = tuple(self.operand(arg, scope) for arg in args)
        least, most = _arity(op)
        if not least <= len(inputs) <= most:
            count = f"{least}" if least == most else f"{least} or more" if most > 99 else f"{least} to {most}"
            self.fail(f"{name} takes {count} inputs, not {len(inputs)}", node)
        attrs = self.attributes(op, keywords, node, Reader(scope.sizes, scope.graphs))
        try:
            return make(op, inputs, op.attrs(**attrs) if op.attrs is not None else None)
        except SymgraphError as error:
            self.fail(first_line(error), node)
        except Exception as error:
            # Type rules rely on what the op's public function lets through; text may say anything.
            given = ", ".join(str(x.type) for x in inputs)
            self.fail(f"{name}({given}) refuses its inputs or attributes: {error!r:.200}", node)

    def operand(self, node: ast.expr, scope: _Scope) -> Node:
        """A name, one result of several, or a constant."""
        match node:
            case ast.Name(name):
                known = scope.values[name] if name in scope.values else self.variables.get(name)
                if known is None:
                    self.unknown("value", name, [*scope.values, *self.variables], node)
                return known
            case ast.Subscript(ast.Name() as results, ast.Constant(int(index))) if not isinstance(
                index, bool
            ):
                try:
                    return item(self.operand(results, scope), index)
                except SymgraphError as error:
                    self.fail(first_line(error), node)
            case ast.Call() if is_constant(node):
                try:
                    return read_constant(node, self.array)
                except SymgraphError as error:
                    self.fail(first_line(error), node)
        self.fail("an input is a name, v0[1] or a constant; every op has a statement of its own", node)

    def array(self, digest: str) -> Array | None:
        """The array given for a digest, or that of a live constant."""
        if digest in self.arrays:
            return self.arrays[digest]
        if self.alive is None:
            attrs = [node.attrs for node in live() if isinstance(node.attrs, ConstantAttrs)]
            self.alive = {each.digest: each.value for each in attrs if each.value.size > LARGEST_INLINE}
        return self.alive.get(digest)

    # Types

    def type(self, annotation: ast.expr, scope: _Scope) -> Type:
        line = self.lines[annotation.lineno - 1]
        if annotation.lineno != annotation.end_lineno or not line.isascii():
            return self.new_type(annotation, scope)
        text = line[annotation.col_offset : annotation.end_col_offset]
        if text not in scope.types:
            scope.types[text] = self.new_type(annotation, scope)
        return scope.types[text]

    def new_type(self, annotation: ast.expr, scope: _Scope) -> Type:
        for name in size_names(annotation):
            if name not in scope.sizes:
                self.unknown("size", name, scope.sizes, annotation)
        try:
            return parse_type(annotation, scope.sizes)
        except SymgraphError as error:
            self.fail(first_line(error), annotation)

    def bind_sizes(self, annotation: ast.expr, node: Node, scope: _Scope) -> None:
        """The names that an annotation has for the sizes which this node decides."""
        spelled = annotation.elts if isinstance(annotation, ast.Tuple) else [annotation]
        for part, type in zip(spelled, _items(node.type), strict=False):
            if not isinstance(part, ast.Subscript):
                continue
            sizes = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            for name, size in zip(sizes, type.shape, strict=False):
                if isinstance(name, ast.Name) and is_symbol(size) and size.source is node:
                    scope.sizes.setdefault(name.id, size)


def _items(type: Type) -> tuple[TensorType, ...]:
    return type.items if isinstance(type, TupleType) else (type,)


@functools.cache
def _arity(op: Op) -> tuple[int, float]:
    """The least and largest number of inputs, as far as the op's functions tell."""
    if isinstance(op.numpy, np.ufunc):
        return op.numpy.nin, op.numpy.nin
    attrs = set(fields_of(op.attrs)) if op.attrs is not None else set()
    for function in (op.infer, op.body, op.numpy):
        try:
            parameters = inspect.signature(function).parameters.values() if function else ()
        except (TypeError, ValueError):
            continue
        places = [p for p in parameters if p.name not in attrs and p.kind is not p.KEYWORD_ONLY]
        if places and not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in places):
            return sum(p.default is p.empty for p in places), len(places)
    return 0, math.inf
