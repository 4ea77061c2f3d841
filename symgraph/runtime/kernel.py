"""A kernel's functions, and its calls for arrays of given shapes and strides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symgraph.codegen.loops import Load, LoopKernel, Reduce, Store, all_of, columns_of
from symgraph.codegen.lower import arrays_of, lower
from symgraph.codegen.numpy_printer import print_kernel
from symgraph.codegen.printed import Printed, Room, View
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size, symbols
from symgraph.graph.node import Node
from symgraph.ops.transcendental import pow
from symgraph.optimizations.groups import EXTREMES
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Kernel
from symgraph.runtime.blocks import Seen, Way, arrangement, blocks, long_rows, row_blocks
from symgraph.runtime.memory import Arena
from symgraph.runtime.places import find_first, find_part
from symgraph.runtime.rooms import Block, Rooms, Space, is_long, room_bytes
from symgraph.runtime.sums import add_part, add_up

Array = np.ndarray[Any, Any]

_ONE = Block(1, 1, 1)
"""What is computed once."""


@dataclass(frozen=True, slots=True)
class Function:
    """A printed kernel and what its text became."""

    printed: Printed
    call: Callable[..., None]


class Compiled:
    """A kernel's loops, with the functions for rows that fit into a block and for long ones, made when needed."""

    def __init__(self, kernel: Kernel, block: int, fresh: Collection[Node] = ()) -> None:
        self.step = self.kernel = kernel
        self.loops = lower(kernel)
        self._target = block
        self._fresh = {
            param.name for param, x in zip(self.loops.writes, kernel.writes, strict=True) if x in fresh
        }
        self.nodes = (*arrays_of(kernel), *kernel.writes)
        self.names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        self._variables = tuple(loop.variable for loop in (*self.loops.rows, *columns_of(self.loops)))
        self._upright = _is_upright(self.loops)
        reduced = (x.op for x in all_of(self.loops) if isinstance(x, Reduce))
        self.needs_columns = not EXTREMES.isdisjoint(reduced)

    @cached_property
    def block(self) -> int:
        """How many elements are worked on at a time: the fewer, the more arrays are."""
        wanted = self.short.printed.rows
        together = [x for x in wanted if x.swept] or wanted
        rows = [x.row if isinstance(x, Room) else x.access.param.type.dtype for x in together]
        return max(1, 24 * self._target // max(1, sum(row.numpy.itemsize for row in rows)))

    @property
    def text(self) -> str:
        return self.short.printed.text

    @cached_property
    def short(self) -> Function:
        return _function(self.loops, print_kernel(self.loops, fresh=self._fresh))

    @cached_property
    def long(self) -> Function:
        return _function(self.loops, print_kernel(self.loops, long=True))

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The rooms, and what may be the same array."""
        try:
            space = self.space(sizes)
        except UnboundSize:
            return Needs()
        printed = self.function(space).printed
        by_name = dict(zip(self.names, self.nodes, strict=True))
        fails = any(node.op is pow.op and node.row.is_integer for node in self.kernel.nodes)
        pairs = () if fails else sorted(printed.in_place)
        return Needs(
            room_bytes(printed.once, _ONE) + room_bytes(printed.rows, self.block_of(space)),
            True,
            tuple((by_name[a], by_name[b]) for a, b in pairs),
        )

    def space(self, sizes: Mapping[Size, int]) -> Space:
        rows, columns = (
            tuple(evaluate_dim(size, sizes) for size in axes.values())
            for axes in (self.kernel.rows, self.kernel.columns)
        )
        return Space(self._variables, rows, columns, self._upright)

    def function(self, space: Space) -> Function:
        return self.long if is_long(space, self.block) else self.short

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its rooms at one place of the arena."""
        return KernelCall(self, arrays, sizes, room)

    def block_of(self, space: Space) -> Block:
        long = is_long(space, self.block)
        keeps = long and any(isinstance(x, Room) and x.whole for x in self.long.printed.rows)
        return Block.of(space, self.block, keeps=keeps)


class KernelCall:
    """A kernel on arrays of these shapes and strides, with its rooms at one place of the arena."""

    def __init__(
        self, compiled: Compiled, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int
    ) -> None:
        space = compiled.space(sizes)
        function = compiled.function(space)
        self._printed, self._call, self._room = function.printed, function.call, room
        self._block = compiled.block_of(space)
        by_name = dict(zip(compiled.names, arrays, strict=True))
        place = {name: n for n, name in enumerate(compiled.names)}
        found = arrangement(self._printed.rows, by_name, space)
        self._space, self._long = found.space, is_long(space, compiled.block)
        self._seen = [
            (n, place[x.name], None if x.way is Way.ITSELF else x)
            for n, x in enumerate(found.parts)
            if isinstance(x, Seen)
        ]
        self._alone = [
            place[x.access.param.name] if isinstance(x, View) else None for x in self._printed.once
        ]
        self._rows = row_blocks(self._space, self._block)
        self._axes = self._space.axes
        self._is_one = not self._long and len(self._rows) == 1
        self._is_undefined = compiled.needs_columns and 0 in space.columns

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        if self._is_undefined:
            raise ValueError("there is no extremum along an axis of size 0")
        rooms = arena.cache.get(self)
        if rooms is None:
            rooms = arena.cache[self] = self._cut(arena.memory)
        held, inner, row = rooms
        alone = iter(held)
        once = [next(alone) if n is None else arrays[n].reshape(()) for n in self._alone]
        parts = row.copy()
        for n, place, seen in self._seen:
            parts[n] = arrays[place] if seen is None else seen(arrays[place])
        turns: Iterable[Any]
        if self._is_one:
            turns = (parts,)
        elif self._long:
            turns = long_rows(self._printed.rows, parts, self._space, self._block, inner)
        else:
            turns = blocks(parts, self._space, self._rows, inner)
        self._call(once, turns, self._axes)

    def _cut(self, memory: Array) -> tuple[list[Array], Rooms, list[Array | None]]:
        """Rooms for what is computed once, and for blocks; the parts of a row where no other rooms are needed."""
        start = self._room + room_bytes(self._printed.once, _ONE)
        once = Rooms.cut(self._printed.once, _ONE, self._space, memory[self._room :]).of((), ())
        inner = Rooms.cut(self._printed.rows, self._block, self._space, memory[start:])
        own = iter(inner.of(self._rows[0][1], self._space.columns) if self._is_one else ())
        return once, inner, [next(own, None) if isinstance(x, Room) else None for x in self._printed.rows]


def _is_upright(loops: LoopKernel) -> bool:
    """Whether neighbours in memory are neighbouring rows, in most arrays that lie along rows and columns."""
    rows = {loop.variable for loop in loops.rows}
    columns = {loop.variable for loop in columns_of(loops)}
    votes = 0
    for access in all_of(loops):
        if isinstance(access, Load | Store):
            used = [set(symbols(dim)) for dim in access.index if isinstance(dim, Size)]
            if any(each & rows for each in used) and any(each & columns for each in used):
                votes += 1 if used[-1] & rows else -1
    return votes > 0


def _function(loops: LoopKernel, printed: Printed) -> Function:
    names = {
        **printed.names,
        **{f.__name__: f for f in (add_up, add_part, find_first, find_part)},
    }
    exec(compile(printed.text, f"<{loops.name}>", "exec"), names)
    return Function(printed, names[loops.name])
