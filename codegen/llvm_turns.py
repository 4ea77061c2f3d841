"""One loop of a kernel as LLVM IR, whatever stands inside: turn by turn, in vectors, or past the caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from symgraph.codegen import llvm_elements as elements
from symgraph.codegen.layout import Access, Layout, Step
from symgraph.codegen.llvm_hoisted import hoisted, may_hoist
from symgraph.codegen.llvm_memory import INT64, Lanes, address, all_or_first, fetch, first_lanes
from symgraph.codegen.llvm_statements import Statements
from symgraph.codegen.loops import (
    Compute,
    Load,
    LoopKernel,
    Number,
    Reduce,
    Statement,
    Store,
    all_of,
    operands,
)
from symgraph.codegen.machine import LINE, Machine
from symgraph.codegen.streams import first_whole
from symgraph.codegen.vectorized import dearest, has_own_rest, is_plain, name_of
from symgraph.codegen.vectors import Body, Register

_FETCHED = 1 << 18
"""Rows of fewer bytes are in the caches together with the next one."""

_MOST_MASKED = 64
"""Lanes of a mask that is made by a shift of one word."""

Inside: TypeAlias = Callable[[list[Register]], list[Register]]
"""What stands in a loop: it takes what is carried from the turn before, and gives it on."""

Turn: TypeAlias = Callable[[Register, list[Register]], list[Register]]
"""The same for one turn, whose number it takes too."""


class Turns(Statements):
    """The turns of a kernel's loops, and what is done before them."""

    _is_soon = False
    """Whether the text is the one that is compiled soonest: a loop in vectors has one kind of turn, with a mask."""

    def __init__(self, kernel: LoopKernel, layout: Layout, machine: Machine, lanes: int) -> None:
        super().__init__(kernel, layout, Body(fma=machine.fma), lanes)
        self._machine = machine
        self._sizes: list[Register] = []
        """Of the loops."""
        stored = [Access(x.param.name, x.index) for x in all_of(kernel) if isinstance(x, Store)]
        is_last = layout.vector == layout.rows + layout.columns - 1 >= 0
        self._streamed = (
            [x for x in stored if self._steps[x][-1] is Step.UNIT]
            if layout.streams and is_last and not self._is_soon
            else []
        )
        self._dearest = dearest(kernel) if layout.rows and not layout.streams else None
        self._section: Sequence[Statement] | None = None
        """The sweep whose turns these are."""

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

        def masked(n: Register, given: list[Register]) -> list[Register]:
            count = body.intrinsic("smin", body.sub(end, n), lanes)
            return self._turn(level, n, first_lanes(body, count, lanes, masks=True), given, inside)

        has_rest = has_own_rest(self._kernel) or (self._section is not None and is_plain(self._section))
        if level != self._layout.vector:
            return body.loop(begin, end, 1, carried, whole)
        if self._is_soon and self._machine.masks and lanes <= _MOST_MASKED:
            return body.loop(begin, end, lanes, carried, masked)
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

    def _fetch_next_row(self, section: Sequence[Statement]) -> None:
        """In the dearest of the sweeps of a row, ask for what the next row reads, where the arrays of this one are."""
        last = self._layout.rows + self._layout.columns - 1
        if section is not self._dearest or self._layout.vector != last:
            return
        body, row, read = self._body, self._layout.rows - 1, {x.name for x in self._kernel.reads}
        for key, steps in self._steps.items():
            if isinstance(key, str) or key.param not in read:
                continue
            if steps[last] is Step.UNIT and steps[row] is Step.FAR:
                stride = self._strides[key][row]
                near = body.compare("lt", body.as_unsigned(body.add(stride, _FETCHED)), 2 * _FETCHED)
                place = address(body, self._scope.places[key], body.select(near, stride, 0))
                for offset in range(0, self._lanes * self._row_of[key.param].numpy.itemsize, LINE):
                    fetch(body, address(body, place, offset), nearest=True)

    def _hoist(self, section: Sequence[Statement], level: int) -> None:
        """What does not follow a loop, nor those inside of it, is done before it."""
        for each in section:
            if isinstance(each, Load | Compute) and self._depths[each.target.name] < level:
                self._statement(each)
        if level == self._layout.vector:
            self._spread(section)

    def _spread(self, section: Sequence[Statement]) -> None:
        """Numbers that vectors meet are spread once, and what follows from them alone is computed once."""
        for each in section:
            for name in map(name_of, operands(each)) if self._is_vector(each) else ():
                found = self._scope.values.get(name)
                if found is not None and name not in self._scope.wide:
                    self._scope.wide[name] = elements.spread(self._body, found, self._lanes)
            if isinstance(each, Compute) and may_hoist(each.op):
                self._prepare(each)

    def _prepare(self, each: Compute) -> None:
        """What of an op follows from its operands but the first, where that alone is a vector."""
        scope, (first, *others) = self._scope, each.args
        is_alone = name_of(first) in self._vectors and self._vectors.isdisjoint(map(name_of, others))
        given = [x if isinstance(x, Number) else scope.values.get(x.name) for x in others]
        if self._lanes and is_alone and (each.op, each.args[1:]) not in scope.rests:
            wide = [
                self._operand(x, self._lanes) for x, y in zip(others, given, strict=True) if y is not None
            ]
            numbers = [x for x in given if isinstance(x, Register | Number)]
            vectors = [x for x in wide if isinstance(x, Register)]
            if len(numbers) == len(vectors) == len(others):
                rest = hoisted(self._body, each.op, numbers, vectors, self._machine)
                if rest is not None:
                    scope.rests[each.op, each.args[1:]] = rest

    def _is_vector(self, each: Statement) -> bool:
        if isinstance(each, Store):
            return self._steps[Access(each.param.name, each.index)][self._layout.vector] is not Step.NONE
        return isinstance(each, Reduce) or each.target.name in self._vectors
