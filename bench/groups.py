"""The groups of run.py: which workloads, at which sizes and dtypes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from models import Model, Training, gelu_network, logistic, network, sines, tanh_network, value_and_gradient
from workloads import CALLS, ELEMENTWISE, ROWS, Input, Workload, alike

Group = Callable[[Sequence[int], Sequence[str]], Iterator[Workload]]

SIZES = (1_000, 100_000, 10_000_000)
SHAPES = ((64, 100), (1000, 1000), (128, 50_000))
DTYPES = ("float32", "float64")


def elementwise(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    for size in sizes or SIZES:
        for dtype in dtypes:
            for each in ELEMENTWISE:
                yield replace(
                    each, dtype=np.dtype(dtype), sizes={"n": size}, label=f"{dtype}, {size:,} elements"
                )


def rows(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    for shape in SHAPES:
        if sizes and shape[0] * shape[1] not in sizes:
            continue
        for dtype in dtypes:
            for each in ROWS:
                label = f"{dtype}, {shape[0]} x {shape[1]}"
                yield replace(
                    each,
                    dtype=np.dtype(dtype),
                    sizes=dict(zip(("rows", "columns"), shape, strict=True)),
                    label=label,
                )


def forward(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    """784-512-512-10, as it is served."""
    model = network((784, 512, 512, 10))
    targets = {1: 1.4, 64: 1.1}
    for dtype in dtypes:
        for batch in (1, 64, 256):
            yield Workload(
                f"batch {batch}",
                lambda m, x, *weights: model.logits(m, weights, x),
                {"x": Input(("batch", 784)), **_weights(model.shapes)},
                np.dtype(dtype),
                {"batch": batch},
                f"{dtype}, MLP 784-512-512-10",
                weights=frozenset(model.shapes),
                target=targets.get(batch),
            )


def gradients(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    """Values with gradients, and steps of training."""
    for dtype in dtypes:
        for examples, features in ((1000, 20), (10_000, 100)):
            model = logistic(features)
            data = {"x": Input((examples, features)), "t": Input((examples,), (0.0, 1.0))}
            yield Workload(
                f"logistic regression, {examples} x {features}",
                value_and_gradient(model),
                {**_weights(model.shapes), **data},
                np.dtype(dtype),
                label=dtype,
            )
        layers = (64, 128, 128, 10)
        name = "GELU network 64-128-128-10, batch 64"
        yield _value_and_gradient(name, gelu_network(layers), layers, dtype)
        for layers in ((64, 64, 64, 10), (784, 256, 256, 10)):
            for optimizer in ("SGD", "Adam"):
                yield _step(layers, optimizer, dtype)
    if "float32" in dtypes and find_spec("torch"):  # which tells the processor
        step = _step((784, 256, 256, 10), "Adam", "float32")
        yield replace(step, name="MLP 784-256-256-10, Adam, denormals as 0", flushes=True)


def calls(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    for each in CALLS:
        yield replace(each, label="4 float32")


def compiling(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    """Programs whose first result is waited for."""
    for ops, target in ((5, 3e-3), (20, 6e-3), (100, 18e-3)):
        yield Workload(f"{ops} ops", kernel(ops), alike("x", 1000), label=COLD, target=target)
    layers = (784, 256, 256, 10)
    yield replace(_step(layers, "Adam", "float32"), name="MLP training step", label=COLD, target=60e-3)
    yield replace(_chain(1000), label=COLD, target=0.2)
    deep = network((64,) * 8 + (10,))
    yield replace(
        _value_and_gradient("8-layer MLP, value and gradient", deep, (64, 10), "float32"),
        label=COLD,
        target=10e-3,
    )


COLD = "cold first result"


def growth(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    """A chain, each time twice as long; it is built, differentiated, compiled and called once."""
    for size in sizes or (625, 1250, 2500, 5000, 10_000, 20_000):
        yield replace(
            _chain(size), label="chain of sin and its gradient", target=1.5 if size == 10_000 else None
        )


def memory(sizes: Sequence[int], dtypes: Sequence[str]) -> Iterator[Workload]:
    """Programs with large arrays."""
    label = "peak above arguments and results"
    large: Any = {"label": label, "tiny": {"n": 2}}
    inputs = alike("x", "n", between=(0.5, 1.0))
    yield Workload("20 ops on 10^7 float32", kernel(20), inputs, sizes={"n": 10**7}, **large)
    softmax = next(workload for workload in ROWS if workload.name == "softmax")
    table = {"x": Input(("n", 1000))}
    yield replace(softmax, name="softmax, 10,000 x 1000", inputs=table, sizes={"n": 10_000}, **large)
    layers = (256,) * 17 + (10,)
    deep = _value_and_gradient("16 layers of tanh, batch 4096", tanh_network(layers), layers, "float32")
    yield replace(
        deep,
        inputs={**deep.inputs, "x": Input(("n", 256)), "t": Input(("n",), (0.0, 10.0), "int64")},
        sizes={"n": 4096},
        **large,
    )


def kernel(ops: int) -> Callable[..., Any]:
    """One chain of so many operations, a fifth of them tanh."""

    def program(m: Any, x: Any) -> Any:
        y = x
        for place in range(ops):
            match place % 5:
                case 0:
                    y = y * x
                case 1:
                    y = y + 0.5
                case 2:
                    y = y * 0.7
                case 3:
                    y = y - x
                case 4:
                    y = m.tanh(y)
        return y

    return program


def _chain(length: int) -> Workload:
    return Workload(
        f"chain of {length:,} sin, value and gradient",
        value_and_gradient(sines(length)),
        alike("x", 8),
        np.dtype("float64"),
    )


def _value_and_gradient(name: str, model: Model, layers: Sequence[int], dtype: str) -> Workload:
    return Workload(
        name,
        value_and_gradient(model),
        {**_weights(model.shapes), **_examples(64, layers)},
        np.dtype(dtype),
        {"batch": 64},
        dtype,
        weights=frozenset(model.shapes),
    )


def _step(layers: Sequence[int], optimizer: str, dtype: str) -> Workload:
    training = Training(network(layers), optimizer)
    return Workload(
        f"MLP {'-'.join(map(str, layers))}, {optimizer} step, batch 64",
        training,
        {**_weights(training.model.shapes), **_zeros(training), **_examples(64, layers)},
        np.dtype(dtype),
        {"batch": 64},
        dtype,
        weights=frozenset((*training.model.shapes, *training.state)),
        updates=True,
        training=training,
    )


def _weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Input]:
    bounds = {name: (shape or (1,))[0] ** -0.5 for name, shape in shapes.items()}
    return {name: Input(shape, (-bounds[name], bounds[name])) for name, shape in shapes.items()}


def _zeros(training: Training) -> dict[str, Input]:
    return {name: Input(shape, (0.0, 0.0)) for name, shape in training.state.items()}


def _examples(batch: int, layers: Sequence[int]) -> dict[str, Input]:
    return {"x": Input(("batch", layers[0])), "t": Input(("batch",), (0.0, float(layers[-1])), "int64")}


GROUPS: Mapping[str, Group] = {
    "elementwise": elementwise,
    "rows": rows,
    "forward": forward,
    "gradients": gradients,
    "calls": calls,
    "compile": compiling,
    "growth": growth,
    "memory": memory,
}


def cases(request: Mapping[str, Any]) -> Iterator[tuple[int, Workload]]:
    """The workloads that are asked for, and their places in the group."""
    workloads = GROUPS[request["group"]](request["sizes"], request["dtypes"])
    for place, workload in enumerate(workloads):
        if re.search(request["only"], workload.name):
            yield place, workload
