"""Roots, exponentials, powers, hyperbolic and circular functions of complex numbers.

At infinities, NaNs and zeros they are what annex G of C99 says, as far as NumPy follows it. Elsewhere errors are small
beside the size of the result, and nothing over- or underflows on the way to a number that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgraph.codegen import complex_numbers as numbers
from symgraph.codegen import llvm_exp
from symgraph.codegen.complex_logs import log
from symgraph.codegen.llvm_circular import sin_cos
from symgraph.codegen.llvm_parts import INF, NAN, Pair, at_least, at_most, by_bits, two_product
from symgraph.codegen.vectors import Body, Complex, Register
from symgraph.graph.types import FLOAT64


def sqrt(body: Body, x: Complex) -> Complex:
    """``t = sqrt((|re| + |x|) / 2)`` is one part and ``im / 2t`` the other; scaled where the sum would be too large or
    denormal."""
    near, back = numbers.scaled(body, x)
    first, last = body.abs(near.re), body.abs(near.im)
    root = body.sqrt(body.mul(body.add(first, numbers.size(body, near)), 0.5))
    other = body.select(body.compare("eq", root, 0.0), last, body.div(body.mul(last, 0.5), root))
    root, other = body.mul(root, back), body.mul(other, back)
    right = body.compare("gt", body.copysign(1.0, x.re), 0.0)
    re, im = body.select(right, root, other), body.select(right, other, root)
    endless = body.compare("eq", last, INF)
    re, im = body.select(endless, last, re), body.select(endless, last, im)
    return Complex(re, body.copysign(im, x.im))


# Exponentials


def exp(body: Body, x: Complex) -> Complex:
    sine, cosine = body.apart_all("sin_cos", sin_cos, x.im)
    return _with_limits(body, x, _times_exp(body, x.re, (cosine, sine)))


def exp2(body: Body, x: Complex) -> Complex:
    """``2**re`` in the direction of ``im * log(2)``, an angle that is the sum of two numbers."""
    angle, rest = two_product(body, x.im, body.like(_LN2, x.im))
    rest = body.fma(x.im, by_bits(x.im, *_LN2_REST), rest)
    rest = body.select(body.compare("lt", body.abs(rest), 0.5), rest, 0.0)
    sine, cosine = body.apart_all("sin_cos", sin_cos, angle)
    sine, cosine = body.fma(rest, cosine, sine), body.fma(body.neg(rest), sine, cosine)
    most = by_bits(x.re, 127.0, 1023.0)
    found = _times(body, "exp2", llvm_exp.exp2, x.re, most, (cosine, sine))
    return _with_limits(body, x, found)


def expm1(body: Body, x: Complex) -> Complex:
    """``expm1(re) * cos(im) - 2 * sin(im / 2)**2`` and ``exp(re) * sin(im)``."""
    sine, cosine = body.apart_all("sin_cos", sin_cos, x.im)
    half, _ = body.apart_all("sin_cos", sin_cos, body.mul(x.im, 0.5))
    near = body.mul(body.apart("expm1", llvm_exp.expm1, x.re), cosine)
    near = body.sub(near, body.mul(body.mul(half, half), 2.0))
    far, im = _times_exp(body, x.re, (cosine, sine))
    return Complex(body.select(body.compare("gt", x.re, 60.0), far, near), im)


def pow(body: Body, x: Complex, y: Complex) -> Complex:
    """Products for whole powers below 100 in size, else ``exp(y * log(x))``, whose error grows with ``|y * log(x)|`` in
    complex128; for complex64 it is computed there. 1 is any number to the power 0; 0 to a power is 0 or NaN."""
    zero, one, nan = (body.like(value, y.re) for value in (0.0, 1.0, NAN))
    whole = body.and_(body.compare("eq", body.trunc(y.re), y.re), body.compare("eq", y.im, 0.0))
    whole = body.and_(whole, body.compare("lt", body.abs(y.re), 100.0))
    products = _whole_power(body, x, body.select(whole, y.re, 1.0))

    def others() -> Pair:
        found = _general_power(body, x, y)
        return found.re, found.im

    found = Complex(*body.rarely_all(body.not_(whole), (products.re, products.im), others))
    grows = body.compare("gt", y.re, 0.0)
    of_zero = numbers.select(body, grows, Complex(zero, zero), Complex(nan, nan))
    found = numbers.select(body, numbers.equal(body, x, Complex(zero, zero)), of_zero, found)
    return numbers.select(body, numbers.equal(body, y, Complex(zero, zero)), Complex(one, zero), found)


def _whole_power(body: Body, x: Complex, n: Register) -> Complex:
    """By the bits of ``|n|``."""
    count = body.as_integer(body.add(body.abs(n), 1.5 * 2.0 ** by_bits(n, 23, 52)))
    found = power = x
    for bit in range(1, 7):
        power = numbers.multiply(body, power, power)
        taken = body.compare("ne", body.and_(count, 1 << bit), 0)
        begun = body.compare("ne", body.and_(count, (1 << bit) - 1), 0)
        times = numbers.select(body, begun, numbers.multiply(body, found, power), power)
        found = numbers.select(body, taken, times, found)
    one = Complex(body.like(1.0, n), body.like(0.0, n))
    return numbers.select(body, body.compare("lt", n, 0.0), numbers.divide(body, one, found), found)


def _general_power(body: Body, x: Complex, y: Complex) -> Complex:
    row = x.re.row
    x, y = (Complex(body.convert(z.re, FLOAT64), body.convert(z.im, FLOAT64)) for z in (x, y))
    found = exp(body, numbers.limited_product(body, y, log(body, x)))
    return Complex(body.convert(found.re, row), body.convert(found.im, row))


# Hyperbolic and circular functions


def sinh(body: Body, x: Complex) -> Complex:
    """``sinh(re) * cos(im)`` and ``cosh(re) * sin(im)``."""
    re, im = _hyperbolic(body, x, swapped=False)
    outside = body.not_(body.compare("lt", body.abs(x.im), INF))
    edge = body.or_(body.compare("eq", x.re, 0.0), body.compare("eq", body.abs(x.re), INF))
    re = body.select(body.and_(outside, edge), x.re, re)
    return Complex(re, body.select(body.compare("eq", x.im, 0.0), x.im, im))


def cosh(body: Body, x: Complex) -> Complex:
    """``cosh(re) * cos(im)`` and ``sinh(re) * sin(im)``."""
    re, im = _hyperbolic(body, x, swapped=True)
    outside = body.not_(body.compare("lt", body.abs(x.im), INF))
    size = body.abs(x.re)
    re = body.select(body.and_(outside, body.compare("eq", size, INF)), size, re)
    im = body.select(body.and_(outside, body.compare("eq", size, 0.0)), size, im)
    unknown = body.and_(body.is_nan(size), body.compare("eq", x.im, 0.0))
    return Complex(re, body.select(unknown, x.im, im))


def tanh(body: Body, x: Complex) -> Complex:
    """``sinh(re) * cosh(re)`` and ``sin(im) * cos(im)``, both over ``sinh(re)**2 + cos(im)**2``."""
    size = body.abs(x.re)
    most = by_bits(size, 42.0, 354.0)
    near = at_most(body, size, most)
    grown, flat = _sinh_cosh(body, near)
    sine, cosine = body.apart_all("sin_cos", sin_cos, x.im)
    below = body.add(body.mul(grown, grown), body.mul(cosine, cosine))
    re = body.copysign(body.div(body.mul(grown, flat), below), x.re)
    im = body.div(body.mul(sine, cosine), below)

    def far() -> Pair:
        more = at_most(body, body.sub(size, most), most)
        return re, body.mul(im, body.apart("exp", llvm_exp.exp, body.mul(more, -2.0)))

    re, im = body.rarely_all(body.compare("gt", size, most), (re, im), far)
    outside = body.not_(body.compare("lt", body.abs(x.im), INF))
    limit = body.compare("eq", size, INF)
    re = body.select(limit, body.copysign(1.0, x.re), re)
    im = body.select(body.and_(limit, outside), body.copysign(0.0, x.im), im)
    re = body.select(body.compare("eq", x.re, 0.0), x.re, re)
    return Complex(re, body.select(body.compare("eq", x.im, 0.0), x.im, im))


def sin(body: Body, x: Complex) -> Complex:
    return numbers.turned_back(body, sinh(body, numbers.turned(body, x)))


def cos(body: Body, x: Complex) -> Complex:
    return cosh(body, numbers.turned(body, x))


def tan(body: Body, x: Complex) -> Complex:
    return numbers.turned_back(body, tanh(body, numbers.turned(body, x)))


def _hyperbolic(body: Body, x: Complex, *, swapped: bool) -> Pair:
    """The parts of the sine, or those of the cosine."""
    size = body.abs(x.re)
    most = by_bits(size, 85.0, 700.0)
    grown, flat = _sinh_cosh(body, at_most(body, size, most))
    grown = body.copysign(grown, x.re)
    sine, cosine = body.apart_all("sin_cos", sin_cos, x.im)
    one, other = (flat, grown) if swapped else (grown, flat)
    usual = body.mul(one, cosine), body.mul(other, sine)
    return _once_more(body, "exp", llvm_exp.exp, size, most, usual)


def _sinh_cosh(body: Body, x: Register) -> Pair:
    """Both, of a number that is not negative, nor so large that they overflow."""
    less = body.apart("expm1", llvm_exp.expm1, x)
    whole = body.add(less, 1.0)
    inverse = body.div(1.0, whole)
    return body.mul(body.fma(less, inverse, less), 0.5), body.mul(body.add(whole, inverse), 0.5)


# Exponentials that are too large by themselves


_LN2 = 0.6931471805599453
_LN2_REST = (-1.9046542999577677e-09, 2.3190468138462996e-17)
"""What the nearest float32 and float64 lack."""


def _times_exp(body: Body, x: Register, parts: Sequence[Register]) -> Pair:
    return _times(body, "exp", llvm_exp.exp, x, by_bits(x, 88.0, 709.0), parts)


def _times(
    body: Body, name: str, grow: Callable[..., Register], x: Register, most: float, parts: Sequence[Register]
) -> Pair:
    """Two numbers times a power, which may be too large where they are small."""
    power = body.apart(name, grow, at_most(body, x, most))
    usual = body.mul(parts[0], power), body.mul(parts[1], power)
    return _once_more(body, name, grow, x, most, usual)


def _once_more(
    body: Body, name: str, grow: Callable[..., Register], x: Register, most: float, usual: Pair
) -> Pair:
    """Two numbers times what is left of a power from ``most`` on."""

    def far() -> Pair:
        half = body.mul(body.sub(x, most), 0.5)
        more = body.apart(name, grow, at_most(body, half, most))
        return body.mul(body.mul(usual[0], more), more), body.mul(body.mul(usual[1], more), more)

    re, im = body.rarely_all(body.compare("gt", x, most), usual, far)
    return re, im


def _with_limits(body: Body, x: Complex, found: Pair) -> Complex:
    """A power in a direction; what it is where the direction is 0 or none."""
    im = body.select(body.compare("eq", x.im, 0.0), x.im, found[1])
    outside = body.not_(body.compare("lt", body.abs(x.im), INF))
    limit = body.and_(outside, body.compare("eq", body.abs(x.re), INF))
    re = body.select(limit, at_least(body, x.re, 0.0), found[0])
    below = body.and_(outside, body.compare("eq", x.re, -INF))
    return Complex(re, body.select(below, body.copysign(0.0, x.im), im))
