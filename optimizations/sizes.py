"""Sizes as values: arithmetic on them is done on the symbols, and comparisons that are known are decided."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.graph.constants import uniform
from symgraph.graph.dims import Dim, dim_floordiv, dim_max, dim_min, dim_mod, same
from symgraph.graph.node import Node
from symgraph.graph.op import SIZE, constant, placeholder, size_value
from symgraph.ops.arithmetic import add, floor_divide, maximum, minimum, multiply, remainder, subtract
from symgraph.ops.comparison import equal, not_equal
from symgraph.ops.declare import Function
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import Rule, rule, rules

_rows, _columns = placeholder("float64", ("n", "m"), name="x").shape


def _size(node: Node) -> Dim | None:
    """The size that a scalar is, if it is one or an integer."""
    if node.op is SIZE:
        size: Dim = node.attrs.size  # type: ignore[union-attr]
        return size
    number = uniform(node) if node.ndim == 0 and node.row.name == "int64" else None
    return None if number is None else int(number)


def _has_size(node: Node) -> bool:
    return any(x.op is SIZE for x in node.inputs)


def arithmetic(f: Function[..., Node], meaning: Callable[[Dim, Dim], Dim]) -> Rule:
    """A size for an op of sizes."""

    def size(a: Dim, b: Dim) -> Node | None:
        if f in (floor_divide, remainder) and not (isinstance(b, int) and b > 0):
            return None
        return size_value(meaning(a, b))

    return _of_sizes(f, 3, size)


def comparison(f: Function[..., Node], wanted: bool) -> Rule:
    """A comparison that is known for every value of the symbols."""

    def truth(a: Dim, b: Dim) -> Node | None:
        known = same(a, b)
        return None if known is None else constant(known is wanted)

    return _of_sizes(f, _rows, truth)


def _of_sizes(f: Function[..., Node], other: Dim, meaning: Callable[[Dim, Dim], Node | None]) -> Rule:
    """What an op of two sizes is, where the meaning does not decline; ``other`` is the second size of the example."""

    def made(found: Match) -> Node | None:
        a, b = map(_size, found.root.inputs)
        return None if a is None or b is None else meaning(a, b)

    return rule(
        f"{f.name} of sizes",
        f.op,
        made,
        ops=_has_size,
        dtypes=("int64",),
        example=lambda: f(size_value(_rows), other),
    )


SIZES = rules(
    "SIZES",
    arithmetic(add, lambda a, b: a + b),
    arithmetic(subtract, lambda a, b: a - b),
    arithmetic(multiply, lambda a, b: a * b),
    arithmetic(floor_divide, dim_floordiv),
    arithmetic(remainder, dim_mod),
    arithmetic(maximum, dim_max),
    arithmetic(minimum, dim_min),
    comparison(equal, True),
    comparison(not_equal, False),
)
