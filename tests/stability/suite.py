"""41 values that are lost as they are written and known exactly, and 12 slopes that are easily NaN."""

from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp
import numpy as np

import symgraph as sg
from symgraph.graph.node import Node

DIGITS = 900  # enough to tell 1 + exp(-1000) from 1, and 60 digits more
DTYPES = ("float64", "float32")
TOLERANCE = {"float64": (1e-12, 1e-320), "float32": (1e-5, 1e-44)}  # relative, and below the smallest numbers


@dataclass(frozen=True)
class Check:
    """An expression of a scalar or a vector, the point where it is hard, and the exact result there.

    ``truth`` takes mpmath's numbers, one for each element, and gives one or a list.
    ``at32`` stands for ``at`` in float32, where that is too large or too small for it.
    """

    name: str
    build: Callable[[Node], Node]
    at: float | tuple[float, ...]
    truth: Callable
    at32: float | tuple[float, ...] | None = None

    def __str__(self) -> str:
        return f"{self.name} at {self.at}".replace(" ", "")

    def point(self, dtype: str) -> np.ndarray:
        """Where it is computed in this dtype."""
        return np.array(self.at if dtype == "float64" or self.at32 is None else self.at32, dtype)

    def assert_right(self, found: np.ndarray, dtype: str, program: object) -> None:
        """Raise AssertionError, with what was found and expected, when an element is too far from the truth."""
        relative, absolute = TOLERANCE[dtype]
        with mp.workdps(DIGITS):
            exact = self.truth(*(mp.mpf(float(each)) for each in self.point(dtype).flat))
            exact = exact if isinstance(exact, list) else [exact]
            assert len(exact) == np.size(found)
            pairs = zip(np.ravel(found).tolist(), exact, strict=True)
            wrong = [
                f"found {value!r}, expected {mp.nstr(right, 17)}"
                for value, right in pairs
                if not abs(mp.mpf(value) - right) <= relative * abs(right) + absolute
            ]
        assert not wrong, f"{self} in {dtype}: {'; '.join(wrong)}\n{program}"


def _checks(name, build, truth, points, points32=None):
    """A check for each of the points."""
    points32 = points32 or [None] * len(points)
    return [Check(name, build, at, truth, at32) for at, at32 in zip(points, points32, strict=True)]


def _constant(*numbers):
    """The truth that is the same wherever it is asked for."""
    return lambda *x: [mp.mpf(number) for number in numbers]


def _sum(x: Node, keepdims: bool = False) -> Node:
    return x.sum(axis=-1, keepdims=keepdims)


def _mean(x: Node) -> Node:
    return x.mean(axis=-1)


def _tanh(x: Node) -> Node:
    return (sg.exp(x) - sg.exp(-x)) / (sg.exp(x) + sg.exp(-x))


def _softmax(x: Node) -> Node:
    return sg.exp(x) / _sum(sg.exp(x), keepdims=True)


def _true_sum_of_exp(x):
    return mp.fsum(map(mp.exp, x))


def _true_logsumexp(*x):
    return mp.log(_true_sum_of_exp(x))


def _true_softmax(*x):
    return [mp.exp(each) / _true_sum_of_exp(x) for each in x]


def _true_log_softmax(*x):
    return [each - _true_logsumexp(*x) for each in x]


def _true_variance(*x):
    mean = mp.fsum(x) / len(x)
    return mp.fsum((each - mean) ** 2 for each in x) / len(x)


def _true_norm(*x):
    return mp.sqrt(mp.fsum(each**2 for each in x))


def _true_sigmoid(x):
    return 1 / (1 + mp.exp(-x))


STABILITY = [
    *_checks("log(1+e^x)", lambda x: sg.log(1 + sg.exp(x)), lambda x: mp.log(1 + mp.exp(x)),
             [-800.0, -50.0, 1000.0], [-100.0, -50.0, 1000.0]),
    *_checks("log(1+x)", lambda x: sg.log(1 + x), lambda x: mp.log(1 + x), [1e-18, 1e-12]),
    *_checks("e^x-1", lambda x: sg.exp(x) - 1, lambda x: mp.exp(x) - 1, [1e-18, 1e-12]),
    *_checks("log(1-e^x)", lambda x: sg.log(1 - sg.exp(x)), lambda x: mp.log(1 - mp.exp(x)),
             [-1e-18, -1e-3, -800.0], [-1e-18, -1e-3, -100.0]),
    *_checks("log sigmoid", lambda x: sg.log(sg.sigmoid(x)), lambda x: -mp.log(1 + mp.exp(-x)),
             [-800.0, 800.0], [-800.0, 100.0]),
    *_checks("log(1-sigmoid)", lambda x: sg.log(1 - sg.sigmoid(x)), lambda x: -mp.log(1 + mp.exp(x)),
             [40.0, 800.0]),
    *_checks("1-sigmoid", lambda x: 1 - sg.sigmoid(x), lambda x: _true_sigmoid(-x), [40.0, 800.0], [40.0, 100.0]),
    *_checks("log e^x", lambda x: sg.log(sg.exp(x)), lambda x: x, [1000.0, -1000.0]),
    *_checks("sqrt(x*x)", lambda x: sg.sqrt(x * x), abs, [1e200, 1e-200], [1e30, 1e-30]),
    *_checks("e^x/(1+e^x)", lambda x: sg.exp(x) / (1 + sg.exp(x)), _true_sigmoid,
             [1000.0, -1000.0], [1000.0, -100.0]),
    *_checks("(1-cos x)/x^2", lambda x: (1 - sg.cos(x)) / x**2, lambda x: (1 - mp.cos(x)) / x**2, [1e-8, 1e-4]),
    *_checks("sqrt(x+1)-sqrt(x)", lambda x: sg.sqrt(x + 1) - sg.sqrt(x), lambda x: mp.sqrt(x + 1) - mp.sqrt(x),
             [1e16]),
    *_checks("x/x", lambda x: x / x, lambda x: mp.mpf(1), [1e-310], [1e-40]),
    *_checks("tanh by exp", _tanh, mp.tanh, [800.0, 1e-9]),
    *_checks("log(x*x)", lambda x: sg.log(x * x), lambda x: 2 * mp.log(x), [1e200, 1e-200], [1e30, 1e-30]),
    *_checks("log sum e^x", lambda x: sg.log(_sum(sg.exp(x))), _true_logsumexp,
             [(1000.0, 1000.5), (-1000.0, -1000.5)]),
    *_checks("log softmax", lambda x: sg.log(sg.softmax(x, axis=-1)), _true_log_softmax,
             [(0.0, 800.0), (0.0, -800.0, 3.0)]),
    *_checks("softmax by exp", _softmax, _true_softmax,
             [(1000.0, 999.0, 0.0), (-1000.0, -1001.0, -1003.0)], [(1000.0, 999.0, 950.0), None]),
    *_checks("log of softmax by exp", lambda x: sg.log(_softmax(x)), _true_log_softmax, [(0.0, 800.0)]),
    *_checks("one-pass variance", lambda x: _mean(x * x) - _mean(x) ** 2, _true_variance,
             [(1e8, 1e8 + 1, 1e8 + 2), (-1e6, 1 - 1e6, 4 - 1e6)], [(1e4, 1e4 + 1, 1e4 + 2), (-1e4, 1 - 1e4, 4 - 1e4)]),
    *_checks("norm", lambda x: sg.sqrt(_sum(x * x)), _true_norm,
             [(3e200, 4e200), (3e-200, 4e-200)], [(3e30, 4e30), (3e-30, 4e-30)]),
]  # fmt: skip

SLOPES = [
    Check("where(x>0,sqrt x,0)", lambda x: sg.where(x > 0, sg.sqrt(x), 0), 0.0, _constant(0)),
    Check("where(x!=0,sin x/x,1)", lambda x: sg.where(x != 0, sg.sin(x) / x, 1), 0.0, _constant(0)),
    Check("where(x>0,x log x,0)", lambda x: sg.where(x > 0, x * sg.log(x), 0), 0.0, _constant(0)),
    Check("0*sqrt|x|", lambda x: 0 * sg.sqrt(abs(x)), 0.0, _constant(0)),
    Check("log(1+e^x)", lambda x: sg.log(1 + sg.exp(x)), 1000.0, _constant(1)),
    Check("e^x/(1+e^x)", lambda x: sg.exp(x) / (1 + sg.exp(x)), 1000.0, _constant(0)),
    Check("log sum e^x", lambda x: sg.log(_sum(sg.exp(x))), (1000.0, 1000.0, 0.0), _constant(0.5, 0.5, 0)),
    Check("where(x<1,x,e^-x)", lambda x: sg.where(x < 1, x, sg.exp(-x)), -1000.0, _constant(1)),
    Check("where(x<1,x,e^1000x)", lambda x: sg.where(x < 1, x, sg.exp(1000 * x)), 0.875, _constant(1)),
    Check("sqrt sum x^2", lambda x: sg.sqrt(_sum(x**2)), (0.0, 0.0, 0.0), _constant(0, 0, 0)),
    Check("sqrt(x*x)", lambda x: sg.sqrt(x * x), 0.0, _constant(0)),
    Check("x/x", lambda x: x / x, 0.0, _constant(0)),
]
