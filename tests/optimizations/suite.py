"""The stability suite: 41 places where what a user writes is far from what it means, and 12 where its gradient is."""

from collections.abc import Callable
from dataclasses import dataclass

import mpmath

import symgraph as sg

e = sg.exp


@dataclass(frozen=True)
class Check:
    """An expression, where it is computed in float64 and float32, and what it is there."""

    name: str
    build: Callable
    at: float | tuple
    truth: Callable
    at32: float | tuple | None = None

    def __str__(self):
        return f"{self.name}-at-{self.at}".replace(" ", "")

    def exactly(self, at):
        """The truth at a float or at a vector, to 60 digits."""
        with mpmath.workdps(900):
            found = self.truth(*map(mpmath.mpf, at)) if isinstance(at, tuple) else self.truth(mpmath.mpf(at))
            return [+value for value in found] if isinstance(found, list) else +found


def several(name, build, ats, truth, ats32=None):
    return [
        Check(name, build, at, truth, at32) for at, at32 in zip(ats, ats32 or [None] * len(ats), strict=True)
    ]


def _logsumexp(*x):
    return mpmath.log(sum(map(mpmath.exp, x)))


def _softmax(*x):
    return [mpmath.exp(each) / sum(map(mpmath.exp, x)) for each in x]


def _log_softmax(*x):
    return [each - _logsumexp(*x) for each in x]


def _variance(*x):
    return sum(each**2 for each in x) / len(x) - (sum(x) / len(x)) ** 2


def _norm(*x):
    return mpmath.sqrt(sum(each**2 for each in x))


def last_sum(x, **kept):
    return x.sum(axis=-1, **kept)


m = mpmath
STABILITY = [
    *several("log(1+e^x)", lambda x: sg.log(1 + e(x)), [-800.0, -50.0, 1000.0], lambda x: m.log(1 + m.exp(x)),
             [-80.0, -50.0, None]),
    *several("log(1+x)", lambda x: sg.log(1 + x), [1e-18, 1e-12], lambda x: m.log(1 + x)),
    *several("e^x-1", lambda x: e(x) - 1, [1e-18, 1e-12], lambda x: m.exp(x) - 1),
    *several("log(1-e^x)", lambda x: sg.log(1 - e(x)), [-1e-18, -1e-3, -700.0], lambda x: m.log(1 - m.exp(x)),
             [None, None, -80.0]),
    *several("log sigmoid", lambda x: sg.log(sg.sigmoid(x)), [-800.0, 700.0], lambda x: -m.log(1 + m.exp(-x)),
             [None, 80.0]),
    *several("log(1-sigmoid)", lambda x: sg.log(1 - sg.sigmoid(x)), [40.0, 800.0], lambda x: -m.log(1 + m.exp(x))),
    *several("1-sigmoid", lambda x: 1 - sg.sigmoid(x), [40.0, 700.0], lambda x: 1 / (1 + m.exp(x)), [None, 80.0]),
    *several("log e^x", lambda x: sg.log(e(x)), [1000.0, -1000.0], lambda x: x),
    *several("sqrt(x*x)", lambda x: sg.sqrt(x * x), [1e200, 1e-200], abs, [1e30, 1e-30]),
    *several("e^x/(1+e^x)", lambda x: e(x) / (1 + e(x)), [1000.0, -700.0], lambda x: m.exp(x) / (1 + m.exp(x)),
             [None, -80.0]),
    *several("(1-cos x)/x^2", lambda x: (1 - sg.cos(x)) / x**2, [1e-8, 1e-4], lambda x: (1 - m.cos(x)) / x**2),
    *several("sqrt(x+1)-sqrt(x)", lambda x: sg.sqrt(x + 1) - sg.sqrt(x), [1e16], lambda x: m.sqrt(x + 1) - m.sqrt(x)),
    *several("x/x", lambda x: x / x, [1e-310], lambda x: m.mpf(1), [1e-40]),
    *several("tanh by exp", lambda x: (e(x) - e(-x)) / (e(x) + e(-x)), [800.0, 1e-9], m.tanh),
    *several("log(x*x)", lambda x: sg.log(x * x), [1e200, 1e-200], lambda x: m.log(x * x), [1e30, 1e-30]),
    *several("log sum e^x", lambda x: sg.log(last_sum(e(x))), [(1000.0, 1000.5, 999.0), (-1000.0, -1000.5, -999.0)],
             _logsumexp),
    *several("log softmax", lambda x: sg.log(sg.softmax(x)), [(0.0, 800.0, 3.0), (0.0, -800.0, 3.0)], _log_softmax),
    *several("softmax spelt out", lambda x: e(x) / last_sum(e(x), keepdims=True), [(1000.0, 999.0, 950.0)], _softmax),
    *several("log of softmax spelt out", lambda x: sg.log(e(x) / last_sum(e(x), keepdims=True)), [(0.0, 800.0, 3.0)],
             _log_softmax),
    *several("variance in one pass", lambda x: (x * x).mean(axis=-1) - x.mean(axis=-1) ** 2,
             [(1e8, 1e8 + 1, 1e8 + 2), (1e6, 1e6 + 0.5, 1e6 + 4)], _variance, [(1e4, 1e4 + 1, 1e4 + 2), None]),
    *several("norm", lambda x: sg.sqrt(last_sum(x * x)), [(3e200, 4e200, 1e200), (3e-200, 4e-200, 1e-200)], _norm,
             [(3e30, 4e30, 1e30), (3e-30, 4e-30, 1e-30)]),
    *several("log(1+e^x) of large -x", lambda x: sg.log(1 + e(-x)), [-1000.0], lambda x: m.log(1 + m.exp(-x))),
]  # fmt: skip


@dataclass(frozen=True)
class Slope:
    """An expression whose derivative at a point is finite, whatever a branch not taken is."""

    name: str
    build: Callable
    at: float | tuple
    slope: float | tuple

    def __str__(self):
        return self.name.replace(" ", "")


GRADIENTS = [
    Slope("where(x>0,sqrt x,0)", lambda x: sg.where(x > 0, sg.sqrt(x), 0), 0.0, 0.0),
    Slope("where(x!=0,sin x/x,1)", lambda x: sg.where(x != 0, sg.sin(x) / x, 1), 0.0, 0.0),
    Slope("where(x>0,x log x,0)", lambda x: sg.where(x > 0, x * sg.log(x), 0), 0.0, 0.0),
    Slope("0*sqrt|x|", lambda x: 0 * sg.sqrt(abs(x)), 0.0, 0.0),
    Slope("log(1+e^x)", lambda x: sg.log(1 + e(x)), 1000.0, 1.0),
    Slope("e^x/(1+e^x)", lambda x: e(x) / (1 + e(x)), 1000.0, 0.0),
    Slope("log sum e^x", lambda x: sg.log(last_sum(e(x))), (1000.0, 1000.0, 0.0), (0.5, 0.5, 0.0)),
    Slope("where with a large branch", lambda x: sg.where(x > 0, x, e(-x)), 1000.0, 1.0),
    Slope("where with e^(1000x)", lambda x: sg.where(x < 100, x, e(1000 * x)), 50.0, 1.0),
    Slope("sqrt sum x^2", lambda x: sg.sqrt(last_sum(x * x)), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    Slope("sqrt(x*x)", lambda x: sg.sqrt(x * x), 0.0, 0.0),
    Slope("x/x", lambda x: x / x, 0.0, 0.0),
]
