"""Text back into nodes: what `show` prints, read through `ast` and never executed.

The text is taken apart into functions, blocks and statements; the values in a statement are read by `expressions.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from symgraph.errors import ParseError, SymgraphError
from symgraph.graph.attributes import Reader, size_names
from symgraph.graph.collector import paused
from symgraph.graph.dims import Size, fresh, symbol
from symgraph.graph.expressions import ExpressionReader, Scope
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.literals import Array
from symgraph.graph.node import Node, make
from symgraph.graph.op import PLACEHOLDER, VARIABLE, PlaceholderAttrs, VariableAttrs
from symgraph.graph.origin import Origin, here, inherit
from symgraph.graph.quoting import brief, first_line
from symgraph.graph.statements import Statement, spelled, statements
from symgraph.graph.types import TensorType

DEEPEST_BLOCKS = 99
MOST_COMPARED = 2000
"""Names that a wrong one is compared with, to find what was meant."""
LONGEST_COMPARED = 40
_PROGRAM = "a program is one function, def main(…):"
_STATEMENT = "a statement is name: type = op(…), update(…), def or the last return"
_NAMED = 'above a function stands nothing but @named("…")'


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


@dataclass(slots=True, eq=False)
class _Head:
    """A ``def`` that was read as far as its colon, and what stands behind that in the same line."""

    said: str
    """How the text calls it."""
    name: str
    """How the graph is called."""
    inputs: list[Node]
    scope: Scope
    known_sizes: int
    """How many sizes have names outside it."""
    place: Statement
    has_block: bool


class _Reader(ExpressionReader):
    def __init__(self, text: str, variables: Mapping[str, Node], arrays: Mapping[str, Array]) -> None:
        super().__init__(text, arrays)
        self.rest = statements(self.current.text)
        self.below: Statement | None = None
        """The next statement."""
        self.blocks = [""]
        """What the blocks are indented by that the reader is in."""
        self.sizes: dict[str, Size] = {}
        """Of the functions that the reader is in, outermost first."""
        self.given = variables

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

    def statement(self, indent: str, scope: Scope | None) -> _Head | None:
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

    def block(self, scope: Scope) -> None:
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

    def head(self, node: ast.FunctionDef, named: str | None, outer: Scope | None) -> _Head:
        if node.returns is not None or getattr(node, "type_params", None):
            self.fail("a function is def name(parameters): without more", node)
        if outer is not None:
            self.refuse_known(node.name, outer, node)
        graphs: dict[str, Graph] = {}
        scope = Scope({}, graphs, self.sizes, Reader(self.sizes, graphs, self.budget), outer is None)
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

    def said(self, statements: list[ast.stmt], scope: Scope, is_last: bool) -> None:
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

    def parameters(self, node: ast.FunctionDef, scope: Scope) -> list[Node]:
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

    def parameter_type(self, arg: ast.arg, scope: Scope) -> TensorType:
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

    def outputs(self, node: ast.Return, scope: Scope) -> list[Node]:
        match node.value:
            case None:
                self.fail("return what? return () if nothing", node)
            case ast.Tuple(elts=parts):
                return [self.operand(part, scope) for part in parts]
        return [self.operand(node.value, scope)]

    def refuse_known(self, name: str, scope: Scope, node: ast.AST | None) -> None:
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
