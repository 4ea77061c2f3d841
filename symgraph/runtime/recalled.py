"""Programs that another process ran: known by what they compute, and run without being planned.

What was planned is on disk as a recipe for each shape of arguments (`recipes.py`), with the machine code of its steps.
Where there is none, or none that can be taken, a program is planned as if this file were not there.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from symgraph.graph.collector import paused
from symgraph.graph.digest import Unsaid, constants, in_bytes, said
from symgraph.graph.graph import Graph
from symgraph.ops.own_op import is_ours
from symgraph.options import Options
from symgraph.runtime import elf
from symgraph.runtime.cache import Cache, digest
from symgraph.runtime.code import Function, Unit, code
from symgraph.runtime.entry import Answer, State, Step, Watched, called, get_ready, is_ready
from symgraph.runtime.fields import begin_of, lie_as_expected
from symgraph.runtime.identity import identity, is_unchanged
from symgraph.runtime.kept import Kept, lies_in_order
from symgraph.runtime.memory import Memory
from symgraph.runtime.panels import Weight
from symgraph.runtime.recipes import Recipe, numbered, placed, read, written

Array = np.ndarray[Any, Any]
Keep: TypeAlias = Callable[[Recipe, Sequence[Function]], None]
"""What becomes of a recipe and the functions in it."""

_OFTEN = 3
"""From the how manieth call on better code is worth its time."""
_MOST = 16
"""Shapes for which a program looks."""


class Shelf:
    """The recipes of one program."""

    def __init__(self, key: str, program: Graph, disk: Cache) -> None:
        self._key, self._disk = key, disk
        self._constants = [node.attrs.value for node in constants(program)]  # type: ignore[union-attr]
        self._recalled: dict[tuple[tuple[int, ...], ...], Recalled | None] = {}
        self.updates: Sequence[int] | None = self._known(len(program.updates))
        """Which updates of the program are left when it is planned; None where no process told of that."""
        self.is_known = self.updates is not None
        """Whether another process ran it."""

    def run(self, arrays: Sequence[Array]) -> list[Array] | None:
        """The results of a call by a recipe; None where there is none, or it cannot be followed."""
        known = self.recalled(arrays)
        return None if known is None else known.run(arrays)

    def recalled(self, arrays: Sequence[Array]) -> Recalled | None:
        """What runs calls with arrays of these shapes, if there is a recipe for them."""
        if not self.is_known:
            return None
        shapes = tuple([x.shape for x in arrays])
        if shapes not in self._recalled:
            if len(self._recalled) >= _MOST:
                return None
            with paused():
                self._recalled[shapes] = self._look(shapes)
        return self._recalled[shapes]

    def keep(self, recipe: Recipe, functions: Sequence[Function]) -> None:
        """A recipe goes to disk once there is nothing else to do, with the code that its functions have then."""
        code().at_leisure(lambda: self._write(recipe, functions))

    def _write(self, recipe: Recipe, functions: Sequence[Function]) -> None:
        get_ready(parts=any(row.chunk < row.turns for row in recipe.rows))
        units = code().units(functions)  # a disk that took no code will take no recipe
        content = written(recipe, units, self._constants) if units is not None else None
        if content is not None and self.updates is not None and is_unchanged():
            self._disk.put(self._name([form.shape for form in recipe.arguments]), content)
            self._disk.put(self._key, marshal.dumps(tuple(self.updates)))

    def _look(self, shapes: Sequence[tuple[int, ...]]) -> Recalled | None:
        content = self._disk.get(self._name(shapes))
        known = read(content, self._constants) if content is not None else None
        if known is None or not is_ready():
            return None
        recipe, units = known
        try:
            return Recalled(recipe, units, self.keep)
        except elf.NotLoaded:
            return None

    def _known(self, count: int) -> Sequence[int] | None:
        """What a process has told of so many updates."""
        content = self._disk.get(self._key)
        if content is None:
            return None
        try:
            left = marshal.loads(content)
            return left if left == tuple(n for n in range(count) if n in left) else None
        except (ValueError, TypeError, EOFError):
            return None

    def _name(self, shapes: Sequence[tuple[int, ...]]) -> str:
        return f"{self._key} {list(shapes)}"


def shelf(program: Graph, options: Options, place: Path) -> Shelf | None:
    """Where the recipes of a program are, of those in a folder; None where it cannot be told from another."""
    if not elf.is_known() or not lie_as_expected():
        return None
    try:
        content = said(program, is_ours)
    except Unsaid:
        return None
    threads = options.threads or len(os.sched_getaffinity(0))
    decided = (identity(), content, options.fast_math, options.flushes, options.memory_limit, threads)
    return Shelf(f"recipes {digest(in_bytes(decided)).hex()}", program, Cache(place))


class Recalled:
    """Calls by a recipe. Raises NotLoaded where its code is none that can be loaded."""

    def __init__(self, recipe: Recipe, units: Sequence[Unit], keep: Keep) -> None:
        self._recipe, self._keep = recipe, keep
        self._is_best = all(unit.is_best for unit in units)
        self._functions = {function.name: function for function in code().adopted(units)}
        self._weights = [Weight() for _ in recipe.packed]
        self._free: list[tuple[Callable[..., Any], State]] = []
        self._runs = 0
        named = {*(row.function for row in recipe.rows), *(x.function for x in recipe.packed)}
        if not named <= self._functions.keys():
            raise elf.NotLoaded("a function is missing")

    def run(self, arrays: Sequence[Array]) -> list[Array] | None:
        """The results; None where the arrays do not lie as they have to, where a weight changes often, and where the
        call failed."""
        ready = self._ready(arrays)
        if ready is None:
            return None
        self._runs += 1
        if self._runs == _OFTEN:
            self.often()
        call, _ = ready
        results: tuple[Array, ...] | None = call(*arrays)
        self._free.append(ready)
        return None if results is None else list(results)

    def _ready(self, arrays: Sequence[Array]) -> tuple[Callable[..., Any], State] | None:
        """What nobody else calls, for these weights."""
        try:
            call, state = self._free.pop()
            if state.fits(arrays):
                return call, state
        except IndexError:
            pass
        with paused():
            made = self.state(Kept(), Answer(), arrays)
            return None if made is None else (called(made, _not_so), made)

    def state(self, kept: Kept, answer: Answer, arrays: Sequence[Array]) -> State | None:
        """What `entry.ll` needs for such calls; None where a weight changes often, or lies otherwise."""
        recipe, trouble = self._recipe, np.zeros(1, np.int64)
        arena = Memory().arena(recipe.arena)
        sources = [*arrays, *recipe.constants]
        if not all(lies_in_order(sources[x.slot]) for x in recipe.packed):
            return None
        every = zip(recipe.packed, self._weights, strict=True)
        made = [w.panels(self._functions[x.function], sources[x.slot], x.lying) for x, w in every]
        panels = [each for each in made if each is not None]
        if len(panels) < len(made):
            return None
        begins = numbered(
            arena.begin,
            begin_of(trouble),
            map(begin_of, recipe.constants),
            (begin_of(x.memory) for x in panels),
        )
        steps = [
            Step(
                self._functions[row.function],
                [placed(table, begins) for table in row.tables],
                row.slots,
                row.turns,
                row.chunk,
            )
            for row in recipe.rows
        ]
        asked = recipe.arguments[: len(recipe.arguments) - len(kept.read)]
        alive = [arena, recipe.constants, panels]
        watched = [
            Watched(x.slot, sources[x.slot], weight)
            for x, weight in zip(recipe.packed, self._weights, strict=True)
            if x.slot < len(arrays)
        ]
        return State(
            asked,
            recipe.results,
            steps,
            alive,
            kept,
            answer,
            trouble=trouble,
            heavy=recipe.heavy,
            watched=watched,
        )

    def often(self) -> None:
        """Better code is worth its time."""
        if not self._is_best:
            self._is_best = True
            functions = list(self._functions.values())
            code().improve(functions)
            self._keep(self._recipe, functions)


def _not_so(*_: object) -> None:
    """What a call does that no state fits."""
