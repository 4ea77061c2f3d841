"""Rows whose blocks threads share, as LLVM IR.

The function gets a range of turns, which are the blocks of one sweep after the other, as `symgraph.codegen.row_blocks`
has them. Every thread goes through all rows, and through a row as far as its turns do. Its table has two words more:
the address of memory for what blocks reduce to, and that of words where threads meet. These are a function that waits,
its first argument, and for each row how many turns are done: 0 before the call and after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.layout import Layout, accesses
from symgraph.codegen.llvm_blocks import Blocks
from symgraph.codegen.llvm_columns import Section, joined, parted
from symgraph.codegen.llvm_memory import INT64, Lanes, address
from symgraph.codegen.llvm_reductions import Reduction, State, registers
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.llvm_turns import Inside
from symgraph.codegen.loops import LoopKernel, Statement, Store
from symgraph.codegen.machine import Machine
from symgraph.codegen.row_blocks import bytes_of_block, sweeps
from symgraph.codegen.vectors import Complex, Register
from symgraph.graph.types import BOOL


class SharedRows(Blocks):
    """What each thread does in a row, and whoever is last."""

    def __init__(self, kernel: LoopKernel, layout: Layout, machine: Machine, lanes: int) -> None:
        super().__init__(kernel, layout, machine, lanes)
        self._row_number = ZERO
        """How many rows, or vectors of rows, come before this one."""
        self._home = ""
        """The label of its end."""
        self._done = 0
        """How many of its sweeps come before the next."""
        self._left = ""
        """Where what the blocks of that reduce to is left."""
        self._asked = ""
        """A bit: whether anybody reads what it gives; "" if so."""
        self._met = ""
        """Where threads meet."""
        ends = self._sections if layout.rows else (*kernel.once, *self._sections)
        self._waiting = {id(x) for x in ends if isinstance(x, Store)} if layout.is_shared else set()
        self._late: list[Statement] = []
        """What is stored once all sweeps are done."""

    def _by_threads(self, section: Section, reductions: Sequence[Reduction]) -> None:
        """The blocks of a sweep whose numbers are in the function's range. Who finds that all are done puts together
        what they left; who has turns of later sweeps, waits for that. The others are done."""
        body = self._body
        if not self._done:
            self._meet()
        number, is_last = self._done, self._done == len(sweeps(self._kernel)) - 1
        self._done += 1
        step, left = bytes_of_block(section, self._lanes), self._left
        turns, count = self._turns_and_blocks
        begin, end = (
            body.intrinsic("smax", body.sub(Register(name, INT64, 0), body.mul(count, number)), 0)
            for name in ("%begin", "%end")
        )
        mine = body.intrinsic("smin", end, count)
        row = address(body, left, body.mul(count, step))
        self._left = address(body, row, step)

        def one(n: Register, _: list[Register]) -> list[Register]:
            with self._scoped():
                states = self._one_block(section, reductions, body.mul(n, turns), turns)
            self._leave(joined(states), address(body, left, body.mul(n, step)))
            return []

        def work() -> list[Register]:
            last = body.select(Register(self._asked, BOOL, 0), mine, begin) if self._asked else mine
            body.loop(begin, last, 1, [], one)
            done = body.add(self._count("add", body.sub(mine, begin)), body.sub(mine, begin))
            all_done = body.compare("eq", done, body.add(body.mul(count, number + 1), number))
            return self._where(all_done, lambda: combine(all_done), [all_done])

        def combine(all_done: Register) -> list[Register]:
            totals = [each.total(body) for each in reductions]
            like = [each.start(body) for each in reductions]

            def one(n: Register, given: list[Register]) -> list[Register]:
                states = parted(self._found(joined(like), address(body, left, body.mul(n, step))), like)
                parts = zip(reductions, parted(given, totals), states, strict=True)
                return joined(each.gather(body, total, state) for each, total, state in parts)

            found = parted(body.loop(ZERO, count, 1, joined(totals), one), totals)
            pairs = [(each, each.result(body, x)) for each, x in zip(reductions, found, strict=True)]
            self._leave(joined(registers(self._value(*each)) for each in pairs), row)
            if is_last:
                self._count("xchg", ZERO)
            else:
                self._count("add", body.constant(INT64, 1, 0))
            return [all_done]

        no = body.constant(BOOL, 0, 0)
        (all_done,) = self._where(body.compare("lt", begin, mine), work, [no])
        goes_on = all_done if is_last else body.compare("gt", end, count)
        further, home = body.label("further"), self._home or body.label("home")
        body.emit(f"br i1 {goes_on.text}, label %{further}, label %{home}")
        if not self._home:
            body.begin(home)
            body.emit("ret void")
        body.begin(further)
        if not is_last:
            self._wait(body.mul(body.add(count, 1), number + 1))
        self._know(reductions, row)
        if is_last:
            for each in self._late:
                super()._statement(each)

    def _statement(self, each: Statement) -> None:
        """What is stored for a shared row waits for its last sweep: until then every thread comes by."""
        if id(each) in self._waiting and self._done < len(sweeps(self._kernel)):
            self._late.append(each)
        else:
            super()._statement(each)

    def _turns(
        self, level: int, begin: Register, end: Register, carried: Sequence[Register], inside: Inside
    ) -> list[Register]:
        """Every thread goes through all rows whose blocks it shares."""
        if self._layout.is_shared and level == 0 < self._layout.rows:
            begin, end = ZERO, self._sizes[0]
        return super()._turns(level, begin, end, carried, inside)

    def _turn(
        self, level: int, n: Register, mask: Lanes, carried: list[Register], inside: Inside
    ) -> list[Register]:
        """The rows are counted; each begins with its first sweep."""
        body, layout = self._body, self._layout
        if not layout.is_shared or level >= layout.rows:
            return super()._turn(level, n, mask, carried, inside)
        before, size = self._row_number, self._sizes[level]
        if level == layout.vector:
            at, size = (body.div(x, self._lanes) for x in (n, body.add(size, self._lanes - 1)))
        else:
            at = n
        self._row_number = body.add(body.mul(before, size), at) if level else at

        def row(given: list[Register]) -> list[Register]:
            if level < layout.rows - 1:
                return inside(given)
            self._done, self._late, self._home = 0, [], body.label("home")
            found = inside(given)
            body.emit(f"br label %{self._home}")
            body.begin(self._home)
            return found

        found = super()._turn(level, n, mask, carried, row)
        self._row_number = before
        return found

    def _meet(self) -> None:
        """The words at the end of the table, for this row."""
        loops = self._layout.rows + self._layout.columns
        arrays = len(self._kernel.reads) + len(self._kernel.writes)
        place = arrays + 1 + loops * (1 + len(accesses(self._kernel)))
        body = self._body
        left, met = (
            body.named(f"load ptr, ptr {address(body, '%table', 8 * n)}, align 8") for n in (place, place + 1)
        )
        self._wait_for = [body.named(f"load ptr, ptr {address(body, met, n)}, align 8") for n in (0, 8)]
        turns = self._turns_of_block()
        size = self._sizes[self._layout.rows]
        count = body.div(body.sub(body.add(size, turns), 1), turns)
        self._turns_and_blocks = turns, count
        each = sum(bytes_of_block(section, self._lanes) for section in sweeps(self._kernel))
        self._left = address(body, left, body.mul(self._row_number, body.mul(body.add(count, 1), each)))
        self._met = address(body, met, body.add(body.mul(self._row_number, 8), 16))

    def _count(self, how: str, x: Register) -> Register:
        """How many turns were done before; some more are now, or none again."""
        text = f"atomicrmw {how} ptr {self._met}, i64 {x.text} acq_rel"
        return Register(self._body.named(text), INT64, 0)

    def _wait(self, least: Register) -> None:
        """Until so many turns are done, each sweep that was put together one of them."""
        wait, pool = self._wait_for
        self._body.emit(f"call void {wait}(ptr {pool}, ptr {self._met}, i64 {least.text})")

    def _know(self, reductions: Sequence[Reduction], place: str) -> None:
        """What a sweep reduced to, which was left there."""
        values = [each.value(self._narrowed(each.start(self._body))) for each in reductions]
        found = iter(self._found(joined(map(registers, values)), place))
        for each, value in zip(reductions, values, strict=True):
            made = Complex(next(found), next(found)) if isinstance(value, Complex) else next(found)
            self._scope.values[each.each.target.name] = made

    def _narrowed(self, state: State) -> State:
        """What of a state has one number where lanes are put together in the end."""
        return [Register(x.text, x.row, 0) if self._across else x for x in state]
