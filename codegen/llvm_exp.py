"""Exponentials and hyperbolic functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symgraph.codegen.llvm_parts import (
    FORMATS,
    Pair,
    at_least,
    at_most,
    by_bits,
    coefficients,
    constant_parts,
    format_of,
    horner,
    polynomial,
)
from symgraph.codegen.vectors import Body, Register, Value


def exp(body: Body, x: Register) -> Register:
    """``e**x = 2**n * e**r`` where ``|r| <= log(2) / 2``."""
    y = at_most(body, at_least(body, x, by_bits(x, -104.0, -746.0)), by_bits(x, 89.0, 710.0))
    n, r = reduced(body, y, -format_of(x).bias)
    return _in_halves(body, horner(body, r, (1.0, 1.0, *coefficients("exp", x))), n)


def exp_of_negative(body: Body, x: Register) -> Register:
    """What `exp` gives where ``x`` is not positive: ``2**64`` times the power of 2 is a normal number."""
    y = at_least(body, x, by_bits(x, -104.0, -746.0))
    n, r = reduced(body, y, -64)
    return body.mul(_small_curve(body, r), power_of(body, n))


@dataclass(frozen=True, slots=True)
class Scale:
    """What ``n`` of `scaled_exp` decides."""

    least: Register
    most: Register
    """Between these ``x`` is told apart."""
    whole: Register
    """With it, the sum of a multiple of 1 and something small is rounded to an integer."""

    @classmethod
    def of(cls, body: Body, n: Register) -> Scale:
        least = body.fma(n, -math.log(2), by_bits(n, -110.0, -750.0))
        most = body.fma(n, -math.log(2), (format_of(n).bias - 63) * math.log(2))
        return cls(least, most, body.add(n, _whole(n, -64)))


def scaled_exp(body: Body, x: Register, less: Register, scale: Scale) -> Register:
    """``e**(x - less) * 2**n`` for a small integer ``n`` and ``less`` below 1, where it is at most ``2**60``.

    Infinity from ``2**64`` on. Only the last multiplication can make a denormal number. ``x`` loses no bits when
    multiples of ``log(2)`` are taken from it, and what is left is small.
    """
    y = at_most(body, at_least(body, x, scale.least), scale.most)
    shifted = body.fma(body.sub(y, less), 1 / math.log(2), scale.whole)
    r = _less_turns(body, y, body.sub(shifted, scale.whole), body.neg(less))
    return body.mul(_small_curve(body, r), power_of(body, body.as_integer(shifted)))


def _small_curve(body: Body, r: Register) -> Register:
    """``e**r * 2**-64``."""
    return horner(body, r, [value * 2.0**-64 for value in (1.0, 1.0, *coefficients("exp", r))])


def exp2(body: Body, x: Register) -> Register:
    """``2**x = 2**n * 2**r`` where ``|r| <= 1/2``."""
    y = at_most(body, at_least(body, x, by_bits(x, -151.0, -1076.0)), by_bits(x, 128.0, 1024.0))
    whole = _whole(y, -format_of(x).bias)
    shifted = body.add(y, whole)
    r = body.sub(y, body.sub(shifted, whole))
    return _in_halves(body, body.fma(polynomial(body, r, "exp2"), r, 1.0), body.as_integer(shifted))


def expm1(body: Body, x: Register) -> Register:
    """``e**x - 1``: half of it, doubled, so that it overflows where it should."""
    y = at_most(body, at_least(body, x, by_bits(x, -18.0, -38.0)), by_bits(x, 89.0, 710.0))
    half, _ = _part_expm1(body, y, 1)
    tiny = body.compare("lt", body.abs(x), by_bits(x, 2.0**-26, 2.0**-55))
    return body.select(tiny, x, body.add(half, half))


def tanh(body: Body, x: Register) -> Register:
    """``b + ((h - b) - b * h) / (h + 1)`` with ``h = (e**2t - 1) / 2``, ``t = |x|`` and ``b = min(t, 1)``.

    The quotient is a small correction where ``t`` is small, since ``h - b`` is computed without the rounding of ``h``.
    From 1 on its numerator is -1.
    """
    t = at_most(body, body.abs(x), by_bits(x, 9.5, 19.5))
    large = body.compare("gt", t, 1.0)
    b = body.select(large, body.like(1.0, t), t)
    h, less = _part_expm1(body, body.add(t, t), 1, b)
    numerator = body.select(large, body.like(-1.0, t), body.fma(body.neg(b), h, less))
    return body.copysign(body.add(b, body.div(numerator, body.add(h, 1.0))), x)


def sinh(body: Body, x: Register) -> Register:
    """``(h + h / (4h + 1)) * 2`` with ``h = (e**|x| - 1) / 4``."""
    t = body.abs(x)
    h, _ = _part_expm1(body, at_most(body, t, by_bits(x, 89.6, 710.8)), 2)
    found = body.add(h, body.div(h, body.fma(h, 4.0, 1.0)))
    tiny = body.compare("lt", t, by_bits(x, 2.0**-13, 2.0**-28))
    return body.copysign(body.select(tiny, t, body.add(found, found)), x)


def cosh(body: Body, x: Register) -> Register:
    """``(h + 1 / 16h) * 2`` with ``h = e**|x| / 4``."""
    n, r = reduced(body, at_most(body, body.abs(x), by_bits(x, 89.6, 710.8)), 2)
    power = power_of(body, n)
    h = body.mul(body.add(_above_one(body, r), 1.0), power)
    found = body.add(h, body.div(0.0625, h))
    return body.add(found, found)


def _part_expm1(body: Body, x: Register, halvings: int, less: Value | None = None) -> Pair:
    """``(e**x - 1) / 2**halvings``, and the same less a number; the power of 2 near ``e**x`` is normal then."""
    n, r = reduced(body, x, halvings)
    power = power_of(body, n)
    first = body.fma(r, power, body.sub(power, 0.5**halvings))
    curve = body.mul(polynomial(body, r, "exp"), body.mul(r, r))
    found = body.fma(curve, power, first)
    return found, found if less is None else body.fma(curve, power, body.sub(first, less))


def exp_of_sum(body: Body, exponent: Pair, factor: Pair) -> Register:
    """``e**exponent * factor``, where the factor is neither large nor small."""
    (x, rest), (first, second) = exponent, factor
    y = at_most(body, at_least(body, x, by_bits(x, -130.0, -750.0)), by_bits(x, 89.0, 710.0))
    n, r = reduced(body, y, -format_of(y).bias, rest)
    return _in_halves(body, body.add(first, body.fma(_above_one(body, r), first, second)), n)


def grown(body: Body, x: Register, factor: Register) -> Register:
    """``e**x * factor`` for positive ``x``, also where ``e**x`` alone would be too large by up to ``2**9``."""
    n, r = reduced(body, x, 11)
    found = body.fma(_above_one(body, r), factor, factor)
    power = power_of(body, n)
    return body.mul(body.mul(found, 2.0**11), power)


def bounded_exp(body: Body, x: Register) -> Pair:
    """Two numbers whose product is ``e**x``, which is a normal number."""
    n, r = reduced(body, x, 0)
    return body.add(_above_one(body, r), 1.0), power_of(body, n)


def reduced(body: Body, x: Register, less: int, rest: Register | None = None) -> Pair:
    """An integer whose lowest bits are ``n - less`` with its bias as an exponent, and ``r``: ``x = n * log(2) + r``.

    ``rest`` is added to ``x``.
    """
    whole = _whole(x, less)
    shifted = body.fma(x, 1 / math.log(2), whole)
    return body.as_integer(shifted), _less_turns(body, x, body.sub(shifted, whole), rest)


def scaled(body: Body, x: Register, n: Register, low: Register) -> Register:
    """``x * 2**n``, given ``n - 1`` with its bias in the lowest bits; ``low`` marks where the power is denormal."""
    exponent = body.add(n, body.select(low, body.like(64, n), 0))
    power = power_of(body, exponent)
    return body.mul(body.mul(x, power), body.select(low, body.like(2.0**-63, x), 2.0))


def power_of(body: Body, n: Register) -> Register:
    """The float whose exponent, with its bias, is in the lowest bits of an integer."""
    return body.as_float(body.shl(n, FORMATS[n.row.bits].fraction))


def _in_halves(body: Body, x: Register, n: Register) -> Register:
    """``x * 2**n`` by two powers, of which none is denormal; the integer has twice the bias of an exponent."""
    half = body.shr(n, 1)
    return body.mul(body.mul(x, power_of(body, half)), power_of(body, body.sub(n, half)))


def _less_turns(body: Body, x: Register, n: Register, rest: Register | None = None) -> Register:
    """``x - n * log(2)``, and ``rest``."""
    high, low = constant_parts("ln2", x)
    r = body.fma(n, -high, x)
    return body.fma(n, -low, r) if rest is None else body.add(r, body.fma(n, -low, rest))


def _whole(x: Register, less: int) -> float:
    layout = format_of(x)
    return layout.whole + layout.bias - less


def _above_one(body: Body, r: Register) -> Register:
    """``e**r - 1``."""
    return body.fma(polynomial(body, r, "exp"), body.mul(r, r), r)
