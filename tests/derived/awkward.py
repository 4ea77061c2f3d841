"""Calls at sizes about those of warps and blocks, on arrays that are views of others: apart, backwards, off by one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.errors import ShapeError, SymgraphError
from symgraph.graph.node import Node
from symgraph.ops.cases import Case, Draw, Made
from symgraph.ops.declare import Function
from tests.derived.declared import Array, Call, _draws, draw_arrays

SIZES = (0, 1, 31, 32, 33, 255, 256, 257, 1000)
LARGEST = 1 << 14
"""Numbers of an array, at most."""
_DRAWS = 8
"""How often sizes are drawn for a call that refuses them."""


@dataclass(frozen=True, slots=True)
class View:
    """An array that lies in another: the placeholder of that other, what is given for it, and the view."""

    given: Node
    array: Array
    node: Node


Viewed = Callable[[str, tuple[Any, ...], Array], View]
"""A way to lie: by the name and the shape of a placeholder, and the array."""


@dataclass(frozen=True, slots=True)
class Laid(Call):
    """A call on views, with sizes that are named."""

    views: tuple[View, ...]

    def feed(self) -> dict[Node, Array]:
        return {view.given: view.array for view in self.views}


def in_order(name: str, shape: tuple[Any, ...], array: Array) -> View:
    given = sg.placeholder(array.dtype, shape, name=name)
    return View(given, array, given)


def apart(name: str, shape: tuple[Any, ...], array: Array) -> View:
    """Every third number."""
    given = sg.placeholder(array.dtype, (*shape, 3), name=name)
    wide = np.zeros((*array.shape, 3), array.dtype)
    wide[..., 1] = array
    return View(given, wide, given[..., 1])


def backwards(name: str, shape: tuple[Any, ...], array: Array) -> View:
    given = sg.placeholder(array.dtype, shape, name=name)
    return View(given, np.array(np.flip(array)), sg.flip(given))


def turned(name: str, shape: tuple[Any, ...], array: Array) -> View:
    given = sg.placeholder(array.dtype, shape[::-1], name=name)
    return View(given, array.T.copy(), sg.transpose(given))


def off_by_one(name: str, shape: tuple[Any, ...], array: Array) -> View:
    """Rows that begin one number behind where the memory does, and have one more."""
    if not shape:
        return in_order(name, shape, array)
    *others, last = shape
    given = sg.placeholder(array.dtype, (*others, f"{last} + 1"), name=name)
    longer = np.zeros((*array.shape[:-1], array.shape[-1] + 1), array.dtype)
    longer[..., 1:] = array
    return View(given, longer, given[..., 1:])


VIEWS: tuple[Viewed, ...] = (
    in_order,
    apart,
    backwards,
    turned,
    off_by_one,
)


def resized(f: Function, dtype: str, views: Sequence[Viewed]) -> Iterator[Laid]:
    """One of the calls of a function with sizes and views that are drawn, by the names of both; none for a function
    whose sizes cannot change."""
    cases = [case for case in f.cases if case.symbolic and any(n > 1 for n in _sizes(case))]
    rng = np.random.default_rng(zlib.crc32(f"{f.name} {dtype}".encode()))
    for _ in range(_DRAWS if cases else 0):
        case = cases[rng.integers(len(cases))]
        names = sorted({size for size in _sizes(case) if size > 1})
        found = dict(zip(names, map(int, rng.choice(SIZES, len(names))), strict=True))
        bound = _bound(case, found)
        shapes = [x.shape for x in _draws((bound.args, bound.kwargs))]
        if max(map(prod, shapes)) > LARGEST:
            continue
        arrays = draw_arrays(f, bound, dtype)
        named = [
            tuple(f"n{size}" if size > 1 else size for size in x.shape)
            for x in _draws((case.args, case.kwargs))
        ]
        kinds = rng.integers(len(views), size=len(arrays))
        laid = [
            views[kind](f"x{i}", shape, array)
            for i, (kind, shape, array) in enumerate(zip(kinds, named, arrays, strict=True))
        ]
        call = Laid(f, bound, dtype, tuple(view.node for view in laid), arrays, tuple(laid))
        try:
            sg.evaluate(call.outputs(), call.feed())
        except SymgraphError:  # an index out of bounds, say, or an extremum of nothing
            continue
        yield call
        return


def _sizes(case: Case) -> list[int]:
    return [size for x in _draws((case.args, case.kwargs)) for size in x.shape]


def _bound(template: Any, sizes: dict[int, int]) -> Any:
    match template:
        case Draw():
            return replace(template, shape=tuple(sizes.get(size, size) for size in template.shape))
        case tuple() | list():
            return type(template)([_bound(part, sizes) for part in template])
        case Made():
            return Made(template.function, _bound(template.args, sizes))
        case dict():
            return {key: _bound(part, sizes) for key, part in template.items()}
        case Case():
            return Case(_bound(template.args, sizes), _bound(template.kwargs, sizes))
    return template


# What stands for all kernels of a kind


PAIRS = ((0, 31), (1, 1000), (31, 0), (32, 257), (33, 256), (255, 33), (256, 32), (257, 255), (1000, 1))
"""Every size, of rows and of columns."""

FAMILIES: dict[str, Callable[..., list[Node]]] = {
    "elementwise": lambda x, y, i, j: [x * y + y, sg.where(x > y, -x, y) * x[:, -1:], sg.transpose(x) * 2],
    "sums": lambda x, y, i, j: [sg.sum(x * y, axis=axis) for axis in (0, 1, None)],
    "extremes": lambda x, y, i, j: [
        f(x - y, axis=axis) for f in (sg.max, sg.argmin) for axis in (0, 1, None)
    ],
    "sweeps": lambda x, y, i, j: [sg.softmax(x * y, axis=0), sg.softmax(x, axis=1), sg.var(y + x, axis=1)],
    "cumulative": lambda x, y, i, j: [
        *(sg.cumsum(x, axis=axis) for axis in (0, 1, None)),
        sg.flip(sg.cumsum(sg.flip(x), axis=0)),
        sg.cumulative_sum(x, axis=1, include_initial=True),
        sg.cumprod(sg.where(x > y, x, 1), axis=1),
    ],
    "recurrences": lambda x, y, i, j: [
        sg.linear_recurrence(x * 0.25, y, axis, reverse) for axis in (0, 1) for reverse in (False, True)
    ],
    "gathers": lambda x, y, i, j: [
        x[i],
        x[:, j],
        x[i[:, None], j],
        sg.take_along_axis(x, j[None, :], 1),
        x[::-2, j],
    ],
    "updates": lambda x, y, i, j: [
        *(sg.update(x, y[i], i, mode) for mode in ("set", "add", "multiply", "max")),
        sg.update(x, y[:, j], (slice(None), j), "add"),
        sg.update(x, 2, (slice(None, None, 2), slice(1, None, 3)), "add"),
    ],
}
"""What is made of two arrays and of places in their rows and columns, some of which are negative or repeated."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A family in a dtype, on arrays of one size and view."""

    function: Any
    """What tells the tolerance."""
    build: Callable[..., list[Node]]
    dtype: str
    shape: tuple[int, int]
    views: tuple[View, ...]

    def outputs(self) -> list[Node]:
        return self.build(*(view.node for view in self.views))

    def feed(self) -> dict[Node, Array]:
        return {view.given: view.array for view in self.views}

    def __str__(self) -> str:
        return f"{self.shape}, {self.function.name}"


def standing(family: str, dtype: str, view: int) -> Iterator[Standing]:
    """A family at every pair of sizes, on arrays that lie in one way, or the second in the next one."""
    row = sg.placeholder(dtype, (), name="row").dtype
    function = SimpleNamespace(name=VIEWS[view].__name__, tolerance=16, is_macro=True)
    for shape in PAIRS:
        rng = np.random.default_rng(shape)
        arrays = [_drawn(rng, shape, row) for _ in range(2)]
        x, y = (
            VIEWS[(view + n) % len(VIEWS)](name, ("n", "m"), array)
            for n, (name, array) in enumerate(zip("xy", arrays, strict=True))
        )
        i, j = (
            in_order(name, (f"count_{name}",), _places(rng, size))
            for name, size in zip("ij", shape, strict=True)
        )
        call = Standing(function, FAMILIES[family], dtype, shape, (x, y, i, j))
        outputs = call.outputs()
        try:
            sg.evaluate(outputs, call.feed())
        except ShapeError:  # an extremum of nothing
            continue
        yield call


def _drawn(rng: np.random.Generator, shape: tuple[int, int], row: np.dtype[Any]) -> Array:
    values = rng.normal(size=shape)
    if row.kind == "c":
        return (values + 1j * rng.normal(size=shape)).astype(row)
    return (values * 4 if row.kind in "iu" else values).astype(row)


def _places(rng: np.random.Generator, size: int) -> Array:
    return rng.integers(-size, size, min(3 * size, 300)) if size else np.zeros(0, np.int64)
