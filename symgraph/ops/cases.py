"""On what inputs an op is tried: part of its declaration, read by the derived tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """An array to draw: its shape, the interval of its values, and a dtype where it is not the one under test."""

    shape: tuple[int, ...]
    interval: tuple[float, float] | None = None
    dtype: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An argument that is computed from others: a node from nodes, and an array from arrays."""

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(repr, self.args))})"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One call: draws, what is made of draws, and plain Python values by position and by name."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    symbolic: bool = True
    """Whether the call is also made with every size above 1 replaced by a symbol."""


def draw(*shape: int, interval: tuple[float, float] | None = None, dtype: str | None = None) -> Draw:
    """``draw(3, 4)``: a 3 × 4 array of the dtype under test, from the op's sample interval."""
    return Draw(shape, interval, dtype)


def made(function: Callable[..., Any], *args: Any) -> Made:
    """``made(positive, draw(3, 3))``: what a function of draws gives, so that each draw may have any value."""
    return Made(function, args)


def case(*args: Any, symbolic: bool = True, **kwargs: Any) -> Case:
    """``case(draw(3, 4), axis=0)``: one call."""
    return Case(args, kwargs, symbolic)


UNARY_SHAPES: Sequence[tuple[int, ...]] = ((), (0,), (1,), (7,), (2, 3), (2, 0, 3))
BROADCAST_SHAPES: Sequence[tuple[tuple[int, ...], ...]] = (
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((4, 1, 3), (2, 1)),
    ((0,), (1,)),
    ((2, 0), ()),
)


@cache
def elementwise_cases(arity: int) -> tuple[Case, ...]:
    """Scalars, empty arrays, size 1, and every kind of broadcasting."""
    if arity == 1:
        return tuple([case(draw(*shape)) for shape in UNARY_SHAPES])
    return tuple([case(*(draw(*shapes[i % 2]) for i in range(arity))) for shapes in BROADCAST_SHAPES])


@cache
def reduction_cases(*, empty: bool = True, tuples: bool = True) -> tuple[Case, ...]:
    """Every way to name axes; ``empty`` when a reduction over nothing has a value, ``tuples`` when axes may be many."""
    rows = [
        case(draw(5)),
        case(draw(2, 3)),
        case(draw(2, 3), axis=0),
        case(draw(2, 3), axis=-1, keepdims=True),
        case(draw(2, 1, 3), axis=1),
        case(draw(0, 3), axis=1),
    ]
    if tuples:
        rows += [
            case(draw(2, 3, 4), axis=(0, -1)),
            case(draw(2, 3), axis=()),
            case(draw()),
            case(draw(2, 3), axis=None, keepdims=True),
        ]
    if empty:
        rows += [case(draw(0)), case(draw(0, 3), axis=0)]
    return tuple(rows)


def in_float32(reference: str | Callable[..., Any]) -> Callable[..., Any]:
    """A reference, or NumPy's function of that name, which for 16-bit floats works in float32 and rounds at the end.

    NumPy's warnings about empty slices are silenced.
    """
    function = getattr(np, reference) if isinstance(reference, str) else reference

    def wide(*args: Any, **kwargs: Any) -> Any:
        short = [x.dtype for x in args if _is_short(x)]
        args = tuple(x.astype(np.float32) if _is_short(x) else x for x in args)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            result = function(*args, **kwargs)
        return _narrow(result, short[0]) if short else result

    return wide


def _narrow(result: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(result, tuple | list):
        return type(result)(_narrow(part, dtype) for part in result)
    return result.astype(dtype) if result.dtype == np.float32 else result


def _is_short(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fV" and x.dtype.itemsize == 2
