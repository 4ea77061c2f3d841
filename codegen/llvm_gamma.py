"""The logarithm of the gamma function and its derivatives.

Each is a series in ``1 / x`` far out. Below, a step or more of ``gamma(x + 1) = x * gamma(x)`` leads to where there
is a polynomial, or the series. Negative numbers are reflected.
"""

from __future__ import annotations

import math

from symgraph.codegen.coefficients import CENTERS
from symgraph.codegen.llvm_circular import cosine_near_0
from symgraph.codegen.llvm_log import log, near_one, split
from symgraph.codegen.llvm_parts import (
    INF,
    NAN,
    Pair,
    constant_parts,
    polynomial,
)
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import FLOAT64

_FAR = 3.25
"""From here on a series in ``1 / x`` is used."""


def gammaln(body: Body, x: Register) -> Register:
    """Relative to the result for positive ``x``; to the terms of the reflection for negative ones."""
    t = body.abs(x)
    found, near = _positive_gammaln(body, t)

    def reflected() -> Register:
        _, sine, _ = _half_turns(body, t)
        below = body.compare("lt", t, 1.0)
        known = body.select(below, near, found)
        product = body.select(below, sine, body.mul(t, sine))
        other = body.neg(body.add(known, log(body, product)))
        other = body.select(body.compare("eq", sine, 0.0), body.like(INF, x), other)
        return body.select(body.compare("eq", t, INF), x, other)

    return body.rarely(body.compare("lt", x, 0.0), found, reflected)


def digamma(body: Body, x: Register) -> Register:
    """Relative to the result for positive ``x`` and near the first root below 0; to the terms of the reflection for
    other negative ones."""
    t = body.abs(x)
    far, below, near = body.compare("ge", t, _FAR), body.compare("lt", t, 1.0), body.compare("lt", t, 2.25)
    a = body.select(below, t, body.sub(t, body.select(near, body.like(1.0, x), 2.0)))
    high, low = constant_parts("root of digamma, less 1", x)
    between = body.mul(body.sub(body.sub(a, high), low), _on_gamma_interval(body, a, "digamma"))
    inverse = body.div(1.0, body.select(body.or_(far, below), t, body.sub(t, 1.0)))
    step = body.select(below, body.neg(inverse), body.select(near, body.like(0.0, x), inverse))
    curve = body.fma(inverse, polynomial(body, body.mul(inverse, inverse), "digamma far out"), 0.5)
    beyond = body.fma(body.neg(inverse), curve, log(body, t))
    found = body.select(far, beyond, body.add(between, step))

    def reflected() -> Register:
        r, sine, cotangent = _half_turns(body, t)
        known = body.select(below, between, body.add(found, body.div(1.0, t)))
        other = body.add(body.copysign(cotangent, r), known)
        pole = body.and_(body.compare("eq", sine, 0.0), body.compare("ge", t, 1.0))
        other = body.select(pole, body.like(NAN, x), other)
        middle = body.sub(t, 0.5)
        return body.select(body.compare("lt", body.abs(middle), 0.3), _digamma_below_0(body, t), other)

    return body.rarely(body.compare("lt", body.as_integer(x), 0), found, reflected)


def polygamma(body: Body, x: Register, order: int) -> Register:
    """``(-1)**(order + 1) * order! * ζ(order + 1, x)``, relative to the result for positive ``x``.

    The sum over all ``k`` of ``(x + k)**-s`` is one from ``r`` up and one from ``1 - r`` up, where ``x`` is ``r`` more
    or less than an integer. For negative ``x`` those with negative ``k`` are the ones from ``1 - x`` up.
    """
    if x.row.bits == 32 and order > 3:
        return body.convert(polygamma(body, body.convert(x, FLOAT64), order), x.row)
    from symgraph.codegen.llvm_zeta import zeta_of

    t, power = body.abs(x), order + 1

    def zeta(y: Register) -> Register:
        return body.apart(f"zeta{power}", zeta_of(power), y)

    found = zeta(t)

    def reflected() -> Register:
        r = body.sub(t, body.rint(t))
        size = body.abs(r)
        first, second, third = zeta(size), zeta(body.sub(1.0, size)), zeta(body.add(t, 1.0))
        if power % 2:
            second, third = body.neg(second), body.neg(third)
        lattice = body.add(first, second)
        if power % 2:
            lattice = body.select(body.compare("lt", r, 0.0), lattice, body.neg(lattice))
        pole = body.or_(body.compare("eq", size, 0.0), body.compare("eq", t, INF))
        return body.select(pole, body.like(INF, x), body.sub(lattice, third))

    found = body.rarely(body.compare("lt", x, 0.0), found, reflected)
    return found if order % 2 else body.neg(found)


def stirling(body: Body, x: Register, inverse: Register) -> Register:
    """``gammaln(x) - ((x - 1/2) * log(x) - x + log(2π) / 2)`` from 3.25 on, given ``1 / x``."""
    return body.mul(inverse, polynomial(body, body.mul(inverse, inverse), "gammaln far out"))


def small_factorial(body: Body, a: Register) -> Pair:
    """A number below 0.13 in size and a product: ``gamma(a + 1)`` is the exponential of the one times the other, for
    ``a`` from 0 to 8."""
    steps = body.floor(body.sub(a, 0.25))
    steps = body.select(body.compare("ge", a, 1.25), steps, 0.0)
    first = body.sub(a, steps)
    product = body.like(1.0, a)
    for j in range(1, 8):
        longer = body.mul(product, body.add(first, float(j)))
        product = body.select(body.compare("ge", steps, float(j)), longer, product)
    return gammaln_of_more(body, first), product


def gammaln_of_more(body: Body, a: Register) -> Register:
    """``gammaln(1 + a)`` from 0 to 1.25, relative to the result."""
    return body.mul(body.mul(a, body.sub(a, 1.0)), _on_gamma_interval(body, a, "gammaln"))


def _positive_gammaln(body: Body, t: Register) -> Pair:
    """``gammaln(t)``, and ``gammaln(1 + t)`` where ``t`` is below 1.

    The logarithm is one of ``t``, of ``t - 1`` or of 1. Far out 1 is taken from it where that loses nothing.
    """
    far, below, near = body.compare("ge", t, _FAR), body.compare("lt", t, 1.0), body.compare("lt", t, 2.25)
    less = body.sub(t, 1.0)
    a = body.select(below, t, body.select(near, less, body.sub(t, 2.0)))
    between = gammaln_of_more(body, a)
    one = body.like(1.0, t)
    w = body.select(body.or_(far, below), t, body.select(near, one, less))
    logarithm = _log_less(body, w, body.select(far, one, 0.0))
    rest = body.add(stirling(body, t, body.div(1.0, t)), (math.log(2 * math.pi) - 1) / 2)
    beyond = body.fma(body.sub(t, 0.5), logarithm, rest)
    found = body.fma(body.select(below, body.like(-1.0, t), one), logarithm, between)
    return body.select(far, beyond, found), between


def _log_less(body: Body, x: Register, less: Register) -> Register:
    """``log(x) - less`` for ``x`` from 0 on, where ``less`` is 0 or 1."""
    e, f = split(body, x)
    first, rest = near_one(body, f)
    high, low = constant_parts("ln2", x)
    found = body.add(body.fma(e, high, body.neg(less)), body.add(first, body.fma(e, low, rest)))
    found = body.select(body.compare("lt", x, INF), found, x)
    return body.select(body.compare("eq", x, 0.0), body.like(-INF, x), found)


def _on_gamma_interval(body: Body, a: Register, name: str) -> Register:
    """A polynomial of ``1 + a`` from 1 to 2.25."""
    return polynomial(body, body.sub(a, CENTERS["gamma"][a.row.bits] - 1), name)


def _digamma_below_0(body: Body, t: Register) -> Register:
    """``digamma(-t)`` for ``t`` from 0.2 to 0.8."""
    high, low = constant_parts("root of digamma below 0", t)
    distance = body.sub(body.sub(t, high), low)
    curve = polynomial(body, body.sub(t, 0.5), "digamma below 0")
    return body.div(body.mul(distance, curve), body.mul(t, body.sub(1.0, t)))


def _half_turns(body: Body, t: Register) -> tuple[Register, Register, Register]:
    """How far ``t`` is from an integer, and the sizes of ``sin(π * t) / π`` and ``π * cot(π * t)``."""
    r = body.sub(t, body.rint(t))
    size = body.abs(r)
    high = body.compare("gt", size, 0.25)
    v = body.select(high, body.sub(0.5, size), size)
    angle = body.mul(v, math.pi)
    z = body.mul(angle, angle)
    sine, cosine = body.fma(body.mul(polynomial(body, z, "sin"), z), v, v), cosine_near_0(body, angle)
    quotient = body.div(body.select(high, sine, cosine), body.select(high, cosine, sine))
    cotangent = body.mul(quotient, body.select(high, body.like(math.pi**2, t), 1.0))
    return r, body.select(high, body.mul(cosine, 1 / math.pi), sine), cotangent
