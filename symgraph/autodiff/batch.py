"""A graph of one array becomes the graph of many: what depends on it gets a new axis in front."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from symgraph.autodiff.batch_control import Rows, branch_rows, loop_rows, whole
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import ITEM, PACK, Op, items
from symgraph.graph.origin import inherit
from symgraph.graph.types import TupleType
from symgraph.graph.walk import expand, rebuild, toposort
from symgraph.ops import reduce
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.control import BRANCH, LOOP
from symgraph.ops.einsum import einsum
from symgraph.ops.index import index
from symgraph.ops.join import concat, pad, stack
from symgraph.ops.keys import Gather, NewAxis, Slice
from symgraph.ops.linalg import matmul, tensordot
from symgraph.ops.loops import map
from symgraph.ops.norm import norm
from symgraph.ops.scan import cumulative_prod, cumulative_sum, linear_recurrence, shift
from symgraph.ops.shape import expand_dims, matrix_transpose, moveaxis, reshape, squeeze, transpose
from symgraph.ops.softmax import log_softmax, logsumexp, softmax
from symgraph.ops.solvers import solve, solve_triangular
from symgraph.ops.sort import argsort, sort
from symgraph.ops.update import update

Rule: TypeAlias = Callable[[Node, list[Rows], Dim], Rows]


def batched(roots: Sequence[Node], rows: Mapping[Node, Node], *, given: Iterable[Node] = ()) -> list[Node]:
    """The roots for each of the rows that nodes are replaced by, along a new axis in front.

    An op without a rule is applied to one row after the other. Nothing behind ``given`` depends on what is replaced.
    """
    size = next(iter(rows.values())).shape[0]
    found = _batched(roots, rows, size, given)
    return [whole(root, row, size) for root, row in zip(roots, found, strict=True)]


def _batched(
    roots: Sequence[Node], rows: Mapping[Node, Rows], size: Dim, given: Iterable[Node]
) -> list[Rows]:
    new: dict[Node, Rows] = dict(rows)
    for node in toposort(roots, stop={*given, *new}):
        if node not in new and not new.keys().isdisjoint(node.inputs):
            with inherit(node.origin):
                new[node] = _apply(node, [new.get(x) for x in node.inputs], size)
    return [new.get(root) for root in roots]


def _apply(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    op = node.op
    if op is ITEM:
        return inputs[0][node.attrs.index]  # type: ignore[union-attr]
    if op is PACK:
        return tuple(whole(x, row, size) for x, row in zip(node.inputs, inputs, strict=True))
    if op.elementwise:
        return rebuild(node, _aligned(node, inputs, node.ndim))
    if op is LOOP:
        return loop_rows(node, inputs, size, _batched)
    if op is BRANCH:
        return branch_rows(node, inputs, size, _batched)
    found = RULES[op](node, inputs, size) if op in RULES else None
    if found is None and op.body is not None:
        known = {x: row for x, row in zip(node.inputs, inputs, strict=True) if row is not None}
        return _batched([expand(node)], known, size, node.inputs)[0]
    return _one_by_one(node, inputs, size) if found is None else found


_COPIES = 16
"""Of an op without a rule; for more rows it stands in a loop."""


def _one_by_one(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    changing = [i for i, row in enumerate(inputs) if row is not None]
    rows = [inputs[i] for i in changing]

    def one(given: Sequence[Node]) -> Any:
        own = dict(zip(changing, given, strict=True))
        made = rebuild(node, tuple(own.get(i, x) for i, x in enumerate(node.inputs)))
        return items(made) if isinstance(node.type, TupleType) else made

    if not isinstance(size, int) or not 0 < size <= _COPIES:
        return map(one, rows)
    copies = [one([row[i] for row in rows]) for i in range(size)]
    if isinstance(node.type, TupleType):
        return tuple(stack(parts) for parts in zip(*copies, strict=True))
    return stack(copies)


def _aligned(node: Node, inputs: Sequence[Rows], rank: int) -> tuple[Node, ...]:
    """The inputs, rows with axes of size 1 behind the first, so that they broadcast as they did for one row."""
    return tuple(x if row is None else _ranked(row, rank) for x, row in zip(node.inputs, inputs, strict=True))


def _ranked(row: Node, rank: int) -> Node:
    """Rows of another rank: axes of size 1 between the first and the rest."""
    missing = rank + 1 - row.ndim
    return expand_dims(row, tuple(range(1, 1 + missing))) if missing else row


# Rules


def _axes(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    axes = tuple(axis + 1 for axis in node.attrs.axes)  # type: ignore[union-attr]
    return node.op(*inputs, **{**node.attrs.fields(), "axes": axes})  # type: ignore[union-attr]


def _axis(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    rows = [whole(x, row, size) for x, row in zip(node.inputs, inputs, strict=True)]
    fields = node.attrs.fields()  # type: ignore[union-attr]
    return node.op(*rows, **{**fields, "axis": fields["axis"] + 1})


def _reshape(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    return reshape(inputs[0], (size, *node.shape))


def _transpose(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    return transpose(inputs[0], (0, *(axis + 1 for axis in node.attrs.axes)))  # type: ignore[union-attr]


def _broadcast_to(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    return broadcast_to(_ranked(inputs[0], node.ndim), (size, *node.shape))


def _sum_to(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    extra = node.inputs[0].ndim - node.ndim
    summed = sum_to(inputs[0], (size, *(1,) * extra, *node.shape))
    return squeeze(summed, tuple(range(1, 1 + extra))) if extra else summed


def _index(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    rows, *arrays = inputs
    if rows is None or _has_rows(arrays):
        return None
    own: Any = node.attrs
    found = index.op(rows, *node.inputs[1:], items=(Slice(), *own.items))
    return found if _in_place(own.items) else moveaxis(found, _front_rank(node.inputs[1:]), 0)


def _update(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    x, value, *arrays = node.inputs
    rows, values, *places = inputs
    own: Any = node.attrs
    if _has_rows(places):
        return None
    rank = index.op(x, *arrays, items=own.items).ndim
    if not _in_place(own.items):
        values = moveaxis(_ranked(whole(value, values, size), rank), 0, _front_rank(arrays))
    elif values is not None:
        values = _ranked(values, rank)
    new = (whole(x, rows, size), value if values is None else values, *arrays)
    return update.op(*new, items=(Slice(), *own.items), mode=own.mode)


def _has_rows(inputs: Iterable[Rows]) -> bool:
    return any(row is not None for row in inputs)


def _in_place(items: Sequence[Any]) -> bool:
    """Whether axes of gathered elements stand where they stood, and not in front."""
    chosen = [i for i, item in enumerate(items) if not isinstance(item, (Slice, NewAxis))]
    gathers = any(isinstance(item, Gather) for item in items)
    return not gathers or chosen[-1] - chosen[0] + 1 == len(chosen)


def _front_rank(arrays: Sequence[Node]) -> int:
    return max(array.ndim for array in arrays)


def _pad(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    rows, value = inputs
    if value is not None:
        return None
    own: Any = node.attrs
    return pad.op(rows, node.inputs[1], widths=((0, 0), *own.widths))


def _matmul(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    (a, b), (rows_a, rows_b) = node.inputs, inputs
    if rows_b is None and b.ndim <= 2 and (a.ndim == 1 or b.ndim == 2):
        return matmul.op(rows_a, b)
    if rows_a is None and b.ndim == 1 and a.ndim <= 2:
        return matmul.op(rows_b, a if a.ndim == 1 else matrix_transpose(a))
    # A vector is a row on the left and a column on the right.
    left, right = (x if row is None else row for x, row in zip(node.inputs, inputs, strict=True))
    left, right = (
        expand_dims(left, -2) if a.ndim == 1 else left,
        expand_dims(right, -1) if b.ndim == 1 else right,
    )
    rank = max(a.ndim, b.ndim, 2)
    found = matmul.op(
        left if rows_a is None else _ranked(left, rank), right if rows_b is None else _ranked(right, rank)
    )
    return squeeze(found, tuple(axis for axis, x in ((-2, a), (-1, b)) if x.ndim == 1))


def _solve(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    (a, b), (rows_a, rows_b) = node.inputs, inputs
    if rows_a is not None or a.ndim > 2 or b.ndim > 2:
        return rebuild(node, _aligned(node, inputs, max(a.ndim, b.ndim)))
    # One matrix for all rows: their right-hand sides stand beside each other.
    height, width = b.shape
    beside = reshape(moveaxis(rows_b, 0, 1), (height, size * width))
    return moveaxis(reshape(rebuild(node, (a, beside)), (height, size, width)), 1, 0)


def _tensordot(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    (a, b), (rows_a, rows_b), own = node.inputs, inputs, node.attrs
    first, second = own.first, own.second  # type: ignore[union-attr]
    if rows_b is None:
        return tensordot.op(rows_a, b, first=tuple(axis + 1 for axis in first), second=second)
    if rows_a is None:
        found = tensordot.op(a, rows_b, first=first, second=tuple(axis + 1 for axis in second))
        return moveaxis(found, a.ndim - len(first), 0)
    return None


def _einsum(node: Node, inputs: list[Rows], size: Dim) -> Rows:
    spec = node.attrs.spec  # type: ignore[union-attr]
    terms, output = spec.split("->")
    free = next((letter for letter in reversed(string.ascii_letters) if letter not in spec), None)
    if free is None:
        return None
    led = [term if row is None else free + term for term, row in zip(terms.split(","), inputs, strict=True)]
    operands = [x if row is None else row for x, row in zip(node.inputs, inputs, strict=True)]
    return einsum(f"{','.join(led)}->{free}{output}", *operands)


_OF_AXES: tuple[Op, ...] = (
    *(f.op for f in (reduce.sum, reduce.prod, reduce.max, reduce.min, reduce.any, reduce.all)),
    *(f.op for f in (reduce.supremum, norm, softmax, log_softmax, logsumexp, expand_dims, squeeze)),
)
_OF_AXIS: tuple[Op, ...] = tuple(
    f.op for f in (cumulative_sum, cumulative_prod, linear_recurrence, shift, concat, sort, argsort)
)
RULES: dict[Op, Rule] = {
    **dict.fromkeys(_OF_AXES, _axes),
    **dict.fromkeys(_OF_AXIS, _axis),
    reshape.op: _reshape,
    transpose.op: _transpose,
    broadcast_to.op: _broadcast_to,
    sum_to.op: _sum_to,
    index.op: _index,
    update.op: _update,
    pad.op: _pad,
    matmul.op: _matmul,
    solve.op: _solve,
    solve_triangular.op: _solve,
    tensordot.op: _tensordot,
    einsum.op: _einsum,
}
"""By op; a rule gives None where it does not know a case."""
