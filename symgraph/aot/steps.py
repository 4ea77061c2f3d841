"""The steps of a plan, one after the other, in memory whose places may follow from sizes at the call."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from symgraph.aot.calls import Calls, refused
from symgraph.aot.control import Control
from symgraph.aot.places import Place, seen
from symgraph.aot.products import Blas, product
from symgraph.aot.rooms import Room
from symgraph.codegen.llvm_gather import combines, print_move
from symgraph.codegen.lower import arrays_of, lower
from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import Dim, dim_min, symbol
from symgraph.graph.graph import graph
from symgraph.graph.node import Node, type_symbols
from symgraph.graph.op import CONSTANT, SIZE, placeholder
from symgraph.graph.types import INT64
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.create import iota
from symgraph.ops.declare import cast_to
from symgraph.ops.index import index
from symgraph.ops.join import concat, pad
from symgraph.ops.keys import Gather, Item, NewAxis, Slice
from symgraph.ops.scan import shift
from symgraph.ops.shape import reshape, squeeze
from symgraph.ops.update import update
from symgraph.optimizations.lives import IN_ORDER
from symgraph.optimizations.plan import Branch, Kernel, Loop, Plan, Step, View, plan
from symgraph.optimizations.several import with_several
from symgraph.runtime.native_gather import read_at, written_at
from symgraph.runtime.native_linalg import gives_several, is_linalg
from symgraph.runtime.native_product import is_product
from symgraph.runtime.native_recurrence import is_recurrence
from symgraph.runtime.picked import from_front, picks


class Steps:
    """Adds the steps of plans to a function."""

    def __init__(self, calls: Calls, blas: Blas) -> None:
        self.calls, self._blas = calls, blas
        self._control = Control(calls, self.add)

    def add(self, made: Plan, given: Sequence[Place], results: Sequence[Place]) -> None:
        """The steps of a plan, from arrays to the places of its results, which lie in order."""
        made, rooms = with_several(made, gives_several), self.calls.rooms
        places = dict(zip(made.given, given, strict=True))
        own: dict[Node, Room] = {}
        views = {step.node for step in made.steps if isinstance(step, View)}
        homes = _homes(made, results, views)
        last = _last_read(made, views)
        for n, step in enumerate(made.steps):
            rooms.now += 1
            read = [self._place(x, places) for x in step.needs]
            if isinstance(step, View):
                places[step.node] = self._view(step.node, read[0])
            else:
                _check(step)
                for x in step.writes:
                    if x in homes:
                        places[x] = homes[x]
                    else:
                        own[x], places[x] = self.calls.array(x.shape, x.dtype)
                self._step(step, places)
            for x in last.get(n, ()):
                if x in own:
                    own[x].last = rooms.now
        rooms.now += 1
        for x, target in zip(made.results, results, strict=True):
            place = self._place(x, places)
            if place != target and not (place.pointer == target.pointer and place.offset == target.offset):
                self.calls.copy(place, target)
        for x in made.results:
            base = _base(x, views)
            if base in own:
                own[base].last = rooms.now

    def _place(self, x: Node, places: dict[Node, Place]) -> Place:
        if x not in places:
            assert x.op is CONSTANT, x
            places[x] = self.calls.constant(x.attrs.value)  # type: ignore[union-attr]
        return places[x]

    def _step(self, step: Step, places: dict[Node, Place]) -> None:
        calls = self.calls
        if isinstance(step, Kernel):
            calls.kernel(step, [self._place(x, places) for x in (*arrays_of(step), *step.writes)])
            return
        node = step.node
        given = [self._place(x, places) for x in node.inputs]
        if isinstance(step, Loop):
            self._control.loop(step, given, [places[x] for x in step.items])
        elif isinstance(step, Branch):
            self._control.branch(step, given, [places[x] for x in step.items])
        elif is_product(step):
            product(calls, given[0], given[1], places[node], self._blas)
        elif is_recurrence(step):
            calls.recurrence(node, [*given, places[node]])
        elif is_linalg(step):
            calls.factorization(step, [*given, *(places[x] for x in step.writes)])
        elif picks(step, combines):
            self._pick(node, given, places[node])
        elif node.op is concat.op:
            self._joined(node, given, places[node])
        elif node.op is pad.op:
            self._padded(node, given, places[node])
        elif node.op is shift.op:
            self._shifted(node, given[0], places[node])
        elif node.op is reshape.op:
            calls.lines.require_equal(prod(given[0].shape), prod(node.shape))
            out = places[node]
            calls.copy(given[0], Place.in_order(out.pointer, out.offset, given[0].shape, out.dtype))
        elif node.op is iota.op:
            self._count(node, places[node])
        else:
            assert node.op is SIZE
            word = calls.lines.word(node.attrs.size)  # type: ignore[union-attr]
            calls.lines.emit(f"store i64 {word}, ptr {calls.begin(places[node])}")

    def _view(self, node: Node, x: Place) -> Place:
        lines, attrs = self.calls.lines, node.attrs
        if node.op is index.op:
            self._check_items(attrs.items, x)  # type: ignore[union-attr]
        elif node.op is broadcast_to.op:
            for own, size in zip(x.shape[::-1], node.shape[::-1], strict=False):
                if own != 1:
                    lines.require_equal((own - size) * dim_min(own - 1, 1), 0)
        elif node.op is reshape.op:
            lines.require_equal(prod(x.shape), prod(node.shape))
        elif node.op is squeeze.op:
            for axis in attrs.axes:  # type: ignore[union-attr]
                lines.require_equal(x.shape[axis], 1)
        return seen(node, x)

    def _check_items(self, items: Sequence[Item], x: Place) -> None:
        """One place of an axis has to be there."""
        sizes = iter(x.shape)
        for item in items:
            if isinstance(item, NewAxis):
                continue
            size = next(sizes)
            if not isinstance(item, Slice | Gather):
                place: Dim = from_front(item, size)
                self.calls.lines.require_least(dim_min(place, size - 1 - place), 0)

    def _pick(self, node: Node, given: Sequence[Place], out: Place) -> None:
        """Reads and writes by arrays of indices."""
        attrs: Any = node.attrs
        self._check_items(attrs.items, given[0])
        if node.op is update.op:
            x, value, *indices = given
            move, tail, turns = written_at(node.row, x, value, indices, out, attrs.items, attrs.mode)
        else:
            x, *indices = given
            move, tail, turns = read_at(node.row, x, indices, out, attrs.items)
        checked = ["%trouble"] if move.indices else []
        table: list[str | Dim] = [*map(self.calls.begin, (*given, out)), "null", *tail, *checked]
        self.calls.call(print_move(move, self.calls.machine), table, turns)
        if checked:
            self.calls.look()

    def _joined(self, node: Node, given: Sequence[Place], out: Place) -> None:
        axis: int = node.attrs.axis  # type: ignore[union-attr]
        begin: Dim = 0
        for x in given:
            for n, (a, b) in enumerate(zip(x.shape, out.shape, strict=True)):
                if n != axis:
                    self.calls.lines.require_equal(a, b)
            self.calls.copy(x, out.part(axis, begin, x.shape[axis]))
            begin = begin + x.shape[axis]

    def _padded(self, node: Node, given: Sequence[Place], out: Place) -> None:
        """The margins one axis after the other, so that nothing is written twice; then what is inside."""
        x, value = given
        inside = out
        for axis, (before, after) in enumerate(node.attrs.widths):  # type: ignore[union-attr]
            for width in (before, after):
                self.calls.lines.require_least(width, 0)
            size = x.shape[axis]
            for begin, width in ((0, before), (before + size, after)):
                if width != 0:
                    part = inside.part(axis, begin, width)
                    self.calls.copy(value.spread(part.shape), part)
            inside = inside.part(axis, before, size)
        self.calls.copy(x, inside)

    def _shifted(self, node: Node, x: Place, out: Place) -> None:
        attrs: Any = node.attrs
        size = x.shape[attrs.axis]
        lost = dim_min(abs(attrs.by), size)
        left, first = size - lost, attrs.by > 0
        zero = self.calls.constant(np.zeros((), out.dtype))
        margin = out.part(attrs.axis, 0 if first else left, lost)
        self.calls.copy(zero.spread(margin.shape), margin)
        source = x.part(attrs.axis, 0 if first else lost, left)
        self.calls.copy(source, out.part(attrs.axis, lost if first else 0, left))

    def _count(self, node: Node, out: Place) -> None:
        """0, 1, 2, … as 64-bit integers, and those as numbers of another dtype."""
        calls, lines, count = self.calls, self.calls.lines, out
        if node.row is not INT64:
            _, count = calls.array(out.shape, INT64.numpy)
        begin = calls.begin(count)

        def turn(number: str, _: str) -> None:
            lines.emit(
                f"store i64 {number}, ptr {lines.named(f'getelementptr i64, ptr {begin}, i64 {number}')}"
            )

        lines.loop(lines.word(out.shape[0]), turn)
        if count is not out:
            x = placeholder(INT64, ("n",), name="x")
            (kernel,) = plan(graph([x], [cast_to(x, node.row)])).kernels
            known = {symbol("n"): out.shape[0]}
            rows = [substitute_dim(size, known) for size in kernel.rows.values()]
            calls.loops(lower(kernel), [count, out], rows, [], [node])


_PLAIN = frozenset({concat.op, pad.op, reshape.op, shift.op, iota.op, SIZE})


def _check(step: Step) -> None:
    """Raises DeviceError for what has no machine code."""
    for x in step.writes:
        if any(size.source is not None for size in type_symbols(x.type)):
            raise refused(f"the size of what {x.op.name} gives follows from data", [x])
    if isinstance(step, Kernel | Loop | Branch) or step.node.op in _PLAIN:
        return
    if not (is_product(step) or is_recurrence(step) or is_linalg(step) or picks(step, combines)):
        raise refused(f"{step.node.op.name} is computed by a library of Python's", [step.node])


def _base(x: Node, views: set[Node]) -> Node:
    while x in views:
        x = x.inputs[0]
    return x


def _homes(made: Plan, results: Sequence[Place], views: set[Node]) -> dict[Node, Place]:
    """Which values are written to the place of a result at once: a result, or what is one in another shape."""
    written = {x for step in made.steps if not isinstance(step, View) for x in step.writes}
    found: dict[Node, Place] = {}
    for x, target in zip(made.results, results, strict=True):
        if x in written:
            found.setdefault(x, target)
    for x, target in zip(made.results, results, strict=True):
        base = x
        while base in views and base.op in IN_ORDER:
            base = base.inputs[0]
        if base in written and base not in found:
            found[base] = Place.in_order(target.pointer, target.offset, base.shape, target.dtype)
    return found


def _last_read(made: Plan, views: set[Node]) -> dict[int, list[Node]]:
    """The values that no step after one reads, by its number."""
    last = {_base(x, views): n for n, step in enumerate(made.steps) for x in step.needs}
    found: dict[int, list[Node]] = {}
    for x, n in last.items():
        found.setdefault(n, []).append(x)
    return found
