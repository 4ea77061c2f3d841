"""Orders, and elements of an array, at random."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.dims import Dim, Size, same
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.graph.types import as_shape
from symgraph.ops.annotations import ArrayLike, ShapeLike
from symgraph.ops.axes import one_axis
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import FLOAT, cast_to, macro
from symgraph.ops.index import index, take, take_along_axis
from symgraph.ops.random_bits import KEY, as_key, bits
from symgraph.ops.random_continuous import gumbel
from symgraph.ops.random_discrete import below, randint
from symgraph.ops.random_uniform import uniform
from symgraph.ops.scan import cumsum
from symgraph.ops.shape import reshape
from symgraph.ops.sort import argsort, searchsorted
from symgraph.ops.transcendental import log


def _permutation_reference(key: Any, x: Any, axis: Any = 0, independent: bool = False) -> Any:
    x = np.arange(x) if isinstance(x, int) else x
    if independent:
        order = np.argsort(bits.reference(key, x.shape, "uint64"), axis, kind="stable")  # type: ignore[operator]
        return np.take_along_axis(x, order, axis)
    order = np.argsort(bits.reference(key, x.shape[axis], "uint64"), kind="stable")  # type: ignore[operator]
    return np.take(x, order, axis)


@macro(
    namespace="random", dtypes=("float64",), reference=_permutation_reference,
    cases=[case(KEY, 5), case(KEY, draw(4, 3)), case(KEY, draw(2, 4), axis=-1), case(KEY, draw(0, 3)),
           case(KEY, draw(3, 4), axis=1, independent=True)],
)  # fmt: skip
def permutation(key: ArrayLike, x: ArrayLike, axis: int = 0, independent: bool = False) -> Node:
    """``x`` with its elements along an axis in a random order, or, where it is a size, the integers below it.

    All orders have the same probability: random numbers of 64 bits are sorted, of which two of ``n`` are the same with
    probability ``n² / 2⁶⁵``. ``independent`` gives every row along the axis an order of its own. The gradient reaches
    ``x``.

    >>> evaluate(random.permutation(random.key(0), 5))
    array([1, 0, 4, 3, 2])

    Raises ShapeError for an array without axes, and where no axis is called that; DTypeError and ShapeError for what is
    no key.
    """
    if isinstance(x, int | np.integer | Size):
        return _order(key, as_shape(x)[0])
    x = as_node(x)
    if x.ndim == 0:
        raise ShapeError("takes an array, or a size, which is no node")
    axis = one_axis(axis, x)
    if independent:
        return take_along_axis(x, argsort(bits(key, x.shape, "uint64"), axis), axis)
    return take(x, _order(key, x.shape[axis]), axis)


def _order(key: ArrayLike, count: Dim) -> Node:
    return argsort(bits(key, (count,), "uint64"))


def _choice_reference(
    key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: Any = 0
) -> Any:
    a = np.arange(a) if isinstance(a, int) else a
    sizes, size = as_shape(shape), a.shape[axis]
    count = int(prod(sizes, start=1))
    if p is None:
        found = (
            randint.reference(key, (count,), size) if replace else _permutation_reference(key, size)[:count]  # type: ignore[operator]
        )
    elif replace:
        running = np.cumsum(p)
        share = 1 - uniform.reference(key, (count,), dtype=running.dtype)  # type: ignore[operator]
        found = np.searchsorted(running, share * running[-1])
    else:
        noise = gumbel.reference(key, (size,), dtype=p.dtype)  # type: ignore[operator]
        found = np.argsort(-(noise + np.log(p)), kind="stable")[:count]
    taken = np.take(a, found, axis)
    place = axis % a.ndim
    return np.reshape(taken, (*a.shape[:place], *sizes, *a.shape[place + 1 :]))


@macro(
    namespace="random", dtypes=("float64",), reference=_choice_reference,
    cases=[
        case(KEY, 5), case(KEY, draw(5), (2, 3)), case(KEY, draw(4, 3), 2, axis=1),
        case(KEY, draw(5), 4, replace=False),
        case(KEY, 5, (2, 2), replace=False), case(KEY, draw(3, 2), (0,)),
    ],
)  # fmt: skip
def choice(
    key: ArrayLike,
    a: ArrayLike,
    shape: ShapeLike = (),
    replace: bool = True,
    p: ArrayLike | None = None,
    axis: int = 0,
) -> Node:
    """Elements of ``a`` along an axis, or, where it is a size, integers below it, each with the same probability.

    The axes of ``shape`` stand where the axis was. Without ``replace`` none is taken twice. ``p`` holds probabilities,
    which need not add up to 1; one of 0 is never taken while there are others. The gradient reaches ``a``, not ``p``.

    >>> evaluate(random.choice(random.key(0), [2.0, 3.0, 5.0], 4))
    array([3., 2., 5., 3.])

    Raises ShapeError for ``p`` of another length and for an array without axes, ArgumentError where more are taken
    without ``replace`` than there are, DTypeError and ShapeError for what is no key.
    """
    source = None if isinstance(a, int | np.integer | Size) else as_node(a)
    if source is not None and source.ndim == 0:
        raise ShapeError("takes an array, or a size, which is no node")
    place = 0 if source is None else one_axis(axis, source)
    size = as_shape(a)[0] if source is None else source.shape[place]
    sizes = as_shape(shape)
    count = prod(sizes, start=1)
    if not replace and isinstance(count, int) and isinstance(size, int) and count > size:
        raise ArgumentError(f"{count} of {size} are taken without replacing one")
    places = reshape(_places(key, size, count, replace, p), sizes)
    return places if source is None else take(source, places, place)


def _places(key: ArrayLike, size: Dim, count: Dim, replace: bool, p: ArrayLike | None) -> Node:
    """So many integers below a size, in a row."""
    if p is None:
        if replace:
            return below(as_key(key), (count,), size)
        return index(_order(key, size), slice(0, count))
    weights = as_node(p)
    weights = cast_to(weights, FLOAT.row(weights.row))
    if weights.ndim != 1 or same(weights.shape[0], size) is False:
        raise ShapeError(f"p is {weights.type}; it must be one number for each of {size}")
    if not replace:
        noise = gumbel(key, (size,), dtype=weights.row) + log(weights)
        return index(argsort(noise, descending=True), slice(0, count))
    running = cumsum(weights)
    share = 1 - uniform(key, (count,), dtype=weights.row)
    return searchsorted(running, share * index(running, -1))
