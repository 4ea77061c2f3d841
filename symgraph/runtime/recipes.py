"""Recipes: what runs a call with arrays of some shapes, written so that another process can do it.

A recipe has the steps of a program whose steps are all machine code, with the words of their tables. The words that are
addresses count from the beginning of some memory: of the arena, of the word for trouble, of a constant, of a weight's
panels.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.graph.types import BY_NAME, dtype
from symgraph.runtime.code import Unit
from symgraph.runtime.entry import Form
from symgraph.runtime.panels import Lying

Array = np.ndarray[Any, Any]

_FAR = 80
"""Bits: where memory begins is a multiple of so large a number, and no offset in it reaches the next."""
_OFFSET = (1 << _FAR) - 1
ARENA, TROUBLE, CONSTANTS, PANELS = 1, 2, 3, 1 << 30
"""The first of them; constants and panels count on."""
_WORD = 1 << 63
_MOST = 1 << 20
"""Bytes of constants that are written down; those of the program are only named."""


class Row:
    """A step: a function's name, its tables, and what an `entry.Step` has besides."""

    __slots__ = ("chunk", "function", "slots", "tables", "turns")

    def __init__(
        self,
        function: str,
        tables: Sequence[Sequence[int]],
        slots: Sequence[tuple[int, int, int]],
        turns: int,
        chunk: int,
    ) -> None:
        """The words of tables that are addresses are `address`."""
        self.function, self.tables, self.slots, self.turns, self.chunk = function, tables, slots, turns, chunk


class Packed:
    """A weight of which there are panels."""

    __slots__ = ("function", "lying", "slot")

    def __init__(self, function: str, slot: int, lying: Lying) -> None:
        """The ``function`` of this name makes them; the ``slot`` is the argument that it lies in, or a constant, which
        count on."""
        self.function, self.slot, self.lying = function, slot, lying


class Recipe:
    """The steps of a call, for arguments and results of these forms that lie in order, in an arena of so many bytes.
    The last of the arguments are the variables that are read."""

    __slots__ = ("arena", "arguments", "constants", "heavy", "packed", "results", "rows")

    def __init__(
        self,
        arguments: Sequence[Form],
        results: Sequence[Form],
        rows: Sequence[Row],
        arena: int,
        constants: Sequence[Array],
        packed: Sequence[Packed],
        *,
        heavy: bool,
    ) -> None:
        self.arguments, self.results, self.rows = arguments, results, rows
        self.arena, self.constants, self.packed, self.heavy = arena, constants, packed, heavy


def address(memory: int, offset: int = 0) -> int:
    """A word for an address so far in some memory: no number that a word could be."""
    return (memory << _FAR) + offset


def parted(word: int) -> tuple[int, int]:
    """The memory of an `address`, and the offset."""
    return word >> _FAR, word & _OFFSET


def placed(table: Sequence[int], begins: Mapping[int, int]) -> list[int]:
    """The words of a table, given where each memory begins."""
    return [word if -_WORD <= word < _WORD else begins[word >> _FAR] + (word & _OFFSET) for word in table]


def numbered(arena: int, trouble: int, constants: Iterable[int], panels: Iterable[int]) -> dict[int, int]:
    """What is known of each memory, by its number."""
    others = {**dict(enumerate(constants, CONSTANTS)), **dict(enumerate(panels, PANELS))}
    return {ARENA: arena, TROUBLE: trouble, **others}


def is_whole(recipe: Recipe) -> bool:
    """Whether the words are what they can be: numbers, and addresses inside of what there is."""
    constants = [x.nbytes for x in recipe.constants]
    sizes = numbered(recipe.arena, 8, constants, (x.lying.bytes for x in recipe.packed))
    slots = [form.nbytes for form in (*recipe.arguments, *recipe.results)]
    given = [*slots[: len(recipe.arguments)], *constants]
    if not all(0 <= x.slot < len(given) and _is_within(x.lying, given[x.slot]) for x in recipe.packed):
        return False
    for row in recipe.rows:
        length = len(row.tables[0])
        for table in row.tables:
            far = [word for word in table if not -_WORD <= word < _WORD]
            if len(table) != length or not all(_is_inside(word, sizes) for word in far):
                return False
        if not all(0 <= place < length and 0 <= at <= slots[slot] for place, slot, at in row.slots):
            return False
    return True


def _is_inside(word: int, sizes: Mapping[int, int]) -> bool:
    return word & _OFFSET <= sizes.get(word >> _FAR, -1)


def _is_within(x: Lying, size: int) -> bool:
    """Whether all numbers of a matrix begin in so many bytes, and are so many as its panels have room for."""
    far = [(x.rows - 1) * x.down, (x.columns - 1) * x.across]
    low, high = (x.begin + sum(f(each, 0) for each in far) for f in (min, max))
    return min(x.rows, x.columns) > 0 and 0 <= low <= high < size and x.rows * x.columns < x.bytes


def written(recipe: Recipe, units: Sequence[Unit], program: Sequence[Array]) -> bytes | None:
    """A recipe with the code of its functions as bytes; constants that are arrays of the ``program`` are only named.
    None where it is too much."""
    places = {id(x): n for n, x in enumerate(program)}
    constants = [places[id(x)] if id(x) in places else _array(x) for x in recipe.constants]
    if sum(len(each[2]) for each in constants if not isinstance(each, int)) > _MOST:
        return None
    code = [(unit.names, unit.code, unit.is_best, unit.text) for unit in units]
    arguments, results = ([_form(each) for each in forms] for forms in (recipe.arguments, recipe.results))
    rows = [(row.function, row.tables, row.slots, row.turns, row.chunk) for row in recipe.rows]
    packed = [(x.function, x.slot, x.lying.words) for x in recipe.packed]
    return marshal.dumps((arguments, results, rows, recipe.arena, recipe.heavy, constants, packed, code))


def read(content: bytes, program: Sequence[Array]) -> tuple[Recipe, list[Unit]] | None:
    """What was written; None for anything else."""
    try:
        arguments, results, rows, arena, heavy, named, panels, code = marshal.loads(content)
        constants = [program[x] if isinstance(x, int) else _as_array(*x) for x in named]
        arguments, results = ([_as_form(*each) for each in forms] for forms in (arguments, results))
        rows = [Row(*row) for row in rows]
        packed = [Packed(function, slot, Lying(*lying)) for function, slot, lying in panels]
        recipe = Recipe(arguments, results, rows, arena, constants, packed, heavy=heavy)
        units = [Unit(*each) for each in code]
        return (recipe, units) if is_whole(recipe) else None
    except (ValueError, TypeError, KeyError, IndexError, EOFError):
        return None


def form_of(x: Array) -> Form | None:
    """The form of an array whose dtype every process knows by its name."""
    try:
        row = dtype(x.dtype)
    except DTypeError:
        return None
    return Form(x.shape, x.dtype) if row.numpy is x.dtype else None


def _form(form: Form) -> tuple[tuple[int, ...], str]:
    return form.shape, dtype(form.dtype).name


def _as_form(shape: Sequence[int], name: str) -> Form:
    return Form(tuple(shape), BY_NAME[name].numpy)


def _array(x: Array) -> tuple[tuple[int, ...], str, bytes]:
    return x.shape, dtype(x.dtype).name, x.tobytes()


def _as_array(shape: tuple[int, ...], name: str, content: bytes) -> Array:
    """An array of its own, which begins where a vector may."""
    made = np.empty(shape, BY_NAME[name].numpy)
    made[...] = np.frombuffer(content, made.dtype).reshape(shape)
    return made
