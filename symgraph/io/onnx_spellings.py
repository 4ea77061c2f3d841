"""What symgraph's ops are in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.node import Node
from symgraph.graph.op import ConstantAttrs
from symgraph.graph.types import BOOL, BY_NAME, INT64, DType
from symgraph.io.onnx_table import Refused
from symgraph.io.onnx_writing import Writer, spelled

INT32 = BY_NAME["int32"]
_PLAIN = (
    "add", "subtract", "multiply", "divide", "negative", "abs", "sign", "maximum", "minimum", "floor", "ceil", "rint",
    "where", "equal", "less", "less_equal", "greater", "greater_equal", "pow", "sqrt", "exp", "log", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "sigmoid", "softplus",
    "relu", "mish", "hard_swish", "softsign",
)  # fmt: skip
"""Ops that are the operator that their declaration names."""
_OF_BOOLS = {"add": "Or", "multiply": "And", "maximum": "Or", "minimum": "And", "abs": "Identity", "where": "Where",
             "equal": "Equal"}  # fmt: skip
_OF_INTEGERS = {"floor": "Identity", "ceil": "Identity", "rint": "Identity"}


def _plain(w: Writer, node: Node, *inputs: str) -> str:
    name = node.op.onnx
    assert name is not None
    kinds = {x.row.kind for x in node.inputs}
    if "complex" in kinds:
        raise Refused("complex numbers")
    if kinds == {"bool"}:
        if node.op.name not in _OF_BOOLS:
            raise Refused(f"{node.op.name} of bools")
        name = _OF_BOOLS[node.op.name]
    elif not kinds & {"float", "bool"}:
        name = _OF_INTEGERS.get(node.op.name, name)
    if node.row.is_integer and node.op.name in ("negative", "relu", "pow"):
        return _of_integers(w, node, *inputs)
    return w.add(name, *inputs)


def _of_integers(w: Writer, node: Node, *inputs: str) -> str:
    """Where ONNX has no operator for all widths of integers."""
    row = node.row
    if node.op.name == "negative":
        return w.add("Sub", w.like(0, row), *inputs)
    if node.op.name == "relu":
        return w.add("Max", w.like(0, row), *inputs)
    if row.kind == "uint" or row.bits < 32:  # which wrap round, and ONNX does not say that its integers do
        raise Refused(f"pow of {row.name}")
    return w.add("Pow", *inputs)


for _name in _PLAIN:
    spelled(_name)(_plain)


def _real(node: Node) -> None:
    if any(x.row.is_complex for x in node.inputs):
        raise Refused("complex numbers")


@spelled("logical_and", "logical_or", "logical_xor", "logical_not")
def logical(w: Writer, node: Node, *inputs: str) -> str:
    """Of what is not 0, as of True."""
    _real(node)
    given = [w.cast(x, BOOL) if at.row is not BOOL else x for x, at in zip(inputs, node.inputs, strict=True)]
    return w.add(node.op.onnx or "", *given)


@spelled("isnan", "isinf", "isfinite")
def is_special(w: Writer, node: Node, x: str) -> str:
    """Integers and bools are finite."""
    _real(node)
    if not node.inputs[0].row.is_float:
        same = w.add("Equal", x, x)
        return same if node.op.name == "isfinite" else w.add("Not", same)
    if node.op.name == "isfinite":
        return w.add("Not", w.add("Or", w.add("IsNaN", x), w.add("IsInf", x)))
    return w.add(node.op.onnx or "", x)


@spelled("matmul", "einsum", "tensordot")
def product(w: Writer, node: Node, *inputs: str, **attrs: Any) -> str:
    """Of bools, whether any of the products is true."""
    _real(node)
    row = node.row
    narrow = row is BOOL or (row.is_integer and row.bits < 32)
    given = [w.cast(x, INT32) for x in inputs] if narrow else inputs
    if node.op.name == "matmul":
        found = w.add("MatMul", *given)
    else:
        found = w.add("Einsum", *given, equation=_equation(node, **attrs))
    return w.cast(found, row) if narrow else found


def _equation(node: Node, spec: str = "", first: tuple[int, ...] = (), second: tuple[int, ...] = ()) -> str:
    if spec:
        _check_labels(spec, node)
        return spec
    letters = "abcdefghijklmnopqrstuvwxyz"
    a, b = node.inputs
    left, right = letters[: a.ndim], list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    out = [left[i] for i in range(a.ndim) if i not in first] + [
        right[j] for j in range(b.ndim) if j not in second
    ]
    return f"{left},{''.join(right)}->{''.join(out)}"


def _check_labels(spec: str, node: Node) -> None:
    """Refuse a label of several sizes, one of them 1: onnx does not infer the sizes of what an einsum broadcasts."""
    sizes: dict[str, Dim] = {}
    for labels, x in zip(spec.split("->")[0].split(","), node.inputs, strict=True):
        names = labels.replace("...", "").strip()
        if len(names) != x.ndim or any(
            sizes.setdefault(c, n) != n for c, n in zip(names, x.shape, strict=True)
        ):
            raise Refused(f"the einsum {spec!r}, which broadcasts")


@spelled("stop_gradient", "copy", "conj", "real")
def identity(w: Writer, node: Node, x: str, **_: Any) -> str:
    if node.inputs[0].row.is_complex:
        raise Refused("complex numbers")
    return w.add("Identity", x)


@spelled("reciprocal")
def reciprocal(w: Writer, node: Node, x: str) -> str:
    if not node.row.is_float:
        raise Refused(f"reciprocal of {node.row.name}")
    return w.add("Div", w.like(1, node.row), x)


@spelled("not_equal")
def not_equal(w: Writer, node: Node, x: str, y: str) -> str:
    return w.add("Not", w.add("Equal", x, y))


@spelled("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert")
def bitwise(w: Writer, node: Node, *inputs: str) -> str:
    name = node.op.onnx or ""
    if node.row.kind == "bool":
        name = name.removeprefix("Bitwise")
    return w.add(name, *inputs)


@spelled("trunc")
def trunc(w: Writer, node: Node, x: str) -> str:
    if not node.row.is_float:
        return w.add("Identity", x)
    return w.add("Where", w.add("Less", x, w.like(0, node.row)), w.add("Ceil", x), w.add("Floor", x))


@spelled("fmod", "remainder", "floor_divide")
def division(w: Writer, node: Node, x: str, y: str) -> str:
    """Of integers divided by 0 all are 0, which ONNX does not say."""
    row, zero = node.row, w.like(0, node.row)
    name = node.op.name
    if row.is_integer:
        nothing = w.add("Equal", y, zero)
        by = w.add("Where", nothing, w.like(1, row), y)
        rest = w.add("Mod", x, by, fmod=int(name == "fmod"))
        found = rest if name != "floor_divide" else w.add("Div", w.add("Sub", x, rest), by)
        return w.add("Where", nothing, zero, found)
    rest = w.add("Mod", x, y, fmod=1)
    if name == "fmod":
        return rest
    if name == "floor_divide":
        raise Refused("floor_divide of floats")
    other = w.add("Xor", w.add("Less", rest, zero), w.add("Less", y, zero))
    moved = w.add("And", other, w.add("Not", w.add("Equal", rest, zero)))
    return w.add("Where", moved, w.add("Add", rest, y), rest)


@spelled("log1p")
def log1p(w: Writer, node: Node, x: str) -> str:
    """``log(u) * x / (u - 1)`` for ``u = 1 + x``, which is exact for small ``x``: Kahan's."""
    one = w.like(1, node.row)
    u = w.add("Add", one, x)
    less = w.add("Sub", u, one)
    plain = w.add("Log", u)
    scaled = w.add("Mul", plain, w.add("Div", x, less))
    small = w.add("Where", w.add("Equal", u, one), x, scaled)
    return w.add("Where", w.add("IsInf", u), plain, small)


@spelled("expm1")
def expm1(w: Writer, node: Node, x: str) -> str:
    """``(u - 1) * x / log(u)`` for ``u = exp(x)``, which is exact for small ``x``: Kahan's."""
    one = w.like(1, node.row)
    u = w.add("Exp", x)
    less = w.add("Sub", u, one)
    scaled = w.add("Mul", less, w.add("Div", x, w.add("Log", u)))
    small = w.add("Where", w.add("Equal", u, one), x, scaled)
    far = w.add("Greater", w.add("Abs", less), w.like(0.5, node.row))
    return w.add("Where", far, less, small)


@spelled("exp2")
def exp2(w: Writer, node: Node, x: str) -> str:
    return w.add("Pow", w.like(2, node.row), x)


@spelled("log2", "log10")
def log_to_base(w: Writer, node: Node, x: str) -> str:
    return w.add("Div", w.add("Log", x), w.like(np.log(2 if node.op.name == "log2" else 10), node.row))


@spelled("astype")
def astype(w: Writer, node: Node, x: str, dtype: DType) -> str:
    if dtype.is_complex or node.inputs[0].row.is_complex:
        raise Refused("complex numbers")
    return w.cast(x, dtype)


# Activations with parameters, softmax


@spelled("leaky_relu", "elu")
def with_slope(w: Writer, node: Node, x: str, slope: str) -> str | None:
    """Where the parameter is a known number; else the body says it."""
    number = node.inputs[1].attrs.number if isinstance(node.inputs[1].attrs, ConstantAttrs) else None
    if number is None or node.inputs[1].ndim:
        return None
    return w.add(node.op.onnx or "", x, alpha=float(number))


@spelled("hard_sigmoid")
def hard_sigmoid(w: Writer, node: Node, x: str) -> str:
    return w.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@spelled("gelu_erf", "gelu_tanh")
def gelu(w: Writer, node: Node, x: str) -> str | None:
    """By the error function, as ONNX defines it, where there is no operator yet."""
    if w.opset >= 20:
        return w.add("Gelu", x, approximate="tanh" if node.op.name == "gelu_tanh" else "none")
    if node.op.name == "gelu_tanh":
        return None
    error = w.add("Erf", w.add("Mul", x, w.like(0.5**0.5, node.row)))
    return w.add("Mul", w.add("Mul", w.like(0.5, node.row), x), w.add("Add", w.like(1, node.row), error))


@spelled("softmax", "log_softmax")
def softmax(w: Writer, node: Node, x: str, axes: tuple[int, ...]) -> str | None:
    return w.add(node.op.onnx or "", x, axis=axes[0]) if len(axes) == 1 else None


# Reductions


@spelled("sum", "prod", "max", "min", "mean", "logsumexp")
def reduction(w: Writer, node: Node, x: str, axes: tuple[int, ...], keepdims: bool) -> str | None:
    row = node.inputs[0].row
    if not (row.is_float or row.is_integer):
        raise Refused(f"{node.op.name} of {row.name}")
    if node.op.name == "mean" and any(node.inputs[0].shape[axis] == 0 for axis in axes):
        return None  # runtimes do not agree on the mean of nothing
    narrow = row.is_integer and row.bits < 32 and node.op.name in ("sum", "prod", "mean")
    made = w.add(node.op.onnx or "", w.cast(x, INT32) if narrow else x, w.ints(axes), keepdims=int(keepdims),
                 noop_with_empty_axes=1)  # fmt: skip
    return w.cast(made, row) if narrow else made


@spelled("any", "all")
def truth(w: Writer, node: Node, x: str, axes: tuple[int, ...], keepdims: bool) -> str:
    name = "ReduceMax" if node.op.name == "any" else "ReduceMin"
    numbers = w.cast(w.cast(x, BOOL), INT32)
    found = w.add(name, numbers, w.ints(axes), keepdims=int(keepdims), noop_with_empty_axes=1)
    return w.add("Greater", found, w.like(0, INT32))  # of nothing, the extremum is that of the dtype


@spelled("argmax", "argmin")
def arg_extremum(w: Writer, node: Node, x: str, axis: int, keepdims: bool) -> str:
    _real(node)
    x = w.cast(x, INT32) if node.inputs[0].row is BOOL else x
    return w.add(node.op.onnx or "", x, axis=axis, keepdims=int(keepdims))


@spelled("cumulative_sum")
def cumulative_sum(w: Writer, node: Node, x: str, axis: int, reverse: bool, exclusive: bool) -> str:
    return w.add("CumSum", x, w.constant(axis, np.int64), reverse=int(reverse), exclusive=int(exclusive))


@spelled("sort", "argsort")
def sort(w: Writer, node: Node, x: str, axis: int, descending: bool) -> str:
    _real(node)
    row = node.inputs[0].row
    size = w.size(node.inputs[0].shape[axis])
    given = w.cast(x, INT32) if row is BOOL else x
    values, places = w.add_many("TopK", 2, given, size, axis=axis, largest=int(descending), sorted=1)
    if node.op.name == "argsort":
        return places
    return w.cast(values, BOOL) if row is BOOL else values


# Shapes


@spelled("reshape")
def reshape(w: Writer, node: Node, x: str, shape: tuple[Dim, ...]) -> str:
    return w.add("Reshape", x, w.shape(shape), allowzero=1)


@spelled("broadcast_to")
def broadcast_to(w: Writer, node: Node, x: str, shape: tuple[Dim, ...]) -> str:
    return w.add("Expand", x, w.shape(shape))


@spelled("expand_dims", "squeeze")
def change_axes(w: Writer, node: Node, x: str, axes: tuple[int, ...]) -> str:
    return w.add(node.op.onnx or "", x, w.ints(axes))


@spelled("transpose")
def transpose(w: Writer, node: Node, x: str, axes: tuple[int, ...]) -> str:
    return w.add("Transpose", x, perm=list(axes))


@spelled("concat")
def concat(w: Writer, node: Node, *arrays: str, axis: int) -> str:
    return w.add("Concat", *arrays, axis=axis)


@spelled("pad")
def pad(w: Writer, node: Node, x: str, value: str, widths: tuple[tuple[Dim, Dim], ...]) -> str:
    return w.add("Pad", x, w.shape([a for a, _ in widths] + [b for _, b in widths]), value)


@spelled("iota")
def iota(w: Writer, node: Node, size: Dim, dtype: DType) -> str:
    zero, one = w.constant(0, np.int64), w.constant(1, np.int64)
    numbers = w.add("Range", zero, w.add("Squeeze", w.size(size), w.ints([0])), one)
    return numbers if dtype is INT64 else w.cast(numbers, dtype)


@spelled("size_value")
def size_value(w: Writer, node: Node, size: Dim) -> str:
    return w.add("Squeeze", w.size(size), w.ints([0]))


@spelled("constant")
def constant(w: Writer, node: Node, value: Any) -> str:
    if node.row.is_complex:
        raise Refused("complex numbers")
    return w.constant(value)


@spelled("nonzero")
def nonzero(w: Writer, node: Node, x: str) -> list[str]:
    rank = node.inputs[0].ndim
    found = w.add("NonZero", x)
    return [w.add("Gather", found, w.constant(i, np.int64), axis=0) for i in range(rank)]
