"""Loops and branches: ops that hold inner graphs, made from the user's functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, OutOfBoundsError, ShapeError
from symgraph.graph.dims import Dim, Size, same
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import Graph
from symgraph.graph.node import type_symbols
from symgraph.graph.op import Attrs, Op, register
from symgraph.graph.types import BOOL, INT64, TensorType, TupleType

Array = np.ndarray[Any, Any]


# A loop


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LoopAttrs(Attrs):
    """``body`` takes the number of the turn, carries, a row of each array that is gone through, and what it reads from
    outside; it gives the carries of the next turn, and a row of each array that is stacked.

    ``condition`` takes the number of the turn, carries and what is read from outside, and ends the loop where it is
    false. Rows after that are zeros, and the last result is the number of turns.
    """

    body: Graph
    condition: Graph | None
    carries: int
    """How many."""
    rows: int
    """How many arrays are gone through along axis 0."""
    length: Dim | None
    """Turns, at most; None only where a condition ends the loop."""
    reverse: bool
    """Whether the last rows come first, and the turns are counted down."""
    segment: Dim | None
    """Turns whose values the gradient computes again together, from the carries before them; None where it keeps what
    is dear to compute."""

    def symbols(self) -> frozenset[Size]:
        """With those of the stacked rows, which arguments may bind."""
        rows = self.body.outputs[self.carries :]
        return Attrs.symbols(self).union(*(type_symbols(x.type) for x in rows))


def _infer_loop(*types: TensorType, **attrs: Any) -> TupleType:
    return _loop_type(types, LoopAttrs(**attrs))


def _loop_type(types: Sequence[TensorType], attrs: LoopAttrs) -> TupleType:
    body, carries, end = attrs.body, attrs.carries, attrs.carries + attrs.rows
    for given in types[carries:end]:
        if attrs.length is None or given.rank == 0 or same(given.shape[0], attrs.length) is not True:
            raise ShapeError(f"goes through {given} in {attrs.length} turns; axis 0 and the turns must agree")
    rows = [TensorType(x.dtype, x.shape[1:]) for x in types[carries:end]]
    _check_inputs(body, [TensorType(INT64, ()), *types[:carries], *rows, *types[end:]])
    if attrs.condition is not None:
        _check_inputs(attrs.condition, [TensorType(INT64, ()), *types[:carries], *types[end:]])
        if [x.type for x in attrs.condition.outputs] != [TensorType(BOOL, ())]:
            raise DTypeError("a condition is one bool")
    elif attrs.length is None:
        raise ArgumentError("a loop needs a number of turns or a condition")
    made = [out.tensor for out in body.outputs]
    for n, (before, after) in enumerate(zip(types[:carries], made[:carries], strict=True)):
        if before != after:
            raise ShapeError(f"carry {n} is {before} and becomes {after}; a carry keeps its dtype and sizes")
    length = attrs.length
    if length is None:
        if made[carries:]:
            raise ArgumentError("rows are stacked only where the number of turns has a bound")
        stacked: list[TensorType] = []
    else:
        stacked = [TensorType(x.dtype, (length, *x.shape)) for x in made[carries:]]
    counted = [TensorType(INT64, ())] if attrs.condition is not None else []
    return TupleType((*types[:carries], *stacked, *counted))


def _check_inputs(body: Graph, types: Sequence[TensorType]) -> None:
    wanted = [x.type for x in body.inputs]
    if list(types) != wanted:
        raise DTypeError(f"{body.name} takes ({', '.join(map(str, wanted))})")


def _run_loop(*arrays: Array, **given: Any) -> tuple[Array, ...]:
    attrs = LoopAttrs(**given)
    end = attrs.carries + attrs.rows
    now, through, outer = list(arrays[: attrs.carries]), arrays[attrs.carries : end], arrays[end:]
    body = schedule(attrs.body.outputs, attrs.body.inputs)
    condition = None if attrs.condition is None else schedule(attrs.condition.outputs, attrs.condition.inputs)
    made = [out.tensor for out in attrs.body.outputs[attrs.carries :]]
    stacked: list[Array] = [np.zeros((attrs.length, *x.shape), x.dtype.numpy) for x in made]
    turns = 0
    while attrs.length is None or turns < attrs.length:
        n = np.asarray(attrs.length - 1 - turns if attrs.reverse else turns, np.int64)  # type: ignore[operator]
        if condition is not None and not condition.run([n, *now, *outer])[0]:
            break
        results = body.run([n, *now, *(x[n, ...] for x in through), *outer])
        now = results[: attrs.carries]
        for array, row in zip(stacked, results[attrs.carries :], strict=True):
            array[n] = row
        turns += 1
    counted = [np.asarray(turns, np.int64)] if condition is not None else []
    return (*(np.array(x) for x in now), *stacked, *counted)


LOOP = register(Op("loop", infer=_infer_loop, numpy=_run_loop, attrs=LoopAttrs))


# A branch


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BranchAttrs(Attrs):
    """Each of the graphs takes the inputs behind the first, which says by its number which of them is computed."""

    branches: tuple[Graph, ...]


def _infer_branch(index: TensorType, *types: TensorType, branches: tuple[Graph, ...]) -> TupleType:
    if index != TensorType(INT64, ()):
        raise DTypeError(f"a branch is chosen by one int64, not {index}")
    first = TupleType(tuple(out.tensor for out in branches[0].outputs))
    for n, branch in enumerate(branches):
        _check_inputs(branch, types)
        other = TupleType(tuple(out.tensor for out in branch.outputs))
        if other != first:
            raise ShapeError(f"branch 0 gives {first} and branch {n} gives {other}; they must agree")
    return first


def _run_branch(index: Array, *arrays: Array, branches: tuple[Graph, ...]) -> tuple[Array, ...]:
    n = int(index)
    if not 0 <= n < len(branches):
        raise OutOfBoundsError(f"there is no branch {n}; there are {len(branches)}")
    branch = branches[n]
    return tuple(np.array(x) for x in schedule(branch.outputs, branch.inputs).run(arrays))


BRANCH = register(Op("branch", infer=_infer_branch, numpy=_run_branch, attrs=BranchAttrs))
INNER = frozenset({LOOP, BRANCH})
"""The ops that hold graphs which run by themselves."""


# What inner graphs give is made where it is wanted


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CopyAttrs(Attrs):
    """Copies with other numbers are other nodes."""

    number: int


COPY = register(
    Op("copy", infer=lambda x, number: x, numpy=lambda x, number: x, attrs=CopyAttrs, elementwise=True)
)
"""An array by itself: plans put it where two results would be one array, or one an argument."""
