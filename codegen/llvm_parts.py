"""What the bodies of functions share: formats of floats, limits, polynomials and fractions, and sums of two floats for
one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from symgraph.codegen.coefficients import PARTS, POLYNOMIALS
from symgraph.codegen.vectors import Body, Register, Value


class Format(NamedTuple):
    """A float: how its bits are laid out."""

    bits: int
    fraction: int
    """Bits of the fraction, which are the lowest."""
    bias: int
    """The exponent's field of 1."""

    @property
    def one(self) -> int:
        """The bits of 1."""
        return self.bias << self.fraction

    @property
    def least(self) -> float:
        """The least number that is not denormal."""
        return 2.0 ** (1 - self.bias)

    @property
    def whole(self) -> float:
        """Added to a small number it leaves an integer in the lowest bits."""
        return 1.5 * 2.0**self.fraction


FORMATS = {32: Format(32, 23, 127), 64: Format(64, 52, 1023)}

Pair: TypeAlias = tuple[Register, Register]
"""A number as the sum of two floats: the second is at most about half a unit in the last place of the first."""

INF, NAN = float("inf"), float("nan")


def format_of(x: Register) -> Format:
    return FORMATS[x.row.bits]


def by_bits(x: Register, single: float, double: float) -> float:
    """One of two numbers, by the dtype."""
    return single if x.row.bits == 32 else double


def coefficients(name: str, x: Register) -> tuple[float, ...]:
    return POLYNOMIALS[name][x.row.bits]


def constant_parts(name: str, x: Register) -> tuple[float, ...]:
    """A constant as a sum of numbers of the dtype, the greatest first."""
    return PARTS[name][x.row.bits]


def polynomial(body: Body, x: Register, name: str) -> Register:
    """The polynomial of a name in ``x``."""
    return horner(body, x, coefficients(name, x))


def horner(body: Body, x: Register, values: Sequence[Value]) -> Register:
    """``values[0] + values[1] * x + ...``."""
    found = body.like(values[-1], x)
    for value in reversed(values[:-1]):
        found = body.fma(found, x, value)
    return found


def continued_fraction(
    body: Body,
    first: Register,
    following: Callable[[Register], tuple[Register, Register]],
    wanted: Register,
    *,
    error: float,
    turns: float,
) -> Register:
    """``1 / (first + a(1) / (b(1) + a(2) / (b(2) + ...)))`` where it is ``wanted``, to an ``error`` in parts of it, or
    to so many turns. ``following`` gives ``a`` and ``b`` of a number.

    Numerators and denominators of what it is when it is cut off follow from the two before; both are made smaller
    where they grow too large.
    """

    def turn(state: list[Register]) -> tuple[list[Register], Register]:
        over, over_before, under, under_before, found, k = state
        k = body.add(k, 1.0)
        a, b = following(k)
        over, over_before = body.fma(over, b, body.mul(over_before, a)), over
        under, under_before = body.fma(under, b, body.mul(under_before, a)), under
        new = body.div(over, under)
        apart = body.compare("gt", body.abs(body.sub(new, found)), body.mul(new, error))
        scale = body.select(body.compare("gt", under, 2.0**300), body.like(2.0**-300, first), 1.0)
        numbers = [body.mul(each, scale) for each in (over, over_before, under, under_before)]
        goes_on = body.and_(body.compare("lt", k, turns), apart)
        return [*numbers, new, k], body.and_(goes_on, wanted)

    zero, one = body.like(0.0, first), body.like(1.0, first)
    start = [one, zero, first, one, body.div(1.0, first), zero]
    return body.until_done(start, turn)[4]


def at_most(body: Body, x: Register, limit: Value) -> Register:
    """The lesser of the two; NaN of NaN."""
    return body.select(body.compare("gt", x, limit), limit, x)


def at_least(body: Body, x: Register, limit: Value) -> Register:
    """The greater of the two; NaN of NaN."""
    return body.select(body.compare("lt", x, limit), limit, x)


def times_power(body: Body, x: Register, exponent: Register) -> Register:
    """``x * 2**exponent`` for an integer exponent whose power is a normal number."""
    layout = format_of(x)
    return body.mul(x, body.as_float(body.shl(body.add(exponent, layout.bias), layout.fraction)))


def two_sum(body: Body, x: Value, y: Value) -> Pair:
    """``x + y`` without an error."""
    total = body.add(x, y)
    other = body.sub(total, x)
    return total, body.add(body.sub(x, body.sub(total, other)), body.sub(y, other))


def fast_two_sum(body: Body, x: Value, y: Value) -> Pair:
    """``x + y`` without an error, where ``x`` is 0 or not less than ``y`` in size."""
    total = body.add(x, y)
    return total, body.sub(y, body.sub(total, x))


def two_product(body: Body, x: Register, y: Register) -> Pair:
    """``x * y`` without an error, where nothing over- or underflows."""
    product = body.mul(x, y)
    if body.fused:
        return product, body.fma(x, y, body.neg(product))
    (a, b), (c, d) = _halves(body, x), _halves(body, y)
    rest = body.sub(body.mul(a, c), product)
    rest = body.add(body.add(rest, body.mul(a, d)), body.mul(b, c))
    return product, body.add(rest, body.mul(b, d))


def less_product(body: Body, x: Register, y: Register, z: Register) -> Register:
    """``z - x * y`` where the two are near each other: rounded once."""
    if body.fused:
        return body.fma(body.neg(x), y, z)
    high, low = two_product(body, x, y)
    return body.sub(body.sub(z, high), low)


def _halves(body: Body, x: Register) -> Pair:
    """``x`` as a sum of two numbers of half as many bits: the bits that are highest, and the rest."""
    count = (format_of(x).fraction + 2) // 2
    high = body.as_float(body.and_(body.as_integer(x), -1 << count))
    return high, body.sub(x, high)
