"""Factorisations of matrices and linear systems as machine code, where LAPACK would take longer to be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.llvm_factorizations import Factorization, What, print_factorization, room
from symgraph.codegen.llvm_printer import Native
from symgraph.errors import LinAlgError
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size, same
from symgraph.graph.evaluate import attributes_of
from symgraph.graph.node import Node, call_text, located
from symgraph.graph.types import FLOAT32, FLOAT64
from symgraph.ops.factorizations import cholesky
from symgraph.ops.inverses import det, inv
from symgraph.ops.solvers import solve, solve_triangular
from symgraph.optimizations.cost import typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeCall
from symgraph.runtime.nests import Lying, collapsed
from symgraph.runtime.picked import spread
from symgraph.runtime.prepared import KernelCall
from symgraph.runtime.shares import Shares

Array = np.ndarray[Any, Any]

_KINDS: dict[Any, What] = {
    cholesky.op: "cholesky",
    solve.op: "solve",
    solve_triangular.op: "triangular",
    inv.op: "inv",
    det.op: "det",
}
LARGEST = 128
"""Rows up to which LAPACK, with the call of it, takes twice as long on one thread."""


def is_linalg(step: Step) -> bool:
    """Whether there is machine code for a step that factors matrices or solves systems."""
    return isinstance(step, Call) and step.node.op in _KINDS and step.node.row in (FLOAT32, FLOAT64)


class NativeLinalg:
    """A step that factors the matrices of a batch, or solves systems with them."""

    def __init__(self, step: Call) -> None:
        self.step, self.node = step, step.node
        self.nodes = (*step.node.inputs, step.node)
        self.functions: set[Function] = set()
        self._printed: dict[Factorization, Native] = {}

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call."""
        given = [x.shape for x in self.node.inputs]
        try:
            n, m = (evaluate_dim(size, sizes) for size in (given[0][-1], given[-1][-1]))
        except UnboundSize:
            return Needs()
        form = Factorization(_KINDS[self.node.op], self.node.row)
        return Needs(0 if n > LARGEST else room(form, n, m, host()), True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena. Raises ValueError for
        shapes that do not fit."""
        form, tail, turns = factored(self.node, arrays)
        if tail[0] > LARGEST:
            return self._by_lapack
        (function,) = code().functions([self._native(form)])
        self.functions.add(function)
        given = (function, len(arrays), tail, turns, room, Shares())
        return _Checked(self.node, *given, fails=False, checks=form.checks)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native | None:
        """The text for arrays of these shapes and strides; None where there is none."""
        try:
            form, (n, *_), _ = factored(self.node, arrays)
        except ValueError:
            return None
        return None if n > LARGEST else self._native(form)

    def texts(self) -> list[Native]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            arrays = [np.empty(tuple(map(typical, x.shape)), x.dtype) for x in self.nodes]
            self._native(factored(self.node, arrays)[0])
        return list(self._printed.values())

    def _native(self, form: Factorization) -> Native:
        return self._printed.setdefault(form, print_factorization(form, host()))

    def _by_lapack(self, arrays: Sequence[Array], arena: Arena) -> None:
        *given, out = arrays
        assert self.node.op.numpy is not None
        out[...] = self.node.op.numpy(*given, **attributes_of(self.node)({}))


class _Checked(NativeCall):
    """A call that tells of a matrix without a result."""

    def __init__(self, node: Node, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._node = node

    def __call__(self, arrays: Sequence[Array], arena: Arena) -> None:
        try:
            super().__call__(arrays, arena)
        except IndexError:
            node = self._node
            what = "not positive definite" if node.op is cholesky.op else "singular"
            error = LinAlgError(f"a matrix is {what}")
            raise located(error, [node], call_text(node.op, node.inputs)) from None


def factored(node: Node, arrays: Sequence[Lying]) -> tuple[Factorization, list[Any], Any]:
    """The function for a step on arrays that lie so, the words of its table after the addresses but that for trouble,
    and how many matrices there are. Raises ValueError for shapes that do not fit."""
    *given, out = arrays
    attrs: Any = node.attrs
    what, n = _KINDS[node.op], given[0].shape[-1]
    m = given[1].shape[-1] if len(given) > 1 else n
    batch = out.shape if what == "det" else out.shape[:-2]
    if any(same(x.shape[-2], n) is False for x in given):
        raise ValueError(f"{[list(x.shape) for x in given]} are no square matrices and what fits them")
    matrices, is_upper = [list(x.strides[-2:]) for x in given], what == "cholesky" and attrs.upper
    if what == "triangular":
        is_upper = attrs.lower == bool(attrs.trans)
        if attrs.trans:
            matrices[0].reverse()
    steps = [spread(x, (*batch, *x.shape[-2:]))[: len(batch)] for x in given]
    counts, moves, _ = collapsed(batch, [*steps, list(out.strides[: len(batch)])])
    form = Factorization(
        what,
        node.row,
        len(counts),
        upper=is_upper,
        unit=what == "triangular" and attrs.unit_diagonal,
        nan=what != "det" and attrs.singular == "nan",
    )
    axes = zip(counts, *moves, strict=True)
    return form, [n, m, *chain(*matrices), *chain(*axes)], prod(counts)
