"""What a value is: a dtype and a tuple of sizes, printed ``f32[n, 64]``."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.dims import Dim, Size, broadcast, fresh, parse_dim, symbol
from symgraph.graph.statements import spelled


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """One row of the table below; rows are compared by identity."""

    name: str
    short: str
    kind: str  # "bool", "int", "uint", "float" or "complex"
    bits: int
    numpy: np.dtype[Any]
    is_float: bool
    is_complex: bool
    is_inexact: bool
    """Whether gradients can flow through values of this dtype."""
    is_integer: bool

    def __repr__(self) -> str:
        return self.name


def _row(name: str, short: str, kind: str, bits: int) -> DType:
    numpy = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)
    is_float, is_complex = kind == "float", kind == "complex"
    return DType(
        name, short, kind, bits, numpy, is_float, is_complex, is_float or is_complex, kind in ("int", "uint")
    )


DTYPES = (
    _row("bool", "bool", "bool", 8),
    _row("int8", "i8", "int", 8),
    _row("int16", "i16", "int", 16),
    _row("int32", "i32", "int", 32),
    _row("int64", "i64", "int", 64),
    _row("uint8", "u8", "uint", 8),
    _row("uint16", "u16", "uint", 16),
    _row("uint32", "u32", "uint", 32),
    _row("uint64", "u64", "uint", 64),
    _row("float16", "f16", "float", 16),
    _row("bfloat16", "bf16", "float", 16),
    _row("float32", "f32", "float", 32),
    _row("float64", "f64", "float", 64),
    _row("complex64", "c64", "complex", 64),
    _row("complex128", "c128", "complex", 128),
)
BY_NAME = {row.name: row for row in DTYPES} | {row.short: row for row in DTYPES}
BY_NUMPY = {row.numpy: row for row in DTYPES}

MOST_AXES = 64  # NumPy's
MOST_LISTED = 16  # types of several results, in a message
LONGEST_LISTED = 1000
BOOL, INT64, FLOAT32, FLOAT64 = (BY_NAME[name] for name in ("bool", "int64", "float32", "float64"))


def dtype(spec: object) -> DType:
    """The row for ``"float32"``, ``"f32"``, ``np.float32``, ``np.dtype("float32")``, ``float``, …

    Raises DTypeError for what symgraph has no row for (strings, objects, long doubles, dates).
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str) and spec in BY_NAME:
        return BY_NAME[spec]
    if isinstance(spec, np.dtype) and spec in BY_NUMPY:
        return BY_NUMPY[spec]
    try:
        return BY_NUMPY[np.dtype(spec).newbyteorder("=")]  # type: ignore[call-overload]
    except (TypeError, KeyError):
        names = ", ".join(row.name for row in DTYPES)
        raise DTypeError(f"{spec!r} is no dtype of symgraph's; there are {names}") from None


@functools.cache
def promote(*rows: DType) -> DType:
    """NumPy 2's promotion; bfloat16 meets other dtypes as float16 does, and float16 in float32."""
    half, brain = BY_NAME["float16"], BY_NAME["bfloat16"]
    if brain in rows and any(row is not brain for row in rows):
        rest = [row for row in rows if row is not brain]
        if all(row is half for row in rest):
            return FLOAT32
        met = promote(half, *rest)
        return brain if met is half and half not in rest else met
    try:
        return BY_NUMPY[np.result_type(*(row.numpy for row in rows))]
    except TypeError:
        raise DTypeError(f"{', '.join(row.name for row in rows)} have no common dtype") from None


@dataclass(frozen=True, slots=True)
class TensorType:
    """A dtype and a tuple of sizes, each an int or a symbolic ``Size``."""

    dtype: DType
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        """``f32[n, 64]``; a scalar is plain ``f32``."""
        return f"{self.dtype.short}[{', '.join(map(str, self.shape))}]" if self.shape else self.dtype.short

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of an op with several results."""

    items: tuple[TensorType, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))}{',' if len(self.items) == 1 else ''})"

    __repr__ = __str__


Type = TensorType | TupleType


def broadcast_shapes(*shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """NumPy's broadcasting; symbolic sizes that differ meet in a size that the call decides.

    Raises ShapeError naming the axis when known sizes disagree.
    """
    first, *others = [shape for shape in shapes if shape] or [()]
    if all(shape is first or shape == first for shape in others):
        return first
    rank = max(map(len, shapes))
    sizes: list[Dim] = []
    for axis in range(-rank, 0):
        column = [shape[axis] for shape in shapes if len(shape) >= -axis]
        try:
            sizes.append(broadcast(*column))
        except ShapeError:
            met = " and ".join(str(size) for size in dict.fromkeys(column) if size != 1)
            raise ShapeError(f"axis {axis} is {met}; sizes must agree or be 1") from None
    return tuple(sizes)


def as_shape(spec: object) -> tuple[Dim, ...]:
    """The sizes that a user wrote: ints, names, symbolic sizes, or None for an unnamed size.

    >>> as_shape(("batch", 784))
    (batch, 784)
    """
    if spec is None:
        return ()
    if isinstance(spec, np.ndarray):
        spec = spec.tolist()
    entries: Iterable[object] = spec if isinstance(spec, Sequence) and not isinstance(spec, str) else (spec,)
    return tuple(map(_as_dim, entries))


def _as_dim(entry: object) -> Dim:
    if entry is None:
        return fresh()
    if isinstance(entry, Size):
        return entry
    if isinstance(entry, str):
        return symbol(entry) if entry.isidentifier() else _parsed_dim(entry)
    try:
        size = entry.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise ShapeError(f"a size is an int, a name or None, not {entry!r}") from None
    if size < 0:
        raise ShapeError(f"a size cannot be negative: {size}")
    return int(size)


def _parsed_dim(text: str) -> Dim:
    try:
        return parse_dim(ast.parse(text, mode="eval").body)
    except SyntaxError:
        raise ShapeError(f"{text!r} is no size: write a name or an expression such as 'n + 1'") from None


def short_type(type: Type) -> str:
    """The type as a message has it: of many results the first, and not all of a long size."""
    text = str(TupleType(type.items[:MOST_LISTED]) if isinstance(type, TupleType) else type)
    is_long = len(text) > LONGEST_LISTED or (isinstance(type, TupleType) and len(type.items) > MOST_LISTED)
    return f"{text[:LONGEST_LISTED]}…" if is_long else text


def parse_type(node: ast.expr, rename: Mapping[str, Size] | None = None) -> Type:
    """The type that an annotation such as ``f32[n, 64]`` or ``(f32[n], i64[n])`` spells."""
    match node:
        case ast.Tuple(elts=parts):
            items = tuple(parse_type(part, rename) for part in parts)
            if all(isinstance(item, TensorType) for item in items):
                return TupleType(items)  # type: ignore[arg-type]
        case ast.Subscript(value=ast.Name(id=name), slice=index) if name in BY_NAME:
            sizes = index.elts if isinstance(index, ast.Tuple) else [index]
            if len(sizes) > MOST_AXES:
                raise ShapeError(f"an array has {MOST_AXES} axes at most, not {len(sizes)}")
            return TensorType(BY_NAME[name], tuple(parse_dim(size, rename) for size in sizes))
        case ast.Name(id=name) if name in BY_NAME:
            return TensorType(BY_NAME[name], ())
    raise ShapeError(f"{spelled(node)!r} is no type: write f32[n, 64], or f32 for a scalar")
