"""Uniform floats, and what the other draws of floats share: shapes, dtypes, probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.graph.constants import uniform as known_number
from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.graph.types import BY_NAME, DType, as_shape, broadcast_shapes, dtype
from symgraph.ops.annotations import ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.arithmetic import astype, minimum, where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw
from symgraph.ops.comparison import nextafter
from symgraph.ops.declare import FLOAT, cast_to, macro
from symgraph.ops.random_bits import KEY, Key, as_key, reference_words, word, words

FLOAT32, FLOAT64 = BY_NAME["float32"], BY_NAME["float64"]
_UNIT_BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A draw of floats: 16-bit ones are computed in float32."""

    key: Key
    shape: tuple[Dim, ...]
    row: DType
    """The dtype of the result."""
    params: tuple[Node, ...]
    """In the shape of the draw, where they are no single numbers, and in the dtype that is worked in."""

    @property
    def work(self) -> DType:
        return FLOAT64 if self.row is FLOAT64 else FLOAT32

    def given(self, x: Node) -> Node:
        """The result, in its dtype and shape."""
        return broadcast_to(cast_to(x, self.row), self.shape)


def asked(key: ArrayLike, shape: ShapeLike | None, dtype: DTypeLike | None, *params: ArrayLike) -> Asked:
    """The draw that the arguments ask for.

    The shape is that of the parameters, broadcast, where none is given. The dtype is that of parameters which are
    arrays or nodes, and float32 where all are Python's numbers.

    Raises DTypeError for a dtype that holds no floats, ShapeError for parameters that do not fit the shape.
    """
    arrays = [as_node(x) for x in params if not isinstance(x, bool | int | float)]
    row = _float_row(dtype, arrays)
    work = FLOAT64 if row is FLOAT64 else FLOAT32
    nodes = [cast_to(as_node(x, work), work) for x in params]
    sizes = broadcast_shapes(*[x.shape for x in nodes], ()) if shape is None else as_shape(shape)
    return Asked(as_key(key), sizes, row, tuple(fitted(x, sizes) for x in nodes))


def _float_row(spec: DTypeLike | None, arrays: list[Node]) -> DType:
    if spec is None:
        return FLOAT.row(*[x.row for x in arrays]) if arrays else FLOAT32
    row = dtype(spec)
    if not row.is_float:
        raise DTypeError(f"draws floats, not {row.name}")
    return row


def fitted(x: Node, shape: tuple[Dim, ...]) -> Node:
    """A parameter in the shape of a draw; one number stays one."""
    return broadcast_to(x, shape) if x.shape else x


def placed(x: Node, loc: Node, scale: Node) -> Node:
    """``loc + scale * x``; a constant 0 and a constant 1 are left out."""
    if known_number(scale) != 1:
        x = x * scale
    return x if known_number(loc) == 0 else x + loc


# Probabilities


def unit(draw: Asked) -> Node:
    """Multiples of 2⁻²⁴ in [0, 1); of 2⁻⁵³ for float64, of 2⁻¹¹ for float16 and of 2⁻⁸ for bfloat16."""
    places = _UNIT_BITS[draw.row.name]
    if draw.row is FLOAT64:
        a, b = words(draw.key, draw.shape)
        return astype(a, FLOAT64) * 2.0**-32 + astype(b >> 11, FLOAT64) * 2.0**-53
    return astype(word(draw.key, draw.shape) >> (32 - places), FLOAT32) * 2.0**-places


def inner(draw: Asked) -> Node:
    """Numbers in (0, 1), small ones with all digits: from 2⁻³³ up, and from 2⁻⁶⁵ for float64."""
    if draw.work is FLOAT64:
        a, b = words(draw.key, draw.shape)
        return minimum(_fraction(a, b), 1 - 2.0**-53)
    return minimum(astype(word(draw.key, draw.shape), FLOAT32) * 2.0**-32 + 2.0**-33, 1 - 2.0**-24)


def tail(draw: Asked) -> tuple[Node, Node]:
    """A coin, and numbers in (0, 1/2], small ones with all digits: the probability of the nearer tail."""
    if draw.work is FLOAT64:
        a, b = words(draw.key, draw.shape)
        return (a & 1) == 1, _fraction(a >> 1, b)
    whole = word(draw.key, draw.shape)
    return (whole & 1) == 1, astype(whole >> 1, FLOAT32) * 2.0**-32 + 2.0**-33


def _fraction(upper: Node, lower: Node) -> Node:
    return astype(upper, FLOAT64) * 2.0**-32 + (astype(lower, FLOAT64) * 2.0**-64 + 2.0**-65)


# The same in NumPy, for references


def reference_draw(key: Any, shape: Any, dtype: Any, *params: Any) -> tuple[Any, ...]:
    """The words of a draw in its shape, the dtype that is worked in, and that of the result."""
    arrays = [np.asarray(x) for x in params if not isinstance(x, int | float)]
    row = np.dtype(dtype or (np.result_type(*arrays) if arrays else np.float32))
    shape = np.broadcast_shapes(*map(np.shape, params)) if shape is None else shape
    a, b = (x.reshape(shape) for x in reference_words(key, int(np.prod(shape))))
    return a, b, np.dtype(np.float64 if row == np.float64 else np.float32), row


def reference_tail(a: Any, b: Any, work: Any) -> tuple[Any, Any]:
    """What ``tail`` gives."""
    if work == np.float64:
        return (a & np.uint64(1)) == 1, (a >> np.uint64(1)) * 2.0**-32 + (b * 2.0**-64 + 2.0**-65)
    whole = a ^ b
    small = (whole >> np.uint64(1)).astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
    return (whole & np.uint64(1)) == 1, small


def reference_inner(a: Any, b: Any, work: Any) -> Any:
    """What ``inner`` gives."""
    if work == np.float64:
        return np.minimum(a * 2.0**-32 + (b * 2.0**-64 + 2.0**-65), 1 - 2.0**-53)
    small = (a ^ b).astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
    return np.minimum(small, np.float32(1 - 2.0**-24))


def _uniform_reference(
    key: Any, shape: Any = None, low: Any = 0.0, high: Any = 1.0, dtype: Any = None
) -> Any:
    a, b, work, row = reference_draw(key, shape, dtype, low, high)
    places = _UNIT_BITS[row.name]
    whole = ((a << np.uint64(32)) | b if row == np.float64 else (a ^ b) << np.uint64(32)) >> np.uint64(
        64 - places
    )
    low, high = np.asarray(low, work), np.asarray(high, work)
    value = (low + (high - low) * (whole * 2.0**-places).astype(work)).astype(row)
    return np.where(value < high, value, np.nextafter(high.astype(row), low.astype(row)))


# What users say


@macro(
    namespace="random", dtypes=("float32", "float64"), sample=(-2, 2), reference=_uniform_reference,
    cases=[
        case(KEY, (2, 3)),
        case(KEY, (2, 3), draw(3, interval=(-3, -1)), draw(2, 1, interval=(1, 3))),
        case(KEY, low=draw(3, interval=(-3, -1)), high=5.0),
        case(KEY, (4,), dtype="float64"), case(KEY, (4,), dtype="float16"),
        case(KEY, (0,)), case(KEY, ()),
    ],
)  # fmt: skip
def uniform(
    key: ArrayLike,
    shape: ShapeLike | None = None,
    low: ArrayLike = 0.0,
    high: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Node:
    """Numbers that are anywhere between ``low`` and ``high`` with the same probability; never ``high`` itself.

    From 0 to 1 they are multiples of 2⁻²⁴ (of 2⁻⁵³ in float64, 2⁻¹¹ in float16, 2⁻⁸ in bfloat16), each as likely as any
    other. The shape is that of the bounds and the dtype theirs where none is given, and float32 of Python's numbers.
    The gradient reaches the bounds.

    >>> evaluate(random.uniform(random.key(0), 3))
    array([0.94766706, 0.9785799 , 0.33229148], dtype=float32)

    Raises DTypeError for a dtype that holds no floats and for what is no key, ShapeError for bounds that do not fit the
    shape, ArgumentError for more than 2³² numbers.
    """
    draw = asked(key, shape, dtype, low, high)
    bottom, top = draw.params
    share = unit(draw)
    if known_number(bottom) == 0 and known_number(top) == 1:
        return draw.given(share)
    value = cast_to(bottom + (top - bottom) * share, draw.row)
    below = nextafter(cast_to(top, draw.row), cast_to(bottom, draw.row))
    return draw.given(where(value < cast_to(top, draw.row), value, below))
