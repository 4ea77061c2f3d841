"""Where an array is not zero: indices whose number is known at the call."""

from __future__ import annotations

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.dims import fresh
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, items
from symgraph.graph.types import BOOL, INT64, TensorType, TupleType
from symgraph.ops.annotations import Array, ArrayLike
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import ALL, cast_to, macro, op
from symgraph.ops.shape import reshape


@op(
    binds_sizes=True, onnx="NonZero", dtypes=ALL, sample=(-1.5, 1.5),
    cases=[case(draw(7)), case(draw(2, 3)), case(draw(0)), case(draw(2, 0, 3)), case(draw(2, 3, 4))],
)  # fmt: skip
def nonzero(x: ArrayLike) -> tuple[Node, ...]:
    """The indices of the elements that are not zero, in row-major order: an int64 vector for each axis.

    Their number is known at the call.

    >>> evaluate(nonzero([[0, 5], [7, 0]]))
    (array([0, 1]), array([1, 0]))
    """
    return items(nonzero.op(cast_to(as_node(x), BOOL)))


@nonzero.infer
def _(x: TensorType) -> TupleType:
    if x.rank == 0:
        raise ShapeError("a scalar has no indices")
    if x.dtype is not BOOL:
        raise DTypeError(f"takes bool, not {x.dtype.name}; a node does not convert its inputs")
    return TupleType((TensorType(INT64, (fresh("k"),)),) * x.rank)


@nonzero.numpy
def _(x: Array) -> tuple[Array, ...]:
    return tuple(np.asarray(index, np.int64) for index in np.nonzero(x))


@macro(
    dtypes=ALL, sample=(-1.5, 1.5),
    cases=[case(draw(7)), case(draw(2, 3)), case(draw(0)), case(draw()), case(draw(2, 0, 3))],
)  # fmt: skip
def flatnonzero(x: ArrayLike) -> Node:
    """The indices in row-major order of the elements that are not zero.

    >>> evaluate(flatnonzero([[0, 5], [7, 0]]))
    array([1, 2])
    """
    x = as_node(x)
    return nonzero(reshape(x, (x.size,)))[0]
