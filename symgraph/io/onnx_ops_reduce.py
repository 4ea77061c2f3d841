"""ONNX's reductions, and its products of matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symgraph.graph.dims import same
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.io.onnx_call import Call
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import arithmetic, reduce, shape, statistics
from symgraph.ops.arithmetic import where
from symgraph.ops.axes import reduced_shape
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.comparison import isnan
from symgraph.ops.declare import cast_to
from symgraph.ops.einsum import einsum
from symgraph.ops.inverses import det as determinant
from symgraph.ops.linalg import matmul
from symgraph.ops.softmax import logsumexp
from symgraph.ops.transcendental import log, sqrt

Axes = tuple[int, ...]


def _sum(x: Node, axes: Axes, keep: bool) -> Node:
    return reduce.sum(x, axes, dtype=x.row, keepdims=keep)


def _prod(x: Node, axes: Axes, keep: bool) -> Node:
    return reduce.prod(x, axes, dtype=x.row, keepdims=keep)


def _mean(x: Node, axes: Axes, keep: bool) -> Node:
    return cast_to(statistics.mean(x, axes, keepdims=keep), x.row)


def _max(x: Node, axes: Axes, keep: bool) -> Node:
    if x.row.kind == "bool":
        return reduce.any(x, axes, keepdims=keep)
    if x.row.is_float and not all(isinstance(x.shape[axis], int) for axis in axes):
        found = reduce.supremum(x, axes, keepdims=keep)
        return where(reduce.any(isnan(x), axes, keepdims=keep), constant(np.nan, x.row), found)
    return reduce.max(x, axes, keepdims=keep) if _has_elements(x, axes) else _bound(x, axes, keep, "min")


def _min(x: Node, axes: Axes, keep: bool) -> Node:
    if x.row.kind == "bool":
        return reduce.all(x, axes, keepdims=keep)
    return reduce.min(x, axes, keepdims=keep) if _has_elements(x, axes) else _bound(x, axes, keep, "max")


def _has_elements(x: Node, axes: Axes) -> bool:
    return not any(same(x.shape[axis], 0) is True for axis in axes)


def _bound(x: Node, axes: Axes, keep: bool, which: str) -> Node:
    """The extremum of no elements: minus infinity for the largest, or the smallest number there is."""
    if x.row.is_float:
        value = constant(-np.inf if which == "min" else np.inf, x.row)
    else:
        value = constant(getattr(np.iinfo(x.dtype), which), x.row)
    return broadcast_to(value, reduced_shape(x.shape, axes, keep))


def _l1(x: Node, axes: Axes, keep: bool) -> Node:
    return _sum(arithmetic.abs(x), axes, keep)


def _l2(x: Node, axes: Axes, keep: bool) -> Node:
    return cast_to(sqrt(_sum(x * x, axes, keep)), x.row)


def _log_sum(x: Node, axes: Axes, keep: bool) -> Node:
    return cast_to(log(_sum(x, axes, keep)), x.row)


def _log_sum_exp(x: Node, axes: Axes, keep: bool) -> Node:
    return cast_to(logsumexp(x, axes, keepdims=keep), x.row)


def _sum_of_squares(x: Node, axes: Axes, keep: bool) -> Node:
    return _sum(x * x, axes, keep)


_REDUCTIONS: dict[str, Callable[[Node, Axes, bool], Node]] = {
    "ReduceSum": _sum, "ReduceProd": _prod, "ReduceMean": _mean, "ReduceMax": _max, "ReduceMin": _min,
    "ReduceL1": _l1, "ReduceL2": _l2, "ReduceLogSum": _log_sum, "ReduceLogSumExp": _log_sum_exp,
    "ReduceSumSquare": _sum_of_squares,
}  # fmt: skip


def _reduced(at: Call, x: Node, axes: Axes | None, keep: bool) -> Node:
    chosen = tuple(range(x.ndim)) if axes is None else tuple(sorted(axes))
    return _REDUCTIONS[at.operator](x, chosen, keep)


def _by_input(
    at: Call, x: Node, axes: Node | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Node:
    """Axes are an input; where there are none, all are reduced, or none where it says so."""
    found = at.axes(axes, x.ndim)
    if not found:
        return _reduced(at, x, () if noop_with_empty_axes else None, bool(keepdims))
    return _reduced(at, x, found, bool(keepdims))


def _by_attribute(at: Call, x: Node, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Node:
    return _reduced(at, x, at.axes(axes, x.ndim) or None, bool(keepdims))


for _name in _REDUCTIONS:
    operator(_name)(_by_attribute)
    operator(_name, since=13 if _name == "ReduceSum" else 18)(_by_input)


# Matrices


@operator("MatMul")
def matrix_product(x: Node, y: Node) -> Node:
    return matmul(x, y)


@operator("Gemm")
def gemm(
    a: Node, b: Node, c: Node | None = None, *,
    alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0, broadcast: int = 1,
) -> Node:  # fmt: skip
    """``alpha * a @ b + beta * c``."""
    if a.ndim != 2 or b.ndim != 2:
        raise Refused(f"{a.type} and {b.type}, which are no matrices")
    product = matmul(shape.transpose(a) if transA else a, shape.transpose(b) if transB else b)
    product = product if alpha == 1 else cast_to(product * alpha, a.row)
    if c is None or beta == 0:
        return product
    return product + (c if beta == 1 else cast_to(c * beta, a.row))


@operator("Einsum", since=12)
def einsum_(first: Node, *rest: Node, equation: str) -> Node:
    return einsum(equation.replace(" ", ""), first, *rest)


@operator("Det", since=11)
def det(x: Node) -> Node:
    return determinant(x)
