"""The logarithm of the beta function, and the incomplete beta function, computed in float64.

``x**a * y**b / beta(a, b)`` is an exponential times a factor. Its exponent is a sum of two numbers: of large ``a`` and
``b`` that of ``a * log(x / p) + b * log(y / q)``, where ``p`` and ``q`` are their parts of ``a + b``.
"""

from __future__ import annotations

import math

from symgraph.codegen.llvm_error import erfcx_from_0
from symgraph.codegen.llvm_exp import exp_of_sum
from symgraph.codegen.llvm_gamma import gammaln, small_factorial, stirling
from symgraph.codegen.llvm_log import log, log1p
from symgraph.codegen.llvm_parts import INF, NAN, Pair, continued_fraction, less_product, two_product, two_sum
from symgraph.codegen.llvm_power import log_pair
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import FLOAT32, FLOAT64

_LARGE = 8.0
"""From here on the gamma function is Stirling's formula."""

_TURNS = 1e6
"""More of a fraction are not computed; near the mean it takes about as many as the root of what is larger."""

_HUGE = 1e10
"""Where both are larger, the beta distribution is nearly the normal one."""


def lbeta(body: Body, a: Register, b: Register) -> Register:
    """Relative to the result, or to 1 where that is smaller; of arguments below 0 to the terms of the sum.

    Of an integer that is not positive as SciPy has it: infinite, or of ``(1 - a - b, b)`` where both are integers.
    """
    if a.row.bits == 32:
        found = lbeta(body, body.convert(a, FLOAT64), body.convert(b, FLOAT64))
        return body.convert(found, a.row)
    a, b = _turned(body, a, b)
    b, a = _turned(body, b, a)
    swap = body.compare("gt", a, b)
    a, b = body.select(swap, b, a), body.select(swap, a, b)
    (high, low), factor = _front(body, a, b)
    tiny = body.compare("lt", a, 2.0**-500)
    factor = body.mul(factor, body.mul(a, body.select(tiny, body.like(2.0**500, a), 1.0)))
    less = body.select(tiny, body.like(500 * math.log(2), a), 0.0)
    found = body.sub(body.sub(less, log(body, factor)), body.add(high, low))
    found = body.select(body.compare("eq", b, INF), body.like(-INF, a), found)
    found = body.select(body.is_nan(body.sub(a, b)), body.like(NAN, a), found)

    def others() -> Register:
        total = body.add(a, b)
        first, second, both = (body.apart("gammaln", gammaln, x) for x in (a, b, total))
        each = body.add(first, body.sub(second, both))
        far = body.and_(body.compare("ge", b, _LARGE), body.compare("ge", total, _LARGE))
        step = body.mul(body.sub(b, 0.5), log1p(body, body.div(a, b)))
        step = body.add(step, body.mul(a, body.sub(log(body, total), 1.0)))
        step = body.sub(step, stirling(body, b, body.div(1.0, b)))
        step = body.add(step, stirling(body, total, body.div(1.0, total)))
        each = body.select(far, body.sub(first, step), each)
        each = body.select(body.compare("eq", b, INF), body.like(INF, a), each)
        pole = body.or_(_is_pole(body, a), _is_pole(body, b))  # as SciPy has it, beside NaN too
        each = body.select(body.is_nan(body.add(a, b)), body.add(a, b), each)
        return body.select(pole, body.like(INF, a), each)

    positive = body.and_(body.compare("gt", a, 0.0), body.compare("gt", b, 0.0))
    return body.rarely(body.not_(positive), found, others)


def betainc(body: Body, a: Register, b: Register, x: Register) -> Register:
    """Relative to the result up to the mean of the distribution; beyond it 1 less the rest, which is relative to its
    own size."""
    if a.row.bits == 32:
        a, b, x = (body.convert(each, FLOAT64) for each in (a, b, x))
        return body.convert(_betainc(body, a, b, x, 2.0**-30), FLOAT32)
    return _betainc(body, a, b, x, 2.0**-54)


def _betainc(body: Body, a: Register, b: Register, x: Register, error: float) -> Register:
    zero = body.like(0.0, x)
    y, y_low = two_sum(body, 1.0, body.neg(x))
    beyond = body.compare("gt", body.mul(x, body.add(a, b)), a)
    kept = body.and_(body.compare("lt", b, 1.0), body.compare("gt", y, 2.0**-7))
    swap = body.and_(beyond, body.not_(kept))
    first, second = body.select(swap, b, a), body.select(swap, a, b)
    low, low_rest = body.select(swap, y, x), body.select(swap, y_low, zero)
    high, high_rest = body.select(swap, x, y), body.select(swap, zero, y_low)
    (exponent, rest), factor = _front(body, first, second, (low, low_rest), (high, high_rest))
    fits = body.compare("lt", body.abs(exponent), 1000.0)
    front = exp_of_sum(body, (exponent, body.select(fits, rest, 0.0)), (factor, zero))
    counts = body.compare("gt", exponent, -750.0)
    huge = body.and_(body.compare("gt", first, _HUGE), body.compare("gt", second, _HUGE))
    some = body.and_(counts, body.not_(huge))
    found = body.rarely(
        some, zero, lambda: body.mul(front, _fraction(body, first, second, low, low_rest, some, error))
    )
    huge = body.and_(counts, huge)
    found = body.rarely(huge, found, lambda: _normal(body, first, second, exponent, body.div(front, factor)))
    found = body.select(swap, body.sub(1.0, found), found)
    return _with_limits(body, a, b, x, found)


def _front(
    body: Body, a: Register, b: Register, x: Pair | None = None, y: Pair | None = None
) -> tuple[Pair, Register]:
    """The exponent of ``x**a * y**b / (a * beta(a, b))``, and the factor beside it; ``x`` and ``y`` are sums of two
    numbers each, or 1."""
    s, s_low = two_sum(body, a, b)
    large = [body.compare("ge", each, _LARGE) for each in (a, b, s)]
    whole = body.select(large[2], s, 1.0), body.select(large[2], s_low, 0.0)
    high, low = body.like(0.0, a), body.like(0.0, a)
    factor = body.like(1.0, a)
    for each, is_large, part in ((a, large[0], x), (b, large[1], y)):
        first, second = _log_of_ratio(body, whole, part, body.select(is_large, each, 1.0))
        product, rest = two_product(body, each, first)
        rest = body.fma(each, second, rest)
        high, error = two_sum(body, high, product)
        low = body.add(low, body.add(error, rest))
        outside = body.select(is_large, 0.0, body.select(large[2], each, 0.0))
        high, error = two_sum(body, high, body.neg(outside))
        low = body.add(low, error)
    for each, is_large, sign in ((a, large[0], -1.0), (b, large[1], -1.0), (s, large[2], 1.0)):
        correction, product = small_factorial(body, each)
        inverse = body.div(1.0, each)
        root = body.mul(body.sqrt(each), math.sqrt(2 * math.pi))
        product = body.select(is_large, root, product)
        if sign > 0:
            slope = body.sub(2.5, body.div(6.0, body.add(s, 2.0)))  # nearly that of gammaln(s + 1)
            correction = body.fma(slope, s_low, correction)
            factor = body.mul(factor, product)
        else:
            factor = body.div(factor, product)
        correction = body.select(is_large, stirling(body, each, inverse), correction)
        high, error = two_sum(body, high, body.mul(correction, sign))
        low = body.add(low, error)
    high, low = two_sum(body, high, low)
    return (high, low), body.mul(factor, body.div(b, s))


def _log_of_ratio(body: Body, whole: Pair, part: Pair | None, divisor: Register) -> Pair:
    """``log(whole * part / divisor)``."""
    over, rest = whole
    if part is not None:
        over, error = two_product(body, whole[0], part[0])
        rest = body.add(error, body.fma(whole[0], part[1], body.mul(rest, part[0])))
    ratio = body.div(over, divisor)
    slip = body.add(less_product(body, ratio, divisor, over), rest)
    first, second = log_pair(body, ratio)
    return first, body.add(second, body.div(slip, over))


def _fraction(
    body: Body, a: Register, b: Register, x: Register, x_low: Register, wanted: Register, error: float
) -> Register:
    """What ``x**a * y**b / (a * beta(a, b))`` is to be multiplied with: a continued fraction, the even part of DLMF
    8.17.22."""
    s, s_low = two_sum(body, a, b)
    product, rest = two_product(body, s, x)
    rest = body.add(rest, body.fma(s, x_low, body.mul(s_low, x)))
    distance = body.add(body.sub(body.sub(a, product), rest), 1.0)
    square, twice = body.mul(x, x), body.sub(2.0, x)

    def following(k: Register) -> tuple[Register, Register]:
        odd = body.add(body.fma(k, 2.0, -1.0), a)
        ratio = body.div(body.mul(k, body.sub(b, k)), odd)
        left = body.div(body.add(a, body.sub(k, 1.0)), odd)
        less = body.mul(body.mul(body.mul(left, body.add(s, body.sub(k, 1.0))), ratio), square)
        step = body.mul(body.div(body.add(a, k), body.add(odd, 2.0)), body.fma(k, twice, distance))
        return less, body.add(step, body.fma(ratio, x, k))

    first = body.mul(body.div(a, body.add(a, 1.0)), distance)
    return body.mul(a, continued_fraction(body, first, following, wanted, error=error, turns=_TURNS))


def _normal(body: Body, a: Register, b: Register, exponent: Register, power: Register) -> Register:
    """DLMF 8.18.9 to the first order, near the mean: a tail of the normal distribution, and how much it leans."""
    s = body.add(a, b)
    z = body.sqrt(body.abs(exponent))
    root = body.sqrt(body.mul(body.mul(a, body.div(b, s)), 2 * math.pi))
    lean = body.div(body.sub(b, a), body.mul(root, 3.0))
    return body.mul(power, body.fma(erfcx_from_0(body, z), 0.5, body.div(lean, s)))


def _turned(body: Body, a: Register, b: Register) -> Pair:
    """``1 - a - b`` for an integer ``a`` that is not positive, where ``b`` is an integer and that is positive."""
    other = body.sub(body.sub(1.0, a), b)
    whole = body.and_(body.compare("eq", body.floor(b), b), body.compare("gt", other, 0.0))
    whole = body.and_(whole, body.compare("lt", other, INF))
    return body.select(body.and_(_is_pole(body, a), whole), other, a), b


def _is_pole(body: Body, x: Register) -> Register:
    return body.and_(body.compare("le", x, 0.0), body.compare("eq", body.floor(x), x))


def _with_limits(body: Body, a: Register, b: Register, x: Register, found: Register) -> Register:
    """What it is where an argument is 0, 1 or infinite; as SciPy has it."""
    one, zero = body.like(1.0, x), body.like(0.0, x)
    found = body.select(body.or_(body.compare("eq", b, INF), body.compare("eq", a, 0.0)), one, found)
    found = body.select(body.or_(body.compare("eq", a, INF), body.compare("eq", b, 0.0)), zero, found)
    found = body.select(body.compare("eq", x, 0.0), zero, found)
    found = body.select(body.compare("eq", x, 1.0), one, found)
    inside = body.and_(body.compare("ge", x, 0.0), body.compare("le", x, 1.0))
    least, most = body.select(body.compare("lt", a, b), a, b), body.select(body.compare("lt", a, b), b, a)
    given = body.and_(body.compare("ge", least, 0.0), body.compare("gt", most, 0.0))
    known = body.and_(body.and_(inside, given), body.compare("lt", least, INF))
    known = body.and_(known, body.not_(body.is_nan(body.add(a, b))))
    return body.select(known, found, body.like(NAN, x))
