"""What symgraph's ops are in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, broadcast
from symgraph.graph.node import Node
from symgraph.graph.op import ConstantAttrs
from symgraph.graph.types import BOOL, BY_NAME, INT64, DType
from symgraph.io.onnx_table import COMPLEX, Refused
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
    if kinds == {"bool"} and node.op.name in _OF_BOOLS:
        name = _OF_BOOLS[node.op.name]
    elif kinds == {"bool"}:  # comparisons
        inputs = tuple(w.cast(x, INT32) for x in inputs)
    elif kinds <= {"int", "uint"}:
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


@spelled("logical_and", "logical_or", "logical_xor", "logical_not")
def logical(w: Writer, node: Node, *inputs: str) -> str:
    """Of what is not 0, as of True."""
    given = [w.cast(x, BOOL) if at.row is not BOOL else x for x, at in zip(inputs, node.inputs, strict=True)]
    return w.add(node.op.onnx or "", *given)


@spelled("isnan", "isinf", "isfinite")
def is_special(w: Writer, node: Node, x: str) -> str:
    """Integers and bools are finite."""
    if not node.inputs[0].row.is_float:
        same = w.add("Equal", x, x)
        return same if node.op.name == "isfinite" else w.add("Not", same)
    if node.op.name == "isfinite":
        return w.add("Not", w.add("Or", w.add("IsNaN", x), w.add("IsInf", x)))
    return w.add(node.op.onnx or "", x)


@spelled("matmul", "einsum", "tensordot")
def product(w: Writer, node: Node, *inputs: str, **attrs: Any) -> str:
    """Of bools, whether any of the products is true."""
    given: Sequence[str] = [w.cast(x, INT32) for x in inputs] if node.row is BOOL else inputs
    if node.op.name == "matmul" and _is_transposed(node.inputs[0]) and node.inputs[1].ndim == 1:
        # onnxruntime 1.31 puts the transpose into the product, where it reads the vector as a row.
        column = w.add("Unsqueeze", given[1], w.ints([1]))
        found = w.add("Squeeze", w.add("MatMul", given[0], column), w.ints([-1]))
    elif node.op.name == "matmul":
        found = w.add("MatMul", *given)
    else:
        equation = _equation(node, **attrs)
        if node.op.name == "einsum":
            equation, given = _without_ones(w, node, equation, given)
        found = w.add("Einsum", *given, equation=equation)
    return w.cast(found, BOOL) if node.row is BOOL else found


def _is_transposed(x: Node) -> bool:
    while x.op.name == "astype":
        x = x.inputs[0]
    return x.op.name == "transpose"


def _equation(node: Node, spec: str = "", first: tuple[int, ...] = (), second: tuple[int, ...] = ()) -> str:
    if spec:
        return spec.replace(" ", "")
    letters = "abcdefghijklmnopqrstuvwxyz"
    a, b = node.inputs
    left, right = letters[: a.ndim], list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    out = [left[i] for i in range(a.ndim) if i not in first] + [
        right[j] for j in range(b.ndim) if j not in second
    ]
    return f"{left},{''.join(right)}->{''.join(out)}"


def _without_ones(w: Writer, node: Node, spec: str, inputs: Sequence[str]) -> tuple[str, Sequence[str]]:
    """An einsum whose labels have one size each: onnx does not infer the sizes of what is broadcast."""
    terms, out = spec.split("->")
    sizes: dict[str, Dim] = {}
    for labels, x in zip(terms.split(","), node.inputs, strict=True):
        for label, size in zip(labels, x.shape, strict=True):
            sizes[label] = broadcast(sizes.get(label, 1), size)
    kept, given = [], []
    for labels, x, name in zip(terms.split(","), node.inputs, inputs, strict=True):
        ones = [i for i, label in enumerate(labels) if x.shape[i] == 1 and sizes[label] != 1]
        left = [label for i, label in enumerate(labels) if i not in ones]
        if any(sizes[label] is not x.shape[i] for i, label in enumerate(labels) if i not in ones):
            raise Refused(f"the einsum {spec!r}, of which only the call tells what is broadcast")
        kept.append("".join(left))
        given.append(w.add("Squeeze", name, w.ints(ones)) if ones else name)
    return f"{','.join(kept)}->{out}", given


@spelled("stop_gradient", "copy", "conj", "real")
def identity(w: Writer, node: Node, x: str, **_: Any) -> str:
    if node.op.name in ("conj", "real") and node.inputs[0].row.is_complex:
        raise Refused(COMPLEX)
    return w.add("Identity", x)


@spelled("reciprocal")
def reciprocal(w: Writer, node: Node, x: str) -> str:
    if not node.row.is_float:
        raise Refused(f"reciprocal of {node.row.name}")
    return w.add("Reciprocal", x)


@spelled("not_equal")
def not_equal(w: Writer, node: Node, x: str, y: str) -> str:
    return w.add("Not", w.add("Equal", x, y))


@spelled("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert")
def bitwise(w: Writer, node: Node, *inputs: str) -> str:
    name = node.op.onnx or ""
    if node.row.kind == "bool":
        name = name.removeprefix("Bitwise")
    return w.add(name, *inputs)


@spelled("bitwise_left_shift", "bitwise_right_shift")
def bit_shift(w: Writer, node: Node, x: str, y: str) -> str:
    """Of bits without a sign; a negative number is shifted to the right with all bits flipped.

    Shifts by as many places as there are bits, or more, leave no bit, which ONNX does not say.
    """
    row = node.row
    bare = BY_NAME[f"uint{row.bits}"]
    left = node.op.name == "bitwise_left_shift"
    negative = None if left or row is bare else w.add("Less", x, w.like(0, row))
    if negative is not None:
        x = w.add("Where", negative, w.add("BitwiseNot", x), x)
    bits, places = (each if row is bare else w.cast(each, bare) for each in (x, y))
    far = None
    if not _is_below(node.inputs[1], row.bits):
        far = w.add("GreaterOrEqual", places, w.like(row.bits, bare))
        places = w.add("Where", far, w.like(0, bare), places)
    found = w.add("BitShift", bits, places, direction="LEFT" if left else "RIGHT")
    if far is not None:
        found = w.add("Where", far, w.like(0, bare), found)
    if row is not bare:
        found = w.cast(found, row)
    return found if negative is None else w.add("Where", negative, w.add("BitwiseNot", found), found)


def _is_below(node: Node, limit: int) -> bool:
    number = node.attrs.number if isinstance(node.attrs, ConstantAttrs) else None
    return number is not None and 0 <= number < limit


@spelled("linalg.det", "det")
def determinant(w: Writer, node: Node, x: str) -> str:
    return w.add("Det", x)


@spelled("trunc")
def trunc(w: Writer, node: Node, x: str) -> str:
    if not node.row.is_float:
        return w.add("Identity", x)
    return w.add("Where", w.add("Less", x, w.like(0, node.row)), w.add("Ceil", x), w.add("Floor", x))


@spelled("fmod", "remainder", "floor_divide")
def division(w: Writer, node: Node, x: str, y: str) -> str | None:
    """Of integers divided by 0 all are 0, which ONNX does not say."""
    row, zero = node.row, w.like(0, node.row)
    name = node.op.name
    if row.is_integer:
        nothing = w.add("Equal", y, zero)
        by = w.add("Where", nothing, w.like(1, row), y)
        rest = w.add("Mod", x, by, fmod=int(name == "fmod"))
        found = rest if name != "floor_divide" else w.add("Div", w.add("Sub", x, rest), by)
        return w.add("Where", nothing, zero, found)
    if name == "floor_divide":
        return None
    rest = w.add("Mod", x, y, fmod=1)
    if name == "fmod":
        return rest
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
    if dtype.is_complex:
        raise Refused(COMPLEX)
    return w.cast(x, dtype)


# Activations with parameters, softmax


@spelled("leaky_relu", "elu")
def with_slope(w: Writer, node: Node, x: str, slope: str) -> str | None:
    """Where the parameter is a known number, which float32 has; else the body says it."""
    number = node.inputs[1].attrs.number if isinstance(node.inputs[1].attrs, ConstantAttrs) else None
    if number is None or node.inputs[1].ndim or float(np.float32(number)) != float(number):
        return None
    return w.add(node.op.onnx or "", x, alpha=float(number))


@spelled("selu")
def selu(w: Writer, node: Node, x: str) -> str | None:
    """Attributes are float32, which is too coarse for float64."""
    return w.add("Selu", x) if node.row.bits < 64 else None


@spelled("hard_sigmoid")
def hard_sigmoid(w: Writer, node: Node, x: str) -> str | None:
    return w.add("HardSigmoid", x, alpha=1 / 6, beta=0.5) if node.row.bits < 64 else None


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


# Shapes


@spelled("reshape")
def reshape(w: Writer, node: Node, x: str, shape: tuple[Dim, ...]) -> str:
    return w.add("Reshape", x, w.shape(shape), allowzero=1)


@spelled("broadcast_to")
def broadcast_to(w: Writer, node: Node, x: str, shape: tuple[Dim, ...]) -> str:
    if 0 in shape:  # where runtimes keep a size of 1
        return w.add("Reshape", w.constant(np.empty(0, node.row.numpy)), w.shape(shape), allowzero=1)
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
        raise Refused(COMPLEX)
    return w.constant(value)


@spelled("nonzero")
def nonzero(w: Writer, node: Node, x: str) -> list[str]:
    rank = node.inputs[0].ndim
    found = w.add("NonZero", x)
    return [w.add("Gather", found, w.constant(i, np.int64), axis=0) for i in range(rank)]
