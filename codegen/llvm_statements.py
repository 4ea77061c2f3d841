"""Statements of kernels as LLVM IR, in a scope: where arrays are, and what is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from symgraph.codegen import llvm_elements as elements
from symgraph.codegen.complex_ops import Element, compute, is_long
from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_denormals import careful
from symgraph.codegen.llvm_exp import exp_of_negative
from symgraph.codegen.llvm_hoisted import Rest
from symgraph.codegen.llvm_memory import INT64, Lanes, counting
from symgraph.codegen.llvm_ready import ready
from symgraph.codegen.llvm_reductions import reduction
from symgraph.codegen.loop_signs import never_positive
from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    LoopKernel,
    Number,
    Operand,
    Reduce,
    Statement,
    Store,
    Value,
    all_of,
)
from symgraph.codegen.vectorized import followed, name_of, parts_of
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.op import Op
from symgraph.graph.types import DType
from symgraph.ops.transcendental import exp

ZERO = Register("0", INT64, 0)

_SHORT = 6
"""What a kernel computes more often is a function that is called: a call takes time, compiling it anew takes more."""


@dataclass(slots=True)
class Scope:
    """What is known at a place: where the arrays are, and values."""

    places: dict[Access | str, str]
    values: dict[str, Element]
    wide: dict[str, Element]
    """Numbers in every lane."""
    rests: dict[tuple[Op, tuple[Operand, ...]], Rest]
    """What is left of ops, by their operands but for the first, which is a vector."""
    mask: Lanes = None
    """The lanes that count; None for all."""
    streams: bool = False
    """Whether results pass by the caches."""
    is_careful: bool = False
    """Whether numbers may be small, of which a processor takes long."""
    turn: Register | None = None
    """How many turns the loops over columns have done, those further in not counted; None where nobody asks."""


class Statements:
    """What stands in the loops of a kernel; ``lanes`` numbers at a time where it follows the loop in vectors."""

    def __init__(self, kernel: LoopKernel, layout: Layout, body: Body, lanes: int) -> None:
        self._kernel, self._layout, self._body, self._lanes = kernel, layout, body, lanes
        parts = parts_of(kernel)
        self._sections, self._homes = parts.sections, parts.kept
        self._row_of = {param.name: param.type.dtype for param in (*kernel.reads, *kernel.writes)}
        self._steps: dict[Access | str, tuple[Step, ...]] = dict(
            zip(accesses(kernel), layout.steps, strict=True)
        )
        self._strides: dict[Access | str, list[Register]] = {}
        self._depths, self._vectors = followed(kernel, layout, self._homes)
        self._counts = Counter(x.op for x in all_of(kernel) if isinstance(x, Compute))
        self._scope = Scope({}, {}, {}, {})

    @contextmanager
    def _scoped(self) -> Iterator[Scope]:
        """What becomes known inside is forgotten after it."""
        outer = self._scope
        known = dict(outer.places), dict(outer.values), dict(outer.wide), dict(outer.rests)
        self._scope = Scope(*known, outer.mask, outer.streams, outer.is_careful, outer.turn)
        try:
            yield self._scope
        finally:
            self._scope = outer

    def _statement(self, each: Statement) -> None:
        scope = self._scope
        if isinstance(each, Store):
            self._write(Access(each.param.name, each.index), each.param.type.dtype, each.value)
            return
        name = each.target.name
        if name in scope.values:  # it was done before a loop
            return
        if isinstance(each, Load):
            found: Element = self._read(Access(each.param.name, each.index), each.target.row)
        elif isinstance(each, Reduce):  # of one element, where there are no columns
            how = reduction(each, self._lanes_of(each.arg))
            state = how.take(
                self._body, how.start(self._body), self._operand(each.arg, how.lanes), self._number(how.lanes)
            )
            found = how.value(state)
        else:
            assert not isinstance(each, Carry), "its sweep sets it"
            found = self._computed(each)
        scope.values[name] = found
        if name in self._homes:
            self._keep(each.target)

    def _computed(self, each: Compute) -> Element:
        """What an op gives; less is to do where more is known of its operands."""
        lanes = max([self._lanes_of(x) for x in each.args], default=0)
        args = [self._operand(x, lanes) for x in each.args]
        rows = [x.row for x in each.args]
        if self._scope.is_careful and lanes:
            found = careful(self._body, each.op, [x for x in args if isinstance(x, Register)])
            if found is not None:
                return found
        first, rest = args[0], self._scope.rests.get((each.op, each.args[1:]))
        if rest is not None and lanes and isinstance(first, Register):
            return rest(self._body, first)
        is_known = any(isinstance(x, Number) for x in each.args)
        apart = self._counts[each.op] > _SHORT or (is_long(each.op, rows) and not is_known)
        is_negative = (
            each.op is exp.op and not apart and name_of(each.args[0]) in never_positive(self._kernel)
        )
        if is_negative and isinstance(first, Register) and first.row is each.target.row:
            return ready(self._body, "exp_of_negative", [first]) or exp_of_negative(self._body, first)
        return compute(self._body, each.op, args, rows, each.target.row, each.attrs, apart=apart)

    def _keep(self, value: Value) -> None:
        """What later sweeps read is written where it has room, unless it is stored there anyway."""
        home = self._homes[value.name]
        if home is None:
            self._write(value.name, value.row, value)
        elif home.value != value:
            self._write(Access(home.param.name, home.index), value.row, value)

    def _lanes_of(self, x: Operand) -> int:
        return self._lanes if name_of(x) in self._vectors else 0

    def _operand(self, x: Operand, lanes: int) -> Element:
        """A register of so many lanes; what an earlier sweep kept is read again."""
        if not isinstance(x, Value):
            return elements.constant(self._body, x.row, x.value, lanes)
        if x.name not in self._scope.values:
            home = self._homes[x.name]
            key = x.name if home is None else Access(home.param.name, home.index)
            self._scope.values[x.name] = self._read(key, x.row)
        found = self._scope.values[x.name]
        if lanes and not found.lanes and x.name in self._scope.wide:
            return self._scope.wide[x.name]
        return elements.spread(self._body, found, lanes)

    def _read(self, key: Access | str, row: DType) -> Element:
        place, scope, vector = self._scope.places[key], self._scope, self._layout.vector
        step = self._steps[key][vector] if vector >= 0 else Step.NONE
        if step is Step.FAR:
            return elements.gather(
                self._body, row, place, self._strides[key][vector], self._lanes, scope.mask
            )
        unit = step is Step.UNIT
        return elements.load(self._body, row, place, self._lanes if unit else 0, scope.mask if unit else None)

    def _write(self, key: Access | str, row: DType, value: Operand) -> None:
        place, scope, vector = self._scope.places[key], self._scope, self._layout.vector
        step = self._steps[key][vector] if vector >= 0 else Step.NONE
        x = self._operand(value, 0 if step is Step.NONE else self._lanes)
        if step is Step.FAR:
            elements.scatter(self._body, x, row, place, self._strides[key][vector], scope.mask)
        elif scope.streams and step is Step.UNIT:
            elements.stream(self._body, x, row, place)
        else:
            elements.store(self._body, x, row, place, scope.mask if step is Step.UNIT else None)

    def _number(self, lanes: int) -> Register:
        """How many turns of the sweep came before this one, in each lane."""
        found = self._body.spread(self._scope.turn or ZERO, lanes)
        across = self._layout.vector >= self._layout.rows
        return self._body.add(found, counting(lanes)) if lanes and across else found
