"""Logarithms of complex numbers, and what is made of them: the inverses of circular and hyperbolic functions.

Branch cuts are those of C99, and of NumPy. The arcs of sine and cosine are those of T. E. Hull, T. F. Fairgrieve and
P. T. P. Tang ("Implementing the complex arcsine and arccosine functions", ACM TOMS 23 (1997) 299).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from symgraph.codegen import complex_numbers as numbers
from symgraph.codegen import llvm_log
from symgraph.codegen.llvm_arcs import atan2
from symgraph.codegen.llvm_log import near_one, split
from symgraph.codegen.llvm_parts import (
    INF,
    by_bits,
    constant_parts,
    fast_two_sum,
    times_power,
    two_product,
    two_sum,
)
from symgraph.codegen.vectors import Body, Complex, Register
from symgraph.graph.types import dtype


def log(body: Body, x: Complex) -> Complex:
    return Complex(_log_of_size(body, x), _angle(body, x.im, x.re))


def log2(body: Body, x: Complex) -> Complex:
    return _scaled(body, log(body, x), 1 / math.log(2))


def log10(body: Body, x: Complex) -> Complex:
    return _scaled(body, log(body, x), 1 / math.log(10))


def log1p(body: Body, x: Complex) -> Complex:
    """Of ``1 + x``, whose real part is the sum of two numbers."""
    re, rest = two_sum(body, x.re, 1.0)
    return Complex(_log_of_size(body, Complex(re, x.im), rest), _angle(body, x.im, re))


def asin(body: Body, x: Complex) -> Complex:
    arcs = _arcs(body, x)
    re = body.copysign(_angle(body, body.abs(x.re), arcs.across), x.re)
    return Complex(re, body.copysign(arcs.height, x.im))


def acos(body: Body, x: Complex) -> Complex:
    arcs = _arcs(body, x)
    re = _angle(body, arcs.across, body.copysign(arcs.along, x.re))
    return Complex(re, body.copysign(arcs.height, body.neg(x.im)))


def atan(body: Body, x: Complex) -> Complex:
    return numbers.turned_back(body, atanh(body, numbers.turned(body, x)))


def asinh(body: Body, x: Complex) -> Complex:
    return numbers.turned_back(body, asin(body, numbers.turned(body, x)))


def acosh(body: Body, x: Complex) -> Complex:
    found = acos(body, x)
    return Complex(body.abs(found.im), body.copysign(found.re, x.im))


def atanh(body: Body, x: Complex) -> Complex:
    """``log1p(4 * re / |1 - x|**2) / 4`` and half the angle of ``(1 + x) * conj(1 - x)``."""
    a, b = body.abs(x.re), body.abs(x.im)
    gap = body.sub(1.0, a)
    size = numbers.size(body, Complex(gap, b))
    quotient = body.mul(body.div(body.div(a, size), size), 4.0)
    re = body.mul(body.apart("log1p", llvm_log.log1p, quotient), 0.25)
    # |1 - x| is b where a is 1, and its square may be too small
    steep = body.mul(body.sub(_LN2, body.apart("log", llvm_log.log, b)), 0.5)
    close = body.and_(body.compare("eq", a, 1.0), body.compare("lt", b, by_bits(b, 2.0**-30, 2.0**-60)))
    re = body.select(close, steep, re)
    level = body.sub(body.mul(gap, body.add(a, 1.0)), body.mul(b, b))
    far = body.not_(body.and_(*(body.compare("lt", each, 2.0 ** by_bits(a, 30, 60)) for each in (a, b))))
    level, b = body.select(far, body.like(-1.0, a), level), body.select(far, body.mul(b, 0.0), b)
    im = body.mul(_angle(body, body.add(b, b), level), 0.5)
    endless = numbers.is_infinite(body, x)
    re = body.select(body.or_(endless, body.compare("eq", a, 0.0)), body.like(0.0, a), re)
    im = body.select(body.is_nan(a), a, im)
    straight = body.select(body.is_nan(x.im), x.im, _QUARTER)
    im = body.select(endless, straight, im)
    return Complex(body.copysign(re, x.re), body.copysign(im, x.im))


_LN2, _QUARTER = math.log(2), math.pi / 2


def _scaled(body: Body, x: Complex, factor: float) -> Complex:
    return Complex(body.mul(x.re, factor), body.mul(x.im, factor))


def _angle(body: Body, y: Register, x: Register) -> Register:
    return body.apart("atan2", atan2, y, x)


def _log_of_size(body: Body, x: Complex, rest: Register | None = None) -> Register:
    """``log|x|``, where ``rest`` is added to the real part.

    The square of the size is the sum of two numbers ``2**e * (1 + f)``, so that no bits are lost where it is near 1.
    """
    a, b = body.abs(x.re), body.abs(x.im)
    most = body.select(body.compare("gt", a, b), a, b)
    edge, far = by_bits(a, 40, 400), by_bits(a, 100, 600)
    large, small = body.compare("gt", most, 2.0**edge), body.compare("lt", most, 2.0**-edge)
    one, zero = body.like(1.0, a), body.like(0.0, a)
    scale = body.select(large, body.like(2.0**-far, a), body.select(small, body.like(2.0**far, a), one))
    moved = body.select(large, body.like(far, a), body.select(small, body.like(-far, a), zero))
    re, im = body.mul(x.re, scale), body.mul(x.im, scale)
    (p, below), (q, less) = two_product(body, re, re), two_product(body, im, im)
    square, lost = two_sum(body, p, q)
    lost = body.add(lost, body.add(below, less))
    if rest is not None:
        lost = body.fma(body.add(re, re), body.mul(rest, scale), lost)
    square, lost = fast_two_sum(body, square, lost)
    e, f = split(body, square)
    down = body.convert(body.neg(e), dtype(f"int{e.row.bits}"))
    first, curve = near_one(body, body.add(f, times_power(body, lost, down)))
    turns = body.fma(e, 0.5, moved)
    high, low = constant_parts("ln2", e)
    small_part = body.fma(turns, low, body.mul(curve, 0.5))
    found = body.fma(turns, high, body.fma(first, 0.5, small_part))
    found = body.select(body.compare("lt", square, INF), found, square)
    found = body.select(body.compare("eq", square, 0.0), body.like(-INF, a), found)
    return body.select(numbers.is_infinite(body, x), body.like(INF, a), found)


class _Arcs(NamedTuple):
    """What the arcs of sine and cosine are made of."""

    along: Register
    across: Register
    """The tangent of the arc of sine's real part is ``along / across``; neither is negative."""
    height: Register
    """The size of the imaginary part."""


def _arcs(body: Body, x: Complex) -> _Arcs:
    """With ``r = |x + 1|``, ``s = |x - 1|`` and ``a = (r + s) / 2``: ``across = sqrt(a**2 - re**2)``, and ``height`` is
    ``acosh(a)``. ``a - 1`` and ``a - re`` are sums of what is positive."""
    x1, y1 = body.abs(x.re), body.abs(x.im)
    limit = 2.0 ** by_bits(x1, 30, 60)
    near = body.and_(body.compare("lt", x1, limit), body.compare("lt", y1, limit))
    one = body.like(1.0, x1)
    a, b = body.select(near, x1, one), body.select(near, y1, one)
    above, gap = body.add(a, 1.0), body.abs(body.sub(a, 1.0))
    r = numbers.size(body, Complex(above, b))
    s = numbers.size(body, Complex(gap, b))
    mean = body.mul(body.add(r, s), 0.5)
    upper, lower = body.div(1.0, body.add(r, above)), body.div(1.0, body.add(s, gap))
    share = body.add(upper, lower)  # 2(a - 1) / b**2 inside, 2(a - re) / b**2 outside of the unit disk
    least = body.mul(body.mul(b, share), b)
    most = body.fma(body.mul(b, upper), b, body.add(s, gap))
    inside, outside = body.compare("lt", a, 1.0), body.compare("gt", a, 1.0)
    beyond, longer = (body.mul(body.add(mean, each), 0.5) for each in (one, a))
    up = body.sqrt(body.mul(body.select(inside, share, most), beyond))
    up = body.select(inside, body.mul(up, b), up)
    across = body.sqrt(body.mul(body.select(outside, share, most), longer))
    across = body.select(outside, body.mul(across, b), across)
    excess = body.fma(body.select(inside, least, most), 0.5, up)
    height = body.apart("log1p", llvm_log.log1p, excess)
    far = body.add(_log_of_size(body, x), _LN2)
    unknown = body.and_(body.compare("eq", x1, 0.0), body.is_nan(y1))
    across = body.select(near, across, body.select(unknown, one, y1))
    return _Arcs(x1, across, body.select(near, height, far))
