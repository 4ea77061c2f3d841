"""The inverses of sine, cosine and tangent."""

from __future__ import annotations

from symgraph.codegen.llvm_parts import constant_parts, polynomial
from symgraph.codegen.vectors import Body, Register


def asin(body: Body, x: Register) -> Register:
    """A polynomial to 1/2; beyond, ``pi/2 - 2 * asin(sqrt((1 - t) / 2))`` with ``t = |x|``."""
    t = body.abs(x)
    large = body.compare("gt", t, 0.5)
    found = _half_range(body, t, t, large)
    quarter, tail = constant_parts("pi/2", x)[:2]
    beyond = body.add(body.fma(found, -2.0, tail), quarter)
    return body.copysign(body.select(large, beyond, found), x)


def acos(body: Body, x: Register) -> Register:
    """``pi/2 - asin(x)`` near 0, ``2 * asin(sqrt((1 - t) / 2))`` beyond 1/2, and ``pi`` less that below -1/2."""
    t = body.abs(x)
    large, negative = body.compare("gt", t, 0.5), body.compare("lt", x, 0.0)
    found = _half_range(body, t, x, large)
    high, low = constant_parts("pi/2", x)[:2]
    zero = body.like(0.0, x)
    factor = body.select(large, body.select(negative, body.like(-2.0, x), 2.0), -1.0)
    first = body.select(large, body.select(negative, body.like(2 * high, x), zero), high)
    second = body.select(large, body.select(negative, body.like(2 * low, x), zero), low)
    return body.add(body.fma(found, factor, second), first)


def atan(body: Body, x: Register) -> Register:
    """A polynomial to 1; beyond, ``pi/2 - atan(1 / x)``."""
    t = body.abs(x)
    large = body.compare("gt", t, 1.0)
    one = body.like(1.0, x)
    found = _unit_range(body, body.div(body.select(large, one, t), body.select(large, t, one)))
    quarter, tail = constant_parts("pi/2", x)[:2]
    return body.copysign(body.select(large, body.add(body.sub(tail, found), quarter), found), x)


def atan2(body: Body, y: Register, x: Register) -> Register:
    """The angle of the smaller to the larger, taken from the next multiple of pi/2."""
    a, b = body.abs(y), body.abs(x)
    steep, behind = body.compare("gt", a, b), body.compare("lt", body.as_integer(x), 0)
    least, most = body.select(steep, b, a), body.select(steep, a, b)
    zero, one = body.like(0.0, x), body.like(1.0, x)
    same = body.select(body.compare("eq", most, 0.0), zero, one)  # 0 / 0 and inf / inf, too
    ratio = body.select(body.compare("eq", least, most), same, body.div(least, most))
    found = _unit_range(body, ratio)
    high, low = constant_parts("pi/2", x)[:2]
    turned = body.select(body.xor(steep, behind), body.neg(found), found)
    first = body.select(steep, body.like(high, x), body.select(behind, body.like(2 * high, x), zero))
    second = body.select(steep, body.like(low, x), body.select(behind, body.like(2 * low, x), zero))
    return body.copysign(body.add(body.add(turned, second), first), y)


def _half_range(body: Body, t: Register, x: Register, large: Register) -> Register:
    """``asin(x)``, or ``asin(sqrt((1 - t) / 2))`` where ``t`` is large."""
    z = body.select(large, body.fma(t, -0.5, 0.5), body.mul(t, t))
    s = body.select(large, body.sqrt(z), x)
    return body.fma(body.mul(s, z), polynomial(body, z, "asin"), s)


def _unit_range(body: Body, x: Register) -> Register:
    """``atan(x)`` from 0 to 1."""
    z = body.mul(x, x)
    return body.fma(body.mul(x, z), polynomial(body, z, "atan"), x)
