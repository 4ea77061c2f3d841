"""ONNX's convolutions, as products of matrices over windows."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.graph.node import Node
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_ops_shape import count
from symgraph.io.onnx_table import Refused, operator
from symgraph.io.onnx_windows import Window, around, key_of, window, windows
from symgraph.ops import shape
from symgraph.ops.create import zeros
from symgraph.ops.index import index
from symgraph.ops.join import flip, pad
from symgraph.ops.linalg import matmul
from symgraph.ops.update import update


@operator("Conv")
def conv(
    x: Node, w: Node, bias: Node | None = None, *,
    auto_pad: str = "NOTSET", dilations: Sequence[int] | None = None, group: int = 1,
    kernel_shape: Sequence[int] | None = None, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    sizes = tuple(fixed(size, "a size of the kernel") for size in w.shape[2:])
    if kernel_shape is not None and tuple(kernel_shape) != sizes:
        raise Refused(f"a kernel of the shape {tuple(kernel_shape)} and weights of the type {w.type}")
    over = window(x.shape[2:], sizes, strides, dilations, pads, auto_pad)
    return with_bias(convolved(around(x, over, 0), w, over, group), bias)


def convolved(x: Node, w: Node, over: Window, group: int) -> Node:
    """The sums of a padded ``x`` times ``w`` (out channels, channels of a group, the axes of a window)."""
    batch = x.shape[0]
    out, each = w.shape[:2]
    inside = count(over.sizes)
    patches = shape.reshape(windows(x, over), (batch, group, each * inside, count(over.places)))
    weights = shape.reshape(w, (group, out // group, each * inside))
    if group == 1:
        weights, patches = index(weights, 0), index(patches, (slice(None), 0))
    return shape.reshape(matmul(weights, patches), (batch, out, *over.places))


def with_bias(x: Node, bias: Node | None) -> Node:
    return x if bias is None else x + shape.reshape(bias, (-1, *(1,) * (x.ndim - 2)))


@operator("ConvTranspose")
def conv_transpose(
    x: Node, w: Node, bias: Node | None = None, *,
    auto_pad: str = "NOTSET", dilations: Sequence[int] | None = None, group: int = 1,
    kernel_shape: Sequence[int] | None = None, output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    """A convolution of ``x``, spread by the strides, with the kernel turned round."""
    rank = x.ndim - 2
    sizes = tuple(fixed(size, "a size of the kernel") for size in w.shape[2:])
    if kernel_shape is not None and tuple(kernel_shape) != sizes:
        raise Refused(f"a kernel of the shape {tuple(kernel_shape)} and weights of the type {w.type}")
    steps, gaps = tuple(strides or (1,) * rank), tuple(dilations or (1,) * rank)
    behind = tuple(output_padding or (0,) * rank)
    given = tuple(pads or (0,) * (2 * rank))
    if not len(steps) == len(gaps) == len(behind) == rank == len(sizes) or len(given) != 2 * rank:
        raise Refused(f"strides {steps}, dilations {gaps}, pads {given} for {rank} axes")
    reaches = [(size - 1) * gap + 1 for size, gap in zip(sizes, gaps, strict=True)]
    full = [
        (size - 1) * step + reach + more
        for size, step, reach, more in zip(x.shape[2:], steps, reaches, behind, strict=True)
    ]
    if auto_pad == "VALID":
        given = (0,) * (2 * rank)
    elif output_shape is not None or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        wanted = (
            tuple(output_shape)[-rank:]
            if output_shape is not None
            else tuple(size * step for size, step in zip(x.shape[2:], steps, strict=True))
        )
        totals = [fixed(a - b, "a size that decides padding") for a, b in zip(full, wanted, strict=True)]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        given = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
    spread = x
    for axis, step in enumerate(steps, start=2):
        spread = _spread(spread, axis, step)
    before = [reach - 1 - given[axis] for axis, reach in enumerate(reaches)]
    after = [reach - 1 - given[rank + axis] + behind[axis] for axis, reach in enumerate(reaches)]
    grown = pad(
        spread, [(0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in zip(before, after, strict=True))]
    )
    cut = [
        slice(max(-a, 0), grown.shape[2 + i] - max(-b, 0))
        for i, (a, b) in enumerate(zip(before, after, strict=True))
    ]
    if any(a < 0 or b < 0 for a, b in zip(before, after, strict=True)):
        grown = index(grown, (slice(None), slice(None), *cut))
    inner, each = w.shape[0] // group, w.shape[1]
    turned = flip(w, tuple(range(2, w.ndim)))
    turned = shape.reshape(turned, (group, inner, each, *sizes))
    turned = shape.reshape(shape.swapaxes(turned, 1, 2), (group * each, inner, *sizes))
    over = window(grown.shape[2:], sizes, None, gaps, None, "NOTSET")
    return with_bias(convolved(grown, turned, over, group), bias)


def _spread(x: Node, axis: int, step: int) -> Node:
    """``x`` with zeros between its elements along an axis."""
    if step == 1:
        return x
    size = x.shape[axis]
    wide = pad(
        shape.expand_dims(x, axis + 1),
        [(0, step - 1) if i == axis + 1 else (0, 0) for i in range(x.ndim + 1)],
    )
    flat = shape.reshape(wide, (*x.shape[:axis], size * step, *x.shape[axis + 1 :]))
    return index(flat, ((slice(None),) * axis) + (slice(0, (size - 1) * step + 1),))


@operator("Col2Im", since=18)
def col2im(
    at: Call, x: Node, image: Node, block: Node, *,
    dilations: Sequence[int] | None = None, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Node:  # fmt: skip
    """Windows added up where they lie in the image that they were taken from."""
    sizes, extents = at.ints(block), at.ints(image)
    over = window(extents, sizes, strides, dilations, pads, "NOTSET")
    batch = x.shape[0]
    channels = x.shape[1] // count(sizes)
    parts = shape.reshape(x, (batch, channels, *sizes, *over.places))
    whole = [a + size + b for a, size, b in zip(over.before, extents, over.after, strict=True)]
    total = update(zeros((batch, channels, *whole), x.row), parts, key_of(over), "add")
    inside = [slice(a, a + size) for a, size in zip(over.before, extents, strict=True)]
    return index(total, (slice(None), slice(None), *inside))
