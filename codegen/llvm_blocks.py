"""The blocks of long rows as LLVM IR: one after the other, with the bits that threads which share them have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from symgraph.codegen.complex_ops import Element
from symgraph.codegen.layout import Layout
from symgraph.codegen.llvm_columns import Columns, Section, joined, parted
from symgraph.codegen.llvm_memory import INT64, address, load, store
from symgraph.codegen.llvm_reductions import Reduction, State
from symgraph.codegen.llvm_statements import ZERO
from symgraph.codegen.loops import LoopKernel
from symgraph.codegen.machine import Machine
from symgraph.codegen.row_blocks import bytes_of_block, may_be_long, size_of_block, sweeps
from symgraph.codegen.vectorized import lanes_of
from symgraph.codegen.vectors import Register
from symgraph.graph.types import BOOL

_TOTALS, _STATES = "%totals", "%states"
"""Where the totals of a row of several blocks are, and what one reduces to. What is there is worked on in vectors of
the machine's width, one at a time: it is done seldom, and takes time to compile."""


class Blocks(Columns):
    """What a sweep does in a block, and in all of them."""

    def __init__(self, kernel: LoopKernel, layout: Layout, machine: Machine, lanes: int) -> None:
        super().__init__(kernel, layout, machine, lanes)
        self._long = [section for section in sweeps(kernel) if self._has_blocks(section)]
        if self._long:
            most = max(bytes_of_block(section, lanes) for section in self._long)
            self._body.emit(f"{_TOTALS} = alloca [{2 * most} x i8], align 64")
            self._body.emit(f"{_STATES} = alloca [{most} x i8], align 64")
        self._parts = max(1, lanes // lanes_of(kernel, machine, single=True))

    def _has_blocks(self, section: Section) -> bool:
        """Whether a row has blocks though no threads share it, for the same bits."""
        layout = self._layout
        if layout.is_shared or not layout.is_long or not may_be_long(self._kernel, upright=not self._across):
            return False
        return any(each.rounds for each in self._reductions(section))

    def _in_blocks(self, section: Section, reductions: Sequence[Reduction]) -> list[State]:
        """One block after the other; a row of one block is what that is. What several give goes through memory: a row
        that is short has all registers for itself."""
        body, size = self._body, self._sizes[self._layout.rows]
        states: list[State] = []
        totals = [each.total(body) for each in reductions]
        turns = self._turns_of_block()
        parts = self._parts if all(each.lanes for each in reductions) else 1
        several, no = body.compare("gt", size, turns), body.constant(BOOL, 0, 0)

        def block(given: list[Register]) -> tuple[list[Register], Register]:
            (begin,) = given
            states[:] = self._one_block(section, reductions, begin, turns)
            following = body.add(begin, turns)
            (more,) = self._where(several, lambda: gathered(begin, following), [no])
            return [following], more

        def gathered(begin: Register, following: Register) -> list[Register]:
            is_first = body.compare("eq", begin, 0)
            self._leave(joined(states), _STATES)
            body.loop(ZERO, body.constant(INT64, parts, 0), 1, [], lambda n, _: part(n, is_first))
            return [body.compare("lt", following, size)]

        def part(n: Register, is_first: Register) -> list[Register]:
            own = [type(each)(each.each, each.lanes // parts) for each in reductions]
            begin, given = [each.total(body) for each in own], [each.start(body) for each in own]
            found = self._found(joined(begin), _TOTALS, n, parts)
            before = [body.select(is_first, x, y) for x, y in zip(joined(begin), found, strict=True)]
            after = parted(self._found(joined(given), _STATES, n, parts), given)
            every = zip(own, parted(before, begin), after, strict=True)
            self._leave(joined(each.gather(body, *both) for each, *both in every), _TOTALS, n, parts)
            return []

        def whole() -> list[Register]:
            found = parted(self._found(joined(totals), _TOTALS), totals)
            return joined(each.result(body, x) for each, x in zip(reductions, found, strict=True))

        body.again_all([ZERO], block)
        return parted(self._where(several, whole, joined(states)), states)

    def _turns_of_block(self) -> Register:
        """Those of the first loop."""
        body, others = self._body, self._sizes[self._layout.rows + 1 :]
        turns = body.constant(INT64, size_of_block(upright=not self._across), 0)
        if not others:
            return turns
        inside = reduce(body.mul, others)
        return body.intrinsic("smax", body.div(turns, body.intrinsic("smax", inside, 1)), 1)

    def _one_block(
        self, section: Section, reductions: Sequence[Reduction], begin: Register, turns: Register
    ) -> list[State]:
        """What the block does that begins there."""
        size = self._sizes[self._layout.rows]
        end = self._body.intrinsic("smin", self._body.add(begin, turns), size)
        return self._reduced(section, reductions, begin, end)

    def _value(self, each: Reduction, state: State) -> Element:
        """What was found in a row, or in the rows of a vector."""
        return each.across(self._body, state) if self._across else each.value(state)

    def _where(
        self, condition: Register, then: Callable[[], list[Register]], otherwise: Sequence[Register]
    ) -> list[Register]:
        """Other registers where a condition holds."""
        body, before = self._body, self._body.block
        first, after = body.label("then"), body.label("after")
        body.emit(f"br i1 {condition.text}, label %{first}, label %{after}")
        body.begin(first)
        found, end = then(), body.block
        body.emit(f"br label %{after}")
        body.begin(after)
        return [body.meet(x, end, y, before) for x, y in zip(found, otherwise, strict=True)]

    def _leave(self, xs: Sequence[Register], place: str, part: Register = ZERO, parts: int = 1) -> None:
        """Registers, or one of some parts of them, to memory."""
        for x, at in zip(xs, self._places(xs, place, part, parts), strict=True):
            store(self._body, x, x.row, at, None)

    def _found(
        self, like: Sequence[Register], place: str, part: Register = ZERO, parts: int = 1
    ) -> list[Register]:
        """What was left there, registers like these."""
        places = self._places(like, place, part, parts)
        return [load(self._body, x.row, at, x.lanes, None) for x, at in zip(like, places, strict=True)]

    def _places(self, like: Sequence[Register], place: str, part: Register, parts: int) -> list[str]:
        found = []
        for x in like:
            size = max(x.lanes, 1) * x.row.numpy.itemsize
            found.append(address(self._body, place, self._body.mul(part, size)) if parts > 1 else place)
            place = address(self._body, place, parts * size)
        return found
