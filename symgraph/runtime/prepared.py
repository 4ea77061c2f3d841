"""A plan on arrays of given shapes: every value has a slot, every step knows where its results go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import attributes_of, run_node, schedule
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Kernel, Plan, Step, View
from symgraph.optimizations.storage import Home, Storage, Turn
from symgraph.runtime.into import IN_PLACE, writer
from symgraph.runtime.kernel import Compiled, KernelCall
from symgraph.runtime.memory import Arena, Memory

Array = np.ndarray[Any, Any]

_MOST_CALLS = 16
"""For how many ways to lie in memory a step keeps what it found out."""


class Library:
    """A call of a library, or a view."""

    def __init__(self, node: Node, *, is_view: bool) -> None:
        assert node.op.numpy is not None
        self._is_view = is_view
        self.node, self.meaning, self.writer = node, node.op.numpy, writer(node)
        self._attributes = attributes_of(node)

    def needs(self) -> Needs:
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
        is_seen = not self._is_view and any(np.may_share_memory(value, x) for x in inputs)
        return value.copy() if is_seen else value


@dataclass(slots=True)
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
    home: Home
    over: int | None

    def array(self, state: _State) -> Array:
        home = self.home
        if home.offset is not None:
            found: Array | None = state.arena.cache.get(self)
            if found is None:
                assert home.shape is not None
                found = np.ndarray(home.shape, self.node.dtype, state.arena.memory, home.offset)
                state.arena.cache[self] = found
            return found
        again: Array | None = state.values[self.slot]
        if again is not None:  # written again, with the same bits
            return again
        if self.over is not None and self.over in state.spent and home.shape is not None:
            return np.ndarray(home.shape, self.node.dtype, state.values[self.over])
        shape = home.shape
        if shape is None:
            shape = tuple(evaluate_dim(size, state.sizes) for size in self.node.shape)
        return state.memory.result(shape, self.node.dtype)


class _KernelTurn:
    def __init__(
        self, compiled: Compiled, turn: Turn, places: list[_Place], slots: Mapping[Node, int]
    ) -> None:
        self._compiled, self._places, self._room = compiled, places, turn.room
        self._slots = [slots[x] for x in compiled.nodes]
        self._is_known = turn.room is not None
        self._calls: dict[Any, KernelCall] = {}
        self.dead = [slots[x] for x in turn.dead]

    def run(self, state: _State) -> None:
        values = state.values
        for place in self._places:
            values[place.slot] = place.array(state)
        arrays = [values[slot] for slot in self._slots]
        key: Any = tuple([x.strides for x in arrays])
        if not self._is_known:
            key = key, tuple([x.shape for x in arrays]), tuple(state.sizes.items())
        call = self._calls.get(key)
        if call is None:
            call = self._prepared(key, arrays, state.sizes)
        arena = state.arena
        if not self._is_known:
            arena = state.memory.arena(self._compiled.needs(state.sizes).room or 0)
        try:
            call(arrays, arena)
        except (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError):
            self._evaluate(state)
            raise

    def _prepared(self, key: Any, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> KernelCall:
        if len(self._calls) >= _MOST_CALLS:
            self._calls.clear()
        call = self._calls[key] = KernelCall(self._compiled, arrays, sizes, self._room or 0)
        return call

    def _evaluate(self, state: _State) -> None:
        """Fail as the kernel did, one op after the other, with the user's line."""
        kernel = self._compiled.kernel
        by_node = dict(zip(self._compiled.nodes, self._slots, strict=True))
        known = [x for x in kernel.needs if x.op is not CONSTANT]
        schedule(kernel.writes, known).run([state.values[by_node[x]] for x in known])


class _CallTurn:
    def __init__(self, library: Library, turn: Turn, places: list[_Place], slots: Mapping[Node, int]) -> None:
        self._library, self._slot = library, slots[library.node]
        self._slots = [slots[x] for x in library.node.inputs]
        told = bool(places) and library.writer is not None and places[0].home.shape is not None
        self._place = places[0] if told else None
        self.dead = [slots[x] for x in turn.dead]

    def run(self, state: _State) -> None:
        values = state.values
        out = None if self._place is None else self._place.array(state)
        values[self._slot] = self._library.run([values[slot] for slot in self._slots], state.sizes, out)


_Turn: TypeAlias = _KernelTurn | _CallTurn


class Prepared:
    """The turns of a plan for one binding of sizes."""

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        sizes: Mapping[Size, int],
        kernels: Mapping[Step, Compiled],
        calls: Mapping[Step, Library],
    ) -> None:
        self.storage, self._sizes = storage, dict(sizes)
        slots = {x: n for n, x in enumerate(plan.given)}
        every = [x for turn in storage.turns for x in (*turn.step.needs, *turn.step.writes)]
        for x in (*every, *plan.results):
            slots.setdefault(x, len(slots))
        self._start: list[Any] = [None] * len(slots)
        for x, slot in slots.items():
            if x.op is CONSTANT:
                self._start[slot] = x.attrs.value  # type: ignore[union-attr]
        self._turns: list[_Turn] = []
        for turn in storage.turns:
            places = [
                _Place(slots[x], x, home, None if home.over is None else slots[home.over])
                for x, home in zip(turn.step.writes, turn.homes, strict=False)
            ]
            if isinstance(turn.step, Kernel):
                self._turns.append(_KernelTurn(kernels[turn.step], turn, places, slots))
            else:
                self._turns.append(_CallTurn(calls[turn.step], turn, places, slots))
        views = {turn.step.node for turn in storage.turns if isinstance(turn.step, View)}
        self._results = [(slots[x], x in views) for x in plan.results]

    def run(self, arrays: Sequence[Array], memory: Memory, spent: Collection[int]) -> list[Array]:
        """The results; they share memory with the arrays and with constants alone."""
        values = self._start.copy()
        values[: len(arrays)] = arrays
        arena = memory.take(self.storage.arena.size)
        state = _State(values, self._sizes.copy(), arena, memory, spent)
        try:
            with np.errstate(all="ignore"):
                for turn in self._turns:
                    turn.run(state)
                    for slot in turn.dead:
                        values[slot] = None
            return [np.array(values[slot]) if is_view else values[slot] for slot, is_view in self._results]
        finally:
            memory.give(arena)
