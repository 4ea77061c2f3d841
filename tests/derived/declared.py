"""The declarations as test material: every function, its calls, and the arrays that they are made with.

Arrays are the same in every run. Values of one call lie apart from one another and from multiples of a half, where
most functions that have a kink have it.
"""

from __future__ import annotations

import importlib
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.graph.node import Node
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.types import BY_NAME, DType
from symgraph.ops.cases import Case, Draw, Made
from symgraph.ops.declare import Function
from symgraph.ops.reduce import supremum

Array = np.ndarray[Any, Any]

FUNCTIONS_BY_NAME = {
    **{name: f for name, f in FUNCTIONS.items() if isinstance(f, Function) and name == f.name},
    supremum.name: supremum,
}
"""The public functions, and what bodies alone say."""
WIDE = {
    "float16": "float32",
    "bfloat16": "float32",
    "float32": "float64",
    "complex64": "complex128",
}
"""In what a reference is computed when the dtype's own precision is not enough."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function called on placeholders, and the arrays that are fed to them."""

    function: Function
    case: Case
    dtype: str
    nodes: tuple[Node, ...]
    arrays: tuple[Array, ...]

    def outputs(self) -> list[Node]:
        """The results as nodes."""
        return flat(self._apply(self.function, self.nodes))

    def expected(self, wide: bool = False) -> list[Array] | None:
        """What the reference gives, in the dtype's own precision or a wider one; None where it gives nothing."""
        reference = reference_of(self.function)
        if reference is None:
            return None
        arrays = [widened(x) for x in self.arrays] if wide else self.arrays
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [np.asarray(x) for x in flat(self._apply(reference, arrays))]

    def feed(self) -> dict[Node, Array]:
        return dict(zip(self.nodes, self.arrays, strict=True))

    def _apply(self, f: Callable[..., Any], values: Sequence[Any]) -> Any:
        left = iter(values)
        args = [_filled(x, left) for x in self.case.args]
        kwargs = {key: _filled(x, left) for key, x in self.case.kwargs.items()}
        return f(*args, **kwargs)

    def __str__(self) -> str:
        """``sum(float32[2, 3], axis=0)``."""
        parts = [_spelled(x, self.dtype) for x in self.case.args]
        parts += [f"{key}={_spelled(x, self.dtype)}" for key, x in self.case.kwargs.items()]
        return f"{self.function.name}({', '.join(parts)})"


def calls(f: Function, dtypes: Sequence[str] | None = None, *, symbolic: bool = False) -> Iterator[Call]:
    """Every case of a function in every dtype; with ``symbolic``, sizes other than 1 are names, one for each value."""
    for case in f.cases:
        if symbolic and not case.symbolic:
            continue
        draws = list(_draws((case.args, case.kwargs)))
        for dtype in f.dtypes if draws else f.dtypes[:1]:
            if dtypes is None or dtype in dtypes:
                arrays = draw_arrays(f, case, dtype)
                shapes = [_named(x.shape) if symbolic else x.shape for x in draws]
                nodes = (
                    sg.placeholder(array.dtype, shape, name=f"x{i}")
                    for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
                )
                yield Call(f, case, dtype, tuple(nodes), arrays)


def reference_of(f: Function) -> Callable[..., Any] | None:
    """The independent meaning that the declaration names, if there is one."""
    if callable(f.reference):
        return f.reference
    module, _, name = f.reference.rpartition(".")
    return getattr(importlib.import_module(module), name, None)


def flat(results: Any) -> list[Any]:
    """A result, or the results in tuples and lists, in one list."""
    if isinstance(results, (tuple, list)):
        return [leaf for part in results for leaf in flat(part)]
    return [results]


def widened(x: Array) -> Array:
    return x.astype(WIDE.get(x.dtype.name, x.dtype))


def failures(f: Function, checked: Iterator[tuple[Call, Callable[[], str | None]]]) -> str:
    """What is wrong, a line for each call; empty when nothing is."""
    lines = []
    for call, check in checked:
        try:
            found = check()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            lines.append(f"{call} in {call.dtype}: {found}")
    more = [f"… and {len(lines) - 10} more"] if len(lines) > 10 else []
    return "\n".join(lines[:10] + more)


# Arrays


def draw_arrays(f: Function, case: Case, dtype: str) -> tuple[Array, ...]:
    """An array for each draw of the case."""
    draws = list(_draws((case.args, case.kwargs)))
    rng = np.random.default_rng(zlib.crc32(f"{f.name} {case.args} {case.kwargs}".encode()))
    intervals = [x.interval or _sample(f, i) for i, x in enumerate(draws)]
    counts = [int(np.prod(x.shape)) for x in draws]
    places = _places(rng, sum(counts))
    arrays = []
    for draw, interval, count in zip(draws, intervals, counts, strict=True):
        here, places = places[:count], places[count:]
        row = BY_NAME[draw.dtype or dtype]
        arrays.append(_values(rng, here, interval, row).reshape(draw.shape))
    return tuple(arrays)


def _sample(f: Function, i: int) -> tuple[float, float]:
    if isinstance(f.sample[0], (int, float)):
        return f.sample
    return f.sample[min(i, len(f.sample) - 1)]


def _places(rng: np.random.Generator, count: int) -> Array:
    """Numbers in (0, 1), no two of them closer than half of their mean distance."""
    return (rng.permutation(count) + rng.uniform(0.25, 0.75, count)) / max(count, 1)


def _values(rng: np.random.Generator, places: Array, interval: tuple[float, float], row: DType) -> Array:
    low, high = interval
    match row.kind:
        case "bool":
            return places < 0.5
        case "int" | "uint":
            bottom = max(0, int(np.ceil(low))) if row.kind == "uint" else int(np.ceil(low))
            top = max(bottom, int(np.floor(high)))
            return (bottom + np.floor(places * (top - bottom + 1))).astype(row.numpy)
        case "complex":
            upwards = _places(rng, len(places))  # not the same places again: i + 2j is as long as 2 + i
            values = _off_kinks(places, low, high) + 1j * _off_kinks(upwards, low, high)
            return values.astype(row.numpy)
    return _off_kinks(places, low, high).astype(row.numpy)


def _off_kinks(places: Array, low: float, high: float) -> Array:
    """Values at these places of the interval, none within 1/100 of a multiple of a half."""
    values = low + places * (high - low)
    nearest = np.round(values * 2) / 2
    side = np.where(values >= nearest, 1, -1)
    return np.where(np.abs(values - nearest) < 0.01, nearest + side * 0.01 * min(1.0, high - low), values)


# Templates


def _draws(template: Any) -> Iterator[Draw]:
    match template:
        case Draw():
            yield template
        case tuple() | list():
            for part in template:
                yield from _draws(part)
        case Made():
            yield from _draws(template.args)
        case dict():
            for part in template.values():
                yield from _draws(part)


def _filled(template: Any, values: Iterator[Any]) -> Any:
    match template:
        case Draw():
            return next(values)
        case tuple() | list():
            return type(template)([_filled(part, values) for part in template])
        case Made():
            return template.function(*_filled(template.args, values))
        case dict():
            return {key: _filled(part, values) for key, part in template.items()}
    return template


def _spelled(template: Any, dtype: str) -> str:
    match template:
        case Draw():
            return f"{template.dtype or dtype}[{', '.join(map(str, template.shape))}]"
        case tuple() | list():
            return f"({', '.join(_spelled(part, dtype) for part in template)})"
        case Made():
            parts = [_spelled(part, dtype) for part in template.args]
            return f"{template.function.__name__}({', '.join(parts)})"
    return repr(template)


def _named(shape: tuple[int, ...]) -> tuple[int | str, ...]:
    return tuple(f"n{size}" if size != 1 else size for size in shape)
