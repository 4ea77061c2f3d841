"""Logarithms, and the inverses of hyperbolic functions."""

from __future__ import annotations

import math

from symgraph.codegen.llvm_parts import (
    INF,
    NAN,
    Pair,
    constant_parts,
    format_of,
    polynomial,
)
from symgraph.codegen.vectors import Body, Register


def log(body: Body, x: Register) -> Register:
    """``log(x) = e * log(2) + log(1 + f)`` where ``x = 2**e * (1 + f)``."""
    e, f = split(body, x)
    return _with_specials(body, x, _joined(body, e, near_one(body, f), "ln2"))


def log_of_scaled(body: Body, x: Register, power: Register) -> Register:
    """``log(x * 2**power)``, where the product may be too large or small for a number."""
    e, f = split(body, x)
    e = body.add(e, body.convert(power, x.row))
    return _with_specials(body, x, _joined(body, e, near_one(body, f), "ln2"))


def log2(body: Body, x: Register) -> Register:
    """Exact for powers of 2."""
    e, f = split(body, x)
    first, rest = near_one(body, f)
    return _with_specials(body, x, body.fma(body.add(first, rest), 1 / math.log(2), e))


def log10(body: Body, x: Register) -> Register:
    e, f = split(body, x)
    first, rest = near_one(body, f)
    high, low = constant_parts("log10(2)", x)
    small = body.fma(body.add(first, rest), 1 / math.log(10), body.mul(e, low))
    return _with_specials(body, x, body.fma(e, high, small))


def log1p(body: Body, x: Register) -> Register:
    """As `log` of ``1 + x``, but ``f = x * 2**-e + (2**-e - 1)`` is rounded once, and ``x`` where ``e`` is 0."""
    y = body.add(x, 1.0)
    e, field, _ = _exponent(body, y)
    layout = format_of(x)
    power = body.as_float(
        body.sub(layout.one + (2 << layout.fraction), field)
    )  # 4 * 2**-e, which is not denormal
    f = body.fma(body.mul(x, 0.25), power, body.fma(power, 0.25, -1.0))
    f = body.select(body.compare("eq", field, 0), x, f)
    found = _with_specials(body, y, _joined(body, e, near_one(body, f), "ln2"))
    return body.copysign(found, x)


def asinh(body: Body, x: Register) -> Register:
    """``log1p(t + t² / (1 + sqrt(t² + 1)))`` with ``t = |x|``, and ``log(2t)`` of the largest."""
    t = body.abs(x)
    root = body.sqrt(body.fma(t, t, 1.0))
    near = body.add(t, body.div(body.mul(t, t), body.add(root, 1.0)))
    return body.copysign(_log1p_or_of_double(body, t, near), x)


def acosh(body: Body, x: Register) -> Register:
    """``log1p(w + sqrt(w² + 2w))`` with ``w = x - 1``, and ``log(2x)`` of the largest."""
    w = body.sub(x, 1.0)
    near = body.add(w, body.sqrt(body.fma(w, w, body.add(w, w))))
    found = _log1p_or_of_double(body, x, near)
    return body.select(body.compare("lt", x, 1.0), body.like(NAN, x), found)


def atanh(body: Body, x: Register) -> Register:
    """``log1p(2t / (1 - t)) / 2`` with ``t = |x|``."""
    t = body.abs(x)
    found = log1p(body, body.div(body.add(t, t), body.sub(1.0, t)))
    return body.copysign(body.mul(found, 0.5), x)


def _log1p_or_of_double(body: Body, x: Register, near: Register) -> Register:
    """``log1p(near)``, and ``log(2x)`` where ``x`` is so large that ``x + 1`` is ``x``."""
    large = body.compare("gt", x, 2.0**60)
    found = log1p(body, body.select(large, x, near))
    return body.add(found, body.select(large, body.like(math.log(2), x), 0.0))


def split(body: Body, x: Register) -> Pair:
    """``e`` and ``f`` with ``x = 2**e * (1 + f)`` for positive numbers, denormal ones too."""
    layout = format_of(x)
    tiny = body.compare("lt", x, layout.least)
    y = body.select(tiny, body.mul(x, 2.0**layout.fraction), x)
    e, _, m = _exponent(body, y)
    return body.sub(e, body.select(tiny, body.like(layout.fraction, x), 0.0)), body.sub(m, 1.0)


def near_one(body: Body, f: Register) -> Pair:
    """``log(1 + f)`` as ``f`` and what is to be added, for ``f`` of `split`."""
    if f.row.bits == 32:
        square = body.mul(f, f)
        cubic = body.mul(polynomial(body, f, "log"), body.mul(square, f))
        return f, body.fma(square, -0.5, cubic)
    half = body.mul(body.mul(f, f), 0.5)
    s = body.div(f, body.add(f, 2.0))
    z = body.mul(s, s)
    odd = body.fma(z, polynomial(body, z, "log"), half)
    return f, body.fma(s, odd, body.neg(half))


def _exponent(body: Body, x: Register) -> tuple[Register, Register, Register]:
    """``e``, its bits where those of an exponent are, and ``m`` near 1 with ``x = 2**e * m``; ``x`` is normal."""
    layout = format_of(x)
    if x.row.bits == 32:  # m is from 2/3 to 4/3
        bits, least = body.as_integer(x), 0x3F2AAAAB
        above = body.sub(bits, least)
        field = body.and_(above, -1 << layout.fraction)
        return (
            body.convert(body.shr(above, layout.fraction), x.row),
            field,
            body.as_float(body.sub(bits, field)),
        )
    least = 0x3FE6A09E667F3BCD  # m is from 1/sqrt(2) to sqrt(2)
    above = body.add(body.as_unsigned(x), layout.one - least)
    biased = body.or_(body.shr(above, layout.fraction), 0x4330 << 48)  # in the lowest bits of 2.0**52
    e = body.sub(body.as_float(biased), 2.0**52 + layout.bias)
    field = body.sub(body.and_(above, 0xFFF << 52), layout.one)
    return e, field, body.as_float(body.add(body.and_(above, (1 << 52) - 1), least))


def _joined(body: Body, e: Register, near: Pair, name: str) -> Register:
    """``e`` times a constant, and a pair."""
    high, low = constant_parts(name, e)
    first, rest = near
    return body.fma(e, high, body.add(first, body.fma(e, low, rest)))


def _with_specials(body: Body, x: Register, found: Register) -> Register:
    """The logarithm of ``x`` where it is positive and finite; what it is elsewhere."""
    found = body.select(body.compare("lt", x, INF), found, x)
    found = body.select(body.compare("eq", x, 0.0), body.like(-INF, x), found)
    return body.select(body.compare("lt", x, 0.0), body.like(NAN, x), found)
