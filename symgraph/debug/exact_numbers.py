"""Numbers of high precision whose last bits are random, as elements of NumPy's arrays.

Numbers are mpmath's, and this is the one way to it. What is rounded differs from run to run; what is exact does not.
"""

from __future__ import annotations

import importlib
import math
import operator
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import RunError

Array: TypeAlias = np.ndarray[Any, Any]

LARGEST_BITS = 4000
"""Exponentials of numbers from ``2**LARGEST_BITS`` on are not computed."""


class Arithmetic:
    """mpmath at one precision, in a context of its own; the last bits of what it rounds are random."""

    def __init__(self, digits: int, seed: int) -> None:
        self.mp = mpmath().MPContext()
        self.mp.dps = digits
        self.random = random.Random(seed)
        self.decisions: list[tuple[Any, Any]] = []
        """The pairs of real numbers that were compared."""

    def number(self, value: Any, is_complex: bool = False) -> Number:
        """An int, float, complex, mpmath number or Number as a Number, unchanged."""
        if isinstance(value, np.ndarray):  # which an assignment puts into an array of objects
            value = value[()]
        if isinstance(value, np.generic):
            value = value.item() if value.dtype.kind in "biufc" else float(value)
        found = value if isinstance(value, Number) else Number(self, self._converted(value))
        return Number(self, self.mp.mpc(found.value, 0)) if is_complex and not found.is_complex else found

    def _converted(self, value: Any) -> Any:
        if hasattr(value, "_mpf_"):
            return self.mp.make_mpf(value._mpf_)
        if hasattr(value, "_mpc_"):
            return self.mp.make_mpc(value._mpc_)
        return self.mp.mpc(value) if isinstance(value, complex) else self.mp.convert(value)

    def rounded(self, name: str, *args: Any) -> Number:
        """A function that mpmath rounds as it is told to: exact where down and up are the same."""
        f = getattr(self.mp, name)
        down, up = f(*args, rounding="d"), f(*args, rounding="u")
        return Number(self, down) if down == up else self.shaken(down)

    def shaken(self, value: Any) -> Number:
        """The value with 30 random last bits, which no other has; zero, inf and nan as they are."""
        mp = self.mp
        if hasattr(value, "_mpc_"):
            return Number(self, mp.mpc(self.shaken(value.real).value, self.shaken(value.imag).value))
        if not value or not mp.isfinite(value):
            return Number(self, value)
        noise = self.random.choice((-1, 1)) * self.random.randrange(1 << 29, 1 << 30)
        return Number(self, mp.fadd(value, mp.ldexp(noise, mp.mag(value) - mp.prec)))

    def apply(self, name: str, *args: Number, exact_at: Sequence[float] = (0,)) -> Number:
        """mpmath's function; NaN for NaN, where it has no value, and where that is complex for real arguments."""
        mp = self.mp
        values = [x.value for x in args]
        if any(mp.isnan(x) for x in values):
            return self.number(math.nan)
        try:
            found = getattr(mp, name)(*values)
        except (ValueError, ZeroDivisionError):
            return self.nowhere(values)
        except mp.NoConvergence:
            return self.unknown()
        if hasattr(found, "_mpc_") and not any(hasattr(x, "_mpc_") for x in values):
            return self.nowhere(values)
        is_exact = len(values) == 1 and any(values[0] == x for x in exact_at)
        return Number(self, found) if is_exact else self.shaken(found)

    def nowhere(self, values: Sequence[Any]) -> Number:
        """NaN for arguments outside a domain, which ends at 0, 1 or -1."""
        self.decisions += [(part, end) for x in values for part in (x.real, x.imag) for end in (0, 1, -1)]
        return self.number(math.nan)

    def unknown(self) -> Number:
        """What cannot be computed, between 0 and 1."""
        return self.number(self.random.random())

    def endless(self, sign: int) -> Number:
        """What is too large, or for a negative sign too small, to be computed."""
        return Number(
            self, self.mp.ldexp(1, sign * self.random.randrange(1 << LARGEST_BITS, 2 << LARGEST_BITS))
        )


class Number:
    """An mpmath number with the operators of an array's element: NumPy's object loops add and multiply it."""

    __slots__ = ("of", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, of: Arithmetic, value: Any) -> None:
        self.of = of
        self.value = value

    @property
    def is_complex(self) -> bool:
        return hasattr(self.value, "_mpc_")

    @property
    def is_finite(self) -> bool:
        return bool(self.of.mp.isfinite(self.value))

    @property
    def is_nan(self) -> bool:
        return bool(self.of.mp.isnan(self.value))

    @property
    def is_inf(self) -> bool:
        return bool(self.of.mp.isinf(self.value))

    @property
    def is_whole(self) -> bool:
        return self.is_finite and bool(self.of.mp.isint(self.value))

    @property
    def real(self) -> Number:
        return Number(self.of, self.value.real)

    @property
    def imag(self) -> Number:
        return Number(self.of, self.value.imag)

    def conjugate(self) -> Number:
        return Number(self.of, self.of.mp.conj(self.value)) if self.is_complex else self

    def __add__(self, other: Any) -> Number:
        return self.of.rounded("fadd", self.value, self.of.number(other).value)

    def __sub__(self, other: Any) -> Number:
        return self.of.rounded("fsub", self.value, self.of.number(other).value)

    def __mul__(self, other: Any) -> Number:
        return self.of.rounded("fmul", self.value, self.of.number(other).value)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Number:
        return self.of.number(other) - self

    def __truediv__(self, other: Any) -> Number:
        y = self.of.number(other).value
        if y == 0:
            if self.is_complex or self.is_nan or self.value == 0:
                return self.of.number(math.nan, self.is_complex)
            return self.of.number(math.copysign(math.inf, 1 if self > 0 else -1))
        return self.of.rounded("fdiv", self.value, y)

    def __rtruediv__(self, other: Any) -> Number:
        return self.of.number(other) / self

    def __neg__(self) -> Number:
        return Number(self.of, self.of.mp.fneg(self.value, exact=True))

    def __abs__(self) -> Number:
        if self.is_complex:
            return hypot(self.real, self.imag)
        return -self if self.value < 0 else self

    def __eq__(self, other: object) -> bool:
        y = self.of.number(other).value
        self.of.decisions += [(self.value.real, y.real), (self.value.imag, y.imag)]
        return bool(self.value == y)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        x, y = self.value, self.of.number(other).value
        self.of.decisions += [(x.real, y.real), (x.imag, y.imag)]
        if hasattr(x, "_mpc_") or hasattr(y, "_mpc_"):
            return bool(x.real < y.real or (x.real == y.real and x.imag < y.imag))
        return bool(x < y)

    def __le__(self, other: Any) -> bool:
        return bool(self < other or self == other)

    def __gt__(self, other: Any) -> bool:
        return self.of.number(other) < self

    def __ge__(self, other: Any) -> bool:
        return bool(self > other or self == other)

    def __bool__(self) -> bool:
        return self != 0


def sqrt(x: Number) -> Number:
    if x.is_complex:
        return x.of.apply("sqrt", x)
    return x.of.number(math.nan) if x < 0 or x.is_nan else x.of.rounded("sqrt", x.value)


def hypot(x: Number, y: Number) -> Number:
    if x.is_inf or y.is_inf:
        return x.of.number(math.inf)
    return sqrt(x * x + y * y)


def as_array(value: Any) -> Array:
    """Exact numbers as an array of objects."""
    if isinstance(value, np.ndarray):
        return value if value.dtype == object else elementwise(mpmath().mpmathify, value.astype(object))
    if isinstance(value, (list, tuple)):
        return np.asarray([as_array(x)[()] for x in value], dtype=object)
    out = np.empty((), object)
    out[()] = mpmath().mpmathify(value.item() if isinstance(value, np.generic) else value)
    return out


def elementwise(f: Callable[..., Any], *arrays: Array) -> Array:
    """The results of a function on each element, as an array of objects."""
    with np.errstate(all="ignore"):
        found = np.frompyfunc(f, len(arrays), 1)(*arrays)
    if isinstance(found, np.ndarray):
        return found
    out = np.empty((), object)
    out[()] = found
    return out


def part(name: str, array: Array) -> Array:
    return elementwise(operator.attrgetter(name), array)


def mpmath() -> Any:
    try:
        return importlib.import_module("mpmath")
    except ImportError:
        raise RunError("exact values need mpmath: pip install mpmath") from None
