"""Kernels as Python functions of NumPy calls, each on a block that fits the cache.

::

    def kernel_0(once, rows, columns):
        for (x, out, r0, t1) in rows:
            # train.py:14
            maximum.reduce(x, axis=columns, keepdims=True, out=r0)
            subtract(x, r0, out=t1)
            exp(t1, out=t1)
            ...

``rows`` yields the parts of the arrays that belong to a block of rows, and room for what lies between; ``columns`` are
the axes along each row; ``once`` holds the arrays for what is computed before all rows. Where a row is longer than a
block, ``long`` is printed: sweep after sweep, each over parts of one row, and what a later sweep needs again is
computed again or kept.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.codegen.guards import Guard, guarded, guards
from symgraph.codegen.long_rows import in_parts
from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    LoopKernel,
    Number,
    Operand,
    Reduce,
    Statement,
    Store,
    Value,
    all_of,
    in_order,
    operands,
    statements,
)
from symgraph.codegen.printed import Marks, Printed, Room, View, bits_of, integer_of, is_nothing
from symgraph.graph.dims import symbols
from symgraph.graph.op import Op
from symgraph.graph.types import BOOL, DType
from symgraph.ops.arithmetic import astype, maximum, minimum, negative, where
from symgraph.ops.comparison import isfinite
from symgraph.ops.reduce import all, any, argmax, argmin, max, min, prod, sum, supremum

COMBINE: Mapping[Op, str] = {
    sum.op: "add",
    prod.op: "multiply",
    max.op: "maximum",
    supremum.op: "fmax",
    min.op: "minimum",
    any.op: "logical_or",
    all.op: "logical_and",
}
"""The NumPy function that makes one of two, and a reduction of many."""


FIND: Mapping[Op, str] = {argmax.op: "argmax", argmin.op: "argmin"}
"""The NumPy function that counts the elements before the one that it looks for."""


FRAIL = frozenset({negative.op, isfinite.op})
"""What NumPy 2.4.6 gets wrong with ``out=`` where arrays are not contiguous: ``negative(a[:, 1], out=b[:, 1])``.

They are spelt otherwise: ``-0.0 - x``, and whether ``x - x`` is 0.
"""


EXTREMES = frozenset(f.op for f in (maximum, minimum))
"""What NumPy 2.4.6 does one by one where an operand is one number: an array full of it is five times as fast."""


RESERVED = frozenset(
    {"once", "rows", "columns", "parts", "begun", "ended", "copyto",
     "add_up", "add_part", "find_first", "find_part"}
)  # fmt: skip
"""Names that the text of any kernel may use; its arrays are called otherwise."""


def print_kernel(kernel: LoopKernel, *, long: bool = False, fresh: Collection[str] = ()) -> Printed:
    """The function for a kernel, for rows that fit into a block, or for ``long`` ones.

    ``fresh`` are the arrays that are written and never lie where something is that is read: before they get their
    values they serve as rooms.
    """
    return _Printer(kernel, long, fresh).run()


class _Printer:
    def __init__(self, kernel: LoopKernel, long: bool, fresh: Collection[str]) -> None:
        self._kernel, self._long, self._fresh_arrays = kernel, long, fresh
        self._names: dict[str, Any] = {"copyto": np.copyto}
        self._taken = set(RESERVED)
        self._params = {param.name: self._fresh(param.name) for param in (*kernel.reads, *kernel.writes)}
        self._lines: list[str] = []
        self._prefix = "once_"
        self._stored: set[str] = set()
        self._seen: dict[str, int] = {}
        self._constants: dict[str, str] = {}
        self._views: dict[tuple[Any, ...], View] = {}
        self._rooms: list[Room] = []
        self._free: list[Room] = []
        self._values: dict[str, str] = {}
        self._held: dict[str, Room] = {}
        self._lasts: dict[str, int] = {}
        self._kept: Mapping[str, Store | None] = {}
        self._beside: dict[str, Room] = {}
        self._lent: dict[Room, int] = {}
        self._swept: dict[str, bool] = {}
        self._makers: dict[str, Load | Compute | Reduce | Carry] = {}
        self._stores: dict[str, Store] = {}
        self._along: dict[tuple[Any, ...], bool] = {}
        self._marks = Marks()
        for x, _, swept in statements(kernel):
            if isinstance(x, Load | Store):
                self._along[_key(x)] = swept
            if not isinstance(x, Store):
                self._makers[x.target.name] = x
                self._swept[x.target.name] = swept and not isinstance(x, Reduce)
            elif isinstance(x.value, Value):
                self._stores.setdefault(x.value.name, x)
        self._once = {x.target.name for x in kernel.once if not isinstance(x, Store)}
        self._guards = guards(kernel)
        self._guard: Guard | None = None
        self._guard_start = 0

    def run(self) -> Printed:
        self._section(self._kernel.once, "    ")
        once, before = self._wanted(), self._lines
        self._prefix = ""
        self._lines, self._views, self._rooms, self._free, self._held = [], {}, [], [], {}
        self._marks = Marks()
        if self._long:
            self._rows_in_parts()
        else:
            items = [(each,) for each in in_order(self._kernel)]
            ordered = guarded(items, self._guards)
            section = [each for (each,), _ in ordered]
            self._lend(section)
            self._section(section, "        ", [guard for _, guard in ordered])
        rows = self._wanted()
        head = [f"def {self._kernel.name}(once, rows, columns):"]
        head += [f"    {name} = {text}" for text, name in self._constants.items()]
        if once:
            head.append(f"    {_tuple(once)} = once")
        body = self._lines
        if body and not self._long:
            body = [f"    for {_tuple(rows)} in rows:", *body]
        text = "\n".join([*head, *before, *body, *([] if before or body else ["    pass"])]) + "\n"
        return Printed(text, once, rows, self._names, self._marks.in_place([*once, *rows]))

    def _wanted(self) -> tuple[View | Room, ...]:
        return (*self._views.values(), *self._rooms)

    # A section: statements one after the other

    def _section(self, section: Sequence[Statement], indent: str, asked: Sequence[Guard | None] = ()) -> None:
        """Statements in order, with room for each value from its making to its last reading."""
        self._lasts = self._last_readings(section)
        own = set(map(id, section))
        for each in all_of(self._kernel):
            if id(each) not in own:
                for x in operands(each):
                    self._lasts.pop(getattr(x, "name", ""), None)
        for place, each in enumerate(section):
            self._enter(asked[place] if asked else None, indent)
            self._statement(each, place, indent)
        self._enter(None, indent)

    def _enter(self, guard: Guard | None, indent: str) -> None:
        """What follows is done where the guard says so: ``if not r3.all():``."""
        if guard is self._guard:
            return
        if self._guard is not None:
            for n in range(self._guard_start, len(self._lines)):
                self._lines[n] = f"    {self._lines[n]}"
        if guard is not None:
            condition = self._operand(guard.condition)
            test = f"{condition}.any()" if guard.wanted else f"not {condition}.all()"
            self._emit(indent, f"if {test}:")
        self._guard, self._guard_start = guard, len(self._lines)

    def _lend(self, section: Sequence[Statement]) -> None:
        """Let fresh arrays be rooms for what is read before, or by the call that writes them element by element."""
        for place, each in enumerate(section):
            store = self._stores.get(each.target.name) if isinstance(each, Compute) else None
            if store is not None and store.param.name in self._fresh_arrays:
                assert isinstance(each, Compute)
                at_once = isinstance(each.op.numpy, np.ufunc) and each.op not in FRAIL
                room = Room(self._view(store), store.param.type.dtype, self._along[_key(store)])
                self._lent[room] = place if at_once else place - 1
                self._free.append(room)

    def _statement(self, each: Statement, place: int, indent: str) -> None:
        match each:
            case Load():
                self._values[each.target.name] = self._view(each)
            case Store():
                self._store(each, indent)
                self._release(each, place)
            case Compute():
                self._compute(each, place, indent)
            case Reduce():
                self._reduce(each, place, indent)

    def _store(self, each: Store, indent: str) -> None:
        if isinstance(each.value, Value) and self._stores[each.value.name] is each:
            view = self._views.get(_key(each))
            if view is not None and view.name == self._values[each.value.name]:
                return
        value = self._operand(each.value)
        self._marks.write(each.param.name, len(self._lines))
        self._emit(indent, f"copyto({self._view(each)}, {value})")

    def _compute(self, each: Compute, place: int, indent: str) -> None:
        self._note(each, indent)
        if each.op is where.op and not each.target.row.is_complex and self._is_many(each.target):
            self._select(each, place, indent)
            return
        args = [self._operand(x) for x in operands(each)]
        row = each.args[0].row
        if each.op in EXTREMES and self._is_many(each.target):
            single = [n for n, x in enumerate(each.args) if self._is_repeated(x)]
            if len(single) == 1:
                self._fill(each, args, single[0], place, indent)
                return
        if each.op in FRAIL and (row.is_float or row.is_integer):
            self._frail(each, args[0], place, indent)
            return
        if isinstance(each.op.numpy, np.ufunc) and each.op not in FRAIL:
            self._release(each, place)
            self._call(each.op.numpy, args, self._target(each.target), indent)
            return
        whole = each.op is not where.op and each.op is not astype.op
        target = self._target(each.target, after_reading=whole)
        if each.op is where.op:
            self._emit(indent, f"copyto({target}, {args[2]})")
            self._emit(indent, f"copyto({target}, {args[1]}, where={args[0]})")
        elif each.op is astype.op and not row.is_complex:
            self._emit(indent, f'copyto({target}, {args[0]}, casting="unsafe")')
        else:
            given = "".join(f", {key}={self._named(key, value)}" for key, value in _fields(each).items())
            self._emit(
                indent,
                f"{target}[...] = {self._named(each.op.name, each.op.numpy)}({', '.join(args)}{given})",
            )
        self._release(each, place)

    def _fill(self, each: Compute, args: Sequence[str], n: int, place: int, indent: str) -> None:
        """The extreme of an array, and of one number a row, operand ``n``, which is written to a room first."""
        assert isinstance(each.op.numpy, np.ufunc)
        room = self._take(each.target.row, self._swept[each.target.name], place)
        self._emit(indent, f"copyto({room.name}, {args[n]})")
        self._release(each, place)
        both = [room.name if k == n else arg for k, arg in enumerate(args)]
        self._call(each.op.numpy, both, self._target(each.target), indent)
        self._free.append(room)

    def _frail(self, each: Compute, arg: str, place: int, indent: str) -> None:
        row = each.args[0].row
        zero = self._operand(Number(row, row.numpy.type(-0.0 if row.is_float else 0)))
        if each.op is negative.op:
            self._release(each, place)
            self._call(np.subtract, [zero, arg], self._target(each.target), indent)
            return
        room = self._take(row, self._swept[each.target.name])
        self._call(np.subtract, [arg, arg], room.name, indent)
        self._release(each, place)
        self._call(np.equal, [room.name, zero], self._target(each.target), indent)
        self._free.append(room)

    def _select(self, each: Compute, place: int, indent: str) -> None:
        """``y ^ ((x ^ y) * condition)`` of bits: a masked copy waits for every branch that it guesses wrong."""
        condition, x, y = each.args
        row = integer_of(each.target.row)
        spent: list[Room] = []
        function: np.ufunc = np.multiply
        if is_nothing(y):
            last = [self._bits(x), self._operand(condition)]
        elif is_nothing(x):
            spent = [self._take(BOOL, self._is_swept(condition))]
            self._call(np.logical_not, [self._operand(condition)], spent[0].name, indent)
            last = [self._bits(y), spent[0].name]
        else:
            if isinstance(x, Number) and isinstance(y, Number):
                change = self._operand(Number(row, bits_of(x) ^ bits_of(y)))
            else:
                spent = [self._take(row, self._is_swept(x) or self._is_swept(y))]
                change = spent[0].name
                self._call(np.bitwise_xor, [self._bits(x), self._bits(y)], change, indent)
            if not spent or spent[0].swept is not self._swept[each.target.name]:
                spent.append(self._take(row, self._swept[each.target.name]))
            self._call(np.multiply, [change, self._operand(condition)], spent[-1].name, indent)
            last, function = [spent[-1].name, self._bits(y)], np.bitwise_xor
        self._release(each, place)
        self._free += spent
        self._call(function, last, self._as_integers(self._target(each.target), each.target.row), indent)

    def _bits(self, x: Operand) -> str:
        """A number or an array as integers of the same bits."""
        if isinstance(x, Value) or x.row is integer_of(x.row):
            return self._as_integers(self._operand(x), x.row)
        text = self._literal(x)
        if text is None:
            return self._operand(Number(integer_of(x.row), bits_of(x)))
        return self._constant(self._as_integers(text, x.row))

    def _as_integers(self, name: str, row: DType) -> str:
        kind = integer_of(row)
        return name if row is kind else f"{name}.view({self._named(kind.name, kind.numpy.type)})"

    def _is_swept(self, x: Operand) -> bool:
        return isinstance(x, Value) and self._swept[x.name]

    def _is_repeated(self, x: Operand) -> bool:
        """Whether neighbours in memory are one element."""
        if isinstance(x, Number) or x.name in self._once:
            return True
        if True in self._swept.values():
            return not self._swept[x.name]
        maker, last = self._makers[x.name], self._kernel.rows[-1:]
        return isinstance(maker, Load) and not builtins.any(
            loop.variable in symbols(dim) for loop in last for dim in maker.index
        )

    def _is_many(self, value: Value) -> bool:
        """Whether a value is more than one element for a row that is swept, or one for all rows."""
        return self._swept[value.name] or not (self._prefix or True in self._swept.values())

    def _call(self, function: np.ufunc, args: Sequence[str], target: str, indent: str) -> None:
        self._emit(indent, f"{self._named(function.__name__, function)}({', '.join(args)}, out={target})")

    def _reduce(self, each: Reduce, place: int, indent: str) -> None:
        self._note(each, indent)
        arg = self._operand(each.arg)
        repeated = not self._is_swept(each.arg)
        name = each.arg.name if isinstance(each.arg, Value) else ""
        spent = name in self._held and self._lasts.get(name) == place
        copies = each.op is sum.op or each.op in FIND
        room = self._take(each.arg.row, True, place) if repeated or (copies and not spent) else None
        copy = arg if room is None else room.name
        if repeated:
            self._emit(indent, f"copyto({copy}, {arg})")
            arg = copy
        function = COMBINE.get(each.op) or FIND[each.op]
        combine = self._named(function, getattr(np, function))
        if not self._long:
            target = self._target(each.target, after_reading=False)
            self._emit(indent, self._reduction(each, combine, arg, target, copy))
        else:
            part = self._take(each.target.row, False)
            target = self._values[each.target.name]
            if each.op not in FIND:
                self._emit(indent, self._reduction(each, combine, arg, part.name, copy))
            if each.op in FIND:
                best = self._beside[each.target.name].name
                given = f"{combine}, {arg}, columns, {target}, {best}, {part.name}, {copy}, begun"
                self._emit(indent, f"ended = find_part({given})")
            elif each.op is sum.op and each.target.row.is_inexact:
                spare = self._take(each.target.row, False)
                lost = self._beside[each.target.name].name
                self._emit(indent, f"add_part({target}, {part.name}, {lost}, {spare.name}, begun)")
                self._free.append(spare)
            else:
                again = f"{combine}({target}, {part.name}, out={target})"
                self._emit(indent, f"{again} if begun else copyto({target}, {part.name})")
            self._free.append(part)
        if room is not None:
            self._free.append(room)
        self._release(each, place)

    def _reduction(self, each: Reduce, combine: str, arg: str, out: str, room: str) -> str:
        if each.op is sum.op:
            return f"add_up({arg}, columns, {out}, {room})"
        if each.op in FIND:
            return f"find_first({combine}, {arg}, columns, {out}, {room})"
        given = ""
        if each.op is supremum.op:
            row = each.target.row
            given = f", initial={self._operand(Number(row, row.numpy.type(-np.inf)))}"
        return f"{combine}.reduce({arg}, axis=columns, keepdims=True{given}, out={out})"

    # Long rows: sweep after sweep, in parts

    def _rows_in_parts(self) -> None:
        heads: list[int] = []
        row = in_parts(self._kernel)
        self._kept = row.kept
        swept = {id(x) for x in row.sections if isinstance(x, tuple)}
        items = [x if isinstance(x, tuple) else (x,) for x in row.sections]
        for section, guard in guarded(items, self._guards, self._kept):
            self._enter(guard, "        ")
            self._lasts = {}  # what a row holds, it holds to its end
            if id(section) in swept:
                heads.append(self._sweep(section))
            else:
                self._statement(section[0], 0, "        ")
        self._enter(None, "        ")
        wanted = self._wanted()
        for head in heads:
            self._lines[head] += f"for {_tuple([x for x in wanted if x.swept])} in parts:"
        whole = _tuple([x for x in wanted if not x.swept])
        self._lines.insert(0, f"    for {whole}, parts in rows:")

    def _sweep(self, section: Sequence[Statement]) -> int:
        """One loop over the parts of a row; the line that its head will be."""
        reduces = [each for each in section if isinstance(each, Reduce)]
        counts = builtins.any(each.op in FIND for each in reduces)
        for reduce in reduces:
            self._target(reduce.target)
            if reduce.op in FIND or (reduce.op is sum.op and reduce.target.row.is_inexact):
                self._beside[reduce.target.name] = self._take(reduce.arg.row, False)
        if reduces:
            self._emit("        ", f"begun = {'0' if counts else 'False'}")
        head = len(self._lines)
        self._lines.append("        ")
        self._stored = {x.value.name for x in section if isinstance(x, Store) and isinstance(x.value, Value)}
        self._lasts = {
            name: place for name, place in self._last_readings(section).items() if self._swept[name]
        }
        for place, each in enumerate(section):
            self._statement(each, place, "            ")
        if reduces:
            self._emit("            ", f"begun = {'ended' if counts else 'True'}")
        self._free += self._beside.values()
        self._beside = {}
        self._values = {
            name: held for name, held in self._values.items() if not self._swept[name] or name in self._kept
        }
        return head

    # Names

    def _operand(self, x: Operand) -> str:
        if isinstance(x, Value):
            maker = self._makers[x.name]
            if isinstance(maker, Load):
                self._marks.read(maker.param.name, len(self._lines))
            return self._values[x.name]
        text = self._literal(x)
        return self._named("c", x.value) if text is None else self._constant(text)

    def _constant(self, text: str) -> str:
        if text not in self._constants:
            self._constants[text] = self._fresh(f"c{len(self._constants)}")
        return self._constants[text]

    def _literal(self, number: Number) -> str | None:
        """The number as a call of its dtype; None where decimals do not say it."""
        row = number.row
        if row.name not in ("float32", "float64") and not row.is_integer:
            return None
        return (
            f"{self._named(row.name, row.numpy.type)}({number.value!s})"
            if np.isfinite(number.value)
            else None
        )

    def _named(self, name: str, value: Any) -> str:
        """A name for an object that the text uses."""
        free, place = name, 0
        while free in self._taken or self._names.get(free, value) is not value:
            free, place = f"{name}_{place}", place + 1
        self._names[free] = value
        return free

    def _fresh(self, name: str) -> str:
        """The name, or one like it, for what no text has named yet."""
        while name in self._taken or name in self._names:
            name += "_"
        self._taken.add(name)
        return name

    def _target(self, value: Value, *, after_reading: bool = True) -> str:
        """Where a value goes: to the array that it is stored in, or to room of its own."""
        swept = self._swept[value.name]
        store = self._stores.get(value.name)
        if self._long and swept and value.name not in self._stored:
            store = self._kept.get(value.name)
        if store is not None:
            name = self._view(store)
            self._free = [room for room in self._free if room.name != name]
            self._marks.write(store.param.name, len(self._lines), after_reading=after_reading)
        elif value.name in self._kept:
            name = self._fresh(f"{self._prefix}k{len(self._rooms)}")
            self._rooms.append(Room(name, value.row, swept, whole=True))
            name = self._rooms[-1].name
        else:
            room = self._take(value.row, swept, self._lasts.get(value.name))
            self._held[value.name] = room
            name = room.name
        self._values[value.name] = name
        return name

    def _view(self, access: Load | Store) -> str:
        key = _key(access)
        if key not in self._views:
            again = self._seen.get(access.param.name, 0)
            self._seen[access.param.name] = again + 1
            name = self._params[access.param.name]
            name = self._fresh(f"{name}__{again}") if again else name
            self._views[key] = View(name, access, self._along[key])
        return self._views[key].name

    def _take(self, row: DType, swept: bool, until: int | None = None) -> Room:
        """A free room; one that is lent only for what is read by ``until`` and not after."""
        for room in self._free:
            if room in self._lent and (until is None or until > self._lent[room]):
                continue
            if room.row is row and room.swept is swept:
                self._free.remove(room)
                return room
        name = self._fresh(f"{self._prefix}{'t' if swept else 'r'}{len(self._rooms)}")
        room = Room(name, row, swept)
        self._rooms.append(room)
        return room

    def _release(self, each: Statement, place: int) -> None:
        for x in operands(each):
            if isinstance(x, Value) and self._lasts.get(x.name) == place and x.name in self._held:
                self._free.append(self._held.pop(x.name))

    def _last_readings(self, section: Sequence[Statement]) -> dict[str, int]:
        """The place of the last statement that reads each value."""
        return {
            x.name: place
            for place, each in enumerate(section)
            for x in operands(each)
            if isinstance(x, Value)
        }

    def _note(self, each: Compute | Reduce, indent: str) -> None:
        if each.origin is not None:
            note = f"{indent}# {each.origin.place}"
            if note not in self._lines[-8:]:
                self._lines.append(note)

    def _emit(self, indent: str, line: str) -> None:
        self._lines.append(indent + line)


def _key(access: Load | Store) -> tuple[Any, ...]:
    return (access.param.name, *access.index)


def _fields(each: Compute) -> dict[str, Any]:
    return each.attrs.fields() if each.attrs is not None else {}


def _tuple(wanted: Sequence[View | Room]) -> str:
    names = ", ".join(x.name for x in wanted)
    return f"({names},)" if len(wanted) == 1 else f"({names})"
