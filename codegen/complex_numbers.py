"""Arithmetic and order of complex numbers, which are two registers each.

Values are NumPy's: a product is the plain formula, a quotient is R. L. Smith's ("Algorithm 116", CACM 5 (1962) 435),
and numbers are ordered by their real, then their imaginary parts.
"""

from __future__ import annotations

from symgraph.codegen.llvm_parts import INF, NAN, by_bits
from symgraph.codegen.llvm_power import hypot
from symgraph.codegen.vectors import Body, Comparison, Complex, Register


def select(body: Body, mask: Register, x: Complex, y: Complex) -> Complex:
    """``x`` where the mask is set, else ``y``."""
    return Complex(body.select(mask, x.re, y.re), body.select(mask, x.im, y.im))


def add(body: Body, x: Complex, y: Complex) -> Complex:
    return Complex(body.add(x.re, y.re), body.add(x.im, y.im))


def subtract(body: Body, x: Complex, y: Complex) -> Complex:
    return Complex(body.sub(x.re, y.re), body.sub(x.im, y.im))


def multiply(body: Body, x: Complex, y: Complex) -> Complex:
    """The same bits whichever comes first."""
    re = body.sub(body.mul(x.re, y.re), body.mul(x.im, y.im))
    return Complex(re, body.add(body.mul(x.re, y.im), body.mul(x.im, y.re)))


def limited_product(body: Body, x: Complex, y: Complex) -> Complex:
    """As `multiply`, but as annex G of C99 has it: what is infinite gives an infinity, whatever the other part."""
    found = multiply(body, x, y)
    lost = body.and_(body.is_nan(found.re), body.is_nan(found.im))

    def limit() -> tuple[Register, Register]:
        again = multiply(body, _boxed(body, x, y), _boxed(body, y, x))
        endless = body.or_(is_infinite(body, x), is_infinite(body, y))
        far = Complex(body.mul(again.re, INF), body.mul(again.im, INF))
        chosen = select(body, endless, far, found)
        return chosen.re, chosen.im

    return Complex(*body.rarely_all(lost, (found.re, found.im), limit))


def _boxed(body: Body, x: Complex, other: Complex) -> Complex:
    """A factor, whose parts are 1 where they are infinite and 0 where they are not, if one is; NaN is 0 if the other
    factor is infinite."""
    own, its = is_infinite(body, x), is_infinite(body, other)
    parts = []
    for part in (x.re, x.im):
        zero = body.copysign(body.like(0.0, part), part)
        unit = body.select(
            body.compare("eq", body.abs(part), INF), body.copysign(body.like(1.0, part), part), zero
        )
        known = body.select(body.and_(its, body.is_nan(part)), zero, part)
        parts.append(body.select(own, unit, known))
    return Complex(*parts)


def divide(body: Body, x: Complex, y: Complex) -> Complex:
    """Both parts times ``1 / (a + b * r)``, where ``a`` is the greater part of ``y``, ``b`` the other and ``r`` is
    ``b / a``; of a number over 0 both parts over 0.
    """
    wide = body.compare("ge", body.abs(y.re), body.abs(y.im))
    a, b = body.select(wide, y.re, y.im), body.select(wide, y.im, y.re)
    zero = body.and_(wide, body.compare("eq", a, 0.0))
    ratio = body.div(b, a)
    scale = body.div(1.0, body.add(a, body.mul(b, ratio)))
    first, last = body.select(wide, x.re, x.im), body.select(wide, x.im, x.re)
    along = body.mul(body.add(first, body.mul(last, ratio)), scale)
    # im = (im - re * r) * s, or (im * r - re) * s
    one, other = (
        body.select(wide, x.im, body.mul(x.im, ratio)),
        body.select(wide, body.mul(x.re, ratio), x.re),
    )
    across = body.mul(body.sub(one, other), scale)
    none = body.abs(a)
    return Complex(
        body.select(zero, body.div(x.re, none), along), body.select(zero, body.div(x.im, none), across)
    )


def reciprocal(body: Body, x: Complex) -> Complex:
    """As `divide`, of 1, but without looking at 0."""
    wide = body.compare("le", body.abs(x.im), body.abs(x.re))
    a, b = body.select(wide, x.re, x.im), body.select(wide, x.im, x.re)
    ratio = body.div(b, a)
    below = body.add(a, body.mul(b, ratio))
    one = body.like(1.0, ratio)
    re, im = body.select(wide, one, ratio), body.select(wide, ratio, one)
    return Complex(body.div(re, below), body.div(body.neg(im), below))


def negative(body: Body, x: Complex) -> Complex:
    return Complex(body.neg(x.re), body.neg(x.im))


def conj(body: Body, x: Complex) -> Complex:
    return Complex(x.re, body.neg(x.im))


def rint(body: Body, x: Complex) -> Complex:
    return Complex(body.rint(x.re), body.rint(x.im))


def turned(body: Body, x: Complex) -> Complex:
    """``x * i``."""
    return Complex(body.neg(x.im), x.re)


def turned_back(body: Body, x: Complex) -> Complex:
    """``x / i``."""
    return Complex(x.im, body.neg(x.re))


def size(body: Body, x: Complex) -> Register:
    """``|x|``, infinite where a part is, and without overflow."""
    return body.apart("hypot", hypot, x.re, x.im)


def sign(body: Body, x: Complex) -> Complex:
    """``x / |x|``; 0 of 0, 1 or ``i`` or what is opposite where one part is infinite, and NaN where both are."""
    zero, one = body.like(0.0, x.re), body.like(1.0, x.re)
    edges = [body.compare("eq", body.abs(part), INF) for part in (x.re, x.im)]
    endless = body.or_(*edges)
    parts = []
    for part, edge in zip((x.re, x.im), edges, strict=True):  # what is infinite becomes 1, what is not 0
        unit = body.select(edge, body.copysign(1.0, part), zero)
        parts.append(body.select(endless, unit, part))
    near, _ = scaled(body, Complex(*parts))
    length = size(body, near)
    none = body.compare("eq", length, 0.0)
    length = body.select(none, one, length)
    lost = body.or_(body.and_(*edges), is_nan(body, near))
    found = [
        body.select(lost, body.like(NAN, part), body.select(none, zero, body.div(part, length)))
        for part in (near.re, near.im)
    ]
    return Complex(*found)


def scaled(body: Body, x: Complex) -> tuple[Complex, Register]:
    """``x / 4**n``, neither so large that the size overflows nor denormal, and ``2**n``."""
    a, b = body.abs(x.re), body.abs(x.im)
    most, one = body.select(body.compare("gt", a, b), a, b), body.like(1.0, a)
    large = body.compare("gt", most, 2.0 ** by_bits(a, 120, 1000))
    small = body.compare("lt", most, 2.0 ** by_bits(a, -60, -900))
    factor = body.select(large, body.like(2.0**-4, a), body.select(small, body.like(2.0**60, a), one))
    back = body.select(large, body.like(2.0**2, a), body.select(small, body.like(2.0**-30, a), one))
    return Complex(body.mul(x.re, factor), body.mul(x.im, factor)), back


# Questions


def is_nan(body: Body, x: Complex) -> Register:
    return body.or_(body.is_nan(x.re), body.is_nan(x.im))


def is_infinite(body: Body, x: Complex) -> Register:
    """Whether a part is, whatever the other."""
    return body.or_(body.compare("eq", body.abs(x.re), INF), body.compare("eq", body.abs(x.im), INF))


def is_finite(body: Body, x: Complex) -> Register:
    return body.and_(body.compare("lt", body.abs(x.re), INF), body.compare("lt", body.abs(x.im), INF))


def is_true(body: Body, x: Complex) -> Register:
    return body.or_(body.compare("ne", x.re, 0.0), body.compare("ne", x.im, 0.0))


def equal(body: Body, x: Complex, y: Complex) -> Register:
    return body.and_(body.compare("eq", x.re, y.re), body.compare("eq", x.im, y.im))


def not_equal(body: Body, x: Complex, y: Complex) -> Register:
    return body.or_(body.compare("ne", x.re, y.re), body.compare("ne", x.im, y.im))


def ordered(body: Body, how: Comparison, x: Complex, y: Complex) -> Register:
    """By the real parts; where these are equal, by the imaginary ones. With a NaN no order holds."""
    strict: Comparison = "lt" if how in ("lt", "le") else "gt"
    known = body.not_(body.or_(body.is_nan(x.im), body.is_nan(y.im)))
    apart = body.and_(body.compare(strict, x.re, y.re), known)
    return body.or_(apart, body.and_(body.compare("eq", x.re, y.re), body.compare(how, x.im, y.im)))


def maximum(body: Body, x: Complex, y: Complex) -> Complex:
    """The greater one, or the first with a NaN."""
    return select(body, body.or_(is_nan(body, x), ordered(body, "ge", x, y)), x, y)


def minimum(body: Body, x: Complex, y: Complex) -> Complex:
    """The smaller one, or the first with a NaN."""
    return select(body, body.or_(is_nan(body, x), ordered(body, "le", x, y)), x, y)
