"""Loops and branches as machine code: `inner.ll`, and the words that it reads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symgraph.codegen.beside import text_beside
from symgraph.codegen.llvm_factorizations import SINGULAR
from symgraph.codegen.llvm_printer import Native
from symgraph.errors import LinAlgError, SymgraphError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Size
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.memory import ALIGNMENT, aligned
from symgraph.optimizations.plan import Branch, Loop
from symgraph.optimizations.step_cost import step_cost
from symgraph.runtime.code import BEST, Function, code
from symgraph.runtime.cpu import Loader
from symgraph.runtime.fields import begin_of
from symgraph.runtime.inner import BranchStep, LoopStep
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeCall
from symgraph.runtime.native_copies import copy
from symgraph.runtime.native_product import WeightCall
from symgraph.runtime.native_words import LAST, Base, Fixed, Lane, Lying, Outer, Words, place_of
from symgraph.runtime.pool import pool
from symgraph.runtime.prepared import KernelCall, Prepared, Rehearsal

if TYPE_CHECKING:
    from symgraph.runtime.native_backend import NativeProgram

Array = np.ndarray[Any, Any]

_ENDLESS = (1 << 63) - 1
_PATIENCE = 20e6
"""Nanoseconds, as `step_cost` has them, after which a loop looks whether it was interrupted."""
_HOLDING = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


# Parts


class _Part:
    """A plan for arrays that lie in some ways, as steps of machine code."""

    def __init__(self, program: NativeProgram, lying: Sequence[Lying], sizes: Mapping[Size, int]) -> None:
        self._given = [each.array() for each in lying]
        self.prepared: Prepared = program.prepared(self._given, sizes)
        self.room = self.prepared.storage.arena.size

    def rehearsed(self, arena: Arena) -> Rehearsal:
        return self.prepared.rehearsed(self._given, arena)

    @property
    def cost(self) -> float:
        return sum(step_cost(turn.step, self.prepared.sizes) for turn in self.prepared.storage.turns)

    def lay(
        self, words: Words, given: Sequence[Base], results: Sequence[Base], lane: Lane, at: int = 0
    ) -> None:
        """The steps are added to the lane."""
        rehearsal = self.rehearsed(words.arena)
        assert rehearsal.results is not None
        words.keep(rehearsal)
        arrays, bases = [*self._given, *rehearsal.results], [*given, *results]
        for turn, lying in rehearsal.turns:
            call = turn.call(lying, self.prepared.sizes)
            places = [_based(x, arrays, bases) for x in lying]
            if isinstance(
                call, WeightCall
            ):  # of a constant, which lies in memory of the program, as its copy does
                call, lying, panels = call.on(lying)
                words.keep(panels)
            if isinstance(call, NativeCall | InnerCall) and not call.fails:
                lane.add(words, call, lying, places, at)
            else:
                lane.add_python(words, call, lying, places, at)


def _based(x: Array, arrays: Sequence[Array], bases: Sequence[Base]) -> Base | None:
    """Where an array lies that lies in one of some; None for memory of a program."""
    found = place_of(x, arrays)
    if found is None:
        return None
    n, offset = found
    match bases[n]:
        case Fixed(address):
            return Fixed(address + offset)
        case Outer(place, begin, step):
            return Outer(place, begin + offset, step)


# Calls


class InnerCall:
    """A loop or a branch for arrays that lie in some way: a function of `inner.ll`, and its words for an arena."""

    fails, first, turns, chunk = False, 1, 1, 1

    def __init__(self, function: Function, lay: Callable[[Arena, int], tuple[int, Words]]) -> None:
        self.function, self._lay = function, lay

    def tables(self, addresses: Sequence[int], arena: Arena, trouble: int) -> list[list[int]]:
        """The words that the function reads, for arrays and a word for trouble at these addresses."""
        address, words = self._lay(arena, trouble)
        arena.cache[object()] = words
        return [[address, *addresses]]

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        found = arena.cache.get(self)
        if found is None:
            trouble = ctypes.c_int64()
            address, words = self._lay(arena, ctypes.addressof(trouble))
            table = (ctypes.c_int64 * (1 + len(arrays)))(address)
            pair = (ctypes.c_int64 * 2)(self.function.address, ctypes.addressof(table))
            found = arena.cache[self] = trouble, words, table, pair
        trouble, _, table, pair = found
        for n, x in enumerate(arrays):
            table[1 + n] = begin_of(x)
        try:
            drivers().call(ctypes.addressof(pair), 0, 1)
        finally:
            what, trouble.value = trouble.value, 0
            failure, LAST.failure = LAST.failure, None
        if what and failure is not None:
            raise failure
        if what == SINGULAR:
            raise LinAlgError("a matrix is singular, or not positive definite")
        if what:
            raise IndexError("an index is out of bounds")


def driven(
    words: Words,
    turns: tuple[Lane, Lane],
    length: int,
    numbers: tuple[Fixed, int, int],
    count: Fixed,
    cost: float,
    *,
    before: Lane,
    after: Sequence[Lane] = (),
    condition: Sequence[Lane] = (),
    asked: Fixed | None = None,
    counted: int | None = None,
) -> int:
    """The address of the words of a loop.

    Its ``turns`` 0, 2, … and 1, 3, … have lanes of their own, and so has what is done ``after`` an even number of them
    and after an odd one, and the ``condition``, which writes what is ``asked``. ``numbers`` are the place of the number
    of the turn, its first, and what is added to it; ``count`` is where it writes how many turns there were, unless
    somebody asks for it in the array that is ``counted`` in the table. A turn costs so many nanoseconds.
    """
    none = (Lane(), Lane())
    after, condition = after or none, condition or none
    patches = [patch for lane in (before, *turns, *condition, *after) for patch in lane.patches]
    loop, (number, first, by) = words.list([0] * 30), numbers
    if counted is not None:
        patches.append((loop + 8 * 25, counted, 0))
    values = [
        *(word for lane in turns for word in words.steps(lane.rows)),
        *(word for lane in turns for word in words.counted(lane.moving)),
        *words.counted(patches), *words.steps(before.rows),
        *(word for lane in (*after, *condition) for word in words.steps(lane.rows)),
        0 if asked is None else asked.address, length, number.address, first, by, count.address,
        words.trouble, max(1, int(_PATIENCE / max(cost, 1.0))), pool().share, pool().address,
    ]  # fmt: skip
    ctypes.memmove(loop, (ctypes.c_int64 * len(values))(*values), 8 * len(values))
    return loop


class _OfPrograms:
    """A step whose parts are programs of machine code."""

    programs: tuple[NativeProgram, ...]

    @property
    def functions(self) -> set[Function]:
        return {function for program in self.programs for function in program.functions()}

    def texts(self) -> list[Native]:
        return [native for program in self.programs for native in program.natives()]


class NativeLoop(_OfPrograms, LoopStep):
    """A loop without Python between its turns, but for steps that are Python's."""

    body: NativeProgram
    condition: NativeProgram | None
    programs: tuple[NativeProgram, ...]

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        try:
            rooms = [program.storage(sizes).arena.size for program in self.programs]
            carries = sum(bytes_of(x.shape, x.dtype, sizes) for x in self.nodes[: self.attrs.carries])
        except SymgraphError:
            return Needs()
        return Needs(aligned(max(rooms)) + 2 * carries + 3 * ALIGNMENT, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        attrs, lying = self.attrs, [Lying.of(x) for x in arrays]
        end, inputs = attrs.carries + attrs.rows, len(self.step.node.inputs)
        number = Lying((), np.dtype(np.int64), ())
        carries = [x.in_order for x in lying[: attrs.carries]]
        outer = lying[end:inputs]
        parts = [
            _Part(self.body, [number, *carries, *(x.row for x in lying[attrs.carries : end]), *outer], sizes)
        ]
        if self.condition is not None:
            parts.append(_Part(self.condition, [number, *carries, *outer], sizes))
        if any(part.rehearsed(Arena(np.empty(part.room, np.uint8))).results is None for part in parts):
            return super().call(arrays, sizes, room)
        length = _ENDLESS if attrs.length is None else evaluate_dim(attrs.length, sizes)
        made = _Loop(self, lying, carries, parts, length, room)
        return InnerCall(drivers().loop, made.lay)


class _Loop(NamedTuple):
    """A loop on arrays that lie in some way."""

    step: NativeLoop
    lying: Sequence[Lying]
    carries: Sequence[Lying]
    parts: Sequence[_Part]
    """The body, and the condition."""
    length: int
    room: int

    def lay(self, arena: Arena, trouble: int) -> tuple[int, Words]:
        """The address of its words, with an arena and a word for trouble."""
        attrs, body, step = self.step.attrs, self.parts[0], self.step
        words = Words(_within(arena, self.room, max(part.room for part in self.parts)), trouble)
        place = arena.begin + self.room + aligned(max(part.room for part in self.parts))
        number, count, asked = (Fixed(place + ALIGNMENT * n) for n in range(3))
        place += 3 * ALIGNMENT
        buffers: list[list[Base]] = [[], []]
        for each in self.carries:
            for buffer in buffers:
                buffer.append(Fixed(place))
                place += aligned(size_of(each))
        inputs = len(step.step.node.inputs)
        end = attrs.carries + attrs.rows
        outer = [Outer(1 + n) for n in range(end, inputs)]
        into = {n: 1 + inputs + k for k, n in enumerate(step.numbers)}
        rows = [self._row(1 + n, self.lying[n]) for n in range(attrs.carries, end)]
        made = len(attrs.body.outputs)
        stacked = [
            self._row(into[n], self.lying[into[n] - 1]) for n in step.numbers if attrs.carries <= n < made
        ]
        before = Lane()
        for n, each in enumerate(self.carries):
            copy(before, words, self.lying[n], each, (Outer(1 + n), buffers[0][n]))
        if len(self.parts) > 1:  # rows that no turn writes
            for n in step.numbers:
                if attrs.carries <= n < made:
                    self._clear(before, words, into[n])
        lanes, conditions, afters = [], [], []
        for at in range(2):
            now, then = buffers[at], buffers[1 - at]
            lanes.append(Lane())
            body.lay(words, [number, *now, *rows, *outer], [*then, *stacked], lanes[at], at)
            conditions.append(Lane())
            if len(self.parts) > 1:
                self.parts[1].lay(words, [number, *now, *outer], [asked], conditions[at], at)
            afters.append(Lane())
            for n, target in into.items():
                if n < attrs.carries:
                    copy(afters[at], words, self.carries[n], self.lying[target - 1], (now[n], Outer(target)))
        by = -1 if attrs.reverse else 1
        address = driven(
            words,
            (lanes[0], lanes[1]),
            self.length,
            (number, self.length - 1 if by < 0 else 0, by),
            count,
            sum(part.cost for part in self.parts),
            before=before,
            after=afters,
            condition=conditions,
            asked=asked if len(self.parts) > 1 else None,
            counted=into.get(made),
        )
        return address, words

    def _row(self, place: int, lying: Lying) -> Outer:
        """That of the first turn, in an array whose address has this place in the table."""
        step = lying.strides[0]
        if self.step.attrs.reverse:
            return Outer(place, (self.length - 1) * step, -step)
        return Outer(place, 0, step)

    def _clear(self, lane: Lane, words: Words, place: int) -> None:
        target = self.lying[place - 1]
        zero = np.zeros((), target.dtype)
        words.keep(zero)
        source = Lying(target.shape, target.dtype, (0,) * len(target.shape))
        copy(lane, words, source, target, (Fixed(int(zero.ctypes.data)), Outer(place)))


class NativeBranch(_OfPrograms, BranchStep):
    """A branch without Python, but for steps that are Python's."""

    programs: tuple[NativeProgram, ...]

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        try:
            return Needs(max(program.storage(sizes).arena.size for program in self.programs), True)
        except SymgraphError:
            return Needs()

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""
        inputs = len(self.step.node.inputs)
        given = [Lying.of(x) for x in arrays[1:inputs]]
        parts = [_Part(program, given, sizes) for program in self.programs]
        if any(part.rehearsed(Arena(np.empty(part.room, np.uint8))).results is None for part in parts):
            return super().call(arrays, sizes, room)
        outer = [Outer(1 + n) for n in range(1, inputs)]
        results = [Outer(1 + n) for n in range(inputs, len(arrays))]

        def lay(arena: Arena, trouble: int) -> tuple[int, Words]:
            words = Words(_within(arena, room, max(part.room for part in parts)), trouble)
            rows = []
            for part in parts:
                lane = Lane()
                part.lay(words, outer, results, lane)
                rows.append([*words.steps(lane.rows), *words.counted(lane.patches)])
            table, count = words.counted(rows)
            return words.list([count, table, trouble, pool().share, pool().address]), words

        return InnerCall(drivers().branch, lay)


def native_inner(program: NativeProgram, step: Loop | Branch) -> NativeLoop | NativeBranch:
    """A loop or a branch, whose parts run as the program does that has it."""
    if isinstance(step, Loop):
        condition = None if step.condition is None else program.part(step.condition)
        return NativeLoop(step, program.part(step.body), condition)
    return NativeBranch(step, [program.part(each) for each in step.branches])


class _Drivers:
    """The functions of `inner.ll`."""

    def __init__(self) -> None:
        self._loader = Loader()
        text = text_beside(__file__, "inner.ll")
        self._loader.load(code().made(text, BEST))
        self.loop = Function("loop", self._loader.address("loop"))
        self.branch = Function("branch", self._loader.address("branch"))
        self.sequence = Function("sequence", self._loader.address("sequence"))
        self.call = _HOLDING(self._loader.address("released"))


@cache
def drivers() -> _Drivers:
    return _Drivers()


def _within(arena: Arena, begin: int, size: int) -> Arena:
    """A part of an arena."""
    return Arena(arena.memory[begin : begin + size])


def bytes_of(shape: Sequence[Any], dtype: np.dtype[Any], sizes: Mapping[Size, int]) -> int:
    return aligned(prod((evaluate_dim(x, sizes) for x in shape), start=dtype.itemsize))


def size_of(lying: Lying) -> int:
    return prod(lying.shape, start=lying.dtype.itemsize)
