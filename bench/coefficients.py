"""The polynomials of codegen/llvm_*.py: fitted here, and printed as codegen/coefficients.py.

    python bench/coefficients.py > codegen/coefficients.py      # two minutes; needs mpmath

A fit is Remez' exchange: of all polynomials of the degree it finds the one whose greatest weighted error is the least.
Weights make that error one of the function's result, in parts of it, so that 2^-24 and 2^-53 are halves of a unit in
the last place. What is printed beside each polynomial is the error before its coefficients are rounded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
                print(f"        {fit.bits}: (  # 2^{float(mp.log(error, 2)):.1f}")
                for value in coefficients:
                    print(f"            {short(value, fit.bits)},")
                print("        ),")
                sys.stdout.flush()
        print("    },")
    print("}\n")
    print("PARTS: Mapping[str, Mapping[int, tuple[float, ...]]] = {")
    for name, value, kept in CONSTANTS:
        print(f'    "{name}": {{')
        for bits, count in kept.items():
            print(f"        {bits}: ({', '.join(short(part, bits) for part in parts(value, bits, count))}),")
        print("    },")
    print("}\n")
    print("TWO_OVER_PI = (  # 52 of its bits from each 26th on")
    with mp.workprec(1300):
        for j in range(45):
            print(f"    {short(mp.floor(mp.frac(mp.ldexp(2 / mp.pi, 26 * j)) * 2**52) / 2**52, 64)},")
    print(")")


def remez(fit: Fit, rounds: int = 12, size: int = 700) -> tuple[list[Real], Real]:
    """The coefficients, the constant first, and the greatest weighted error."""
    low, high, count = Real(fit.low), Real(fit.high), fit.degree + 2

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
                system[i, j] = x**j
            system[i, count - 1] = (-1) ** i / fit.weight(x)
            right[i] = fit.function(x)
        solved = mp.lu_solve(system, right)
        found = [solved[j] for j in range(fit.degree + 1)]
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
    odd = of_square(lambda s: (2 * mp.atanh(s) - 2 * s) / s**3, lambda z: Real(2) / 3 + Real(2) / 5 * z, "1e-12")
    yield Fit("log", 64, odd, lambda z: z + SMALL, 0, Real("0.0296"), 6)


def circular() -> Iterator[Fit]:
    sine = of_square(lambda x: (mp.sin(x) / x - 1) / x**2, lambda z: -Real(1) / 6 + z / 120, "1e-12")
    cosine = of_square(lambda x: (mp.cos(x) - 1 + x**2 / 2) / x**4, lambda z: Real(1) / 24 - z / 720, "1e-10")
    edge = (mp.pi / 4 * Real("1.01")) ** 2
    for bits, degree in ((32, 2), (64, 5)):
        yield Fit("sin", bits, sine, lambda z: z + SMALL, 0, edge, degree)
        yield Fit("cos", bits, cosine, lambda z: z**2 + SMALL, 0, edge, degree)


CONSTANTS: tuple[tuple[str, Real, dict[int, tuple[int, ...]]], ...] = (
    ("ln2", LN2, {32: (15, 24), 64: (41, 53)}),
    ("pi/2", mp.pi / 2, {32: (24, 24, 24), 64: (53, 53, 53)}),
    ("pi/2 in short parts", mp.pi / 2, {64: (33, 33, 33, 53)}),
    ("log10(2)", mp.log10(2), {32: (15, 24), 64: (41, 53)}),
)


if __name__ == "__main__":
    main()
