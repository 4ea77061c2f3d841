"""Quotients by one number all along a loop, by products: a processor divides as long as it multiplies thirty times.

With ``r`` the reciprocal of the divisor ``s`` as it is rounded, and ``h + l`` that reciprocal to twice the digits,
where ``h`` is not too large,

    q = fma(x, h, x * l)        is at most 1/2 + 2^(3-p) units of the last place, of p bits, from x / s
    e = fma(q, s, -x)           is exact
    fma(-e, r, q)               is x / s, rounded to the nearest: the bits of a division

since what the last product is wrong by is less than the least distance of a quotient from the middle between two
numbers, 2^(-p-1) units, unless the mantissa of ``s`` is all ones but for its last few bits. By such divisors, and by
those that are negative or far from 1, numbers are divided; so are all of a vector in which one is tiny, huge, infinite
or NaN. Zeros do no harm.

The last step is Markstein's (*Computation of elementary functions on the IBM RISC System/6000 processor*, IBM Journal
of Research and Development 34, 1990), the first Brisebarre's, Muller's and Raina's (*Accelerating correctly rounded
floating-point division when the divisor is known in advance*, IEEE Transactions on Computers 53, 2004).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import DType, dtype

_WIDE = 64
"""Bytes of vectors that float32 is faster in so; narrower ones are divided about as fast."""

_CLOSE = 16
"""Divisors whose mantissa is all ones but for less than this are divided by."""


class _Bounds(NamedTuple):
    """Powers of two between which the divisor is, and those between which what is divided is, or 0."""

    mantissa: int
    """Bits, without the first."""
    divisor: int
    """It is from ``2 ** -divisor`` to ``2 ** divisor``."""
    least: int
    most: int

    def pattern(self, exponent: int) -> int:
        """The bits of a power of two, as an integer."""
        bias = 127 if self.mantissa == 23 else 1023
        return exponent + bias << self.mantissa

    @property
    def first(self) -> int:
        return self.pattern(-self.divisor)

    @property
    def last(self) -> int:
        return self.pattern(self.divisor)

    @property
    def ones(self) -> int:
        """The greatest mantissa."""
        return (1 << self.mantissa) - 1

    @property
    def width(self) -> int:
        return self.pattern(self.most) - self.pattern(self.least)


_BOUNDS = {32: _Bounds(23, 20, -80, 100), 64: _Bounds(52, 100, -800, 800)}
"""By the bits of the dtype: so that nothing overflows on the way and no remainder has fewer bits than it needs."""


class Divisor(NamedTuple):
    """What is known of a divisor before a loop, in every lane."""

    itself: Register
    reciprocal: Register
    high: Register
    low: Register
    width: Register
    """From the least number that is divided so to the greatest, as integers; 0 where none is."""
    zero: Register
    """0, or NaN where 0 is no exception."""

    @classmethod
    def of(cls, body: Body, s: Register, wide: Register) -> Divisor:
        """Of a number that the run decides; ``wide`` is the same in every lane."""
        bounds, lanes = _BOUNDS[s.row.bits], wide.lanes
        reciprocal, minus = body.div(1.0, s), body.neg(s)
        above = body.compare("lt", body.fma(reciprocal, minus, 1.0), 0.0)
        pattern = body.as_integer(reciprocal)
        high = body.as_float(body.select(above, body.sub(pattern, 1), pattern))
        low = body.mul(body.fma(high, minus, 1.0), reciprocal)
        bits = body.as_unsigned(s)
        usual = body.and_(
            body.compare("lt", body.sub(bits, bounds.first), bounds.last - bounds.first),
            body.compare("le", body.and_(bits, bounds.ones), bounds.ones - _CLOSE),
        )
        width = body.select(usual, body.constant(bits.row, bounds.width, 0), 0)
        zero = body.select(usual, body.constant(s.row, 0.0, 0), float("nan"))
        return cls(wide, *(body.spread(x, lanes) for x in (reciprocal, high, low, width, zero)))

    @classmethod
    def known(cls, body: Body, wide: Register, value: float) -> Divisor | None:
        """Of a number that is known; None where it has to be divided by."""
        from fractions import Fraction

        row, lanes = wide.row, wide.lanes
        bounds, number = _BOUNDS[row.bits], row.numpy.type(value)
        pattern = int(number.view(f"u{row.bits // 8}"))
        if not bounds.first <= pattern < bounds.last or pattern & bounds.ones > bounds.ones - _CLOSE:
            return None
        exact, reciprocal = 1 / Fraction(float(number)), row.numpy.type(1) / number
        is_above = Fraction(float(reciprocal)) > exact
        high = np.nextafter(reciprocal, row.numpy.type(0)) if is_above else reciprocal
        low = float(exact - Fraction(float(high)))
        inverse, more, less, zero = (
            body.constant(row, float(x), lanes) for x in (reciprocal, high, low, 0.0)
        )
        width = body.constant(dtype(f"uint{row.bits}"), bounds.width, lanes)
        return cls(wide, inverse, more, less, width, zero)

    def quotient(self, body: Body, x: Register) -> Register:
        """``x`` over it in every lane, rounded to the nearest."""
        near = body.fma(x, self.high, body.mul(x, self.low))
        over = body.fma(near, self.itself, body.neg(x))
        found = body.fma(body.neg(over), self.reciprocal, near)
        bounds = _BOUNDS[x.row.bits]
        size = body.and_(body.as_unsigned(x), (1 << x.row.bits - 1) - 1)
        outside = body.compare("ge", body.sub(size, bounds.pattern(bounds.least)), self.width)
        rare = body.and_(outside, body.compare("ne", x, self.zero))
        return body.rarely(rare, found, lambda: body.div(x, self.itself))


def is_quick(machine: Machine, row: DType) -> bool:
    """Whether products are faster than a division in vectors of this dtype."""
    return machine.fma and (row.name == "float64" or (row.name == "float32" and machine.bytes >= _WIDE))
