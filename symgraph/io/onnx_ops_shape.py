"""ONNX's operators on shapes: the same elements in another arrangement, parts, and arrays made of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Size, broadcast, dim_max, same
from symgraph.graph.node import Node
from symgraph.graph.op import constant, size_value
from symgraph.graph.types import FLOAT32, INT64
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_known import from_dims
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import join, shape
from symgraph.ops.arithmetic import where
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.create import eye, iota, tri
from symgraph.ops.declare import cast_to
from symgraph.ops.index import index

_MOST = 1 << 22
"""Elements of a range of floats, which is a constant."""


@operator("Shape")
def shape_of(x: Node, *, start: int = 0, end: int | None = None) -> Node:
    return from_dims(x.shape[start:end])


@operator("Size")
def size_of(x: Node) -> Node:
    return size_value(x.size)


@operator("Reshape", since=5)
def reshape(at: Call, x: Node, sizes: Node, *, allowzero: int = 0) -> Node:
    return reshaped(x, at.dims(sizes), bool(allowzero))


@operator("Reshape")
def early_reshape(x: Node, *, shape: Sequence[int] = ()) -> Node:
    return reshaped(x, shape, False)


def reshaped(x: Node, sizes: Sequence[Dim], zeros: bool) -> Node:
    """``x`` in another shape, where 0 keeps the size of the axis at its place unless zeros are meant."""
    if not zeros:
        if any(
            not isinstance(size, Size) and size == 0 and place >= x.ndim for place, size in enumerate(sizes)
        ):
            raise Refused(f"the shape {tuple(sizes)} for {x.type}, which has no size at the place of a 0")
        sizes = [
            x.shape[place] if not isinstance(size, Size) and size == 0 else size
            for place, size in enumerate(sizes)
        ]
    return shape.reshape(x, tuple(sizes))


@operator("Flatten")
def flatten(x: Node, *, axis: int = 1) -> Node:
    front = axis if axis >= 0 else axis + x.ndim
    if not 0 <= front <= x.ndim:
        raise Refused(f"the axis {axis} of {x.type}")
    return shape.reshape(x, (count(x.shape[:front]), count(x.shape[front:])))


def count(sizes: Sequence[Dim]) -> Dim:
    """How many elements an array of these sizes has."""
    total: Dim = 1
    for size in sizes:
        total = total * size
    return total


@operator("Squeeze", since=13)
def squeeze(at: Call, x: Node, axes: Node | None = None) -> Node:
    found = at.axes(axes, x.ndim)
    return shape.squeeze(x) if found is None else shape.squeeze(x, found)


@operator("Squeeze")
def early_squeeze(at: Call, x: Node, *, axes: Sequence[int] | None = None) -> Node:
    found = at.axes(axes, x.ndim)
    return shape.squeeze(x) if found is None else shape.squeeze(x, found)


@operator("Unsqueeze", since=13)
def unsqueeze(at: Call, x: Node, axes: Node) -> Node:
    return shape.expand_dims(x, at.ints(axes))


@operator("Unsqueeze")
def early_unsqueeze(x: Node, *, axes: Sequence[int]) -> Node:
    return shape.expand_dims(x, tuple(axes))


@operator("Transpose")
def transpose(x: Node, *, perm: Sequence[int] | None = None) -> Node:
    return shape.transpose(x, perm)


@operator("Concat", since=4)
def concat(first: Node, *rest: Node, axis: int) -> Node:
    return join.concat([first, *rest], axis=axis)


operator("Concat")(lambda *arrays, axis=1: join.concat(list(arrays), axis=axis))


@operator("Split", since=13)
def split(
    at: Call, x: Node, sizes: Node | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> list[Node]:
    return _split(at, x, None if sizes is None else at.dims(sizes), axis)


@operator("Split")
def early_split(
    at: Call, x: Node, sizes: Node | None = None, *, axis: int = 0, split: Sequence[int] | None = None
) -> list[Node]:
    return _split(at, x, at.dims(sizes) if sizes is not None else split, axis)


def _split(at: Call, x: Node, sizes: Sequence[Dim] | None, axis: int) -> list[Node]:
    """Parts of these sizes, or as many as there are outputs, of one size but for the last."""
    parts = len(at.outputs)
    whole = x.shape[axis]
    if sizes is None:
        each = (whole + parts - 1) // parts
        sizes = [each] * (parts - 1)
        sizes.append(whole - each * (parts - 1))
    if len(sizes) != parts or same(sum(sizes, start=0), whole) is False:
        raise Refused(f"{x.type} in {parts} parts of the sizes {tuple(sizes)} along axis {axis}")
    found: list[Node] = []
    start: Dim = 0
    before = (slice(None),) * (axis % x.ndim)
    for size in sizes:
        stop = start + size
        part = index(x, (*before, slice(start, stop)))
        found.append(shape.reshape(part, (*x.shape[: len(before)], size, *x.shape[len(before) + 1 :])))
        start = stop
    return found


@operator("Slice", since=10)
def slice_(
    at: Call, x: Node, starts: Node, ends: Node, axes: Node | None = None, steps: Node | None = None
) -> Node:
    first, last = at.dims(starts), at.dims(ends)
    return _sliced(x, first, last, at.axes(axes, x.ndim), None if steps is None else at.ints(steps))


@operator("Slice")
def early_slice(
    at: Call, x: Node, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None
) -> Node:
    return _sliced(x, starts, ends, at.axes(axes, x.ndim), None)


def _sliced(
    x: Node,
    starts: Sequence[Dim],
    ends: Sequence[Dim],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Node:
    axes = range(len(starts)) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Refused(f"{len(starts)} starts, {len(ends)} ends, {len(axes)} axes and {len(steps)} steps")
    keys = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        keys[axis] = _key(start, end, step, x.shape[axis])
    return index(x, tuple(keys))


def _key(start: Dim, end: Dim, step: int, size: Dim) -> slice:
    """The slice from start to end, where numbers beyond either end of the axis stand for that end."""
    if isinstance(size, int):
        if isinstance(end, int) and step < 0 and end < -size:
            end = None  # type: ignore[assignment]
        return slice(start, end, step)
    first: Any = start
    last: Any = end
    if step > 0:
        first = None if isinstance(start, int) and start <= -_FAR else first
        last = None if (isinstance(end, int) and end >= _FAR) or same(end, size) is True else last
        first = None if isinstance(first, int) and first == 0 else first
    else:
        first = None if isinstance(start, int) and (start >= _FAR or start == -1) else first
        last = None if isinstance(end, int) and end <= -_FAR else last
    return slice(first, last, step)


_FAR = 2**31 - 1
"""From here on a number means the end of an axis, in models that are exported."""


@operator("Expand", since=8)
def expand(at: Call, x: Node, sizes: Node) -> Node:
    wanted = at.dims(sizes)
    rank = max(x.ndim, len(wanted))
    mine = (1,) * (rank - x.ndim) + x.shape
    asked = (1,) * (rank - len(wanted)) + wanted
    return broadcast_to(x, tuple(broadcast(a, b) for a, b in zip(mine, asked, strict=True)))


@operator("Tile", since=6)
def tile(at: Call, x: Node, repeats: Node) -> Node:
    times: Any = at.dims(repeats)
    if len(times) != x.ndim:
        raise Refused(f"{len(times)} repeats of {x.type}")
    return join.tile(x, times)


@operator("Tile")
def early_tile(at: Call, x: Node, tiles: Node, axis: Node) -> Node:
    times: Any = [1] * x.ndim
    times[at.number(axis)] = at.dims(tiles)[0]
    return join.tile(x, times)


@operator("ConstantOfShape", since=9)
def constant_of_shape(at: Call, sizes: Node, *, value: Any = None) -> Node:
    one = np.zeros(1, np.float32) if value is None else at.source.array(value, "the value of ConstantOfShape")
    if one.size != 1:
        raise Refused(f"a value of the shape {one.shape}")
    return broadcast_to(constant(one.reshape(())), at.dims(sizes))


@operator("Constant")
def constant_(at: Call, *, value: Any = None, value_float: float | None = None, value_int: int | None = None,
              value_floats: Sequence[float] | None = None, value_ints: Sequence[int] | None = None,
              value_string: str | None = None, value_strings: Sequence[str] | None = None,
              sparse_value: Any = None) -> Node:  # fmt: skip
    if value is not None:
        return constant(at.source.array(value, "a constant"))
    for found, dtype in (
        (value_float, "float32"),
        (value_floats, "float32"),
        (value_int, "int64"),
        (value_ints, "int64"),
    ):
        if found is not None:
            return constant(found, dtype)
    raise Refused("it has no value of a kind that symgraph has")


@operator("EyeLike", since=9)
def eye_like(at: Call, x: Node, *, dtype: int | None = None, k: int = 0) -> Node:
    if x.ndim != 2:
        raise Refused(f"{x.type}, which is no matrix")
    return eye(x.shape[0], x.shape[1], k=k, dtype=x.row if dtype is None else at.row(dtype))


@operator("Trilu", since=14)
def trilu(at: Call, x: Node, k: Node | None = None, *, upper: int = 1) -> Node:
    shift = 0 if k is None else int(at.number(k))
    rows, columns = x.shape[-2:]
    if upper:
        return where(tri(rows, columns, shift - 1, "bool"), constant(0, x.row), x)
    return where(tri(rows, columns, shift, "bool"), x, constant(0, x.row))


@operator("Range", since=11)
def range_(at: Call, start: Node, limit: Node, delta: Node) -> Node:
    if not start.row.is_integer:
        first, last, step = (at.number(each) for each in (start, limit, delta))
        if step == 0:
            raise Refused("a step of 0")
        number = max(int(np.ceil((last - first) / step)), 0)
        if number > _MOST:
            raise Refused(f"{number} numbers that are no integers")
        return constant(np.asarray(first + np.arange(number) * step, start.dtype))
    by = int(at.number(delta))
    if by == 0:
        raise Refused("a step of 0")
    begin, end = at.dims(start)[0], at.dims(limit)[0]
    length = end - begin if by > 0 else begin - end
    places = iota(dim_max((length + abs(by) - 1) // abs(by), 0))
    moved = places if by == 1 else places * by
    return cast_to(moved if not isinstance(begin, Size) and begin == 0 else moved + begin, start.row)


@operator("OneHot", since=9)
def one_hot(at: Call, indices: Node, depth: Node, values: Node, *, axis: int = -1) -> Node:
    size = at.dims(depth)[0]
    place = axis % (indices.ndim + 1)
    chosen = cast_to(indices, INT64)
    chosen = where(chosen < 0, chosen + size, chosen)
    around = tuple(i for i in range(indices.ndim + 1) if i != place)
    places = iota(size)
    hot = shape.expand_dims(chosen, place) == (shape.expand_dims(places, around) if around else places)
    return where(hot, index(values, 1), index(values, 0))


@operator("Pad", since=11)
def pad(
    at: Call,
    x: Node,
    pads: Node,
    value: Node | None = None,
    axes: Node | None = None,
    *,
    mode: str = "constant",
) -> Node:
    return _padded(
        x, at.dims(pads), at.axes(axes, x.ndim), mode, 0 if value is None else shape.reshape(value, ())
    )


@operator("Pad", since=2)
def early_pad(x: Node, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Node:
    return _padded(x, pads, None, mode, value)


@operator("Pad")
def first_pad(x: Node, *, paddings: Sequence[int], mode: str = "constant", value: float = 0.0) -> Node:
    return _padded(x, paddings, None, mode, value)


def _padded(x: Node, pads: Sequence[Dim], axes: Sequence[int] | None, mode: str, value: Any) -> Node:
    """``x`` with elements before and after each axis; negative numbers take some away."""
    axes = range(x.ndim) if axes is None else axes
    if len(pads) != 2 * len(axes):
        raise Refused(f"{len(pads)} sizes of padding for {len(axes)} axes")
    widths: list[tuple[Dim, Dim]] = [(0, 0)] * x.ndim
    keys = [slice(None)] * x.ndim
    for place, axis in enumerate(axes):
        before, after = pads[place], pads[place + len(axes)]
        keys[axis] = slice(_cut(before), (x.shape[axis] - _cut(after)) if _cut(after) else None)
        widths[axis] = (dim_max(before, 0), dim_max(after, 0))
    x = index(x, tuple(keys))
    if mode == "constant":
        if x.row.kind == "bool":
            return _padded_bools(x, widths, value)
        return join.pad(x, widths, constant_values=value)
    if mode not in ("edge", "reflect", "wrap"):
        raise Refused(f"the mode {mode!r}")
    return join.pad(x, widths, mode=mode)


def _padded_bools(x: Node, widths: Sequence[tuple[Dim, Dim]], value: Any) -> Node:
    return join.pad(cast_to(x, FLOAT32), widths, constant_values=value) != 0


def _cut(width: Dim) -> int:
    return max(-width, 0) if isinstance(width, int) else 0


@operator("DepthToSpace")
def depth_to_space(x: Node, *, blocksize: int, mode: str = "DCR") -> Node:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        blocks = shape.transpose(shape.reshape(x, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    elif mode == "CRD":
        blocks = shape.transpose(shape.reshape(x, (n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3))
    else:
        raise Refused(f"the mode {mode!r}")
    return shape.reshape(blocks, (n, c // (b * b), h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(x: Node, *, blocksize: int) -> Node:
    n, c, h, w = x.shape
    b = blocksize
    blocks = shape.transpose(shape.reshape(x, (n, c, h // b, b, w // b, b)), (0, 3, 5, 1, 2, 4))
    return shape.reshape(blocks, (n, c * b * b, h // b, w // b))


@operator("CenterCropPad", since=18)
def center_crop_pad(at: Call, x: Node, sizes: Node, *, axes: Sequence[int] | None = None) -> Node:
    """Each axis cut around its centre, or padded with zeros around it."""
    wanted = at.dims(sizes)
    places = at.axes(axes, x.ndim) if axes is not None else tuple(range(x.ndim))
    assert places is not None
    if len(wanted) != len(places):
        raise Refused(f"{len(wanted)} sizes for {len(places)} axes")
    for axis, size in zip(places, wanted, strict=True):
        whole = x.shape[axis]
        size, whole = fixed(size, "a size"), fixed(whole, f"axis {axis}")
        before = (slice(None),) * axis
        if size <= whole:
            start = (whole - size) // 2
            x = index(x, (*before, slice(start, start + size)))
        else:
            start = (size - whole) // 2
            x = join.pad(x, [(start, size - whole - start) if i == axis else (0, 0) for i in range(x.ndim)])
    return x
