"""Elements chosen by conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.ops.annotations import ArrayLike, AxisLike
from symgraph.ops.arithmetic import where
from symgraph.ops.axes import one_axis
from symgraph.ops.cases import Draw, case, draw
from symgraph.ops.declare import ALL, cast_to, macro, settled
from symgraph.ops.index import index
from symgraph.ops.join import stack
from symgraph.ops.nonzero import nonzero
from symgraph.ops.shape import ravel


def _mask(*shape: int) -> Draw:
    return draw(*shape, dtype="bool")


def _select_reference(conditions: Any, choices: Any, default: Any = 0) -> Any:
    return np.select([np.asarray(c) for c in conditions], list(choices), default)


@macro(
    dtypes=tuple(name for name in ALL if name not in ("bool", "bfloat16")), reference=_select_reference,
    cases=[
        case([_mask(3), _mask(3)], [draw(3), draw(3)]),
        case([_mask(2, 3), _mask(3)], [draw(3), draw()], 1),
        case([_mask(2, 1)], [draw(1, 3)], draw()),
        case([_mask(0)], [draw(0)]),
    ],
)  # fmt: skip
def select(condlist: Sequence[ArrayLike], choicelist: Sequence[ArrayLike], default: ArrayLike = 0) -> Node:
    """The element of the first choice whose condition is true, the default where none is.

    >>> evaluate(select([[True, False, False], [True, True, False]], [[1, 2, 3], [4, 5, 6]]))
    array([1, 5, 0])
    """
    if not isinstance(condlist, (list, tuple)) or not isinstance(choicelist, (list, tuple)):
        raise ArgumentError("takes a list of conditions and a list of choices")
    if len(condlist) != len(choicelist) or not condlist:
        raise ArgumentError(
            f"{len(condlist)} conditions for {len(choicelist)} choices; there is one for each, and at least one"
        )
    conditions = [as_node(condition) for condition in condlist]
    for condition in conditions:
        if condition.row.kind != "bool":
            raise DTypeError(f"a condition is bool, not {condition.row.name}")
    values = [x if type(x) in (int, float, complex) else as_node(x) for x in (*choicelist, default)]
    (row,) = settled([x.row if isinstance(x, Node) else type(x) for x in values])
    *choices, out = [cast_to(as_node(x, row), row) for x in values]
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        out = where(condition, choice, out)
    return out


@macro(
    dtypes=ALL, sample=(-1.5, 1.5), differentiable=False,
    cases=[case(draw(7)), case(draw(2, 3)), case(draw(0)), case(draw(2, 0, 3)), case(draw(2, 3, 4))],
)  # fmt: skip
def argwhere(x: ArrayLike) -> Node:
    """The indices of the elements that are not zero, in row-major order: a row of int64 for each of them.

    >>> evaluate(argwhere([[0, 5], [7, 0]]))
    array([[0, 1],
           [1, 0]])
    """
    return stack(nonzero(x), axis=1)


def _compress_reference(condition: Any, x: Any, axis: Any = None) -> Any:
    return np.compress(np.asarray(condition), x, axis)


@macro(
    dtypes=ALL, reference=_compress_reference,
    cases=[
        case([True, False, True], draw(3)),
        case([False, True], draw(2, 3), axis=0),
        case([True, False, True], draw(2, 3), axis=-1),
        case([True, False, True, False, False, True], draw(2, 3)),
        case(_mask(2), draw(2, 3), axis=0),
    ],
)  # fmt: skip
def compress(condition: ArrayLike, x: ArrayLike, axis: AxisLike = None) -> Node:
    """The slices along an axis, or the elements of the raveled array, for which a vector of conditions is true.

    The condition has the size of the axis; their number is known at the call.

    >>> evaluate(compress([True, False], [[1, 2], [3, 4]], axis=0))
    array([[1, 2]])
    """
    x = as_node(x)
    if axis is None:
        x, axis = ravel(x), 0
    return index(x, (slice(None),) * one_axis(axis, x) + (_vector(condition),))


@macro(
    dtypes=ALL, reference=lambda condition, x: np.extract(np.asarray(condition), x),
    cases=[case([True, False, True], draw(3)), case(_mask(2, 3), draw(2, 3))],
)  # fmt: skip
def extract(condition: ArrayLike, x: ArrayLike) -> Node:
    """The elements at which a condition of the same shape is true, in row-major order.

    >>> evaluate(extract([[True, False], [False, True]], [[1, 2], [3, 4]]))
    array([1, 4])
    """
    return compress(ravel(condition), x)


def _vector(condition: ArrayLike) -> Node:
    mask = as_node(condition)
    if mask.row.kind != "bool" or mask.ndim != 1:
        raise DTypeError(f"the condition is a vector of bools, not {mask.type}")
    return mask
