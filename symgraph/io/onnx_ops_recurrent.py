"""ONNX's recurrent layers, as loops over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.graph.node import Node
from symgraph.io.onnx_call import Call
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import activations, shape
from symgraph.ops.arithmetic import maximum, minimum, where
from symgraph.ops.create import iota, zeros
from symgraph.ops.index import index
from symgraph.ops.join import split, stack
from symgraph.ops.linalg import matmul
from symgraph.ops.loops import scan
from symgraph.ops.math import sigmoid, softplus
from symgraph.ops.transcendental import tanh

Activation = Callable[[Node], Node]
State = tuple[Node, ...]

_PLAIN: dict[str, Activation] = {
    "Tanh": tanh, "Sigmoid": sigmoid, "Relu": activations.relu, "Softsign": activations.softsign, "Softplus": softplus,
}  # fmt: skip
_SHAPED: dict[str, tuple[Callable[[Node, float, float], Node], float, float]] = {
    "LeakyRelu": (lambda x, a, b: where(x < 0, x * a, x), 0.01, 0.0),
    "ThresholdedRelu": (lambda x, a, b: where(x > a, x, 0.0), 1.0, 0.0),
    "Elu": (lambda x, a, b: activations.elu(x, a), 1.0, 0.0),
    "HardSigmoid": (lambda x, a, b: minimum(maximum(x * a + b, 0), 1), 0.2, 0.5),
    "ScaledTanh": (lambda x, a, b: a * tanh(b * x), 1.0, 1.0),
    "Affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
}
"""The functions that take parameters, and the values that these have where they are left out."""


def _activations(
    names: Sequence[str], alpha: Sequence[float] | None, beta: Sequence[float] | None, clip: float | None
) -> list[Activation]:
    alphas, betas = list(alpha or ()), list(beta or ())
    return [_activation(name, alphas, betas, clip) for name in names]


def _activation(name: str, alphas: list[float], betas: list[float], clip: float | None) -> Activation:
    known = {key.lower(): key for key in (*_PLAIN, *_SHAPED)}
    if name.lower() not in known:
        raise Refused(f"the activation {name!r}")
    name = known[name.lower()]
    if name in _PLAIN:
        plain = _PLAIN[name]
    else:
        shaped, a, b = _SHAPED[name]
        a = alphas.pop(0) if alphas else a
        b = betas.pop(0) if betas and name in ("HardSigmoid", "ScaledTanh", "Affine") else b

        def plain(x: Node) -> Node:
            return shaped(x, a, b)

    return plain if clip is None else lambda x: plain(minimum(maximum(x, -clip), clip))


def _layer(
    at: Call,
    x: Node,
    sequence_lens: Node | None,
    states: Sequence[Node | None],
    direction: str,
    layout: int,
    hidden: int,
    step: Callable[[int, Node, State], State],
) -> list[Node]:
    """The outputs of a recurrent layer: the first states of every step, and the last ones of each.

    ``step`` takes the number of the direction, a row of ``x`` and the states. A sequence that is shorter than the
    others keeps its states from its end on, and its further outputs are 0.
    """
    if direction not in ("forward", "reverse", "bidirectional"):
        raise Refused(f"the direction {direction!r}")
    if layout:
        x = shape.swapaxes(x, 0, 1)
        states = [None if each is None else shape.swapaxes(each, 0, 1) for each in states]
    steps, batch = x.shape[:2]
    outputs, lasts = [], []
    ways = ("forward", "reverse") if direction == "bidirectional" else (direction,)
    for place, way in enumerate(ways):
        first = tuple(
            zeros((batch, hidden), x.row) if each is None else index(each, place) for each in states
        )
        backwards = way == "reverse"

        def turn(carry: State, row: Any, place: int = place) -> tuple[State, Node]:
            number, values = row
            after = step(place, values, carry)
            if sequence_lens is None:
                return after, after[0]
            runs = shape.expand_dims(number < sequence_lens, 1)
            kept = tuple(where(runs, new, old) for new, old in zip(after, carry, strict=True))
            return kept, where(runs, after[0], 0.0)

        last, rows = scan(turn, first, (iota(steps), x), reverse=backwards)
        outputs.append(rows)
        lasts.append(last)
    everything = stack(outputs, axis=1)
    ends = [stack(list(column), axis=0) for column in zip(*lasts, strict=True)]
    if layout:
        everything = shape.transpose(everything, (2, 0, 1, 3))
        ends = [shape.swapaxes(each, 0, 1) for each in ends]
    return [everything, *ends]


def _names(given: Sequence[str] | None, usual: Sequence[str], direction: str) -> Sequence[str]:
    return given if given else tuple(usual) * (2 if direction == "bidirectional" else 1)


def _biases(bias: Node | None, place: int, parts: int) -> list[Node | float]:
    """The biases of the inputs' gates and of the states' gates, of one direction."""
    if bias is None:
        return [0.0] * (2 * parts)
    return list(split(index(bias, place), 2 * parts))


@operator("RNN")
def rnn(
    at: Call, x: Node, w: Node, r: Node, bias: Node | None = None, lens: Node | None = None,
    initial: Node | None = None, *,
    activations: Sequence[str] | None = None, activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None, clip: float | None = None, direction: str = "forward",
    hidden_size: int = 0, layout: int = 0, output_sequence: int = 0,
) -> list[Node]:  # fmt: skip
    hidden = _hidden(r)
    functions = _activations(
        _names(activations, ("Tanh",), direction), activation_alpha, activation_beta, clip
    )

    def step(place: int, row: Node, state: State) -> State:
        wb, rb = _biases(bias, place, 1)
        (h,) = state
        gate = _times(row, w, place) + _times(h, r, place) + (wb + rb)
        return (functions[place](gate),)

    return _layer(at, x, lens, [initial], direction, layout, hidden, step)


@operator("GRU", since=3)
def gru(
    at: Call, x: Node, w: Node, r: Node, bias: Node | None = None, lens: Node | None = None,
    initial: Node | None = None, *,
    activations: Sequence[str] | None = None, activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None, clip: float | None = None, direction: str = "forward",
    hidden_size: int = 0, layout: int = 0, linear_before_reset: int = 0, output_sequence: int = 0,
) -> list[Node]:  # fmt: skip
    hidden = _hidden(r)
    functions = _activations(
        _names(activations, ("Sigmoid", "Tanh"), direction), activation_alpha, activation_beta, clip
    )

    def step(place: int, row: Node, state: State) -> State:
        f, g = functions[2 * place : 2 * place + 2]
        wbz, wbr, wbh, rbz, rbr, rbh = _biases(bias, place, 3)
        (h,) = state
        xz, xr, xh = split(_times(row, w, place), 3, axis=1)
        rz, rr, rh = split(index(r, place), 3, axis=0)
        z = f(xz + matmul(h, shape.transpose(rz)) + (wbz + rbz))
        reset = f(xr + matmul(h, shape.transpose(rr)) + (wbr + rbr))
        if linear_before_reset:
            new = g(xh + reset * (matmul(h, shape.transpose(rh)) + rbh) + wbh)
        else:
            new = g(xh + matmul(reset * h, shape.transpose(rh)) + (rbh + wbh))
        return ((1 - z) * new + z * h,)

    return _layer(at, x, lens, [initial], direction, layout, hidden, step)


@operator("LSTM")
def lstm(
    at: Call, x: Node, w: Node, r: Node, bias: Node | None = None, lens: Node | None = None,
    initial_h: Node | None = None, initial_c: Node | None = None, peepholes: Node | None = None, *,
    activations: Sequence[str] | None = None, activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None, clip: float | None = None, direction: str = "forward",
    hidden_size: int = 0, input_forget: int = 0, layout: int = 0, output_sequence: int = 0,
) -> list[Node]:  # fmt: skip
    hidden = _hidden(r)
    functions = _activations(
        _names(activations, ("Sigmoid", "Tanh", "Tanh"), direction), activation_alpha, activation_beta, clip
    )

    def step(place: int, row: Node, state: State) -> State:
        f, g, last = functions[3 * place : 3 * place + 3]
        biases = _biases(bias, place, 4)
        h, c = state
        gates = split(_times(row, w, place) + _times(h, r, place), 4, axis=1)
        i, o, forget, cell = (gate + (biases[k] + biases[4 + k]) for k, gate in enumerate(gates))
        looks: list[Any] = [0.0] * 3 if peepholes is None else list(split(index(peepholes, place), 3))
        i = f(i + looks[0] * c)
        forget = 1 - i if input_forget else f(forget + looks[2] * c)
        c = forget * c + i * g(cell)
        return f(o + looks[1] * c) * last(c), c

    return _layer(at, x, lens, [initial_h, initial_c], direction, layout, hidden, step)


def _times(x: Node, weights: Node, place: int) -> Node:
    return matmul(x, shape.transpose(index(weights, place)))


def _hidden(r: Node) -> int:
    size = r.shape[-1]
    if not isinstance(size, int):
        raise Refused(f"weights of the type {r.type}, whose sizes are not known")
    return size
