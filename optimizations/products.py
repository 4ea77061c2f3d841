"""Products and sums over axes: less of them, and smaller ones."""

from __future__ import annotations

import numpy as np

from symgraph.graph.constants import uniform
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, constant, placeholder
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.diagonals import trace
from symgraph.ops.join import concat
from symgraph.ops.linalg import matmul
from symgraph.ops.reduce import max, min, sum
from symgraph.ops.shape import transpose
from symgraph.optimizations.pattern import Match, wild
from symgraph.optimizations.rules import ALGEBRAIC, BITS, ROUNDING, rule, rules

a = placeholder("float64", ("i", "j"), name="a")
b = placeholder("float64", ("j", "i"), name="b")
m = placeholder("float64", (3, 4), name="m")
p = placeholder("float64", (6, 5), name="p")
q = placeholder("float64", (5, 4), name="q")
r = placeholder("float64", (4, 1), name="r")

x = wild("x")

_traced = trace(matmul(a, b))


def _trace_of_product(found: Match) -> Node | None:
    """Without the product: its diagonal alone."""
    first, second = found[a], found[b]
    if first.ndim != 2 or second.ndim != 2 or trace(matmul(first, second)) is not found.root:
        return None
    return sum(first * transpose(second))


def _over_repeated(found: Match) -> Node | None:
    """The reduction of elements that are repeated along the axes, and nothing else."""
    node, inner = found.root, found.root.inputs[0]
    fields = node.attrs.fields()  # type: ignore[union-attr]
    if inner.op is not broadcast_to.op or fields["keepdims"]:
        return None
    source = inner.inputs[0]
    new = inner.ndim - source.ndim
    count: Dim = 1
    for axis in fields["axes"]:
        if axis >= new and source.shape[axis - new] != 1:
            return None
        count = count * inner.shape[axis]
    if isinstance(count, Size) or count == 0:
        return None
    own = tuple(axis - new for axis in fields["axes"] if axis >= new)
    left = source if not own else node.op(source, axes=own, keepdims=False)
    total = left if node.op is not sum.op else left * constant(count, left.row)
    return broadcast_to(total, node.shape)


def _sum_of_join(found: Match) -> Node | None:
    """The sums of the parts, added."""
    node, inner = found.root, found.root.inputs[0]
    fields = node.attrs.fields()  # type: ignore[union-attr]
    if inner.op is not concat.op or len(inner.inputs) > 4:
        return None
    if inner.attrs.axis not in fields["axes"]:  # type: ignore[union-attr]
        return None
    first, *others = (sum.op(part, **fields) for part in inner.inputs)
    for other in others:
        first = first + other
    return first


_chained = matmul(matmul(p, q), r)


def _associated(found: Match) -> Node | None:
    """``(p @ q) @ r`` as ``p @ (q @ r)``, where that multiplies less."""
    first, second, third = found[p], found[q], found[r]
    if any(each.ndim != 2 for each in (first, second, third)):
        return None
    (i, j), k, n = first.shape, second.shape[1], third.shape[1]
    if any(isinstance(size, Size) for size in (i, j, k, n)):
        return None
    if i * j * k + i * k * n <= j * k * n + i * j * n:
        return None
    return matmul(first, matmul(second, third))


_scaled_sum = sum(a * x, axis=1)


def _factor_out(found: Match) -> Node | None:
    """A number that multiplies every term."""
    if uniform(found[x]) is None:
        return None
    fields = found[_scaled_sum].attrs.fields()  # type: ignore[union-attr]
    number = constant(uniform(found[x]), found[x].row)
    return sum.op(found[a], **fields) * number


_scaled_product = matmul(a * x, b)


def _scaled_later(found: Match) -> Node | None:
    """Where the product has fewer elements than the operand."""
    number = uniform(found[x])
    if number is None or found[a].shape != found[_scaled_product].inputs[0].shape:
        return None
    return matmul(found[a], found[b]) * constant(number, found[x].row)


def _by_identity(found: Match) -> Node | None:
    """A product with a constant matrix of ones on the diagonal."""
    first, second = found[a], found[b]
    if second.op is not CONSTANT or second.ndim != 2:
        return None
    value = second.attrs.value  # type: ignore[union-attr]
    return first if value.shape[0] == value.shape[1] and (value == np.eye(len(value))).all() else None


PRODUCTS = rules(
    "PRODUCTS",
    rule("the trace of a product", _traced, _trace_of_product, keeps=ROUNDING),
    rule("sum of a broadcast", sum.op, _over_repeated, keeps=ROUNDING,
         example=lambda: sum(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("max of a broadcast", max.op, _over_repeated, keeps=BITS,
         example=lambda: max(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("min of a broadcast", min.op, _over_repeated, keeps=BITS,
         example=lambda: min(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("sum of a join", sum.op, _sum_of_join, keeps=ROUNDING, example=lambda: sum(concat([m, m * 2]), axis=0)),
)  # fmt: skip

FAST_PRODUCTS = rules(
    "FAST_PRODUCTS",
    rule("a number out of a sum", _scaled_sum, _factor_out, keeps=ALGEBRAIC),
    rule("a number out of a product", _scaled_product, _scaled_later, keeps=ALGEBRAIC),
    rule(
        "a product with the identity",
        matmul(a, b),
        _by_identity,
        keeps=ALGEBRAIC,
        example=lambda: matmul(m, constant(np.eye(4))),
    ),
    rule("a chain of products", _chained, _associated, keeps=ALGEBRAIC),
)
