"""Calls of machine code on arrays whose sizes may be known only when they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from symgraph.aot.constants import Constants
from symgraph.aot.lines import OUTSIDE, Lines
from symgraph.aot.places import Place
from symgraph.aot.rooms import Room, Rooms
from symgraph.codegen.layout import is_upright
from symgraph.codegen.llvm_factorizations import print_factorization, room
from symgraph.codegen.llvm_printer import Native, print_native
from symgraph.codegen.loops import LoopKernel, Reduce, statements
from symgraph.codegen.lower import lower, updated_by
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectorized import room_of
from symgraph.errors import DeviceError
from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import Dim, Size, symbol
from symgraph.graph.node import Node, located
from symgraph.graph.types import dtype
from symgraph.optimizations.groups import EXTREMES
from symgraph.optimizations.plan import Call, Kernel
from symgraph.runtime.native_copies import copier
from symgraph.runtime.native_linalg import factored
from symgraph.runtime.native_recurrence import kernel_of
from symgraph.runtime.nests import arranged, carrying
from symgraph.runtime.own_native import unsaid


class Calls:
    """Adds calls to a function, and collects the machine code and the constants that they need.

    Lines know the pointers ``%memory``, to what steps leave to each other; ``%table``, to the words that machine code
    reads; and ``%trouble``, to the word that is not 0 once an index was out of bounds or a matrix had no result.
    """

    def __init__(self, lines: Lines, rooms: Rooms, machine: Machine) -> None:
        self.lines, self.rooms, self.machine = lines, rooms, machine
        self.natives: dict[str, Native] = {}
        self.declared: set[str] = set()
        self.words = 0
        """Of the longest table."""
        self.constants = Constants()

    # Memory

    def array(self, shape: Sequence[Dim], numbers: np.dtype[Any]) -> tuple[Room, Place]:
        """Memory for an array in order."""
        room = self.rooms.take(numbers.itemsize * prod(shape))
        return room, Place.in_order("%memory", room.at, shape, numbers)

    def constant(self, value: np.ndarray[Any, Any]) -> Place:
        """An array that is part of the library."""
        return Place.in_order(self.constants.add(value.tobytes()), 0, value.shape, value.dtype)

    def at(self, pointer: str, offset: Dim) -> str:
        """The pointer so many bytes further on."""
        if isinstance(offset, int) and offset == 0:
            return pointer
        return self.lines.named(f"getelementptr i8, ptr {pointer}, i64 {self.lines.word(offset)}")

    def begin(self, x: Place) -> str:
        """The pointer to the first element."""
        return self.at(x.pointer, x.offset)

    # Machine code

    def call(self, native: Native, table: Iterable[str | Dim], turns: Dim) -> None:
        """A function of machine code for a table of words, which are pointers or numbers."""
        words = list(table)
        self.natives[native.name] = native
        self.words = max(self.words, len(words))
        for n, word in enumerate(words):
            at = self.lines.named(f"getelementptr i64, ptr %table, i64 {n}")
            kind, text = ("ptr", word) if isinstance(word, str) else ("i64", self.lines.word(word))
            self.lines.emit(f"store {kind} {text}, ptr {at}")
        self.lines.emit(f"call void @{native.name}(ptr %table, i64 0, i64 {self.lines.word(turns)})")

    def look(self) -> None:
        """End here if there was trouble."""
        found, well = self.lines.named("load i64, ptr %trouble"), self.lines.label("well")
        is_well = self.lines.named(f"icmp eq i64 {found}, 0")
        self.lines.emit(f"br i1 {is_well}, label %{well}, label %{OUTSIDE}")
        self.lines.begin(well)

    def kernel(self, step: Kernel, arrays: Sequence[Place]) -> None:
        """A kernel on what it reads and what it writes."""
        rows, columns = tuple(step.rows.values()), tuple(step.columns.values())
        self.loops(lower(step), arrays, rows, columns, step.nodes, updated=updated_by(step))

    def loops(
        self,
        loops: LoopKernel,
        arrays: Sequence[Place],
        rows: Sequence[Any],
        columns: Sequence[Any],
        nodes: Sequence[Node] = (),
        *,
        updated: frozenset[int] = frozenset(),
    ) -> None:
        """The loops of a kernel, that computes some nodes; ``updated`` as `print_native` has it."""
        if (why := unsaid(loops)) is not None:
            raise refused(f"there is no machine code for {why}", nodes)
        if any(isinstance(x, Reduce) and x.op in EXTREMES for x, _, _ in statements(loops)):
            self.lines.require_least(prod(columns), 1)
        layout, turns, steps = arranged(loops, _named(loops, arrays), rows, columns)
        size = room_of(loops, self.machine, upright=is_upright(loops)).bytes(prod(columns))
        table: list[str | Dim] = [*map(self.begin, arrays), self.own(size), *turns, *chain(*steps)]
        native = print_native(loops, layout, self.machine, updated=updated)
        self.call(native, table, turns[0] if layout.rows else 1)

    def recurrence(self, node: Node, arrays: Sequence[Place]) -> None:
        """A step that goes along an axis, on what it reads and what it writes."""
        loops, attrs = kernel_of(node), node.attrs
        axis: int = attrs.axis  # type: ignore[union-attr]
        for x in arrays[:-1]:
            for own, size in zip(x.shape, node.shape, strict=True):
                self.lines.require_equal(own, size)
        if attrs.reverse:  # type: ignore[union-attr]
            arrays = [x.backwards(axis) for x in arrays]
        rows = [*node.shape[:axis], *node.shape[axis + 1 :]] or [1]
        self.carried(loops, arrays, rows, node.shape[axis])

    def carried(self, loops: LoopKernel, arrays: Sequence[Place], rows: Sequence[Any], turns: Any) -> None:
        """A kernel whose one sweep carries something from each turn to the next."""
        if (why := unsaid(loops)) is not None:
            raise refused(f"there is no machine code for {why}", ())
        layout, sizes, steps = carrying(loops, _named(loops, arrays), rows, turns, self.machine)
        table: list[str | Dim] = [*map(self.begin, arrays), "null", *sizes, *chain(*steps)]
        self.call(print_native(loops, layout, self.machine), table, sizes[0])

    def factorization(self, step: Call, arrays: Sequence[Place]) -> None:
        """A step that factors matrices or solves systems with them, on what it reads and what it writes."""
        form, tail, turns = factored(step, arrays)
        n, m = tail[:2]
        for x in arrays[: form.read]:
            self.lines.require_equal(x.shape[-2], n)
        checked = ["%trouble"] if form.checks else []
        own = self.own(room(form, n, m, self.machine))
        table: list[str | Dim] = [*map(self.begin, arrays), own, *tail, *checked]
        self.call(print_factorization(form, self.machine), table, turns)
        if checked:
            self.look()

    def own(self, size: Dim) -> str:
        """The pointer to memory of one step alone."""
        return "null" if isinstance(size, int) and size == 0 else self.at("%memory", self.rooms.take(size).at)

    def copy(self, x: Place, y: Place) -> None:
        """The elements of one array to another of the same shape."""
        made = copier(dtype(x.dtype), len(x.shape))
        known: Mapping[Size, Dim] = {symbol(f"n{axis}"): size for axis, size in enumerate(x.shape)}
        rows = [substitute_dim(size, known) for size in made.kernel.rows.values()]
        self.loops(made.loops, [x, y], rows, [])


def _named(loops: LoopKernel, arrays: Sequence[Place]) -> dict[str, Place]:
    names = [param.name for param in (*loops.reads, *loops.writes)]
    return dict(zip(names, arrays, strict=True))


def refused(why: str, nodes: Sequence[Node]) -> DeviceError:
    """What no library can do, with the user's lines."""
    return located(DeviceError(f"{why}, so that no library made ahead of time can do this"), nodes[:1])
