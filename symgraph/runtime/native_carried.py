"""Loops as one kernel each, whose carries stay in registers: chunks of turns, between which it may be interrupted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from symgraph.codegen.carried import NUMBER, Carried, carried
from symgraph.codegen.denormals import flushing
from symgraph.codegen.layout import Layout
from symgraph.codegen.llvm_printer import Native, print_native
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectorized import carries_well, lanes_of
from symgraph.errors import SymgraphError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.node import Node
from symgraph.graph.op import ConstantAttrs
from symgraph.ops.control import LoopAttrs
from symgraph.optimizations.cost import typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.memory import aligned
from symgraph.optimizations.plan import Loop
from symgraph.optimizations.step_cost import step_cost
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeCall
from symgraph.runtime.native_inner import (
    InnerCall,
    NativeBranch,
    NativeLoop,
    bytes_of,
    driven,
    drivers,
    size_of,
)
from symgraph.runtime.native_words import Base, Fixed, Lane, Lying, Outer, Words
from symgraph.runtime.nests import carrying
from symgraph.runtime.own_native import unsaid
from symgraph.runtime.prepared import KernelCall
from symgraph.runtime.shares import Shares, sharing

Array = np.ndarray[Any, Any]
ByTurns: TypeAlias = Callable[[], NativeLoop | NativeBranch]
"""The same loop, as a body that runs in every turn."""

_PATIENCE = 10e6
"""Nanoseconds, as `step_cost` has them, that the turns of a chunk take at most."""
_NEAR, _LEAST = 1 << 18, 16
"""Bytes of what is gone through and stacked in a chunk, where those are more than so few turns: all of its turns are
done for some elements before the next have one, and come to places in memory that lie far apart."""


def native_carried(
    step: Loop, threads: int, by_turns: ByTurns, machine: Machine | None = None
) -> NativeCarried | None:
    """A loop that is one kernel; None where it is none, or there is no machine code for it."""
    made = carried(step)
    if isinstance(made, str) or unsaid(made.loops) is not None:
        return None
    return NativeCarried(step, made, threads, by_turns, machine or host())


class NativeCarried:
    """A loop as one kernel, with a function for each layout that was met; where it is quicker, turn by turn."""

    def __init__(self, step: Loop, made: Carried, threads: int, by_turns: ByTurns, machine: Machine) -> None:
        assert isinstance(step.node.attrs, LoopAttrs)
        self.step, self.attrs, self.loops, self.reads = step, step.node.attrs, made.loops, made.reads
        self.threads, self._machine = threads, machine
        self.nodes: tuple[Node, ...] = (*step.node.inputs, *step.items)
        items = {x.attrs.index: n for n, x in enumerate(step.items, len(step.node.inputs))}  # type: ignore[union-attr]
        carries = range(self.attrs.carries)
        self.writes = [*map(items.get, carries), *(n for index, n in items.items() if index not in carries)]
        """Which of the arrays of a call those are that the kernel writes; None for a carry that nobody asks for."""
        self._by_turns = by_turns
        self._printed: dict[Layout, Native] = {}
        self._functions: set[Function] = set()

    @cached_property
    def by_turns(self) -> NativeLoop | NativeBranch:
        return self._by_turns()

    def is_one(self, sizes: Mapping[Size, int]) -> bool:
        """Whether it runs as one kernel."""
        return carries_well(self.loops, host(), prod(self.rows(sizes)))

    def rows(self, sizes: Mapping[Size, int]) -> list[int]:
        """The sizes of the loops over elements."""
        return [evaluate_dim(loop.size, sizes) for loop in self.loops.rows]

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """Room for the carries that nobody asks for."""
        unasked = [x for x, place in zip(self.nodes, self.writes, strict=False) if place is None]
        try:
            if not self.is_one(sizes):
                return self.by_turns.needs(sizes)
            return Needs(sum(bytes_of(x.shape, x.dtype, sizes) for x in unasked), True)
        except SymgraphError:
            return Needs()

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        if not self.is_one(sizes):
            return self.by_turns.call(arrays, sizes, room)
        assert self.attrs.length is not None
        length, cost = evaluate_dim(self.attrs.length, sizes), step_cost(self.step.body.steps[0], sizes)
        made = _Chunks(self, [Lying.of(x) for x in arrays], self.rows(sizes), length, cost)
        functions = code().functions(made.print())
        self._functions.update(functions)
        return made.call(functions, room)

    @property
    def functions(self) -> set[Function]:
        others = self.by_turns.functions if "by_turns" in vars(self) else set()
        return self._functions | others

    def texts(self) -> list[Native]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        others = self.by_turns.texts() if "by_turns" in vars(self) else []
        if not self._printed and not others:
            lying = [Lying(tuple(map(typical, x.shape)), x.dtype, ()).in_order for x in self.nodes]
            _Chunks(self, lying, [typical(loop.size) for loop in self.loops.rows], 1, 0.0).print()
        return [*self._printed.values(), *others]

    def native(self, layout: Layout) -> Native:
        """The text for a layout."""
        if layout not in self._printed:
            self._printed[layout] = flushing(print_native(self.loops, layout, host()), self._machine)
        return self._printed[layout]


class _Way(NamedTuple):
    """How the arrays of a chunk lie along the loops of the kernel."""

    arrays: Sequence[Array]
    """Those that the kernel reads, and those that it writes; nobody reads their numbers."""
    layout: Layout
    rows: Sequence[int]
    """The turns of the loops over rows."""
    steps: Sequence[Sequence[int]]


class _Chunks:
    """A loop on arrays that lie in some way: a first chunk of turns from the carries that it is given to where the
    results are, and others of one length that begin there."""

    def __init__(
        self, made: NativeCarried, lying: Sequence[Lying], rows: Sequence[int], length: int, cost: float
    ) -> None:
        self._made, self._lying, self._rows, self._length, self._cost = made, lying, rows, length, cost
        self._carries = made.attrs.carries
        self._turning = {
            *range(self._carries, self._carries + made.attrs.rows),
            *(n for n in made.writes[self._carries :] if n is not None),
        }
        """The places of arrays with rows for turns."""
        self._by = -1 if made.attrs.reverse else 1
        moved = sum(size_of(lying[n].row) for n in self._turning)
        patient = max(1, int(_PATIENCE / max(cost, 1.0)))
        self._turns = min(patient, max(_LEAST, _NEAR // moved)) if moved else patient
        """Of every chunk but the first."""
        self._first = length % self._turns or min(length, self._turns)
        self._more = (length - self._first) // self._turns
        """Chunks after the first."""
        self._ways = [self._way(again) for again in ((False, True) if self._more else (False,))]

    def print(self) -> list[Native]:
        """The texts for the first chunk, and for those after it."""
        return [self._made.native(way.layout) for way in self._ways]

    def call(self, functions: Sequence[Function], room: int) -> InnerCall:
        """The loop, by the functions of what was printed, with its room at one place of the arena."""

        def lay(arena: Arena, trouble: int) -> tuple[int, Words]:
            words = Words(arena, trouble)
            words.keep(self._ways)
            start = self._length - 1 if self._by < 0 else 0
            first, number, count = (Fixed(words.list([n])) for n in (start, 0, 0))
            before, lanes = Lane(), (Lane(), Lane())
            at = arena.begin + room
            own, *others = zip(self._ways, functions, strict=True)
            self._add(before, words, *own, self._first, self._bases(first, at))
            for way, function in others:
                for n, lane in enumerate(lanes):
                    bases = self._bases(number, at, again=True)
                    self._add(lane, words, way, function, self._turns, bases, n)
            cost, step = self._cost * self._turns, self._by * self._turns
            numbers = number, start + self._by * self._first, step
            return driven(words, lanes, self._more, numbers, count, cost, before=before), words

        return InnerCall(drivers().loop, lay)

    def _add(
        self,
        lane: Lane,
        words: Words,
        way: _Way,
        function: Function,
        turns: int,
        bases: Sequence[Base],
        at: int = 0,
    ) -> None:
        """A chunk of so many turns, as a step of a lane."""
        tail = [*way.rows, turns, *itertools.chain(*way.steps)]
        first, single = way.rows[0], way.layout.is_narrow
        lanes = lanes_of(self._made.loops, host(), single=single) if len(way.rows) == 1 else 1
        shared = Shares(sharing(min(self._made.threads, -(-first // lanes)), turns * self._cost))
        call = NativeCall(function, tail, first, 0, shared, fails=False)
        call.chunk = -(-call.chunk // lanes) * lanes  # a part of a vector takes as long as all of it
        lane.add(words, call, way.arrays, bases, at)

    def _way(self, again: bool) -> _Way:
        """How the arrays lie in the first chunk, or ``again`` in others."""
        arrays = [x.array() for x in self._arrays(again)]
        loops = self._made.loops
        names = [param.name for param in (*loops.reads, *loops.writes)]
        named = dict(zip(names, arrays, strict=True))
        layout, turns, steps = carrying(loops, named, self._rows, 2, host())
        return _Way(arrays, layout, turns[:-1], steps)

    def _arrays(self, again: bool) -> list[Lying]:
        """How the kernel's arrays lie, with two rows for turns."""
        found = []
        for n in self._made.reads:
            if isinstance(n, Node):
                found.append(Lying.of(_constant(n)))
            elif n == NUMBER:
                found.append(_NUMBER)
            elif n < self._carries and again:
                found.append(self._written(n))
            else:
                found.append(self._turned(n))
        return [*found, *map(self._written, range(len(self._made.writes)))]

    def _bases(self, number: Fixed, room: int, *, again: bool = False) -> list[Base]:
        """Where they begin; carries that nobody asks for have the ``room`` at an address."""
        written: list[Base] = []
        for k, n in enumerate(self._made.writes):
            if n is None:
                written.append(Fixed(room))
                room += aligned(size_of(self._written(k)))
            else:
                written.append(self._base(n, again))
        read: list[Base] = []
        for m in self._made.reads:
            if isinstance(m, Node):
                read.append(Fixed(int(_constant(m).ctypes.data)))
            elif m == NUMBER:
                read.append(number)
            else:
                read.append(written[m] if again and m < self._carries else self._base(m, again))
        return [*read, *written]

    def _base(self, n: int, again: bool) -> Outer:
        """Where an array of the loop begins, or the row of it that the first turn of a chunk has."""
        if n not in self._turning:
            return Outer(1 + n)
        step = self._by * self._lying[n].strides[0]
        begin = 0 if self._by > 0 else -(self._length - 1) * step
        return Outer(1 + n, begin + self._first * step, self._turns * step) if again else Outer(1 + n, begin)

    def _written(self, k: int) -> Lying:
        """How a result of the kernel lies."""
        n = self._made.writes[k]
        return self._lying[k].in_order if n is None else self._turned(n)

    def _turned(self, n: int) -> Lying:
        """How an array of the loop lies, as the kernel goes through it."""
        lying = self._lying[n]
        if n not in self._turning:
            return lying
        return Lying((2, *lying.shape[1:]), lying.dtype, (self._by * lying.strides[0], *lying.strides[1:]))


_NUMBER = Lying((), np.dtype(np.int64), ())


def _constant(node: Node) -> Array:
    assert isinstance(node.attrs, ConstantAttrs)
    return node.attrs.value
