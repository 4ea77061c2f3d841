"""The incomplete gamma functions, computed in float64.

Where one of the two is small it is found by itself, relative to its own size; the other is 1 less it. Both are
``D = x**a * e**-x / gamma(a + 1)`` times a series, a continued fraction, or Temme's expansion near ``x = a``. The
exponent of ``D`` is a sum of two numbers, so that it is as exact far out as near 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from symgraph.codegen.coefficients import TEMME
from symgraph.codegen.llvm_error import erfcx_from_0
from symgraph.codegen.llvm_exp import exp_of_sum, expm1
from symgraph.codegen.llvm_gamma import small_factorial, stirling
from symgraph.codegen.llvm_parts import (
    INF,
    NAN,
    Pair,
    continued_fraction,
    horner,
    less_product,
    two_product,
    two_sum,
)
from symgraph.codegen.llvm_power import log_pair
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import FLOAT64

_TURNS = 5000.0
"""More of a series or fraction are not added up: numbers that need more are not numbers that converge."""


def gammainc(body: Body, a: Register, x: Register) -> Register:
    return _in_float64(body, _incomplete, a, x, upper=False)


def gammaincc(body: Body, a: Register, x: Register) -> Register:
    return _in_float64(body, _incomplete, a, x, upper=True)


def _in_float64(
    body: Body, what: Callable[..., Register], a: Register, x: Register, *, upper: bool
) -> Register:
    if a.row.bits == 64:
        return what(body, a, x, 2.0**-54, upper=upper)
    wide = what(body, body.convert(a, FLOAT64), body.convert(x, FLOAT64), 2.0**-30, upper=upper)
    return body.convert(wide, a.row)


class _Front(NamedTuple):
    """What stands before the series."""

    value: Register
    """``D``; near ``x = a`` without the rest of Stirling's formula."""
    exponent: Register
    """Of ``D``."""
    logarithm: Register
    """``log(x)`` for ``a`` below 8."""
    correction: Register
    """``gammaln(1 + a)`` for ``a`` below 1.25."""


def _incomplete(body: Body, a: Register, x: Register, error: float, *, upper: bool) -> Register:
    """``error`` is where a series may end, in parts of its sum."""
    close = body.compare("lt", body.abs(body.sub(x, a)), body.mul(a, 0.3))
    near = body.and_(close, body.compare("ge", a, 20.0))
    front = _front(body, a, x, near)
    above = body.compare("ge", x, a)
    is_upper = body.and_(above, body.or_(near, body.compare("ge", x, 1.1)))
    counts = body.compare("gt", front.exponent, -750.0)
    found = body.like(0.0, x)
    found = body.rarely(near, found, lambda: _temme(body, a, front, above))
    fraction = body.and_(counts, body.and_(is_upper, body.not_(near)))
    found = body.rarely(fraction, found, lambda: _fraction(body, a, x, front, fraction, error))
    series = body.and_(counts, body.not_(body.or_(is_upper, near)))
    if upper:
        few = body.compare("lt", body.mul(body.neg(front.logarithm), a), 0.4)
        few = body.select(body.compare("le", x, 0.5), few, body.compare("le", a, body.mul(x, 1.1)))
        tiny = body.and_(series, body.and_(few, body.compare("le", x, 1.1)))
        series, is_upper = body.and_(series, body.not_(tiny)), body.or_(is_upper, tiny)
        found = body.rarely(tiny, found, lambda: _upper_near_0(body, a, x, front))
    found = body.rarely(series, found, lambda: _series(body, a, x, front, series, error))
    other = body.sub(1.0, found)
    found = body.select(is_upper, found, other) if upper else body.select(is_upper, other, found)
    return _with_limits(body, a, x, found, upper=upper)


def _front(body: Body, a: Register, x: Register, near: Register) -> _Front:
    """The exponent is ``a * log(x / a) + a - x`` from 8 on, and ``a * log(x) - x`` below, where the factorial is a
    product and the logarithm of the gamma function from 1 to 2.25."""
    large = body.compare("ge", a, 8.0)
    ratio = body.div(x, a)
    slip = body.div(less_product(body, ratio, a, x), x)
    high, low = log_pair(body, body.select(large, ratio, x))
    product, rest = two_product(body, a, high)
    rest = body.fma(a, body.add(low, body.select(large, slip, 0.0)), rest)
    difference, more = two_sum(body, body.select(large, a, 0.0), body.neg(x))
    exponent, left = two_sum(body, product, difference)
    exponent, rest = two_sum(body, exponent, body.add(left, body.add(rest, more)))
    close = body.compare("lt", body.abs(body.sub(x, a)), body.mul(a, 2.0**-5))
    close = body.and_(large, close)
    middle, middle_rest = _near_middle(body, a, x)
    exponent, rest = body.select(close, middle, exponent), body.select(close, middle_rest, rest)

    correction, factorial = small_factorial(body, a)
    inverse = body.div(1.0, a)
    beyond = body.select(near, 0.0, stirling(body, a, inverse))
    exponent, left = two_sum(body, exponent, body.neg(body.select(large, beyond, correction)))
    rest = body.add(rest, left)
    root = body.sqrt(body.mul(inverse, 1 / (2 * math.pi)))
    factor = body.select(large, root, body.div(1.0, factorial))
    fits = body.compare("lt", body.abs(exponent), 1000.0)
    rest = body.select(fits, rest, 0.0)
    value = exp_of_sum(body, (exponent, rest), (factor, body.like(0.0, a)))
    return _Front(value, exponent, high, correction)


def _near_middle(body: Body, a: Register, x: Register) -> Pair:
    """``a * log(x / a) + a - x = -d * μ * (1/2 - μ/3 + μ²/4 - ...)`` with ``d = x - a`` and ``μ = d / a``."""
    d = body.sub(x, a)
    mu = body.div(d, a)
    slip = body.div(less_product(body, mu, a, d), a)
    square, rest = two_product(body, d, mu)
    rest = body.fma(d, slip, rest)
    curve = horner(body, mu, [(-1) ** k / (k + 3) for k in range(11)])
    more = body.mul(body.mul(square, mu), curve)
    return two_sum(body, body.mul(square, -0.5), body.fma(rest, -0.5, more))


def _temme(body: Body, a: Register, front: _Front, above: Register) -> Register:
    """DLMF 8.12.3: ``erfc(η * sqrt(a/2)) / 2`` and a sum over powers of ``1 / a``, of both of which ``D`` is a factor.

    ``a * η²/2`` is the exponent of ``D``, but for its sign, which is that of ``x - a``.
    """
    z = body.sqrt(body.abs(front.exponent))
    inverse = body.div(1.0, a)
    size = body.mul(z, body.sqrt(body.mul(inverse, 2.0)))
    eta = body.select(above, size, body.neg(size))
    total = horner(body, eta, TEMME[-1])
    for row in reversed(TEMME[:-1]):
        total = body.fma(total, inverse, horner(body, eta, row))
    signed = body.select(above, total, body.neg(total))
    curve = erfcx_from_0(body, z)
    return body.mul(front.value, body.fma(body.sqrt(body.mul(a, math.pi / 2)), curve, signed))


def _series(body: Body, a: Register, x: Register, front: _Front, wanted: Register, error: float) -> Register:
    """``D * Σ x**k / ((a + 1) * ... * (a + k))``, of the lower one."""

    def turn(state: list[Register]) -> tuple[list[Register], Register]:
        term, total, k = state
        k = body.add(k, 1.0)
        term = body.mul(term, body.div(x, body.add(a, k)))
        total = body.add(total, term)
        goes_on = body.and_(body.compare("lt", k, _TURNS), body.compare("gt", term, body.mul(total, error)))
        return [term, total, k], body.and_(goes_on, wanted)

    one = body.like(1.0, x)
    _, total, _ = body.until_done([one, one, body.like(0.0, x)], turn)
    return body.mul(front.value, total)


def _fraction(
    body: Body, a: Register, x: Register, front: _Front, wanted: Register, error: float
) -> Register:
    """``D * a * (1 / (x + 1 - a - 1 * (1 - a) / (x + 3 - a - ...)))``, of the upper one: DLMF 8.9.2, even part."""

    def following(k: Register) -> tuple[Register, Register]:
        less = body.neg(body.mul(k, body.sub(k, a)))
        return less, body.add(x, body.sub(body.fma(k, 2.0, 1.0), a))

    first = body.add(x, body.sub(1.0, a))
    found = continued_fraction(body, first, following, wanted, error=error, turns=_TURNS)
    return body.mul(body.mul(front.value, a), found)


def _upper_near_0(body: Body, a: Register, x: Register, front: _Front) -> Register:
    """``1 - e**L * (1 + Σ a / (a + n) * (-x)**n / n!)`` with ``L = log(x**a / gamma(a + 1))``, for ``x`` up to 1.1 and
    ``a`` up to 1.25: DLMF 8.7.1."""
    exponent = body.sub(body.mul(a, front.logarithm), front.correction)
    grown = expm1(body, exponent)
    total = body.like(0.0, x)
    for n in range(20, 0, -1):
        quotient = body.div(a, body.add(a, float(n)))
        total = body.mul(body.add(total, quotient), body.mul(x, -1.0 / n))
    return body.neg(body.fma(body.add(grown, 1.0), total, grown))


def _with_limits(body: Body, a: Register, x: Register, found: Register, *, upper: bool) -> Register:
    """What it is where an argument is 0, infinite or negative; as SciPy has it."""
    zero, one = body.like(0.0 if not upper else 1.0, x), body.like(1.0 if not upper else 0.0, x)
    found = body.select(body.compare("eq", x, 0.0), zero, found)
    found = body.select(body.compare("eq", a, INF), zero, found)
    found = body.select(body.or_(body.compare("eq", a, 0.0), body.compare("eq", x, INF)), one, found)
    both = body.and_(body.compare("eq", a, 0.0), body.compare("eq", x, 0.0))
    both = body.or_(both, body.and_(body.compare("eq", a, INF), body.compare("eq", x, INF)))
    negative = body.or_(body.compare("lt", a, 0.0), body.compare("lt", x, 0.0))
    unknown = body.or_(body.is_nan(body.add(a, x)), body.or_(both, negative))
    return body.select(unknown, body.like(NAN, x), found)
