"""Attributes as text, and back: values are checked against the annotations of the op's dataclass.

An annotation is built of None, bool, int, float, str, DType, sizes (``Dim``), types, graphs, other ``Attrs``,
``Literal``, tuples and unions of them. Attributes inside attributes are spelled ``Slice(1, None, 2)``.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import ParseError, SymgraphError
from symgraph.graph.dims import Size, parse_dim
from symgraph.graph.graph import Graph
from symgraph.graph.literals import read_float, read_int
from symgraph.graph.op import Attrs
from symgraph.graph.size_steps import Budget
from symgraph.graph.statements import spelled
from symgraph.graph.types import BY_NAME, DTYPES, DType, TensorType, TupleType, parse_type

_ROWS = {row.short: row for row in DTYPES}
_ANYTHING = (type(None), bool, int, float, str, tuple[Any, ...], Size)
_WORDS = {type(None): "None", bool: "True or False", str: "a string", DType: "a dtype", Graph: "a graph"}
MOST_LEVELS = 50


class Field(NamedTuple):
    """An attribute: what its annotation takes, and its default's text if it has one."""

    name: str
    annotation: Any
    required: bool
    default: str | None


def fields_of(attrs: type[Attrs]) -> dict[str, Field]:
    """The attributes of an op, in order."""
    if attrs not in _known:
        _known[attrs] = {row.name: row for row in _fields(attrs)}
    return _known[attrs]


def _fields(attrs: type[Any]) -> Iterator[Field]:
    hints = typing.get_type_hints(attrs)
    for row in dataclasses.fields(attrs):
        default = row.default if row.default_factory is dataclasses.MISSING else row.default_factory()
        required = default is dataclasses.MISSING
        yield Field(row.name, hints[row.name], required, None if required else spell(default, {}))


_known: dict[type[Attrs], dict[str, Field]] = {}


def quote(text: str) -> str:
    """Its ``repr``, in double quotes where there are none inside."""
    plain = repr(text)
    return plain if '"' in plain else f'"{plain[1:-1]}"'


def inner_graphs(value: object) -> Iterator[Graph]:
    """The graphs in an attribute, or in all of them."""
    match value:
        case Graph():
            yield value
        case tuple():
            for part in value:
                yield from inner_graphs(part)
        case Attrs():
            for part in value.fields().values():
                yield from inner_graphs(part)


def spell_all(attrs: Attrs, graphs: Mapping[Graph, str]) -> list[str]:
    """``axes=(0, 1)`` for each that is not at its default."""
    known = fields_of(type(attrs))
    texts = {name: spell(value, graphs) for name, value in attrs.fields().items()}
    return [f"{name}={text}" for name, text in texts.items() if text != known[name].default]


def spell(value: object, graphs: Mapping[Graph, str]) -> str:
    """The text of a value, graphs by name; what has no spelling is quoted, and will not be read."""
    match value:
        case np.generic():
            return spell(value.item(), graphs)
        case str():
            return quote(value)
        case None | bool() | int() | float():
            return repr(value)
        case DType():
            return value.short
        case Size() | TensorType() | TupleType():
            return str(value)
        case Graph():
            return graphs[value]
        case tuple():
            parts = [spell(part, graphs) for part in value]
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        case Attrs():
            parts = [spell(part, graphs) for part in value.fields().values()]
            defaults = [row.default for row in fields_of(type(value)).values()]
            while parts and parts[-1] == defaults[len(parts) - 1]:
                parts.pop()
            return f"{type(value).__name__}({', '.join(parts)})"
    return quote(repr(value))


class Reader(NamedTuple):
    """Reads values where these names of sizes and graphs are known."""

    sizes: Mapping[str, Size]
    graphs: Mapping[str, Graph]
    budget: Budget | None = None
    """What the sizes may cost."""

    def read(self, node: ast.expr, annotation: Any, level: int = 0) -> Any:
        """The value that a syntax tree spells, if the annotation takes it.

        Raises ParseError, without a place, or ShapeError.
        """
        if level > MOST_LEVELS:
            raise ParseError("an attribute is too deeply nested")
        choices = _choices(annotation)
        errors: list[SymgraphError] = []
        for choice in choices:
            try:
                value = self._read(node, choice, level)
            except SymgraphError as error:
                errors.append(error)
                continue
            if choice is not Size or isinstance(value, Size) or int in choices:
                return value
        if len(errors) == 1 or (choices[-1] is Size and isinstance(node, ast.Name | ast.BinOp | ast.Call)):
            raise errors[-1]
        raise _unexpected(node, " or ".join(getattr(choice, "__name__", str(choice)) for choice in choices))

    def _read(self, node: ast.expr, choice: Any, level: int) -> Any:
        if typing.get_origin(choice) is typing.Literal:
            value = node.value if isinstance(node, ast.Constant) else None
            if any(value == known and type(value) is type(known) for known in typing.get_args(choice)):
                return value
            raise _unexpected(node, " or ".join(map(repr, typing.get_args(choice))))
        if typing.get_origin(choice) is tuple or choice is tuple:
            return self._tuple(node, choice, level)
        if isinstance(choice, type) and issubclass(choice, Attrs):
            return self._attrs(node, choice, level)
        if choice in (Size, TensorType, TupleType):
            return self._sized(node, choice)
        if choice is int:
            return read_int(node)
        if choice is float:
            return read_float(node)
        match node:
            case ast.Constant(value) if choice in (type(None), bool, str) and type(value) is choice:
                return value
            case ast.Name(name) if choice is DType and name in _ROWS:
                return _ROWS[name]
            case ast.Name(name) if choice is Graph and name in self.graphs:
                return self.graphs[name]
        raise _unexpected(node, _WORDS.get(choice, choice.__name__))

    def _tuple(self, node: ast.expr, choice: Any, level: int) -> tuple[Any, ...]:
        if not isinstance(node, ast.Tuple):
            raise _unexpected(node, "a tuple")
        parts = typing.get_args(choice) or (Any, ...)
        if parts[1:] == (...,):
            parts = parts[:1] * len(node.elts)
        if len(parts) != len(node.elts):
            raise _unexpected(node, f"a tuple of {len(parts)}")
        return tuple(self.read(part, kind, level + 1) for part, kind in zip(node.elts, parts, strict=True))

    def _attrs(self, node: ast.expr, choice: type[Attrs], level: int) -> Attrs:
        match node:
            case ast.Call(ast.Name(name), args, []) if name == choice.__name__:
                rows = list(fields_of(choice).values())
                if not sum(row.required for row in rows) <= len(args) <= len(rows):
                    raise _unexpected(node, f"{name}({', '.join(row.name for row in rows)})")
                given = zip(args, rows, strict=False)
                return choice(*(self.read(arg, row.annotation, level + 1) for arg, row in given))
        raise _unexpected(node, f"{choice.__name__}(…)")

    def _sized(self, node: ast.expr, choice: Any) -> Any:
        if choice is Size and isinstance(node, ast.Tuple):
            raise _unexpected(node, "a size")
        if self.budget is not None:
            self.budget.spend(node)
        for name in size_names(node):
            if name not in self.sizes:
                raise ParseError(f"there is no size called {name[:40]!r}")
        if choice is Size:
            return parse_dim(node, self.sizes)
        type = parse_type(node, self.sizes)
        if not isinstance(type, choice):
            raise _unexpected(
                node, "a type of one array" if choice is TensorType else "a type of several arrays"
            )
        return type


def size_names(node: ast.expr) -> Iterator[str]:
    """The names of sizes in a size or a type, dtypes and functions left out."""
    waiting: list[ast.AST] = [node]
    while waiting:
        match waiting.pop():
            case ast.Name(name) if name not in BY_NAME:
                yield name
            case ast.Call(args=parts) | ast.Tuple(elts=parts):
                waiting += parts
            case ast.Subscript(slice=part) | ast.UnaryOp(operand=part):
                waiting.append(part)
            case ast.BinOp(left, _, right):
                waiting += (left, right)


@functools.cache
def _choices(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, sizes last, because a size is any expression."""
    if annotation in (Any, object):
        return _ANYTHING
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = dict.fromkeys(part for arg in typing.get_args(annotation) for part in _choices(arg))
        return tuple(sorted(parts, key=lambda part: part is Size))
    return (type(None),) if annotation is None else (annotation,)


def _unexpected(node: ast.expr, expected: str) -> ParseError:
    return ParseError(f"{expected} is expected, not {spelled(node)}")
