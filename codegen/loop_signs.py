"""What is known of the signs of a kernel's values, so that less has to be computed of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from symgraph.codegen.loops import Compute, LoopKernel, Number, Operand, makers, of_kernel
from symgraph.ops.arithmetic import maximum, minimum, multiply, negative
from symgraph.optimizations.signs import NEVER_NEGATIVE


@of_kernel
def never_positive(kernel: LoopKernel) -> frozenset[str]:
    """The names of real values that are 0, negative or NaN, whatever the kernel is given."""
    signs: dict[str, Sign] = {}
    for name, x in makers(kernel).items():
        if isinstance(x, Compute) and not x.target.row.is_complex:
            signs[name] = _sign(x, signs)
    return frozenset(name for name, sign in signs.items() if sign.below)


class Sign(NamedTuple):
    """What a number is besides NaN."""

    above: bool = False
    """0 or positive."""
    below: bool = False
    """0 or negative."""


def _sign(x: Compute, signs: Mapping[str, Sign]) -> Sign:
    own = [_known(y, signs) for y in x.args]
    if x.op in NEVER_NEGATIVE:
        return Sign(above=True)
    if x.op is negative.op:
        return Sign(own[0].below, own[0].above)
    if x.op is multiply.op:
        a, b = own
        same, other = (
            (a.above and b.above) or (a.below and b.below),
            (a.above and b.below) or (a.below and b.above),
        )
        return Sign(same or x.args[0] == x.args[1], other)
    if x.op is maximum.op:
        return Sign(any(y.above for y in own), all(y.below for y in own))
    if x.op is minimum.op:
        return Sign(all(y.above for y in own), any(y.below for y in own))
    return Sign()


def _known(x: Operand, signs: Mapping[str, Sign]) -> Sign:
    if not isinstance(x, Number):
        return signs.get(x.name, Sign())
    return Sign() if x.row.is_complex else Sign(float(x.value) >= 0, float(x.value) <= 0)
