"""Sums, products and linear recurrences along an axis as one kernel each: other axes outside, the axis inside, and what
goes from one place to the next in registers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    Loop,
    LoopKernel,
    Number,
    Operand,
    Param,
    Statement,
    Store,
    Sweep,
    Value,
)
from symgraph.graph.dims import symbol, symbols
from symgraph.graph.node import Node
from symgraph.graph.op import Op
from symgraph.graph.types import BOOL, DType
from symgraph.ops.arithmetic import CastAttrs, add, astype, multiply, where
from symgraph.ops.scan import cumulative_prod, cumulative_sum, linear_recurrence

RECURRENCES = frozenset({cumulative_sum.op, cumulative_prod.op, linear_recurrence.op})


def recurrence(node: Node, wide: DType) -> LoopKernel:
    """The kernel of a step that is among `RECURRENCES`, computed in a dtype that may be a wider one.

    It goes forward: where the step goes in reverse, all its arrays lie backwards along the axis.

    >>> from symgraph import cumulative_sum, placeholder
    >>> x = placeholder("float32", ("n", "k"), name="x")
    >>> print(recurrence(cumulative_sum(x, axis=1), x.row))
    def cumulative_sum(x0: f32[n, k], *, out: f32[n, k]):
        for i0 in rows(n):
            for i1 in sweep(k):
                v0: f32 = carry(f32(-0.0), v1)
                v2: f32 = x0[i0, i1]
                v1: f32 = add(v0, v2)
                out[i0, i1] = v1
    <BLANKLINE>
    """
    return _Recurrence(node, wide).run()


class _Recurrence:
    def __init__(self, node: Node, wide: DType) -> None:
        attrs: Any = node.attrs
        self._node, self._wide, self._attrs = node, wide, attrs
        taken = {str(name) for size in node.shape for name in symbols(size)}
        names = (symbol(name) for n in itertools.count() if (name := f"i{n}") not in taken)
        variables = [Loop(name, size) for name, size in zip(names, node.shape, strict=False)]
        self._turn = variables.pop(self._attrs.axis)
        self._rows = tuple(variables) or (Loop(next(names), 1),)
        index = [loop.variable for loop in variables]
        index.insert(self._attrs.axis, self._turn.variable)
        self._index = tuple(index)
        self._reads = tuple(Param(f"x{n}", x.tensor) for n, x in enumerate(node.inputs))
        self._out = Param("out", node.tensor)
        self._count = 0
        self._heads: list[Statement] = []
        self._lines: list[Statement] = []

    def run(self) -> LoopKernel:
        if self._node.op is linear_recurrence.op:
            self._linear()
        else:
            self._cumulative()
        body = Sweep((self._turn,), (*self._heads, *self._lines))
        return LoopKernel(self._node.op.name, self._reads, (self._out,), (), self._rows, (body,))

    def _cumulative(self) -> None:
        """The first is an element itself, with the sign of its zero; what leaves it out begins with the plain one."""
        is_sum, wide = self._node.op is cumulative_sum.op, self._wide
        start = (-0.0 if wide.is_inexact else 0) if is_sum else 1
        identity = _number(wide, 0 if is_sum else 1)
        total, following = self._value(wide), self._value(wide)
        self._heads.append(Carry(total, Number(wide, _number(wide, start)), following))
        self._compute(following, (add if is_sum else multiply).op, total, self._load(0))
        if not self._attrs.exclusive:
            self._store(following)
            return
        before = self._value(wide)
        self._heads.append(Carry(before, Number(wide, identity), following))
        self._store(before)

    def _linear(self) -> None:
        """The first term is multiplied by nothing, not even where that would be infinite times 0."""
        wide = self._wide
        zero = Number(wide, _number(wide, 0))
        before, after, begun = self._value(wide), self._value(wide), self._value(BOOL)
        self._heads.append(Carry(before, zero, after))
        self._heads.append(Carry(begun, Number(BOOL, np.False_), Number(BOOL, np.True_)))
        factor: Operand = self._load(0)
        if self._attrs.lagged:
            last = self._value(wide)
            self._heads.append(Carry(last, zero, factor))
            factor = last
        term = self._load(1)
        product = self._compute(self._value(wide), multiply.op, factor, before)
        total = self._compute(self._value(wide), add.op, term, product)
        self._compute(after, where.op, begun, total, term)
        self._store(after)

    def _value(self, row: DType) -> Value:
        self._count += 1
        return Value(f"v{self._count - 1}", row)

    def _load(self, n: int) -> Value:
        param = self._reads[n]
        found = self._value(param.type.dtype)
        self._lines.append(Load(found, param, self._index))
        return self._cast(found, self._wide)

    def _store(self, value: Value) -> None:
        self._lines.append(Store(self._out, self._index, self._cast(value, self._out.type.dtype)))

    def _cast(self, value: Value, row: DType) -> Value:
        if value.row is row:
            return value
        made = Compute(self._value(row), astype.op, (value,), CastAttrs(row))
        self._lines.append(made)
        return made.target

    def _compute(self, target: Value, op: Op, *args: Operand) -> Value:
        self._lines.append(Compute(target, op, args))
        return target


def _number(row: DType, value: float) -> Any:
    return row.numpy.type(complex(value, value) if row.is_complex and str(value) == "-0.0" else value)
