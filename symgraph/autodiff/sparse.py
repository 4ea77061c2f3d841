"""Sparse Jacobians: the slopes that can be nonzero, found in as many passes as the pattern has colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symgraph.autodiff.batch import batched
from symgraph.autodiff.coloring import coloring
from symgraph.autodiff.forward import Meaning, checked, pushforward
from symgraph.autodiff.jacobian import check_real
from symgraph.autodiff.reverse import pullback
from symgraph.autodiff.sparsity import Ids, Pattern, sparsity
from symgraph.graph.collector import paused
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.graph.trace import stand_in
from symgraph.graph.types import promote
from symgraph.graph.walk import toposort
from symgraph.ops.create import zeros
from symgraph.ops.declare import cast_to
from symgraph.ops.index import index
from symgraph.ops.join import concat
from symgraph.ops.shape import reshape
from symgraph.ops.update import update


@dataclass(frozen=True, slots=True, eq=False)
class SparseJacobian:
    """The slopes of one node's elements in another's, where they can be nonzero, in the order of rows and then columns.

    ``values[k]`` is the slope of the element at ``rows[k]`` of the output in that at ``columns[k]`` of the input, both
    counted in row-major order; ``shape`` is the number of both. Once ``values`` is an array,
    ``scipy.sparse.coo_array((array, (rows, columns)), shape)`` is the matrix.
    """

    values: Node
    rows: Ids
    columns: Ids
    shape: tuple[int, int]
    sizes: tuple[int, ...]
    """Those of the output and then the input's."""
    passes: int
    """How many directions were pushed or pulled."""

    def dense(self) -> Node:
        """The node that `jacobian` gives."""
        places = constant(self.rows * self.shape[1] + self.columns)
        whole: Node = reshape(
            update(zeros(prod(self.shape), self.values.dtype), self.values, places), self.sizes
        )
        return whole

    def toarray(self, values: Any) -> np.ndarray[Any, Any]:
        """The whole matrix with the numbers that ``values`` came to."""
        array = np.asarray(values)
        whole = np.zeros(self.shape, array.dtype)
        whole[self.rows, self.columns] = array
        return whole


def sparse_jacobian(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    *,
    meaning: Meaning = lambda outputs, inputs: outputs,
) -> list[list[SparseJacobian]]:
    """For each output a list with the slopes in each input.

    Raises GradientError for what is not floating-point, and for sizes that are not known.
    """
    outs = checked(outputs, inputs, meaning=meaning)
    check_real((*outputs, *inputs))
    with paused():
        return [[_of(out, x) for x in inputs] for out in outs]


def _of(out: Node, x: Node) -> SparseJacobian:
    found = sparsity(out, x)
    colours = coloring(found)
    rows, columns = found.rows, found.columns
    # The values of all passes, one after the other: reverse passes have an element for each column.
    places = np.where(
        colours.is_pulled(found),
        colours.pulled[rows] * found.width + columns,
        colours.pulls * found.width + colours.pushed[columns] * found.height + rows,
    )
    row = promote(out.row, x.row)
    passes = [*_pulls(out, x, colours.pulled, found), *_pushes(out, x, colours.pushed, found)]
    values = (
        index(concat([cast_to(part, row) for part in passes]), constant(places)) if passes else zeros(0, row)
    )
    sizes = (*out.shape, *x.shape)
    shape = (found.height, found.width)
    return SparseJacobian(values, rows, columns, shape, sizes, colours.pulls + colours.pushes)  # type: ignore[arg-type]


def _pushes(out: Node, x: Node, colours: Ids, found: Pattern) -> list[Node]:
    """The tangents of the output for each colour of columns, in one axis."""
    directions = _directions(colours, x)
    if directions is None:
        return []
    t = stand_in("_tangent", x.tensor)
    (moved,) = pushforward([out], [x], [t])
    if moved is None:
        return [zeros(directions.shape[0] * found.height, out.dtype)]
    (columns,) = batched([moved], {t: directions}, given=toposort([out]))
    return [reshape(columns, -1)]


def _pulls(out: Node, x: Node, colours: Ids, found: Pattern) -> list[Node]:
    """The cotangents of the input for each colour of rows, in one axis."""
    directions = _directions(colours, out)
    if directions is None:
        return []
    g = stand_in("_cotangent", out.tensor)
    (pulled,) = pullback([out], [g], [x])
    if pulled is None:
        return [zeros(directions.shape[0] * found.width, x.dtype)]
    (rows,) = batched([pulled], {g: directions}, given=toposort([out]))
    return [reshape(rows, -1)]


def _directions(colours: Ids, like: Node) -> Node | None:
    """For each colour an array that is 1 in its places and 0 elsewhere."""
    count = int(colours.max(initial=-1)) + 1
    if not count:
        return None
    table = colours == np.arange(count)[:, None]
    return constant(table.reshape(count, *like.shape).astype(like.dtype))
