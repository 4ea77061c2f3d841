"""The error function, and the distribution of normal variables."""

from __future__ import annotations

import math

from symgraph.codegen.coefficients import CENTERS
from symgraph.codegen.llvm_exp import bounded_exp, exp_of_sum, power_of
from symgraph.codegen.llvm_log import log1p
from symgraph.codegen.llvm_parts import (
    Pair,
    at_least,
    at_most,
    by_bits,
    coefficients,
    constant_parts,
    format_of,
    horner,
    less_product,
    polynomial,
    two_product,
    two_sum,
)
from symgraph.codegen.vectors import Body, Register, Value


def erf(body: Body, x: Register) -> Register:
    """``x + x * P(x²)`` near 0, and ``1 - e**(t * Q(t))`` with ``t = |x|`` elsewhere."""
    t = at_most(body, body.abs(x), by_bits(x, 3.95, 6.0))
    near = _near_erf(body, x)
    first, second = bounded_exp(body, body.mul(t, polynomial(body, t, "log of erfc")))
    far = body.copysign(body.fma(body.neg(first), second, 1.0), x)
    return body.select(body.compare("lt", t, by_bits(x, 0.8, 1.0)), near, far)


def erfc(body: Body, x: Register) -> Register:
    """``e**-t² * erfcx(t)`` with ``t = |x|``, and 2 less that; of float64 near 0 ``1 - erf(x)``."""
    if x.row.bits == 32:
        return _reflected(body, x, _short_tail(body, _size(body, x, 10.3), 1.0, "erfcx in parts"), 2.0)
    t = _size(body, x, 30.0)
    far = _reflected(body, x, _tail(body, two_product(body, t, t), _erfcx(body, t)), 2.0)
    near = _near_erf(body, x)
    return body.select(body.compare("lt", t, 0.5), body.sub(1.0, near), far)


def erfcx(body: Body, x: Register) -> Register:
    t = body.abs(x)
    found = erfcx_from_0(body, t)
    near = at_most(body, t, 30.0)
    grown = exp_of_sum(body, two_product(body, near, near), (body.like(1.0, x), body.like(0.0, x)))
    return body.select(body.compare("lt", x, 0.0), body.fma(grown, 2.0, body.neg(found)), found)


def ndtr(body: Body, x: Register) -> Register:
    """``erfc(-x / sqrt(2)) / 2``, where the square of ``x`` is not rounded."""
    tail = _normal_tail(body, body.abs(x))
    return body.select(body.compare("gt", x, 0.0), body.sub(1.0, tail), tail)


def log_ndtr(body: Body, x: Register) -> Register:
    """``log1p(-ndtr(-x))`` above 0; below, ``log(erfcx(t) / 2) - x²/2`` with ``t = -x / sqrt(2)``.

    Near 0 ``log1p(erf(-t) / 2 - 1/2)``, whose errors are smaller.
    """
    size = body.abs(x)
    above = body.neg(_normal_tail(body, size))
    curve = erfcx_from_0(body, *_root_half(body, size))
    below = at_least(body, body.fma(curve, 0.5, -1.0), by_bits(x, -1 + 2.0**-20, -1 + 2.0**-48))
    near = body.compare("lt", body.abs(body.sub(x, 0.2)), 0.9)
    negative = body.and_(body.not_(near), body.compare("lt", x, 0.0))
    within = body.fma(_near_erf(body, body.mul(x, math.sqrt(0.5))), 0.5, -0.5)
    found = log1p(body, body.select(near, within, body.select(negative, below, above)))
    return body.select(negative, body.fma(body.mul(x, -0.5), x, found), found)


def _near_erf(body: Body, x: Register) -> Register:
    return body.fma(polynomial(body, body.mul(x, x), "erf"), x, x)


def _erfcx(body: Body, t: Register, more: Value = 0.0) -> Pair:
    """``e**t² * erfc(t)`` from 0 on: a polynomial in ``(t - k) / (t + k)``, divided by ``t + k``.

    ``more``, which is small beside ``t``, is added to it; ``slip`` is how much of the quotient was rounded away.
    """
    turn = CENTERS["erfcx"][t.row.bits]
    total, rest = two_sum(body, t, turn)
    inverse = body.div(1.0, total)
    slip = less_product(body, inverse, total, body.like(1.0, t))
    slip = body.fma(body.neg(inverse), body.add(rest, more), slip)
    w = body.fma(body.mul(inverse, slip), -2 * turn, body.fma(inverse, -2 * turn, 1.0))
    found, rest = two_product(body, inverse, polynomial(body, w, "erfcx"))
    return found, body.fma(found, slip, rest)


def erfcx_from_0(body: Body, t: Register, more: Value = 0.0) -> Register:
    """As `_erfcx`, of infinity too."""
    far = body.compare("gt", t, 1e18)
    return body.select(far, body.div(1 / math.sqrt(math.pi), t), body.add(*_erfcx(body, t, more)))


def _root_half(body: Body, x: Register) -> Pair:
    """``x / sqrt(2)``."""
    high, low = constant_parts("sqrt(1/2)", x)
    first, rest = two_product(body, x, body.like(high, x))
    return first, body.fma(x, low, rest)


def _tail(body: Body, square: Pair, curve: Pair) -> Register:
    high, low = square
    return exp_of_sum(body, (body.neg(high), body.neg(low)), curve)


def _normal_tail(body: Body, t: Register) -> Register:
    """The probability that a normal variable is above ``t``, from 0 on."""
    if t.row.bits == 32:
        return _short_tail(body, at_most(body, t, 14.5), 0.5, "normal tail", 1)
    t = at_most(body, t, 45.0)
    square = two_product(body, t, body.mul(t, 0.5))
    first, second = _erfcx(body, *_root_half(body, t))
    return _tail(body, square, (body.mul(first, 0.5), body.mul(second, 0.5)))


def _short_tail(body: Body, t: Register, rate: float, name: str, halvings: int = 0) -> Register:
    """``e**(-rate * t²) * D(t) / (t * D(t) + N(t)) / 2**halvings`` of float32, for a rate that is a power of 2.

    ``t² = -n * log(2) / rate + r``, where ``D`` and ``N`` know what is wrong with the logarithm in one float. What
    rounding takes from ``D`` counts little where ``t * D`` is most of the denominator. Only the last of the operations
    can make a denormal number.
    """
    square, rest = two_product(body, t, t)
    whole = format_of(t).whole + format_of(t).bias + 64 - halvings
    shifted = body.fma(square, -rate / math.log(2), whole)
    step = body.like(-math.log(2) / rate, t)
    r = body.add(less_product(body, body.sub(shifted, whole), step, square), rest)
    powers = enumerate(coefficients("exp", t), 2)
    curve = horner(body, r, [-rate, *(value * (-rate) ** k for k, value in powers)])
    above = polynomial(body, t, f"{name}, above")
    below = body.fma(t, above, polynomial(body, t, f"{name}, below"))
    found = body.div(body.fma(above, body.mul(curve, r), above), below)
    return body.mul(body.mul(found, 2.0**-64), power_of(body, body.as_integer(shifted)))


def _size(body: Body, x: Register, limit: float) -> Register:
    return at_most(body, body.abs(x), limit)


def _reflected(body: Body, x: Register, tail: Register, whole: float) -> Register:
    """The tail where ``x`` is positive, and the rest of the whole where it is negative."""
    return body.select(body.compare("lt", x, 0.0), body.sub(whole, tail), tail)
