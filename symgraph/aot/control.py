"""Loops and branches: their turns stand in the function itself, or in a kernel that keeps carries in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from symgraph.aot.calls import Calls
from symgraph.aot.lines import OUTSIDE
from symgraph.aot.places import Place
from symgraph.codegen.carried import NUMBER, Carried, carried
from symgraph.codegen.vectorized import carries_well
from symgraph.graph.node import Node
from symgraph.ops.control import LoopAttrs
from symgraph.optimizations.cost import typical
from symgraph.optimizations.plan import Branch, Loop, Plan
from symgraph.runtime.own_native import unsaid

Add: TypeAlias = Callable[[Plan, Sequence[Place], Sequence[Place]], None]
"""Adds the steps of a plan, from arrays to the places of its results."""

_ENDLESS = (1 << 63) - 1


class Control:
    """Adds loops and branches to a function."""

    def __init__(self, calls: Calls, add: Add) -> None:
        self._calls, self._add = calls, add

    def loop(self, step: Loop, given: Sequence[Place], items: Sequence[Place]) -> None:
        """As one kernel, or turn by turn."""
        made = carried(step)
        if not isinstance(made, str) and unsaid(made.loops) is None:
            elements = prod(typical(loop.size) for loop in made.loops.rows)
            if carries_well(made.loops, self._calls.machine, elements):
                self._as_one(step, made, given, items)
                return
        self._by_turns(step, given, items)

    def _as_one(self, step: Loop, made: Carried, given: Sequence[Place], items: Sequence[Place]) -> None:
        """A loop that is one kernel, which goes forward: where the loop goes in reverse, its rows lie backwards."""
        calls, attrs = self._calls, step.node.attrs
        assert isinstance(attrs, LoopAttrs) and attrs.length is not None
        end = attrs.carries + attrs.rows
        into = {x.attrs.index: place for x, place in zip(step.items, items, strict=True)}  # type: ignore[union-attr]

        def turning(x: Place) -> Place:
            return x.backwards(0) if attrs.reverse else x

        arrays: list[Place] = []
        for n in made.reads:
            if isinstance(n, Node):
                arrays.append(calls.constant(n.attrs.value))  # type: ignore[union-attr]
            elif n == NUMBER:
                _, first = calls.array((), np.dtype(np.int64))
                start = calls.lines.word(attrs.length - 1 if attrs.reverse else 0)
                calls.lines.emit(f"store i64 {start}, ptr {calls.begin(first)}")
                arrays.append(first)
            else:
                arrays.append(turning(given[n]) if attrs.carries <= n < end else given[n])
        for n, x in enumerate(given[: attrs.carries]):
            arrays.append(into[n] if n in into else calls.array(x.shape, x.dtype)[1])
        arrays += [turning(place) for n, place in into.items() if n >= attrs.carries]
        calls.carried(made.loops, arrays, [loop.size for loop in made.loops.rows], attrs.length)

    def _by_turns(self, step: Loop, given: Sequence[Place], items: Sequence[Place]) -> None:
        """Carries have two places each, which the turns write in turn."""
        calls, lines = self._calls, self._calls.lines
        attrs = step.node.attrs
        assert isinstance(attrs, LoopAttrs)
        end, made = attrs.carries + attrs.rows, len(attrs.body.outputs)
        into = {x.attrs.index: place for x, place in zip(step.items, items, strict=True)}  # type: ignore[union-attr]
        stacked = [place for n, place in into.items() if attrs.carries <= n < made]
        number_room, number = calls.array((), np.dtype(np.int64))
        asked_room, asked = calls.array((), np.dtype(np.bool_))
        pairs = [[calls.array(x.shape, x.dtype) for _ in range(2)] for x in given[: attrs.carries]]
        kept = [number_room, asked_room, *(room for pair in pairs for room, _ in pair)]
        for x, (first, _) in zip(given, pairs, strict=False):
            calls.copy(x, first[1])
        if step.condition is not None:
            for place in stacked:
                calls.copy(calls.constant(np.zeros((), place.dtype)).spread(place.shape), place)
        pointers = [[calls.begin(place) for _, place in pair] for pair in pairs]
        rows = [(x, calls.begin(x)) for x in (*given[attrs.carries : end], *stacked)]
        length = lines.word(_ENDLESS if attrs.length is None else attrs.length)

        def carried(odd: str, other: int) -> list[Place]:
            """Where carries are in a turn, or the ``other`` of their places."""
            found = []
            for (_, (_, place)), pair in zip(pairs, pointers, strict=True):
                pointer = lines.named(f"select i1 {odd}, ptr {pair[1 - other]}, ptr {pair[other]}")
                found.append(Place.in_order(pointer, 0, place.shape, place.dtype))
            return found

        def turn(n: str, after: str) -> None:
            odd = lines.named(f"trunc i64 {n} to i1")
            if attrs.reverse:
                there = lines.named(f"sub i64 {length}, {n}")
                n = lines.named(f"sub i64 {there}, 1")
            lines.emit(f"store i64 {n}, ptr {calls.begin(number)}")
            now, then, outer = carried(odd, 0), carried(odd, 1), given[end:]
            if step.condition is not None:
                self._add(step.condition, [number, *now, *outer], [asked])
                byte = lines.named(f"load i8, ptr {calls.begin(asked)}")
                bit, more = lines.named(f"icmp ne i8 {byte}, 0"), lines.label("more")
                lines.emit(f"br i1 {bit}, label %{more}, label %{after}")
                lines.begin(more)
            here = [x.row(self._moved(begin, n, x.strides[0])) for x, begin in rows]
            through, written = here[: attrs.rows], here[attrs.rows :]
            self._add(step.body, [number, *now, *through, *outer], [*then, *written])

        with lines.inside():
            turns = lines.loop(length, turn)
        last = carried(lines.named(f"trunc i64 {turns} to i1"), 0)
        for n, place in into.items():
            if n < attrs.carries:
                calls.copy(last[n], place)
            elif n == made:
                lines.emit(f"store i64 {turns}, ptr {calls.begin(place)}")
        for room in kept:
            room.last = calls.rooms.now

    def branch(self, step: Branch, given: Sequence[Place], items: Sequence[Place]) -> None:
        """One of some plans."""
        calls, lines = self._calls, self._calls.lines
        chosen, after = lines.named(f"load i64, ptr {calls.begin(given[0])}"), lines.label("after")
        labels = [lines.label("branch") for _ in step.branches]
        cases = " ".join(f"i64 {n}, label %{label}" for n, label in enumerate(labels))
        lines.emit(f"switch i64 {chosen}, label %{OUTSIDE} [ {cases} ]")
        for label, each in zip(labels, step.branches, strict=True):
            lines.begin(label)
            with lines.inside():
                self._add(each, given[1:], items)
            lines.emit(f"br label %{after}")
        lines.begin(after)

    def _moved(self, begin: str, number: str, step: Any) -> str:
        lines = self._calls.lines
        return lines.named(
            f"getelementptr i8, ptr {begin}, i64 {lines.named(f'mul i64 {number}, {lines.word(step)}')}"
        )
