"""A plan as machine code; the kernels that it cannot say are functions of NumPy calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from symgraph.codegen.llvm_printer import Native, module
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.optimizations.plan import Branch, Call, Kernel, Loop, Plan, Step, View
from symgraph.optimizations.several import with_several
from symgraph.optimizations.step_cost import step_cost
from symgraph.options import DEFAULT
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import assembly, host
from symgraph.runtime.entry import Answer, Called, Form, State, Watched
from symgraph.runtime.entry import Step as NativeStep
from symgraph.runtime.fields import begin_of
from symgraph.runtime.kept import Kept
from symgraph.runtime.memory import Arena, Memory
from symgraph.runtime.native import NativeCall, NativeKernel
from symgraph.runtime.native_carried import NativeCarried, native_carried
from symgraph.runtime.native_gather import NativeGather, is_gather
from symgraph.runtime.native_inner import InnerCall, NativeBranch, NativeLoop, native_inner
from symgraph.runtime.native_joins import NativeJoin, is_join
from symgraph.runtime.native_linalg import NativeLinalg, gives_several, is_linalg
from symgraph.runtime.native_product import NativeProduct, WeightCall, is_product
from symgraph.runtime.native_recurrence import NativeRecurrence, is_recurrence
from symgraph.runtime.native_words import place_of
from symgraph.runtime.own_native import unsaid
from symgraph.runtime.pool import processors
from symgraph.runtime.prepared import KernelCall, KernelCode, KernelTurn, Prepared, Rehearsal
from symgraph.runtime.program import PlanProgram
from symgraph.runtime.recipes import Recipe
from symgraph.runtime.recording import recipe_of

Array = np.ndarray[Any, Any]
_Native: TypeAlias = NativeKernel | NativeProduct | NativeGather | NativeLinalg
_Inner: TypeAlias = NativeLoop | NativeBranch | NativeCarried | NativeJoin | NativeRecurrence


_HEAVY = 20_000.0
"""Nanoseconds of work from which on other threads of Python run meanwhile."""


_MOST_KEPT = 16
"""For so many shapes of arguments other processes are told what a call does."""
_MOST = 1 << 22
"""Bytes of an arena, or of a result, that are kept for calls with arguments of one shape."""


class NativeProgram(PlanProgram):
    """A plan whose kernels are machine code."""

    language = "machine code"

    def __init__(
        self,
        plan: Plan,
        memory: Memory | None = None,
        *,
        donated: Collection[Node] = (),
        limit: int | None = None,
        threads: int | None = None,
        is_part: bool = False,
        flushes: bool = False,
        steady: Collection[Node] = (),
        keep: Callable[[Recipe, Sequence[Function]], None] | None = None,
    ) -> None:
        """It ``flushes`` if its functions may take denormal numbers as 0. What is ``steady`` is given the same array in
        many calls, and that is never written."""
        self._machine = machine = replace(host(), flushes=flushes)
        self._keep, self._left_to_keep = keep, _MOST_KEPT
        self._recipes: WeakKeyDictionary[Prepared, Recipe] = WeakKeyDictionary()
        self._threads = threads = threads or processors()
        plan = with_several(plan, gives_several)
        codes: dict[Step, KernelCode] = {}
        left: dict[Kernel, str] = {}
        weights = _weights(plan, steady) if limit is None else ()
        for step in plan.steps:
            if isinstance(step, Kernel):
                made = NativeKernel(step, threads, machine)
                codes[step] = made
                if (why := unsaid(made.loops)) is not None:
                    codes[step], left[step] = _of_numpy(step), why
            elif isinstance(step, Call) and is_product(step):
                codes[step] = NativeProduct(step, threads, machine, is_weight=step.node.inputs[1] in weights)
            elif isinstance(step, Call) and is_gather(step):
                codes[step] = NativeGather(step, threads, machine)
            elif isinstance(step, Call) and is_join(step):
                codes[step] = NativeJoin(step)
            elif isinstance(step, Call) and is_recurrence(step):
                codes[step] = NativeRecurrence(step, machine)
            elif isinstance(step, Call) and is_linalg(step):
                codes[step] = NativeLinalg(step, threads, machine)
        super().__init__(plan, codes, memory, left=left, donated=donated, limit=limit, is_part=is_part)

    def part(self, plan: Plan) -> NativeProgram:
        return NativeProgram(plan, threads=self._threads, is_part=True, flushes=self._machine.flushes)

    def get_ready(self, prepared: Prepared, arrays: Sequence[Array]) -> None:
        """All kernels are compiled together."""
        arena = self._memory.take(prepared.storage.arena.size)
        alike = self._alike(prepared, arrays)
        rehearsal = prepared.rehearsed(arrays if alike is None else alike, arena)
        sizes = prepared.sizes
        turns = [
            (turn, turn.made, given)
            for turn, given in rehearsal.turns
            if isinstance(turn, KernelTurn) and isinstance(turn.made, _Native)
        ]
        natives = [made.printed_for(given, sizes) for _, made, given in turns]
        code().functions([native for native in natives if native is not None])
        for turn, _, given in turns:
            turn.get_ready(given, sizes)
        self._memory.give(arena)
        results = rehearsal.results
        if alike is not None and results is not None and all(x.nbytes <= _MOST for x in results):
            self._left_to_keep -= 1
            record = partial(self._record, prepared, rehearsal, alike, arena.memory)
            if sum(x.nbytes for x in alike) > _MOST:  # too much to hold for a while
                record()
            else:
                code().at_leisure(record)

    def _record(self, prepared: Prepared, rehearsal: Rehearsal, given: Sequence[Array], arena: Array) -> None:
        """Tell other processes what a call does with arrays that lie as those given to a rehearsal."""
        recipe = recipe_of(prepared, rehearsal, given, arena, heavy=_is_heavy(prepared))
        if recipe is not None and self._keep is not None:
            self._recipes[prepared] = recipe
            self._keep(recipe, self._functions_of(recipe))

    def _alike(self, prepared: Prepared, arrays: Sequence[Array]) -> list[Array] | None:
        """New arrays that lie as these do, which another process may be given; None where nothing is kept of a call, or
        some do not lie in order."""
        is_kept = self._keep is not None and not self.donated and self._left_to_keep > 0
        if not is_kept or prepared.storage.arena.size > _MOST:
            return None
        try:
            alike = [np.empty(x.shape, x.dtype) for x in arrays]
        except MemoryError:
            return None
        pairs = zip(alike, arrays, strict=True)
        return alike if all(a.strides == x.strides and x.flags.aligned for a, x in pairs) else None

    def _functions_of(self, recipe: Recipe) -> list[Function]:
        names = {row.function for row in recipe.rows}
        return [function for function in self.functions() if function.name in names]

    def often(self, prepared: Prepared) -> None:
        """Better code is worth its time."""
        code().improve(list(self.functions()))
        recipe = self._recipes.pop(prepared, None)
        if recipe is not None and self._keep is not None:
            self._keep(recipe, self._functions_of(recipe))

    def functions(self) -> set[Function]:
        """What was compiled, of parts too."""
        made = [each for each in self.codes.values() if isinstance(each, _Native | _Inner)]
        return {function for each in made for function in each.functions}

    def state(self, arrays: Sequence[Array], kept: Kept, answer: Answer) -> State | None:
        """What `entry.ll` needs for calls with such arrays, the last of them those that ``kept`` reads; None
        where steps make arrays that nobody knows before. It has an arena of its own, so there is none where that is
        large; nor where a result is so large that its memory is better taken from another that was dropped."""
        prepared = self.prepared(arrays)
        if self.donated or prepared.storage.arena.size > _MOST:
            return None
        given = [np.empty(x.shape, x.dtype) for x in arrays]
        arena = Memory().arena(prepared.storage.arena.size)
        rehearsal = prepared.rehearsed(given, arena)
        results = rehearsal.results
        if results is None or any(x.nbytes > _MOST for x in results):
            return None
        trouble = np.zeros(1, np.int64)
        steps: list[NativeStep | Called] = []
        watched: list[Watched] = []
        alive: list[object] = [rehearsal, arena]
        for turn, lying in rehearsal.turns:
            call = turn.call(lying, prepared.sizes)
            places = [place_of(x, [*given, *results]) for x in lying]
            if isinstance(call, WeightCall):
                place, weight = places[1], call.weight
                call, lying, panels = call.on(lying, None if place is None else (arrays[place[0]], place[1]))
                if panels is not None:
                    places[1] = None
                    alive.append(panels)
                    if place is not None:
                        watched.append(Watched(place[0], panels.source, weight))
            if isinstance(call, NativeCall | InnerCall) and not call.fails:
                tables = call.tables([*map(begin_of, lying)], arena, begin_of(trouble))
                slots = [(call.first + n, *place) for n, place in enumerate(places) if place is not None]
                steps.append(NativeStep(call.function, tables, slots, call.turns, call.chunk))
            else:
                steps.append(_called(call, lying, places, arena))
        asked = given[: len(given) - len(kept.read)]
        self.often(prepared)  # what is called so will not be counted
        arguments, made = ([Form(x.shape, x.dtype) for x in each] for each in (asked, results))
        heavy = _is_heavy(prepared)
        return State(
            arguments, made, steps, alive, kept, answer, trouble=trouble, heavy=heavy, watched=watched
        )

    def text(self) -> str:
        """The module of all functions, as they are or will be for arrays in order."""
        natives = {native.name: native for native in self.natives()}
        return module(list(natives.values()), host())

    def natives(self) -> list[Native]:
        """The functions of all steps, and of those of parts."""
        made = [each for each in self.codes.values() if isinstance(each, _Native | _Inner)]
        return [native for each in made for native in each.texts()]

    def _inner(self, step: Loop | Branch) -> KernelCode:
        turns = partial(native_inner, self, step)
        one = native_carried(step, self._threads, turns, self._machine) if isinstance(step, Loop) else None
        return one or turns()

    def assembly(self) -> str:
        return assembly(self.text())


def _weights(plan: Plan, steady: Collection[Node]) -> set[Node]:
    """What is steady, constants, and views of them."""
    found = {*steady, *(x for step in plan.steps for x in step.needs if x.op is CONSTANT)}
    for step in plan.steps:
        if isinstance(step, View) and step.node.inputs[0] in found:
            found.add(step.node)
    return found


def _is_heavy(prepared: Prepared) -> bool:
    cost = 0.0
    for turn in prepared.storage.turns:
        cost += step_cost(turn.step, prepared.sizes)
        if cost > _HEAVY:  # and whatever comes after
            return True
    return False


def _of_numpy(kernel: Kernel) -> KernelCode:
    """Loops of NumPy calls."""
    from symgraph.runtime.kernel import Compiled

    return Compiled(kernel, DEFAULT.block)


def _called(
    call: KernelCall, lying: Sequence[Array], places: Sequence[tuple[int, int] | None], arena: Arena
) -> Called:
    """A step in Python, on arrays that lie as these do in what a call is given and makes."""

    def run(*objects: Array) -> None:
        arrays = [
            x if place is None else np.ndarray(x.shape, x.dtype, objects[place[0]], place[1], x.strides)
            for x, place in zip(lying, places, strict=True)
        ]
        with np.errstate(all="ignore"):
            call(arrays, arena)

    return run
