"""A plan on arrays of given shapes: every value has a slot, every step knows where its results go."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import attributes_of, run_node, schedule
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, SIZE
from symgraph.graph.types import TensorType
from symgraph.ops.create import iota
from symgraph.ops.shape import squeeze
from symgraph.optimizations.lives import IN_ORDER, Needs
from symgraph.optimizations.plan import Call, Kernel, Plan, Step, View
from symgraph.optimizations.storage import Storage, Turn
from symgraph.runtime.into import IN_PLACE, writer
from symgraph.runtime.memory import Arena, Memory, unshared

Array = np.ndarray[Any, Any]

_MOST_CALLS = 16
"""For how many ways to lie in memory a step keeps what it found out."""
_MOST_KNOWN = 1 << 13
"""So many numbers are counted once and kept."""


class KernelCall(Protocol):
    """A kernel for arrays of some shapes and strides."""

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None: ...


class KernelCode(Protocol):
    """What a step became, for any arrays."""

    @property
    def step(self) -> Step: ...

    nodes: tuple[Node, ...]
    """What its arrays are: those that it reads, and those that it writes."""

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call, and what may be the same array."""

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena."""


class Library:
    """A call of a library, or a view; one that ``copies`` writes any array where it is told."""

    def __init__(self, node: Node, *, is_view: bool, copies: bool = False) -> None:
        assert node.op.numpy is not None
        self.is_view = is_view
        self.node, self.meaning, self.writer = node, node.op.numpy, writer(node)
        if (
            copies
            and self.writer is None
            and not is_view
            and isinstance(node.type, TensorType)
            and node.inputs
        ):
            self.writer = self._copy
        self._attributes = attributes_of(node)

    def _copy(self, out: Array, *inputs: Array, **attributes: Any) -> None:
        out[...] = self.meaning(*inputs, **attributes)

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        pairs = ((self.node.inputs[0], self.node),) if self.node.op in IN_PLACE else ()
        return Needs(0, self.writer is not None, pairs)

    def run(self, inputs: Sequence[Array], sizes: dict[Size, int], out: Array | None) -> Any:
        """The value, in ``out`` where it is told so; no view of an input unless it is one by nature."""
        if out is not None and self.writer is not None:
            run_node(self.node, partial(self.writer, out), inputs, self._attributes, sizes)
            return out
        value = run_node(self.node, self.meaning, inputs, self._attributes, sizes)
        if isinstance(value, tuple):
            return value
        value = np.asarray(value)
        arrays = [x for x in inputs if not isinstance(x, tuple)]
        is_seen = not self.is_view and any(np.may_share_memory(value, x) for x in arrays)
        return value.copy() if is_seen else value


@dataclass(slots=True, eq=False)
class _State:
    """One call."""

    values: list[Any]
    sizes: dict[Size, int]
    arena: Arena
    memory: Memory
    spent: Collection[int]
    """The slots of arguments that may be overwritten."""


@dataclass(slots=True, eq=False)
class _Place:
    """Where a value goes."""

    slot: int
    node: Node
    shape: tuple[int, ...] | None
    """None where the data decide it."""
    dtype: np.dtype[Any]
    offset: int | None
    """In the arena; None for memory of its own."""
    over: int | None

    def array(self, state: _State) -> Array:
        shape, dtype = self.shape, self.dtype
        if self.offset is not None:
            found: Array | None = state.arena.cache.get(self)
            if found is None:
                assert shape is not None
                found = state.arena.cache[self] = np.ndarray(shape, dtype, state.arena.memory, self.offset)
            return found
        again: Array | None = state.values[self.slot]
        if again is not None:  # written again, with the same bits
            return again
        if self.over is not None and self.over in state.spent and shape is not None:
            return np.ndarray(shape, dtype, state.values[self.over])
        if shape is None:
            shape = tuple(evaluate_dim(size, state.sizes) for size in self.node.shape)
        return state.memory.result(shape, dtype)


_REFUSALS = (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError)


class KernelTurn:
    def __init__(self, made: KernelCode, turn: Turn, places: list[_Place], slots: Mapping[Node, int]) -> None:
        self.made, self.places, self._room = made, places, turn.room
        self._slots = [slots[x] for x in made.nodes]
        own = {place.slot for place in places}
        self._read = [n for n, slot in enumerate(self._slots) if slot not in own]
        self.is_known = turn.room is not None
        self._calls: dict[Any, KernelCall] = {}
        self.dead = [slots[x] for x in turn.dead]

    def arrays(self, state: _State) -> list[Array]:
        """What the kernel reads and writes, in the order that it wants."""
        values = state.values
        for place in self.places:
            values[place.slot] = place.array(state)
        return [values[slot] for slot in self._slots]

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> KernelCall:
        """The kernel for arrays that lie like these."""
        key: Any = tuple([arrays[n].strides for n in self._read])  # what is written lies in order
        if not self.is_known:
            key = key, tuple([x.shape for x in arrays]), tuple(sizes.items())
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) >= _MOST_CALLS:
                self._calls.clear()
            found = self._calls[key] = self.made.call(arrays, sizes, self._room or 0)
        return found

    def get_ready(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> None:
        """Find the kernel for such arrays before a call; where it refuses them, the call will tell of the line."""
        with contextlib.suppress(*_REFUSALS):
            self.call(arrays, sizes)

    def run(self, state: _State) -> None:
        arrays = self.arrays(state)
        arena = state.arena
        if not self.is_known:
            arena = state.memory.arena(self.made.needs(state.sizes).room or 0)
        try:
            self.call(arrays, state.sizes)(arrays, arena)
        except _REFUSALS:
            self._evaluate(state)
            raise

    def _evaluate(self, state: _State) -> None:
        """Fail as the kernel did, one op after the other, with the user's line."""
        step = self.made.step
        by_node = dict(zip(self.made.nodes, self._slots, strict=True))
        known = [x for x in step.needs if x.op is not CONSTANT]
        schedule(step.writes, known).run([state.values[by_node[x]] for x in known])


class CallTurn:
    def __init__(self, library: Library, turn: Turn, places: list[_Place], slots: Mapping[Node, int]) -> None:
        self.library, self._slot = library, slots[library.node]
        self._slots = [slots[x] for x in library.node.inputs]
        told = bool(places) and library.writer is not None and places[0].shape is not None
        self.places = places if told else []
        self._place = places[0] if told else None
        self.dead = [slots[x] for x in turn.dead]

    def run(self, state: _State) -> None:
        values = state.values
        out = None if self._place is None else self._place.array(state)
        values[self._slot] = self.library.run([values[slot] for slot in self._slots], state.sizes, out)

    def arrays(self, state: _State) -> list[Array]:
        """What the step reads, and what it is told to write."""
        assert self._place is not None
        state.values[self._slot] = out = self._place.array(state)
        return [*(state.values[slot] for slot in self._slots), out]

    def pretend(self, state: _State) -> bool:
        """Whether an array of the shape that the step is going to make is known; it stands there then."""
        node = self.library.node
        if not isinstance(node.type, TensorType):
            return False
        try:
            shape = [evaluate_dim(size, state.sizes) for size in node.shape]
        except UnboundSize:
            return False
        state.values[self._slot] = np.empty(shape, node.dtype)
        return True

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> KernelCall:
        """The step for such arrays."""

        def call(arrays: Sequence[Array], arena: Arena) -> None:
            self.library.run(arrays[:-1], dict(sizes), arrays[-1])

        return call


class _ReshapeTurn:
    """A view that has the elements of another array in their order, in a shape that is known."""

    places: tuple[_Place, ...] = ()

    def __init__(self, turn: Turn, node: Node, shape: tuple[int, ...], slots: Mapping[Node, int]) -> None:
        self.source, self.slot, self._shape = slots[node.inputs[0]], slots[node], shape
        self.dead = [slots[x] for x in turn.dead]

    def run(self, state: _State) -> None:
        state.values[self.slot] = state.values[self.source].reshape(self._shape)


_Turn: TypeAlias = KernelTurn | CallTurn | _ReshapeTurn


class Rehearsal(NamedTuple):
    """What a call is going to do, as far as that is known before it."""

    turns: Sequence[tuple[KernelTurn | CallTurn, Sequence[Array]]]
    """Each with arrays as they will lie, whose numbers are not computed."""
    results: Sequence[Array] | None
    """New arrays that these turns write; None where a call gives anything else, or makes arrays as it goes."""


class Prepared:
    """The turns of a plan for one binding of sizes."""

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        sizes: Mapping[Size, int],
        codes: Mapping[Step, KernelCode],
        calls: Mapping[Step, Library],
    ) -> None:
        self.storage, self.sizes, self._arena = storage, dict(sizes), storage.arena.size
        self.runs = 0
        slots = {x: n for n, x in enumerate(plan.given)}
        every = [x for turn in storage.turns for x in (*turn.step.needs, *turn.step.writes)]
        for x in (*every, *plan.results):
            slots.setdefault(x, len(slots))
        self._start: list[Any] = [None] * len(slots)
        for x, slot in slots.items():
            if x.op is CONSTANT:
                self._start[slot] = x.attrs.value  # type: ignore[union-attr]
        self._turns: list[_Turn] = []
        known: set[int] = set()
        new: set[int] = set()
        for turn in storage.turns:
            values = [self._start[slots[x]] for x in turn.step.needs]
            if turn.step in calls and (found := _of_sizes(calls[turn.step], values, self.sizes)) is not None:
                slot = slots[turn.step.writes[0]]
                self._start[slot] = found
                known.add(slot)
                continue
            places = [
                _Place(
                    slots[x],
                    x,
                    home.shape,
                    x.dtype,
                    home.offset,
                    None if home.over is None else slots[home.over],
                )
                for x, home in zip(turn.step.writes, turn.homes, strict=False)
                if isinstance(x.type, TensorType)
            ]
            made: _Turn
            if turn.step in codes or isinstance(turn.step, Kernel):
                made = KernelTurn(codes[turn.step], turn, places, slots)
            elif (shape := _reshaped(turn.step, self.sizes)) is not None:
                made = _ReshapeTurn(turn, turn.step.node, shape, slots)
            else:
                made = CallTurn(calls[turn.step], turn, places, slots)
            self._turns.append(made)
            new |= {place.slot for place in made.places if place.offset is None}
        for each in self._turns:
            each.dead = [slot for slot in each.dead if slot not in known]
        self._is_ours = not any(isinstance(each, CallTurn) for each in self._turns)
        """Whether no step runs code of the user's, who may look at the context."""
        self._results = [slots[x] for x in plan.results]
        self._others = [
            n for n, slot in enumerate(self._results) if slot not in new or slot in self._results[:n]
        ]
        sources = {each.slot: each.source for each in self._turns if isinstance(each, _ReshapeTurn)}
        owners = [_first(slot, sources) for slot in self._results]
        self._is_new = all(slot in new for slot in owners) and len(set(owners)) == len(owners)
        """Whether every result is an array of its own, or all of one in another shape."""

    @property
    def known(self) -> list[Array]:
        """The arrays that every call with arguments of these shapes reads: constants, and what follows from sizes."""
        return [x for x in self._start if x is not None]

    def run(self, arrays: Sequence[Array], memory: Memory, spent: Collection[int]) -> list[Array]:
        """The results; they share memory with nothing but what is spent."""
        values = self._start.copy()
        values[: len(arrays)] = arrays
        arena = memory.take(self._arena)
        state = _State(values, self.sizes.copy(), arena, memory, spent)
        try:
            if self._is_ours:
                arena.silent.run(self._compute, state)
            else:
                with np.errstate(all="ignore"):
                    self._compute(state)
            results = [values[slot] for slot in self._results]
            return self._unshared(results, arrays) if self._others else results
        finally:
            memory.give(arena)

    def _compute(self, state: _State) -> None:
        values = state.values
        for turn in self._turns:
            turn.run(state)
            for slot in turn.dead:
                values[slot] = None

    def rehearsed(self, arrays: Sequence[Array], arena: Arena) -> Rehearsal:
        """What a call with such arrays is going to do, found without computing anything."""
        state = _State([*arrays, *self._start[len(arrays) :]], self.sizes.copy(), arena, Memory(), ())
        found: list[tuple[KernelTurn | CallTurn, list[Array]]] = []
        is_whole = self._is_new
        for turn in self._turns:
            is_told = turn.is_known if isinstance(turn, KernelTurn) else bool(turn.places)
            if isinstance(turn, KernelTurn | CallTurn) and is_told:
                found.append((turn, turn.arrays(state)))
            elif isinstance(turn, _ReshapeTurn) or (isinstance(turn, CallTurn) and turn.library.is_view):
                turn.run(state)
            elif isinstance(turn, CallTurn) and turn.pretend(state):
                is_whole = False
            else:
                return Rehearsal(found, None)
        results = [state.values[slot] for slot in self._results]
        return Rehearsal(found, results if is_whole else None)

    def _unshared(self, results: list[Any], arrays: Sequence[Array]) -> list[Array]:
        """The results, with copies of what is no new array of its own."""
        known = [*arrays, *(x for n, x in enumerate(results) if n not in self._others)]
        copies = unshared([results[n] for n in self._others], known)
        for n, copy in zip(self._others, copies, strict=True):
            results[n] = copy
        return results


def _first(slot: int, sources: Mapping[int, int]) -> int:
    """Where the array stands that a view is of, or a view of a view."""
    while slot in sources:
        slot = sources[slot]
    return slot


def _reshaped(step: Call, sizes: Mapping[Size, int]) -> tuple[int, ...] | None:
    """The shape of a view with the elements of its source in their order; None for other steps, for shapes that are
    not known, and for what the op refuses."""
    node = step.node
    if not isinstance(step, View) or node.op not in IN_ORDER:
        return None
    try:
        source, shape = (
            tuple(evaluate_dim(size, sizes) for size in each.shape) for each in (node.inputs[0], node)
        )
    except UnboundSize:
        return None
    if node.op is squeeze.op and any(source[axis] != 1 for axis in node.attrs.axes):  # type: ignore[union-attr]
        return None
    return shape if prod(source) == prod(shape) else None


def _of_sizes(library: Library, inputs: Sequence[Any], sizes: Mapping[Size, int]) -> Array | None:
    """The value of a step that depends on nothing but the sizes that arguments have; None for other steps, for what is
    large, and for what the op refuses."""
    node = library.node
    if any(x is None for x in inputs) or not (library.is_view or node.op in (SIZE, iota.op)):
        return None
    try:
        if node.op is iota.op and evaluate_dim(node.attrs.size, sizes) > _MOST_KNOWN:  # type: ignore[union-attr]
            return None
        value = np.asarray(library.run(inputs, dict(sizes), None))
    except (SymgraphError, ValueError):
        return None
    value.flags.writeable = False
    return value
