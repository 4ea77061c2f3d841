"""Losses of predictions, one for each example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.ops.annotations import ArrayLike, Slopes
from symgraph.ops.arithmetic import where
from symgraph.ops.axes import one_axis
from symgraph.ops.cases import case, draw, elementwise_cases
from symgraph.ops.declare import FLOAT, FLOATS, elementwise, macro
from symgraph.ops.index import take_along_axis
from symgraph.ops.math import clip, sigmoid, softplus
from symgraph.ops.reduce import sum
from symgraph.ops.shape import expand_dims, squeeze
from symgraph.ops.softmax import log_softmax


def _cross_entropy_reference(logits: Any, labels: Any, axis: Any = -1) -> Any:
    labels = np.asarray(labels)
    scores = logits - np.max(logits, axis=axis, keepdims=True)
    scores = scores - np.log(np.sum(np.exp(scores), axis=axis, keepdims=True))
    if labels.dtype.kind in "iu":
        return -np.take_along_axis(scores, np.expand_dims(labels, axis), axis).squeeze(axis)
    return -np.sum(labels * scores, axis=axis)


@macro(
    dtypes=FLOATS, reference=_cross_entropy_reference, tolerance=32,
    cases=[
        case(draw(4, 3), draw(4, dtype="int64", interval=(0, 2))),
        case(draw(4, 3), [0, 2, 1, 0], symbolic=False),
        case(draw(3), 1),
        case(draw(2, 3, 2), draw(2, 2, dtype="uint8", interval=(0, 2)), axis=1),
        case(draw(0, 3), draw(0, dtype="int32")),
        case(draw(2, 3), draw(2, 3)),
        case(draw(2, 3), draw(2, 3), axis=0),
    ],
)  # fmt: skip
def cross_entropy(logits: ArrayLike, labels: ArrayLike, axis: int = -1) -> Node:
    """``-log softmax(logits)`` at the labels along an axis: integers, or probabilities in the shape of the logits.

    One value for each example, from logits: nothing is lost where a probability is 0 or 1. A class of probability 0
    costs nothing, even where its logit is -inf. Integers below 0 count from the last class.

    >>> evaluate(cross_entropy([[0.0, 0.0], [1000.0, 0.0]], [0, 1]))
    array([6.93147181e-01, 1.00000000e+03])

    Raises DTypeError for labels that are neither integers nor floats, ShapeError for other shapes, OutOfBoundsError at
    the call for an integer that is no class.
    """
    logits, labels = as_node(logits), as_node(labels)
    place = one_axis(axis, logits)
    scores = log_softmax(logits, axis=place)
    if labels.row.is_integer:
        _check_shape(labels, (*logits.shape[:place], *logits.shape[place + 1 :]), "integer labels", logits)
        return -squeeze(take_along_axis(scores, expand_dims(labels, place), axis=place), place)
    if not labels.row.is_float:
        raise DTypeError(f"labels are integers or probabilities, not {labels.row.name}")
    _check_shape(labels, logits.shape, "probabilities", logits)
    impossible = (labels == 0) & (scores == -np.inf)  # a logit of -inf masks a class
    return -sum(labels * where(impossible, 0, scores), axis=place)


def _check_shape(labels: Node, shape: Sequence[Dim], what: str, logits: Node) -> None:
    pairs = zip(labels.shape, shape, strict=False)
    if labels.ndim != len(shape) or any(same(a, b) is False for a, b in pairs):
        wanted, given = (", ".join(map(str, sizes)) for sizes in (shape, labels.shape))
        raise ShapeError(f"{what} for {logits.type} have shape [{wanted}], not [{given}]")


@elementwise(
    FLOAT,
    sample=((-5, 5), (0.1, 0.9)),
    reference=lambda x, t: np.logaddexp(0, x).astype(x.dtype) - x * t,
    tolerance=8,
)
def binary_cross_entropy(logits: Node, targets: Node) -> Node:
    """``-t log p - (1 - t) log(1 - p)`` for ``p = sigmoid(logits)``, elementwise; from logits, nothing overflows.

    >>> evaluate(binary_cross_entropy([0.0, 1000.0], [1.0, 1.0]))
    array([0.69314718, 0.        ])
    """
    hit = where(targets == 0, 0, targets * softplus(-logits))
    return hit + where(targets == 1, 0, (1 - targets) * softplus(logits))


@binary_cross_entropy.vjp
def _(g: Node, logits: Node, targets: Node, out: Node) -> Slopes:
    return g * ((1 - targets) * sigmoid(logits) - targets * sigmoid(-logits)), -g * logits


def _huber_reference(prediction: Any, target: Any) -> Any:
    error = np.abs(prediction - target)
    return np.where(error <= 1, error**2 / 2, error - error.dtype.type(0.5))


@elementwise(
    FLOAT, cases=elementwise_cases(2), sample=((-3, 0), (0.2, 3)), tolerance=4, reference=_huber_reference
)
def huber(prediction: Node, target: Node, delta: Node | float = 1.0) -> Node:
    """Half the squared error up to ``delta``, and linear beyond it. Huber, Ann. Math. Statist. 35 (1964).

    >>> evaluate(huber([0.5, 3.0], 0.0))
    array([0.125, 2.5  ])
    """
    error = prediction - target
    near = clip(error, -delta, delta)
    return near * (error - 0.5 * near)
