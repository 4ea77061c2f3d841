"""Constants as text, and back with every bit.

``f32(0.5)``, ``i64[2]([3, 4])``, ``c64(1.0, -2.0)``, ``f32(bits=0x7fc00001)`` for what decimals cannot say, and
``f32[784, 10](data="5f3a9c0d1e2f3a4b")``, a digest, for what is large.
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from symgraph.errors import ParseError
from symgraph.graph.node import Node
from symgraph.graph.op import ConstantAttrs, constant
from symgraph.graph.statements import spelled
from symgraph.graph.types import BY_NAME, DTYPES, MOST_AXES, DType, TensorType

Array = np.ndarray[Any, Any]

LARGEST_INLINE = 16  # elements that are written out
BFLOAT16 = BY_NAME["bfloat16"].numpy
_ROWS = {row.short: row for row in DTYPES}


def spell_constant(node: Node, arrays: MutableMapping[str, Array]) -> str:
    """The text of a constant; a large one is added to ``arrays`` under the digest that stands for it."""
    assert isinstance(node.attrs, ConstantAttrs)
    value = node.attrs.value
    if value.size > LARGEST_INLINE:
        digest = node.attrs.digest
        arrays[digest] = value
        return f'{node.type}(data="{digest}")'
    return f"{node.type}({_elements(value, node.row)})"


def is_constant(node: ast.expr) -> TypeGuard[ast.Call]:
    """Whether a syntax tree begins as a constant does: ``f32(`` or ``f32[…](``."""
    match node:
        case ast.Call(ast.Name(name) | ast.Subscript(ast.Name(name))):
            return name in _ROWS
    return False


def read_constant(node: ast.Call, find: Callable[[str], Node | None]) -> Node:
    """The constant that a syntax tree spells; ``find`` gives large ones for digests.

    Raises ParseError, without a place.
    """
    type = _type(node.func)
    row, shape = type.dtype, tuple(size for size in type.shape if isinstance(size, int))
    count = math.prod(shape)
    match node:
        case ast.Call(args=[], keywords=[ast.keyword("data", ast.Constant(str(digest)))]):
            return _found(type, digest, find(digest))
        case ast.Call(args=[], keywords=[ast.keyword("bits", words)]):
            parts = words.elts if isinstance(words, ast.List) and shape else [words]
            size = row.numpy.itemsize
            data = b"".join(_word(part, size).to_bytes(size, sys.byteorder) for part in parts)
            array = np.frombuffer(data, row.numpy)
        case ast.Call(args=[real, imag], keywords=[]) if row.is_complex and not shape:
            array = _array([complex(read_float(real), read_float(imag))], row)
        case ast.Call(args=[elements], keywords=[]):
            leaves = list(_leaves(elements, shape))
            array = _array([_number(leaf, row) for leaf in leaves], row)
        case _:
            raise ParseError(f"a constant is {type}(elements), {type}(bits=…) or {type}(data=…)")
    if array.size != count:
        raise ParseError(f"{type} has {count} elements, and {array.size} are given")
    try:
        return constant(array.reshape(shape))
    except ValueError as error:  # no elements, and yet too large for NumPy
        raise ParseError(f"{type}: {error}") from None


# Printing


def _elements(value: Array, row: DType) -> str:
    """``0.5``, ``[[1.0, 2.0], [3.0, 4.0]]``, or ``bits=`` where decimals would not give every bit back."""
    flat = value.reshape(-1)
    texts = [_spell(x, row) for x in flat]
    if _array([_evaluate(text, row) for text in texts], row).tobytes() == value.tobytes():
        if row.is_complex and value.ndim:
            texts = [f"({text})" for text in texts]
        return _nested(texts, value.shape)
    words = [hex(int.from_bytes(x.tobytes(), sys.byteorder)) for x in flat]
    return f"bits={'[' + ', '.join(words) + ']' if value.ndim else words[0]}"


def _spell(x: Any, row: DType) -> str:
    match row.kind:
        case "bool":
            return str(bool(x))
        case "int" | "uint":
            return str(int(x))
        case "complex":
            return f"{_decimal(x.real)}, {_decimal(x.imag)}"
    return _decimal(x)


def _decimal(x: Any) -> str:
    """The shortest decimal that is nearest to this number in its dtype."""
    if x.dtype == BFLOAT16:  # its own text has six digits, always
        tries = (float(f"{float(x):.{digits}g}") for digits in range(1, 7))
        return repr(next((y for y in tries if BFLOAT16.type(y) == x), float(x)))
    return repr(float(str(x)))


def _evaluate(text: str, row: DType) -> Any:
    """The Python number that a spelled element reads as."""
    match row.kind:
        case "bool":
            return text == "True"
        case "int" | "uint":
            return int(text)
        case "complex":
            return complex(*map(float, text.split(", ")))
    return float(text)


def _nested(texts: Sequence[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return texts[0]
    if not texts:
        return "[]"
    step = len(texts) // shape[0]
    rows = [_nested(texts[i : i + step], shape[1:]) for i in range(0, len(texts), step)]
    return f"[{', '.join(rows)}]"


# Reading


def _type(node: ast.expr) -> TensorType:
    match node:
        case ast.Name(name):
            return TensorType(_ROWS[name], ())
        case ast.Subscript(ast.Name(name), index):
            sizes = index.elts if isinstance(index, ast.Tuple) else [index]
            if len(sizes) > MOST_AXES:
                raise ParseError(f"a constant has {MOST_AXES} axes at most, not {len(sizes)}")
            return TensorType(_ROWS[name], tuple(map(_size, sizes)))
    raise AssertionError("is_constant was not asked")


def _size(node: ast.expr) -> int:
    match node:
        case ast.Constant(int(size)) if not isinstance(size, bool) and size < 2**63:
            return size
    raise ParseError("the sizes of a constant are ints")


def _leaves(node: ast.expr, shape: tuple[int, ...]) -> Iterator[ast.expr]:
    if not shape:
        yield node
        return
    if not isinstance(node, ast.List):
        raise ParseError("a constant has a list in brackets for each axis")
    if not node.elts and 0 in shape:
        return
    if len(node.elts) != shape[0]:
        raise ParseError(f"an axis has {shape[0]} elements, and {len(node.elts)} are given")
    for part in node.elts:
        yield from _leaves(part, shape[1:])


def _number(node: ast.expr, row: DType) -> Any:
    match node:
        case ast.Constant(bool(value)):
            if row.kind == "bool":
                return value
        case _ if row.is_integer:
            return read_int(node)
        case ast.Tuple([real, imag]) if row.is_complex:
            return complex(read_float(real), read_float(imag))
        case _ if row.is_float:
            return read_float(node)
    raise ParseError(f"{_kind(node)} is no {row.name}")


def read_int(node: ast.expr) -> int:
    """``3`` or ``-3``, of 64 bits; raises ParseError, without a place."""
    value = _any_int(node)
    if not -(2**63) <= value < 2**64:
        raise ParseError(f"an int has 64 bits at most, which {spelled(node)} has not")
    return value


def _any_int(node: ast.expr) -> int:
    match node:
        case ast.UnaryOp(ast.USub(), ast.Constant(int(value))) if not isinstance(value, bool):
            return -value
        case ast.Constant(int(value)) if not isinstance(value, bool):
            return value
    raise ParseError(f"an int is expected, not {_kind(node)}")


def _word(node: ast.expr, size: int) -> int:
    word = _any_int(node)
    if not 0 <= word < 256**size:
        raise ParseError(f"bits of an element are {size * 8}")
    return word


def read_float(node: ast.expr) -> float:
    """``0.5``, ``-inf``, ``nan``; raises ParseError, without a place."""
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1.0, node.operand
    match node:
        case ast.Name("inf" | "nan" as name):
            return sign * float(name)
        case ast.Constant(float(value)) if math.isfinite(value):
            return sign * value
        case ast.Constant(int(value)) if not isinstance(value, bool) and abs(value) <= 2**53:
            return sign * value
    raise ParseError(f"a finite float, inf or nan is expected, not {_kind(node)}")


def _kind(node: ast.expr) -> str:
    return spelled(node) if isinstance(node, ast.Constant) else type(node).__name__


def _array(numbers: Sequence[Any], row: DType) -> Array:
    try:
        with np.errstate(all="ignore"):
            array = np.array(numbers, row.numpy)
    except OverflowError:
        raise ParseError(f"a number is too large for {row.name}") from None
    if row.is_inexact and not np.array_equal(np.isfinite(array), np.isfinite(np.array(numbers))):
        raise ParseError(f"a number is too large for {row.name}")
    return array


def _found(type: TensorType, digest: str, node: Node | None) -> Node:
    if node is None:
        raise ParseError(f"there is no array for the digest {digest[:40]!r}")
    if node.type != type:
        raise ParseError(f"the array for {digest[:40]!r} is {node.type}, not {type}")
    assert isinstance(node.attrs, ConstantAttrs)
    if node.attrs.digest != digest:
        raise ParseError(f"the array for {digest[:40]!r} has other content, of digest {node.attrs.digest}")
    return node
