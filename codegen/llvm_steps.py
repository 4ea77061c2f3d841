"""Functions whose results are exact: remainders and neighbours."""

from __future__ import annotations

from symgraph.codegen.llvm_log import split
from symgraph.codegen.llvm_parts import (
    INF,
    NAN,
    Pair,
    at_least,
    at_most,
    format_of,
    less_product,
    times_power,
)
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import dtype


def fmod(body: Body, x: Register, y: Register) -> Register:
    """What is left of the division rounded towards zero, with the sign of ``x``; where the quotient has too many bits
    for a float, bits are taken from it in turns."""
    a, b = body.abs(x), body.abs(y)
    bad = body.or_(body.compare("eq", a, INF), body.compare("eq", b, 0.0))
    b = body.select(bad, body.like(NAN, x), b)
    quotient = body.div(a, b)
    usual = _remainder(body, a, b, quotient)
    usual = body.select(body.compare("lt", a, b), a, usual)
    many = body.compare("ge", quotient, 2.0 ** (format_of(x).fraction - 1))
    return body.copysign(body.rarely(many, usual, lambda: _long_division(body, a, b)), x)


def nextafter(body: Body, x: Register, y: Register) -> Register:
    """The next number after ``x`` towards ``y``."""
    bits = body.as_integer(x)
    outwards = body.xor(body.compare("gt", y, x), body.compare("lt", x, 0.0))
    near = body.as_float(body.add(bits, body.select(outwards, body.like(1, bits), -1)))
    least = body.copysign(body.bits(1, x), y)
    found = body.select(body.compare("eq", x, 0.0), least, near)
    found = body.select(body.compare("eq", x, y), y, found)
    return body.select(body.or_(body.is_nan(x), body.is_nan(y)), body.add(x, y), found)


def _remainder(body: Body, a: Register, b: Register, quotient: Register) -> Register:
    """Exact: the quotient's whole part is right or, where it was rounded up, one too large."""
    found = less_product(body, body.trunc(quotient), b, a)
    return body.select(body.compare("lt", found, 0.0), body.add(found, b), found)


def _long_division(body: Body, a: Register, b: Register) -> Register:
    """A loop: multiples of ``b * 2**k`` are taken from ``a`` until it is less than ``b``."""
    least, _ = split(body, b)

    def turn(left: Register) -> Pair:
        exponent, _ = split(body, left)
        k = body.sub(body.sub(exponent, least), float(format_of(a).fraction - 2))
        k = body.convert(at_least(body, k, 0.0), dtype(f"int{a.row.bits}"))
        scaled = b
        for _ in range(3):  # 2**k may be too large for one number
            part = at_most(body, k, format_of(a).bias)
            scaled, k = times_power(body, scaled, part), body.sub(k, part)
        found = _remainder(body, left, scaled, body.div(left, scaled))
        found = body.select(body.compare("lt", left, scaled), left, found)
        return found, body.compare("ge", found, b)

    return body.again(a, turn)
