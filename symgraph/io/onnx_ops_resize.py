"""ONNX's Resize: each axis is a product with a matrix of weights, or a choice of places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.io.onnx_call import Call, fixed
from symgraph.io.onnx_table import Refused, operator
from symgraph.ops import shape
from symgraph.ops.arithmetic import where
from symgraph.ops.declare import cast_to
from symgraph.ops.index import take
from symgraph.ops.linalg import matmul

Array = np.ndarray[Any, Any]

_MOST_PLACES, _MOST_WEIGHTS = 1 << 20, 1 << 22
"""Of one axis; what is linear or cubic has a weight for each place before and each after."""


@dataclass(frozen=True, slots=True)
class How:
    """The attributes of a Resize."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude_outside: bool
    extrapolation: float
    antialias: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its size before and after, the scale, and for a crop the part that is taken."""

    before: int
    after: int
    scale: float
    start: float
    stop: float


@operator("Resize", since=11)
def resize(
    at: Call, x: Node, roi: Node | None = None, scales: Node | None = None, sizes: Node | None = None, *,
    antialias: int = 0, axes: Sequence[int] | None = None, coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75, exclude_outside: int = 0, extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch", mode: str = "nearest", nearest_mode: str = "round_prefer_floor",
) -> Node:  # fmt: skip
    chosen = tuple(range(x.ndim)) if axes is None else at.axes(axes, x.ndim) or ()
    how = How(
        mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, bool(exclude_outside),
        extrapolation_value, bool(antialias),
    )  # fmt: skip
    if sizes is not None and at.dims(sizes):
        wanted = [fixed(size, "a size") for size in at.dims(sizes)]
        before = [fixed(x.shape[axis], "a size") for axis in chosen]
        factors = [new / old for new, old in zip(wanted, before, strict=True)]
        if keep_aspect_ratio_policy != "stretch":
            if keep_aspect_ratio_policy not in ("not_larger", "not_smaller"):
                raise Refused(f"the policy {keep_aspect_ratio_policy!r}")
            one = (min if keep_aspect_ratio_policy == "not_larger" else max)(factors)
            factors = [one] * len(factors)
            wanted = [int(np.floor(one * size + 0.5)) for size in before]
    elif scales is not None:
        factors = [float(each) for each in at.array(scales)]
        wanted = None
    else:
        raise Refused("neither scales nor sizes")
    part = None
    if roi is not None and coordinate_transformation_mode == "tf_crop_and_resize":
        part = [float(each) for each in at.array(roi)]
    if len(factors) != len(chosen) or (part is not None and len(part) != 2 * len(chosen)):
        raise Refused(f"{len(factors)} scales for {len(chosen)} axes")
    return _resized(x, chosen, factors, wanted, part, how)


@operator("Resize", since=10)
def early_resize(at: Call, x: Node, scales: Node, *, mode: str = "nearest") -> Node:
    return _scaled(x, [float(each) for each in at.array(scales)], mode)


@operator("Upsample", since=9)
def upsample(at: Call, x: Node, scales: Node, *, mode: str = "nearest") -> Node:
    return _scaled(x, [float(each) for each in at.array(scales)], mode)


@operator("Upsample", since=7)
def early_upsample(x: Node, *, scales: Sequence[float], mode: str = "nearest") -> Node:
    return _scaled(x, scales, mode)


def _scaled(x: Node, scales: Sequence[float], mode: str) -> Node:
    """Before opset 11 places are found by division, rounded down."""
    if len(scales) != x.ndim:
        raise Refused(f"{len(scales)} scales for {x.ndim} axes")
    how = How("linear" if mode == "bilinear" else mode, "asymmetric", "floor", -0.75, False, 0.0, False)
    return _resized(x, range(x.ndim), scales, None, None, how)


def _resized(
    x: Node, axes: Sequence[int], scales: Sequence[float], sizes: Sequence[int] | None,
    part: Sequence[float] | None, how: How,
) -> Node:  # fmt: skip
    if how.mode not in ("nearest", "linear", "cubic"):
        raise Refused(f"the mode {how.mode!r}")
    row = x.row
    outside: list[tuple[int, Array]] = []
    for place, axis in enumerate(axes):
        scale, size = scales[place], x.shape[axis]
        start, stop = (part[place], part[place + len(axes)]) if part is not None else (0.0, 1.0)
        if scale == 1 and (start, stop) == (0.0, 1.0) and (sizes is None or _is(sizes[place], size)):
            continue
        known = fixed(size, f"the size of axis {axis}")
        after = sizes[place] if sizes is not None else int(np.floor(known * scale * (stop - start)))
        if after > _MOST_PLACES:
            raise Refused(f"axis {axis} would have {after} places, and {_MOST_PLACES} is the most")
        one = Axis(known, after, scale, start, stop)
        where_from = _origins(one, how)
        if how.coordinates == "tf_crop_and_resize":
            outside.append((axis, (where_from < 0) | (where_from > known - 1)))
        x = _along(x, axis, one, where_from, how)
    x = cast_to(x, row)
    for axis, beyond in outside:
        form = tuple(len(beyond) if i == axis else 1 for i in range(x.ndim))
        x = where(constant(beyond.reshape(form)), constant(how.extrapolation, row), x)
    return x


def _is(a: Dim, b: Dim) -> bool:
    return not isinstance(a, Size) and not isinstance(b, Size) and a == b


def _origins(axis: Axis, how: How) -> Array:
    """For each place after, the coordinate before that it shows."""
    places = np.arange(axis.after, dtype=np.float64)
    long = axis.scale * axis.before  # which need not be whole
    match how.coordinates:
        case "half_pixel":
            return (places + 0.5) / axis.scale - 0.5
        case "half_pixel_symmetric":
            adjustment = axis.after / long
            offset = axis.before / 2 * (1 - adjustment)
            return offset + (places + 0.5) / axis.scale - 0.5
        case "pytorch_half_pixel":
            return (places + 0.5) / axis.scale - 0.5 if long > 1 else np.zeros_like(places)
        case "align_corners":
            return places * ((axis.before - 1) / (long - 1)) if long != 1 else np.zeros_like(places)
        case "asymmetric":
            return places / axis.scale
        case "tf_half_pixel_for_nn":
            return (places + 0.5) / axis.scale
        case "tf_crop_and_resize":
            first = axis.start * (axis.before - 1)
            if axis.after == 1:
                return np.full(1, 0.5 * (axis.start + axis.stop) * (axis.before - 1))
            return first + places * ((axis.stop - axis.start) * (axis.before - 1) / (axis.after - 1))
    raise Refused(f"the coordinates {how.coordinates!r}")


_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _along(x: Node, place: int, axis: Axis, origins: Array, how: How) -> Node:
    if how.mode == "nearest":
        if how.nearest not in _NEAREST:
            raise Refused(f"the choice {how.nearest!r}")
        chosen = np.clip(_NEAREST[how.nearest](origins), 0, axis.before - 1).astype(np.int64)
        return take(x, chosen, axis=place)
    weights = _weights(axis, origins, how)
    kind = x.row if x.row.is_float else "float32"
    moved = shape.moveaxis(cast_to(x, constant(0, kind).row), place, -1)
    return shape.moveaxis(matmul(moved, constant(weights.T, kind)), -1, place)


def _weights(axis: Axis, origins: Array, how: How) -> Array:
    """The matrix whose rows say what each place after takes of the places before."""
    # Antialiasing widens the kernel by the factor that the image shrinks by.
    factor = min(axis.scale, 1.0) if how.antialias else 1.0
    reach = (1 if how.mode == "linear" else 2) / factor
    if axis.after * axis.before > _MOST_WEIGHTS or reach > _MOST_PLACES:
        raise Refused(
            f"an axis of {axis.before} places becomes one of {axis.after}, which are too many weights"
        )
    matrix = np.zeros((axis.after, axis.before))
    for number, origin in enumerate(origins):
        first, last = int(np.floor(origin - reach)), int(np.ceil(origin + reach))
        places = np.arange(first, last + 1)
        weights = _kernel((places - origin) * factor, how)
        if how.exclude_outside:
            weights = np.where((places < 0) | (places >= axis.before), 0.0, weights)
        if how.exclude_outside or how.antialias:
            weights = weights / weights.sum()
        np.add.at(matrix[number], np.clip(places, 0, axis.before - 1), weights)
    return matrix


def _kernel(distance: Array, how: How) -> Array:
    """Linear interpolation's hat, or the cubic of Keys, IEEE TASSP 29 (1981)."""
    d = np.abs(distance)
    if how.mode == "linear":
        return np.asarray(np.maximum(1 - d, 0))
    a = how.cubic
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
