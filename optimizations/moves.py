"""Moves: reshapes, transposes, slices and broadcasts, which cancel, merge, and pass by what does not mind."""

from __future__ import annotations

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import placeholder
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.index import index
from symgraph.ops.join import concat
from symgraph.ops.keys import Slice
from symgraph.ops.linalg import matmul
from symgraph.ops.shape import expand_dims, reshape, squeeze, transpose
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import ROUNDING, rule, rules

m = placeholder("float64", ("s0", 4), name="m")
t = placeholder("float64", (2, 3, 4), name="t")


def _nothing_moved(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    return inner if inner.type == found.root.type else None


def _reshaped(found: Match) -> Node | None:
    """A reshape of what only gains, loses or regroups axes."""
    inner = found.root.inputs[0]
    if inner.op not in (reshape.op, expand_dims.op, squeeze.op):
        return None
    return reshape.op(inner.inputs[0], shape=found.root.shape)


def _expanded_reshape(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    return reshape.op(inner.inputs[0], shape=found.root.shape) if inner.op is reshape.op else None


def _expanded_twice(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    if inner.op is not expand_dims.op:
        return None
    outer: tuple[int, ...] = found.root.attrs.axes  # type: ignore[union-attr]
    others = [axis for axis in range(found.root.ndim) if axis not in outer]
    axes = tuple(sorted((*outer, *(others[axis] for axis in inner.attrs.axes))))  # type: ignore[union-attr]
    return expand_dims.op(inner.inputs[0], axes=axes)


def _squeezed_expansion(found: Match) -> Node | None:
    """The axes that come and go."""
    inner = found.root.inputs[0]
    if inner.op is not expand_dims.op:
        return None
    gone: tuple[int, ...] = found.root.attrs.axes  # type: ignore[union-attr]
    new: tuple[int, ...] = inner.attrs.axes  # type: ignore[union-attr]
    if set(gone) != set(new):
        return None
    return inner.inputs[0]


def _transposed_twice(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    if inner.op is not transpose.op:
        return None
    outer, first = found.root.attrs.axes, inner.attrs.axes  # type: ignore[union-attr]
    return transpose.op(inner.inputs[0], axes=tuple(first[axis] for axis in outer))


def _transposed_in_place(found: Match) -> Node | None:
    axes: tuple[int, ...] = found.root.attrs.axes  # type: ignore[union-attr]
    return found.root.inputs[0] if axes == tuple(range(len(axes))) else None


def _broadcast_twice(found: Match) -> Node | None:
    inner = found.root.inputs[0]
    return broadcast_to.op(inner.inputs[0], shape=found.root.shape) if inner.op is broadcast_to.op else None


def _whole(found: Match) -> Node | None:
    """A slice of everything."""
    node = found.root
    items = node.attrs.items  # type: ignore[union-attr]
    everything = all(
        isinstance(item, Slice) and item.start in (None, 0) and item.stop is None and item.step in (None, 1)
        for item in items
    )
    return node.inputs[0] if everything else None


def _one_part(found: Match) -> Node | None:
    return found.root.inputs[0] if len(found.root.inputs) == 1 else None


def _without_empty_parts(found: Match) -> Node | None:
    axis: int = found.root.attrs.axis  # type: ignore[union-attr]
    parts = [part for part in found.root.inputs if not _is_none(part.shape[axis])]
    if len(parts) == len(found.root.inputs) or not parts:
        return None
    return concat.op(*parts, axis=axis)


def _is_none(size: Dim) -> bool:
    """Whether a size is known to be 0."""
    return isinstance(size, int) and size == 0


_MOST_PARTS = 16
"""Of what is put together at once: in a chain in which each adds a part, all others would be listed again for each."""


def _nested_parts(found: Match) -> Node | None:
    axis: int = found.root.attrs.axis  # type: ignore[union-attr]
    parts: list[Node] = []
    for part in found.root.inputs:
        nested = part.op is concat.op and part.attrs.axis == axis  # type: ignore[union-attr]
        nested = nested and len(part.inputs) <= _MOST_PARTS
        parts += part.inputs if nested else [part]
    return concat.op(*parts, axis=axis) if len(parts) > len(found.root.inputs) else None


def _transposed_product(found: Match) -> Node | None:
    """``(a @ b).T`` as ``b.T @ a.T``, where that undoes a transpose of an operand."""
    product = found.root.inputs[0]
    if product.op is not matmul.op or product.ndim != 2 or any(x.ndim != 2 for x in product.inputs):
        return None
    if found.root.attrs.axes != (1, 0):  # type: ignore[union-attr]
        return None
    a, b = product.inputs
    if a.op is not transpose.op or b.op is not transpose.op:
        return None
    return matmul.op(b.inputs[0], a.inputs[0])


def _sum_to_itself(found: Match) -> Node | None:
    return found.root.inputs[0] if found.root.inputs[0].shape == found.root.shape else None


_shape = (2, 3, 4)
MOVING = rules(
    "MOVING",
    rule("a reshape to the same shape", reshape.op, _nothing_moved, example=lambda: reshape.op(t, shape=_shape)),
    rule("a reshape of a reshape", reshape.op, _reshaped, example=lambda: reshape(reshape(t, (6, 4)), (4, 6))),
    rule("expand_dims of a reshape", expand_dims.op, _expanded_reshape,
         example=lambda: expand_dims(reshape(t, (6, 4)), 0)),
    rule("squeeze of a reshape", squeeze.op, _expanded_reshape, example=lambda: squeeze(reshape(t, (6, 1, 4)), 1)),
    rule("expand_dims, twice", expand_dims.op, _expanded_twice, example=lambda: expand_dims(expand_dims(m, 1), 0)),
    rule("squeeze of expand_dims", squeeze.op, _squeezed_expansion, example=lambda: squeeze(expand_dims(m, 1), 1)),
    rule("a transpose of a transpose", transpose.op, _transposed_twice,
         example=lambda: transpose(transpose(t, (1, 0, 2)), (2, 1, 0))),
    rule("a transpose that moves nothing", transpose.op, _transposed_in_place,
         example=lambda: transpose.op(t, axes=(0, 1, 2))),
    rule("a transposed product of transposes", transpose.op, _transposed_product, keeps=ROUNDING,
         example=lambda: transpose(matmul(transpose(t[0]), transpose(t[1, :, :3].T)))),
    rule("a broadcast to the same shape", broadcast_to.op, _nothing_moved,
         example=lambda: broadcast_to.op(t, shape=_shape)),
    rule("a broadcast of a broadcast", broadcast_to.op, _broadcast_twice,
         example=lambda: broadcast_to(broadcast_to(t, (5, 2, 3, 4)), (7, 5, 2, 3, 4))),
    rule("a sum to the same shape", sum_to.op, _sum_to_itself, example=lambda: sum_to.op(t, shape=_shape)),
    rule("a slice of everything", index.op, _whole, example=lambda: index.op(t, items=(Slice(), Slice(), Slice()))),
    rule("one part joined", concat.op, _one_part, example=lambda: concat.op(t, axis=0)),
    rule("an empty part joined", concat.op, _without_empty_parts, example=lambda: concat([t, t[:0], t], 0)),
    rule("parts of parts joined", concat.op, _nested_parts, example=lambda: concat([concat([t, t], 1), t], 1)),
)  # fmt: skip
