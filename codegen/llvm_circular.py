"""Sine, cosine and tangent, of angles of any size."""

from __future__ import annotations

import math

from symgraph.codegen.coefficients import TWO_OVER_PI
from symgraph.codegen.llvm_parts import (
    Pair,
    at_least,
    by_bits,
    constant_parts,
    fast_two_sum,
    format_of,
    polynomial,
    two_product,
    two_sum,
)
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import FLOAT64, dtype


def sin(body: Body, x: Register) -> Register:
    """Of ``|x|``, with the sign of ``x``, so that ``-0.0`` keeps its own."""
    quadrant, r = _quadrant(body, body.abs(x))
    found = body.select(_odd(body, quadrant), cosine_near_0(body, r), _sine(body, r))
    sign = body.xor(_second_bit(body, quadrant), body.as_integer(x))
    return _signed(body, found, sign)


def cos(body: Body, x: Register) -> Register:
    quadrant, r = _quadrant(body, body.abs(x))
    found = body.select(_odd(body, quadrant), _sine(body, r), cosine_near_0(body, r))
    return _signed(body, found, _second_bit(body, body.add(quadrant, 1)))


def sin_cos(body: Body, x: Register) -> Pair:
    """Both, of one angle."""
    quadrant, r = _quadrant(body, body.abs(x))
    sine, cosine, odd = _sine(body, r), cosine_near_0(body, r), _odd(body, quadrant)
    sign = body.xor(_second_bit(body, quadrant), body.as_integer(x))
    return (
        _signed(body, body.select(odd, cosine, sine), sign),
        _signed(body, body.select(odd, sine, cosine), _second_bit(body, body.add(quadrant, 1))),
    )


def tan(body: Body, x: Register) -> Register:
    quadrant, r = _quadrant(body, body.abs(x))
    sine, cosine, odd = _sine(body, r), cosine_near_0(body, r), _odd(body, quadrant)
    found = body.div(body.select(odd, cosine, sine), body.select(odd, sine, cosine))
    sign = body.xor(body.shl(quadrant, x.row.bits - 1), body.as_integer(x))
    return _signed(body, found, sign)


def _quadrant(body: Body, x: Register) -> Pair:
    """An integer ``n`` and ``r`` with ``x = n * pi/2 + r`` and ``|r| < 0.8``, of a positive ``x``.

    The lowest two bits of ``n`` are right.
    """
    limit = by_bits(x, 2.0**17, 2.0**30 if body.fused else 2.0**20)
    far = body.compare("ge", x, limit)
    n, r = body.rarely_all(far, _near(body, x), lambda: _far(body, x))
    return n, r


def _near(body: Body, x: Register) -> Pair:
    """Each part of pi/2 is subtracted exactly, or rounded where what remains is small."""
    if x.row.bits == 32 and not body.fused:
        n, r = _near(body, body.convert(x, FLOAT64))
        return body.convert(n, dtype("int32")), body.convert(r, x.row)
    whole = format_of(x).whole
    shifted = body.fma(x, 2 / math.pi, whole)
    n = body.sub(shifted, whole)
    for part in constant_parts("pi/2" if body.fused else "pi/2 in short parts", x):
        x = body.fma(n, -part, x)
    return body.as_integer(shifted), x


def _far(body: Body, x: Register) -> Pair:
    """As `_near`, lane by lane, in a function that the module has once."""
    integer = dtype(f"int{x.row.bits}")

    def one(lane: Register) -> Pair:
        n, r = body.apart_all("far_angle", _reduced, body.convert(lane, FLOAT64), rare=True)
        return body.convert(body.as_integer(n), integer), body.convert(r, x.row)

    n, r = body.each_lane(x, (integer, x.row), one)
    return n, r


def _reduced(body: Body, x: Register) -> Pair:
    """As Payne and Hanek: of 2/pi the bits that matter, chosen by the exponent of ``x``, times ``x``.

    Bits before them give multiples of 4 turns of pi/2; bits after them less than ``2**-117``. The turns are in the
    lowest bits of the first number.
    """
    exponent = body.convert(body.shr(body.as_unsigned(x), 52), dtype("int64"))
    first = body.shr(body.mul(at_least(body, body.sub(exponent, 1023 + 54), 0), 1261), 15)  # a 26th
    scale = body.as_float(body.shl(body.sub(1023, body.mul(first, 26)), 52))
    scaled = body.mul(x, scale)
    products = []
    for k in range(4):
        bits = body.table("symgraph.two_over_pi", TWO_OVER_PI, body.add(first, 2 * k), FLOAT64)
        products.append(two_product(body, scaled, body.mul(bits, 2.0 ** (-52 * k))))
    (a, b), (c, d), (e, f), (g, _) = products
    turns, high = _cut(body, _modulo_4(body, a))
    low = body.like(0.0, x)
    for value in (_modulo_4(body, b), _modulo_4(body, c), d, e):
        high, rest = two_sum(body, high, value)
        turn, high = _cut(body, high)
        turns = body.add(turns, turn)
        high, low = two_sum(body, high, body.add(low, rest))
    low = body.add(low, body.add(f, g))
    quarter, tail, _ = constant_parts("pi/2", x)
    r, error = two_product(body, high, body.like(quarter, x))
    error = body.fma(low, quarter, body.fma(high, tail, error))
    return body.add(turns, format_of(x).whole), fast_two_sum(body, r, error)[0]


def _modulo_4(body: Body, x: Register) -> Register:
    """Less multiples of 4, which is exact; from -2 to 2."""
    return body.fma(body.rint(body.mul(x, 0.25)), -4.0, x)


def _cut(body: Body, x: Register) -> Pair:
    """The nearest integer, and what remains."""
    n = body.rint(x)
    return n, body.sub(x, n)


def _sine(body: Body, r: Register) -> Register:
    z = body.mul(r, r)
    return body.fma(body.mul(polynomial(body, z, "sin"), z), r, r)


def cosine_near_0(body: Body, r: Register) -> Register:
    z = body.mul(r, r)
    return body.fma(polynomial(body, z, "cos"), body.mul(z, z), body.fma(z, -0.5, 1.0))


def _odd(body: Body, n: Register) -> Register:
    return body.compare("ne", body.and_(n, 1), 0)


def _second_bit(body: Body, n: Register) -> Register:
    """The second lowest bit at the place of the sign."""
    return body.shl(n, n.row.bits - 2)


def _signed(body: Body, x: Register, sign: Register) -> Register:
    """``x`` with its sign turned where the highest bit of ``sign`` is set."""
    least = -1 << (sign.row.bits - 1)
    return body.as_float(body.xor(body.as_integer(x), body.and_(sign, least)))
