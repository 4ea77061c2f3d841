"""Ops of a vector and of numbers that stay the same along a loop: what follows from those is computed before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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


def hoisted(
    body: Body, op: Op, numbers: Sequence[Register | Number], wide: Sequence[Register], machine: Machine
) -> Rest | None:
    """What an op does with a vector as its first operand, the others being these ``numbers``, which are ``wide`` in
    every lane; None where nothing is gained. Lines that belong before the loop are added."""
    if op is divide.op and is_quick(machine, wide[0].row):
        s = numbers[0]
        divisor = (
            Divisor.known(body, wide[0], s.value) if isinstance(s, Number) else Divisor.of(body, s, wide[0])
        )
        return None if divisor is None else divisor.quotient
    if op is scaled_exp_op:
        less, n = wide
        return partial(_scaled_exp, less, Scale.of(body, n))
    return None


def may_hoist(op: Op) -> bool:
    """Whether `hoisted` knows an op."""
    return op is divide.op or op is scaled_exp_op


def _scaled_exp(less: Register, scale: Scale, body: Body, x: Register) -> Register:
    return scaled_exp(body, x, less, scale)
