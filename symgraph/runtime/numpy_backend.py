"""A plan as Python functions of NumPy calls: what runs everywhere."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from symgraph.codegen.loops import Load, LoopKernel, Store, Sweep, statements
from symgraph.codegen.lower import arrays_of, lower
from symgraph.codegen.numpy_printer import Printed, Room, print_kernel
from symgraph.errors import MemoryLimitError, SymgraphError
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size, symbols
from symgraph.graph.evaluate import Array, attributes_of, bind_sizes, run_node, schedule
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.ops.transcendental import pow
from symgraph.optimizations.plan import Call, Kernel, Plan, Step, View
from symgraph.optimizations.storage import Home, Needs, Storage, Turn, store
from symgraph.options import DEFAULT, Target
from symgraph.runtime.blocks import Arrangement, arrangement, blocks, long_rows
from symgraph.runtime.into import IN_PLACE, writer
from symgraph.runtime.memory import Memory
from symgraph.runtime.rooms import Block, Rooms, Space, is_long, room_bytes
from symgraph.runtime.sums import add_part, add_up

_ONE = Block(1, 1, 1)
"""What is computed once."""
_KEPT = 64
"""For how many bindings of sizes a program keeps the storage."""


@dataclass(frozen=True, slots=True)
class Function:
    """A printed kernel and what its text became."""

    printed: Printed
    call: Callable[..., None]


class Compiled:
    """A kernel's loops, with the functions for rows that fit into a block and for long ones, made when needed."""

    def __init__(self, kernel: Kernel, block: int) -> None:
        self.kernel, self._block = kernel, block
        self.loops = lower(kernel)
        columns = next((part.loops for part in self.loops.body if isinstance(part, Sweep)), ())
        self._variables = tuple(loop.variable for loop in (*self.loops.rows, *columns))
        names = [param.name for param in (*self.loops.reads, *self.loops.writes)]
        self._nodes = dict(zip(names, (*arrays_of(kernel), *kernel.writes), strict=True))
        self._upright = _is_upright(self.loops)
        self._arrangements: dict[tuple[Any, ...], Arrangement] = {}

    @cached_property
    def short(self) -> Function:
        return _function(self.loops, print_kernel(self.loops))

    @cached_property
    def long(self) -> Function:
        return _function(self.loops, print_kernel(self.loops, long=True))

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The rooms, and what may be the same array."""
        try:
            space = self._space(sizes)
        except UnboundSize:
            return Needs()
        printed = self._function(space).printed
        pairs = (
            ()
            if any(node.op is pow.op and node.row.is_integer for node in self.kernel.nodes)
            else printed.in_place
        )
        return Needs(
            room_bytes(printed.once, _ONE) + room_bytes(printed.rows, self._block_of(space)),
            True,
            tuple((self._nodes[a], self._nodes[b]) for a, b in sorted(pairs)),
        )

    def run(self, values: Mapping[Node, Any], sizes: Mapping[Size, int], memory: Array) -> None:
        """Write what the kernel writes; ``memory`` is for its rooms."""
        arrays = {name: np.asarray(values[x]) for name, x in self._nodes.items()}
        space = self._space(sizes)
        function, block = self._function(space), self._block_of(space)
        printed = function.printed
        alone = iter(Rooms.cut(printed.once, _ONE, space, memory).of((), ()))
        once = tuple(
            next(alone) if isinstance(x, Room) else arrays[x.access.param.name].reshape(())
            for x in printed.once
        )
        found = self._arranged(printed, arrays, space)
        space, parts = found.space, found(arrays)
        rooms = Rooms.cut(printed.rows, block, space, memory[room_bytes(printed.once, _ONE) :])
        turns: Iterator[Any] = blocks(parts, space, block, rooms)
        if is_long(space, self._block):
            turns = long_rows(printed.rows, parts, space, block, rooms)
        function.call(once, turns, space.axes)

    def _arranged(self, printed: Printed, arrays: Mapping[str, Array], space: Space) -> Arrangement:
        key = (space.rows, space.columns, *((x.shape, x.strides) for x in arrays.values()))
        found = self._arrangements.get(key)
        if found is None:
            if len(self._arrangements) >= _KEPT:
                self._arrangements.clear()
            found = self._arrangements[key] = arrangement(printed.rows, arrays, space)
        return found

    def _space(self, sizes: Mapping[Size, int]) -> Space:
        rows, columns = (
            tuple(evaluate_dim(size, sizes) for size in axes.values())
            for axes in (self.kernel.rows, self.kernel.columns)
        )
        return Space(self._variables, rows, columns, self._upright)

    def _function(self, space: Space) -> Function:
        return self.long if is_long(space, self._block) else self.short

    def _block_of(self, space: Space) -> Block:
        keeps = is_long(space, self._block) and any(
            isinstance(x, Room) and x.whole for x in self.long.printed.rows
        )
        return Block.of(space, self._block, keeps=keeps)


def _is_upright(loops: LoopKernel) -> bool:
    """Whether neighbours in memory are neighbouring rows, in most arrays that lie along rows and columns."""
    rows = {loop.variable for loop in loops.rows}
    columns = {loop.variable for part in loops.body if isinstance(part, Sweep) for loop in part.loops}
    votes = 0
    for access, _, _ in statements(loops):
        if isinstance(access, Load | Store):
            used = [set(symbols(dim)) for dim in access.index if isinstance(dim, Size)]
            if any(each & rows for each in used) and any(each & columns for each in used):
                votes += 1 if used[-1] & rows else -1
    return votes > 0


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
        """The value, in ``out`` where it is told so."""
        if out is None or self.writer is None:
            value = run_node(self.node, self.meaning, inputs, self._attributes, sizes)
            is_seen = isinstance(value, np.ndarray) and any(np.may_share_memory(value, x) for x in inputs)
            return value.copy() if is_seen and not self._is_view else value
        run_node(self.node, partial(self.writer, out), inputs, self._attributes, sizes)
        return out


class NumpyProgram:
    """What runs a plan."""

    def __init__(
        self,
        plan: Plan,
        target: Target = DEFAULT,
        memory: Memory | None = None,
        *,
        donated: Collection[Node] = (),
        limit: int | None = None,
    ) -> None:
        self.plan, self._limit = plan, limit
        self._memory, self._donated = memory or Memory(), frozenset(donated)
        self._kernels = {step: Compiled(step, target.block) for step in plan.kernels}
        self._calls = {
            step: Library(step.node, is_view=isinstance(step, View))
            for step in plan.steps
            if isinstance(step, Call)
        }
        every = [*plan.results, *(x for step in plan.steps for x in step.needs)]
        self._constants = {x: x.attrs.value for x in every if x.op is CONSTANT}  # type: ignore[union-attr]
        self._storages: OrderedDict[frozenset[tuple[Size, int]], Storage] = OrderedDict()
        self._bindings: dict[tuple[tuple[int, ...], ...], tuple[dict[Size, int], Storage]] = {}
        self._lock = threading.Lock()

    @property
    def source(self) -> str:
        """The functions of all kernels."""
        return "\n\n".join(compiled.short.printed.text for compiled in self._kernels.values())

    def storage(self, sizes: Mapping[Size, int]) -> Storage:
        """Where values lie for these sizes of the arguments."""
        key = frozenset(sizes.items())
        with self._lock:
            if key not in self._storages:
                self._storages[key] = store(
                    self.plan, sizes, lambda step: self._needs(step, sizes), self._donated, self._limit
                )
                if len(self._storages) > _KEPT:
                    self._storages.popitem(last=False)
            return self._storages[key]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results, for arrays that fit the types of what is given; they share memory with those and constants
        alone. What is donated may be overwritten, if no other array shares its memory."""
        given = self.plan.given
        sizes, storage = self._bound(arrays)
        values: dict[Node, Any] = {**self._constants, **dict(zip(given, arrays, strict=True))}
        spent = {
            x
            for x, array in zip(given, arrays, strict=True)
            if x in self._donated and _is_free(array, arrays)
        }
        arena = self._memory.take(storage.arena.size)
        try:
            with np.errstate(all="ignore"):
                for turn in storage.turns:
                    self._turn(turn, values, sizes, arena, spent)
                    for x in turn.dead:
                        del values[x]
            views = {turn.step.node for turn in storage.turns if isinstance(turn.step, View)}
            return [np.array(values[x]) if x in views else values[x] for x in self.plan.results]
        finally:
            self._memory.give(arena)

    def _bound(self, arrays: Sequence[Array]) -> tuple[dict[Size, int], Storage]:
        """What the shapes of the arrays decide."""
        shapes = tuple([x.shape for x in arrays])
        found = self._bindings.get(shapes)
        if found is None:
            sizes = bind_sizes(self.plan.given, arrays)
            try:
                found = sizes, self.storage(sizes)
            except MemoryLimitError:
                raise
            except SymgraphError:
                self._evaluate(self.plan.results, self.plan.given, arrays)
                raise
            if len(self._bindings) >= _KEPT:
                self._bindings.clear()
            self._bindings[shapes] = found
        return dict(found[0]), found[1]

    def _needs(self, step: Step, sizes: Mapping[Size, int]) -> Needs:
        return self._kernels[step].needs(sizes) if isinstance(step, Kernel) else self._calls[step].needs()

    def _turn(
        self,
        turn: Turn,
        values: dict[Node, Any],
        sizes: dict[Size, int],
        arena: Array,
        spent: Collection[Node],
    ) -> None:
        step = turn.step

        def home_of(node: Node, home: Home) -> Array:
            if home.offset is None and node in values:
                again: Array = values[node]  # with the same bits
                return again
            if home.over is not None and home.over in spent and home.shape is not None:
                return np.ndarray(home.shape, node.dtype, values[home.over])
            return self._array(node, home, sizes, arena)

        if not isinstance(step, Kernel):
            call = self._calls[step]
            (home,) = turn.homes or (None,)
            out = None
            if call.writer is not None and home is not None and home.shape is not None:
                out = home_of(step.node, home)
            values[step.node] = call.run([values[x] for x in step.node.inputs], sizes, out)
            return
        for x, home in zip(step.writes, turn.homes, strict=True):
            values[x] = home_of(x, home)
        compiled = self._kernels[step]
        room = (
            arena[turn.room :]
            if turn.room is not None
            else self._memory.arena(compiled.needs(sizes).room or 0)
        )
        try:
            compiled.run(values, sizes, room)
        except (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError):
            known = [x for x in step.needs if x.op is not CONSTANT]
            self._evaluate(step.writes, known, [np.asarray(values[x]) for x in known])
            raise

    def _evaluate(self, nodes: Sequence[Node], known: Sequence[Node], arrays: Sequence[Array]) -> None:
        """Fail as a kernel did, one op after the other, with the user's line."""
        schedule(nodes, known).run(arrays)

    def _array(self, node: Node, home: Home, sizes: Mapping[Size, int], arena: Array) -> Array:
        if home.shape is None or home.offset is None:
            shape = (
                tuple(evaluate_dim(size, sizes) for size in node.shape) if home.shape is None else home.shape
            )
            return self._memory.result(shape, node.dtype)
        return np.ndarray(home.shape, node.dtype, arena, home.offset)


def _is_free(array: Array, arrays: Sequence[Array]) -> bool:
    """Whether an array may be overwritten: it lies in order, and no other of the arrays shares its memory."""
    alone = not any(other is not array and np.may_share_memory(array, other) for other in arrays)
    once = sum(other is array for other in arrays) == 1
    return alone and once and array.flags.carray and array.flags.aligned


def _function(loops: LoopKernel, printed: Printed) -> Function:
    names = {**printed.names, "add_up": add_up, "add_part": add_part}
    exec(compile(printed.text, f"<{loops.name}>", "exec"), names)
    return Function(printed, names[loops.name])
