"""ONNX's elementwise operators."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from symgraph.graph.node import Node
from symgraph.graph.op import as_node, constant
from symgraph.graph.types import BOOL, DType
from symgraph.io.onnx_call import Call
from symgraph.io.onnx_known import from_dims
from symgraph.io.onnx_table import Refused, Unknown, operator
from symgraph.ops import activations, arithmetic, comparison, math, special, transcendental
from symgraph.ops.arithmetic import astype, floor_divide, fmod, maximum, minimum, remainder, where
from symgraph.ops.create import one_hot
from symgraph.ops.declare import cast_to
from symgraph.ops.reduce import argmax
from symgraph.ops.shape import expand_dims, reshape
from symgraph.ops.softmax import log_softmax
from symgraph.ops.softmax import softmax as softmax_of

# One operator of ONNX, one op.

_UNARY = {
    "Abs": arithmetic.abs, "Neg": arithmetic.negative, "Ceil": arithmetic.ceil, "Floor": arithmetic.floor,
    "Round": arithmetic.rint, "Sign": arithmetic.sign, "Reciprocal": arithmetic.reciprocal,
    "Identity": arithmetic.positive,
    "Exp": transcendental.exp, "Log": transcendental.log, "Sqrt": transcendental.sqrt,
    "Sin": transcendental.sin, "Cos": transcendental.cos, "Tan": transcendental.tan,
    "Asin": transcendental.asin, "Acos": transcendental.acos, "Atan": transcendental.atan,
    "Sinh": transcendental.sinh, "Cosh": transcendental.cosh, "Tanh": transcendental.tanh,
    "Asinh": transcendental.asinh, "Acosh": transcendental.acosh, "Atanh": transcendental.atanh,
    "Erf": special.erf, "Sigmoid": math.sigmoid, "Softplus": math.softplus, "Softsign": activations.softsign,
    "Mish": activations.mish,
    "IsNaN": comparison.isnan, "Not": comparison.logical_not, "BitwiseNot": comparison.bitwise_invert,
}  # fmt: skip
_BINARY = {
    "Add": arithmetic.add, "Sub": arithmetic.subtract, "Mul": arithmetic.multiply,
    "And": comparison.logical_and, "Or": comparison.logical_or, "Xor": comparison.logical_xor,
    "Equal": comparison.equal, "Less": comparison.less, "Greater": comparison.greater,
    "LessOrEqual": comparison.less_equal, "GreaterOrEqual": comparison.greater_equal,
    "BitwiseAnd": comparison.bitwise_and, "BitwiseOr": comparison.bitwise_or, "BitwiseXor": comparison.bitwise_xor,
}  # fmt: skip


def _one(function: Any) -> Any:
    def build(x: Node) -> Node:
        return function(x)  # type: ignore[no-any-return]

    return build


def _two(function: Any) -> Any:
    def build(x: Node, y: Node) -> Node:
        return function(x, y)  # type: ignore[no-any-return]

    return build


def _aligned(function: Any) -> Any:
    """With the broadcasting of the first opsets: on request, the axes of ``y`` are those of ``x`` from one on."""

    def build(x: Node, y: Node, *, axis: int | None = None, broadcast: int = 0) -> Node:
        if broadcast and axis is not None:
            behind = x.ndim - axis % max(x.ndim, 1) - y.ndim
            if behind < 0:
                raise Refused(f"{y.type} does not fit the axes of {x.type} from {axis} on")
            y = expand_dims(y, tuple(range(y.ndim, y.ndim + behind))) if behind else y
        elif not broadcast and x.ndim != y.ndim:
            raise Refused(f"{x.type} and {y.type} without broadcasting")
        return function(x, y)  # type: ignore[no-any-return]

    return build


for _name, _function in _UNARY.items():
    operator(_name)(_one(_function))
for _name, _function in _BINARY.items():
    operator(_name)(_aligned(_function))
    operator(_name, since=7)(_two(_function))


def quotient(x: Node, y: Node) -> Node:
    """``x / y``; of integers, cut towards 0."""
    if not x.row.is_integer:
        return x / y
    down = floor_divide(x, y)
    if x.row.kind == "uint":
        return down
    return down + astype((x - down * y != 0) & ((x < 0) ^ (y < 0)), x.row)


@operator("Div", since=7)
def divide(at: Call, x: Node, y: Node) -> Node:
    if x.row.is_integer:
        sizes = _quotient_of_sizes(at, x, y)
        if sizes is not None:
            return sizes
    return quotient(x, y)


operator("Div")(_aligned(quotient))


def _quotient_of_sizes(at: Call, x: Node, y: Node) -> Node | None:
    """Sizes divided, which are not negative, so that cutting is rounding down."""
    if x.ndim > 1 or y.ndim > 1:
        return None
    try:
        top, bottom = at.table.value(x), at.table.value(y)
    except Unknown:
        return None
    if top.dtype != object or bottom.dtype == object or (bottom <= 0).any():
        return None
    dims = np.atleast_1d(top // bottom.astype(object))
    return from_dims(dims, max(x.ndim, y.ndim))


def power(x: Node, y: Node) -> Node:
    return cast_to(transcendental.pow(x, y), x.row)


operator("Pow")(_aligned(power))
operator("Pow", since=7)(_two(power))


@operator("Mod", since=10)
def modulo(x: Node, y: Node, *, fmod: int = 0) -> Node:
    return _fmod(x, y) if fmod else remainder(x, y)


def _fmod(x: Node, y: Node) -> Node:
    return fmod(x, y)


@operator("BitShift", since=11)
def bit_shift(x: Node, y: Node, *, direction: str = "") -> Node:
    if direction not in ("LEFT", "RIGHT"):
        raise Refused(f"the direction {direction!r}")
    last = constant(x.row.bits - 1, y.row)
    if direction == "RIGHT" and x.row.kind == "int":  # beyond the width, only the sign is left
        return comparison.bitwise_right_shift(x, cast_to(minimum(y, last), x.row))
    shift = comparison.bitwise_left_shift if direction == "LEFT" else comparison.bitwise_right_shift
    return where(y <= last, shift(x, cast_to(minimum(y, last), x.row)), constant(0, x.row))


def _variadic(function: Any) -> Any:
    def build(first: Node, *rest: Node) -> Node:
        return reduce(function, rest, first)

    return build


operator("Max")(_variadic(maximum))
operator("Min")(_variadic(minimum))
operator("Sum")(_variadic(arithmetic.add))


@operator("Mean")
def mean(first: Node, *rest: Node) -> Node:
    return reduce(arithmetic.add, rest, first) / float(1 + len(rest))


# Activations, and functions with parameters


@operator("Relu")
def relu(x: Node) -> Node:
    return activations.relu(x) if x.row.is_inexact else maximum(x, 0)


@operator("LeakyRelu")
def leaky_relu(x: Node, *, alpha: float = 0.01) -> Node:
    return where(x < 0, x * alpha, x)


@operator("PRelu", since=7)
def prelu(x: Node, slope: Node) -> Node:
    return where(x < 0, x * slope, x)


@operator("PRelu")
def early_prelu(x: Node, slope: Node) -> Node:
    """A vector of slopes lies along axis 1."""
    if slope.ndim == 1 and x.ndim > 2:
        slope = reshape(slope, (-1, *(1,) * (x.ndim - 2)))
    return where(x < 0, x * slope, x)


@operator("Elu")
def elu(x: Node, *, alpha: float = 1.0) -> Node:
    return activations.elu(x, alpha)


@operator("Selu")
def selu(x: Node, *, alpha: float = 1.6732631921768188, gamma: float = 1.0507010221481323) -> Node:
    return gamma * activations.elu(x, alpha)


@operator("Celu", since=12)
def celu(x: Node, *, alpha: float = 1.0) -> Node:
    return activations.celu(x, alpha)


@operator("Gelu", since=20)
def gelu(x: Node, *, approximate: str = "none") -> Node:
    if approximate not in ("none", "tanh"):
        raise Refused(f"the approximation {approximate!r}")
    return activations.gelu_tanh(x) if approximate == "tanh" else activations.gelu_erf(x)


@operator("HardSigmoid")
def hard_sigmoid(x: Node, *, alpha: float = 0.2, beta: float = 0.5) -> Node:
    return minimum(maximum(x * alpha + beta, 0), 1)


@operator("HardSwish", since=14)
def hard_swish(x: Node) -> Node:
    return x * minimum(maximum(x / 6 + 0.5, 0), 1)


@operator("Swish", since=24)
def swish(x: Node, *, alpha: float = 1.0) -> Node:
    return x * math.sigmoid(x * alpha)


@operator("ThresholdedRelu")
def thresholded_relu(x: Node, *, alpha: float = 1.0) -> Node:
    return where(x > alpha, x, constant(0, x.row))


@operator("Shrink", since=9)
def shrink(x: Node, *, bias: float = 0.0, lambd: float = 0.5) -> Node:
    shifted = where(x < -lambd, x + bias, where(x > lambd, x - bias, 0.0))
    return astype(shifted, x.row)


@operator("Clip", since=11)
def clip(x: Node, least: Node | None = None, most: Node | None = None) -> Node:
    x = x if least is None else maximum(x, least)
    return x if most is None else minimum(x, most)


@operator("Clip")
def early_clip(x: Node, *, min: float | None = None, max: float | None = None) -> Node:
    x = x if min is None else maximum(x, min)
    return x if max is None else minimum(x, max)


@operator("IsInf", since=10)
def is_inf(x: Node, *, detect_negative: int = 1, detect_positive: int = 1) -> Node:
    found = comparison.isinf(x)
    if not detect_negative:
        found = found & (x > 0)
    return found if detect_positive else found & (x < 0)


@operator("Where", since=9)
def choose(condition: Node, x: Node, y: Node) -> Node:
    return where(condition, x, y)


# Types


@operator("Cast", since=6)
def cast(at: Call, x: Node, *, to: int, saturate: int = 1, round_mode: str = "up") -> Node:
    return converted(x, at.row(to))


@operator("Cast")
def early_cast(at: Call, x: Node, *, to: Any) -> Node:
    return converted(x, at.row(to if isinstance(to, int) else _NUMBERS.get(str(to).upper(), -1)))


_NUMBERS = {"FLOAT": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "BOOL": 9,
            "FLOAT16": 10, "DOUBLE": 11, "UINT32": 12, "UINT64": 13}  # fmt: skip


@operator("CastLike", since=15)
def cast_like(x: Node, like: Node, *, saturate: int = 1, round_mode: str = "up") -> Node:
    return converted(x, like.row)


def converted(x: Node, row: DType) -> Node:
    return x != 0 if row is BOOL and x.row is not BOOL else cast_to(x, row)


@operator("Dropout", since=12)
def dropout(
    at: Call, x: Node, ratio: Node | None = None, training: Node | None = None, *, seed: int = 0
) -> list[Node]:
    """What it is outside training: its input, and a mask of True."""
    if training is not None and bool(at.number(training)) and (ratio is None or at.number(ratio) != 0):
        raise Refused("dropout in training, which is random")
    return [x, _all_true(x)]


def _all_true(x: Node) -> Node:
    return comparison.isnan(x) | True


@operator("Dropout", since=1)
def early_dropout(at: Call, x: Node, *, ratio: float = 0.5, is_test: int = 1) -> list[Node]:
    """Before opset 12 the mask has the type of the input; before opset 10 it was not said what it is."""
    mask = _all_true(x)
    return [x, mask if at.opset >= 10 else astype(mask, x.row)]


@operator("LogSoftmax", "Softmax", "Hardmax", since=13)
def softmax(at: Call, x: Node, *, axis: int = -1) -> Node:
    return _along(at.operator, x, axis)


@operator("LogSoftmax", "Softmax", "Hardmax", since=1)
def early_softmax(at: Call, x: Node, *, axis: int = 1) -> Node:
    """Over all axes from one on, as if they were one."""
    front = axis % x.ndim if axis != x.ndim else axis
    rows = as_node(reshape(x, (_count(x.shape[:front]), _count(x.shape[front:]))))
    return reshape(_along(at.operator, rows, 1), x.shape)


def _count(sizes: Any) -> Any:
    total = 1
    for size in sizes:
        total = total * size
    return total


def _along(name: str, x: Node, axis: int) -> Node:
    if name == "Softmax":
        return softmax_of(x, axis)
    if name == "LogSoftmax":
        return log_softmax(x, axis)
    place = axis % x.ndim
    return one_hot(argmax(x, place), x.shape[place], x.row, place)
