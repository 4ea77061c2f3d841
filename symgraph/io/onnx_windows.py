"""Windows that move over the spatial axes of images: their places, and the elements in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.graph.dims import Dim, dim_max
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.io.onnx_call import fixed
from symgraph.io.onnx_table import Refused
from symgraph.ops import shape
from symgraph.ops.create import iota
from symgraph.ops.index import index
from symgraph.ops.join import pad


@dataclass(frozen=True, slots=True)
class Window:
    """For each spatial axis the size of the window, its steps, the distance of its elements, the padding, and how many
    places it has.

    ``extra`` is what is padded behind that, so that a last window that sticks out has elements.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[Dim, ...]
    after: tuple[Dim, ...]
    extra: tuple[Dim, ...]
    places: tuple[Dim, ...]


def window(
    shape_: Sequence[Dim],
    sizes: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: bool = False,
) -> Window:
    """The window over axes of these sizes, with ONNX's rules for padding that is asked for by name."""
    rank = len(shape_)
    strides = tuple(strides or (1,) * rank)
    dilations = tuple(dilations or (1,) * rank)
    given = tuple(pads or (0,) * (2 * rank))
    if not len(sizes) == len(strides) == len(dilations) == rank or len(given) != 2 * rank:
        raise Refused(
            f"sizes {tuple(sizes)}, strides {strides}, dilations {dilations}, pads {given} for {rank} axes"
        )
    if min((*sizes, *strides, *dilations)) < 1:
        raise Refused(
            f"sizes {tuple(sizes)}, strides {strides}, dilations {dilations}: they must be positive"
        )
    before, after, extra, places = [], [], [], []
    for axis, size in enumerate(shape_):
        step, reach = strides[axis], (sizes[axis] - 1) * dilations[axis] + 1
        first: Dim = given[axis]
        last: Dim = given[axis + rank]
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            count = (size + step - 1) // step
            total = dim_max((count - 1) * step + reach - size, 0)
            small, large = total // 2, total - total // 2
            first, last = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
        elif auto_pad == "VALID":
            first, last = 0, 0
        elif auto_pad not in ("NOTSET", ""):
            raise Refused(f"the padding {auto_pad!r}")
        free = size + first + last - reach
        more: Dim = 0
        if ceil_mode and auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
            whole = fixed(free, "a size, where windows may stick out,")
            count = -(-whole // step) + 1
            if (count - 1) * step >= fixed(
                size + first, "a size"
            ):  # a window that begins in the padding behind
                count -= 1
            more = max((count - 1) * step + reach - fixed(size + first + last, "a size"), 0)
        else:
            count = free // step + 1
        if isinstance(count, int) and count < 0:
            raise Refused(f"a window of {reach} on an axis of {size}")
        before.append(first)
        after.append(last)
        extra.append(more)
        places.append(count)
    return Window(tuple(sizes), strides, dilations, tuple(before), tuple(after), tuple(extra), tuple(places))


def around(x: Node, w: Window, value: float) -> Node:
    """``x`` with what the window's padding adds to the spatial axes."""
    widths: list[tuple[Dim, Dim]] = [(0, 0), (0, 0)]
    widths += [(a, b + c) for a, b, c in zip(w.before, w.after, w.extra, strict=True)]
    if any(isinstance(size, int) and size < 0 for pair in widths for size in pair):
        raise Refused(f"padding of the sizes {widths[2:]}")
    if all(isinstance(size, int) and size == 0 for pair in widths for size in pair):
        return x
    return pad(x, widths, constant_values=as_node(value, x.row))


def windows(x: Node, w: Window) -> Node:
    """The elements of each window of a padded ``x``: batch, channels, the axes of a window, the places."""
    if all(size == 1 for size in w.sizes) and all(step == 1 for step in w.strides):
        return shape.expand_dims(x, tuple(range(2, 2 + len(w.sizes))))
    return index(x, key_of(w))


def key_of(w: Window) -> tuple[Node | slice, ...]:
    """The key of all windows in a padded array: an array of places for each spatial axis."""
    rank = len(w.sizes)
    key: list[Node | slice] = [slice(None), slice(None)]
    for axis in range(rank):
        inside = iota(w.sizes[axis]) * w.dilations[axis]
        starts = iota(w.places[axis]) * w.strides[axis]
        form: list[Dim] = [1] * (2 * rank)
        form[axis], form[rank + axis] = w.sizes[axis], w.places[axis]
        key.append(shape.reshape(shape.expand_dims(inside, 1) + starts, tuple(form)))
    return tuple(key)
