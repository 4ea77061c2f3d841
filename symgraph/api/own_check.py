"""A public check of a user's own op: one meaning on every device, a gradient that is the slope, a text that reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.api.function import function
from symgraph.autodiff.check import check_gradient
from symgraph.errors import GraphError, RunError
from symgraph.graph.evaluate import evaluate
from symgraph.graph.graph import graph
from symgraph.graph.node import Node
from symgraph.graph.op import placeholder
from symgraph.graph.parse import parse
from symgraph.graph.text import show
from symgraph.graph.types import dtype
from symgraph.graph.verify import verify
from symgraph.ops.own_op import OwnOp
from symgraph.options import Options, has_llvm


def check_op(
    op: OwnOp, *arrays: Any, tolerance: float | None = None, gradient: bool = True, **attributes: Any
) -> tuple[str, ...]:
    """Compare what an op of one's own gives for some arrays on all that this machine has: NumPy's calls, machine code,
    CUDA's text in the emulator, a GPU. The meaning is that of `evaluate`.

    Where all inputs with slopes are float64, its ``gradient`` is compared with differences, as `check_gradient` does.
    Its text is read back. ``tolerance`` is relative: the default is 16 units of the last place of the result's dtype.
    Returns the names of what was compared.

    >>> @composite
    ... def swish(x, beta):
    ...     return x * sigmoid(beta * x)
    >>> "numpy" in check_op(swish, [-1.0, 0.0, 2.0], 1.5)
    True

    Raises RunError where results differ, GradientError where the gradient is no slope, GraphError where the text does
    not say the same nodes, and whatever the op raises.
    """
    given = [np.asarray(x) for x in arrays]
    inputs = [placeholder(x.dtype, x.shape, name=f"x{n}") for n, x in enumerate(given)]
    made = op(*inputs, **attributes)
    outputs = list(made) if isinstance(made, tuple) else [made]
    program = graph(inputs, outputs)
    verify(program)
    if parse(show(program)) is not program:
        raise GraphError(f"the text of {op.name} ({op.place}) does not say the same nodes:\n{show(program)}")
    expected = evaluate(outputs, dict(zip(inputs, given, strict=True)))
    names = []
    for name, options in _targets():
        results = function(inputs, outputs, options=options)(*given)
        for n, (x, wanted) in enumerate(zip(results, expected, strict=True)):
            _compare(op, f"{name}, result {n}" if len(outputs) > 1 else name, x, wanted, tolerance)
        names.append(name)
    if gradient and (op.op.vjp is not None or op.op.body is not None):
        names += _slopes(inputs, outputs, given)
    return tuple(names)


def _targets() -> Iterator[tuple[str, Options]]:
    from symgraph.runtime import cuda, emulator

    yield "numpy", Options(backend="numpy")
    if has_llvm():
        yield "llvm", Options(backend="llvm")
    if emulator.available():
        yield "cuda-sim", Options(device="cuda-sim")
    if cuda.available():
        yield "cuda", Options(device="cuda")


_UNITS = {
    "float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "complex64": 2.0**-23,
    "float64": 2.0**-52, "complex128": 2.0**-52,
}  # fmt: skip
"""The last place of 1."""


def _compare(op: OwnOp, where: str, x: Any, wanted: Any, tolerance: float | None) -> None:
    if x.dtype != wanted.dtype or x.shape != wanted.shape:
        raise RunError(
            f"{op.name} ({op.place}) gives {x.dtype}{list(x.shape)} on {where}, and means {wanted.dtype}"
            f"{list(wanted.shape)}"
        )
    if tolerance is None:
        tolerance = 16 * _UNITS.get(dtype(x.dtype).name, 0.0)
    kind = np.complex128 if x.dtype.kind == "c" else np.float64 if x.dtype.kind in "fV" else x.dtype
    a, b = x.astype(kind), wanted.astype(kind)
    if x.dtype.kind not in "fcV":
        differ = a != b
    else:
        with np.errstate(all="ignore"):
            near = np.abs(a - b) <= tolerance * np.maximum(
                np.abs(b), np.max(np.abs(b[np.isfinite(b)]), initial=0.0)
            )
        differ = ~((a == b) | near | (np.isnan(a) & np.isnan(b)))
    if np.any(differ):
        place = tuple(int(each) for each in np.argwhere(differ)[0])
        raise RunError(
            f"{op.name} ({op.place}) gives {a[place]} on {where} at {list(place)}, and means {b[place]}"
        )


def _slopes(inputs: list[Node], outputs: list[Node], given: list[Any]) -> list[str]:
    """Compare gradients with differences where that can be."""
    inexact = [x for x in inputs if x.row.is_inexact]
    if not inexact or any(x.row.name not in ("float64", "complex128") for x in inexact):
        return []
    for out in outputs:
        if out.row.is_inexact:
            check_gradient(out, inexact, dict(zip(inputs, given, strict=True)))
    return ["gradient"]
