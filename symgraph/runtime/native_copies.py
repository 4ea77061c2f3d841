"""Copies as steps of machine code: kernels of one operation that does nothing."""

from __future__ import annotations

from functools import cache

from symgraph.graph.dims import symbol
from symgraph.graph.graph import graph
from symgraph.graph.op import placeholder
from symgraph.graph.types import DType, dtype
from symgraph.ops.control import COPY
from symgraph.optimizations.plan import plan
from symgraph.runtime.native import NativeKernel
from symgraph.runtime.native_words import Base, Lane, Lying, Words


@cache
def copier(row: DType, rank: int) -> NativeKernel:
    """The kernel for arrays of so many axes."""
    x = placeholder(row, tuple(f"n{axis}" for axis in range(rank)), name="x")
    (step,) = plan(graph([x], [COPY(x, number=0)])).kernels
    return NativeKernel(step)


def copy(lane: Lane, words: Words, source: Lying, target: Lying, bases: tuple[Base, Base]) -> None:
    """A step that copies."""
    made = copier(dtype(source.dtype), len(source.shape))
    sizes = {symbol(f"n{axis}"): size for axis, size in enumerate(source.shape)}
    arrays = [source.array(), target.array()]
    words.keep(arrays)
    lane.add(words, made.call(arrays, sizes, 0), arrays, bases)
