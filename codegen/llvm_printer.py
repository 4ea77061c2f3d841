"""Kernels as LLVM IR, in vectors as wide as the machine's.

A kernel is a function of a table and of a range of its first loop::

    void kernel_0(ptr table, i64 begin, i64 end)

The table has 8 bytes for each of these: the addresses of the arrays that are read and of those that are written; the
address of its room; the sizes of the loops; for each access of `symgraph.codegen.layout.accesses` the bytes that a turn
of each loop goes. One loop is worked on in vectors, the last of which leaves lanes out; the others turn one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TypeAlias

from symgraph.codegen import llvm_elements as elements
from symgraph.codegen.complex_ops import Element
from symgraph.codegen.guards import Guard, Item, guarded, guards
from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import (
    INT64,
    Lanes,
    address,
    all_or_first,
    fence,
    first_lanes,
    only,
    replaced,
)
from symgraph.codegen.llvm_reductions import TURNS, Reduction, State, reduction, registers
from symgraph.codegen.llvm_statements import ZERO, Statements
from symgraph.codegen.llvm_transposes import LONG, Strip, Turned, turned
from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    LoopKernel,
    Operand,
    Reduce,
    Statement,
    Store,
    carries,
    common,
    operands,
    statements,
)
from symgraph.codegen.machine import Machine
from symgraph.codegen.streams import first_whole
from symgraph.codegen.vectorized import has_own_rest, lanes_of, name_of, room_of
from symgraph.codegen.vectors import Body, Complex, Register, declarations
from symgraph.graph.collector import paused


@dataclass(frozen=True, slots=True)
class Native:
    """A printed kernel."""

    name: str
    text: str
    """One function. Its module needs what is declared, and the machine's attributes as ``#0``."""
    declared: frozenset[str]


def module(kernels: Sequence[Native], machine: Machine) -> str:
    """The text of a module of kernels."""
    functions = "\n".join(kernel.text for kernel in kernels)
    declared = declarations(line for kernel in kernels for line in kernel.declared)
    return f"{functions}\n{declared}attributes #0 = {{ {machine.attributes} }}\n"


def print_native(kernel: LoopKernel, layout: Layout, machine: Machine) -> Native:
    """The function of a kernel for a layout; its name follows from its text, so that equal ones are one."""
    known, key = common(kernel).known, (print_native, layout, machine)
    if key not in known:
        with paused():
            known[key] = _Printer(kernel, layout, machine).run()
    printed: Native = known[key]
    return printed


_MOST_MASKED = 64
"""Lanes of a mask that is made by a shift of one word."""

Inside: TypeAlias = Callable[[list[Register]], list[Register]]
"""What stands in a loop: it takes what is carried from the turn before, and gives it on."""

Turn: TypeAlias = Callable[[Register, list[Register]], list[Register]]
"""The same for one turn, whose number it takes too."""


class _Printer(Statements):
    def __init__(self, kernel: LoopKernel, layout: Layout, machine: Machine) -> None:
        self._turned, self._machine = _turned(kernel, layout), machine
        lanes = lanes_of(kernel, machine, single=layout.is_narrow or self._turned is not None)
        super().__init__(kernel, layout, Body(fma=machine.fma), lanes)
        self._sizes: list[Register] = []
        self._room = room_of(kernel, machine, upright=layout.vector < layout.rows)
        stored = [Access(x.param.name, x.index) for x, _, _ in statements(kernel) if isinstance(x, Store)]
        is_last = layout.vector == layout.rows + layout.columns - 1 >= 0
        self._streamed = (
            [x for x in stored if self._steps[x][-1] is Step.UNIT] if layout.streams and is_last else []
        )
        self._strips: list[Strip] = []
        self._guards = guards(kernel)

    def run(self) -> Native:
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
        name = f"kernel_{sha256(lines.encode()).hexdigest()[:16]}"
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
        body.emit(f"br i1 {body.any(wanted)}, label %{asked}, label %{past}")
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

    def _sweep(self, section: tuple[Statement, ...]) -> None:
        """The loops over columns; what they reduce or carry is known after them."""
        if carries(self._kernel):
            self._carrying(section)
            return
        body, last = self._body, self._layout.rows + self._layout.columns - 1
        across = self._layout.vector == last
        reduced = [
            reduction(x, self._lanes if across or name_of(x.arg) in self._vectors else 0)
            for x in section
            if isinstance(x, Reduce)
        ]
        starts = [each.start(body) for each in reduced]
        has_total = any(each.has_total for each in reduced)

        def turns(begin: Register, end: Register, carried: list[Register]) -> list[Register]:
            return self._turns(
                last, begin, end, carried, lambda given: self._do(section, reduced, _parted(given, starts))
            )

        def some_turns(begin: Register, totals: list[Register]) -> list[Register]:
            end = body.intrinsic("smin", body.add(begin, step), self._sizes[last])
            found = _parted(turns(begin, end, _joined(starts)), starts)
            parts = zip(reduced, _parted(totals, all_totals), found, strict=True)
            return _joined([each.gather(body, total, state) for each, total, state in parts])

        def nest(level: int, carried: list[Register]) -> list[Register]:
            self._hoist(section, level)
            if level < last:
                return self._turns(
                    level, ZERO, self._sizes[level], carried, lambda given: nest(level + 1, given)
                )
            if has_total:
                return body.loop(ZERO, self._sizes[last], step, carried, some_turns)
            return turns(ZERO, self._sizes[last], carried)

        step = TURNS * (self._lanes if across else 1)
        all_totals = [each.total(body) if has_total else each.start(body) for each in reduced]
        with self._scoped() as scope:
            scope.turn = ZERO if any(each.wants_place for each in reduced) else None
            found = _parted(nest(self._layout.rows, _joined(all_totals)), all_totals)
        for each, total in zip(reduced, found, strict=True):
            state = each.result(body, total) if has_total else total
            value = each.across(body, state) if across else each.value(state)
            self._scope.values[each.each.target.name] = value

    def _carrying(self, section: Sequence[Statement]) -> None:
        """The same, of turns that follow each other."""
        first, last = self._layout.rows, self._layout.rows + self._layout.columns - 1
        heads = [x for x in section if isinstance(x, Carry)]
        rest = [x for x in section if not isinstance(x, Carry)]

        def states(given: Iterable[tuple[Carry, Operand]]) -> list[Register]:
            return _joined(registers(self._operand(x, self._lanes_of(head.target))) for head, x in given)

        def meet(carried: Iterable[Register]) -> None:
            left = iter(carried)
            for x in heads:
                self._scope.values[x.target.name] = (
                    Complex(next(left), next(left)) if x.target.row.is_complex else next(left)
                )

        def turn(carried: list[Register]) -> list[Register]:
            meet(carried)
            for each in rest:
                self._statement(each)
            return states((x, x.after) for x in heads)

        def nest(level: int, carried: list[Register]) -> list[Register]:
            self._hoist(rest, level)
            if level == first:
                self._spread(rest)
            inside = turn if level == last else partial(nest, level + 1)
            return self._turns(level, ZERO, self._sizes[level], carried, inside)

        with self._scoped():
            found = nest(first, states((x, x.first) for x in heads))
        meet(found)

    def _do(
        self, section: Sequence[Statement], reduced: Sequence[Reduction], carried: Sequence[State]
    ) -> list[Register]:
        """What one turn of a sweep does, and what is carried to the next."""
        body, across = self._body, self._layout.vector >= self._layout.rows
        for each in section:
            if not isinstance(each, Reduce):
                self._statement(each)
        given = [self._operand(how.each.arg, how.lanes) for how in reduced]
        mask = self._scope.mask if across and reduced else None
        if mask is not None:
            # Of two equal places the first counts, and those of the lanes left out come last.
            given = self._masked(reduced, given, mask)
        return _joined(
            how.take(body, state, x, self._number(how.lanes) if how.wants_place else None)
            for how, state, x in zip(reduced, carried, given, strict=True)
        )

    def _masked(self, reduced: Sequence[Reduction], given: Sequence[Element], mask: Lanes) -> list[Element]:
        """Numbers, with those that change nothing in the lanes that a mask leaves out."""
        parts = [registers(x) for x in given]
        neutral = [how.start(self._body)[-len(own) :] for how, own in zip(reduced, parts, strict=True)]
        left = iter(replaced(self._body, _joined(parts), _joined(neutral), mask))
        return [next(left) if isinstance(x, Register) else Complex(next(left), next(left)) for x in given]

    def _hoist(self, section: Sequence[Statement], level: int) -> None:
        """What does not follow a loop, nor those inside of it, is done before it."""
        for each in section:
            if isinstance(each, Load | Compute) and self._depths[each.target.name] < level:
                self._statement(each)
        if level == self._layout.vector:
            self._spread(section)

    def _spread(self, section: Sequence[Statement]) -> None:
        """Numbers that vectors meet are spread once."""
        for each in section:
            for name in map(name_of, operands(each)) if self._is_vector(each) else ():
                found = self._scope.values.get(name)
                if found is not None and name not in self._scope.wide:
                    self._scope.wide[name] = elements.spread(self._body, found, self._lanes)

    def _is_vector(self, each: Statement) -> bool:
        if isinstance(each, Store):
            return self._steps[Access(each.param.name, each.index)][self._layout.vector] is not Step.NONE
        return isinstance(each, Reduce) or each.target.name in self._vectors

    def _turns(
        self, level: int, begin: Register, end: Register, carried: Sequence[Register], inside: Inside
    ) -> list[Register]:
        """One loop, inside of which there is what follows it."""
        body, lanes = self._body, self._lanes

        def whole(n: Register, given: list[Register]) -> list[Register]:
            return self._turn(level, n, None, given, inside)

        def some(n: Register, given: list[Register], stop: Register = end) -> list[Register]:
            count, masks = body.sub(stop, n), self._machine.masks and lanes <= _MOST_MASKED
            either = masks and (not has_rest or bool(self._streamed))
            mask = (
                all_or_first(body, count, lanes) if either else first_lanes(body, count, lanes, masks=masks)
            )
            return self._turn(level, n, mask, given, inside)

        has_rest = has_own_rest(self._kernel)
        if level != self._layout.vector:
            return body.loop(begin, end, 1, carried, whole)
        if self._streamed:
            self._streaming(begin, end, whole, some)
            return []
        if self._machine.masks and not has_rest:
            return body.loop(begin, end, lanes, carried, some)
        middle = body.add(begin, body.and_(body.sub(end, begin), -lanes))
        return body.loop(middle, end, lanes, body.loop(begin, middle, lanes, carried, whole), some)

    def _streaming(
        self,
        begin: Register,
        end: Register,
        whole: Turn,
        some: Callable[[Register, list[Register], Register], list[Register]],
    ) -> None:
        """A loop in vectors that carries nothing. What it streams is written in whole lines of the cache; the turns
        before and after them are the usual ones, and all are where the lines of its arrays do not begin together."""
        body, lanes = self._body, self._lanes
        arrays = [(self._scope.places[x], self._row_of[x.param].numpy.itemsize) for x in self._streamed]
        first, together = first_whole(body, begin, arrays, lanes)
        if not self._machine.masks:  # the usual turns but the last are whole ones
            middle = body.add(begin, body.and_(body.sub(end, begin), -lanes))
            begin, start = body.select(together, begin, middle), begin
            body.loop(start, begin, lanes, [], whole)
        first = body.select(together, body.intrinsic("smin", first, end), end)
        middle = body.add(first, body.and_(body.sub(end, first), -lanes))

        def streaming(n: Register, given: list[Register]) -> list[Register]:
            with self._scoped() as scope:
                scope.streams = True
                return whole(n, given)

        def part(number: Register, _: list[Register]) -> list[Register]:
            last = body.compare("ne", number, 0)
            stop = body.select(last, end, first)
            body.loop(
                body.select(last, middle, begin), stop, lanes, [], lambda n, given: some(n, given, stop)
            )
            return body.loop(body.select(last, end, first), middle, lanes, [], streaming)

        body.loop(0, body.constant(INT64, 2, 0), 1, [], part)

    def _turn(
        self, level: int, n: Register, mask: Lanes, carried: list[Register], inside: Inside
    ) -> list[Register]:
        with self._scoped() as scope:
            for key, steps in self._steps.items():
                step = steps[level]
                if step is Step.UNIT and not (isinstance(key, str) and level < self._layout.rows):
                    unit = f"i{8 * self._row_of[key if isinstance(key, str) else key.param].numpy.itemsize}"
                    at = f"getelementptr {unit}, ptr {scope.places[key]}, i64 {n.text}"
                    scope.places[key] = self._body.named(at)
                elif step is Step.FAR:
                    offset = self._body.mul(n, self._strides[key][level])
                    scope.places[key] = address(self._body, scope.places[key], offset)
            if level == self._layout.vector:
                scope.mask = mask
            if scope.turn is not None and level >= self._layout.rows:
                before = self._body.mul(scope.turn, self._sizes[level])
                scope.turn = self._body.add(before, n)
            return inside(carried)


def _turned(kernel: LoopKernel, layout: Layout) -> Turned | None:
    """What is turned in registers, where no number has more bits than an integer."""
    found = turned(kernel, layout)
    widths = {param.name: param.type.dtype.bits for param in kernel.reads}
    return found if found is not None and all(widths[x.param] <= 64 for x in found.arrays) else None


def _joined(states: Iterable[State]) -> list[Register]:
    return [x for state in states for x in state]


def _parted(registers: Sequence[Register], like: Sequence[State]) -> list[State]:
    """Registers as states again."""
    left = iter(registers)
    return [[next(left) for _ in state] for state in like]
