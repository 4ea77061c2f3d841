"""Ops of a vector and of numbers that stay the same along a loop: what follows from those is computed before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from symgraph.codegen.llvm_exp import Scale, scaled_exp
from symgraph.codegen.llvm_quotients import Divisor, is_quick
from symgraph.codegen.loops import Number
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.op import Op
from symgraph.ops.arithmetic import divide
from symgraph.ops.softmax import scaled_exp as scaled_exp_op

Rest: TypeAlias = Callable[[Body, Register], Register]
"""What is left to do in the loop: it takes the vector."""


def may_hoist(op: Op) -> bool:
    """Whether `hoisted` knows an op."""
    return op in _HOISTED


def hoisted(
    body: Body, op: Op, numbers: Sequence[Register | Number], wide: Sequence[Register], machine: Machine
) -> Rest | None:
    """What an op does with a vector as its first operand, the others being these ``numbers``, which are ``wide`` in
    every lane; None where nothing is gained. Lines that belong before the loop are added."""
    return _HOISTED[op](body, numbers, wide, machine)


def _quotient(
    body: Body, numbers: Sequence[Register | Number], wide: Sequence[Register], machine: Machine
) -> Rest | None:
    (s,), (itself,) = numbers, wide
    if not is_quick(machine, itself.row):
        return None
    divisor = Divisor.known(body, itself, s.value) if isinstance(s, Number) else Divisor.of(body, s, itself)
    return None if divisor is None else divisor.quotient


def _scaled(
    body: Body, numbers: Sequence[Register | Number], wide: Sequence[Register], machine: Machine
) -> Rest:
    less, n = wide
    scale = Scale.of(body, n)
    return lambda body, x: scaled_exp(body, x, less, scale)


_HOISTED: Mapping[Op, Callable[..., Rest | None]] = {divide.op: _quotient, scaled_exp_op: _scaled}
