"""Loops whose turn is one elementwise kernel, as one kernel: elements outside, turns inside, carries in registers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    Loop,
    LoopKernel,
    Number,
    Param,
    Statement,
    Store,
    Sweep,
    Value,
    all_of,
)
from symgraph.codegen.lower import arrays_of, lower
from symgraph.graph.collector import paused
from symgraph.graph.dims import Size, symbol, symbols
from symgraph.graph.node import Node
from symgraph.graph.types import INT64, DType, TensorType
from symgraph.ops.arithmetic import add
from symgraph.ops.control import LoopAttrs
from symgraph.optimizations import plan

NUMBER = -1
"""In the place of an input: the number of a turn."""


class Carried(NamedTuple):
    """A loop as one kernel, for turns of it that follow each other.

    Arrays that are gone through or stacked have a row for each of these turns. The kernel goes forward: where the loop
    goes in reverse, they lie backwards.
    """

    loops: LoopKernel
    """It writes the carries, as they are after the last turn, and then what is stacked."""
    reads: tuple[int | Node, ...]
    """The inputs of the loop that it reads, by their numbers; constants; and `NUMBER`, that of its first turn."""


def carried(step: plan.Loop) -> Carried | str:
    """The kernel of a loop; or why there is none, in a few words.

    >>> from symgraph import fori_loop, placeholder
    >>> from symgraph.graph.graph import graph
    >>> x = placeholder("float32", ("n",), name="x")
    >>> made = plan.plan(graph([x], [fori_loop(0, 10, lambda i, c: c * 0.5 + x, x)]))
    >>> print(carried(made.steps[0]).loops)
    def kernel_0(_0_1: f32[n], _captured_0: f32[n], *, out: f32[n]):
        for i in rows(n):
            v: f32 = _0_1[i]
            v2: f32 = _captured_0[i]
            for t in sweep(turns):
                v0: f32 = carry(v, v3)
                v1: f32 = multiply(v0, f32(0.5))
                v3: f32 = add(v1, v2)
            out[i] = v0
    <BLANKLINE>
    """
    attrs, body = step.node.attrs, step.body
    assert isinstance(attrs, LoopAttrs)
    if step.condition is not None or attrs.length is None:
        return "a condition ends it"
    match body.steps:
        case [plan.Kernel(columns=columns) as kernel] if not columns:
            with paused():
                return _Carrying(attrs, body, kernel).run()
    return "a turn is not one kernel of elements"


class _Carrying:
    def __init__(self, attrs: LoopAttrs, body: plan.Plan, kernel: plan.Kernel) -> None:
        loops = self._loops = lower(kernel)
        self._every = [*loops.once, *(x for x in loops.body if not isinstance(x, Sweep))]
        self._names = _free_names(loops)
        self._rows = loops.rows or (Loop(symbol(self._names("i")), 1),)
        self._turn = Loop(symbol(self._names("t")), symbol(self._names("turns")))
        self._by = -1 if attrs.reverse else 1
        self._params = dict(zip(arrays_of(kernel), loops.reads, strict=True))
        number, *given = body.given
        self._number = self._params.get(number)
        carries = given[: attrs.carries]
        for x in carries:
            self._params.setdefault(x, Param(self._names("c"), x.tensor))
        self._carries = [self._params[x] for x in carries]
        self._through = {
            self._params[x] for x in given[attrs.carries : attrs.carries + attrs.rows] if x in self._params
        }
        numbers = {x: n for n, x in enumerate(given)}
        self._reads = {
            param: NUMBER if x is number else numbers.get(x, x) for x, param in self._params.items()
        }
        written = dict(zip(kernel.writes, loops.writes, strict=True))
        made = [written[x] for x in body.results]
        self._made, self._stacked = made[: attrs.carries], made[attrs.carries :]
        self._stores = {x.param: x for x in self._every if isinstance(x, Store)}
        self._loads = {x.param: x for x in self._every if isinstance(x, Load)}

    def run(self) -> Carried | str:
        if not all(map(self._is_everywhere, self._stores.values())):
            return "what a turn gives lies along less than it computes"
        homes = {
            param: self._stores[made].index for param, made in zip(self._carries, self._made, strict=True)
        }
        if any(isinstance(x, Load) and homes.get(x.param, x.index) != x.index for x in self._every):
            return "a turn reads other elements of a carry than it writes"
        once: list[Statement] = []
        before: list[Statement] = []
        heads: list[Carry] = []
        for param, made in zip(self._carries, self._made, strict=True):
            heads.append(Carry(self._now(param), self._value(param.type.dtype), self._stores[made].value))
            before.append(Load(_first(heads[-1]), param, homes[param]))
        after = [
            Store(made, self._stores[made].index, head.target)
            for made, head in zip(self._made, heads, strict=True)
        ]
        counted: list[Statement] = []
        if self._number is not None:
            following = self._value(INT64)
            heads.append(Carry(self._now(self._number), self._value(INT64), following))
            once.append(Load(_first(heads[-1]), self._number, ()))
            counted.append(Compute(following, add.op, (heads[-1].target, Number(INT64, self._by))))
        turning = {x: self._turning(x) for x in (*self._through, *self._stacked)}
        swept: list[Statement] = [*heads]
        follows = {x.target.name for x in heads}
        for n, each in enumerate(self._every):
            match each:
                case Load(target, param, index) if param in turning:
                    swept.append(Load(target, turning[param], (self._turn.variable, *index)))
                    follows.add(target.name)
                case Store(param, index, value) if param in turning:
                    swept.append(Store(turning[param], (self._turn.variable, *index), value))
                case Store():
                    continue
                case Load(target) if target.name in follows:
                    continue
                case Compute(target) if any(isinstance(x, Value) and x.name in follows for x in each.args):
                    swept.append(each)
                    follows.add(target.name)
                case _:
                    (once if n < len(self._loops.once) else before).append(each)
        loops = LoopKernel(
            self._loops.name,
            tuple(turning.get(x, x) for x in self._reads),
            (*self._made, *(turning[x] for x in self._stacked)),
            tuple(once),
            self._rows,
            (*before, Sweep((self._turn,), (*swept, *counted)), *after),
        )
        return Carried(loops, tuple(self._reads.values()))

    def _now(self, param: Param) -> Value:
        """What a turn has of what it is given, whether it reads it or not."""
        return self._loads[param].target if param in self._loads else self._value(param.type.dtype)

    def _is_everywhere(self, store: Store) -> bool:
        """Whether every element of the kernel's space has its own, and no call decides whether it is repeated."""
        turning = {loop.variable for loop in self._loops.rows if loop.size != 1}
        return {x for x in store.index if isinstance(x, Size)} >= turning

    def _turning(self, param: Param) -> Param:
        """The array with a row for each turn."""
        return Param(param.name, TensorType(param.type.dtype, (self._turn.size, *param.type.shape)))

    def _value(self, row: DType) -> Value:
        return Value(self._names("v"), row)


def _first(carry: Carry) -> Value:
    assert isinstance(carry.first, Value)
    return carry.first


def _free_names(loops: LoopKernel) -> Callable[[str], str]:
    """Names that nothing has, each like the one that is asked for."""
    arrays = (*loops.reads, *loops.writes)
    sizes = [*(dim for x in arrays for dim in x.type.shape), *(loop.size for loop in loops.rows)]
    taken = {x.name for x in arrays} | {
        str(x) for dim in sizes if isinstance(dim, Size) for x in symbols(dim)
    }
    taken |= {str(loop.variable) for loop in loops.rows}
    taken |= {x.target.name for x in all_of(loops) if not isinstance(x, Store)}

    def name(like: str) -> str:
        free = next(x for n in itertools.count() if (x := f"{like}{n or ''}") not in taken)
        taken.add(free)
        return free

    return name
