"""Arrays joined, repeated, taken apart and padded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.dims import Dim, Size, dim_max, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs, as_node
from symgraph.graph.types import TensorType, promote
from symgraph.ops.annotations import Array, ArrayLike, AxisLike, Slopes
from symgraph.ops.arithmetic import maximum, minimum
from symgraph.ops.axes import many_axes, one_axis
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.cases import case, draw
from symgraph.ops.create import arange
from symgraph.ops.declare import ALL, NUMBERS, alias, cast_to, macro, op
from symgraph.ops.index import index, take
from symgraph.ops.math import whole
from symgraph.ops.shape import expand_dims, ravel, reshape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AxisAttrs(Attrs):
    axis: int


def _listed(f: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function of a list, called with the arrays of the list drawn one by one."""
    return lambda *args, **kwargs: f(args, **kwargs)


@op(
    AxisAttrs, onnx="Concat", dtypes=ALL, reference="numpy.concatenate",
    cases=[
        case([draw(2), draw(3)]),
        case([draw(2, 3), draw(1, 3), draw(0, 3)]),
        case([draw(2, 3), draw(2, 1)], axis=-1),
        case([draw(2, 3), draw(4)], axis=None),
        case([draw(0)]),
    ],
)  # fmt: skip
def concat(arrays: Sequence[ArrayLike], axis: int = 0) -> Node:
    """Arrays one after the other along an axis; raveled first when it is None.

    >>> evaluate(concat([[1, 2], [3]]))
    array([1, 2, 3])
    """
    nodes = [as_node(x) for x in _many(arrays)]
    if axis is None:
        nodes, axis = [ravel(x) for x in nodes], 0
    if nodes[0].ndim == 0:
        raise ShapeError("scalars have no axis to be joined along; use sg.stack")
    row = promote(*(x.row for x in nodes))
    nodes = [cast_to(x, row) for x in nodes]
    return concat.op(*nodes, axis=one_axis(axis, nodes[0])) if len(nodes) > 1 else nodes[0]


@concat.infer
def _(*arrays: TensorType, axis: int) -> TensorType:
    first = arrays[0]
    if not 0 <= axis < len(first.shape):
        raise ShapeError(f"axis {axis} does not exist in {first}")
    sizes = list(first.shape)
    for x in arrays[1:]:
        if x.dtype is not first.dtype or len(x.shape) != len(sizes):
            raise ShapeError(f"{first} and {x} cannot be joined; dtypes and ranks must agree")
        for i, (a, b) in enumerate(zip(sizes, x.shape, strict=True)):
            if i == axis:
                sizes[i] = a + b
            elif same(a, b) is False:
                raise ShapeError(f"axis {i} is {a} and {b}; all axes but axis {axis} must agree")
            elif isinstance(b, int):
                sizes[i] = b
    return TensorType(first.dtype, tuple(sizes))


@concat.numpy
def _(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis=axis)


@concat.vjp
def _(g: Node, *arrays_and_out: Any, axis: int) -> Slopes:
    *arrays, _ = arrays_and_out
    parts, start = [], 0
    for x in arrays:
        stop = start + x.shape[axis]
        parts.append(index(g, (slice(None),) * axis + (slice(start, stop),)))
        start = stop
    return tuple(reshape(part, x.shape) for part, x in zip(parts, arrays, strict=True))


alias("concatenate", concat)


def _many(arrays: Sequence[ArrayLike]) -> list[ArrayLike]:
    if isinstance(arrays, Node) or not isinstance(arrays, (list, tuple)) or not arrays:
        raise ArgumentError("takes a list of at least one array")
    return list(arrays)


@macro(
    dtypes=ALL,
    cases=[case([draw(3), draw(3)]), case([draw(2, 3), draw(2, 3)], axis=1), case([draw(2, 3), draw(2, 3)], axis=-1),
           case([draw(), draw(), draw()]), case([draw(0)])],
)  # fmt: skip
def stack(arrays: Sequence[ArrayLike], axis: int = 0) -> Node:
    """Arrays of one shape side by side along a new axis.

    >>> evaluate(stack([[1, 2], [3, 4]], axis=1))
    array([[1, 3],
           [2, 4]])
    """
    nodes = [as_node(x) for x in _many(arrays)]
    for x in nodes[1:]:
        if x.ndim != nodes[0].ndim or any(
            same(a, b) is False for a, b in zip(x.shape, nodes[0].shape, strict=True)
        ):
            raise ShapeError(f"{nodes[0].type} and {x.type} cannot be stacked; shapes must agree")
    return concat([expand_dims(x, axis) for x in nodes], axis=axis)


@macro(
    dtypes=ALL,
    cases=[case(draw(6), 3, symbolic=False), case(draw(2, 6), [1, 4], axis=1), case(draw(5, 2), [2]),
           case(draw(4), 1, symbolic=False)],
)  # fmt: skip
def split(x: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Node]:
    """A list of parts along an axis: so many equal ones, or cut before these indices.

    >>> [evaluate(part).tolist() for part in split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]

    Raises ShapeError when equal parts are asked of a size that is unknown or does not divide.
    """
    x = as_node(x)
    axis = one_axis(axis, x)
    size = x.shape[axis]
    if isinstance(indices_or_sections, (list, tuple, np.ndarray)):
        cuts = [0, *indices_or_sections, size]
    else:
        sections = whole("a number of parts", indices_or_sections)
        if sections < 1 or same(size % max(sections, 1), 0) is not True:
            raise ShapeError(
                f"axis {axis} is {size}, which is not known to divide into {sections} equal parts"
            )
        cuts = [k * (size // sections) for k in range(sections + 1)]
    return [index(x, (slice(None),) * axis + (slice(a, b),)) for a, b in itertools.pairwise(cuts)]


@macro(dtypes=ALL, cases=[case(draw(7), 3, symbolic=False), case(draw(2, 5), 2, axis=1, symbolic=False)])
def array_split(x: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Node]:
    """``split`` into nearly equal parts, the first ones larger by one.

    >>> [evaluate(part).tolist() for part in array_split([1, 2, 3], 2)]
    [[1, 2], [3]]
    """
    x = as_node(x)
    size = x.shape[one_axis(axis, x)]
    if isinstance(indices_or_sections, (list, tuple, np.ndarray)):
        return split(x, indices_or_sections, axis)
    sections = whole("a number of parts", indices_or_sections)
    if sections < 1:
        raise ShapeError(f"there cannot be {sections} parts")
    if isinstance(size, Size):
        raise ShapeError(f"axis {axis} is {size}; parts need a size that is known")
    each, extra = divmod(size, sections)
    return split(x, [k * each + min(k, extra) for k in range(1, sections)], axis)


@macro(dtypes=ALL, cases=[case(draw(3, 2), symbolic=False), case(draw(2, 3), axis=-1, symbolic=False)],
       reference=lambda x, axis=0: list(np.moveaxis(x, axis, 0)))  # fmt: skip
def unstack(x: ArrayLike, axis: int = 0) -> tuple[Node, ...]:
    """A tuple of the slices along an axis, whose size must be known.

    >>> [evaluate(row).tolist() for row in unstack([[1, 2], [3, 4]])]
    [[1, 2], [3, 4]]
    """
    x = as_node(x)
    axis = one_axis(axis, x)
    size = x.shape[axis]
    if isinstance(size, Size):
        raise ShapeError(f"axis {axis} is {size}; taking it apart needs a size that is known")
    return tuple(index(x, (slice(None),) * axis + (i,)) for i in range(size))


@macro(
    dtypes=ALL,
    cases=[
        case(draw(4)),
        case(draw(2, 3), axis=1),
        case(draw(2, 3), axis=(0, -1)),
        case(draw(0, 2)),
        case(draw()),
    ],
)
def flip(x: ArrayLike, axis: AxisLike = None) -> Node:
    """The order reversed along axes, along all by default.

    >>> evaluate(flip([1, 2, 3]))
    array([3, 2, 1])
    """
    x = as_node(x)
    axes = many_axes(axis, x)
    return index(x, tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)))


@macro(
    dtypes=ALL,
    cases=[case(draw(5), 2), case(draw(5), -7), case(draw(2, 3), 1, axis=1), case(draw(2, 3), (1, 2), axis=(0, 1)),
           case(draw(2, 3), 4), case(draw(0), 3), case(draw(5), (1, 2), axis=0), case(draw(2, 3), [1], axis=(0, 1))],
)  # fmt: skip
def roll(x: ArrayLike, shift: AxisLike, axis: AxisLike = None) -> Node:
    """Elements moved along axes by so many places, those beyond the end coming in at the front.

    >>> evaluate(roll([1, 2, 3], 1))
    array([3, 1, 2])
    """
    x = as_node(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes, shifts = _listed_one(axis), _listed_one(shift)
    axes, shifts = (
        axes * (len(shifts) if len(axes) == 1 else 1),
        shifts * (len(axes) if len(shifts) == 1 else 1),
    )
    if len(shifts) != len(axes):
        raise ArgumentError(f"{len(shifts)} shifts for {len(axes)} axes")
    for by, each in zip(shifts, axes, strict=True):
        x = _rolled(x, by if isinstance(by, Size) else whole("a shift", by), one_axis(each, x))
    return x


def _listed_one(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _rolled(x: Node, by: Dim, axis: int) -> Node:
    size = x.shape[axis]
    if size == 0 or by == 0:
        return x
    # An empty axis of symbolic size: // 0 would fail at the call, and rolling by 0 of 1 is right for it.
    cut = size - by % dim_max(size, 1)
    before = (slice(None),) * axis
    joined = concat([index(x, (*before, slice(cut, None))), index(x, (*before, slice(None, cut)))], axis)
    return reshape(joined, x.shape)


@macro(
    dtypes=ALL,
    cases=[case(draw(3), 2), case(draw(2, 3), (2, 1)), case(draw(3), (2, 2)), case(draw(2, 3), 2), case(draw(), 3),
           case(draw(2), 0), case(draw(0), 2)],
)  # fmt: skip
def tile(x: ArrayLike, repetitions: int | Sequence[int]) -> Node:
    """The whole array so many times along each axis, new axes in front.

    >>> evaluate(tile([1, 2], 2))
    array([1, 2, 1, 2])
    """
    x = as_node(x)
    reps = tuple(_amount("a number of repetitions", rep) for rep in _listed_one(repetitions))
    rank = max(len(reps), x.ndim)
    reps = (1,) * (rank - len(reps)) + reps
    shape = (1,) * (rank - x.ndim) + x.shape
    spread = reshape(x, tuple(size for pair in zip((1,) * rank, shape, strict=True) for size in pair))
    wide = broadcast_to(spread, tuple(size for pair in zip(reps, shape, strict=True) for size in pair))
    return reshape(wide, tuple(rep * size for rep, size in zip(reps, shape, strict=True)))


@macro(
    dtypes=ALL,
    cases=[case(draw(3), 2), case(draw(2, 3), 2, axis=1), case(draw(2, 3), 2), case(draw(3), [1, 0, 2]),
           case(draw(3, 2), [1, 0, 2], axis=0), case(draw(3), [2]), case(draw(), 2), case(draw(0), 2)],
)  # fmt: skip
def repeat(x: ArrayLike, repeats: ArrayLike, axis: AxisLike = None) -> Node:
    """Each element so many times in a row; ``repeats`` is one number, or one for each element along the axis.

    >>> evaluate(repeat([1, 2], 2))
    array([1, 1, 2, 2])
    """
    x = as_node(x)
    if axis is None:
        return repeat(ravel(x), repeats, 0)
    axis = one_axis(axis, x)
    if isinstance(repeats, (list, tuple, np.ndarray)):
        counts = [whole("a number of repeats", count) for count in _listed_one(repeats)]
        if len(counts) != 1:
            return _repeated_each(x, counts, axis)
        (repeats,) = counts
    shape, repeats = x.shape, _amount("a number of repeats", repeats)
    wide = (*shape[: axis + 1], repeats, *shape[axis + 1 :])
    spread = broadcast_to(expand_dims(x, axis + 1), wide)
    return reshape(spread, (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]))


def _repeated_each(x: Node, counts: list[int], axis: int) -> Node:
    if same(len(counts), x.shape[axis]) is False:
        raise ShapeError(f"{len(counts)} numbers of repeats for axis {axis} of {x.type}")
    if any(count < 0 for count in counts):
        raise ShapeError(f"a number of repeats cannot be negative: {min(counts)}")
    x = reshape(
        x, (*x.shape[:axis], len(counts), *x.shape[axis + 1 :])
    )  # a symbolic size is held to it at the call
    return take(x, np.repeat(np.arange(len(counts)), counts), axis=axis)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PadAttrs(Attrs):
    """Sizes before and after each axis."""

    widths: tuple[tuple[Dim, Dim], ...]


@op(
    PadAttrs, onnx="Pad", dtypes=NUMBERS,
    cases=[
        case(draw(3), 2),
        case(draw(2, 3), ((1, 0), (0, 2))),
        case(draw(2, 3), 1, constant_values=5),
        case(draw(0), 2),
        case(draw(3), (1, 2), mode="edge"),
        case(draw(4), (2, 3), mode="reflect"),
        case(draw(2, 1), (5, 2), mode="reflect"),
        case(draw(2, 4), ((0, 1), (9, 2)), mode="symmetric"),
        case(draw(4), (2, 9), mode="wrap"),
        case(draw(2, 3), ((1,),)),
    ],
)  # fmt: skip
def pad(x: ArrayLike, pad_width: Any, mode: str = "constant", constant_values: ArrayLike = 0) -> Node:
    """``x`` with elements added before and after each axis.

    ``pad_width`` is a number, a pair (before, after), or a pair for each axis. Modes are NumPy's ``constant``,
    ``edge``, ``reflect``, ``symmetric`` and ``wrap``; all but the first need an element to repeat.

    >>> evaluate(pad([1, 2], (1, 2)))
    array([0, 1, 2, 0, 0])
    """
    x = as_node(x)
    widths = _pad_widths(pad_width, x)
    if mode == "constant":
        return pad.op(x, cast_to(as_node(constant_values, x.row), x.row), widths=widths)
    if not isinstance(mode, str) or mode not in _PAD_PLACES:
        raise ArgumentError(f"mode is one of constant, {', '.join(_PAD_PLACES)}, not {mode!r}")
    for axis, (before, after) in enumerate(widths):
        size = x.shape[axis]
        if before == 0 and after == 0:
            continue
        if size == 0:
            raise ShapeError(f"axis {axis} of {x.type} is empty, so {mode} has nothing to pad it with")
        x = take(x, _PAD_PLACES[mode](arange(-before, size + after), size), axis=axis)
    return x


@pad.infer
def _(x: TensorType, value: TensorType, widths: tuple[tuple[Dim, Dim], ...]) -> TensorType:
    if len(widths) != len(x.shape) or value.shape or value.dtype is not x.dtype:
        raise ShapeError(f"{x} cannot be padded by {widths} with {value}")
    return TensorType(x.dtype, tuple(a + size + b for size, (a, b) in zip(x.shape, widths, strict=True)))


@pad.numpy
def _(x: Array, value: Array, widths: tuple[tuple[Dim, Dim], ...]) -> Array:
    out = np.full([a + size + b for size, (a, b) in zip(x.shape, widths, strict=True)], value, x.dtype)
    out[tuple(slice(a, a + size) for size, (a, _) in zip(x.shape, widths, strict=True))] = x
    return out


@pad.vjp
def _(g: Node, x: Node, value: Node, out: Node, widths: tuple[tuple[Dim, Dim], ...]) -> Slopes:
    inside = index(g, tuple(slice(a, a + size) for size, (a, _) in zip(x.shape, widths, strict=True)))
    inside = reshape(inside, x.shape)
    return inside, g.sum() - inside.sum()


def _pad_widths(width: Any, x: Node) -> tuple[tuple[Dim, Dim], ...]:
    """A pair for each axis, by NumPy's broadcasting of what was given to that."""
    rows = width.tolist() if isinstance(width, np.ndarray) else width
    rows = list(rows) if isinstance(rows, (tuple, list)) else [rows]
    if not any(isinstance(row, (tuple, list, np.ndarray)) for row in rows):
        rows = [rows]
    pairs = [tuple(row) * (2 if len(row) == 1 else 1) for row in map(_listed_one, rows)]
    if len(pairs) not in (1, x.ndim) or any(len(pair) != 2 for pair in pairs):
        raise ShapeError(f"{width} is no pair (before, after) for each of the {x.ndim} axes")
    amounts = [(_amount("a width", a), _amount("a width", b)) for a, b in pairs]
    return tuple(amounts * x.ndim if len(amounts) == 1 else amounts)


def _amount(name: str, value: Any) -> Dim:
    if isinstance(value, Size):
        return value
    number = whole(name, value)
    if number < 0:
        raise ShapeError(f"{name} cannot be negative: {number}")
    return number


# For the places of the result, counted from the first element of the input, the places in the input.


def _edge(places: Node, size: Dim) -> Node:
    return minimum(maximum(places, 0), size - 1)


def _reflect(places: Node, size: Dim) -> Node:
    period = dim_max(2 * size - 2, 1)
    there = places % period
    return minimum(there, period - there)


def _symmetric(places: Node, size: Dim) -> Node:
    period = dim_max(2 * size, 1)
    there = places % period
    return minimum(there, period - 1 - there)


def _wrap(places: Node, size: Dim) -> Node:
    return places % dim_max(size, 1)


_PAD_PLACES = {"edge": _edge, "reflect": _reflect, "symmetric": _symmetric, "wrap": _wrap}
