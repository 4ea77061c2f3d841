"""Which elements of a graph need which: back from results, and forward from elements in doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from symgraph.debug.exact_functions import FUNCTIONS
from symgraph.debug.exact_numbers import Array
from symgraph.debug.exact_run import Program, attributes
from symgraph.graph.dims import Size
from symgraph.graph.node import Node

Shape = tuple[int, ...]

MOVES = frozenset(
    {"stop_gradient", "broadcast_to", "reshape", "expand_dims", "squeeze", "transpose", "index"}
)
"""Ops whose elements are some of their input's."""

REDUCTIONS = frozenset({"sum", "prod", "max", "supremum", "min", "norm"})


def needed(
    program: Program, results: Mapping[Node, Array], values: Mapping[Node, Any]
) -> dict[Node, Array] | None:
    """A mask for each node of which elements are needed, given those of the results and the values of a run.

    None where the shapes of another run may differ, so that all has to run.
    """
    if any(node.op.binds_sizes for node in program.order):
        return None
    sizes = program.sizes()
    masks: dict[Node, Array] = {}

    def need(node: Node, mask: Array) -> None:
        masks[node] = mask | masks[node] if node in masks else mask

    for node, mask in results.items():
        need(node, mask)
    for node in reversed(program.order):
        if node not in masks or node in program.given:
            continue
        if node in program.bodies:
            need(program.bodies[node], masks[node])
            continue
        for x, mask in zip(node.inputs, _sources(node, masks[node], values, sizes), strict=True):
            need(x, mask)
    return masks


def reached(
    program: Program, doubtful: Mapping[Node, Array], values: Mapping[Node, Any]
) -> dict[Node, Array]:
    """A mask for each node of which elements come from doubtful ones or are doubtful."""
    sizes = program.sizes()
    masks = dict(doubtful)
    for node in program.order:
        if node in program.given or node not in values:
            continue
        body = program.bodies.get(node)
        if body is not None:
            if body in masks:
                masks[node] = masks[body]
        elif any(x in masks for x in node.inputs):
            inputs = [masks.get(x, np.zeros(_shape(values[x]), bool)) for x in node.inputs]
            mask = np.broadcast_to(_results(node, inputs, sizes), _shape(values[node]))
            masks[node] = mask | masks[node] if node in masks else mask
    return masks


def _results(node: Node, inputs: list[Array], sizes: Mapping[Size, int]) -> Array:
    """The elements that come from these of the inputs."""
    name = node.op.name
    if name in FUNCTIONS or name == "where":
        return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*inputs)))
    if name in MOVES and len(inputs) == 1:
        assert node.op.numpy is not None
        return np.asarray(node.op.numpy(inputs[0], **attributes(node, sizes)))
    if name in REDUCTIONS:
        attrs = attributes(node, sizes)
        return np.asarray(inputs[0].any(axis=attrs["axes"], keepdims=attrs["keepdims"]))
    return np.asarray(any(mask.any() for mask in inputs))


def _shape(value: Any) -> Shape:
    return value.shape if isinstance(value, np.ndarray) else ()


def _sources(
    node: Node, mask: Array, values: Mapping[Node, Any], sizes: Mapping[Size, int]
) -> Iterator[Array]:
    """The elements of each input that these elements of the node come from."""
    name = node.op.name
    shapes = [_shape(values[x]) for x in node.inputs]
    if name in FUNCTIONS or name == "where":
        yield from (_before_broadcast(mask, shape) for shape in shapes)
    elif name in MOVES and len(shapes) == 1:
        yield _before_move(node, mask, shapes[0], sizes)
    elif name in REDUCTIONS:
        attrs = attributes(node, sizes)
        kept = mask if attrs["keepdims"] else np.expand_dims(mask, attrs["axes"])
        yield np.broadcast_to(kept, shapes[0])
    else:
        yield from (np.ones(shape, bool) for shape in shapes)


def _before_broadcast(mask: Array, shape: Shape) -> Array:
    lead = mask.ndim - len(shape)
    axes = tuple(i for i in range(mask.ndim) if i < lead or (shape[i - lead] == 1 and mask.shape[i] != 1))
    return np.asarray(mask.any(axis=axes)).reshape(shape)


def _before_move(node: Node, mask: Array, shape: Shape, sizes: Mapping[Size, int]) -> Array:
    places = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    assert node.op.numpy is not None
    moved = np.asarray(node.op.numpy(places, **attributes(node, sizes)))
    found = np.zeros(places.size, bool)
    found[moved[mask]] = True
    return found.reshape(shape)
