"""The expressions of a text: ops applied to operands, constants, and the types beside them, read from syntax trees."""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph.attributes import Reader, fields_of, size_names
from symgraph.graph.dims import Size, is_symbol
from symgraph.graph.graph import Graph, Update
from symgraph.graph.literals import LARGEST_INLINE, Array, is_constant, read_constant
from symgraph.graph.node import Node, call_text, live, make
from symgraph.graph.op import CONSTANT, OPS, PLACEHOLDER, VARIABLE, ConstantAttrs, Op, constant, item
from symgraph.graph.origin import Origin, inherit
from symgraph.graph.quoting import TextReader, brief, first_line
from symgraph.graph.size_steps import Budget
from symgraph.graph.types import TensorType, TupleType, Type, parse_type, short_type

LARGEST_INDEX = 2**31
"""Of one result of several."""
LEAVES = {PLACEHOLDER: "a parameter", VARIABLE: "a parameter after the star", CONSTANT: "f32(0.5)"}


@dataclass(slots=True, eq=False)
class Scope:
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


class ExpressionReader(TextReader):
    """Reads what a statement says about values, in the scope of its function."""

    def __init__(self, text: str, arrays: Mapping[str, Array]) -> None:
        super().__init__(text)
        self.budget = Budget.of(text)
        self.arrays = arrays
        self.variables: dict[str, Node] = {}
        """Of the outermost function, whose names hold in all of them."""
        self.spelled: dict[str, Node] = {}
        """Constants read before, by their text: most programs repeat a few."""
        self.constants: dict[str, Node] = {}
        """Large ones by their digests."""
        self.alive: dict[str, Array] | None = None

    def assigned(self, name: str, value: ast.expr, annotation: ast.expr, scope: Scope) -> Node:
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
        self, name: str, args: list[ast.expr], keywords: list[ast.keyword], node: ast.Call, scope: Scope
    ) -> Node:
        """The node of an op's call, whose operands and attributes must be what the op takes."""
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

    def operand(self, node: ast.expr, scope: Scope) -> Node:
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

    def type(self, annotation: ast.expr, scope: Scope) -> Type:
        """What an annotation says, where these sizes are known."""
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

    def new_type(self, annotation: ast.expr, scope: Scope) -> Type:
        for name in size_names(annotation):
            if name not in scope.sizes:
                self.unknown("size", name, scope.sizes, annotation)
        try:
            self.budget.spend(annotation)
            return parse_type(annotation, scope.sizes)
        except SymgraphError as error:
            self.fail(first_line(error), annotation)

    def bind_sizes(self, annotation: ast.expr, node: Node, scope: Scope) -> None:
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
