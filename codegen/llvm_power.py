"""Powers, and roots that are no powers of 2."""

from __future__ import annotations

from symgraph.codegen.llvm_exp import exp_of_sum, scaled
from symgraph.codegen.llvm_log import split
from symgraph.codegen.llvm_parts import (
    INF,
    NAN,
    Pair,
    at_least,
    at_most,
    by_bits,
    constant_parts,
    fast_two_sum,
    format_of,
    less_product,
    polynomial,
    two_product,
    two_sum,
)
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import FLOAT64, dtype


def pow(body: Body, x: Register, y: Register) -> Register:
    """``|x|`` to the power; negative ``x``, and what NaN came of, are looked at apart."""
    size = body.abs(x)
    found = _power32(body, size, y) if x.row.bits == 32 else _power64(body, size, y)
    negative = body.compare("lt", body.as_integer(x), 0)

    def others() -> Register:
        whole = body.compare("eq", body.trunc(y), y)
        half = body.mul(y, 0.5)
        odd = body.and_(whole, body.compare("ne", body.trunc(half), half))
        signed = body.select(body.and_(odd, negative), body.neg(found), found)
        below = body.and_(body.compare("lt", x, 0.0), body.compare("gt", x, -INF))
        signed = body.select(body.and_(below, body.not_(whole)), body.like(NAN, x), signed)
        endless = body.and_(body.compare("eq", size, 1.0), body.compare("eq", body.abs(y), INF))
        one = body.or_(endless, body.or_(body.compare("eq", x, 1.0), body.compare("eq", y, 0.0)))
        return body.select(one, body.like(1.0, x), signed)

    return body.rarely(body.or_(negative, body.is_nan(found)), found, others)


def cbrt(body: Body, x: Register) -> Register:
    """A step of Newton's from ``a * r**2`` with ``r`` near ``a**(-1/3)``, where ``|x| = a * 8**q``."""
    size, layout = body.abs(x), format_of(x)
    e, f = split(body, size)
    whole = layout.whole + layout.bias
    shifted = body.fma(e, 1 / 3, whole)
    beyond = body.fma(body.sub(shifted, whole), -3.0, e)  # -1, 0 or 1
    more, fewer = body.compare("gt", beyond, 0.0), body.compare("lt", beyond, 0.0)
    power = body.select(more, body.like(2.0, x), body.select(fewer, body.like(0.5, x), 1.0))
    root = body.select(
        more, body.like(0.5 ** (1 / 3), x), body.select(fewer, body.like(2 ** (1 / 3), x), 1.0)
    )
    m, r = body.add(f, 1.0), polynomial(body, f, "inverse cbrt")
    if x.row.bits == 64:
        slip = less_product(body, body.mul(m, r), body.mul(r, r), body.like(1.0, x))
        r = body.fma(body.mul(r, slip), body.fma(slip, 2 / 9, 1 / 3), r)
    a, r = body.mul(m, power), body.mul(r, root)
    square = body.mul(r, r)
    found = body.mul(a, square)
    high, low = two_product(body, found, found)
    slip = body.fma(body.neg(low), found, less_product(body, high, found, a))
    found = body.fma(slip, body.mul(square, 1 / 3), found)
    found = body.mul(found, body.as_float(body.shl(body.as_integer(shifted), layout.fraction)))
    ordinary = body.and_(body.compare("gt", size, 0.0), body.compare("lt", size, INF))
    return body.select(ordinary, body.copysign(found, x), x)


def hypot(body: Body, x: Register, y: Register) -> Register:
    """``sqrt(x² + y²)``, of smaller or larger numbers where the squares would under- or overflow."""
    x, y = body.abs(x), body.abs(y)
    largest = body.select(body.compare("gt", x, y), x, y)
    edge = 2.0 ** by_bits(x, 40, 400)
    fits = body.and_(body.compare("gt", largest, 1 / edge), body.compare("lt", largest, edge))

    def others() -> Register:
        large, scale = body.compare("gt", largest, 1.0), edge * edge
        down = body.select(large, body.like(1 / scale, x), scale)
        back = body.select(large, body.like(scale, x), 1 / scale)
        found = body.mul(_root_of_squares(body, body.mul(x, down), body.mul(y, down)), back)
        endless = body.or_(body.compare("eq", x, INF), body.compare("eq", y, INF))
        return body.select(endless, body.like(INF, x), found)

    return body.rarely(body.not_(fits), _root_of_squares(body, x, y), others)


def _root_of_squares(body: Body, x: Register, y: Register) -> Register:
    return body.sqrt(body.fma(x, x, body.mul(y, y)))


def _power32(body: Body, x: Register, y: Register) -> Register:
    """``2**(y * log2(x))``, whose exponent is computed in float64."""
    wide = body.convert(x, FLOAT64)
    e, f = split(body, wide)
    s = body.div(f, body.add(f, 2.0))
    logarithm = body.fma(polynomial(body, body.mul(s, s), "short log2"), s, e)
    exponent = body.mul(_with_limits(body, wide, logarithm), body.convert(y, FLOAT64))
    exponent = at_most(body, at_least(body, exponent, -151.0), 128.0)
    whole = format_of(wide).whole + format_of(x).bias - 1
    shifted = body.add(exponent, whole)
    r = body.convert(body.sub(exponent, body.sub(shifted, whole)), x.row)
    n = body.convert(body.as_integer(shifted), dtype("int32"))
    found = body.fma(polynomial(body, r, "exp2"), r, 1.0)
    return scaled(body, found, n, body.compare("lt", n, 3))


def _power64(body: Body, x: Register, y: Register) -> Register:
    """``e**(y * log(x))``, whose exponent is a sum of two numbers."""
    first, second = log_pair(body, x)
    high, low = two_product(body, y, _with_limits(body, x, first))
    low = body.fma(y, second, low)
    low = body.select(body.compare("lt", body.abs(high), 1000.0), low, 0.0)
    return exp_of_sum(body, (high, low), (body.like(1.0, x), body.like(0.0, x)))


def _with_limits(body: Body, x: Register, logarithm: Register) -> Register:
    """What the logarithm is of infinity, NaN and 0."""
    found = body.select(body.compare("lt", x, INF), logarithm, x)
    return body.select(body.compare("eq", x, 0.0), body.like(-INF, x), found)


def log_pair(body: Body, x: Register) -> Pair:
    """The logarithm of a positive float64 within ``2**-64`` of it.

    ``log(1 + f) = 2s + s * z * (2/3 + z * P(z))`` with ``s = f / (2 + f)`` and ``z = s²``.
    """
    e, f = split(body, x)
    total, rest = two_sum(body, f, 2.0)
    inverse = body.div(1.0, total)
    s = body.mul(f, inverse)
    slip = body.fma(body.neg(s), rest, less_product(body, s, total, f))
    root = s, body.mul(slip, inverse)
    square = _times(body, root, root)
    two_thirds, tail = constant_parts("2/3", x)
    curve = body.mul(polynomial(body, square[0], "log of pow"), square[0])
    high, low = fast_two_sum(body, body.like(two_thirds, x), curve)
    odd = _times(body, _times(body, (high, body.add(low, tail)), square), root)
    high, low = fast_two_sum(body, body.add(s, s), odd[0])
    low = body.add(low, body.fma(root[1], 2.0, odd[1]))
    ln2, ln2_low = constant_parts("ln2", x)
    first, second = fast_two_sum(body, body.mul(e, ln2), high)
    second = body.add(second, body.fma(e, ln2_low, low))
    return fast_two_sum(body, first, second)


def _times(body: Body, x: Pair, y: Pair) -> Pair:
    high, low = two_product(body, x[0], y[0])
    return high, body.fma(x[0], y[1], body.fma(x[1], y[0], low))
