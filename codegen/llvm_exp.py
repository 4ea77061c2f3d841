"""Exponentials and hyperbolic functions."""

from __future__ import annotations

import math

from symgraph.codegen.llvm_parts import (
    Pair,
    at_least,
    at_most,
    by_bits,
    constant_parts,
    format_of,
    polynomial,
)
from symgraph.codegen.vectors import Body, Register, Value


def exp(body: Body, x: Register) -> Register:
    """``e**x = 2**n * e**r`` where ``|r| <= log(2) / 2``."""
    y = at_most(body, at_least(body, x, by_bits(x, -104.0, -746.0)), by_bits(x, 89.0, 710.0))
    n, r = reduced(body, y)
    return scaled(body, body.add(_above_one(body, r), 1.0), n, below(body, x))


def exp2(body: Body, x: Register) -> Register:
    """``2**x = 2**n * 2**r`` where ``|r| <= 1/2``."""
    y = at_most(body, at_least(body, x, by_bits(x, -151.0, -1076.0)), by_bits(x, 128.0, 1024.0))
    whole = _whole(y)
    shifted = body.add(y, whole)
    r = body.sub(y, body.sub(shifted, whole))
    low = body.compare("lt", x, by_bits(x, -124.0, -1020.0))
    return scaled(body, body.fma(polynomial(body, r, "exp2"), r, 1.0), body.as_integer(shifted), low)


def expm1(body: Body, x: Register) -> Register:
    """``e**x - 1``: half of it, doubled, so that it overflows where it should."""
    y = at_most(body, at_least(body, x, by_bits(x, -18.0, -38.0)), by_bits(x, 89.0, 710.0))
    half, _ = half_expm1(body, y)
    return body.copysign(body.add(half, half), x)


def half_expm1(body: Body, x: Register, less: Value | None = None) -> Pair:
    """``(e**x - 1) / 2`` where ``x`` is in the range of `expm1`, and the same less a number."""
    n, r = reduced(body, x)
    power = body.as_float(body.shl(n, format_of(x).fraction))
    first = body.fma(r, power, body.sub(power, 0.5))
    curve = body.mul(polynomial(body, r, "exp"), body.mul(r, r))
    found = body.fma(curve, power, first)
    return found, found if less is None else body.fma(curve, power, body.sub(first, less))


def tanh(body: Body, x: Register) -> Register:
    """``b + ((h - b) - b * h) / (h + 1)`` with ``h = (e**2t - 1) / 2``, ``t = |x|`` and ``b = min(t, 1)``.

    The quotient is a small correction where ``t`` is small, since ``h - b`` is computed without the rounding of ``h``.
    From 1 on its numerator is -1.
    """
    t = at_most(body, body.abs(x), by_bits(x, 9.5, 19.5))
    large = body.compare("gt", t, 1.0)
    b = body.select(large, body.like(1.0, t), t)
    h, less = half_expm1(body, body.add(t, t), b)
    numerator = body.select(large, body.like(-1.0, t), body.fma(body.neg(b), h, less))
    return body.copysign(body.add(b, body.div(numerator, body.add(h, 1.0))), x)


def reduced(body: Body, x: Register) -> Pair:
    """An integer whose lowest bits are ``n - 1`` with its bias as an exponent, and ``r``: ``x = n * log(2) + r``."""
    whole = _whole(x)
    shifted = body.fma(x, 1 / math.log(2), whole)
    n = body.sub(shifted, whole)
    high, low = constant_parts("ln2", x)
    r = body.fma(n, -low, body.fma(n, -high, x))
    return body.as_integer(shifted), r


def scaled(body: Body, x: Register, n: Register, low: Register) -> Register:
    """``x * 2**n`` for what `reduced` gives; ``low`` marks where the power is denormal."""
    exponent = body.add(n, body.select(low, body.like(64, n), 0))
    power = body.as_float(body.shl(exponent, format_of(x).fraction))
    return body.mul(body.mul(x, power), body.select(low, body.like(2.0**-63, x), 2.0))


def below(body: Body, x: Register) -> Register:
    """Where ``e**x`` is too small for one power of 2."""
    return body.compare("lt", x, by_bits(x, -86.0, -707.0))


def _whole(x: Register) -> float:
    layout = format_of(x)
    return layout.whole + layout.bias - 1


def _above_one(body: Body, r: Register) -> Register:
    """``e**r - 1``."""
    return body.fma(polynomial(body, r, "exp"), body.mul(r, r), r)
