"""Reads and writes by arrays of indices as CUDA C: ``x[i]``, ``x.at[i].set(value)``, ``x.at[i].add(value)``, …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from symgraph.codegen.cuda_forms import is_wide
from symgraph.codegen.cuda_gather import (
    PART,
    Grouped,
    Move,
    Rows,
    combines,
    moved_as,
    print_grouped,
    print_move,
    print_parts,
    print_rows,
)
from symgraph.codegen.cuda_order import (
    BITS,
    DIGITS,
    TILE,
    print_order_count,
    print_order_move,
    print_order_sum,
    print_order_tile,
)
from symgraph.codegen.layout import Step
from symgraph.codegen.llvm_memory import computed_in
from symgraph.graph.binding import UnboundSize, evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import attributes_of
from symgraph.graph.node import Node
from symgraph.graph.types import DType, dtype
from symgraph.ops.create import iota
from symgraph.ops.index import index
from symgraph.ops.keys import Item
from symgraph.ops.shape import expand_dims, reshape
from symgraph.ops.update import update
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call
from symgraph.optimizations.plan import Step as PlanStep
from symgraph.runtime.cuda_launch import (
    ALIGNED,
    Given,
    Launch,
    LaunchedCall,
    Loops,
    Place,
    Room,
    Trouble,
    blocks,
    loops_of,
    span_of,
    steps_of,
)
from symgraph.runtime.device import Array, Device, address
from symgraph.runtime.picked import Picked, picked, picks, spread, strides_of


def is_cuda_gather(step: PlanStep) -> bool:
    """Whether there is CUDA C for a step that reads or writes by indices."""
    return picks(step, combines)


class CudaGather(LaunchedCall):
    """A step that reads or writes by indices; the ``number`` of the step is told where one is out of bounds."""

    def __init__(self, step: Call, device: Device, trouble: Trouble, number: int) -> None:
        super().__init__(step, device)
        self._trouble, self._number = trouble, number
        self._attributes = attributes_of(step.node)
        self._names_once = names_once(step.node.inputs[2 if step.node.op is update.op else 1 :])

    @property
    def checks(self) -> bool:
        """Whether it looks for indices out of bounds."""
        return len(self.node.inputs) > (2 if self.node.op is update.op else 1)

    def needs(self, sizes: Mapping[Size, int]) -> Needs:
        """The room of a call; what is updated may be written over."""
        try:
            shapes = [tuple(evaluate_dim(size, sizes) for size in x.shape) for x in self.nodes]
        except UnboundSize:
            return Needs()
        if self.node.op is index.op:
            return Needs(0, True)
        arrays = [np.broadcast_to(np.empty((), x.dtype), s) for s, x in zip(shapes, self.nodes, strict=True)]
        try:
            there = picked(arrays[-1], arrays[2:-1], self._attributes(sizes)["items"])
        except (IndexError, ValueError):  # which the call says
            return Needs(0, True)
        room = _Order(there, self.node, 0).bytes if self._repeats(there) else 0
        return Needs(room, True, ((self.node.inputs[0], self.node),))

    def _repeats(self, there: Picked) -> bool:
        """Whether a place may be named twice."""
        return prod(there.gathered) > 1 and not self._names_once

    def launches(self, arrays: Sequence[Array], sizes: Mapping[Size, int], room: int) -> list[Launch]:
        attributes = self._attributes(sizes)
        shape = tuple(evaluate_dim(size, sizes) for size in self.node.shape)
        if tuple(arrays[-1].shape) != shape:
            raise ValueError(f"{arrays[-1].shape} for {shape}")
        if self.node.op is index.op:
            return self._read(arrays, attributes["items"])
        return self._written(arrays, attributes["items"], attributes["mode"], room)

    def _read(self, arrays: Sequence[Array], items: Sequence[Item]) -> list[Launch]:
        x, *indices, y = arrays
        there = picked(x, indices, items)
        if tuple(y.shape) != there.sizes:
            raise ValueError(f"{there.sizes} elements for {tuple(y.shape)}")
        if not y.size:
            return self._look(there, indices, 1)
        source = _Lying(x, there.through, there.start, [step for _, step in there.axes])
        launch = self._move("read", there, source, _Lying(y, strides_of(y)), indices, (0, len(arrays) - 1, 1))
        return [launch]

    def _written(self, arrays: Sequence[Array], items: Sequence[Item], mode: str, room: int) -> list[Launch]:
        x, value, *indices, y = arrays
        there = picked(y, indices, items)
        new = spread(value, there.sizes)
        found = []
        if y.size:
            whole = Picked((), (), tuple(y.shape), strides_of(y), [], 0, [])
            old = _Lying(x, spread(x, y.shape))
            copy = self._move("read", whole, old, _Lying(y, strides_of(y)), (), (0, len(arrays) - 1, 0))
            found.append(Launch(copy.kernel, copy.grid, copy.given, unless=(0, len(arrays) - 1)))
        if not prod(there.sizes) or not there.places:
            return [*found, *self._look(there, indices, 2)]
        if not self._repeats(there):
            target = _Lying(y, there.through, there.start, [step for _, step in there.axes])
            moved = self._move(mode, there, _Lying(value, new), target, indices, (1, len(arrays) - 1, 2))
            return [*found, moved]
        return [*found, *self._grouped(mode, there, arrays, new, room)]

    def _look(self, there: Picked, indices: Sequence[Array], first: int) -> list[Launch]:
        """Whether indices are within bounds, where nothing is picked all the same: of arrays that are broadcast to
        nothing, single numbers are looked at, as NumPy does."""
        count = prod(there.gathered)
        looked = [n for n, x in enumerate(indices) if count or not x.ndim]
        if not looked:
            return []
        own = [indices[n] for n in looked]
        loops = loops_of(there.gathered if count else (), [there.along[n] if count else () for n in looked])
        itemsizes = [x.itemsize for x in own]
        steps = tuple(map(steps_of, loops.strides, itemsizes))
        nothing = (Step.NONE,) * len(loops.sizes)
        wide = is_wide(prod(loops.sizes), *map(span_of, own))
        move = Move(dtype("uint8"), "look", (nothing, nothing, *steps), _rows(own), 1, wide)
        given: dict[str, Given] = {f"i{n}": Place(first + place) for n, place in enumerate(looked)}
        given |= {f"size{n}": there.axes[place][0] for n, place in enumerate(looked)}
        given |= {"trouble": self._trouble, "step": self._number, **loops.given("e", _names(own), itemsizes)}
        return [Launch(print_move(move), blocks(self.device, prod(loops.sizes)), given)]

    def _move(
        self,
        mode: str,
        there: Picked,
        source: _Lying,
        target: _Lying,
        indices: Sequence[Array],
        places: tuple[int, int, int],
    ) -> Launch:
        """A launch for elements that are named once; ``places`` says which arrays of the step are the source, the
        target, and the first of indices."""
        row, size = self.node.row, target.array.itemsize
        sizes: tuple[int, ...] = there.sizes
        strides = [source.strides, target.strides, *there.around]
        if mode in ("read", "set"):
            row = moved_as(row)
            if (parts := size // row.numpy.itemsize) > 1:
                size = row.numpy.itemsize
                sizes = (*sizes, parts)
                ends = [size, size, *([0] * len(indices))]
                strides = [[*own, end] for own, end in zip(strides, ends, strict=True)]
        loops = loops_of(sizes, strides)
        itemsizes = [size, size, *(x.itemsize for x in indices)]
        steps = tuple(steps_of(own, each) for own, each in zip(loops.strides, itemsizes, strict=True))
        vector = _vector(loops, steps, size, [source, target])
        spans = [
            *(span_of(each.array) for each in (source, target)),
            *map(span_of, indices),
        ]
        wide = is_wide(prod(sizes), *(span * target.array.itemsize // size for span in spans))
        printed = print_move(Move(row, mode, steps, _rows(indices), vector, wide))
        name, other = ("x", "y") if mode == "read" else ("value", "y")
        given: dict[str, Given] = {
            name: Place(places[0], source.start),
            other: Place(places[1], target.start),
            **self._indices(there, indices, places[2]),
            **loops.given("e", [name, other, *_names(indices)], itemsizes),
        }
        named = source if mode == "read" else target
        for n, step in enumerate(named.axes):
            given[f"{name if mode == 'read' else other}_place{n}"] = step // size
        return Launch(printed, blocks(self.device, prod(sizes) // vector), given)

    def _grouped(
        self, mode: str, there: Picked, arrays: Sequence[Array], new: Sequence[int], room: int
    ) -> list[Launch]:
        """Launches for rows that more than one value may go to."""
        _, value, *indices, y = arrays
        order = _Order(there, self.node, room)
        row, size, halves = self.node.row, y.itemsize, 1
        if mode == "set":
            row = moved_as(row)
            size, halves = row.numpy.itemsize, y.itemsize // row.numpy.itemsize
        own, along = there.parts(new)
        plain, strides = (*there.outer, *there.inner), [own, there.strides]
        if halves > 1:
            plain, strides = (*plain, halves), [[*each, size] for each in strides]
        loops, values = loops_of(plain, strides, least=0), loops_of(there.gathered, [along])
        steps = [steps_of(each, size) for each in loops.strides]
        target = _Lying(y, there.strides, there.start, [step for _, step in there.axes])
        source = _Lying(value, [*own, *along])
        vector = _vector(loops, steps, size, [source, target], along)
        spans = [span_of(each) * halves for each in (value, y)]
        wide = order.wide or is_wide(order.count * prod(plain), *spans)
        across = bool(loops.sizes) and steps[1][-1] is not Step.UNIT
        grouped = Grouped(
            row, mode, steps[0], steps[1], steps_of(values.strides[0], size), len(indices), vector, across,
            order.wide, wide,
        )  # fmt: skip
        rows, sorted_ = order.launches(self.device)
        given: dict[str, Given] = {
            "value": Place(1),
            "y": Place(len(arrays) - 1, there.start),
            "left": order.left,
            "n": order.count,
            **sorted_,
            **self._indices(there, indices, 2),
            **loops.given("e", ["value", "y"], [size, size]),
            **values.given("g", ["value"], [size]),
            **{f"y_place{n}": step // size for n, (_, step) in enumerate(there.axes)},
        }
        elements = prod(plain) // vector
        each = Launch(print_grouped(grouped), blocks(self.device, order.count * elements), given)
        found = [self._row_launch(there, indices, order), *rows, each]
        if mode != "set" and order.count > PART:
            parts = (order.count - 1) // PART
            found.append(Launch(print_parts(grouped), blocks(self.device, parts * elements), given))
        return found

    def _row_launch(self, there: Picked, indices: Sequence[Array], order: _Order) -> Launch:
        loops = loops_of(there.gathered, there.along)
        steps = tuple(steps_of(own, x.itemsize) for own, x in zip(loops.strides, indices, strict=True))
        given: dict[str, Given] = {
            "rows": order.rows[0],
            "order": order.order[0],
            **self._indices(there, indices, 2),
            **loops.given("g", _names(indices), [x.itemsize for x in indices]),
        }
        wide = order.wide or is_wide(order.count, *map(span_of, indices))
        printed = print_rows(Rows(steps, _rows(indices), order.wide, wide))
        return Launch(printed, blocks(self.device, order.count), given)

    def _indices(self, there: Picked, indices: Sequence[Array], first: int) -> dict[str, Given]:
        """What functions are given for arrays of indices, the first of which is that array of the step."""
        given: dict[str, Given] = {f"i{n}": Place(first + n) for n in range(len(indices))}
        given |= {f"size{n}": size for n, (size, _) in enumerate(there.axes)}
        return {**given, "trouble": self._trouble, "step": self._number}


def names_once(indices: Sequence[Node]) -> bool:
    """Whether arrays of indices name no place twice, whatever their sizes: along each of their axes one of them counts
    its places."""
    rank = max((x.ndim for x in indices), default=0)
    counted = set()
    for x in indices:
        source = x
        while source.op in (reshape.op, expand_dims.op):
            source = source.inputs[0]
        wide = [axis for axis, size in enumerate(x.shape) if size != 1]
        if (
            source.op is iota.op
            and source.row.bits >= 32
            and len(wide) == 1
            and x.shape[wide[0]] == source.shape[0]
        ):
            counted.add(wide[0] + rank - x.ndim)
    single = {
        axis
        for axis in range(rank)
        if all(axis < rank - x.ndim or x.shape[axis - rank + x.ndim] == 1 for x in indices)
    }
    return len(counted | single) == rank


@dataclass(frozen=True, slots=True)
class _Lying:
    """An array, and how loops go through it, in bytes."""

    array: Array
    strides: list[int]
    start: int = 0
    axes: Sequence[int] = ()
    """The steps of the axes that indices name places of."""


def _vector(
    loops: Loops,
    steps: Sequence[Sequence[Step]],
    size: int,
    arrays: Sequence[_Lying],
    along: Sequence[int] = (),
) -> int:
    """Neighbours that a thread moves at once, along the last loop: as many as the source, the target and their layouts
    allow. Other strides of the source stand in ``along``."""
    if not loops.sizes or steps[1][-1] is not Step.UNIT or steps[0][-1] is Step.FAR:
        return 1
    if any(own[-1] is not Step.NONE for own in steps[2:]):
        return 1
    found = ALIGNED // size
    multiples = [loops.sizes[-1] * size]
    for n, (x, own) in enumerate(zip(arrays, loops.strides, strict=False)):
        if steps[n][-1] is Step.UNIT:
            multiples += [address(x.array) + x.start, *own[:-1], *x.axes, *(along if n == 0 else ())]
    while found > 1 and any(each % (found * size) for each in multiples):
        found //= 2
    return found


def _names(indices: Sequence[Array]) -> list[str]:
    return [f"i{n}" for n in range(len(indices))]


def _rows(indices: Sequence[Array]) -> tuple[DType, ...]:
    return tuple(dtype(x.dtype) for x in indices)


class _Order:
    """The room in which rows come into order."""

    def __init__(self, there: Picked, node: Node, room: int) -> None:
        self.count = prod(there.gathered)
        """How many rows are named, one or the other more than once."""
        self._rows = there.places
        self.wide = is_wide(self._rows, self.count)
        self._tiles = -(-self.count // TILE)
        itemsize = 8 if self.wide else 4
        left = Room(room)
        self.rows = [left.array(self.count, itemsize) for _ in range(2)]
        self.order = [left.array(self.count, itemsize) for _ in range(2)]
        many = self._tiles if self._tiles > 1 else 0
        self._counts, self._totals = left.array(DIGITS * many, itemsize), left.array(DIGITS, itemsize)
        parts = -(-self.count // PART) if node.attrs.mode != "set" else 0  # type: ignore[union-attr]
        numbers = prod((*there.outer, *there.inner)) * parts
        self.left = left.array(numbers, computed_in(node.row).numpy.itemsize)
        self.bytes = left.bytes

    def launches(self, device: Device) -> tuple[list[Launch], dict[str, Given]]:
        """Those that bring rows into order, and where they stand then."""
        passes = -(-max(0, self._rows - 1).bit_length() // BITS)
        found = []
        if self._tiles == 1 and passes:
            given: dict[str, Given] = {"n": self.count, "passes": passes, **self._places(0)}
            found.append(Launch(print_order_tile(wide=self.wide), (1, 1), given))
        for each in range(passes if self._tiles > 1 else 0):
            given = {
                "n": self.count,
                "shift": BITS * each,
                "tiles": self._tiles,
                "counts": self._counts,
                "totals": self._totals,
                **self._places(each % 2),
            }
            tiles = self._tiles, 1
            found += [
                Launch(print_order_count(wide=self.wide), tiles, given),
                Launch(print_order_sum(wide=self.wide), (DIGITS, 1), given),
                Launch(print_order_move(wide=self.wide), tiles, given),
            ]
        return found, {"rows": self.rows[passes % 2], "order": self.order[passes % 2]}

    def _places(self, first: int) -> dict[str, Given]:
        return {
            "rows": self.rows[first],
            "order": self.order[first],
            "rows_2": self.rows[1 - first],
            "order_2": self.order[1 - first],
        }
