"""Contractions that need no matrix product: by ones, zeros, one element or a diagonal; and sums before products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.graph.constants import is_zero, uniform
from symgraph.graph.dims import Dim, dim_max, same
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, constant, placeholder, size_value
from symgraph.ops.arithmetic import abs, astype, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.comparison import equal, greater_equal, less_equal, logical_and
from symgraph.ops.create import iota, one_hot, ones_like, zeros
from symgraph.ops.declare import FLOATS, INEXACTS, INTEGERS, Function
from symgraph.ops.index import index
from symgraph.ops.keys import Gather, Item, Slice
from symgraph.ops.linalg import matmul
from symgraph.ops.reduce import prod, sum
from symgraph.ops.shape import expand_dims, squeeze, transpose
from symgraph.ops.statistics import mean
from symgraph.ops.transcendental import exp, log
from symgraph.ops.update import update
from symgraph.optimizations.bounds import bounds, lies_within
from symgraph.optimizations.einsums import EINSUMS, FAST_EINSUMS, is_exact
from symgraph.optimizations.pattern import Match, core, may_have_number, wild
from symgraph.optimizations.rules import ALGEBRAIC, ROUNDING, Rule, rule, rules
from symgraph.optimizations.signs import never_negative

a = placeholder("float64", (4, 4), name="a")
b = placeholder("float64", (4, 5), name="b")
i = placeholder("int64", (4, 4), name="i")
rows = wild("rows", rank=2)

Right = Callable[[Match], Node | None]


# Which operands a product with zeros keeps


def _finite(node: Node) -> bool:
    """Whether a node holds floats or complex numbers that are known and finite: 0 times any of them is 0 or -0."""
    node = core(node)
    if node.op is not CONSTANT or not node.row.is_inexact:
        return False
    return bool(np.isfinite(node.attrs.value.astype(np.complex128)).all())  # type: ignore[union-attr]


def _inexact(node: Node) -> bool:
    return node.row.is_inexact


# One-hot rows and columns


def _one_hot(node: Node, axis: int) -> Node | None:
    """The integers of a node that holds 1 at the place along ``axis`` that they name, and 0 elsewhere."""
    if node.op is transpose.op and node.ndim == 2:
        node, axis = node.inputs[0], 1 - axis
    compared = node.inputs[0] if node.op is astype.op else node
    if compared.op is not equal.op:
        return None
    for places, given in (compared.inputs, compared.inputs[::-1]):
        if not _counts(places, axis - compared.ndim, compared.shape[axis]):
            continue
        if given.ndim == compared.ndim and given.shape[axis] == 1:
            return squeeze.op(given, axes=(axis,))
        if given.ndim == compared.ndim - 1 and axis == 0:
            return given
    return None


def _counts(node: Node, axis: int, count: Dim) -> bool:
    """Whether a node is 0, 1, … so many along an axis counted from the end, and the same along all others."""
    if node.op is expand_dims.op and node.inputs[0].op is iota.op:
        (own,) = set(range(node.ndim)) - set(node.attrs.axes)  # type: ignore[union-attr]
        node, axis = node.inputs[0], axis + node.ndim - own - 1
    if node.op is not iota.op or axis != -1 or same(node.shape[0], count) is not True:
        return False
    return node.row.name == "int64" if not isinstance(count, int) else count - 1 <= np.iinfo(node.dtype).max


def _taken(places: Node, count: Dim, x: Node, axis: int) -> Node | None:
    """The elements of ``x`` at these places along an axis; 0 for a place outside."""
    if same(count, x.shape[axis]) is not True:
        return None
    items: tuple[Item, ...] = (*[Slice()] * axis, Gather(0), *[Slice()] * (x.ndim - 1 - axis))
    if lies_within(places, count):
        return index.op(x, places, items=items)
    if same(dim_max(count, 1), count) is not True:  # there may be no element to take
        return None
    low, high = bounds(places)
    last = count - 1
    tests = [greater_equal(places, 0)] if low < 0 else []
    if not isinstance(last, int):
        tests.append(less_equal(places, size_value(last)))
    elif last < high:
        tests.append(less_equal(places, constant(last, places.row)))
    inside = tests[0] if len(tests) == 1 else logical_and(*tests)
    taken = index.op(x, where(inside, places, constant(0, places.row)), items=items)
    behind = x.ndim - 1 - axis
    if behind:
        inside = expand_dims(inside, tuple(range(inside.ndim, inside.ndim + behind)))
    return where(inside, taken, constant(0, x.row))


def hot_rows(admits: Callable[[Node], bool]) -> Right:
    """``one_hot(i, n) @ x`` as the rows of ``x`` that ``i`` names."""

    def made(found: Match) -> Node | None:
        hot, x = found.root.inputs
        if not admits(x) or (places := _one_hot(hot, hot.ndim - 1)) is None:
            return None
        if x.ndim > 2 and places.ndim > 1:
            return None
        return _taken(places, hot.shape[-1], x, max(x.ndim - 2, 0))

    return made


def hot_columns(admits: Callable[[Node], bool]) -> Right:
    """``x @ one_hot(i, n, axis=0)`` as the columns of ``x`` that ``i`` names."""

    def made(found: Match) -> Node | None:
        x, hot = found.root.inputs
        if hot.ndim > 2 or not admits(x) or (places := _one_hot(hot, 0)) is None:
            return None
        return _taken(places, hot.shape[0], x, x.ndim - 1)

    return made


def _in_order(found: Match) -> Node | None:
    """All places along an axis, each in its turn."""
    node = found.root
    items = list(node.attrs.items)  # type: ignore[union-attr]
    gathers = [axis for axis, item in enumerate(items) if isinstance(item, Gather)]
    if len(gathers) != 1 or any(not isinstance(item, Slice | Gather) for item in items):
        return None
    (axis,) = gathers
    places, size = node.inputs[1], node.inputs[0].shape[axis]
    if places.op is not iota.op or same(places.shape[0], size) is not True:
        return None
    if not (isinstance(size, int) and size - 1 <= np.iinfo(places.dtype).max) and places.row.name != "int64":
        return None
    items[axis] = Slice()
    return index.op(node.inputs[0], items=tuple(items))


# Diagonal matrices


def _diagonal(node: Node) -> Node | None:
    """The vector that a matrix of zeros has on its diagonal."""
    if node.op is astype.op:
        inner = _diagonal(node.inputs[0])
        return None if inner is None else astype(inner, node.row)
    if node.op is not update.op or node.ndim != 2 or len(node.inputs) != 4:
        return None
    zeros, value, *places = node.inputs
    items, mode = node.attrs.items, node.attrs.mode  # type: ignore[union-attr]
    if items != (Gather(0), Gather(1)) or mode != "set" or places[0] is not places[1] or not is_zero(zeros):
        return None
    if places[0].op is not iota.op or any(same(places[0].shape[0], size) is not True for size in node.shape):
        return None
    return broadcast_to(value, places[0].shape)


def diagonal_first(admits: Callable[[Node], bool]) -> Right:
    """``diag(v) @ x`` as the rows of ``x``, each times its number."""

    def made(found: Match) -> Node | None:
        matrix, x = found.root.inputs
        if not admits(x) or (numbers := _diagonal(matrix)) is None:
            return None
        if same(matrix.shape[0], x.shape[-2 if x.ndim > 1 else -1]) is not True:
            return None
        return (expand_dims(numbers, 1) if x.ndim > 1 else numbers) * x

    return made


def diagonal_second(admits: Callable[[Node], bool]) -> Right:
    """``x @ diag(v)`` as the columns of ``x``, each times its number."""

    def made(found: Match) -> Node | None:
        x, matrix = found.root.inputs
        if not admits(x) or (numbers := _diagonal(matrix)) is None:
            return None
        return x * numbers if same(matrix.shape[0], x.shape[-1]) is True else None

    return made


# One term, and terms that are not multiplied


def _over_one(found: Match) -> Node | None:
    """A sum of one product."""
    x, y = found.root.inputs
    if x.row.is_complex or x.shape[-1] != 1 or y.shape[-2 if y.ndim > 1 else -1] != 1:
        return None
    product = x * y
    if y.ndim == 1:
        return squeeze(product, -1)
    return squeeze(product, -2) if x.ndim == 1 else product


def _by_ones(found: Match) -> Node | None:
    """Sums, where one operand is 1 everywhere."""
    node = found.root
    x, y = node.inputs
    if x.row.kind == "bool" or x.row.is_complex:
        return None
    along = -2 if y.ndim > 1 else -1
    if same(x.shape[-1], y.shape[along]) is not True:
        return None
    if uniform(x) == 1:
        total = sum.op(y, axes=(y.ndim + along,), keepdims=False)
        return broadcast_to(expand_dims(total, -2) if x.ndim > 1 and y.ndim > 1 else total, node.shape)
    if uniform(y) == 1:
        total = sum.op(x, axes=(x.ndim - 1,), keepdims=False)
        return broadcast_to(expand_dims(total, -1) if y.ndim > 1 else total, node.shape)
    return None


def over_a_product(f: Function[..., Node], admits: Callable[[Node], bool]) -> Right:
    """``sum(a @ b, axis=0)`` as ``sum(a, axis=0) @ b``, which multiplies a vector."""

    def made(found: Match) -> Node | None:
        product = found.root.inputs[0]
        fields = found.root.attrs.fields()  # type: ignore[union-attr]
        if product.op is not matmul.op or fields["keepdims"] or not admits(product):
            return None
        x, y = product.inputs
        if x.ndim > 2 or y.ndim > 2:
            return None
        if x.ndim == 2 and 0 in fields["axes"]:
            x = f.op(x, axes=(0,), keepdims=False)
        if y.ndim == 2 and product.ndim - 1 in fields["axes"]:
            y = f.op(y, axes=(1,), keepdims=False)
        return matmul(x, y)

    return made


# Chains


def _is_product(node: Node) -> bool:
    """Whether a node is the product of two matrices."""
    return node.op is matmul.op and all(x.ndim == 2 for x in node.inputs)


def _vector_last(found: Match) -> Node | None:
    """``(p @ q) @ v`` as ``p @ (q @ v)``."""
    product, v = found.root.inputs
    if v.ndim != 1 or not _is_product(product):
        return None
    p, q = product.inputs
    return matmul(p, matmul(q, v))


def _vector_first(found: Match) -> Node | None:
    """``v @ (p @ q)`` as ``(v @ p) @ q``."""
    v, product = found.root.inputs
    if v.ndim != 1 or not _is_product(product):
        return None
    p, q = product.inputs
    return matmul(matmul(v, p), q)


def _associated_left(found: Match) -> Node | None:
    """``p @ (q @ r)`` as ``(p @ q) @ r``, where that is known to multiply less."""
    p, product = found.root.inputs
    if p.ndim != 2 or not _is_product(product):
        return None
    q, r = product.inputs
    (h, k), m, n = p.shape, r.shape[0], r.shape[1]
    sizes: tuple[Any, ...] = (h, k, m, n)
    if any(not isinstance(size, int) for size in sizes):
        return None
    return matmul(matmul(p, q), r) if h * m * (k + n) < k * n * (m + h) else None


# Logarithms


def _sum_of_logs(found: Match) -> Node:
    """Of absolute values where one may be negative: the log of the product is no NaN where their signs cancel."""
    x = found[rows]
    return sum.op(log(x if never_negative(x) else abs(x)), **found[_product].attrs.fields())  # type: ignore[union-attr]


_product = prod(rows, axis=1)


def _sum_of_exponents(found: Match) -> Node:
    return sum.op(found[rows], **found[_product_of_powers].attrs.fields())  # type: ignore[union-attr]


_product_of_powers = prod(exp(rows), axis=1)


def _matrix(kind: str) -> Node:
    vector = (i if kind == "int64" else a)[0]
    return update(zeros((4, 4), kind), vector, (iota(4), iota(4)))


_known = constant(np.arange(16.0).reshape(4, 4) - 5)
_places = constant([3, 0, -1, 4, 1, 1])


def by_operands(
    name: str,
    place: int,
    right: Callable[[Callable[[Node], bool]], Right],
    example: Callable[[Node, str], Node],
) -> tuple[Rule, Rule, Rule]:
    """A rule for each claim: what 0 times an operand is decides how much is kept; ``place`` is that of the zeros."""

    def ops(node: Node) -> bool:
        return node.inputs[place].op in (equal.op, astype.op, transpose.op, update.op)

    return (
        rule(f"{name}, of integers", matmul.op, right(is_exact), ops=ops, dtypes=("int64",),
             example=lambda: example(i, "int64")),
        rule(f"{name}, of known numbers", matmul.op, right(_finite), ops=ops, keeps=ROUNDING, dtypes=("float64",),
             example=lambda: example(_known, "float64")),
        rule(name, matmul.op, right(_inexact), ops=ops, keeps=ALGEBRAIC, dtypes=INEXACTS,
             example=lambda: example(a, "float64")),
    )  # fmt: skip


_WITH_ZEROS = (
    by_operands("one-hot rows times", 0, hot_rows, lambda x, kind: matmul(one_hot(_places, 4, kind), x)),
    by_operands("times one-hot columns", 1, hot_columns,
                lambda x, kind: matmul(x, one_hot(_places, 4, kind, axis=0))),
    by_operands("a diagonal times", 0, diagonal_first, lambda x, kind: matmul(_matrix(kind), x)),
    by_operands("times a diagonal", 1, diagonal_second, lambda x, kind: matmul(x, _matrix(kind))),
)  # fmt: skip

CONTRACTIONS = rules(
    "CONTRACTIONS",
    EINSUMS,
    *(part for parts in _WITH_ZEROS for part in parts[:2]),
    rule("all places in order", index.op, _in_order, example=lambda: index(a, (slice(None), iota(4)))),
    rule("a product over one element", matmul.op, _over_one, keeps=ROUNDING, dtypes=(*INTEGERS, *FLOATS),
         example=lambda: matmul(a[:, :1], b[:1])),
    rule("a product with ones", matmul.op, _by_ones, keeps=ROUNDING, ops=may_have_number, dtypes=(*INTEGERS, *FLOATS),
         example=lambda: matmul(a[:, :2], ones_like(b[:2]))),
    rule("a sum over a product, of integers", sum.op, over_a_product(sum, is_exact), dtypes=("int64",),
         example=lambda: sum(matmul(i, i), axis=0)),
)  # fmt: skip

FAST_CONTRACTIONS = rules(
    "FAST_CONTRACTIONS",
    FAST_EINSUMS,
    *(parts[2] for parts in _WITH_ZEROS),
    rule("a sum over a product", sum.op, over_a_product(sum, _inexact), keeps=ALGEBRAIC, dtypes=INEXACTS,
         example=lambda: sum(matmul(a, b), axis=0)),
    rule("a mean over a product", mean.op, over_a_product(mean, _inexact), keeps=ALGEBRAIC, dtypes=INEXACTS,
         example=lambda: mean(matmul(a, b), axis=1)),
    rule("a chain of products with a vector", matmul.op, _vector_last, keeps=ALGEBRAIC, dtypes=INEXACTS,
         example=lambda: matmul(matmul(a, a), a[0])),
    rule("a vector's chain of products", matmul.op, _vector_first, keeps=ALGEBRAIC, dtypes=INEXACTS,
         example=lambda: matmul(a[0], matmul(a, b))),
    rule("a chain of products, from the left", matmul.op, _associated_left, keeps=ALGEBRAIC, dtypes=INEXACTS,
         example=lambda: matmul(b[:1, :4], matmul(a, b))),
    rule("log of a product of exp", log(_product_of_powers), _sum_of_exponents, keeps=ALGEBRAIC),
    rule("log of a product", log(_product), _sum_of_logs, keeps=ALGEBRAIC,
         example=lambda: log(prod(abs(rows), axis=1))),
)  # fmt: skip
"""What is true of real numbers: under ``fast_math`` alone."""
