"""``vmap``: a function of one array as a function of many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from symgraph.autodiff.batch import batched
from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.collector import paused
from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node, located
from symgraph.graph.op import as_node
from symgraph.graph.structure import flatten, is_single, unflatten
from symgraph.graph.trace import arguments
from symgraph.graph.types import TensorType
from symgraph.ops.axes import one_axis
from symgraph.ops.shape import moveaxis

Axes = int | None | Sequence[int | None]


def vmap(f: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """The function that does to every one of many arrays what ``f`` does to one.

    ``in_axes`` is the axis of the arguments along which there are many, None for what is the same for all, or one of
    these for each argument; ``out_axes`` is the axis along which results are stacked, or one for each. Arguments and
    results may be tuples, lists and dicts of arrays.

    There is no loop: an op of one array becomes an op of an array with an axis more. A loop goes on until all have
    ended, and where each chooses a way of its own, all ways are computed.

    >>> from symgraph import asarray, evaluate
    >>> distance = vmap(lambda x, y: ((x - y) ** 2).sum(), in_axes=(0, None))
    >>> evaluate(distance(asarray([[0.0, 0.0], [3.0, 4.0]]), asarray([0.0, 0.0])))
    array([ 0., 25.])

    Raises ArgumentError where no argument has an axis of many, ShapeError where they have different sizes.
    """

    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        leaves = [[as_node(x) for x in flatten(arg, is_single)] for arg in args]
        axes = _each(in_axes, len(args), "arguments")
        rows = [
            (x, None) if axis is None else (moveaxis(x, one_axis(axis, x), 0), x)
            for part, axis in zip(leaves, axes, strict=True)
            for x in part
        ]
        size = _size([x for x, moved in rows if moved is not None])
        types = [TensorType(x.row, x.shape[1:]) if moved is not None else x.tensor for x, moved in rows]
        with arguments(types) as stands:
            given = [
                stand if moved is not None else x for stand, (x, moved) in zip(stands, rows, strict=True)
            ]
            left = iter(given)
            own = [
                unflatten(arg, is_single, [next(left) for _ in part])
                for arg, part in zip(args, leaves, strict=True)
            ]
            returned = f(*own)
            outputs = [as_node(x) for x in flatten(returned, is_single)]
            known = {stand: x for stand, (x, moved) in zip(stands, rows, strict=True) if moved is not None}
            with paused():
                found = batched(outputs, known)
        assert all(same(x.shape[0], size) is not False for x in found)
        places = _each(out_axes, len(outputs), "results")
        made = [_stacked(x, place) for x, place in zip(found, places, strict=True)]
        return unflatten(returned, is_single, list(made))

    return wrapped


def _stacked(x: Node, axis: int | None) -> Node:
    if axis is None:
        raise located(ArgumentError("out_axes says for each result along which axis it is stacked"), [x])
    moved: Node = moveaxis(x, 0, axis)
    return moved


def _each(axes: Axes, count: int, what: str) -> list[int | None]:
    if axes is None or isinstance(axes, int):
        return [axes] * count
    if len(axes) != count:
        raise located(ArgumentError(f"{len(axes)} axes for {count} {what}"), [])
    return list(axes)


def _size(many: Sequence[Node]) -> Dim:
    if not many:
        raise located(ArgumentError("no argument has many; in_axes says along which axis"), [])
    for x in many:
        if same(x.shape[0], many[0].shape[0]) is False:
            text = f"there are {many[0].shape[0]} of one argument and {x.shape[0]} of another"
            raise located(ShapeError(text), [many[0], x])
    return many[0].shape[0]
