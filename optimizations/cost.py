"""An estimate of what a program costs: scalar operations, with every unknown size taken to be the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from symgraph.errors import ShapeError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Dim, Size, is_symbol, symbols
from symgraph.graph.node import Node
from symgraph.graph.op import ITEM, PACK, Op, placeholder
from symgraph.graph.types import TupleType
from symgraph.graph.walk import expand, toposort
from symgraph.ops import factorizations, fourier, inverses, least_squares, matrix_functions, solvers, spectra
from symgraph.ops.control import BranchAttrs, LoopAttrs
from symgraph.ops.einsum import einsum
from symgraph.ops.linalg import matmul, tensordot
from symgraph.optimizations.pattern import MOVES

TYPICAL = 16
"""What a symbolic size is taken to be."""

ENDLESS = 100
"""The turns that a loop without a bound is taken to have."""

START = 1000.0
"""Nanoseconds that a step takes to begin, as a core of 2020 with NumPy's kernels would."""
BYTE = 0.1
"""Nanoseconds for a byte that is read or written, from memory to memory."""
OPERATION = 0.3
"""Nanoseconds for a plain operation on one element."""
PRODUCT = 0.05
"""Nanoseconds for a multiplication or addition in a product of matrices."""
PRODUCTS = frozenset({matmul.op, tensordot.op, einsum.op})
FACTORED = {
    factorizations.cholesky.op: 0.33,
    factorizations.lu.op: 0.67,
    factorizations.qr.op: 2.7,
    solvers.solve.op: 0.67,
    inverses.inv.op: 2.0,
    inverses.det.op: 0.67,
    inverses.slogdet.op: 0.67,
    inverses.adjugate.op: 22.0,
    spectra.eigvalsh.op: 1.33,
    spectra.eigh.op: 9.0,
    spectra.eigvals.op: 10.0,
    spectra.eig.op: 25.0,
    spectra.svdvals.op: 2.7,
    spectra.svd.op: 20.0,
    least_squares.pinv.op: 22.0,
    least_squares.lstsq.op: 20.0,
    matrix_functions.expm.op: 15.0,
    matrix_functions.expm_frechet.op: 40.0,
}
"""Operations for each n³ of a square matrix; of another, with the smaller size twice (Golub and Van Loan, 4th ed.)."""
SOLVED = frozenset({solvers.solve.op, solvers.solve_triangular.op, least_squares.lstsq.op})
TRANSFORMS = frozenset(f.op for f in (fourier.fftn, fourier.ifftn, fourier.rfftn, fourier.irfftn))
SizeOf = Callable[[Dim], int]

_PLAIN = 1.0
_TRANSCENDENTAL = 12.0
_SERIES = 150.0
_HEAVY = frozenset(
    {"exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "pow", "sin", "cos", "tan", "sinh", "cosh", "tanh",
     "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh", "hypot", "logaddexp", "cbrt", "remainder", "fmod",
     "floor_divide", "scaled_exp", "ndtr", "log_ndtr", "ndtri"}
)  # fmt: skip


_SUMMED = frozenset({"gammainc", "gammaincc", "betainc", "lbeta", "polygamma"})
"""Of these the terms of a series are computed one by one."""


def cost(roots: Iterable[Node]) -> float:
    """Scalar operations of all nodes that the roots need; a move is free unless it gathers or joins."""
    return sum((node_cost(node) for node in toposort(roots)), 0.0)


def node_cost(node: Node, of: SizeOf | None = None) -> float:
    """Scalar operations of one node; ``of`` says how large a size is."""
    of = of or typical
    if not node.inputs or node.op in (ITEM, PACK):
        return 0.0
    if node.op.elementwise:
        return weight(node.op, len(node.inputs)) * elements(node, of)
    if node.op in MOVES:
        return _PLAIN * elements(node, of) if len(node.inputs) > 1 else 0.0
    if node.op in PRODUCTS:
        return _products(node, of)
    if node.op in FACTORED or node.op in SOLVED:
        return _factored(node, of)
    if node.op in TRANSFORMS:
        count = max(elements(node, of), elements(node.inputs[0], of))
        return 5.0 * count * max(1.0, math.log2(count))
    if isinstance(node.attrs, LoopAttrs):
        turns = of(node.attrs.length) if node.attrs.length is not None else ENDLESS
        return turns * sum(node_cost(part, of) for part in node.attrs.body.nodes())
    if isinstance(node.attrs, BranchAttrs):
        return max(sum(node_cost(part, of) for part in each.nodes()) for each in node.attrs.branches)
    if node.op.numpy is None and node.op.body is not None:
        body = expand(node)
        inner = set(toposort(node.inputs))
        return sum(node_cost(part, of) for part in toposort([body]) if part not in inner)
    return 2.0 * max(elements(x, of) for x in node.inputs)


@cache
def weight(op: Op, arity: int) -> float:
    """The scalar operations of one element."""
    if op.numpy is None and op.body is not None:
        scalars = [placeholder("float64", (), name=f"x{i}") for i in range(arity)]
        return sum(weight(part.op, len(part.inputs)) for part in toposort([op.body(*scalars)]) if part.inputs)
    if op.name in _SUMMED:
        return _SERIES
    return _TRANSCENDENTAL if op.name in _HEAVY or "erf" in op.name or "gamma" in op.name else _PLAIN


def _products(node: Node, of: SizeOf) -> float:
    """One pass over all indices; of an einsum, with a gather for a diagonal."""
    if node.op is matmul.op:
        return 2.0 * elements(node, of) * max(1, of(node.inputs[0].shape[-1]))
    if node.op is tensordot.op:
        first = node.attrs.first  # type: ignore[union-attr]
        return 2.0 * elements(node, of) * math.prod(max(1, of(node.inputs[0].shape[axis])) for axis in first)
    sizes: dict[str, int] = {}
    gathered = 0
    for term, x in zip(node.attrs.spec.partition("->")[0].split(","), node.inputs, strict=True):  # type: ignore[union-attr]
        own = {letter: max(1, of(size)) for letter, size in zip(term, x.shape, strict=True)}
        gathered += math.prod(own.values()) if len(own) < len(term) else 0
        sizes |= {letter: max(size, sizes.get(letter, 1)) for letter, size in own.items()}
    return float(max(2, len(node.inputs)) * math.prod(sizes.values()) + gathered)


def _factored(node: Node, of: SizeOf) -> float:
    """A factorisation, and two triangles for each right-hand side."""
    matrix = node.inputs[0]
    smaller = max(1, min(of(size) for size in matrix.shape[-2:]))
    factored = FACTORED.get(node.op, 0.0) * smaller * elements(matrix, of)
    return factored + (2.0 * smaller * elements(node.inputs[1], of) if node.op in SOLVED else 0.0)


def elements(node: Node, of: SizeOf | None = None) -> int:
    """How many numbers a node holds; ``of`` says how large a size is."""
    of, type = of or typical, node.type
    if isinstance(type, TupleType):
        return sum(_count(each.shape, of) for each in type.items)
    return _count(type.shape, of)


def _count(shape: Sequence[Dim], of: SizeOf) -> int:
    return math.prod([max(1, size if isinstance(size, int) else of(size)) for size in shape])


def typical(size: Dim) -> int:
    """A size as a number."""
    if not isinstance(size, Size):
        return size
    if is_symbol(size):
        return TYPICAL
    try:
        return int(evaluate_dim(size, dict.fromkeys(symbols(size), TYPICAL)))
    except ShapeError:  # it meets a known size that is another
        return TYPICAL
