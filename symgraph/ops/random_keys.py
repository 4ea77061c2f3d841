"""Keys: what a draw of random numbers depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.node import Node
from symgraph.graph.op import as_node, constant
from symgraph.graph.types import as_shape
from symgraph.ops.annotations import ArrayLike, ShapeLike
from symgraph.ops.arithmetic import astype
from symgraph.ops.cases import case, draw
from symgraph.ops.create import iota
from symgraph.ops.declare import INTEGERS, macro
from symgraph.ops.random_bits import (
    KEY,
    UINT32,
    UINT64,
    Key,
    as_key,
    packed,
    reference_block,
    reference_words,
    threefry,
)


def _key_reference(seed: Any) -> Any:
    whole = int(seed) % 2**64
    return np.array([whole >> 32, whole % 2**32], np.uint32)


@macro(
    namespace="random", dtypes=INTEGERS, sample=(-9, 9), reference=_key_reference, differentiable=False,
    cases=[case(0), case(-1), case(2**64 - 1), case(draw())],
)  # fmt: skip
def key(seed: int | Node) -> Node:
    """The key, uint32[2], of a seed: its upper and its lower 32 bits.

    Equal keys draw equal numbers, on every machine and device, so a key is for one draw; ``split`` and ``fold_in`` make
    others of it. The seed may be a node, an integer.

    >>> evaluate(random.key(7))
    array([0, 7], dtype=uint32)

    Raises ArgumentError for an integer of more than 64 bits, DTypeError for what is no integer.
    """
    return packed(_halves(seed))


@macro(
    namespace="random", dtypes=("uint32",), differentiable=False,
    reference=lambda key, num=2: np.stack(reference_words(key, num), 1).astype(np.uint32),
    cases=[case(KEY), case(KEY, 5), case(KEY, num=1)],
)  # fmt: skip
def split(key: ArrayLike, num: ShapeLike = 2) -> Node:
    """So many new keys, uint32[num, 2]; ``num`` may be a symbolic size.

    Numbers drawn with them have nothing to do with one another. The key that was split is used up. ``split(key, n)[i]``
    is ``fold_in(key, i)``.

    >>> evaluate(random.split(random.key(0)))
    array([[1797259609, 2579123966],
           [ 928981903, 3453687069]], dtype=uint32)

    Raises DTypeError and ShapeError for what is no key.
    """
    sizes = as_shape(num)
    if len(sizes) != 1:
        raise ShapeError(f"takes one number of keys, not {num!r}")
    return _made(key, constant(0, UINT32), iota(sizes[0], UINT32))


def _fold_reference(key: Any, data: Any) -> Any:
    words = [reference_block(key, int(x) % 2**64) for x in np.ravel(data)]
    return np.array(words, np.uint32).reshape(*np.shape(data), 2)


@macro(
    namespace="random", dtypes=INTEGERS, sample=(-9, 9), reference=_fold_reference, differentiable=False,
    cases=[case(KEY, 3), case(KEY, -1), case(KEY, draw()), case(KEY, draw(2, 3)), case(KEY, draw(0))],
)  # fmt: skip
def fold_in(key: ArrayLike, data: ArrayLike) -> Node:
    """A new key made of a key and an integer, or one for each integer of an array, uint32[..., 2].

    Numbers drawn with keys of different integers have nothing to do with one another.

    >>> evaluate(random.fold_in(random.key(0), 1))
    array([ 928981903, 3453687069], dtype=uint32)

    Raises DTypeError for what is no integer, DTypeError and ShapeError for what is no key.
    """
    return _made(key, *_halves(data))


def reference_folded(key: Any, data: int) -> Any:
    """What ``fold_in`` gives for one integer."""
    return np.array(reference_block(key, data), np.uint32)


def folded(key: Key, data: Node) -> Key:
    """``fold_in`` of one integer, in words."""
    return threefry(*key, *_halves(data))


def _made(key: ArrayLike, count0: Node, count1: Node) -> Node:
    return packed(threefry(*as_key(key), count0, count1))


def _halves(whole: ArrayLike) -> tuple[Node, Node]:
    """The upper and the lower 32 bits of integers; of negative ones as they are with 64 bits."""
    if isinstance(whole, int) and not isinstance(whole, bool):
        if not -(2**63) <= whole < 2**64:
            raise ArgumentError(f"takes integers of at most 64 bits, and {whole} has more")
        return constant(whole >> 32 & 0xFFFFFFFF, UINT32), constant(whole & 0xFFFFFFFF, UINT32)
    whole = as_node(whole)
    if not whole.row.is_integer:
        raise DTypeError(f"takes integers, not {whole.type}")
    wide = astype(whole, UINT64)
    return astype(wide >> 32, UINT32), astype(wide, UINT32)
