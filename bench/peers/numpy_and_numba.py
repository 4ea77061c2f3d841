"""NumPy, which the others are compared with, and two that compile expressions of its arrays: numexpr and numba."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.special

from peers.peer import Array, CannotSay, Names, Ready, names, split, stepping
from peers.trace import Value, in_order, traced


class NumPy:
    """An expression for each line, as a user would write it; gradients by hand."""

    def __init__(self, threads: int) -> None:
        self.version = np.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        program = workload.program
        if not workload.updates:
            return Ready(lambda *given: program(NUMPY, *given), list(arrays.values()))
        weights, data = split(workload, arrays)
        call, kept = stepping(lambda weights, *data: program(NUMPY, *weights, *data), weights)
        return Ready(call, data, state=lambda: list(kept))

    def settle(self) -> None: ...


def _mean_cross_entropy(logits: Array, labels: Array) -> Any:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    picked = shifted[np.arange(len(labels)), labels]
    return (np.log(np.exp(shifted).sum(axis=-1)) - picked).mean()


NUMPY: Names = names(
    np,
    erf=scipy.special.erf,
    ndtr=scipy.special.ndtr,
    mean_cross_entropy=_mean_cross_entropy,
    value_and_grad=lambda model, parameters, *data: model.by_hand(parameters, *data),
)


class Numexpr:
    """Its compiled expression, called with arrays. Numbers are arguments, since its own are of float64."""

    def __init__(self, threads: int) -> None:
        self._library = importlib.import_module("numexpr")
        self._library.set_num_threads(threads)
        self.version = self._library.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        _, results = traced(workload)
        if len(results) != 1:
            raise CannotSay("several results")
        numbers = dict[str, float]()
        text = _as_expression(results[0], numbers)
        dtype = workload.dtype
        given = {**arrays, **{name: dtype.type(number) for name, number in numbers.items()}}
        kind = {np.dtype("float32"): float, np.dtype("float64"): self._library.necompiler.double}[dtype]
        compiled = self._library.NumExpr(text, [(name, kind) for name in given])
        return Ready(compiled, list(given.values()))

    def settle(self) -> None: ...


_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">"}
_NUMEXPR = ["abs", "cos", "exp", "log", "log1p", "sin", "sqrt", "tanh", "where"]


def _as_expression(x: Value, numbers: dict[str, float]) -> str:
    if x.op == "input":
        return str(x.attributes["name"])
    if x.op == "number":
        name = f"c{len(numbers)}"
        numbers[name] = x.attributes["number"]
        return name
    operands = [_as_expression(each, numbers) for each in x.inputs]
    if x.op in ("maximum", "minimum"):  # its own are of float64
        sign = ">" if x.op == "maximum" else "<"
        return "where({0} {2} {1}, {0}, {1})".format(*operands, sign)
    return _called(x, operands, _NUMEXPR)


def _called(x: Value, operands: Sequence[str], functions: Sequence[str]) -> str:
    if x.op in _SIGNS:
        return f"({operands[0]} {_SIGNS[x.op]} {operands[1]})"
    if x.op == "negative":
        return f"(-{operands[0]})"
    if x.op in functions:
        return f"{x.op}({', '.join(operands)})"
    raise CannotSay(x.op)


class Numba:
    """The loop over elements that one writes for numba, with the functions of ``math``; ``prange`` on two threads."""

    def __init__(self, threads: int) -> None:
        self._library = importlib.import_module("numba")
        self._library.set_num_threads(threads)
        self._parallel = threads > 1
        self.version = self._library.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        if len({x.shape for x in arrays.values()}) != 1:
            raise CannotSay("arrays of several shapes")
        inputs, results = traced(workload)
        text, numbers = _as_loop(list(inputs), results, workload.dtype)
        names: dict[str, Any] = {**numbers, "np": np, "prange": self._library.prange, **_SCALAR}
        exec(text, names)
        return Ready(
            self._library.njit(parallel=self._parallel, error_model="numpy")(names["kernel"]),
            list(arrays.values()),
        )

    def settle(self) -> None: ...


_MATH = ["cos", "erf", "exp", "log", "log1p", "sin", "sqrt", "tanh"]
_SCALAR: dict[str, Callable[..., Any]] = {name: getattr(math, name) for name in _MATH} | {"abs": abs}


def _as_loop(
    inputs: Sequence[str], results: Sequence[Value], dtype: np.dtype[Any]
) -> tuple[str, dict[str, Any]]:
    """The source of a function of flat loops, and its numbers, which have the dtype of the arrays."""
    spelled: dict[int, str] = {}
    numbers: dict[str, Any] = {}
    lines = []
    for x in in_order(results):
        if x.op == "input":
            spelled[id(x)] = f"{x.attributes['name']}_i"
            continue
        if x.op == "number":
            name = f"c{len(numbers)}"
            numbers[name] = dtype.type(x.attributes["number"])
            spelled[id(x)] = name
            continue
        spelled[id(x)] = f"v{len(spelled)}"
        lines.append(f"{spelled[id(x)]} = {_scalar(x, [spelled[id(each)] for each in x.inputs])}")
    head = [f"{name}_f = {name}.reshape(-1)" for name in inputs]
    head += [
        f"out{n} = np.empty_like({inputs[0]}); out{n}_f = out{n}.reshape(-1)" for n in range(len(results))
    ]
    body = [f"{name}_i = {name}_f[i]" for name in inputs] + lines
    body += [f"out{n}_f[i] = {spelled[id(x)]}" for n, x in enumerate(results)]
    outs = ", ".join(f"out{n}" for n in range(len(results)))
    source = [f"def kernel({', '.join(inputs)}):", *(f"    {line}" for line in head)]
    source += [f"    for i in prange({inputs[0]}.size):", *(f"        {line}" for line in body)]
    return "\n".join([*source, f"    return {outs}"]), numbers


def _scalar(x: Value, operands: Sequence[str]) -> str:
    match x.op:
        case "where":
            return f"{operands[1]} if {operands[0]} else {operands[2]}"
        case "maximum":
            return "({0} if {0} > {1} or {0} != {0} else {1})".format(*operands)
        case "minimum":
            return "({0} if {0} < {1} or {0} != {0} else {1})".format(*operands)
    return _called(x, operands, list(_SCALAR))
