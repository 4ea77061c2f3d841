"""Reads and writes by arrays of indices as LLVM IR: loops over elements, which indices say the places of.

The function is called as a kernel is, for a range of turns of the first loop::

    void gather_0(ptr table, i64 begin, i64 end)        y = x[i]
    void scatter_0(ptr table, i64 begin, i64 end)       y = a copy of x; y[i] = value, or y[i] += value, …

The table has 8 bytes for each of these: the addresses of x, of the value (where there is one), of the arrays of
indices, of y, and of a room that is not used; for each loop of the copy its size and the bytes that a turn goes in x
and in y; where ranges are of places, the turns of the first of these loops for one place; the bytes to the first
element where all indices are 0; for each array of indices the size of its axis and the bytes from a place there to the
next; for each loop its size and the bytes that a turn goes in what is read, in what is written, and in each array of
indices; where there are indices, the address of a word for trouble.

Elements come one after the other, so that what is set twice keeps the last value and sums have one order. Ranges of a
function that writes run in their order, and the one that begins at 0 copies x before, unless x is y. Or they are ranges
of the places along the first axis, which an array of indices names: each copies these, goes through all elements, and
writes those that go there. Then they may run in any order and at the same time. Negative indices count from the end.
Where one is out of bounds the word for trouble becomes 1 and the function returns: it has read and written nothing
beside the arrays, and what stands in y then means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import NamedTuple

from symgraph.codegen.layout import Step
from symgraph.codegen.llvm_memory import INT64, address, first_lanes, load, store
from symgraph.codegen.llvm_ops import maximum, minimum
from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.llvm_tiles import each, either, integer
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import BOOL, FLOAT32, FLOAT64, DType, dtype

_WIDEST = 32
"""Bytes of the vectors that elements are moved in, at most: wider ones take longer to memory."""
_UNROLLED = 4
"""Vectors that are moved in one turn of a loop."""
_RANGE = integer("%begin"), integer("%end")
_OWN, _AT_ONCE = "%own", 256
"""The numbers of turns that write places in the function's range, of so many turns."""


class Indices(NamedTuple):
    """An array of indices: its dtype, and the number of loops around it, along the last of which it goes."""

    row: DType
    depth: int


@dataclass(frozen=True, slots=True)
class Loops:
    """Loops over elements that go from one place to another."""

    count: int
    """At least 1."""
    last: Step
    """How far a turn of the last loop goes in what is read; if that is not far, what is written are neighbours."""
    near: bool = False
    """Whether an array of indices goes along the last loop, and all that do go to neighbours, as does the array whose
    places they do not name."""


class Move(NamedTuple):
    """What the text of a function depends on, and no size among it."""

    row: DType
    """What is moved, as `moved_as` has it, or computed with."""
    parts: int
    """How many of them an element is made of."""
    mode: str
    """"read", "set", or one of those that combine what is there with a value."""
    loops: Loops
    indices: tuple[Indices, ...]
    copied: Loops | None = None
    """Of the copy of x, if it writes."""
    owner: int | None = None
    """Which array of indices goes along the first loop and names places of the first axis, if ranges are of these."""


def moved_as(row: DType) -> tuple[DType, int]:
    """Integers that have the bytes of an element, and how many of them."""
    size = row.numpy.itemsize
    return dtype(f"uint{8 * min(size, 8)}"), -(-size // 8)


def combines(mode: str, row: DType) -> bool:
    """Whether there is machine code for a mode that computes, of a dtype."""
    return mode in _MODES and (row.is_integer or row in (FLOAT32, FLOAT64))


_MODES: Mapping[str, Callable[[Body, Register, Register], Register]] = {
    "add": Body.add,
    "multiply": Body.mul,
    "min": minimum,
    "max": maximum,
}


@cache
def print_move(move: Move, machine: Machine) -> Native:
    """The function; its name follows from its text."""
    body = Body(fma=machine.fma)
    if move.owner is not None:
        body.emit(f"{_OWN} = alloca [{_AT_ONCE} x i64], align 64")
    words = _Words(body)
    x = words.address()
    value = words.address() if move.copied else x
    arrays = [words.address() for _ in move.indices]
    y = words.address()
    words.skip()
    if move.copied:
        _write_copy(body, machine, move, move.copied, words, x, y)
    owns = move.owner is not None
    start = words.number()
    axes = [_Axis(words.number(), words.number()) for _ in arrays]
    rows = [words.row(2 + len(arrays)) for _ in range(move.loops.count)]
    nest = _Nest(body, machine, move, move.loops, rows, axes, move.mode)
    trouble = words.address() if arrays else ""
    if move.copied:
        nest.write(value, address(body, y, start), arrays, None if owns else _RANGE)
    else:
        nest.write(address(body, x, start), y, arrays, _RANGE)
    body.emit("ret void")
    if arrays:
        body.begin("outside")
        body.emit(f"store i64 1, ptr {trouble}, align 8")
        body.emit("ret void")
    what = "scatter" if move.copied else "gather"
    text = "\n".join(["(ptr %table, i64 %begin, i64 %end) #0 {", "entry:", *body.lines, "}", ""])
    name = f"{what}_{sha256(text.encode()).hexdigest()[:16]}"
    return Native(name, f"define void @{name}{text}", frozenset(body.declared))


class _Words:
    """The words of the table, one after the other."""

    def __init__(self, body: Body) -> None:
        self._body, self._next = body, 0

    def address(self) -> str:
        return self._read("ptr")

    def number(self) -> Register:
        return integer(self._read("i64"))

    def row(self, count: int) -> list[Register]:
        return [self.number() for _ in range(1 + count)]

    def skip(self) -> None:
        self._next += 1

    def _read(self, type_: str) -> str:
        at = address(self._body, "%table", 8 * self._next)
        self._next += 1
        return self._body.named(f"load {type_}, ptr {at}, align 8")


class _Axis(NamedTuple):
    """What an array of indices names places of: how many there are, and the bytes from one to the next."""

    size: Register
    step: Register


def _write_copy(
    body: Body, machine: Machine, move: Move, loops: Loops, words: _Words, x: str, y: str
) -> None:
    """Before anything is written, y becomes what x is."""
    nest = _Nest(body, machine, move, loops, [words.row(2) for _ in range(loops.count)], (), "set")
    other = Register(body.named(f"icmp ne ptr {x}, {y}"), BOOL, 0)
    if move.owner is None:
        begins = body.compare("eq", _RANGE[0], 0)
        either(body, body.and_(begins, other), lambda: nest.write(x, y, (), None))
    else:
        each_place = words.number()
        begin, end = (body.mul(place, each_place) for place in _RANGE)
        either(body, other, lambda: nest.write(x, y, (), (begin, end)))


class _Nest:
    """The loops, and what goes on in them."""

    def __init__(
        self,
        body: Body,
        machine: Machine,
        move: Move,
        loops: Loops,
        rows: Sequence[Sequence[Register]],
        axes: Sequence[_Axis],
        mode: str,
    ) -> None:
        self._body, self._loops, self._rows, self._axes, self._mode = body, loops, rows, axes, mode
        self._row, self._parts = move.row, move.parts
        self._size = move.row.numpy.itemsize
        self._lanes = machine.bytes // self._size
        self._masks = machine.masks
        self._moved = min(machine.bytes, _WIDEST) // self._size
        self._indices = move.indices if axes else ()
        self._reads = move.copied is None
        self._owner = move.owner if axes else None
        self._range: tuple[Register, Register] | None = None

    def write(
        self, source: str, to: str, arrays: Sequence[str], turns: tuple[Register, Register] | None
    ) -> None:
        """The lines for a range of turns of the first loop, or for all of them."""
        self._range = turns
        self._level(0, source, to, arrays)

    def _level(self, depth: int, source: str, to: str, arrays: Sequence[str]) -> None:
        """What stands inside of so many loops."""
        body = self._body
        for indices, axis, array in zip(self._indices, self._axes, arrays, strict=True):
            if indices.depth == depth:
                place = body.mul(self._place(indices.row, axis, array), axis.step)
                if self._reads:
                    source = address(body, source, place)
                else:
                    to = address(body, to, place)
        if depth == self._loops.count:
            self._put(load(body, self._row, source, self._parts if self._parts > 1 else 0, None), to)
            return
        size, read, written, *along = self._rows[depth]
        begin, end = (integer(0), size) if depth or self._range is None else self._range
        if depth == self._loops.count - 1 and self._loops.last is not Step.FAR:
            self._neighbours(begin, end, source, to)
            return
        if self._loops.near and depth == self._loops.count - 1:
            element = integer(self._size * self._parts)
            read, written = (read, element) if self._reads else (element, written)
            along = [integer(indices.row.numpy.itemsize) for indices in self._indices]

        def turn(n: Register) -> None:
            further = [
                address(body, array, body.mul(n, step)) if indices.depth > depth else array
                for indices, array, step in zip(self._indices, arrays, along, strict=True)
            ]
            self._level(
                depth + 1,
                address(body, source, body.mul(n, read)),
                address(body, to, body.mul(n, written)),
                further,
            )

        if depth or self._owner is None:
            each(body, begin, end, 1, turn)
        else:
            self._owned(size, along[self._owner], arrays[self._owner], turn)

    def _owned(self, size: Register, step: Register, array: str, turn: Callable[[Register], None]) -> None:
        """Those of so many turns whose place is in the function's range. Which they are is found out without a branch,
        for some turns at a time: nobody could foretell where it goes."""
        body, owner = self._body, self._owner
        assert owner is not None
        indices, axis, (begin, end) = self._indices[owner], self._axes[owner], _RANGE

        def slot(n: Register) -> str:
            return address(body, _OWN, body.mul(n, 8))

        def look(n: Register, given: list[Register]) -> list[Register]:
            (count,) = given
            place = self._place(indices.row, axis, address(body, array, body.mul(n, step)))
            store(body, n, INT64, slot(count), None)
            is_own = body.and_(body.compare("le", begin, place), body.compare("lt", place, end))
            return [body.add(count, body.convert(is_own, INT64))]

        def some(first: Register, _: list[Register]) -> list[Register]:
            stop = body.intrinsic("smin", body.add(first, _AT_ONCE), size)
            (count,) = body.loop(first, stop, 1, [integer(0)], look)
            each(body, integer(0), count, 1, lambda n: turn(load(body, INT64, slot(n), 0, None)))
            return []

        body.loop(0, size, _AT_ONCE, [], some)

    def _place(self, row: DType, axis: _Axis, array: str) -> Register:
        """The place of an axis that an index names, counted from the first."""
        body = self._body
        found = load(body, row, array, 0, None)
        index = body.convert(found, INT64)
        within, before = body.label("within"), body.block
        if row.kind == "uint" and row.bits < 64:
            self._enter(index, axis, within, "outside")
            body.begin(within)
        else:
            below = body.label("below")
            self._enter(index, axis, within, below)
            body.begin(below)
            from_end = body.add(index, axis.size)
            self._enter(from_end, axis, within, "outside")
            body.begin(within)
            index = body.meet(index, before, from_end, below)
        return index

    def _enter(self, index: Register, axis: _Axis, within: str, outside: str) -> None:
        """To one label if an index is less than the size of its axis and not negative, else to the other."""
        inside = self._body.named(f"icmp ult i64 {index.text}, {axis.size.text}")
        self._body.emit(f"br i1 {inside}, label %{within}, label %{outside}")

    def _neighbours(self, begin: Register, end: Register, source: str, to: str) -> None:
        """Elements that lie side by side."""
        body, count = self._body, self._parts
        first = body.mul(begin, count) if count > 1 else begin
        last = body.mul(end, count) if count > 1 else end

        def vector(n: Register, lanes: int) -> Register:
            at = body.mul(n, self._size)
            return load(body, self._row, address(body, source, at), lanes, None)

        def copies() -> None:
            self._vectors(first, last, to, vector)

        def fills() -> None:
            one = load(body, self._row, source, 0, None)
            if self._masks and self._mode not in _MODES:
                self._fill(first, last, to, body.spread(one, self._lanes))
            else:
                self._vectors(first, last, to, lambda _, lanes: body.spread(one, lanes))

        if self._loops.last is Step.UNIT:
            copies()
        else:
            either(body, body.compare("lt", first, last), fills)

    def _fill(self, first: Register, last: Register, to: str, x: Register) -> None:
        """The same everywhere: in whole vectors, and in one with a mask."""
        body, lanes = self._body, self._lanes
        left = body.and_(body.sub(last, first), lanes - 1)
        whole = body.sub(last, left)

        def put(n: Register, mask: Register | None = None) -> None:
            store(body, x, self._row, address(body, to, body.mul(n, self._size)), mask)

        each(body, first, whole, lanes, put)
        either(
            body,
            body.compare("ne", left, 0),
            lambda: put(whole, first_lanes(body, left, lanes, masks=True)),
        )

    def _vectors(
        self, first: Register, last: Register, to: str, read: Callable[[Register, int], Register]
    ) -> None:
        """``read`` gives so many elements from one on."""

        def put(n: Register, lanes: int) -> None:
            self._put(read(n, lanes), address(self._body, to, self._body.mul(n, self._size)))

        if self._mode in _MODES:
            self._one_by_one(first, last, put)
        else:
            self._over(first, last, put)

    def _one_by_one(self, first: Register, last: Register, put: Callable[[Register, int], None]) -> None:
        """Each element in one vector: in whole ones, then in halves of one, of that, and so on."""
        body, lanes = self._body, self._lanes
        left = body.and_(body.sub(last, first), lanes - 1)
        whole = body.sub(last, left)
        each(body, first, whole, lanes, lambda n: put(n, lanes))

        def rest() -> None:
            half = lanes // 2
            while half:
                some = body.compare("ne", body.and_(left, half), 0)
                at = body.add(whole, body.and_(left, -2 * half))
                either(body, some, partial(put, at, half if half > 1 else 0))
                half //= 2

        either(body, body.compare("ne", left, 0), rest)

    def _over(self, first: Register, last: Register, put: Callable[[Register, int], None]) -> None:
        """In vectors of one size, the last of them over what the one before has written."""
        body, most = self._body, self._moved
        count = body.sub(last, first)

        def blocks(size: int) -> None:
            end = body.sub(last, size * most)

            def block(n: Register) -> None:
                at = body.intrinsic("smin", n, end)
                for part in range(size):
                    put(body.add(at, part * most), most)

            each(body, first, last, size * most, block)

        def few(lanes: int) -> None:
            if lanes > 1:
                either(body, body.compare("ge", count, lanes), lambda: pair(lanes), lambda: few(lanes // 2))
            else:
                either(body, body.compare("eq", count, 1), lambda: put(first, 0))

        def pair(lanes: int) -> None:
            put(first, lanes)
            put(body.sub(last, lanes), lanes)

        def many() -> None:
            long = body.compare("ge", count, _UNROLLED * most)
            either(body, long, lambda: blocks(_UNROLLED), lambda: blocks(1))

        either(body, body.compare("gt", count, 2 * most), many, lambda: few(most))

    def _put(self, x: Register, to: str) -> None:
        """Written, or combined with what is there."""
        body = self._body
        if self._mode in _MODES:
            x = _MODES[self._mode](body, load(body, self._row, to, x.lanes, None), x)
        store(body, x, self._row, to, None)
