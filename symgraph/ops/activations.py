"""Activations of networks, each declared by its body."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError
from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.ops.annotations import ArrayLike, Slopes
from symgraph.ops.arithmetic import abs, maximum, minimum, sign, where
from symgraph.ops.cases import elementwise_cases
from symgraph.ops.comparison import isinf
from symgraph.ops.declare import FLOAT, FLOATS, REAL, elementwise, macro
from symgraph.ops.math import clip, sigmoid, softplus
from symgraph.ops.scipy_door import special
from symgraph.ops.special import bell, ndtr
from symgraph.ops.transcendental import expm1, tanh


@elementwise(REAL, onnx="Relu", reference=lambda x: np.maximum(x, 0))
def relu(x: Node) -> Node:
    """``max(x, 0)``; the slope at 0 is 0.

    >>> evaluate(relu([-1.0, 2.0]))
    array([0., 2.])
    """
    return maximum(x, 0)


@relu.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return where(x > 0, g, 0)


@elementwise(FLOAT, reference=lambda x: np.minimum(np.maximum(x, 0), 6), sample=(-3, 9))
def relu6(x: Node) -> Node:
    """``min(max(x, 0), 6)``.

    >>> evaluate(relu6([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return minimum(maximum(x, 0), 6)


@relu6.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return where((x > 0) & (x < 6), g, 0)


@elementwise(
    FLOAT,
    onnx="LeakyRelu",
    cases=elementwise_cases(1),
    reference=lambda x: np.where(x >= 0, x, x * x.dtype.type(0.01)),
)
def leaky_relu(x: Node, negative_slope: Node | float = 0.01) -> Node:
    """``x`` where positive, else ``negative_slope * x``.

    >>> evaluate(leaky_relu([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    number = uniform(as_node(negative_slope))
    if number is not None and 0 < number <= 1:
        return maximum(x, negative_slope * x)
    return where(x >= 0, x, negative_slope * minimum(x, 0))


@leaky_relu.vjp
def _(g: Node, x: Node, negative_slope: Node, out: Node) -> Slopes:
    return where(x >= 0, g, g * negative_slope), g * minimum(x, 0)


@elementwise(
    FLOAT, onnx="Elu", cases=elementwise_cases(1), reference=lambda x: np.where(x > 0, x, np.expm1(x))
)
def elu(x: Node, alpha: Node | float = 1.0) -> Node:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``. Clevert, Unterthiner and Hochreiter, ICLR 2016.

    >>> evaluate(elu([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    return where(x > 0, x, alpha * expm1(where(x > 0, 0, x)))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


@elementwise(
    FLOAT,
    onnx="Selu",
    reference=lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)),
    tolerance=4,
)
def selu(x: Node) -> Node:
    """The scaled ``elu`` that keeps mean and variance. Klambauer et al., NeurIPS 2017.

    >>> evaluate(selu([0.0, 1.0]))
    array([0.        , 1.05070099])
    """
    return _SELU_SCALE * where(x > 0, x, _SELU_ALPHA * expm1(where(x > 0, 0, x)))


@elementwise(
    FLOAT, cases=elementwise_cases(1), reference=lambda x: np.maximum(x, 0) + np.minimum(0, np.expm1(x))
)
def celu(x: Node, alpha: Node | float = 1.0) -> Node:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``. Barron, 2017.

    >>> evaluate(celu([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    return where(x > 0, x, alpha * expm1(where(x > 0, 0, x) / alpha))


@macro(dtypes=FLOATS, cases=elementwise_cases(1), reference=lambda x: _gelu_reference(x), tolerance=16)
def gelu(x: ArrayLike, approximate: bool = False) -> Node:
    """``x * P(X <= x)`` for a normal X, or its approximation by tanh. Hendrycks and Gimpel, 2016.

    >>> evaluate(gelu([-1.0, 1.0]))
    array([-0.15865525,  0.84134475])
    """
    if not isinstance(approximate, bool):
        raise ArgumentError(f"approximate is True or False, not {approximate!r}")
    return gelu_tanh(x) if approximate else gelu_erf(x)


def _gelu_reference(x: Any) -> Any:
    return x * special("ndtr")(x)


@elementwise(FLOAT, onnx="Gelu", reference=_gelu_reference, tolerance=16)
def gelu_erf(x: Node) -> Node:
    """``gelu`` by the error function: exact, in the far tail too.

    >>> evaluate(gelu_erf([-10.0]))
    array([-7.61985302e-23])
    """
    return maximum(x, -100) * ndtr(x)  # where x is less this is 0, at -inf too, where x * ndtr(x) is NaN


@gelu_erf.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (ndtr(x) + clip(x, -100, 100) * bell(x, 0.5) / math.sqrt(2 * np.pi))


@elementwise(
    FLOAT, tolerance=64,
    reference=lambda x: x / (1 + np.exp(-2 * (2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
)  # fmt: skip
def gelu_tanh(x: Node) -> Node:
    """``gelu`` by ``tanh(√(2/π) (x + 0.044715 x³))``.

    >>> evaluate(gelu_tanh([-1.0, 1.0]))
    array([-0.15880801,  0.84119199])
    """
    near = clip(x, -100, 100)
    return maximum(x, -100) * sigmoid(_TANH_SCALE * (near + 0.044715 * near * near * near))


@gelu_tanh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    near = clip(x, -100, 100)
    inner = _TANH_SCALE * (near + 0.044715 * near * near * near)
    slope = _TANH_SCALE * (1 + 3 * 0.044715 * near * near)
    return g * (sigmoid(inner) + near * slope * sigmoid(inner) * sigmoid(-inner))


_TANH_SCALE = 2 * math.sqrt(2 / np.pi)


@elementwise(FLOAT, reference=lambda x: x / (1 + np.exp(-x)))
def silu(x: Node) -> Node:
    """``x * sigmoid(x)``, also called swish.

    >>> evaluate(silu([-1000.0, 1.0]))
    array([-0.        ,  0.73105858])
    """
    return maximum(x, -1000) * sigmoid(x)


@silu.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return g * (sigmoid(x) + clip(x, -1000, 1000) * sigmoid(x) * sigmoid(-x))


@elementwise(FLOAT, onnx="Mish", reference=lambda x: x * np.tanh(np.log1p(np.exp(x))), tolerance=4)
def mish(x: Node) -> Node:
    """``x * tanh(softplus(x))``. Misra, BMVC 2020.

    >>> evaluate(mish([-1000.0, 1.0]))
    array([-0.        ,  0.86509839])
    """
    return maximum(x, -1000) * tanh(softplus(x))


@mish.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    gate = tanh(softplus(x))
    return g * (gate + clip(x, -1000, 1000) * (1 - gate * gate) * sigmoid(x))


@elementwise(
    FLOAT, onnx="HardSigmoid", reference=lambda x: np.clip((x + 3) / 6, 0, 1), sample=(-5, 5), tolerance=4
)
def hard_sigmoid(x: Node) -> Node:
    """``min(max(x + 3, 0), 6) / 6``.

    >>> evaluate(hard_sigmoid([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return relu6(x + 3) / 6


@elementwise(
    FLOAT, onnx="HardSwish", reference=lambda x: x * np.clip((x + 3) / 6, 0, 1), sample=(-5, 5), tolerance=4
)
def hard_swish(x: Node) -> Node:
    """``x * hard_sigmoid(x)``. Howard et al., ICCV 2019.

    >>> evaluate(hard_swish([-4.0, 1.0, 4.0]))
    array([-0.        ,  0.66666667,  4.        ])
    """
    return maximum(x, -3) * hard_sigmoid(x)


@elementwise(FLOAT, reference=lambda x: np.clip(x, -1, 1))
def hard_tanh(x: Node) -> Node:
    """``min(max(x, -1), 1)``.

    >>> evaluate(hard_tanh([-4.0, 0.5]))
    array([-1. ,  0.5])
    """
    return minimum(maximum(x, -1), 1)


@hard_tanh.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    return where(abs(x) > 1, 0, g)


@elementwise(FLOAT, onnx="Softsign", reference=lambda x: x / (1 + np.abs(x)))
def softsign(x: Node) -> Node:
    """``x / (1 + |x|)``.

    >>> evaluate(softsign([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return where(isinf(x), sign(x), x / (1 + abs(x)))


@softsign.vjp
def _(g: Node, x: Node, out: Node) -> Slopes:
    scale = 1 + abs(x)
    return g / scale / scale
