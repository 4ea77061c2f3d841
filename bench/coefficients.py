"""The polynomials of codegen/llvm_*.py: fitted here, and printed as codegen/coefficients.py.

    python bench/coefficients.py > codegen/coefficients.py      # two minutes; needs mpmath

A fit is Remez' exchange: of all polynomials of the degree it finds the one whose greatest weighted error is the least.
Weights make that error one of the function's result, in parts of it, so that 2^-24 and 2^-53 are halves of a unit in
the last place. What is printed beside each polynomial is the error before its coefficients are rounded.
A quotient of two polynomials is found in the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np

Real = mp.mpf
Function = Callable[[Real], Real]

mp.mp.dps = 50


@dataclass(frozen=True)
class Fit:
    """``function`` on an interval by a polynomial; ``weight`` makes its error that of the result."""

    name: str
    bits: int
    function: Function
    weight: Function
    low: Real
    high: Real
    degree: int


@dataclass(frozen=True)
class Quotient:
    """``D(x) / (x * D(x) + N(x))`` for a positive function, from 0 on: the error is one of parts of it.

    ``N`` has a degree more than ``D``. The function is 1 at 0, and both are ``start`` there.
    """

    name: str
    bits: int
    function: Function
    high: Real
    degree: int
    start: Real


def main() -> None:
    print('"""Coefficients of polynomials, the constant first, and constants in parts, the greatest first.\n')
    print('``python bench/coefficients.py > codegen/coefficients.py`` makes this file.\n"""\n')
    print("from collections.abc import Mapping\n")
    print("POLYNOMIALS: Mapping[str, Mapping[int, tuple[float, ...]]] = {")
    fits = list(all_fits())
    for name in dict.fromkeys(fit.name for fit in fits):
        print(f'    "{name}": {{')
        for fit in fits:
            if fit.name == name:
                coefficients, error = remez(fit)
                print_numbers(coefficients, fit.bits, error)
        print("    },")
    for quotient in quotients():
        over, under, error = rational(quotient)
        for part, found in (("above", over), ("below", under)):
            print(f'    "{quotient.name}, {part}": {{')
            print_numbers(found, quotient.bits, error)
            print("    },")
    print("}\n")
    print("PARTS: Mapping[str, Mapping[int, tuple[float, ...]]] = {")
    for name, value, kept in CONSTANTS:
        print(f'    "{name}": {{')
        for bits, count in kept.items():
            print(f"        {bits}: ({', '.join(short(part, bits) for part in parts(value, bits, count))}),")
        print("    },")
    print("}\n")
    print("CENTERS: Mapping[str, Mapping[int, float]] = {")
    for name, centers in CENTERS.items():
        print(f'    "{name}": {centers},')
    print("}\n")
    print("TEMME: tuple[tuple[float, ...], ...] = (")
    for row in temme(Real(2) ** -57):
        print("    (")
        for value in row:
            print(f"        {short(value, 64)},")
        print("    ),")
    print(")\n")
    print("TWO_OVER_PI = (  # 52 of its bits from each 26th on")
    with mp.workprec(1300):
        for j in range(45):
            print(f"    {short(mp.floor(mp.frac(mp.ldexp(2 / mp.pi, 26 * j)) * 2**52) / 2**52, 64)},")
    print(")")


def print_numbers(coefficients: list[Real], bits: int, error: Real) -> None:
    print(f"        {bits}: (  # 2^{float(mp.log(error, 2)):.1f}")
    for value in coefficients:
        print(f"            {short(value, bits)},")
    print("        ),")
    sys.stdout.flush()


def remez(fit: Fit, rounds: int = 12, size: int = 700) -> tuple[list[Real], Real]:
    """The coefficients, the constant first, and the greatest weighted error."""
    low, high, count = Real(fit.low), Real(fit.high), fit.degree + 2
    scale = max(abs(low), abs(high))  # the system is solved for x / scale

    def nodes(n: int) -> list[Real]:
        return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]

    at, grid = nodes(count), nodes(size)
    truth = [fit.function(x) for x in grid]
    weights = [fit.weight(x) for x in grid]
    best: tuple[list[Real], Real] | None = None
    for _ in range(rounds):
        system, right = mp.matrix(count, count), mp.matrix(count, 1)
        for i, x in enumerate(at):
            for j in range(fit.degree + 1):
                system[i, j] = (x / scale) ** j
            system[i, count - 1] = (-1) ** i / fit.weight(x)
            right[i] = fit.function(x)
        solved = mp.lu_solve(system, right)
        found = [solved[j] / scale**j for j in range(fit.degree + 1)]
        errors = [w * (t - mp.polyval(found[::-1], x)) for x, t, w in zip(grid, truth, weights, strict=True)]
        worst = max(map(abs, errors))
        if best is None or worst < best[1]:
            best = found, worst
        peaks = _peaks(errors)
        while len(peaks) > count:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if len(peaks) < count or worst < abs(solved[count - 1]) * Real("1.02"):
            break
        at = [grid[i] for i in peaks]
    assert best is not None
    return best


def rational(fit: Quotient, rounds: int = 500, size: int = 400) -> tuple[list[Real], list[Real], Real]:
    """``D`` and ``N`` of a quotient, and the greatest error, in float64.

    Lawson's algorithm: least squares, again and again, where weights grow with the errors; the denominator of one round
    is in the weights of the next.
    """
    high, count = float(fit.high), fit.degree + 1
    x = np.linspace(0, 1, size) ** 2  # dense near 0
    truth = np.array([float(fit.function(Real(each) * fit.high)) for each in x])
    powers = x[:, None] ** np.arange(count + 1)
    system = np.hstack([powers[:, :-1], -truth[:, None] * powers[:, 1:]])
    weights, whole, worst = np.ones(size), np.ones(size), np.inf
    for _ in range(rounds):
        scales = np.sqrt(weights) / (truth * whole)
        solved = np.linalg.lstsq(system * scales[:, None], truth * scales, rcond=None)[0]
        over, under = solved[:count], np.r_[1, solved[count:]]
        whole = powers @ under
        errors = np.abs(1 - powers[:, :-1] @ over / whole / truth)
        if errors.max() < worst:
            worst, best = errors.max(), (over, under - np.r_[0, over] * high)
        weights *= np.sqrt(errors / errors.max() + 1e-3)
        weights /= weights.sum()
    first, second = ([fit.start * value / fit.high**k for k, value in enumerate(part)] for part in best)
    return first, second, Real(worst)


def _peaks(errors: list[Real]) -> list[int]:
    """Where the error is greatest between changes of its sign."""
    found, start = [], 0
    for i in range(1, len(errors) + 1):
        if i == len(errors) or (errors[i] > 0) != (errors[start] > 0):
            found.append(max(range(start, i), key=lambda k: abs(errors[k])))
            start = i
    return found


def parts(value: Real, bits: int, kept: tuple[int, ...]) -> list[Real]:
    """Numbers of a dtype whose sum is the value: each has as many bits as ``kept`` says."""
    found = []
    for count in kept:
        exponent = int(mp.floor(mp.log(abs(value), 2)))
        step = Real(2) ** (exponent - count + 1)
        part = mp.nint(value / step) * step
        found.append(part)
        value = value - part
    return found


def short(value: Real, bits: int) -> str:
    """The shortest decimal that a dtype rounds to the same number."""
    return str(np.float32(float(value))) if bits == 32 else repr(float(value))


def series(function: Function, near: Function, size: str = "1e-9") -> Function:
    """``function``, but ``near`` where the argument is too small for it."""
    limit = Real(size)
    return lambda x: near(x) if abs(x) < limit else function(x)


def of_square(function: Function, near: Function, size: str = "1e-14") -> Function:
    """A function of ``z = x²`` from one of ``x``, and ``near`` for the smallest ``z``."""
    return series(lambda z: function(mp.sqrt(z)), near, size)


LN2 = mp.log(2)
SMALL = Real("1e-5")


def all_fits() -> Iterator[Fit]:
    yield from exponentials()
    yield from logarithms()
    yield from circular()
    yield from arcs()
    yield from roots()
    yield from normal()
    yield from bessel()
    yield from inverse()
    yield from gamma()


def exponentials() -> Iterator[Fit]:
    function = series(lambda x: (mp.expm1(x) - x) / x**2, lambda x: Real(1) / 2 + x / 6)
    edge = LN2 / 2 * Real("1.01")
    for bits, degree in ((32, 4), (64, 9)):
        yield Fit("exp", bits, function, lambda x: x**2 / mp.exp(x) + SMALL, -edge, edge, degree)
    function2 = series(lambda x: mp.expm1(x * LN2) / x, lambda x: LN2 + x * LN2**2 / 2)
    for bits, degree in ((32, 5), (64, 10)):
        yield Fit("exp2", bits, function2, lambda x: abs(x) / 2**x + SMALL, -0.5, 0.5, degree)


def logarithms() -> Iterator[Fit]:
    cubic = series(lambda x: (mp.log1p(x) - x + x**2 / 2) / x**3, lambda x: Real(1) / 3 - x / 4)
    weight = series(lambda x: abs(x) ** 3 / abs(mp.log1p(x)), lambda x: x**2 + Real("1e-6"), "1e-3")
    third = Real("0.3334")
    yield Fit("log", 32, cubic, weight, -third, third, 8)
    odd = of_square(
        lambda s: (2 * mp.atanh(s) - 2 * s) / s**3, lambda z: Real(2) / 3 + Real(2) / 5 * z, "1e-12"
    )
    edge = Real("0.0296")
    yield Fit("log", 64, odd, lambda z: z + SMALL, 0, edge, 6)
    beyond = of_square(
        lambda s: ((2 * mp.atanh(s) - 2 * s) / s**3 - Real(2) / 3) / s**2,
        lambda z: Real(2) / 5 + Real(2) / 7 * z,
    )
    yield Fit("log of pow", 64, beyond, lambda z: z**2 + SMALL**2, 0, edge, 7)
    whole = of_square(lambda s: 2 * mp.atanh(s) / s / LN2, lambda z: (2 + Real(2) / 3 * z) / LN2)
    yield Fit("short log2", 64, whole, lambda z: 1 / whole(z), 0, edge, 4)


def circular() -> Iterator[Fit]:
    sine = of_square(lambda x: (mp.sin(x) / x - 1) / x**2, lambda z: -Real(1) / 6 + z / 120, "1e-12")
    cosine = of_square(lambda x: (mp.cos(x) - 1 + x**2 / 2) / x**4, lambda z: Real(1) / 24 - z / 720, "1e-10")
    edge = (mp.pi / 4 * Real("1.01")) ** 2
    for bits, degree in ((32, 2), (64, 5)):
        yield Fit("sin", bits, sine, lambda z: z + SMALL, 0, edge, degree)
        yield Fit("cos", bits, cosine, lambda z: z**2 + SMALL, 0, edge, degree)


def arcs() -> Iterator[Fit]:
    sine = of_square(lambda x: (mp.asin(x) - x) / x**3, lambda z: Real(1) / 6 + 3 * z / 40, "1e-12")
    tangent = of_square(lambda x: (mp.atan(x) - x) / x**3, lambda z: -Real(1) / 3 + z / 5, "1e-12")
    for bits, degree in ((32, 4), (64, 11)):
        yield Fit("asin", bits, sine, lambda z: z + SMALL, 0, Real(1) / 4, degree)
    for bits, degree in ((32, 8), (64, 19)):
        yield Fit("atan", bits, tangent, lambda z: z / (1 - z / 4) + SMALL, 0, 1, degree)


def roots() -> Iterator[Fit]:
    def function(x: Real) -> Real:
        return 1 / mp.cbrt(1 + x)

    def weight(x: Real) -> Real:
        return mp.cbrt(1 + x)

    third = Real("0.3334")
    yield Fit("inverse cbrt", 32, function, weight, -third, third, 5)
    yield Fit("inverse cbrt", 64, function, weight, mp.sqrt(0.5) - 1, mp.sqrt(2) - 1, 7)


def normal() -> Iterator[Fit]:
    """What the error function and its relatives are made of.

    With the center ``k``, ``erfcx(x) * (x + k)`` is a polynomial in ``(x - k) / (x + k)``.
    """
    slope = 2 / mp.sqrt(mp.pi)
    near = of_square(lambda x: mp.erf(x) / x - 1, lambda z: slope - 1 - slope * z / 3)
    for bits, edge, degree in ((32, Real("0.8"), 5), (64, Real(1), 11)):
        yield Fit("erf", bits, near, lambda z: 1 / (1 + near(z)), 0, edge**2, degree)
    for bits, low, high, degree in ((32, Real("0.8"), Real("3.95"), 5), (64, Real(1), Real(6), 17)):
        yield Fit(
            "log of erfc",
            bits,
            lambda x: mp.log(mp.erfc(x)) / x,
            lambda x: x * mp.erfc(x) / mp.erf(x),
            low,
            high,
            degree,
        )
    for bits, turn, degree in ((32, Real(CENTERS["erfcx"][32]), 10), (64, Real(CENTERS["erfcx"][64]), 23)):

        def curve(w: Real, turn: Real = turn) -> Real:
            return _erfcx((1 + w) / (1 - w) * turn) * turn / (1 - w) * 2 if w < 1 else 1 / mp.sqrt(mp.pi)

        yield Fit("erfcx", bits, curve, lambda w, curve=curve: 1 / curve(w), -1, 1, degree)


def quotients() -> Iterator[Quotient]:
    """The tails beside the exponentials, of float32, which are ``slip`` times their exponent wrong: that is how much
    the logarithm of 2 is. Near 0 the results round least where ``start`` is short of 1."""
    slip, start = Real(float(np.float32(LN2))) / LN2 - 1, Real("0.82")

    def normal(x: Real) -> Real:
        return _erfcx(x * mp.sqrt(0.5)) * mp.exp(-slip * x * x / 2)

    yield Quotient("normal tail", 32, normal, Real("14.5"), 4, start)
    yield Quotient("erfcx in parts", 32, lambda x: _erfcx(x) * mp.exp(-slip * x * x), Real("10.3"), 4, start)


def _erfcx(x: Real) -> Real:
    if x < 1e4:
        return mp.exp(x * x) * mp.erfc(x)
    z = 1 / (2 * x * x)
    return (1 - z * (1 - 3 * z * (1 - 5 * z * (1 - 7 * z * (1 - 9 * z))))) / (x * mp.sqrt(mp.pi))


def bessel() -> Iterator[Fit]:
    for order in (0, 1):

        def near(z: Real, order: int = order) -> Real:
            x = 2 * mp.sqrt(z)
            return mp.besseli(order, x) / (x / 2) ** order if z > Real("1e-30") else Real(1)

        def far(u: Real, order: int = order) -> Real:
            if u > 1e-3:
                return mp.besseli(order, 1 / u) * mp.exp(-1 / u) / mp.sqrt(u)
            total, term = Real(0), Real(1)  # DLMF 10.40.1
            for k in range(1, 14):
                total += term
                term *= -(4 * order**2 - (2 * k - 1) ** 2) * u / (8 * k)
            return total / mp.sqrt(2 * mp.pi)

        for bits, edge, first, second in ((32, 8, 10, 6), (64, 20, 23, 12)):
            high = Real(edge) ** 2 / 4
            yield Fit(f"i{order} near 0", bits, near, lambda z, f=near: 1 / f(z), 0, high, first)
            yield Fit(f"i{order} far out", bits, far, lambda u, f=far: 1 / f(u), 0, Real(1) / edge, second)


CENTERS = {
    "erfcx": {32: 2.5, 64: 4.0},
    "erfinv": {32: 2.5, 64: 3.125},
    "erfinv beyond": {32: 3.0, 64: 3.25},
    "erfinv far": {64: 5.0},
    "ndtri far": {32: 7.0, 64: 9.0},
    "ndtri farther": {64: 19.5},
    "gamma": {32: 1.625, 64: 1.625},
}
"""What is subtracted from the variable of a polynomial; `normal` says what that of erfcx is."""


def inverse() -> Iterator[Fit]:
    def near(name: str, bits: int, high: float, degree: int) -> Fit:
        center = Real(CENTERS[name][bits])
        return Fit(
            name,
            bits,
            lambda v: _erfinv_curve(v + center),
            lambda v: 1 / _erfinv_curve(v + center),
            -center,
            Real(high) - center,
            degree,
        )

    def beyond(name: str, bits: int, low: float, high: float, degree: int) -> Fit:
        center = Real(CENTERS[name][bits])
        return Fit(
            name,
            bits,
            lambda v: _erfinv_curve((v + center) ** 2),
            lambda v: 1 / _erfinv_curve((v + center) ** 2),
            Real(low) - center,
            Real(high) - center,
            degree,
        )

    yield near("erfinv", 32, 5, 10)
    yield near("erfinv", 64, 6.25, 24)
    yield beyond("erfinv beyond", 32, 2.236, 4, 10)
    yield beyond("erfinv beyond", 64, 2.5, 4, 20)
    yield beyond("erfinv far", 64, 4, 6.1, 19)
    yield beyond("ndtri far", 32, 3.99, 10.2, 11)
    yield beyond("ndtri far", 64, 6.08, 12, 20)
    yield beyond("ndtri farther", 64, 12, 27.3, 20)


@cache
def _erfinv_curve(w: Real) -> Real:
    """``y / erf(y)`` where ``w = -log(1 - erf(y)²)``."""
    if w < Real("1e-12"):
        return mp.sqrt(mp.pi) / 2 * (1 + mp.pi / 12 * w)
    y = mp.sqrt(w) * Real("0.9") if w > 3 else mp.sqrt(mp.pi * -mp.expm1(-w)) / 2
    for _ in range(50):
        tail = mp.erfc(y)
        slope = 2 / mp.sqrt(mp.pi) * mp.exp(-y * y) * (1 / tail - 1 / (2 - tail))
        step = (-mp.log(tail) - mp.log1p(mp.erf(y)) - w) / slope
        y -= step
        if abs(step) < y * Real("1e-40"):
            break
    return y / mp.erf(y)


def gamma() -> Iterator[Fit]:
    """What is left of the functions when their roots are taken out, on [1, 2.25], and their series in ``1 / x²``."""
    center, edge = Real(CENTERS["gamma"][64]), 1 / Real("3.25") ** 2

    def near(v: Real) -> Real:
        x = v + center
        if min(abs(x - 1), abs(x - 2)) < Real("1e-20"):
            return mp.euler if x < 1.5 else 1 - mp.euler
        return mp.loggamma(x) / ((x - 1) * (x - 2))

    def slope(v: Real) -> Real:
        x = v + center
        return mp.psi(0, x) / (x - ROOT) if abs(x - ROOT) > Real("1e-20") else mp.psi(1, ROOT)

    def far(z: Real) -> Real:
        x = 1 / mp.sqrt(z)
        return (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) * x

    def far_slope(z: Real) -> Real:
        x = 1 / mp.sqrt(z)
        return (mp.log(x) - 1 / (2 * x) - mp.psi(0, x)) / z

    def below(v: Real) -> Real:
        t = v + Real("0.5")
        return mp.psi(0, -t) * t * (1 - t) / (t - ROOT_BELOW)

    twelfth = Real(1) / 12
    first, second = series(far, lambda z: twelfth), series(far_slope, lambda z: twelfth)
    low, high = 1 - center, Real("2.25") - center
    for bits, degree in ((32, 11), (64, 23)):
        yield Fit("gammaln", bits, near, lambda v: 1 / near(v), low, high, degree)
        yield Fit("digamma", bits, slope, lambda v: 1 / slope(v), low, high, degree)
    for bits, degree in ((32, 2), (64, 9)):
        weight = series(lambda z: mp.sqrt(z) / mp.loggamma(1 / mp.sqrt(z)), lambda z: SMALL)
        yield Fit("gammaln far out", bits, first, weight, 0, edge, degree)
        weight = series(lambda z: z / mp.psi(0, 1 / mp.sqrt(z)), lambda z: SMALL)
        yield Fit("digamma far out", bits, second, weight, 0, edge, degree)
    for bits, degree in ((32, 8), (64, 17)):
        yield Fit("digamma below 0", bits, below, lambda v: 1 / below(v), Real("-0.3"), Real("0.3"), degree)


def temme(error: Real) -> Iterator[list[Real]]:
    """The functions ``c_k(η)`` of DLMF 8.12.10 as power series, each as long as it has to be where ``a`` is at least
    20 and ``η`` at most 0.35.

    ``η²/2 = μ - log(1 + μ)`` makes ``μ`` a series in ``η``: ``dμ/dη = η * (1 + μ) / μ``.
    """
    size, least, edge = 60, 20, Real("0.35")
    mu = [Real(0), Real(1)]  # μ * μ' = η * (1 + μ), term by term
    for n in range(2, size):
        known = sum((mu[i] * (n + 1 - i) * mu[n + 1 - i] for i in range(2, n)), Real(0))
        mu.append((mu[n - 1] - known) / (n + 1))
    inverse = [Real(1)]  # of μ / η
    for n in range(1, size - 1):
        inverse.append(-sum((mu[i + 1] * inverse[n - i] for i in range(1, n + 1)), Real(0)))
    row = inverse[1:]  # 1/μ - 1/η
    scale = Real(1)
    for k in range(1, 30):
        count = len(row)
        while count and abs(row[count - 1]) * edge ** (count - 1) * scale < error:
            count -= 1
        if not count:
            return
        yield row[:count]
        scale /= least
        slope = [i * row[i] for i in range(1, len(row))]
        g = (-1) ** k * stirling(k)
        row = [slope[i + 1] + g * inverse[i + 1] for i in range(len(slope) - 1)]


@cache
def stirling(k: int) -> Real:
    """Of ``gamma(x)`` beside Stirling's formula the factor of ``x**-k``: ``exp`` of a series in odd powers."""
    if k == 0:
        return Real(1)
    odd = range(1, k + 1, 2)
    return sum((mp.bernoulli(j + 1) / (j + 1) * stirling(k - j) for j in odd), Real(0)) / k


ROOT = mp.findroot(lambda x: mp.psi(0, x), Real("1.46"))
ROOT_BELOW = -mp.findroot(lambda x: mp.psi(0, x), Real("-0.504"))


CONSTANTS: tuple[tuple[str, Real, dict[int, tuple[int, ...]]], ...] = (
    ("ln2", LN2, {32: (15, 24), 64: (41, 53)}),
    ("sqrt(1/2)", mp.sqrt(Real(1) / 2), {32: (24, 24), 64: (53, 53)}),
    ("2/3", Real(2) / 3, {64: (53, 53)}),
    ("pi/2", mp.pi / 2, {32: (24, 24, 24), 64: (53, 53, 53)}),
    ("pi/2 in short parts", mp.pi / 2, {64: (33, 33, 33, 53)}),
    ("log10(2)", mp.log10(2), {32: (15, 24), 64: (41, 53)}),
    ("root of digamma, less 1", ROOT - 1, {32: (24, 24), 64: (53, 53)}),
    ("root of digamma below 0", ROOT_BELOW, {32: (24, 24), 64: (53, 53)}),
)


if __name__ == "__main__":
    main()
