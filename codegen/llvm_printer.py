"""Kernels as LLVM IR, in vectors as wide as the machine's.

A kernel is a function of a table and of a range of its first loop::

    void kernel_0(ptr table, i64 begin, i64 end)

The table has 8 bytes for each of these: the addresses of the arrays that are read and of those that are written; the
address of its room; the sizes of the loops; for each access of `symgraph.codegen.layout.accesses` the bytes that a turn
of each loop goes. One loop is worked on in vectors, the last of which leaves lanes out; the others turn one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache as once
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from symgraph.codegen import llvm_elements as elements
from symgraph.codegen.guards import Guard, Item, guarded, guards
from symgraph.codegen.layout import Layout, Step, accesses
from symgraph.codegen.llvm_denormals import branch, looked_at
from symgraph.codegen.llvm_memory import INT64, address, fence, only
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.llvm_transposes import LONG, Strip, Turned, turned
from symgraph.codegen.llvm_walks import Walks
from symgraph.codegen.loops import (
    Compute,
    Load,
    LoopKernel,
    Reduce,
    Statement,
    all_of,
    carries,
    common,
    in_order,
)
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectorized import lanes_of, room_of
from symgraph.codegen.vectors import Register, declarations
from symgraph.codegen.x86_ready import name_of
from symgraph.graph.collector import paused
from symgraph.ops.arithmetic import divide


class Native(NamedTuple):
    """A printed kernel."""

    name: str
    text: str
    """One function. Its module needs what is declared, and the machine's attributes as ``#0``."""
    declared: frozenset[str]
    slow: Callable[[], Native] | None = None
    """Where this text is only the one that is compiled soonest: what prints the one that runs fastest, under the same
    name and with the same bits."""

    @property
    def fastest(self) -> Native:
        return self if self.slow is None else self.slow()


def module(kernels: Sequence[Native], machine: Machine) -> str:
    """The text of a module of kernels."""
    functions = "\n".join(kernel.text for kernel in kernels)
    declared = declarations(line for kernel in kernels for line in kernel.declared)
    return f"{functions}\n{declared}attributes #0 = {{ {machine.attributes} }}\n"


def print_native(
    kernel: LoopKernel,
    layout: Layout,
    machine: Machine,
    *,
    quick: bool = False,
    updated: frozenset[int] = frozenset(),
) -> Native:
    """The function of a kernel for a layout; its name follows from its text, so that equal ones are one. With ``quick``
    the text is the one that is compiled soonest, if there are two. Of the arrays that are read those with these numbers
    are variables that are ``updated``: the text that runs fastest is prepared for denormal numbers in them."""
    known, key = common(kernel).known, (print_native, layout, machine, quick, updated)
    if key not in known:
        with paused():
            known[key] = _printed(kernel, layout, machine, quick=quick, updated=updated)
    printed: Native = known[key]
    return printed


def _printed(
    kernel: LoopKernel, layout: Layout, machine: Machine, *, quick: bool, updated: frozenset[int]
) -> Native:
    small = looked_at(kernel, layout, machine, updated)
    if not quick or not (small or _is_sooner(kernel, layout, machine)):
        return _Printer(kernel, layout, machine, small=small).run()
    besides = f"{layout}{small or ''}"
    first = _Printer(kernel, layout, machine, soon=True).run(besides)
    return first._replace(
        slow=once(lambda: _Printer(kernel, layout, machine, small=small).run(besides, first.name))
    )


def _is_sooner(kernel: LoopKernel, layout: Layout, machine: Machine) -> bool:
    """Whether a text with one kind of turn, or with one vector at a time, is compiled sooner."""
    if layout.vector < 0 or carries(kernel):
        return False
    is_single = not layout.is_narrow and not _is_put_together(kernel, layout)
    return machine.masks or (is_single and lanes_of(kernel, machine) > lanes_of(kernel, machine, single=True))


def _is_put_together(kernel: LoopKernel, layout: Layout) -> bool:
    """Whether there is something of the lanes of vectors, which depends on how many there are: those of rows that are
    worked on side by side never meet."""
    is_beside = layout.vector < layout.rows and not layout.is_shared
    return not is_beside and any(isinstance(x, Reduce) for x in all_of(kernel))


class _Printer(Walks):
    def __init__(
        self,
        kernel: LoopKernel,
        layout: Layout,
        machine: Machine,
        *,
        soon: bool = False,
        small: Mapping[str, int] | None = None,
    ) -> None:
        self._turned, self._is_soon = _turned(kernel, layout), soon
        single = (
            layout.is_narrow or self._turned is not None or (soon and not _is_put_together(kernel, layout))
        )
        super().__init__(kernel, layout, machine, lanes_of(kernel, machine, single=single))
        self._room = room_of(kernel, machine, upright=layout.vector < layout.rows)
        self._strips: list[Strip] = []
        self._guards = guards(kernel)
        self._small = small or {}
        if soon:  # what asks for the next row takes longer to compile than it saves
            self._dearest = None
            self._body.ready = partial(name_of, machine=machine)

    def _prepare(self, each: Compute) -> None:
        """A quotient is a division in the text that is compiled soonest: products instead of it take forty lines."""
        if not (self._is_soon and each.op is divide.op):
            super()._prepare(each)

    def run(self, besides: str = "", name: str = "") -> Native:
        """The function; its name follows from its lines and from what is said ``besides``, if it is not given."""
        if (walk := self._walked()) is not None:
            name, text = self._in_walk(walk, besides)
            return Native(name, text, frozenset(self._body.declared))
        self._prologue()
        for each in self._kernel.once:
            self._statement(each)
        if self._turned is None:
            self._rows(0)
        else:
            self._in_strips(self._turned, 0, ZERO)
        if self._streamed:
            fence(self._body)
        self._body.emit("ret void")
        lines = "\n".join([*(strip.line for strip in self._strips), *self._body.lines])
        name = name or f"kernel_{sha256(f'{lines}{besides}'.encode()).hexdigest()[:16]}"
        text = f"define void @{name}(ptr %table, i64 %begin, i64 %end) #0 {{\nentry:\n{lines}\n}}\n"
        return Native(name, text, frozenset(self._body.declared))

    # The table

    def _prologue(self) -> None:
        """The words of the table; nothing of it is read again."""
        place = iter(range(1 << 20))
        bases = {
            param.name: self._word(next(place), "ptr")
            for param in (*self._kernel.reads, *self._kernel.writes)
        }
        for access in accesses(self._kernel):
            self._scope.places[access] = bases[access.param]
        room = next(place)
        count = self._layout.rows + self._layout.columns
        self._sizes = [Register(self._word(next(place), "i64"), INT64, 0) for _ in range(count)]
        for key, steps in self._steps.items():
            self._strides[key] = [
                Register(self._word(n, "i64") if step is Step.FAR else "0", INT64, 0)
                for step, n in zip(steps, place, strict=False)
            ]
        if self._room.kept:
            self._cut(self._word(room, "ptr"))

    def _word(self, n: int, type_: str) -> str:
        return self._body.named(f"load {type_}, ptr {address(self._body, '%table', 8 * n)}, align 8")

    def _cut(self, base: str) -> None:
        """Room for what is kept: rows in which the loops over columns go forward."""
        body, rows, vector = self._body, self._layout.rows, self._layout.vector
        for x in self._room.kept:
            size = x.row.numpy.itemsize
            stride = body.constant(INT64, size * self._room.rows, 0)
            strides: list[Register] = []
            steps: list[Step] = []
            for n in reversed(range(rows, rows + self._layout.columns)):
                strides.insert(0, stride)
                steps.insert(0, Step.UNIT if n == vector else Step.FAR)
                stride = body.mul(stride, self._sizes[n])
            before = [Step.UNIT if n == vector else Step.NONE for n in range(rows)]
            self._strides[x.name] = [body.constant(INT64, 0, 0)] * rows + strides
            self._steps[x.name] = (*before, *steps)
            self._row_of[x.name] = x.row
            self._scope.places[x.name] = base
            base = address(body, base, body.and_(body.add(stride, 63), -64))

    # Loops

    def _rows(self, level: int) -> None:
        """The loops over rows from one on, and what stands inside of them."""
        if level == self._layout.rows:
            self._row()
            return
        if level == self._layout.rows - 1 and not self._guards and self._goes_ahead:
            self._rows_ahead(*self._range(level))
            return
        self._hoist(self._before_sweeps(), level)

        def inside(carried: list[Register]) -> list[Register]:
            self._rows(level + 1)
            return carried

        self._turns(level, *self._range(level), [], inside)

    def _range(self, level: int) -> tuple[Register, Register]:
        """The first number of a loop, and what follows the last."""
        if not level:
            return Register("%begin", INT64, 0), Register("%end", INT64, 0)
        return ZERO, self._sizes[level]

    def _in_strips(self, turned: Turned, level: int, first: Register) -> None:
        """The loops from one on where arrays are read across their rows. One goes in blocks, of which ``first`` is the
        first row; its turns are the innermost but those in vectors."""
        body, vector = self._body, self._layout.vector
        begin, end = self._range(level)
        if level == vector:
            body.loop(begin, end, LONG, [], lambda n, _: self._strip(turned, first, n))
        elif level == turned.loop:
            step = turned.squares * self._lanes
            body.loop(begin, end, step, [], lambda n, _: self._block(turned, level, n))
        else:

            def inside(carried: list[Register]) -> list[Register]:
                self._in_strips(turned, level + 1, first)
                return carried

            self._turns(level, begin, end, [], inside)

    def _block(self, turned: Turned, level: int, first: Register) -> list[Register]:
        self._in_strips(turned, level + 1, first)
        return []

    def _strip(self, turned: Turned, first: Register, start: Register) -> list[Register]:
        """The rows of a block, from one element of theirs on, along a strip."""
        body, vector = self._body, self._layout.vector
        left = body.sub(self._range(turned.loop)[1], first)
        rows = body.intrinsic("smin", left, turned.squares * self._lanes)
        stop = body.intrinsic("smin", body.add(start, LONG), self._sizes[vector])
        columns = body.sub(stop, start)
        strips = []
        for n, access in enumerate(turned.arrays):
            row, stride = self._row_of[access.param], self._strides[access][vector]
            strip = Strip(f"%strip{n}", row, self._lanes, turned.squares)
            at = body.add(body.mul(first, row.numpy.itemsize), body.mul(start, stride))
            ahead = turned.ahead(body, row, self._lanes, stride, self._sizes[vector], vector)
            strip.fill(body, address(body, self._scope.places[access], at), stride, rows, columns, ahead)
            strips.append(strip)
        self._strips = strips

        def one(n: Register, _: list[Register]) -> list[Register]:
            with self._scoped() as scope:
                for access, strip in zip(turned.arrays, strips, strict=True):
                    back = body.mul(start, -strip.row.numpy.itemsize)
                    offset = body.add(body.mul(n, strip.pitch), back)
                    scope.places[access] = address(body, strip.place, offset)
                    self._steps[access] = tuple(
                        Step.UNIT if level == vector else Step.NONE for level in range(vector + 1)
                    )
                return self._turn(turned.loop, body.add(first, n), None, [], inside)

        def inside(carried: list[Register]) -> list[Register]:
            self._hoist(self._before_sweeps(), vector)

            def row(carried: list[Register]) -> list[Register]:
                self._row()
                return carried

            return self._turns(vector, start, stop, [], row)

        return body.loop(0, rows, 1, [], one)

    def _row(self) -> None:
        if self._small:
            self._row_of_small()
            return
        items = [section if isinstance(section, tuple) else (section,) for section in self._sections]
        swept = {id(section) for section in self._sections if isinstance(section, tuple)}
        ordered = guarded(items, self._guards, self._homes)
        for guard, pairs in itertools.groupby(ordered, key=lambda pair: pair[1]):
            group = [item for item, _ in pairs]
            if guard is None:
                self._items(group, swept)
            else:
                self._where_asked(guard, group, swept)

    def _items(self, items: Sequence[Item], swept: Collection[int]) -> None:
        """Statements and sweeps one after the other; ``swept`` has the identities of the latter."""
        for item in items:
            if id(item) in swept:
                self._sweep(item)
            else:
                self._statement(item[0])

    def _row_of_small(self) -> None:
        """The statements of a row without sweeps, done with care where it reads small numbers."""
        body, every, loaded = self._body, in_order(self._kernel), []
        for each in every:
            if isinstance(each, Load) and each.target.name in self._small:
                self._statement(each)
                x = self._operand(each.target, self._lanes)
                assert isinstance(x, Register), "it is float32"
                loaded.append((x, self._small[each.target.name]))
        tame, small, past = body.label("tame"), body.label("small"), body.label("past")
        branch(body, loaded, tame, small)
        for label in (tame, small):
            body.begin(label)
            with self._scoped() as scope:
                scope.is_careful = label == small
                self._items([(each,) for each in every], ())
            body.emit(f"br label %{past}")
        body.begin(past)

    def _where_asked(self, guard: Guard, items: Sequence[Item], swept: Collection[int]) -> None:
        """What is done where the condition of this row, or of some row in the vector, asks for it."""
        body, before = self._body, self._body.block
        asked, past = body.label("asked"), body.label("past")
        condition = self._operand(guard.condition, self._lanes_of(guard.condition))
        assert isinstance(condition, Register)
        wanted = condition if guard.wanted else body.not_(condition)
        mask = only(self._scope.mask)
        if wanted.lanes and mask is not None:
            wanted = body.and_(wanted, mask)
        bit = body.any(wanted)
        if self._layout.is_shared:  # all threads find the same, and count the turns
            self._asked = bit
            self._items(items, swept)
            self._asked = ""
            return
        body.emit(f"br i1 {bit}, label %{asked}, label %{past}")
        body.begin(asked)
        with self._scoped() as scope:
            self._items(items, swept)
            made = {name: x for name, x in scope.values.items() if name in guard.made}
        end = body.block
        body.emit(f"br label %{past}")
        body.begin(past)
        for name, x in made.items():
            before_it = elements.nothing_like(body, x)
            self._scope.values[name] = elements.meet(body, before_it, before, x, end)

    def _before_sweeps(self) -> list[Statement]:
        return list(itertools.takewhile(lambda x: not isinstance(x, tuple), self._sections))  # type: ignore[arg-type]


def _turned(kernel: LoopKernel, layout: Layout) -> Turned | None:
    """What is turned in registers, where no number has more bits than an integer."""
    found = turned(kernel, layout)
    widths = {param.name: param.type.dtype.bits for param in kernel.reads}
    return found if found is not None and all(widths[x.param] <= 64 for x in found.arrays) else None
