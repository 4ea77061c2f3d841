"""Which arrays of a kernel may be one: every element is read for the last time before it is written."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import (
    Compute,
    Load,
    LoopKernel,
    Statement,
    Store,
    all_of,
    columns_of,
    of_form,
)
from symgraph.graph.dims import Dim


def in_place(kernel: LoopKernel) -> frozenset[tuple[str, str]]:
    """Pairs of a parameter that is read and one that is written whose memory may be the same.

    Both are met at one index, the same; the kernel runs sweep after sweep, and keeps values where
    `symgraph.codegen.long_rows.in_parts` says.
    """
    names = [param.name for param in (*kernel.reads, *kernel.writes)]
    return frozenset([(names[a], names[b]) for a, b in _in_place(kernel)])


@of_form
def _in_place(kernel: LoopKernel) -> Sequence[tuple[int, int]]:
    """The places of the parameters of each pair."""
    parts = in_parts(kernel)
    read: dict[str, dict[tuple[Dim, ...], int]] = {}
    written: dict[str, dict[tuple[Dim, ...], int]] = {}
    time = 0

    def write(store: Store) -> None:
        written.setdefault(store.param.name, {}).setdefault(store.index, time)

    def do(each: Statement) -> None:
        if isinstance(each, Load):
            read.setdefault(each.param.name, {})[each.index] = time
        elif isinstance(each, Store):
            write(each)
        if isinstance(each, Load | Compute) and (home := parts.kept.get(each.target.name)) is not None:
            write(home)

    for section in (*kernel.once, *parts.sections):
        for each in section if isinstance(section, tuple) else (section,):
            time += 1
            do(each)
    first: dict[tuple[Dim, ...], list[tuple[str, int]]] = {}
    for name, writes in written.items():
        for index, at in writes.items() if len(writes) == 1 else ():
            first.setdefault(index, []).append((name, at))
    last = [(name, *reads.popitem()) for name, reads in read.items() if len(reads) == 1]
    places = {param.name: n for n, param in enumerate((*kernel.reads, *kernel.writes))}
    return [(places[a], places[b]) for a, index, end in last for b, at in first.get(index, ()) if end < at]


def in_place_of_threads(kernel: LoopKernel) -> frozenset[tuple[str, str]]:
    """The same where threads share the loops: only the thread that writes an element reads it, since every loop leads
    to elements of its own."""
    loops = {loop.variable for loop in (*kernel.rows, *columns_of(kernel))}
    shared = {
        each.param.name
        for each in all_of(kernel)
        if isinstance(each, Load | Store) and set(each.index) != loops
    }
    return frozenset(pair for pair in in_place(kernel) if shared.isdisjoint(pair))
