"""Cumulative sums and products, and linear recurrences, as CUDA C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from symgraph.codegen.cuda_forms import BLOCK, FULL, PART, PARTS, is_wide
from symgraph.codegen.cuda_scans import Scan, is_sequential, print_scan, print_totals
from symgraph.codegen.layout import Step
from symgraph.codegen.llvm_memory import computed_in
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import attributes_of
from symgraph.graph.types import dtype
from symgraph.ops.scan import cumulative_prod, cumulative_sum, linear_recurrence
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, View
from symgraph.optimizations.plan import Step as PlanStep
from symgraph.runtime.cuda_launch import (
    ALIGNED,
    Given,
    Launch,
    LaunchedCall,
    Place,
    Room,
    blocks,
    loops_of,
    span_of,
    steps_of,
)
from symgraph.runtime.device import Array, Device, address
from symgraph.runtime.picked import sizes_of, strides_of

_KINDS = {cumulative_sum.op: "sum", cumulative_prod.op: "prod", linear_recurrence.op: "recurrence"}

_STRETCH = 64
"""Numbers of a part of a row that a thread has, at least."""


def is_cuda_scan(step: PlanStep) -> bool:
    """Whether a step is cumulative, along an axis whose size is known before the call."""
    if not isinstance(step, Call) or isinstance(step, View) or step.node.op not in _KINDS:
        return False
    if step.node.row.is_complex and step.node.op is not cumulative_sum.op:
        return False
    return all(size.source is None for size in sizes_of(step.node))


@dataclass(frozen=True, slots=True)
class _Share:
    """How threads share rows."""

    threads: int
    """Of a row."""
    parts: int
    length: int
    """Of each part but the last."""


class CudaScan(LaunchedCall):
    """A cumulative step."""

    def __init__(self, step: Call, device: Device) -> None:
        super().__init__(step, device)
        self._attributes = attributes_of(step.node)
        row = self.node.row
        self._parts = 2 if row.is_complex else 1
        """The numbers of an element."""
        self._row = dtype(f"float{row.bits // 2}") if row.is_complex else row

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call, and what may be the same array."""
        try:
            shape = tuple(evaluate_dim(size, sizes) for size in self.node.shape)
        except UnboundSize:
            return Needs()
        rows, columns, is_near = self._space(shape, sizes)
        share = self._share(rows, columns, is_near)
        room = Room()
        if share.parts > 1:
            room.array(rows * share.parts, computed_in(self._row).numpy.itemsize)
        return Needs(room.bytes, True, ((self.node.inputs[-1], self.node),))

    def launches(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> list[Launch]:
        """Raises ValueError for shapes that NumPy refuses."""
        *read, y = arrays
        shape = tuple(evaluate_dim(size, sizes) for size in self.node.shape)
        if any(tuple(x.shape) != shape for x in arrays):
            raise ValueError("the arrays differ in shape")
        if not y.size:
            return []
        attributes = self._attributes(sizes)
        axis, reverse = attributes["axis"], attributes["reverse"]
        rows, columns, is_near = self._space(shape, sizes)
        share, size = self._share(rows, columns, is_near), self._row.numpy.itemsize
        outer = [*(n for i, n in enumerate(shape) if i != axis), *([2] * (self._parts - 1))]
        strides, along, starts = [], [], []
        for x in arrays:
            own = strides_of(x)
            step = own.pop(axis)
            strides.append([*own, *([size] * (self._parts - 1))])
            along.append(-step if reverse else step)
            starts.append(step * (columns - 1) if reverse else 0)
        loops = loops_of(outer, strides, least=0)
        steps = tuple(
            (*steps_of(own, size), *steps_of([step], size))
            for own, step in zip(loops.strides, along, strict=True)
        )
        each = ALIGNED // size if share.threads > 1 else 1
        at_once = tuple(
            own[-1] is Step.UNIT and not any(x % ALIGNED for x in (address(array), columns * size, *far))
            for own, array, far in zip(steps, arrays, loops.strides, strict=True)
        )
        scan = Scan(
            self._kind(attributes), self._row, attributes.get("exclusive", False), steps, share.threads, each,
            at_once if share.threads > 1 else (False,) * len(arrays), share.parts > 1,
            is_wide(rows * columns, *(span_of(x) * self._parts for x in arrays)),
        )  # fmt: skip
        names = [*(["x"] if len(read) == 1 else ["a", "b"]), "y"]
        given: dict[str, Given] = {
            **{name: Place(n, start) for n, (name, start) in enumerate(zip(names, starts, strict=True))},
            **loops.given("e", names, [size] * len(names)),
            **{f"{name}_j": step // size for name, step in zip(names, along, strict=True)},
            "n_j": columns,
            "parts": share.parts,
            "length": share.length,
            "totals": Room(room).array(rows * share.parts, computed_in(self._row).numpy.itemsize),
        }
        if share.threads == 1:
            grid = blocks(self.device, rows * share.parts)
        else:
            grid = blocks(self.device, rows, scan.rows)[0], share.parts
        found = [Launch(print_scan(scan), grid, given)]
        if scan.is_cut:  # the texts of what parts come to differ in less
            plain = replace(scan, exclusive=False, steps=(steps[0], ()), at_once=(scan.at_once[0], False))
            found.insert(0, Launch(print_totals(plain), grid, given))
        return found

    def _kind(self, attributes: Mapping[str, object]) -> str:
        return "lagged" if attributes.get("lagged") else _KINDS[self.node.op]

    def _space(self, shape: Sequence[int], sizes: Mapping[Size, int]) -> tuple[int, int, bool]:
        """How many rows there are, how long they are, and whether neighbours along a row are so in memory."""
        axis = self._attributes(sizes)["axis"]
        inner = prod(shape[axis + 1 :]) * self._parts
        return prod(shape[:axis]) * inner, shape[axis], inner == 1

    def _share(self, rows: int, columns: int, is_near: bool) -> _Share:
        """From sizes alone."""
        kind = self._kind(self._attributes({}) if self.node.op is linear_recurrence.op else {})
        alone = _Share(1, 1, columns)
        if is_sequential(kind, self._row) or not rows:
            return alone
        each = ALIGNED // self._row.numpy.itemsize
        if is_near and columns > 2 * each:
            parts = 1
            if columns >= 4 * PART and rows * BLOCK < FULL:
                parts = min(PARTS, columns // PART)
            return _cut(
                columns, parts, BLOCK * each, threads=_power(-(-columns // each)) if parts == 1 else BLOCK
            )
        parts = min(PARTS, columns // _STRETCH, FULL // rows)
        return _cut(columns, parts, 1, threads=1) if parts > 1 else alone


def _cut(columns: int, parts: int, multiple: int, *, threads: int) -> _Share:
    """About so many parts, whose length is a multiple."""
    if parts < 2:
        return _Share(threads, 1, columns)
    length = -(-columns // parts)
    length = -(-length // multiple) * multiple
    return _Share(threads, -(-columns // length), length)


def _power(wanted: int) -> int:
    """The least power of 2 that is not less than wanted, and 2 to a block's threads."""
    return min(BLOCK, max(2, 1 << (wanted - 1).bit_length()))
