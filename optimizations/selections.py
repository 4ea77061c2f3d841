"""Selections, comparisons, logic and casts."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.ops.arithmetic import astype, maximum, minimum, where
from symgraph.ops.comparison import (
    bitwise_invert,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)  # fmt: skip
from symgraph.ops.declare import ALL, FLOATS, REALS
from symgraph.optimizations.pattern import Match, wild
from symgraph.optimizations.rules import rule, rules

x, y, z = wild("x y z")
i, j = wild("i j", "int64")
p, q = wild("p q", "bool")


def _true(found: Match) -> Node:
    return constant(True)


def _false(found: Match) -> Node:
    return constant(False)


def _cast_of_cast(found: Match) -> Node | None:
    """Where the first cast lost nothing."""
    inner = found.root.inputs[0]
    if inner.op is not astype.op:
        return None
    source = inner.inputs[0]
    holds = "float32" if inner.row.name == "bfloat16" else inner.row.name
    if "bfloat16" in (source.row.name, inner.row.name) or not np.can_cast(source.dtype, holds, "safe"):
        return None
    if source.row is found.root.row:
        return source
    return astype.op(source, dtype=found.root.row)


def _one_number(choose: Callable[[Any, Any], Any]) -> Callable[[Match], Node | None]:
    """The bound that matters of two that are numbers."""

    def made(found: Match) -> Node | None:
        a, b = uniform(found[y]), uniform(found[z])
        if a is None or b is None or a != a or b != b or a == b:
            return None
        return found.root.op(found[x], constant(choose(a, b), found[x].row))

    return made


WHERE = (
    rule("where both are the same", where(p, x, x), x, dtypes=ALL),
    rule("where not", where(logical_not(p), x, y), where(p, y, x), dtypes=ALL),
    rule("where true", where(True, x, y), x, dtypes=ALL),
    rule("where false", where(False, x, y), y, dtypes=ALL),
    rule("where the same, twice", where(p, where(p, x, y), z), where(p, x, z), dtypes=ALL),
    rule("where the same, twice, else", where(p, x, where(p, y, z)), where(p, x, z), dtypes=ALL),
    rule("where both hold", where(p, where(q, x, y), y), where(logical_and(p, q), x, y), dtypes=ALL),
    rule("where one holds", where(p, x, where(q, x, y)), where(logical_or(p, q), x, y), dtypes=ALL),
    rule("where true, else false", where(p, True, False), p),
    rule("where false, else true", where(p, False, True), logical_not(p)),
)

EXTREMES = (
    rule("maximum of one", maximum(x, x), x, dtypes=REALS),
    rule("minimum of one", minimum(x, x), x, dtypes=REALS),
    rule("maximum of two numbers", maximum(maximum(x, y), z), _one_number(builtins.max), dtypes=REALS),
    rule("minimum of two numbers", minimum(minimum(x, y), z), _one_number(builtins.min), dtypes=REALS),
    rule("maximum, twice", maximum(maximum(x, y), y), maximum(x, y), dtypes=REALS),
    rule("minimum, twice", minimum(minimum(x, y), y), minimum(x, y), dtypes=REALS),
    rule("maximum of a minimum with itself, of integers", maximum(minimum(i, j), j), j),
    rule("minimum of a maximum with itself, of integers", minimum(maximum(i, j), j), j),
)

COMPARISONS = (
    rule("equal to itself, of integers", equal(i, i), _true),
    rule("at most itself, of integers", less_equal(i, i), _true),
    rule("at least itself, of integers", greater_equal(i, i), _true),
    rule("not equal to itself, of integers", not_equal(i, i), _false),
    rule("less than itself", less(x, x), _false, dtypes=REALS),
    rule("greater than itself", greater(x, x), _false, dtypes=REALS),
    rule("not equal", logical_not(equal(x, y)), not_equal(x, y), dtypes=ALL),
    rule("not different", logical_not(not_equal(x, y)), equal(x, y), dtypes=ALL),
    rule("not less, of integers", logical_not(less(i, j)), greater_equal(i, j)),
    rule("not at most, of integers", logical_not(less_equal(i, j)), greater(i, j)),
    rule("not greater, of integers", logical_not(greater(i, j)), less_equal(i, j)),
    rule("not at least, of integers", logical_not(greater_equal(i, j)), less(i, j)),
    rule("nan, of integers", isnan(i), _false),
    rule("infinite, of integers", isinf(i), _false),
    rule("finite, of integers", isfinite(i), _true),
    rule("finite minus", isfinite(-x), isfinite(x), dtypes=FLOATS),
    rule("nan minus", isnan(-x), isnan(x), dtypes=FLOATS),
)

LOGIC = (
    rule("not not", logical_not(logical_not(p)), p),
    rule("invert is not", bitwise_invert(p), logical_not(p)),
    rule("and with itself, logically", logical_and(p, p), p),
    rule("or with itself, logically", logical_or(p, p), p),
    rule("and true", logical_and(p, True), p),
    rule("and false", logical_and(p, False), _false),
    rule("or true", logical_or(p, True), _true),
    rule("or false", logical_or(p, False), p),
    rule("xor with itself, logically", logical_xor(p, p), _false),
    rule("xor false", logical_xor(p, False), p),
    rule("xor true", logical_xor(p, True), logical_not(p)),
    rule("not and not", logical_and(logical_not(p), logical_not(q)), logical_not(logical_or(p, q))),
    rule("not or not", logical_or(logical_not(p), logical_not(q)), logical_not(logical_and(p, q))),
    rule("and absorbs or", logical_and(p, logical_or(p, q)), p),
    rule("or absorbs and", logical_or(p, logical_and(p, q)), p),
)

CASTS = (
    rule("a cast of a cast", astype.op, _cast_of_cast, dtypes=("int8", "int16", "float32", "float16"),
         example=lambda: astype(astype(wild("v", "float32"), "float64"), "int32")),
)  # fmt: skip

SELECTIONS = rules("SELECTIONS", WHERE, EXTREMES, COMPARISONS, LOGIC, CASTS)
