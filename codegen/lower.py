"""From a kernel of a plan to loops: every value in the sweep where all that it reads is known."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TypeAlias

from symgraph.codegen.loops import (
    Compute,
    Load,
    Loop,
    LoopKernel,
    Number,
    Operand,
    Param,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
)
from symgraph.graph.collector import paused
from symgraph.graph.constants import uniform
from symgraph.graph.dims import Dim, Size, dim_min, symbol, symbols
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.graph.text import identifier
from symgraph.optimizations.alignment import Axes, Read
from symgraph.optimizations.plan import Kernel

Where: TypeAlias = tuple[int, bool]
"""A place in the body of a kernel: which sweep, or the statements before it."""


_ONCE: Where = (-1, False)


def lower(kernel: Kernel) -> LoopKernel:
    """The loops of a kernel.

    >>> from symgraph import exp, placeholder, sum
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> x = placeholder("float32", ("n", "k"), name="x")
    >>> powers = exp(x)
    >>> (kernel,) = plan(graph([x], [powers / sum(powers, axis=1, keepdims=True)])).kernels
    >>> print(lower(kernel))
    def kernel_0(x: f32[n, k], *, out: f32[n, k]):
        for i in rows(n):
            for j in sweep(k):
                v0: f32 = x[i, j]
                v1: f32 = exp(v0)
                v2: f32 = reduce(sum, v1)
            for j in sweep(k):
                v3: f32 = divide(v1, v2)
                out[i, j] = v3
    <BLANKLINE>
    """
    with paused():
        return _Lowering(kernel).run()


def arrays_of(kernel: Kernel) -> tuple[Node, ...]:
    """The values from outside that are parameters of the loops, in their order; numbers stand in the loops."""
    return tuple([x for x in kernel.needs if x.op is not CONSTANT or uniform(x) is None])


def updated_by(kernel: Kernel) -> frozenset[int]:
    """Which of the arrays that the loops read are variables that become something that the kernel writes."""
    return frozenset([n for n, x in enumerate(arrays_of(kernel)) if x in kernel.updates])


class _Lowering:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._reads = kernel.reads
        needs = arrays_of(kernel)
        taken: dict[str, int] = {}
        self._params = {x: Param(_free(identifier(x.name or "x"), taken), x.tensor) for x in needs}
        self._outputs = {x: Param(_free(identifier(x.name or "out"), taken), x.tensor) for x in kernel.writes}
        arrays = (*self._params.values(), *self._outputs.values())
        self._rows, self._columns = _loops(kernel, [array.type.shape for array in arrays])
        self._variables = {**self._rows, **self._columns}
        self._sweeps: dict[Node, int] = {}
        self._homes: dict[Node, Where] = {}
        self._places: dict[tuple[int, Axes], Where] = {}
        self._numbers: dict[Node, Number | None] = {}
        self._values: dict[Node, Value] = {}
        self._computed: dict[tuple[Any, ...], Value] = {}
        self._loads: dict[tuple[Node, tuple[Dim, ...]], Value] = {}
        self._indices: dict[tuple[Axes, tuple[Dim, ...]], tuple[Dim, ...]] = {}
        self._parts: dict[Where, list[Statement]] = {}
        self._count = 0

    def run(self) -> LoopKernel:
        for node in self._kernel.nodes:
            self._sweeps[node] = self._sweep(node)
            self._homes[node] = self._place(self._sweeps[node], self._lies(node))
        for node in sorted(self._kernel.nodes, key=self._homes.__getitem__):
            self._add(node)
        for node, param in self._outputs.items():
            place = self._place(self._sweeps[node] + (node in self._kernel.over), self._kernel.along[node])
            index = self._index(self._kernel.along[node], node.shape)
            self._parts.setdefault(place, []).append(Store(param, index, self._values[node]))
        columns = tuple(self._columns.values())
        body: list[Statement | Sweep] = []
        once = tuple(self._parts.pop(_ONCE, ()))
        for (_, swept), part in sorted(self._parts.items()):
            body += [Sweep(columns, tuple(part))] if swept else part
        return LoopKernel(
            self._kernel.name,
            tuple(self._params.values()),
            tuple(self._outputs.values()),
            once,
            tuple(self._rows.values()),
            tuple(body),
        )

    def _sweep(self, node: Node) -> int:
        """How many sweeps are done before all that a node reads is known."""
        sweeps, over = self._sweeps, self._kernel.over
        if not over:
            return 0
        sources = [read.source for read in self._reads[node]]
        return max([sweeps[x] + (x in over) for x in sources if x in sweeps], default=0)

    def _lies(self, node: Node) -> Axes:
        """The axes along which a node is computed: those of its argument, for a reduction."""
        return self._kernel.over[node] if node in self._kernel.over else self._kernel.along[node]

    def _add(self, node: Node) -> None:
        mine, place = self._lies(node), self._homes[node]
        args = tuple([self._operand(read, mine, place) for read in self._reads[node]])
        reduces = node in self._kernel.over
        key = (node.op, None if reduces else node.attrs, args, place)
        known = self._computed.get(key)
        if known is not None:  # a sum that keeps its axes, and one that does not
            self._values[node] = known
            return
        target = self._name(node)
        if reduces:
            made: Statement = Reduce(target, node.op, args[0], node.origin)
        else:
            made = Compute(target, node.op, args, node.attrs, node.origin)
        self._parts.setdefault(place, []).append(made)
        self._values[node] = self._computed[key] = target

    def _operand(self, read: Read, mine: Axes, place: Where) -> Operand:
        source = read.source
        known = self._values.get(source)
        if known is not None:
            return known
        if source not in self._numbers:
            self._numbers[source] = _number(source)
        number = self._numbers[source]
        if number is not None:
            return number
        along = read.along(mine)
        index = self._index(along, source.shape)
        if (source, index) not in self._loads:
            first = self._place(place[0], along)
            if not first[1]:
                first = self._place(0, along)
            target = self._name(source)
            self._loads[source, index] = target
            self._parts.setdefault(first, []).append(Load(target, self._params[source], index))
        return self._loads[source, index]

    def _index(self, along: Axes, shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """The loop variables for the axes of an array; where the call decides whether an axis is repeated, at most
        the last of it."""
        known = self._indices.get((along, shape))
        if known is not None:
            return known
        index: list[Dim] = []
        for axis, size in zip(along, shape, strict=True):
            if axis is None:
                index.append(0)
                continue
            loop = self._variables[axis]
            fits = loop.size == size
            index.append(loop.variable if fits else dim_min(loop.variable, size - 1))
        found = self._indices[along, shape] = tuple(index)
        return found

    def _place(self, sweep: int, axes: Axes) -> Where:
        """Where a value that lies along these axes is computed, once ``sweep`` sweeps are done."""
        key = sweep, axes
        found = self._places.get(key)
        if found is None:
            swept = any(axis in self._columns for axis in axes)
            once = bool(self._rows) and all(axis is None for axis in axes)
            found = self._places[key] = _ONCE if once else (sweep, swept)
        return found

    def _name(self, node: Node) -> Value:
        self._count += 1
        return Value(f"v{self._count - 1}", node.row)


def _number(node: Node) -> Number | None:
    """The number that every element of a constant is."""
    value = uniform(node) if node.op is CONSTANT else None
    return None if value is None else Number(node.row, value)


def _loops(kernel: Kernel, shapes: list[tuple[Dim, ...]]) -> tuple[dict[int, Loop], dict[int, Loop]]:
    """A loop for each axis, whose variable no size is called like."""
    sizes = [*kernel.rows.values(), *kernel.columns.values(), *(dim for shape in shapes for dim in shape)]
    taken = {str(x) for dim in sizes if isinstance(dim, Size) for x in symbols(dim)}
    numbers = itertools.chain([""], map(str, itertools.count(1)))
    every = (letter + number for number in numbers for letter in "ijlpqrstuv")
    names = (name for name in every if name not in taken)

    def loops(axes: Mapping[int, Dim]) -> dict[int, Loop]:
        return {axis: Loop(symbol(next(names)), size) for axis, size in axes.items()}

    return loops(kernel.rows), loops(kernel.columns)


def _free(name: str, taken: dict[str, int]) -> str:
    place = taken.get(name, 0)
    while (free := f"{name}_{place}" if place else name) in taken:
        place += 1
    taken[free], taken[name] = 1, place + 1
    return free
