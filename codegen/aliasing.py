"""Which arrays of a kernel may be one: every element is read for the last time before it is written."""

from __future__ import annotations

from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import Compute, Load, LoopKernel, Statement, Store, statements
from symgraph.graph.dims import Dim


def in_place(kernel: LoopKernel) -> frozenset[tuple[str, str]]:
    """Pairs of a parameter that is read and one that is written whose memory may be the same.

    Both are met at one index, the same; the kernel runs sweep after sweep, and keeps values where
    `symgraph.codegen.long_rows.in_parts` says.
    """
    makers = {x.target.name: x for x, _, _ in statements(kernel) if not isinstance(x, Store)}
    parts = in_parts(kernel, makers)
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
    return frozenset(
        (a, b)
        for a, reads in read.items()
        for b, writes in written.items()
        if len(reads) == len(writes) == 1 and reads.keys() == writes.keys()
        if max(reads.values()) < min(writes.values())
    )
