"""ONNX's normalizations."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.io.onnx_call import Call
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import arithmetic, reduce, shape
from symgraph.ops.arithmetic import where
from symgraph.ops.declare import cast_to
from symgraph.ops.index import index
from symgraph.ops.join import pad
from symgraph.ops.statistics import mean, var
from symgraph.ops.transcendental import pow, sqrt


def _by_channel(x: Node, like: Node) -> Node:
    """A vector along axis 1 of another array."""
    return shape.reshape(x, (1, -1, *(1,) * (like.ndim - 2)))


def _normalized(x: Node, middle: Node, spread: Node, scale: Node, bias: Node, epsilon: float) -> Node:
    middle, spread, scale, bias = (_by_channel(each, x) for each in (middle, spread, scale, bias))
    return cast_to((x - middle) / sqrt(spread + epsilon) * scale + bias, x.row)


@operator("BatchNormalization", since=14)
def batch_normalization(
    x: Node, scale: Node, bias: Node, middle: Node, spread: Node, *,
    epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0,
) -> list[Node]:  # fmt: skip
    """In training, by the mean and variance of the batch; these move the running ones, the further results."""
    if not training_mode:
        return [_normalized(x, middle, spread, scale, bias, epsilon)]
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    own_mean, own_var = mean(x, axes), var(x, axes)
    return [
        _normalized(x, own_mean, own_var, scale, bias, epsilon),
        cast_to(middle * momentum + own_mean * (1 - momentum), middle.row),
        cast_to(spread * momentum + own_var * (1 - momentum), spread.row),
    ]


@operator("BatchNormalization")
def early_batch_normalization(
    x: Node, scale: Node, bias: Node, middle: Node, spread: Node, *,
    epsilon: float = 1e-5, momentum: float = 0.9, spatial: int = 1, is_test: int = 1,
) -> Node:  # fmt: skip
    """As it is outside training; before opset 9 each place can have a mean of its own."""
    if not spatial:
        return (x - middle) / sqrt(spread + epsilon) * scale + bias
    return _normalized(x, middle, spread, scale, bias, epsilon)


@operator("InstanceNormalization")
def instance_normalization(x: Node, scale: Node, bias: Node, *, epsilon: float = 1e-5) -> Node:
    axes = tuple(range(2, x.ndim))
    middle, spread = mean(x, axes, keepdims=True), var(x, axes, keepdims=True)
    return (x - middle) / sqrt(spread + epsilon) * _by_channel(scale, x) + _by_channel(bias, x)


@operator("GroupNormalization", since=21)
def group_normalization(
    at: Call, x: Node, scale: Node, bias: Node, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Node:
    """The channels in groups, each normalized; scale and bias are those of channels."""
    groups = shape.reshape(cast_to(x, at.row(stash_type)), (x.shape[0], num_groups, -1))
    middle, spread = mean(groups, 2, keepdims=True), var(groups, 2, keepdims=True)
    even = shape.reshape((groups - middle) / sqrt(spread + epsilon), x.shape)
    return cast_to(even, x.row) * _by_channel(scale, x) + _by_channel(bias, x)


@operator("LayerNormalization", since=17)
def layer_normalization(
    at: Call, x: Node, scale: Node, bias: Node | None = None, *,
    axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1,
) -> list[Node]:  # fmt: skip
    """Over all axes from one on; the further results are the mean and the inverse deviation."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    wide = cast_to(x, at.row(stash_type))
    middle, spread = mean(wide, axes, keepdims=True), var(wide, axes, keepdims=True)
    inverse = 1 / sqrt(spread + epsilon)
    even = cast_to((wide - middle) * inverse, x.row) * scale
    return [even if bias is None else even + bias, middle, inverse]


@operator("RMSNormalization", since=23)
def rms_normalization(
    at: Call, x: Node, scale: Node, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Node:
    axes = tuple(range(axis % x.ndim, x.ndim))
    wide = cast_to(x, at.row(stash_type))
    even = wide / sqrt(mean(wide * wide, axes, keepdims=True) + epsilon)
    return cast_to(even, scale.row) * scale


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalization(at: Call, x: Node, *, axes: Sequence[int] = (0, 2, 3)) -> Node:
    chosen = tuple(sorted(at.axes(axes, x.ndim) or ()))
    middle = mean(x, chosen, keepdims=True)
    spread = mean(x * x, chosen, keepdims=True) - middle * middle
    return (x - middle) / (sqrt(spread) + 1e-9)


@operator("LpNormalization")
def lp_normalization(x: Node, *, axis: int = -1, p: int = 2) -> Node:
    """Divided by its norm along an axis; what has the norm 0 stays."""
    if p not in (1, 2):
        raise Refused(f"the norm of order {p}")
    if p == 1:
        size = reduce.sum(arithmetic.abs(x), axis, keepdims=True)
    else:
        size = sqrt(reduce.sum(x * x, axis, keepdims=True))
    return where(size == 0, constant(0, x.row), x / where(size == 0, constant(1, x.row), size))


@operator("LRN")
def local_response_normalization(
    x: Node, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Node:
    """Divided by a power of the sum of squares of the channels around each."""
    before = (size - 1) // 2
    squares = pad(x * x, [(before, size - 1 - before) if axis == 1 else (0, 0) for axis in range(x.ndim)])
    channels = x.shape[1]
    total = index(squares, (slice(None), slice(0, channels)))
    for place in range(1, size):
        total = total + index(squares, (slice(None), slice(place, place + channels)))
    return x / pow(bias + alpha / size * shape.reshape(total, x.shape), beta)
