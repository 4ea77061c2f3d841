"""What elementwise ops mean for numbers of high precision."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

from symgraph.debug.exact_numbers import LARGEST_BITS, Arithmetic, Number, hypot, sqrt


def plain(name: str, *exact_at: float) -> Callable[[Number], Number]:
    """mpmath's function of this name, which is exact at these arguments."""
    return lambda x: x.of.apply(name, x, exact_at=exact_at or (0,))


def growing(name: str, far: Callable[[Number], Number]) -> Callable[[Number], Number]:
    """The same, but ``far`` where the argument is so large that nobody can say."""
    near = plain(name)
    return lambda x: far(x) if x.is_finite and x.of.mp.mag(x.value) > LARGEST_BITS else near(x)


def _far_exp(x: Number) -> Number:
    return x.of.endless(1 if x.value.real > 0 else -1)


exp = growing("exp", _far_exp)
log = plain("log", 1)
log1p = plain("log1p")
tanh = plain("tanh")


def exp2(x: Number) -> Number:
    if not x.is_complex:
        if x.is_finite and x.of.mp.mag(x.value) > LARGEST_BITS:
            return _far_exp(x)
        if x.is_whole:
            return Number(x.of, x.of.mp.ldexp(1, int(x.value)))
    return exp(x * log(x.of.number(2, x.is_complex)))


def log2(x: Number) -> Number:
    if not x.is_complex and x.is_finite and x > 0 and x.value.man == 1:
        return x.of.number(int(x.value.exp))
    return log(x) / log(x.of.number(2))


def log10(x: Number) -> Number:
    found = x.of.apply("log10", x, exact_at=(1,))
    if not x.is_complex and found.is_finite and 0 < found < 1000:
        whole = round(float(found.value))
        if x == 10**whole:
            return x.of.number(whole)
    return found


def cbrt(x: Number) -> Number:
    if x < 0:
        return -cbrt(-x)
    found = x.of.apply("cbrt", x)
    whole = Number(x.of, x.of.mp.nint(found.value)) if found.is_finite else found
    return whole if whole * whole * whole == x else found


def power(x: Number, y: Number) -> Number:
    of = x.of
    if x.is_complex:
        if y == 0:
            return of.number(1, True)
        if x == 0:
            return of.number(0 if y.value.real > 0 and y.value.imag == 0 else math.nan, True)
        return of.apply("power", x, y)
    if y == 0 or x == 1:
        return of.number(1)
    if x.is_nan or y.is_nan or (x.is_finite and x < 0 and y.is_finite and not y.is_whole):
        return of.number(math.nan)
    is_odd = y.is_whole and bool(of.mp.isint((y.value - 1) / 2)) and of.mp.mag(y.value) <= of.mp.prec
    if x == 0 or x.is_inf or y.is_inf:
        grows = (y > 0) == (abs(x) > 1)
        limit = of.number(1 if y.is_inf and x == -1 else math.inf if grows else 0)
        return -limit if is_odd and x < 0 else limit
    if of.mp.mag(y.value) + max(of.mp.mag(log(abs(x)).value) if abs(x) != 1 else 0, 0) > LARGEST_BITS:
        size = _far_exp(y if abs(x) > 1 else -y)
        return -size if is_odd and x < 0 else size
    if y.is_whole and abs(y) <= 64:
        found = of.number(1)
        for _ in range(abs(int(y.value))):
            found = found * x
        return found if y > 0 else 1 / found
    if (y + y).is_whole and abs(y) <= 64:
        return power(sqrt(x), y + y)
    return of.apply("power", x, y)


def floor(x: Number) -> Number:
    return _to_whole(x, x.of.mp.floor)


def _to_whole(x: Number, to: Callable[[Any], Any]) -> Number:
    if not x.is_finite:
        return x
    twice = x.of.mp.ldexp(x.value, 1)
    x.of.decisions.append((twice, x.of.mp.nint(twice)))
    return Number(x.of, to(x.value))


def trunc(x: Number) -> Number:
    return floor(x) if x >= 0 else -floor(-x)


def rint(x: Number) -> Number:
    return _to_whole(x, x.of.mp.nint)


def remainder(x: Number, y: Number) -> Number:
    if not x.is_finite or y == 0 or y.is_nan:
        return x.of.number(math.nan)
    if y.is_inf:
        return x if x == 0 or (x > 0) == (y > 0) else y
    return x - y * floor(x / y)


def floor_divide(x: Number, y: Number) -> Number:
    if y == 0:
        return x / y
    if not x.is_finite or y.is_nan:
        return x.of.number(math.nan)
    if y.is_inf:
        return x.of.number(0 if x == 0 or (x > 0) == (y > 0) else -1)
    return floor(x / y)


def fmod(x: Number, y: Number) -> Number:
    if not x.is_finite or y == 0 or y.is_nan:
        return x.of.number(math.nan)
    return x if y.is_inf else x - y * trunc(x / y)


def maximum(x: Number, y: Number) -> Number:
    return x if x.is_nan or (not y.is_nan and x >= y) else y


def minimum(x: Number, y: Number) -> Number:
    return x if x.is_nan or (not y.is_nan and x <= y) else y


def sign(x: Number) -> Number:
    if x == 0 or x.is_nan:
        return x
    return x / abs(x) if x.is_complex else x.of.number(1 if x > 0 else -1)


def sigmoid(x: Number) -> Number:
    e = exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


def gated(gate: Callable[[Number], Number]) -> Callable[[Number], Number]:
    """``x * gate(x)``, 0 at minus infinity."""
    return lambda x: x.of.number(0) if x.is_inf and x < 0 else x * gate(x)


def _tanh_gate(x: Number) -> Number:
    cubic = x.of.number(x.of.mp.mpf("0.044715"))
    return sigmoid(2 * sqrt(2 / _pi(x)) * (x + cubic * x * x * x))


def _pi(x: Number) -> Number:
    return Number(x.of, +x.of.mp.pi)


def selu(x: Number) -> Number:
    scale, alpha = (
        Number(x.of, x.of.mp.mpf(text))
        for text in ("1.0507009873554804934193349852946", "1.6732632423543772848170429916717")
    )
    return scale * (x if x > 0 else alpha * x.of.apply("expm1", x))


def sinc(x: Number) -> Number:
    if x == 0 or not x.is_finite:
        return x.of.number(1 if x == 0 else math.nan)
    return x.of.apply("sinpi", x) / (_pi(x) * x)


def logaddexp2(x: Number, y: Number) -> Number:
    if x.is_inf and x == y:
        return x
    return maximum(x, y) + log2(1 + exp2(-abs(x - y)))


def round_to(x: Number, decimals: int) -> Number:
    scale: int = 10 ** abs(decimals)
    return rint(x * scale) / scale if decimals >= 0 else rint(x / scale) * scale


# Special functions


def erf(x: Number) -> Number:
    """``1 - erf(x) < exp(-x * x)``, which for large arguments no digit shows."""
    if x.is_finite and x.value * x.value > x.of.mp.prec:
        return x.of.shaken(x.of.mp.mpf(1 if x > 0 else -1))
    return x.of.apply("erf", x)


def erfc(x: Number) -> Number:
    if x < 0:
        return 1 + erf(-x)
    if not x.is_finite or x < 100_000:
        return x.of.apply("erfc", x)
    square = 2 * x * x  # DLMF 7.12.1
    term = total = x.of.number(1)
    for k in range(1, 1000, 2):
        term = -k * term / square
        total = total + term
        if x.of.mp.mag(term.value) < -x.of.mp.prec:
            break
    return exp(-x * x) * total / (x * sqrt(_pi(x)))


def erfcx(x: Number) -> Number:
    return x.of.number(0) if x.is_inf and x > 0 else exp(x * x) * erfc(x)


def ndtr(x: Number) -> Number:
    return erfc(-x / sqrt(x.of.number(2))) / 2


def log_ndtr(x: Number) -> Number:
    return log(ndtr(x)) if x < 0 else log1p(-ndtr(-x))


def erfinv(y: Number) -> Number:
    if y.is_nan or abs(y) > 1:
        return y.of.number(math.nan)
    if y == 0 or abs(y) == 1:
        return y if y == 0 else y.of.number(math.copysign(math.inf, 1 if y > 0 else -1))
    if abs(y) > 0.5:
        return -_inverse_erfc(1 + y) if y < 0 else _inverse_erfc(1 - y)
    half_root = sqrt(_pi(y)) / 2
    return _newton(y * half_root, lambda t: (erf(t) - y) * half_root * exp(t * t))


def ndtri(p: Number) -> Number:
    root = sqrt(p.of.number(2))
    if 0.25 < p < 0.75 or not 0 <= p <= 1:
        return root * erfinv(2 * p - 1)
    if p == 0 or p == 1:
        return p.of.number(math.inf if p == 1 else -math.inf)
    return -root * _inverse_erfc(2 * p) if p < 0.5 else root * _inverse_erfc(2 * (1 - p))


def _inverse_erfc(q: Number) -> Number:
    """For ``0 < q <= 1/2``, by the logarithm, which is concave."""
    target = log(q)
    start = sqrt(-target)

    def step(t: Number) -> Number:
        value = erfc(t)
        return -(log(value) - target) * value * sqrt(_pi(t)) / 2 * exp(t * t)

    return _newton(start, step)


def _newton(t: Number, step: Callable[[Number], Number]) -> Number:
    """Where the step is nothing; the step converges quadratically."""
    limit = -t.of.mp.prec * 2 // 3
    for _ in range(200):
        change = step(t)
        t = t - change
        if change.value == 0 or t.of.mp.mag(change.value) - t.of.mp.mag(t.value) < limit:
            return t
    return t.of.unknown()


def gammaln(x: Number) -> Number:
    if x.is_inf or (x.is_whole and x <= 0):
        return x.of.number(math.inf)
    if x > 0 or x.is_nan:
        return x.of.apply("loggamma", x, exact_at=(1, 2))
    return log(_pi(x) / abs(x.of.apply("sinpi", x))) - gammaln(1 - x)


def lbeta(a: Number, b: Number) -> Number:
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def polygamma(x: Number, order: int = 0) -> Number:
    if x == 0:
        return x.of.number(math.inf if order % 2 else -math.inf)
    if (x.is_inf and x < 0) or (x.is_whole and x < 0):
        return x.of.number(math.inf if order % 2 and x.is_finite else math.nan)
    return x.of.apply("psi", x.of.number(order), x)


def gammainc(a: Number, x: Number, upper: bool = False) -> Number:
    of = a.of
    if a.is_nan or x.is_nan or a < 0 or x < 0 or (a == 0 and x == 0) or (a.is_inf and x.is_inf):
        return of.number(math.nan)
    if a == 0 or x == 0 or a.is_inf or x.is_inf:
        return of.number(int((a == 0 or x.is_inf) != upper))
    if a > 1000 or x > 10_000:
        return of.unknown()
    bounds = (x.value, of.mp.inf) if upper else (0, x.value)
    return _convergent(of, lambda: of.mp.gammainc(a.value, *bounds, regularized=True))


def betainc(a: Number, b: Number, x: Number) -> Number:
    of = a.of
    if a.is_nan or b.is_nan or x.is_nan or not (a > 0 and b > 0 and 0 <= x <= 1) or (a.is_inf and b.is_inf):
        return of.number(math.nan)
    if x == 0 or x == 1 or a.is_inf or b.is_inf:
        return of.number(int(x == 1 or (b.is_inf and x > 0)))
    if a > 1000 or b > 1000:
        return of.unknown()
    return _convergent(of, lambda: of.mp.betainc(a.value, b.value, 0, x.value, regularized=True))


def _convergent(of: Arithmetic, f: Callable[[], Any]) -> Number:
    try:
        return of.shaken(f().real)
    except of.mp.NoConvergence:
        return of.unknown()


def bessel(order: int, scaled: bool = False) -> Callable[[Number], Number]:
    def found(x: Number) -> Number:
        if x.is_inf:
            infinite = abs(x) if order == 0 else x
            return x.of.number(0) if scaled else infinite
        if x.is_finite and x.of.mp.mag(x.value) > LARGEST_BITS:
            return x.of.unknown()
        value = x.of.apply("besseli", x.of.number(order), x)
        return exp(-abs(x)) * value if scaled else value

    return found


def _whole_part(f: Callable[[Any], Any]) -> Callable[[Number], Any]:
    return lambda x: Number(x.of, x.of.mp.mpc(f(x.real).value, f(x.imag).value)) if x.is_complex else f(x)


def _wave(x: Number) -> Number:
    return 2 * x.of.unknown() - 1


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "floor_divide": floor_divide, "remainder": remainder, "fmod": fmod,
    "negative": operator.neg, "reciprocal": lambda x: 1 / x, "abs": abs, "sign": sign,
    "maximum": maximum, "minimum": minimum,
    "floor": floor, "ceil": lambda x: -floor(-x), "trunc": trunc, "rint": _whole_part(rint),
    "real": lambda x: x.real, "imag": lambda x: x.imag, "conj": lambda x: x.conjugate(),
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
    "isnan": lambda x: x.is_nan, "isinf": lambda x: x.is_inf, "isfinite": lambda x: x.is_finite,
    "signbit": lambda x: x < 0, "copysign": lambda x, y: -abs(x) if y < 0 else abs(x),
    "logical_and": lambda x, y: bool(x) and bool(y), "logical_or": lambda x, y: bool(x) or bool(y),
    "logical_xor": lambda x, y: bool(x) != bool(y), "logical_not": operator.not_,
    "pow": power, "sqrt": sqrt, "cbrt": cbrt, "hypot": hypot,
    "scaled_exp": lambda x, less, n: exp(x - less) * exp2(n),
    "exp": exp, "exp2": exp2, "expm1": growing("expm1", lambda x: exp(x) - 1),
    "log": log, "log2": log2, "log10": log10, "log1p": log1p,
    "sin": growing("sin", _wave), "cos": growing("cos", _wave), "tan": growing("tan", _wave),
    "asin": plain("asin"), "acos": plain("acos", 1), "atan": plain("atan"),
    "atan2": lambda y, x: y.of.apply("atan2", y, x) if y != 0 or not x >= 0 else y.of.number(0),
    "sinh": growing("sinh", lambda x: (exp(x) - exp(-x)) / 2),
    "cosh": growing("cosh", lambda x: (exp(x) + exp(-x)) / 2), "tanh": tanh,
    "asinh": plain("asinh"), "acosh": plain("acosh", 1), "atanh": plain("atanh"),
    "erf": erf, "erfc": erfc, "erfcx": erfcx, "erfinv": erfinv,
    "ndtr": ndtr, "log_ndtr": log_ndtr, "ndtri": ndtri,
    "gammaln": gammaln, "digamma": polygamma, "polygamma": polygamma, "lbeta": lbeta,
    "gammainc": gammainc, "gammaincc": functools.partial(gammainc, upper=True), "betainc": betainc,
    "i0": bessel(0), "i1": bessel(1), "i0e": bessel(0, True), "i1e": bessel(1, True),
    # Composites whose bodies hold rounded constants, or bounds that a dtype has.
    "gelu_erf": gated(ndtr), "gelu_tanh": gated(_tanh_gate), "silu": gated(sigmoid),
    "mish": gated(lambda x: tanh(log1p(exp(x)))), "selu": selu, "sinc": sinc, "logaddexp2": logaddexp2,
    "deg2rad": lambda x: x * _pi(x) / 180, "rad2deg": lambda x: x * 180 / _pi(x),
    "round": lambda x, decimals: _whole_part(lambda part: round_to(part, decimals))(x),
}  # fmt: skip
"""What elementwise ops mean for numbers."""
