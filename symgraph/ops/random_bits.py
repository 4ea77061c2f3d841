"""Random bits: Threefry 2x32 on counters, so that a number depends on its key and its place alone.

``threefry`` is the generator with 20 rounds of J. Salmon, M. Moraes, R. Dror and D. Shaw, *Parallel random numbers: as
easy as 1, 2, 3* (2011). It is additions, rotations and exclusive ors of uint32, which are the same on every machine;
each word that is drawn is computed where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim, dim_max, dim_min, same
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, Attrs, Op, as_node, constant, register
from symgraph.graph.types import BY_NAME, TensorType, as_shape, broadcast_shapes, dtype
from symgraph.ops.annotations import Array, ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.arithmetic import astype, where
from symgraph.ops.cases import case, draw
from symgraph.ops.create import iota
from symgraph.ops.declare import macro
from symgraph.ops.index import index
from symgraph.ops.shape import expand_dims, reshape

UINT32, UINT64 = BY_NAME["uint32"], BY_NAME["uint64"]
MOST = 1 << 32
"""So many numbers a draw may have."""

KEY = draw(2, interval=(0, 2**32 - 1), dtype="uint32")


# The generator

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ThreefryAttrs(Attrs):
    """Which of the two words of a block: 0 or 1."""

    word: int


def _infer(*types: TensorType, word: int) -> TensorType:
    if any(each.dtype is not UINT32 for each in types) or word not in (0, 1):
        raise DTypeError("takes two words of a key and two of a counter, uint32")
    return TensorType(UINT32, broadcast_shapes(*[each.shape for each in types]))


def _body(key0: Node, key1: Node, count0: Node, count1: Node, word: int) -> Node:
    schedule = (key0, key1, key0 ^ key1 ^ as_node(_PARITY, UINT32))
    a, b = count0 + key0, count1 + key1
    for block in range(5):
        for places in _ROTATIONS[block % 2]:
            a = a + b
            b = ((b << places) | (b >> (32 - places))) ^ a
        a = a + schedule[(block + 1) % 3]
        b = b + (schedule[(block + 2) % 3] + as_node(block + 1, UINT32))
    return (a, b)[word]


THREEFRY = register(Op("threefry", infer=_infer, body=_body, attrs=ThreefryAttrs))


def threefry(key0: Node, key1: Node, count0: Node, count1: Node) -> tuple[Node, Node]:
    """The two words that a key of two words makes of a counter of two words, element by element."""
    given = (key0, key1, count0, count1)
    return THREEFRY(*given, word=0), THREEFRY(*given, word=1)


# Words of a draw


Key: TypeAlias = tuple[Node, Node]
"""The two words of a key."""


def as_key(key: ArrayLike) -> Key:
    """The two words of a key that a user gave.

    Raises DTypeError and ShapeError for what is no uint32[2].
    """
    key = as_node(key)
    if key.row is not UINT32:
        raise DTypeError(f"a key is uint32[2], as random.key makes it, not {key.type}")
    if key.ndim != 1 or same(key.shape[0], 2) is False:
        raise ShapeError(f"takes one key, u32[2], not {key.type}; index what random.split gives")
    if key.op is where.op and key.inputs[0] is _FIRST and not any(x.shape for x in key.inputs[1:]):
        return key.inputs[1], key.inputs[2]
    if key.op is CONSTANT and key.shape == (2,):
        first, second = key.attrs.value  # type: ignore[union-attr]
        return constant(first, UINT32), constant(second, UINT32)
    return index(key, 0), index(key, 1)


_FIRST = constant([True, False])


def packed(key: Key) -> Node:
    """Keys along a new last axis, each of two words: a choice, which is computed where it is read."""
    a, b = (expand_dims(x, -1) if x.shape else x for x in key)
    return where(_FIRST, a, b)


def words(key: Key, shape: tuple[Dim, ...]) -> tuple[Node, Node]:
    """Two random words for each place of a shape.

    The counter of an element is how many come before it in row-major order.

    Raises ArgumentError for more than 2³² elements, OutOfBoundsError where only the call knows that.
    """
    return threefry(*key, _upper_word(prod(shape, start=1)), _places(shape))


def word(key: Key, shape: tuple[Dim, ...]) -> Node:
    """A random word for each place of a shape: both of the generator's, so that none is wasted, as one."""
    a, b = words(key, shape)
    return a ^ b


def _upper_word(count: Dim) -> Node:
    """The upper word of every counter, which is 0; its making fails at the call where that would not hold."""
    if isinstance(count, int):
        if count > MOST:
            raise ArgumentError(f"a draw has at most 2**32 numbers, not {count}; split the key")
        return constant(0, UINT32)
    return index(iota(dim_min(dim_max(MOST + 1 - count, 0), 1), UINT32), 0)


_LONG = 256


def _places(shape: tuple[Dim, ...]) -> Node:
    """The lower words of the counters.

    Rows known to be long are counted by the sum of two shorter arrays than the whole.
    """
    if not shape:
        return constant(0, UINT32)
    *before, last = shape
    if not before:
        return iota(last, UINT32)
    if isinstance(last, int) and last >= _LONG:
        rows = iota(prod(before, start=1), UINT32) * as_node(last % MOST, UINT32)
        return reshape(rows, (*before, 1)) + iota(last, UINT32)
    return reshape(iota(prod(shape, start=1), UINT32), shape)


# For the reference: the same in NumPy, a word at a time in Python's integers.


def reference_words(key: Array, count: int) -> tuple[Array, Array]:
    """What ``words`` gives for so many places in a row, as uint64."""
    pairs = np.array([reference_block(key, place) for place in range(count)], np.uint64).reshape(count, 2)
    return pairs[:, 0], pairs[:, 1]


def reference_block(key: Array, counter: int) -> tuple[int, int]:
    """The two words of one counter of 64 bits."""
    first, second = map(int, key)
    schedule = (first, second, first ^ second ^ _PARITY)
    a, b = (counter // MOST + first) % MOST, (counter + second) % MOST
    for turn in range(20):
        places = _ROTATIONS[turn // 4 % 2][turn % 4]
        a = (a + b) % MOST
        b = (b * 2**places % MOST + b // 2 ** (32 - places)) ^ a
        if turn % 4 == 3:
            n = turn // 4 + 1
            a, b = (a + schedule[n % 3]) % MOST, (b + schedule[(n + 1) % 3] + n) % MOST
    return a, b


# What users say

_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


def _bits_reference(key: Any, shape: Any = (), dtype: Any = "uint32") -> Any:
    a, b = reference_words(key, int(np.prod(shape)))
    found = (a << np.uint64(32)) | b if dtype == "uint64" else a ^ b
    return found.astype(dtype).reshape(shape)


@macro(
    namespace="random", dtypes=("uint32",), reference=_bits_reference, differentiable=False,
    cases=[case(KEY, (2, 3)), case(KEY), case(KEY, (0,)), *[case(KEY, 5, dtype=each) for each in _UNSIGNED]],
)  # fmt: skip
def bits(key: ArrayLike, shape: ShapeLike = (), dtype: DTypeLike = "uint32") -> Node:
    """Integers of which every bit is 0 or 1 with the same probability: uint8, uint16, uint32 or uint64.

    An element depends on the key and on how many come before it alone, so ``bits(key, (2, 3))`` are the first six
    of ``bits(key, 9)``. A key is for one draw.

    >>> evaluate(random.bits(random.key(0), 3))
    array([4070199207, 4202968722, 1427181096], dtype=uint32)

    Raises DTypeError for other dtypes and for what is no key, ArgumentError for more than 2³² numbers.
    """
    row, pair, sizes = _unsigned(dtype), as_key(key), as_shape(shape)
    if row is UINT64:
        return joined(*words(pair, sizes))
    return astype(word(pair, sizes), row)


def joined(upper: Node, lower: Node) -> Node:
    """Two words as one of 64 bits."""
    return (astype(upper, UINT64) << 32) | astype(lower, UINT64)


def _unsigned(spec: DTypeLike) -> Any:
    row = dtype(spec)
    if row.name not in _UNSIGNED:
        raise DTypeError(f"bits are of {', '.join(_UNSIGNED)}, not {row.name}")
    return row
