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
from symgraph.graph.node import Node, call_text, live, make
from symgraph.graph.op import (
    CONSTANT,
    OPS,
    PLACEHOLDER,
    VARIABLE,
    ConstantAttrs,
    Op,
    PlaceholderAttrs,
    VariableAttrs,
    constant,
    item,
)
from symgraph.graph.origin import Origin, here, inherit
from symgraph.graph.quoting import TextReader, brief, first_line
from symgraph.graph.size_steps import Budget
from symgraph.graph.statements import Statement, spelled, statements
from symgraph.graph.types import TensorType, TupleType, Type, parse_type, short_type

DEEPEST_BLOCKS = 99
LARGEST_INDEX = 2**31
"""Of one result of several."""
MOST_COMPARED = 2000
"""Names that a wrong one is compared with, to find what was meant."""
LONGEST_COMPARED = 40
_PROGRAM = "a program is one function, def main(…):"
_STATEMENT = "a statement is name: type = op(…), update(…), def or the last return"
_NAMED = 'above a function stands nothing but @named("…")'
LEAVES = {PLACEHOLDER: "a parameter", VARIABLE: "a parameter after the star", CONSTANT: "f32(0.5)"}


def parse(
    text: str,
    *,
    variables: Mapping[str, Node] | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> Graph:
    """The graph that the text says; ``parse(show(g), variables=variable_names(g)) is g``.

    ``variables`` gives nodes for the variables by their printed names; the others become new ones. ``arrays`` gives
    large constants by their digests, which are copied unless they are read-only; others must be alive in this process.
    A size of the inputs that is decided by data elsewhere in this process gets a new name.

    Raises ParseError, with line and column, for any text that says no graph, and for one that has no bounds: statements
    of more than `MOST_TOKENS`, sizes that take more steps than their `Budget`.
    """
    reader = _Reader(text, variables or {}, arrays or {})
    try:
        # A program has no garbage, and looking for some takes most of the time; who calls is asked once for all nodes.
        with paused(), inherit(here()):
            return reader.program()
    except (RecursionError, MemoryError):
        raise ParseError("the text is too deeply nested") from None


@dataclass(slots=True)
class _Scope:
    """What names mean inside one ``def``."""

    values: dict[str, Node]
    graphs: dict[str, Graph]
    sizes: dict[str, Size]
    reader: Reader
    top: bool
    types: dict[str, Type] = field(default_factory=dict)
    """Annotations read before, by their text: most programs repeat a few."""
    updates: list[Update] = field(default_factory=list)
    outputs: list[Node] | None = None
    """What is returned; None before that."""
    origin: Origin | None = None


@dataclass(slots=True)
class _Head:
    """A ``def`` that was read as far as its colon, and what stands behind that in the same line."""

    said: str
    """How the text calls it."""
    name: str
    """How the graph is called."""
    inputs: list[Node]
    scope: _Scope
    known_sizes: int
    """How many sizes have names outside it."""
    place: Statement
    has_block: bool


class _Reader(TextReader):
    def __init__(self, text: str, variables: Mapping[str, Node], arrays: Mapping[str, Array]) -> None:
        super().__init__(text)
        self.rest = statements(self.current.text)
        self.below: Statement | None = None
        """The next statement."""
        self.blocks = [""]
        """What the blocks are indented by that the reader is in."""
        self.sizes: dict[str, Size] = {}
        """Of the functions that the reader is in, outermost first."""
        self.budget = Budget.of(text)
        self.given = variables
        self.arrays = arrays
        self.variables: dict[str, Node] = {}
        self.spelled: dict[str, Node] = {}
        """Constants read before, by their text: most programs repeat a few."""
        self.constants: dict[str, Node] = {}
        """Large ones by their digests."""
        self.alive: dict[str, Array] | None = None

    def program(self) -> Graph:
        """The graph of the one function that the text has."""
        self.step()
        if self.below is None:
            self.fail(_PROGRAM, None)
        head = self.statement("", None)
        if head is None:
            self.fail(_PROGRAM, None)
        made = self.function(head)
        if self.below is not None:
            self.enter(self.below)
            self.fail(_PROGRAM, None)
        return made

    # Statements and blocks; of the syntax trees there is one at a time

    def step(self) -> Statement | None:
        """The next statement, in which the reader is from now on."""
        taken, self.below = self.below, next(self.rest, None)
        if taken is not None:
            self.enter(taken)
        below = self.below
        if below is None or (taken is not None and taken.indent == below.indent):
            return taken
        if below.indent not in self.blocks:
            if not (taken or Statement("", 0)).is_above(below):
                self.enter(below)
                self.fail("unindent does not match any outer indentation level", None)
            if len(self.blocks) > DEEPEST_BLOCKS:
                self.enter(below)
                self.fail(f"functions are nested more than {DEEPEST_BLOCKS} times", None)
        return taken

    def parts(self, indent: str) -> list[ast.stmt]:
        """What the next statement says; a block below it is one ``pass``."""
        taken = self.step()
        if taken is None or taken.indent != indent:
            self.fail("unexpected indent", None)
        if not taken.is_above(self.below):
            return self.tree().body
        try:
            return self.tree("\n pass").body
        except ParseError as error:
            if error.line != taken.line + len(self.lines):  # where the block begins
                raise
        assert self.below is not None
        self.enter(self.below)
        self.fail("unexpected indent", None)

    def statement(self, indent: str, scope: _Scope | None) -> _Head | None:
        """Read one statement; of a function its head alone, which is given back."""
        named = None
        if self.below is not None and self.below.text.startswith("@"):
            named = self.named(indent)
        match self.parts(indent):
            case [ast.FunctionDef() as node]:
                return self.head(node, named, scope)
            case nodes:
                if named is not None:
                    self.fail(_NAMED, None)
                if scope is None:
                    self.fail(_PROGRAM, None)
                is_last = self.below is None or self.below.indent != indent
                self.said(nodes, scope, is_last)
        return None

    def named(self, indent: str) -> str:
        """What stands in ``@named("…")`` above a function."""
        taken = self.step()
        assert taken is not None
        if taken.indent != indent:
            self.fail("unexpected indent", None)
        match self.tree("\ndef _(): pass").body:
            case [
                ast.FunctionDef(decorator_list=[ast.Call(ast.Name("named"), [ast.Constant(str(name))], [])])
            ]:
                if self.below is not None and self.below.indent == indent and self.below.text[0] != "@":
                    return name
        self.fail(_NAMED, None)

    def block(self, scope: _Scope) -> None:
        """The statements of the block that comes next."""
        assert self.below is not None
        indent = self.below.indent
        self.blocks.append(indent)
        while self.below is not None and self.below.indent == indent:
            head = self.statement(indent, scope)
            if head is not None:
                self.refuse_known(head.said, scope, None)
                scope.graphs[head.said] = self.function(head)
        self.blocks.pop()

    # Errors

    def unknown(self, what: str, name: str, known: Iterable[str], node: ast.AST) -> NoReturn:
        import difflib

        names = [each for each in known if len(each) <= LONGEST_COMPARED]
        is_short = len(names) <= MOST_COMPARED and len(name) <= LONGEST_COMPARED
        close = difflib.get_close_matches(name, names, n=3) if is_short else []
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        self.fail(f"there is no {what} called {brief(name)}{hint}", node)

    # Functions

    def head(self, node: ast.FunctionDef, named: str | None, outer: _Scope | None) -> _Head:
        if node.returns is not None or getattr(node, "type_params", None):
            self.fail("a function is def name(parameters): without more", node)
        if outer is not None:
            self.refuse_known(node.name, outer, node)
        graphs: dict[str, Graph] = {}
        scope = _Scope({}, graphs, self.sizes, Reader(self.sizes, graphs, self.budget), outer is None)
        known = len(self.sizes)
        inputs = self.parameters(node, scope)
        has_block = self.current.is_above(self.below)
        if not has_block:
            self.said(node.body, scope, True)
        return _Head(
            node.name, node.name if named is None else named, inputs, scope, known, self.current, has_block
        )

    def function(self, head: _Head) -> Graph:
        """The graph of a function whose head was read, and whose block comes next."""
        scope = head.scope
        if head.has_block:
            self.block(scope)
        if scope.outputs is None:
            self.fail("the last statement must be a return", None)
        self.enter(head.place)
        try:
            made = graph(head.inputs, scope.outputs, scope.updates, head.name, inner=not scope.top)
        except SymgraphError as error:
            self.fail(first_line(error), None)
        while len(self.sizes) > head.known_sizes:  # the names of this function end with it
            self.sizes.popitem()
        return made

    def said(self, statements: list[ast.stmt], scope: _Scope, is_last: bool) -> None:
        """Do what the statements say, the last of which is or is not that of its block."""
        for statement in statements:
            scope.origin = self.origin(statement) or scope.origin
            match statement:
                case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value, simple=1):
                    self.refuse_known(target, scope, statement)
                    scope.values[target] = self.assigned(target, value, statement.annotation, scope)
                case ast.Expr(ast.Call(ast.Name("update"), [variable, value], [])):
                    scope.updates.append(Update(self.updated(variable), self.operand(value, scope)))
                case ast.Return() if is_last and statement is statements[-1]:
                    scope.outputs = self.outputs(statement, scope)
                case ast.Assign(targets=[ast.Name(id=target)]):
                    self.fail(f"{brief(target)} needs its type: {target[:40]}: f32[n] = …", statement)
                case _:
                    self.fail(_STATEMENT, statement)

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
            self.fail(f"a variable is expected, and {brief(spelled(node))} is none", node)
        return self.variables[node.id]

    def outputs(self, node: ast.Return, scope: _Scope) -> list[Node]:
        match node.value:
            case None:
                self.fail("return what? return () if nothing", node)
            case ast.Tuple(elts=parts):
                return [self.operand(part, scope) for part in parts]
        return [self.operand(node.value, scope)]

    def refuse_known(self, name: str, scope: _Scope, node: ast.AST | None) -> None:
        if name in scope.values or name in scope.graphs or name in self.variables:
            self.fail(f"{brief(name)} is defined already", node)

    def origin(self, node: ast.stmt) -> Origin | None:
        """The user's line in the comment behind a statement."""
        line = self.lines[(node.end_lineno or node.lineno) - 1]
        if "#" not in line:
            return None
        rest = line.encode(errors="replace")[node.end_col_offset or 0 :].decode(errors="replace").strip()
        file, _, number = rest[1:].strip().rpartition(":")
        if rest[:1] != "#" or not file or not re.fullmatch(r"[0-9]{1,9}", number):
            return None
        return Origin(file, int(number), is_told=True)

    # Statements

    def assigned(self, name: str, value: ast.expr, annotation: ast.expr, scope: _Scope) -> Node:
        """The node of ``name: annotation = value``, whose type must be what the annotation says."""
        match value:
            case ast.Call(ast.Name(op), args, keywords) if not is_constant(value):
                with inherit(scope.origin):
                    node = self.applied(op, args, keywords, value, scope)
            case _:
                node = self.operand(value, scope)
        if node.op.binds_sizes:
            self.bind_sizes(annotation, node, scope)
        said = self.type(annotation, scope)
        if said != node.type:
            given = f"{node.op.name} gives {short_type(node.type)}"
            self.fail(f"{brief(name)} is {short_type(said)} here, but {given}", annotation)
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
        attrs = self.attributes(op, keywords, node, scope.reader)
        try:
            return make(op, inputs, op.attrs(**attrs) if op.attrs is not None else None)
        except SymgraphError as error:
            self.fail(first_line(error), node)
        except Exception as error:
            # Type rules rely on what the op's public function lets through; text may say anything.
            self.fail(f"{call_text(op, inputs)} refuses its inputs or attributes: {error!r:.200}", node)

    def operand(self, node: ast.expr, scope: _Scope) -> Node:
        """A name, one result of several, or a constant."""
        match node:
            case ast.Name(name):
                known = scope.values[name] if name in scope.values else self.variables.get(name)
                if known is None:
                    self.unknown("value", name, [*scope.values, *self.variables], node)
                return known
            case ast.Subscript(ast.Name() as results, ast.Constant(int(index))) if (
                not isinstance(index, bool) and index <= LARGEST_INDEX
            ):
                try:
                    return item(self.operand(results, scope), index)
                except SymgraphError as error:
                    self.fail(first_line(error), node)
            case ast.Call() if is_constant(node):
                return self.constant(node)
        self.fail("an input is a name, v0[1] or a constant; every op has a statement of its own", node)

    def constant(self, node: ast.Call) -> Node:
        text = self.source(node)
        found = self.spelled.get(text)
        if found is None:
            try:
                found = read_constant(node, self.large)
            except SymgraphError as error:
                self.fail(first_line(error), node)
            if text:
                self.spelled[text] = found
        return found

    def large(self, digest: str) -> Node | None:
        """The constant of a digest, which is looked at once."""
        if digest not in self.constants:
            array = self.array(digest)
            if array is None:
                return None
            is_fixed = array.flags.c_contiguous and array.dtype.isnative and not array.flags.writeable
            self.constants[digest] = CONSTANT(value=array) if is_fixed else constant(array)
        return self.constants[digest]

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
        text = self.source(annotation)
        found = scope.types.get(text)
        if found is None:
            found = self.new_type(annotation, scope)
            if text:
                scope.types[text] = found
        return found

    def source(self, node: ast.expr) -> str:
        """The text of an expression; empty where it is not at hand."""
        line = self.lines[node.lineno - 1]
        if node.lineno != node.end_lineno or not line.isascii():
            return ""
        return line[node.col_offset : node.end_col_offset]

    def new_type(self, annotation: ast.expr, scope: _Scope) -> Type:
        for name in size_names(annotation):
            if name not in scope.sizes:
                self.unknown("size", name, scope.sizes, annotation)
        try:
            self.budget.spend(annotation)
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
