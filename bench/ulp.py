"""How far the functions of compiled programs are from the truth, and what they cost.

    python bench/ulp.py                     # minutes; needs mpmath
    python bench/ulp.py --only exp sin      # these alone
    python bench/ulp.py --all               # every float32 for functions of one argument: hours
    python bench/ulp.py --markdown          # the table for docs

Errors are in units in the last place of the exact result, the worst over all arguments that were tried. Functions of
one float32 get every 64th of all floats besides those near the special places; float64 and two arguments are drawn. The
truth of float32 is NumPy's and SciPy's float64; that of float64 is the 80-bit float where NumPy has the function (x86
alone), else mpmath. Times are of one thread on 20,000 numbers from the interval where the function is at work.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np

from symgraph.codegen.llvm_math import FUNCTIONS
from symgraph.codegen.vectors import Body, Register, declarations, type_of
from symgraph.graph.types import dtype
from symgraph.ops.scipy_door import special
from symgraph.runtime.cpu import Loader, compiled, host

Array = Any
"""Of NumPy."""


@dataclass(frozen=True)
class Case:
    """A function: its limit, where it is timed, and how its truth is found."""

    limit: float
    low: float
    high: float
    numpy: Callable[..., Any] | None = None
    """Of float64 and 80-bit floats."""
    mp: Callable[..., Any] | None = None
    """Of mpmath's numbers."""
    truth32: Callable[..., Any] | None = None
    """Of float64, for float32; `numpy` where there is none."""
    arguments: int = 1
    exact: bool = False
    """Whether the truth is `numpy` of the dtype itself."""
    fitting: Callable[[Array, np.random.Generator], tuple[Array, ...]] | None = None
    """Draws arguments that fit each other, given first ones, besides those that do not look at others."""
    largest: float = math.inf
    """No finite argument is larger: the truth would take too long."""
    takes_nan: bool = False
    """Whether `mp` says what NaN gives, which is NaN else."""
    terms: Callable[..., Any] | None = None
    """Of float64: how large what is summed up is, where the sum may be smaller: the unit is one of the larger."""


CASES: dict[str, Case] = {
    "exp": Case(2, -80, 80, np.exp),
    "exp2": Case(4, -100, 100, np.exp2),
    "expm1": Case(2, -10, 10, np.expm1),
    "tanh": Case(2, -5, 5, np.tanh),
    "log": Case(2, 0, 100, np.log),
    "log2": Case(4, 0, 100, np.log2),
    "log10": Case(4, 0, 100, np.log10),
    "log1p": Case(2, -0.9, 10, np.log1p),
    "sin": Case(2, -100, 100, np.sin),
    "cos": Case(2, -100, 100, np.cos),
    "tan": Case(4, -100, 100, np.tan),
    "pow": Case(2, 0.1, 10, np.power, arguments=2, fitting=lambda x, rng: _exponents(x, rng)),
    "erfinv": Case(4, -1, 1, mp=lambda x: _erfinv(x), truth32=special("erfinv")),
    "ndtri": Case(4, 0, 1, mp=lambda x: _ndtri(x), truth32=special("ndtri")),
    "i0": Case(4, -10, 10, mp=lambda x: _bessel(0, x), truth32=special("i0")),
    "i1": Case(4, -10, 10, mp=lambda x: _bessel(1, x), truth32=special("i1")),
    "i0e": Case(4, -10, 10, mp=lambda x: _bessel(0, x, True), truth32=special("i0e")),
    "i1e": Case(4, -10, 10, mp=lambda x: _bessel(1, x, True), truth32=special("i1e")),
    "cbrt": Case(4, -100, 100, np.cbrt),
    "hypot": Case(4, -100, 100, np.hypot, arguments=2),
    "sinh": Case(4, -5, 5, np.sinh),
    "cosh": Case(4, -5, 5, np.cosh),
    "asinh": Case(4, -10, 10, np.arcsinh),
    "acosh": Case(4, 1, 10, np.arccosh),
    "atanh": Case(4, -1, 1, np.arctanh),
    "asin": Case(4, -1, 1, np.arcsin),
    "acos": Case(4, -1, 1, np.arccos),
    "atan": Case(4, -5, 5, np.arctan),
    "atan2": Case(4, -5, 5, np.arctan2, arguments=2),
    "fmod": Case(0, -100, 100, np.fmod, arguments=2, exact=True),
    "nextafter": Case(0, -5, 5, np.nextafter, arguments=2, exact=True),
    "erf": Case(2, -3, 3, mp=mpmath.erf, truth32=special("erf")),
    "erfc": Case(4, -3, 9, mp=lambda x: _erfc(x), truth32=special("erfc")),
    "erfcx": Case(4, -3, 20, mp=lambda x: _erfcx(x), truth32=special("erfcx")),
    "ndtr": Case(4, -9, 4, mp=lambda x: _erfc(-x / mpmath.sqrt(2)) / 2, truth32=special("ndtr")),
    "log_ndtr": Case(4, -9, 4, mp=lambda x: _log_ndtr(x), truth32=special("log_ndtr")),
    "gammaln": Case(
        4,
        0,
        20,
        mp=lambda x: _gammaln(x),
        truth32=special("gammaln"),
        terms=lambda x: _below_0(x, special("gammaln")(1 - x) + 1),
    ),
    "digamma": Case(
        4,
        0,
        20,
        mp=lambda x: _digamma(x),
        truth32=special("digamma"),
        terms=lambda x: _below_0(x + 0.8, _larger_of_difference(special("digamma"), x)),
    ),
    "gammainc": Case(
        12,
        0,
        20,
        mp=lambda a, x: _incomplete_gamma(a, x),
        arguments=2,
        fitting=lambda a, rng: _near_mean(a, rng),
    ),
    "gammaincc": Case(
        40,
        0,
        20,
        mp=lambda a, x: _incomplete_gamma(a, x, upper=True),
        arguments=2,
        fitting=lambda a, rng: _near_mean(a, rng),
    ),
    "lbeta": Case(
        8,
        0,
        20,
        mp=lambda a, b: _lbeta(a, b),
        arguments=2,
        takes_nan=True,
        terms=lambda a, b: _beta_terms(a, b),
    ),
    "betainc": Case(
        64,
        0,
        20,
        mp=lambda a, b, x: _betainc(a, b, x),
        arguments=3,
        largest=1e2,
        terms=lambda a, b, x: np.where(x * (a + b) > a, 1.0, 0.0),
        fitting=lambda a, rng: _near_beta_mean(a, rng),
    ),
}

PLACES = (
    *(
        0.0,
        1e-38,
        1e-8,
        0.25,
        0.34657,
        0.5,
        0.7071,
        0.8,
        1.0,
        1.4142,
        1.5708,
        2.0,
        3.14159,
        4.0,
        8.0,
        10.0,
        64.0,
    ),
    *(87.3, 88.7, 103.9, 708.4, 709.78, 745.1, 1e5),
)
"""Near these something may change."""


@dataclass(frozen=True)
class Errors:
    worst: float
    at: tuple[float, ...]
    wrong: int
    """How many results are inf or NaN where the truth is not, or the other way."""

    def worse(self, other: Errors) -> Errors:
        first = self if self.worst >= other.worst else other
        return Errors(first.worst, first.at, self.wrong + other.wrong)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=list(FUNCTIONS), metavar="NAME")
    parser.add_argument("--all", action="store_true", help="every float32")
    parser.add_argument("--count", type=int, default=100_000, help="how many float64 to draw")
    parser.add_argument("--every", type=int, default=64, help="take every so many-th float32")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args(argv)
    row = "| {} | {} | {} | {} | {} | {} |" if arguments.markdown else "{:<10}{:<9}{:>8}  {:<26}{:>6}{:>8}"
    print(row.format("function", "dtype", "ulp", "at", "limit", "ns"), flush=True)
    if arguments.markdown:
        print("|---|---|---|---|---|---|")
    for name, name_of_type in itertools.product(arguments.only, ("float32", "float64")):
        case = CASES[name]
        found = measured(name, name_of_type, arguments.count, 1 if arguments.all else arguments.every)
        worst = f"{found.worst:.2f}" + (f" ({found.wrong} wrong)" if found.wrong else "")
        if found.worst > case.limit or found.wrong:
            worst += " !"
        at = ", ".join(f"{x:.9g}" for x in found.at)
        print(
            row.format(name, name_of_type, worst, at, case.limit, f"{timed(name, name_of_type):.2f}"),
            flush=True,
        )


def measured(name: str, name_of_type: str, count: int, every: int = 64) -> Errors:
    """The worst error of a function over the arguments of `drawn`."""
    run = kernel(name, name_of_type, widest(name_of_type), 2)
    found = Errors(0, (), 0)
    for given in drawn(CASES[name], name_of_type, count, every):
        found = found.worse(errors(CASES[name], run(*given), given))
    return found


def _within(case: Case, x: Array) -> Array:
    is_larger = np.isfinite(x) & (np.abs(x) > case.largest)
    return np.where(is_larger, np.copysign(case.largest, x), x).astype(x.dtype)


def drawn(case: Case, name_of_type: str, count: int, every: int) -> Iterator[tuple[Array, ...]]:
    """Arguments, in parts."""
    rng = np.random.default_rng(7)
    if case.numpy is None and (name_of_type == "float64" or case.truth32 is None):
        count = count // (10 if case.arguments < 3 else 50)
    if name_of_type == "float32" and case.arguments == 1:
        size, step = 1 << 22, every
        for start in range(0, 1 << 32, size * step):
            bits = np.arange(start, min(start + size * step, 1 << 32), step, np.uint64).astype(np.uint32)
            yield (bits.view(np.float32),)
    parts = max(1, count // 100_000)
    for _ in range(parts):
        given = [
            _within(case, some(case, np.dtype(name_of_type), count // parts, rng))
            for _ in range(case.arguments)
        ]
        if case.arguments > 2:  # whose truth takes longest
            given = [x[: count // parts] for x in given]
        yield tuple(given)
        if case.fitting is not None:
            yield case.fitting(given[0], rng)


def some(case: Case, row: np.dtype[Any], count: int, rng: np.random.Generator) -> Array:
    """Numbers of all sizes, of the interval in which the function is at work, and near the special places."""
    unsigned = np.dtype(f"u{row.itemsize}")
    info = np.finfo(row)
    near = np.array(
        [
            *PLACES,
            *(PLACES[1:] * np.array([-1])),
            case.low,
            case.high,
            *(info.tiny, info.smallest_subnormal, info.max),
        ]
    )
    near = near[np.abs(near) <= info.max].astype(row).view(unsigned)
    near = near[:, None] + np.arange(-8, 9).astype(unsigned)
    kinds = [
        rng.integers(0, 1 << row.itemsize * 8, count // 4, unsigned).view(row),
        rng.uniform(case.low, case.high, count // 4).astype(row),
        rng.uniform(-2, 2, count // 8).astype(row),
        (10.0 ** rng.uniform(-20, 3, count // 8) * rng.choice([-1, 1], count // 8)).astype(row),
        (1 + rng.uniform(-1, 1, count // 8) * 10.0 ** rng.uniform(-7, 0, count // 8)).astype(row),
        near.view(row).ravel(),
        np.array([0.0, -0.0, np.inf, -np.inf, np.nan], row),
    ]
    return rng.permutation(np.concatenate(kinds))


def _near_beta_mean(a: Array, rng: np.random.Generator) -> tuple[Array, ...]:
    """Where an incomplete beta function is neither 0 nor 1."""
    row = a.dtype
    with np.errstate(all="ignore"):
        a = np.clip(np.nan_to_num(np.abs(a.astype(np.float64))), 0.05, 2e2)
        b = rng.permutation(a)
        mean = a / (a + b)
        spread = np.sqrt(mean * (1 - mean) / (a + b + 1))
        x = np.clip(mean + spread * rng.uniform(-10, 10, a.size), 1e-6, 1 - 1e-7)
    return a.astype(row), b.astype(row), x.astype(row)


def _near_mean(a: Array, rng: np.random.Generator) -> tuple[Array, ...]:
    """Where an incomplete gamma function is neither 0 nor 1."""
    row = a.dtype
    with np.errstate(all="ignore"):
        a = np.clip(np.nan_to_num(np.abs(a.astype(np.float64))), 1e-12, 1e5)
        close = a + np.sqrt(a) * rng.uniform(-30, 30, a.size)
        wide = a * 10.0 ** rng.uniform(-2, 1, a.size)
        return a.astype(row), np.abs(np.where(rng.uniform(size=a.size) < 0.5, close, wide)).astype(row)


def _exponents(x: Array, rng: np.random.Generator) -> tuple[Array, ...]:
    """With which powers of ``x`` are from the smallest to the largest numbers; integers for negative ``x``."""
    edge = np.log(float(np.finfo(x.dtype).max)) * 1.1
    with np.errstate(all="ignore"):
        found = rng.uniform(-edge, edge, x.size) / np.log(np.abs(x.astype(np.float64)))
        return x, np.where(x < 0, np.rint(found), found).astype(x.dtype)


def errors(case: Case, found: Array, given: tuple[Array, ...]) -> Errors:
    """The worst of the results, which are 0 where both are the same infinity or NaN."""
    with np.errstate(all="ignore"):
        high, low = truth(case, given)
        nearest = high.astype(found.dtype)
        agree = (found == nearest) | (np.isnan(found) & np.isnan(nearest))
        numbers = np.isfinite(found) & np.isfinite(nearest)
        size, vague = np.abs(nearest), False
        if case.terms is not None:
            terms = case.terms(*(x.astype(np.float64) for x in given))
            vague = np.isinf(terms)  # an argument, or their sum, is rounded to a pole
            terms = np.where(np.isfinite(size), np.minimum(terms, np.finfo(found.dtype).max), 0)
            size = np.maximum(size, terms.astype(found.dtype))
        unit = np.spacing(size)
        apart = np.abs((found.astype(high.dtype) - high) - low) / unit.astype(high.dtype)
    # between the largest number and infinity either may be right
    edge = np.isinf(nearest) ^ np.isinf(found)
    largest = np.finfo(found.dtype).max
    edge &= (np.abs(found) == largest) | (np.abs(nearest) == largest)
    # at a pole the sign of 0 decides, which mpmath does not have
    pole = np.isinf(nearest) & np.isinf(found) & np.any([x == 0 for x in given], axis=0)
    wrong = ~agree & ~numbers & ~edge & ~pole & ~vague
    apart = np.where(numbers, apart, 0)
    at = int(np.argmax(np.where(wrong, np.inf, apart)))
    return Errors(float(apart.max(initial=0)), tuple(float(x[at]) for x in given), int(wrong.sum()))


def truth(case: Case, given: tuple[Array, ...]) -> tuple[Array, Array]:
    """Exact results, each as the sum of two floats that have more bits than the arguments."""
    if case.exact:
        assert case.numpy is not None
        return case.numpy(*given), np.float32(0)
    if given[0].dtype == np.float32 and (function := case.truth32 or case.numpy):
        return function(*(x.astype(np.float64) for x in given)), np.float64(0)
    if case.numpy is not None and np.finfo(np.longdouble).nmant >= 63:
        return case.numpy(*(x.astype(np.longdouble) for x in given)), np.longdouble(0)
    assert case.mp is not None
    with mpmath.workdps(40):
        pairs = [_pair(case, row) for row in zip(*(x.tolist() for x in given), strict=True)]
    high, low = np.array(pairs).T
    return high.astype(np.longdouble), low.astype(np.longdouble)


def _pair(case: Case, row: tuple[float, ...]) -> tuple[float, float]:
    assert case.mp is not None
    if any(x != x for x in row) and not case.takes_nan:
        return math.nan, 0.0
    value = case.mp(*(mpmath.mpf(x) for x in row))
    high = float(value)
    return high, float(value - high) if np.isfinite(high) else 0.0


def _erfc(x: Any) -> Any:
    return mpmath.erfc(mpmath.mpf(min(max(x, -1e6), 1e6)))


def _erfcx(x: Any) -> Any:
    if x > 1e6:
        z = 1 / (2 * x * x)
        return 1 / (x * mpmath.sqrt(mpmath.pi)) * (1 - z * (1 - 3 * z * (1 - 5 * z)))
    return mpmath.exp(x * x) * _erfc(x) if x > -100 else mpmath.inf


def _log_ndtr(x: Any) -> Any:
    above = _erfc(abs(x) / mpmath.sqrt(2)) / 2
    if x > 0:
        return mpmath.log1p(-above)
    return mpmath.log(above) if x > -1e5 else mpmath.log(_erfcx(-x / mpmath.sqrt(2)) / 2) - x * x / 2


def _erfinv(x: Any) -> Any:
    if abs(x) >= 1:
        return mpmath.nan if abs(x) > 1 else x * mpmath.inf
    return mpmath.erfinv(x)


def _ndtri(x: Any) -> Any:
    """By Newton's method on the logarithm of `ndtr`, from below."""
    if not 0 < x < 1:
        return {0: -mpmath.inf, 1: mpmath.inf}.get(x, mpmath.nan)
    if x > 0.5:
        return -_ndtri(1 - x)
    y, target = -mpmath.sqrt(-2 * mpmath.log(x)) if x < 0.1 else 2 * x - mpmath.mpf(1), mpmath.log(x)
    for _ in range(60):
        value = _erfc(-y / mpmath.sqrt(2)) / 2
        slope = mpmath.exp(-y * y / 2) / mpmath.sqrt(2 * mpmath.pi) / value
        step = (mpmath.log(value) - target) / slope
        y -= step
        if abs(step) <= abs(y) * mpmath.mpf(10) ** -33:
            break
    return y


def _below_0(x: Array, size: Array) -> Array:
    return np.where(x < 0, np.abs(size), 0)


def _gammaln(x: Any) -> Any:
    if x <= 0 and x == mpmath.floor(x):
        return -mpmath.inf if x == -mpmath.inf else mpmath.inf  # as SciPy has it
    if x < 0:
        return mpmath.log(mpmath.pi / abs(mpmath.sinpi(x))) - mpmath.loggamma(1 - x)
    return mpmath.loggamma(x)


def _digamma(x: Any) -> Any:
    if x == 0:
        return -mpmath.inf
    if x < 0:
        return mpmath.nan if x == mpmath.floor(x) else _digamma(1 - x) - mpmath.pi * _cotangent(x)
    return mpmath.psi(0, x)


def _larger_of_difference(function: Callable[[Array], Array], x: Array) -> Array:
    """Of the two whose sum is the function below 0: the function above it, and what is left."""
    above = function(1 - x)
    return np.maximum(np.abs(above), np.abs(function(x) - above))


def _incomplete_gamma(a: Any, x: Any, upper: bool = False) -> Any:
    if a < 0 or x < 0 or a == x == 0 or a == x == mpmath.inf:
        return mpmath.nan
    if 0 in (a, x) or mpmath.inf in (a, x):
        return mpmath.mpf(int((a == 0 or x == mpmath.inf) != upper))
    if a > 1e6 or x > 1e7:
        return _far_incomplete_gamma(a, x, upper)
    with mpmath.workdps(45 + max(0, -int(mpmath.log10(a)))):
        front = mpmath.exp(a * mpmath.log(x) - x - mpmath.loggamma(a + 1))
        if x < a + 1:
            term = total = mpmath.mpf(1)
            k = 0
            while term > total * mpmath.eps:
                k += 1
                term *= x / (a + k)
                total += term
            return 1 - front * total if upper else front * total
        found, k = x + 1 - a, 1
        over, over_before, under, under_before, before = mpmath.mpf(1), mpmath.mpf(0), found, mpmath.mpf(1), 0
        while True:
            step, less = x + 2 * k + 1 - a, k * (k - a)
            over, over_before = step * over - less * over_before, over
            under, under_before = step * under - less * under_before, under
            k += 1
            if k % 10 == 0 and abs(over / under - before) < abs(before) * mpmath.eps * 100:
                break
            before = over / under if k % 10 == 9 else before
        tail = front * a * over / under
        return tail if upper else 1 - tail


def _far_incomplete_gamma(a: Any, x: Any, upper: bool) -> Any:
    """The integral over 60 standard deviations; all outside is nothing."""
    unit = mpmath.sqrt(a)
    z = (x - a) / unit
    if abs(z) > 60 or upper != (z > 0):
        inside = 0 if abs(z) > 60 else _far_incomplete_gamma(a, x, not upper)
        return inside if upper == (z > 0) else 1 - inside
    with mpmath.workdps(60 + int(mpmath.log10(a))):
        log_front = a * mpmath.log(a) - a - mpmath.loggamma(a) - mpmath.log(unit)

        def density(s: Any) -> Any:
            return mpmath.exp(a * mpmath.log1p(s / unit) - s * unit - mpmath.log1p(s / unit) + log_front)

        steps = [z + mpmath.sign(z if z else 1) * k for k in (0, 1, 2, 4, 7, 11, 20)]
        return abs(mpmath.quad(density, steps))


def _lbeta(a: Any, b: Any) -> Any:
    if a == b == mpmath.inf:
        return mpmath.nan
    for x, y in ((a, b), (b, a)):
        if x <= 0 and x == mpmath.floor(x):  # as SciPy has it
            return _lbeta(1 - x - y, y) if y == mpmath.floor(y) and 1 - x - y > 0 else mpmath.inf
    if mpmath.isnan(a + b) or mpmath.inf in (a, b):
        return mpmath.nan if mpmath.isnan(a + b) else -mpmath.inf if min(a, b) > 0 else mpmath.inf
    with mpmath.workdps(50 + int(max(0, mpmath.log10(max(abs(a), abs(b)))))):
        return _gammaln(a) + _gammaln(b) - _gammaln(a + b)


def _beta_terms(a: Array, b: Array) -> Array:
    """What is summed up is 1 or more in size; of numbers below 0 as large as the logarithms of gamma functions, and as
    what rounding the sum of the arguments changes in one."""
    function = special("gammaln")
    with np.errstate(all="ignore"):
        below = (np.minimum(a, b) < 0) & np.isfinite(a + b)
        terms = [function(each) for x in (a, b, a + b) for each in (x, 1 - x)]
        slope = special("digamma")(a + b)
        terms.append(np.where(np.isnan(slope) & below, np.inf, (a + b) * slope))
        sizes = np.nan_to_num(np.abs(terms), posinf=np.inf).max(axis=0)
    return np.where(below, sizes, 1.0)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    if not (a >= 0 and b >= 0 and 0 <= x <= 1) or a == b == 0 or a == b == mpmath.inf:
        return mpmath.nan
    if x in (0, 1) or 0 in (a, b) or mpmath.inf in (a, b):
        return mpmath.mpf(int(x == 1 or (x > 0 and (a == 0 or b == mpmath.inf))))
    with mpmath.workdps(80 + max(0, -int(mpmath.log10(min(a, b)))) + max(0, int(mpmath.log10(max(a, b))))):
        beyond = x > a / (a + b) and (a > 1 or b * x > 1)
        if beyond or (b < 1 and a * (1 - x) < 50 and x > 0.5):
            return 1 - _lower_beta(b, a, 1 - x)
        return _lower_beta(a, b, x)


def _lower_beta(a: Any, b: Any, x: Any) -> Any:
    """``x**a * (1 - x)**b / (a * beta(a, b))`` times ``2F1(1, a + b; a + 1; x)``, term by term."""
    log_front = a * mpmath.log(x) + b * mpmath.log1p(-x) - mpmath.log(a)
    log_front -= mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
    if log_front < -2000:
        return mpmath.mpf(0)
    term = total = mpmath.mpf(1)
    k = 0
    while term > total * mpmath.eps * (1 - x):
        term *= x * (a + b + k) / (a + 1 + k)
        total += term
        k += 1
    return mpmath.exp(log_front) * total


def _cotangent(x: Any) -> Any:
    return mpmath.cospi(x) / mpmath.sinpi(x)


def _bessel(order: int, x: Any, is_scaled: bool = False) -> Any:
    t = abs(x)
    if t == mpmath.inf:
        return mpmath.mpf(0) if is_scaled else mpmath.nan  # as SciPy has it
    if t > 1e4:
        z = 1 / (8 * t)
        m = 4 * order * order
        terms = 1 - (m - 1) * z * (1 - (m - 9) * z / 2 * (1 - (m - 25) * z / 3 * (1 - (m - 49) * z / 4)))
        size = terms / mpmath.sqrt(2 * mpmath.pi * t)
        size = size if is_scaled else size * mpmath.exp(min(t, mpmath.mpf(10**5)))
    else:
        size = mpmath.besseli(order, t) * (mpmath.exp(-t) if is_scaled else 1)
    return -size if order and x < 0 else size


def timed(name: str, name_of_type: str, size: int = 20_000) -> float:
    """Nanoseconds for an element."""
    case, rng = CASES[name], np.random.default_rng(0)
    run = kernel(name, name_of_type, widest(name_of_type), 2)
    given = [rng.uniform(case.low, case.high, size).astype(name_of_type) for _ in range(case.arguments)]
    out, rounds = np.empty_like(given[0]), []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(20):
            run.into(out, *given)
        rounds.append(time.perf_counter() - start)
    return min(rounds) / 20 / size * 1e9


def widest(name_of_type: str) -> int:
    """Lanes of this machine's vectors; 0 where it has none."""
    return host().bytes * 8 // dtype(name_of_type).bits


class Kernel:
    """A function compiled for arrays."""

    def __init__(self, address: int, arguments: int, lanes: int) -> None:
        pointers = [ctypes.c_void_p] * (arguments + 1)
        self._call = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(address)
        self._lanes = max(lanes, 1)

    def __call__(self, *given: Array) -> Array:
        """The results, of arrays of any size."""
        size = given[0].size
        padded = [np.concatenate([x, np.ones(-size % self._lanes, x.dtype)]) for x in given]
        out = np.empty_like(padded[0])
        self.into(out, *padded)
        return out[:size]

    def into(self, out: Array, *given: Array) -> None:
        """Into an array whose size is a multiple of the lanes."""
        self._call(out.ctypes.data, *(x.ctypes.data for x in given), out.size)


_LOADER = Loader()


@cache
def kernel(name: str, name_of_type: str, lanes: int, level: int) -> Kernel:
    row, function, arguments = dtype(name_of_type), FUNCTIONS[name], CASES[name].arguments
    symbol = f"ulp_{name}_{row.name}_{lanes}_{level}"
    _LOADER.load(compiled(text(symbol, row.name, function, arguments, lanes), level))
    return Kernel(_LOADER.address(symbol), arguments, lanes)


def text(
    symbol: str, name_of_type: str, function: Callable[..., Register], arguments: int, lanes: int
) -> str:
    """A module with a loop over arrays that stores what a function gives."""
    row, machine = dtype(name_of_type), host()
    whole, one, width = type_of(row, lanes), type_of(row, 0), row.bits // 8
    body = Body(fma=machine.fma)
    body.emit("br label %loop")
    body.begin("loop")
    body.emit("%i = phi i64 [ 0, %entry ], [ %next, %last ]")
    operands = []
    for k in range(arguments):
        place = body.named(f"getelementptr {one}, ptr %x{k}, i64 %i")
        operands.append(Register(body.named(f"load {whole}, ptr {place}, align {width}"), row, lanes))
    found = function(body, *operands)
    place = body.named(f"getelementptr {one}, ptr %out, i64 %i")
    body.emit(f"store {whole} {found.text}, ptr {place}, align {width}")
    body.emit("br label %last")
    body.begin("last")
    body.emit(f"%next = add i64 %i, {max(lanes, 1)}")
    body.emit("%more = icmp slt i64 %next, %n")
    body.emit("br i1 %more, label %loop, label %end")
    body.begin("end")
    body.emit("ret void")
    pointers = "".join(f", ptr %x{k}" for k in range(arguments))
    head = f"define void @{symbol}(ptr %out{pointers}, i64 %n) #0 {{\nentry:\n"
    lines = "\n".join(body.lines)
    return f"{head}{lines}\n}}\n{declarations(body.declared)}attributes #0 = {{ {machine.attributes} }}\n"


if __name__ == "__main__":
    sys.exit(main())
