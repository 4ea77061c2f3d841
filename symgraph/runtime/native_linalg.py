"""Factorisations of matrices and linear systems as machine code, where LAPACK would take longer to be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.denormals import flushing
from symgraph.codegen.llvm_factorizations import Factorization, What, print_factorization, room
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.machine import Machine
from symgraph.errors import LinAlgError
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Dim, Size, same
from symgraph.graph.evaluate import attributes_of
from symgraph.graph.node import Node, call_text, located
from symgraph.graph.types import FLOAT32, FLOAT64, TupleType
from symgraph.ops.factorizations import cholesky
from symgraph.ops.inverses import det, inv, slogdet
from symgraph.ops.solvers import solve, solve_triangular
from symgraph.optimizations.cost import typical
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Step
from symgraph.optimizations.several import Several
from symgraph.runtime.code import Function, code
from symgraph.runtime.cpu import host
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeCall
from symgraph.runtime.nests import Lying, collapsed
from symgraph.runtime.picked import spread
from symgraph.runtime.prepared import KernelCall
from symgraph.runtime.shares import Shares, shares

Array = np.ndarray[Any, Any]

_KINDS: dict[Any, What] = {
    cholesky.op: "cholesky",
    solve.op: "solve",
    solve_triangular.op: "triangular",
    inv.op: "inv",
    det.op: "det",
    slogdet.op: "slogdet",
}
_ROWS = (FLOAT32, FLOAT64)
_SMALL, LARGEST = 128, 400
"""LAPACK, with the call of it, takes longer on one thread and on two: for so many rows, whatever is done with them; and
in float64 for so many rows and right-hand sides together, which are the identity's where a matrix is inverted."""
_APART = 512
"""Bytes between the rooms of threads: what a processor reads ahead of one is not written by another meanwhile, which
would cost small matrices a third of their time."""


def is_linalg(step: Step) -> bool:
    """Whether there is machine code for a step that factors matrices or solves systems."""
    if not isinstance(step, Call) or step.node.op not in _KINDS:
        return False
    is_apart = isinstance(step.node.type, TupleType) and not isinstance(step, Several)
    return step.node.inputs[0].row in _ROWS and not is_apart


def gives_several(node: Node) -> bool:
    """Whether there is machine code that writes each part of a tuple, for `symgraph.optimizations.several`."""
    return node.op is slogdet.op and node.inputs[0].row in _ROWS


class NativeLinalg:
    """A step that factors the matrices of a batch, or solves systems with them."""

    def __init__(self, step: Call, threads: int = 1, machine: Machine | None = None) -> None:
        self.step, self.node = step, step.node
        self._threads, self._machine = threads, machine or host()
        self.nodes = (*step.node.inputs, *step.writes)
        self.functions: set[Function] = set()
        self._printed: dict[Factorization, Native] = {}

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call."""
        given = [x.shape for x in self.node.inputs]
        try:
            n, m, *batch = (
                evaluate_dim(size, sizes) for size in (given[0][-1], given[-1][-1], *_batch(self.step))
            )
        except UnboundSize:
            return Needs()
        form = Factorization(_KINDS[self.node.op], self.node.inputs[0].row)
        return Needs(self._shares(form, n, m, prod(batch), sizes).bytes if _is_own(form, n, m) else 0, True)

    def call(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> KernelCall:
        """For arrays of these shapes and strides, with its room at one place of the arena. Raises ValueError for
        shapes that do not fit."""
        form, tail, turns = factored(self.step, arrays)
        n, m = tail[:2]
        if not _is_own(form, n, m):
            return self._by_lapack
        (function,) = code().functions([self._native(form)])
        self.functions.add(function)
        given = (function, tail, turns, room, self._shares(form, n, m, turns, sizes))
        return _Checked(self.node, *given, fails=False, checks=form.checks)

    def printed_for(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> Native | None:
        """The text for arrays of these shapes and strides; None where there is none."""
        try:
            form, (n, m, *_), _ = factored(self.step, arrays)
        except ValueError:
            return None
        return self._native(form) if _is_own(form, n, m) else None

    def texts(self) -> list[Native]:
        """What has been printed until now; if nothing, the text for arrays in order."""
        if not self._printed:
            arrays = [np.empty(tuple(map(typical, x.shape)), x.dtype) for x in self.nodes]
            self._native(factored(self.step, arrays)[0])
        return list(self._printed.values())

    def _native(self, form: Factorization) -> Native:
        native = flushing(print_factorization(form, host()), self._machine)
        return self._printed.setdefault(form, native)

    def _shares(self, form: Factorization, n: int, m: int, turns: int, sizes: Mapping[Size, int]) -> Shares:
        found = shares(self.step, sizes, self._threads, turns, room(form, n, m, host()))
        return found if found.threads == 1 else found._replace(room=found.room + _APART)

    def _by_lapack(self, arrays: Sequence[Array], arena: Arena) -> None:
        count = len(self.node.inputs)
        assert self.node.op.numpy is not None
        made = self.node.op.numpy(*arrays[:count], **attributes_of(self.node)({}))
        for x, out in zip(self.step.writes, arrays[count:], strict=True):
            out[...] = made if x is self.node else made[x.attrs.index]  # type: ignore[union-attr]


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


def _is_own(form: Factorization, n: int, m: int) -> bool:
    """Whether machine code takes less time than LAPACK, which is better at large triangles. NumPy computes float32 in
    float64, whose digits count more where matrices are larger."""
    sides = m if form.what in ("solve", "inv") else 0
    return n <= _SMALL or (form.row is FLOAT64 and form.what != "triangular" and n + sides <= LARGEST)


def factored(step: Call, arrays: Sequence[Lying]) -> tuple[Factorization, list[Any], Any]:
    """The function for a step on arrays that lie so, the words of its table after the addresses but that for trouble,
    and how many matrices there are. Raises ValueError for shapes that do not fit."""
    node, count = step.node, len(step.node.inputs)
    given, made = arrays[:count], arrays[count:]
    attrs: Any = node.attrs
    what, n = _KINDS[node.op], given[0].shape[-1]
    m = given[1].shape[-1] if count > 1 else n
    batch = made[0].shape[: len(_batch(step))]
    if any(same(x.shape[-2], n) is False for x in given):
        raise ValueError(f"{[list(x.shape) for x in given]} are no square matrices and what fits them")
    matrices, is_upper = [list(x.strides[-2:]) for x in given], what == "cholesky" and attrs.upper
    if what == "triangular":
        is_upper = attrs.lower == bool(attrs.trans)
        if attrs.trans:
            matrices[0].reverse()
    steps = [spread(x, (*batch, *x.shape[-2:]))[: len(batch)] for x in given]
    counts, moves, _ = collapsed(batch, [*steps, *(list(x.strides[: len(batch)]) for x in made)])
    form = Factorization(
        what,
        node.inputs[0].row,
        len(counts),
        upper=is_upper,
        unit=what == "triangular" and attrs.unit_diagonal,
        nan=what not in ("det", "slogdet") and attrs.singular == "nan",
        items=tuple(x.attrs.index for x in step.writes if x is not node),  # type: ignore[union-attr]
    )
    axes = zip(counts, *moves, strict=True)
    return form, [n, m, *chain(*matrices), *chain(*axes)], prod(counts)


def _batch(step: Call) -> Sequence[Dim]:
    """The sizes of the axes before those of matrices."""
    return step.writes[0].shape[: max(x.ndim for x in step.node.inputs) - 2]
