"""Type rules as text: ``"f64[n, k], f64[k] -> f64[n]"``.

Before the arrow stands a type for each argument, behind it one for each result. A name among sizes is one size wherever
it stands; one that only results have is a size that the data decide. ``...`` is any number of axes, the same wherever
it stands. A dtype that is no dtype's name, such as ``T``, is any dtype, the same wherever it stands. A size may be an
expression of names: ``f64[n], f64[m] -> f64[n + m - 1]``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError, SymgraphError
from symgraph.graph.attributes import size_names
from symgraph.graph.dims import Dim, fresh, parse_dim, same
from symgraph.graph.types import BY_NAME, DType, TensorType, TupleType, Type, dtype

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One array: a dtype or a name for any, and sizes, of which None is the ellipsis."""

    text: str
    dtype: DType | str
    sizes: tuple[ast.expr | None, ...]

    def names(self) -> frozenset[str]:
        """The names in its sizes."""
        return frozenset(name for size in self.sizes if size is not None for name in size_names(size))

    def alone(self) -> frozenset[str]:
        """Those that are sizes themselves."""
        return frozenset(size.id for size in self.sizes if isinstance(size, ast.Name))


@dataclass(slots=True)
class Binding:
    """What the names of a rule stand for."""

    sizes: dict[str, Dim]
    dtypes: dict[str, DType]
    rest: tuple[Dim, ...] | None = None


Numbers: TypeAlias = Mapping[str, Any]
"""Attributes of the op by name; those that are ints may stand in sizes."""


class TypeRule:
    """What a text says of arguments and results."""

    def __init__(self, text: str, *, numbers: Sequence[str] = ()) -> None:
        """Raises GraphError for a text that is no rule; ``numbers`` are names that attributes give."""
        self.text = text
        left, arrow, right = text.partition("->")
        if not arrow:
            raise self._wrong("it has no arrow: f64[n], f64 -> f64[n]")
        self.takes, _ = self._patterns(left)
        self.gives, is_tuple = self._patterns(right)
        self.is_single = len(self.gives) == 1 and not is_tuple
        known = frozenset[str]().union(*(each.alone() for each in self.takes)) | set(numbers)
        self.names = frozenset[str]().union(*(each.names() for each in self.takes))
        """The sizes that arguments have."""
        if odd := self.names - known:
            raise self._wrong(f"no argument has {min(odd)} for a size of its own")
        self.new = frozenset[str]().union(*(each.names() for each in self.gives)) - known
        """The sizes that the data decide."""
        if odd := self.new - frozenset[str]().union(*(each.alone() for each in self.gives)):
            raise self._wrong(f"nothing has {min(odd)} for a size of its own")
        given = {each.dtype for each in self.takes}
        if strange := sorted(
            x.dtype for x in self.gives if isinstance(x.dtype, str) and x.dtype not in given
        ):
            raise self._wrong(f"{strange[0]} is no dtype, and no argument has it")
        if any(None in each.sizes for each in self.gives) and not any(None in x.sizes for x in self.takes):
            raise self._wrong("a result has ... and no argument has it")

    def types(self, given: Sequence[TensorType], numbers: Numbers) -> Type:
        """The type of the result; raises DTypeError and ShapeError for arguments that do not fit."""
        bound = self.bind(given, numbers)
        for name in sorted(self.new):
            bound.sizes[name] = fresh(name)
        found = tuple(_type_of(each, bound) for each in self.gives)
        return found[0] if self.is_single else TupleType(found)

    def bind(self, given: Sequence[TensorType], numbers: Numbers) -> Binding:
        """What the names stand for, given the types of arguments."""
        if len(given) != len(self.takes):
            raise ShapeError(f"its rule {self.text!r} has {len(self.takes)} arguments")
        sizes = {name: value for name, value in numbers.items() if type(value) is int}
        bound = Binding(dict(sizes), {})
        for place, (pattern, type_) in enumerate(zip(self.takes, given, strict=True)):
            try:
                _bind_names(pattern, type_, bound)
            except SymgraphError as error:
                raise type(error)(f"argument {place} is {type_}, not {pattern.text}{error}") from None
        for place, (pattern, type_) in enumerate(zip(self.takes, given, strict=True)):
            for expected, size in zip(_sizes_of(pattern, bound), type_.shape, strict=True):
                if same(expected, size) is False:
                    text = f"argument {place} is {type_}, not {pattern.text} where {_said(bound)}"
                    raise ShapeError(text)
        return bound

    def refuse(self, arrays: Sequence[Array], numbers: Numbers, results: Sequence[Array]) -> str | None:
        """Why results do not fit the arguments that they were made of, in a few words; None where they do."""
        bound = self.bind([TensorType(dtype(x.dtype), x.shape) for x in arrays], numbers)
        if len(results) != len(self.gives):
            return f"it gave {len(results)} results, not {len(self.gives)}"
        for place, (pattern, x) in enumerate(zip(self.gives, results, strict=True)):
            row = bound.dtypes[pattern.dtype] if isinstance(pattern.dtype, str) else pattern.dtype
            rest = bound.rest or ()
            fits = x.dtype == row.numpy and _has_rank(pattern, x.ndim, len(rest))
            if fits:
                for expression, size in zip(_spread(pattern, rest), x.shape, strict=True):
                    if isinstance(expression, ast.Name) and expression.id in self.new:
                        fits = bound.sizes.setdefault(expression.id, size) == size and fits
            if not fits:
                return self._misfit(place, pattern, x, bound)
        for place, (pattern, x) in enumerate(zip(self.gives, results, strict=True)):
            if _sizes_of(pattern, bound) != x.shape:
                return self._misfit(place, pattern, x, bound)
        return None

    def _misfit(self, place: int, pattern: Pattern, x: Array, bound: Binding) -> str:
        what = "it gave" if self.is_single else f"result {place} is"
        said = f" where {_said(bound)}" if bound.sizes else ""
        return f"{what} {x.dtype}{list(x.shape)}, and its rule says {pattern.text}{said}"

    def _patterns(self, text: str) -> tuple[tuple[Pattern, ...], bool]:
        try:
            tree = ast.parse(f"({text.strip()})", mode="eval").body if text.strip() else ast.Tuple(elts=[])
        except (SyntaxError, ValueError):
            raise self._wrong(f"{text.strip()!r} is no list of types") from None
        is_tuple = isinstance(tree, ast.Tuple)
        parts = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        return tuple(self._pattern(part) for part in parts), is_tuple

    def _pattern(self, node: ast.expr) -> Pattern:
        sizes: tuple[ast.expr | None, ...] = ()
        head = node
        if isinstance(node, ast.Subscript):
            given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            dots = [isinstance(x, ast.Constant) and x.value is ... for x in given]
            sizes = tuple(None if dot else x for x, dot in zip(given, dots, strict=True))
            head = node.value
        text = ast.unparse(node)
        if not isinstance(head, ast.Name) or sizes.count(None) > 1:
            raise self._wrong(f"{text!r} is no type: write f64[n, 64], or f64 for a scalar")
        names = {name: 1 for size in sizes if size is not None for name in size_names(size)}
        for size in sizes:
            if size is not None:
                try:
                    parse_dim(size, names)  # type: ignore[arg-type]
                except ShapeError as error:
                    raise self._wrong(f"in {text!r}: {error}") from None
        return Pattern(text, BY_NAME.get(head.id, head.id), sizes)

    def _wrong(self, why: str) -> GraphError:
        return GraphError(f"the rule {self.text!r} is no type rule: {why}")


def _bind_names(pattern: Pattern, type_: TensorType, bound: Binding) -> None:
    """Note what the names that stand alone are; the errors say what comes behind the two types."""
    if isinstance(pattern.dtype, DType):
        if type_.dtype is not pattern.dtype:
            raise DTypeError("")
    elif bound.dtypes.setdefault(pattern.dtype, type_.dtype) is not type_.dtype:
        raise DTypeError(f" where {pattern.dtype} is {bound.dtypes[pattern.dtype].short}")
    least = len(pattern.sizes) - (None in pattern.sizes)
    if type_.rank < least or (type_.rank > least and None not in pattern.sizes):
        raise ShapeError("")
    if None in pattern.sizes:
        place, count = pattern.sizes.index(None), type_.rank - least
        rest = type_.shape[place : place + count]
        if bound.rest is None:
            bound.rest = rest
        if len(rest) != len(bound.rest) or any(
            same(a, b) is False for a, b in zip(rest, bound.rest, strict=True)
        ):
            raise ShapeError(f" where ... is {', '.join(map(str, bound.rest)) or 'nothing'}")
    for size, actual in zip(_spread(pattern, bound.rest or ()), type_.shape, strict=True):
        if isinstance(size, ast.Name):
            bound.sizes.setdefault(size.id, actual)


def _spread(pattern: Pattern, rest: Sequence[Dim]) -> list[ast.expr | Dim]:
    """The sizes of a pattern, with what the ellipsis stands for."""
    found: list[ast.expr | Dim] = []
    for size in pattern.sizes:
        found += rest if size is None else [size]
    return found


def _has_rank(pattern: Pattern, rank: int, rest: int) -> bool:
    return rank == len(pattern.sizes) + (rest - 1 if None in pattern.sizes else 0)


def _sizes_of(pattern: Pattern, bound: Binding) -> tuple[Dim, ...]:
    """The sizes that a pattern says, once its names are known."""
    return tuple(
        parse_dim(size, bound.sizes) if isinstance(size, ast.expr) else size  # type: ignore[arg-type]
        for size in _spread(pattern, bound.rest or ())
    )


def _type_of(pattern: Pattern, bound: Binding) -> TensorType:
    row = bound.dtypes[pattern.dtype] if isinstance(pattern.dtype, str) else pattern.dtype
    return TensorType(row, _sizes_of(pattern, bound))


def _said(bound: Binding) -> str:
    """``n is 3 and k is 4``."""
    return " and ".join(f"{name} is {size}" for name, size in sorted(bound.sizes.items()))
