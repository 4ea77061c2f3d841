"""Products and sums over axes: less of them, and smaller ones."""

from __future__ import annotations

import numpy as np

from symgraph.graph.constants import uniform
from symgraph.graph.dims import Dim, Size, dim_max, same
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, Op, constant, placeholder, size_value
from symgraph.graph.types import DType
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.comparison import logical_and, logical_or
from symgraph.ops.create import iota
from symgraph.ops.declare import FLOATS
from symgraph.ops.index import index
from symgraph.ops.join import concat
from symgraph.ops.linalg import matmul
from symgraph.ops.reduce import all as all_
from symgraph.ops.reduce import any as any_
from symgraph.ops.reduce import max, min, prod, sum
from symgraph.ops.shape import squeeze, transpose
from symgraph.ops.statistics import mean
from symgraph.ops.transcendental import pow
from symgraph.optimizations.pattern import Match, wild
from symgraph.optimizations.rules import ALGEBRAIC, BITS, ROUNDING, SHARPER, rule, rules

a = placeholder("float64", ("i", "j"), name="a")
b = placeholder("float64", ("j", "i"), name="b")
m = placeholder("float64", (3, 4), name="m")
p = placeholder("float64", (6, 5), name="p")
q = placeholder("float64", (5, 4), name="q")
r = placeholder("float64", (4, 1), name="r")

x = wild("x")
_flags = placeholder("bool", (1, 3), name="flags")


def _trace_of_product(found: Match) -> Node | None:
    """Without the product: its diagonal alone."""
    taken = found.root.inputs[0]
    if taken.op is not index.op or taken.ndim != 1 or len(taken.inputs) != 3 or found.root.ndim:
        return None
    product, places, others = taken.inputs
    if product.op is not matmul.op or places is not others or places.op is not iota.op:
        return None
    first, second = product.inputs
    if first.ndim != 2 or second.ndim != 2 or (first.row.is_float and first.row.bits == 16):
        return None
    sizes = (
        (first.shape[0], places.shape[0]),
        (second.shape[1], places.shape[0]),
        first.shape[1:] + second.shape[:1],
    )
    if any(same(*each) is not True for each in sizes):
        return None
    return sum.op(first * transpose(second), axes=(0, 1), keepdims=False)


def _over_repeated(found: Match) -> Node | None:
    """The reduction of elements that are repeated along the axes, and nothing else."""
    node, inner = found.root, found.root.inputs[0]
    fields = node.attrs.fields()  # type: ignore[union-attr]
    spread = inner.inputs[0] if inner.op is astype.op else inner
    if spread.op is not broadcast_to.op or fields["keepdims"]:
        return None
    source = astype(spread.inputs[0], inner.row)
    new = inner.ndim - source.ndim
    count: Dim = 1
    for axis in fields["axes"]:
        if axis >= new and source.shape[axis - new] != 1:
            return None
        count = count * inner.shape[axis]
    own = tuple(axis - new for axis in fields["axes"] if axis >= new)
    total = _repeated(node.op, squeeze(source, own) if own else source, count)
    return None if total is None else broadcast_to(total, node.shape)


def _repeated(reduction: Op, x: Node, count: Dim) -> Node | None:
    """What comes of each element, repeated so many times."""
    is_some = same(dim_max(count, 1), count) is True
    if reduction is any_.op:
        return x if is_some else logical_and(x, size_value(count) > 0)
    if reduction is all_.op:
        return x if is_some else logical_or(x, size_value(count) <= 0)
    if reduction is sum.op:
        return _times(x, count, is_some)
    if reduction is prod.op:
        return _to_the_power(x, count)
    return x if is_some else None


def _times(x: Node, count: Dim, is_some: bool) -> Node | None:
    """Where nothing may be left to sum, infinity times 0 would be NaN."""
    if isinstance(count, int) and count == 0:
        return broadcast_to(constant(0, x.row), x.shape)
    number = uniform(x)
    is_finite = not x.row.is_inexact or (number is not None and bool(np.isfinite(number)))
    if x.row.is_complex and not is_finite:
        return None
    times = _as_number(count, x.row)
    if times is None:
        return None
    return x * times if is_some or is_finite else where(size_value(count) > 0, x * times, 0)


def _to_the_power(x: Node, count: Dim) -> Node | None:
    """In a dtype that holds the exponent exactly."""
    known = {"float32": 1 << 24, "float64": 1 << 53, "int64": 1 << 63, "int32": 1 << 31}.get(x.row.name, 0)
    if isinstance(count, int) and count < known and (count > _FEW or uniform(x) is not None):
        return pow(x, constant(count, x.row))
    return pow(x, astype(size_value(count), x.row)) if isinstance(count, Size) and x.row.bits == 64 else None


_FEW = 6
"""So many factors are multiplied faster than a power is taken."""


def _as_number(count: Dim, row: DType) -> Node | None:
    """A size in a dtype, where integers wrap around; None where it does not fit."""
    if isinstance(count, Size):
        return None if row.is_float and row.bits == 16 else astype(size_value(count), row)
    if row.is_integer:
        return constant(np.array(count % 2**row.bits, np.uint64).astype(row.numpy))
    with np.errstate(over="ignore"):
        value = np.array(count, np.float64).astype(row.numpy)
    return constant(value) if np.isfinite(value) else None


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
    number = uniform(found[x])
    if number is None:
        return None
    fields = found[_scaled_sum].attrs.fields()  # type: ignore[union-attr]
    return sum.op(found[a], **fields) * constant(number, found[x].row)


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
    rule("the trace of a product", sum.op, _trace_of_product, keeps=ROUNDING,
         example=lambda: sum(matmul(a, b)[iota(a.shape[0]), iota(a.shape[0])])),
    rule("sum of a broadcast", sum.op, _over_repeated, keeps=ROUNDING,
         example=lambda: sum(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("max of a broadcast", max.op, _over_repeated, keeps=BITS,
         example=lambda: max(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("min of a broadcast", min.op, _over_repeated, keeps=BITS,
         example=lambda: min(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("mean of a broadcast", mean.op, _over_repeated, keeps=SHARPER, dtypes=FLOATS,
         example=lambda: mean(broadcast_to(m, (2, 3, 4)), axis=0)),
    rule("product of a broadcast", prod.op, _over_repeated, keeps=SHARPER, dtypes=("int32", "int64", *FLOATS),
         example=lambda: prod(broadcast_to(m, (9, 3, 4)), axis=0)),
    rule("any of a broadcast", any_.op, _over_repeated, keeps=BITS,
         example=lambda: any_(broadcast_to(_flags, (2, 3)), axis=0)),
    rule("all of a broadcast", all_.op, _over_repeated, keeps=BITS,
         example=lambda: all_(broadcast_to(_flags, (2, 3)), axis=0)),
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
