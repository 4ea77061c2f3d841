"""Kernels as LLVM IR, in vectors as wide as the machine's.

A kernel is a function of a table and of a range of its first loop::

    void kernel_0(ptr table, i64 begin, i64 end)

The table has 8 bytes for each of these: the addresses of the arrays that are read and of those that are written; the
address of its room; the sizes of the loops; for each access of `symgraph.codegen.layout.accesses` the bytes that a turn
of each loop goes. One loop is worked on in vectors, the last of which leaves lanes out; the others turn one by one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from symgraph.codegen.guards import Guard, Item, guarded, guards
from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import (
    INT64,
    address,
    computed_in,
    counting,
    gather,
    load,
    scatter,
    store,
)
from symgraph.codegen.llvm_ops import compute, is_spoken
from symgraph.codegen.llvm_reductions import TURNS, Reduction, State, reduces, reduction
from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import (
    Compute,
    Load,
    LoopKernel,
    Operand,
    Reduce,
    Statement,
    Store,
    Value,
    operands,
    statements,
)
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectorized import followed, lanes_of, makers, room_of
from symgraph.codegen.vectors import Body, Register, declarations
from symgraph.graph.types import BOOL, DType


@dataclass(frozen=True, slots=True)
class Native:
    """A printed kernel."""

    name: str
    text: str
    """One function. Its module needs what is declared, and the machine's attributes as ``#0``."""
    declared: frozenset[str]


def unspoken(kernel: LoopKernel) -> str | None:
    """What of a kernel cannot be said here, in a few words; None where all can."""
    for each, _, _ in statements(kernel):
        match each:
            case Load(param=param) | Store(param=param) if param.type.dtype.is_complex:
                return f"{param.type.dtype} of {param.name}"
            case Compute() if not is_spoken(each.op, [x.row for x in each.args], each.target.row):
                return f"{each.op.name} of {each.args[-1].row}"
            case Reduce() if not reduces(each):
                return f"{each.op.name} of {each.arg.row}"
    return None


def module(kernels: Sequence[Native], machine: Machine) -> str:
    """The text of a module of kernels."""
    functions = "\n".join(kernel.text for kernel in kernels)
    declared = declarations(line for kernel in kernels for line in kernel.declared)
    return f"{functions}\n{declared}attributes #0 = {{ {machine.attributes} }}\n"


def print_native(kernel: LoopKernel, layout: Layout, machine: Machine) -> Native:
    """The function of a kernel for a layout; its name follows from its text, so that equal ones are one."""
    return _Printer(kernel, layout, machine).run()


_SHORT = 6
"""What a kernel computes more often is a function that is called: a call takes time, compiling it anew takes more."""

Inside: TypeAlias = Callable[[list[Register]], list[Register]]
"""What stands in a loop: it takes what is carried from the turn before, and gives it on."""

_ZERO = Register("0", INT64, 0)


@dataclass(slots=True)
class _Scope:
    """What is known at a place: where the arrays are, and values."""

    places: dict[Access | str, str]
    values: dict[str, Register]
    wide: dict[str, Register]
    """Numbers in every lane."""
    mask: Register | None = None
    """The lanes that count; None for all."""
    turn: Register | None = None
    """How many turns the loops over columns have done, those further in not counted; None where nobody asks."""


class _Printer:
    def __init__(self, kernel: LoopKernel, layout: Layout, machine: Machine) -> None:
        self._kernel, self._layout, self._machine = kernel, layout, machine
        self._body, self._lanes = Body(fma=machine.fma), lanes_of(kernel, machine)
        self._sizes: list[Register] = []
        self._row_of = {param.name: param.type.dtype for param in (*kernel.reads, *kernel.writes)}
        self._makers = makers(kernel)
        parts = in_parts(kernel, self._makers)
        self._sections, self._homes = parts.sections, parts.kept
        self._room = room_of(kernel, machine, upright=layout.vector < layout.rows)
        self._steps: dict[Access | str, tuple[Step, ...]] = dict(
            zip(accesses(kernel), layout.steps, strict=True)
        )
        self._strides: dict[Access | str, list[Register]] = {}
        self._depths, self._vectors = followed(kernel, layout, self._homes)
        self._guards = guards(kernel)
        self._counts = Counter(x.op for x, _, _ in statements(kernel) if isinstance(x, Compute))
        self._scope = _Scope({}, {}, {})

    def run(self) -> Native:
        self._prologue()
        for each in self._kernel.once:
            self._statement(each)
        self._rows(0)
        self._body.emit("ret void")
        lines = "\n".join(self._body.lines)
        name = f"kernel_{sha256(lines.encode()).hexdigest()[:16]}"
        text = f"define void @{name}(ptr %table, i64 %begin, i64 %end) #0 {{\nentry:\n{lines}\n}}\n"
        return Native(name, text, frozenset(self._body.declared))

    # The table

    def _prologue(self) -> None:
        """The words of the table; nothing of it is read again."""
        place = iter(range(1 << 20))
        for param in (*self._kernel.reads, *self._kernel.writes):
            base = self._word(next(place), "ptr")
            for access in self._steps:
                if isinstance(access, Access) and access.param == param.name:
                    self._scope.places[access] = base
        room = next(place)
        count = self._layout.rows + self._layout.columns
        self._sizes = [Register(self._word(next(place), "i64"), INT64, 0) for _ in range(count)]
        for access, steps in self._steps.items():
            self._strides[access] = [
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
        begin, end = ("%begin", "%end") if level == 0 else ("0", self._sizes[level].text)

        def inside(carried: list[Register]) -> list[Register]:
            self._rows(level + 1)
            return carried

        self._turns(level, Register(begin, INT64, 0), Register(end, INT64, 0), [], inside)

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
        wanted = condition if guard.wanted else body.not_(condition)
        if wanted.lanes and self._scope.mask is not None:
            wanted = body.and_(wanted, self._scope.mask)
        body.emit(f"br i1 {body.any(wanted)}, label %{asked}, label %{past}")
        body.begin(asked)
        with self._scoped() as scope:
            self._items(items, swept)
            made = {name: x for name, x in scope.values.items() if name in guard.made}
        end = body.block
        body.emit(f"br label %{past}")
        body.begin(past)
        for name, x in made.items():
            self._scope.values[name] = body.meet(body.constant(x.row, 0, x.lanes), before, x, end)

    def _before_sweeps(self) -> list[Statement]:
        return list(itertools.takewhile(lambda x: not isinstance(x, tuple), self._sections))  # type: ignore[arg-type]

    def _sweep(self, section: tuple[Statement, ...]) -> None:
        """The loops over columns; what they reduce is known after them."""
        body, last = self._body, self._layout.rows + self._layout.columns - 1
        across = self._layout.vector == last
        reduced = [
            reduction(x, self._lanes if across or _name(x.arg) in self._vectors else 0)
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
                    level, _ZERO, self._sizes[level], carried, lambda given: nest(level + 1, given)
                )
            if has_total:
                return body.loop(_ZERO, self._sizes[last], step, carried, some_turns)
            return turns(_ZERO, self._sizes[last], carried)

        step = TURNS * (self._lanes if across else 1)
        all_totals = [each.total(body) if has_total else each.start(body) for each in reduced]
        with self._scoped() as scope:
            scope.turn = _ZERO if any(each.wants_place for each in reduced) else None
            found = _parted(nest(self._layout.rows, _joined(all_totals)), all_totals)
        for each, total in zip(reduced, found, strict=True):
            state = each.result(body, total) if has_total else total
            self._scope.values[each.each.target.name] = each.across(body, state) if across else state[0]

    def _do(
        self, section: Sequence[Statement], reduced: Sequence[Reduction], carried: Sequence[State]
    ) -> list[Register]:
        """What one turn of a sweep does, and what is carried to the next."""
        body, across = self._body, self._layout.vector >= self._layout.rows
        states = iter(zip(reduced, carried, strict=True))
        found = []
        for each in section:
            if not isinstance(each, Reduce):
                self._statement(each)
                continue
            how, state = next(states)
            x = self._operand(each.arg, how.lanes)
            new = how.take(body, state, x, self._number(how.lanes) if how.wants_place else None)
            mask = self._scope.mask if across else None
            if mask is not None:
                new = [body.select(mask, a, b) for a, b in zip(new, state, strict=True)]
            found.append(new)
        return _joined(found)

    def _number(self, lanes: int) -> Register:
        """How many turns of the sweep came before this one, in each lane."""
        found = self._body.spread(self._scope.turn or _ZERO, lanes)
        across = self._layout.vector >= self._layout.rows
        return self._body.add(found, counting(lanes)) if lanes and across else found

    def _hoist(self, section: Sequence[Statement], level: int) -> None:
        """What does not follow a loop, nor those inside of it, is done before it."""
        for each in section:
            if isinstance(each, Load | Compute) and self._depths[each.target.name] < level:
                self._statement(each)
        if level != self._layout.vector:
            return
        for each in section:  # numbers that vectors meet are spread once
            for name in map(_name, operands(each)) if self._is_vector(each) else ():
                found = self._scope.values.get(name)
                if found is not None and name not in self._scope.wide:
                    self._scope.wide[name] = self._body.spread(found, self._lanes)

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

        def some(n: Register, given: list[Register]) -> list[Register]:
            return self._turn(level, n, self._first_lanes(body.sub(end, n)), given, inside)

        if level != self._layout.vector:
            return body.loop(begin, end, 1, carried, whole)
        if self._machine.masks:
            return body.loop(begin, end, lanes, carried, some)
        middle = body.add(begin, body.and_(body.sub(end, begin), -lanes))
        return body.loop(middle, end, lanes, body.loop(begin, middle, lanes, carried, whole), some)

    def _turn(
        self, level: int, n: Register, mask: Register | None, carried: list[Register], inside: Inside
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

    @contextmanager
    def _scoped(self) -> Iterator[_Scope]:
        """What becomes known inside is forgotten after it."""
        outer = self._scope
        self._scope = _Scope(dict(outer.places), dict(outer.values), dict(outer.wide), outer.mask, outer.turn)
        try:
            yield self._scope
        finally:
            self._scope = outer

    def _first_lanes(self, count: Register) -> Register:
        """A mask of so many lanes, or of all."""
        body, lanes = self._body, self._lanes
        if not self._machine.masks:
            return body.compare("lt", counting(lanes), body.spread(count, lanes))
        missing = body.sub(lanes, body.intrinsic("smin", count, lanes))
        word = f"i{lanes}"
        shift = missing.text if lanes == 64 else body.named(f"trunc i64 {missing.text} to {word}")
        bits = body.named(f"lshr {word} -1, {shift}")
        return Register(body.named(f"bitcast {word} {bits} to <{lanes} x i1>"), BOOL, lanes)

    # Statements

    def _statement(self, each: Statement) -> None:
        scope = self._scope
        if isinstance(each, Store):
            self._write(Access(each.param.name, each.index), each.param.type.dtype, each.value)
            return
        name = each.target.name
        if name in scope.values:  # it was done before a loop
            return
        if isinstance(each, Load):
            found = self._read(Access(each.param.name, each.index), each.target.row)
        elif isinstance(each, Reduce):  # of one element, where there are no columns
            how = reduction(each, self._lanes_of(each.arg))
            state = how.take(
                self._body, how.start(self._body), self._operand(each.arg, how.lanes), self._number(how.lanes)
            )
            found = state[0]
        else:
            lanes = max((self._lanes_of(x) for x in each.args), default=0)
            args = [self._operand(x, lanes) for x in each.args]
            rows = [x.row for x in each.args]
            apart = self._counts[each.op] > _SHORT
            found = compute(self._body, each.op, args, rows, each.target.row, apart=apart)
        scope.values[name] = found
        if name in self._homes:
            self._keep(each.target)

    def _keep(self, value: Value) -> None:
        """What later sweeps read is written where it has room, unless it is stored there anyway."""
        home = self._homes[value.name]
        if home is None:
            self._write(value.name, value.row, value)
        elif home.value != value:
            self._write(Access(home.param.name, home.index), value.row, value)

    def _lanes_of(self, x: Operand) -> int:
        return self._lanes if _name(x) in self._vectors else 0

    def _operand(self, x: Operand, lanes: int) -> Register:
        """A register of so many lanes; what an earlier sweep kept is read again."""
        if not isinstance(x, Value):
            return self._body.constant(computed_in(x.row), x.value, lanes)
        if x.name not in self._scope.values:
            home = self._homes[x.name]
            key = x.name if home is None else Access(home.param.name, home.index)
            self._scope.values[x.name] = self._read(key, x.row)
        found = self._scope.values[x.name]
        if lanes and not found.lanes and x.name in self._scope.wide:
            return self._scope.wide[x.name]
        return self._body.spread(found, lanes)

    def _read(self, key: Access | str, row: DType) -> Register:
        place, scope, vector = self._scope.places[key], self._scope, self._layout.vector
        step = self._steps[key][vector] if vector >= 0 else Step.NONE
        if step is Step.FAR:
            return gather(self._body, row, place, self._strides[key][vector], self._lanes, scope.mask)
        unit = step is Step.UNIT
        return load(self._body, row, place, self._lanes if unit else 0, scope.mask if unit else None)

    def _write(self, key: Access | str, row: DType, value: Operand) -> None:
        place, scope, vector = self._scope.places[key], self._scope, self._layout.vector
        step = self._steps[key][vector] if vector >= 0 else Step.NONE
        x = self._operand(value, 0 if step is Step.NONE else self._lanes)
        if step is Step.FAR:
            scatter(self._body, x, row, place, self._strides[key][vector], scope.mask)
        else:
            store(self._body, x, row, place, scope.mask if step is Step.UNIT else None)


def _joined(states: Sequence[State]) -> list[Register]:
    return [x for state in states for x in state]


def _parted(registers: Sequence[Register], like: Sequence[State]) -> list[State]:
    """Registers as states again."""
    left = iter(registers)
    return [[next(left) for _ in state] for state in like]


def _name(x: Operand) -> str:
    return x.name if isinstance(x, Value) else ""
