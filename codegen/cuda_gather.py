"""Reads and writes by arrays of indices in CUDA C: ``x[i]``, ``x.at[i].set(value)``, ``x.at[i].add(value)``, ….

Where every place is named once, a thread has an element, or some neighbours, and moves them. Else the arrays of indices
become the numbers of rows, which `symgraph.codegen.cuda_order` brings into order, and a thread has an element of a row
with all values for it: of those it keeps the last, or combines them in their order. Rows with many are cut into parts
of `PART`, each of which begins anew; what they come to is combined in their order. So results have the same bits each
time, and no thread waits for another.

Negative indices count from the end. Where one is out of bounds ``*trouble`` becomes the number of the step, and nothing
is read or written there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from symgraph.codegen.cuda_body import c_type
from symgraph.codegen.cuda_forms import Form
from symgraph.codegen.cuda_functions import Function, Steps, index_row, total
from symgraph.codegen.cuda_ops import from_memory, spelled, to_memory
from symgraph.codegen.cuda_printer import CudaKernel
from symgraph.codegen.layout import Step
from symgraph.codegen.llvm_memory import computed_in
from symgraph.graph.op import Op
from symgraph.graph.types import INT64, DType, dtype
from symgraph.ops.arithmetic import add, maximum, minimum, multiply

PART = 256
"""So many values of one row are combined by a thread, and twice as many where these are all."""

_OPS: Mapping[str, Op] = {"add": add.op, "multiply": multiply.op, "min": minimum.op, "max": maximum.op}


def combines(mode: str, row: DType) -> bool:
    """Whether there is CUDA C for a mode that computes, of a dtype."""
    return mode in _OPS and (row.is_integer or row.is_float)


@dataclass(frozen=True, slots=True)
class Move:
    """Elements that go from one place to another, each named once."""

    row: DType
    mode: str
    """"read" (indices name places of x), "set" or a mode that combines (places of y), or "look", which moves
    nothing."""
    steps: tuple[Steps, ...]
    """Of x, of y, and of each array of indices, along all loops."""
    indices: tuple[DType, ...]
    vector: int
    """Neighbours that a thread moves at once."""
    wide: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that arrays of indices name."""

    steps: tuple[Steps, ...]
    """Of each array along the loops over indices."""
    indices: tuple[DType, ...]
    wide_rows: bool
    """Whether rows have 64 bits."""
    wide: bool


@dataclass(frozen=True, slots=True)
class Grouped:
    """Values that go to rows, more than one to some."""

    row: DType
    mode: str
    value: Steps
    """Along the loops over whole axes."""
    y: Steps
    along: Steps
    """Of the value along the loops over indices."""
    axes: int
    """How many arrays of indices name a row together."""
    vector: int
    across: bool
    """Whether neighbouring threads have neighbouring rows."""
    wide_rows: bool
    wide: bool


@cache
def print_move(move: Move) -> CudaKernel:
    """A thread for each element, or for some neighbours."""
    function = Function(wide=move.wide)
    loops = [f"e{n}" for n in range(len(move.steps[0]))]
    reads = move.mode in ("read", "look")
    arrays = [function.array(f"i{n}", row) for n, row in enumerate(move.indices)]
    source = target = ""
    if move.mode != "look":
        source = function.array("x" if reads else "value", move.row)
        target = function.array("y", move.row, written=True)
    if arrays:
        function.array("trouble", dtype("int32"), written=True)
    with function.turns(function.count(loops, move.vector)):
        function.stand("p", loops, move.vector)
        places = _places(function, arrays, loops, move.steps[2:])
        if places:
            function.line(f"if ({' || '.join(f'{place} < 0' for place in places)}) continue;")
        if move.mode != "look":
            named = _named(function, "x" if reads else "y", places)
            from_ = [*(named if reads else []), *function.offset(source, loops, move.steps[0])]
            to = [*([] if reads else named), *function.offset(target, loops, move.steps[1])]
            spread = move.steps[0][-1:] == (Step.NONE,)
            _move(function, move, (source, total(from_)), (target, total(to)), spread=spread)
    what = {"read": "gather" if arrays else "copy", "look": "look"}.get(move.mode, "scatter")
    return function.done(what, Form(move.wide, move.vector), _NOTES[what])


_NOTES = {
    "gather": "y = x at the places that indices name.",
    "copy": "y = x.",
    "look": "Whether all indices are within bounds.",
    "scatter": "y at the places that indices name, each named once.",
    "rows": "The rows that indices name, each with its number among them.",
    "last": "y at the places that indices name: of the values for a row the last.",
    "combined": "y at the places that indices name, combined with all values for a row in their order.",
    "parts": "Rows of many values: the first thread has combined some; what the others came to.",
}


def _move(
    function: Function, move: Move, source: tuple[str, str], target: tuple[str, str], *, spread: bool
) -> None:
    """One element, or some neighbours; both are an array and how far after its beginning they stand."""
    combine = _combined(function, move.mode, move.row) if move.mode in _OPS else None
    if move.vector == 1:
        old, new = (f"{name}[{offset}]" for name, offset in (target, source))
        function.line(f"{old} = {combine(old, new) if combine else new};")
        return
    type_, vector, to = c_type(move.row), move.vector, " + ".join(target)
    loaded = "{}[{}]".format(*source) if spread else f"sg_load<{type_}, {vector}>({' + '.join(source)})"
    if combine is None and not spread:
        function.line(f"sg_store({to}, {loaded});")
        return
    function.line(f"const auto from = {loaded};")
    before = f" = sg_load<{type_}, {vector}>({to})" if combine else ""
    function.line(f"sg_vector<{type_}, {vector}> found{before};")
    new = "from" if spread else "from.at[k]"
    _each(function, vector, lambda k: f"found.at[k] = {combine('found.at[k]', new) if combine else new};")
    function.line(f"sg_store({to}, found);")


@cache
def print_rows(rows: Rows) -> CudaKernel:
    """The first step to order: what stands in the arrays of indices as one number."""
    function = Function(wide=rows.wide)
    loops = [f"g{n}" for n in range(len(rows.steps[0]))]
    arrays = [function.array(f"i{n}", row) for n, row in enumerate(rows.indices)]
    for name in ("rows", "order"):
        function.array(name, index_row(wide=rows.wide_rows), written=True)
    function.array("trouble", dtype("int32"), written=True)
    with function.turns(function.count(loops)):
        function.stand("p", loops)
        places = _places(function, arrays, loops, rows.steps)
        row = places[0]
        for n, place in enumerate(places[1:], 1):
            row = f"{f'({row})' if n > 1 else row} * {function.number(f'size{n}')} + {place}"
        bad = " || ".join(f"{place} < 0" for place in places)
        function.line(f"rows[p] = {bad} ? 0 : {row};")
        function.line("order[p] = p;")
    return function.done("rows", Form(rows.wide, 1), _NOTES["rows"])


@cache
def print_grouped(grouped: Grouped) -> CudaKernel:
    """A thread for each element of each row, which is where the first of its values, or the last, stands in order."""
    function, is_last = Function(wide=grouped.wide), grouped.mode == "set"
    _group_arrays(function, grouped, value=True, left=not is_last)
    loops = [f"e{n}" for n in range(len(grouped.y))]
    count, vector = function.number("n"), grouped.vector
    inner = function.count(loops, vector)
    with function.turns(f"{count} * {inner}" if loops else count):
        position = _share(function, grouped, count, inner, loops)
        function.constant("row", "rows[s]")
        if is_last:
            function.line(f"if (s + 1 < {count} && rows[s + 1] == row) continue;")
            function.stand(position, loops, vector)
            to = _target(function, grouped, loops)
            move = Move(grouped.row, "set", (grouped.value, grouped.y), (), vector, grouped.wide)
            source = "value", _value(function, grouped, loops, "s")
            _move(function, move, source, ("y", to), spread=grouped.value[-1:] == (Step.NONE,))
        else:
            function.line("const bool first = s == 0 || rows[s - 1] != row;")
            function.line(f"if (!first && (s % {PART} || rows[s - {PART}] != row)) continue;")
            function.stand(position, loops, vector)
            function.constant("to", _target(function, grouped, loops))
            _walk(function, grouped, loops, count, position)
    what = "last" if is_last else "combined"
    return function.done(what, Form(grouped.wide, vector), _NOTES[what])


@cache
def print_parts(grouped: Grouped) -> CudaKernel:
    """A thread for each element of each row that was cut."""
    function = Function(wide=grouped.wide)
    _group_arrays(function, grouped, value=False, left=True)
    loops = [f"e{n}" for n in range(len(grouped.y))]
    count, vector, combine = function.number("n"), grouped.vector, _combine(function, grouped)
    inner = function.count(loops, vector)
    with function.turns(f"({count} - 1) / {PART}{f' * {inner}' * bool(loops)}"):
        position = _share(function, grouped, f"(({count} - 1) / {PART})", inner, loops, f" * {PART} + {PART}")
        function.constant("row", "rows[s]")
        function.line(f"if (rows[s - {PART}] != row) continue;")
        function.line(f"if (s > {PART} && rows[s - {2 * PART}] == row) continue;")
        function.stand(position, loops, vector)
        function.constant("to", _target(function, grouped, loops))
        _begin(function, grouped)
        function.line(f"{function.integer} stop = s, last = {count};")
        with function.body.nested("while (stop < last)"):
            function.constant("middle", "stop + (last - stop) / 2")
            function.line("(rows[middle] == row ? stop : last) = middle + (rows[middle] == row);")
        function.line("#pragma unroll 4")
        with function.body.nested(f"for ({function.integer} e = s; e < stop; e += {PART})"):
            part = f"e / {PART}{_element(function, loops, position, vector)}"
            _each(function, vector, lambda k: f"{_own(k)} = {combine(_own(k), _at('left', part, k))};")
        _end(function, grouped)
    return function.done("parts", Form(grouped.wide, vector), _NOTES["parts"])


def _group_arrays(function: Function, grouped: Grouped, *, value: bool, left: bool) -> None:
    index = index_row(wide=grouped.wide_rows)
    function.array("rows", index)
    if value:
        function.array("order", index)
        function.array("value", grouped.row)
    if left:
        function.array("left", computed_in(grouped.row), written=value)
    function.array("y", grouped.row, written=True)


def _share(
    function: Function, grouped: Grouped, count: str, inner: str, loops: Sequence[str], scale: str = ""
) -> str:
    """Which of the values in order a thread begins with, ``s``, and the text of where it stands among elements."""
    if not loops:
        function.constant("s", f"p{scale}")
        return "0"
    if grouped.across:
        function.constant("s", f"p % {count}{scale}")
        return function.constant("element", f"p / {count}")
    size = inner if len(loops) == 1 else f"({inner})"
    function.constant("s", f"p / {size}{scale}")
    return function.constant("element", f"p % {size}")


def _walk(function: Function, grouped: Grouped, loops: Sequence[str], count: str, position: str) -> None:
    """All values of a row, or of a part of it."""
    vector, combine, body = grouped.vector, _combine(function, grouped), function.body
    type_, last = c_type(computed_in(grouped.row)), grouped.value[-1:] or (Step.NONE,)
    function.constant("most", f"min({count}, (s + {PART - 1}) / {PART} * {PART} + {PART})")
    function.line(f"{function.integer} stop = s + 1;")
    function.line("while (stop < most && rows[stop] == row) ++stop;")
    function.line(f"{type_} all{_extent(vector)};")
    with body.nested("if (first)"):
        _take(function, grouped, ("y", "to"), Step.UNIT, lambda k, x: f"{_own(k)} = {x};")
    with body.nested("else"):
        source = _value(function, grouped, loops, "s")
        _take(function, grouped, ("value", source), last[0], lambda k, x: f"{_own(k)} = {x};")
    function.line("#pragma unroll 4")
    with body.nested(f"for ({function.integer} e = first ? s : s + 1; e < stop; ++e)"):
        source = _value(function, grouped, loops, "e")
        _take(
            function, grouped, ("value", source), last[0],
            lambda k, x: f"{_own(k)} = {combine(_own(k), x)};",
        )  # fmt: skip
    with body.nested("if (first)"):
        _end(function, grouped)
    with body.nested("else"):
        place = f"s / {PART}{_element(function, loops, position, vector)}"
        _each(function, vector, lambda k: f"{_at('left', place, k)} = {_own(k)};")


def _begin(function: Function, grouped: Grouped) -> None:
    """What stands there already."""
    function.line(f"{c_type(computed_in(grouped.row))} all{_extent(grouped.vector)};")
    _take(function, grouped, ("y", "to"), Step.UNIT, lambda k, x: f"{_own(k)} = {x};")


def _take(
    function: Function,
    grouped: Grouped,
    source: tuple[str, str],
    step: Step,
    give: Callable[[str, str], str],
) -> None:
    """Neighbours in memory, or one number for all of them."""
    row, vector = grouped.row, grouped.vector
    if vector == 1 or step is Step.NONE:
        one = from_memory("{}[{}]".format(*source), row)
        if vector > 1:
            function.line(f"const auto from = {one};")
            one = "from"
        _each(function, vector, lambda k: give(k, one))
        return
    function.line(f"const auto from = sg_load<{c_type(row)}, {vector}>({' + '.join(source)});")
    _each(function, vector, lambda k: give(k, from_memory(f"from.at[{k}]", row)))


def _end(function: Function, grouped: Grouped) -> None:
    """What was combined goes to its place."""
    row, vector = grouped.row, grouped.vector
    if vector == 1:
        function.line(f"y[to] = {to_memory('all', row)};")
        return
    function.line(f"sg_vector<{c_type(row)}, {vector}> found;")
    _each(function, vector, lambda k: f"found.at[{k}] = {to_memory(_own(k), row)};")
    function.line("sg_store(y + to, found);")


def _each(function: Function, vector: int, line: Callable[[str], str]) -> None:
    if vector == 1:
        function.line(line(""))
        return
    function.line("#pragma unroll")
    with function.body.nested(f"for (int k = 0; k < {vector}; ++k)"):
        function.line(line("k"))


def _at(array: str, place: str, k: str) -> str:
    """So many neighbours further."""
    return f"{array}[{place}{f' + {k}' if k else ''}]"


def _own(k: str) -> str:
    """What a thread has combined, of all its neighbours or of one."""
    return f"all[{k}]" if k else "all"


def _extent(vector: int) -> str:
    return f"[{vector}]" if vector > 1 else ""


def _element(function: Function, loops: Sequence[str], position: str, vector: int) -> str:
    """What follows the number of a part where the element of it stands."""
    if not loops:
        return ""
    count = function.count(loops) if len(loops) == 1 else f"({function.count(loops)})"
    return f" * {count} + {position}{f' * {vector}' * (vector > 1)}"


def _target(function: Function, grouped: Grouped, loops: Sequence[str]) -> str:
    """Where the element of the row lies, which is known as ``row``."""
    places, rest = ["row"] * min(1, grouped.axes), "row"
    if grouped.axes > 1:
        places = []
        for n in reversed(range(1, grouped.axes)):
            size = function.number(f"size{n}")
            places.append(function.constant(f"place{n}", f"{rest} % {size}"))
            rest = function.constant(f"rest{n}", f"{rest} / {size}")
        places = [rest, *reversed(places)]
    return total([*_named(function, "y", places), *function.offset("y", loops, grouped.y)])


def _value(function: Function, grouped: Grouped, loops: Sequence[str], at: str) -> str:
    """Where the value lies that stands at a place in order."""
    along = [f"g{n}" for n in range(len(grouped.along))]
    if len(along) > 1:
        function.stand(function.constant("g", f"order[{at}]"), along)
    elif grouped.along != (Step.NONE,):
        function.constant("g0", f"order[{at}]")
    parts = [*function.offset("value", along, grouped.along), *function.offset("value", loops, grouped.value)]
    return total(parts)


def _places(
    function: Function, arrays: Sequence[str], loops: Sequence[str], steps: Sequence[Steps]
) -> list[str]:
    """The places that arrays of indices name where loops stand; -1 for none."""
    if arrays:
        function.body.functions["sg_place"] = _PLACE
    found = []
    for n, (array, own) in enumerate(zip(arrays, steps, strict=True)):
        index = f"{array}[{total(function.offset(array, loops, own))}]"
        given = f"{index}, {function.number(f'size{n}')}, trouble, {function.number('step')}"
        found.append(function.constant(f"place{n}", f"sg_place({given})"))
    return found


def _named(function: Function, array: str, places: Sequence[str]) -> list[str]:
    return [f"{place} * {function.number(f'{array}_place{n}')}" for n, place in enumerate(places)]


def _combine(function: Function, grouped: Grouped) -> Callable[[str, str], str]:
    """The text of two numbers in registers combined."""
    row = computed_in(grouped.row)
    return lambda a, b: spelled(_OPS[grouped.mode], [a, b], [row, row], row, function.body.functions)


def _combined(function: Function, mode: str, row: DType) -> Callable[[str, str], str]:
    """The text of two numbers in memory combined."""
    near = computed_in(row)

    def text(a: str, b: str) -> str:
        args = [from_memory(x, row) for x in (a, b)]
        return to_memory(spelled(_OPS[mode], args, [near, near], near, function.body.functions), row)

    return text


def moved_as(row: DType) -> DType:
    """Integers that have the bytes of an element, or of half of it."""
    return dtype(f"uint{8 * min(row.numpy.itemsize, INT64.numpy.itemsize)}")


_PLACE = """\
// The place that an index names, where negative ones count from the end; -1 where there is none, which is told.
template <class T, class I>
static __device__ I sg_place(const T index, const I size, int* trouble, const I step)
{
    const long long near = (long long)index;
    const long long place = near < 0 ? near + size : near;
    if (place >= 0 && place < size) return (I)place;
    if (*trouble == 0) *trouble = (int)step;
    return -1;
}
"""
