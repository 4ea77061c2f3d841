"""The sums of which the derivatives of digamma are made: Hurwitz's zeta function, whose coefficients are fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial

from symgraph.codegen.llvm_parts import by_bits, horner
from symgraph.codegen.llvm_power import pow
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import INT64


@cache
def zeta_of(power: int) -> Callable[[Body, Register], Register]:
    """The function of a register; one object for each power."""
    return partial(_zeta, power=power)


def _zeta(body: Body, x: Register, power: int) -> Register:
    """``(power - 1)! * Σ (x + k)**-power`` over all ``k`` from 0, for ``x`` from 0 on: the sum by Euler and Maclaurin
    from where its terms fall quickly enough, and before it the terms, the smallest first.

    Numbers are scaled by a power of 2 below the root of the factorial, so that what overflows is the result.
    """
    exponent = math.floor(math.lgamma(power) / math.log(2) / power)
    factor = float(Fraction(math.factorial(power - 1)) / Fraction(2) ** (exponent * power))
    start, series = _euler_maclaurin(power, by_bits(x, 2.0**-28, 2.0**-57))
    near = body.compare("lt", x, float(start))
    count = body.select(near, body.sub(float(start), body.floor(x)), 0.0)
    y = body.add(x, count)
    inverse = body.div(1.0, y)
    square = body.mul(inverse, inverse)
    values = [float(value * Fraction(factor)) for value in series]
    curve = body.fma(inverse, horner(body, square, values), factor / 2)
    first = body.fma(inverse, curve, factor / (power - 1))
    scaled = body.mul(y, 2.0**-exponent)
    total = body.mul(body.mul(first, _reciprocal(body, scaled, power - 1)), 2.0**exponent)

    def turn(number: Register, state: list[Register]) -> list[Register]:
        k = body.sub(float(start - 1), body.spread(body.convert(number, x.row), x.lanes))
        term = _reciprocal(body, body.mul(body.add(x, k), 2.0**-exponent), power)
        return [body.select(body.compare("lt", k, count), body.fma(term, factor, state[0]), state[0])]

    def summed() -> Register:
        return body.loop(0, body.constant(INT64, start, 0), 1, [total], turn)[0]

    return body.rarely(near, total, summed)


def _euler_maclaurin(power: int, error: float) -> tuple[int, list[Fraction]]:
    """Where the series may begin, and its coefficients: those of ``y**(1 - power - 2j)`` for ``j`` from 1."""
    terms, factor = [], Fraction(1)
    for j in range(1, 10):
        rising = math.prod(range(power, power + 2 * j - 1))
        terms.append(_bernoulli(2 * j) * rising / math.factorial(2 * j))
    last = float(abs(terms.pop()) * (power - 1) * factor)
    start = max(4, math.ceil((last / error) ** (1 / 18)))
    return start, terms


@cache
def _bernoulli(n: int) -> Fraction:
    lower = (math.comb(n, k) * _bernoulli(k) / (n - k + 1) for k in range(n))
    return Fraction(n == 0) - sum(lower, Fraction(0))


def _reciprocal(body: Body, x: Register, power: int) -> Register:
    """``x**-power``."""
    if power > 3:
        return pow(body, x, body.like(-float(power), x))
    inverse = found = body.div(1.0, x)
    for _ in range(power - 1):
        found = body.mul(found, inverse)
    return found
