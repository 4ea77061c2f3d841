"""Einsums: those that another op says, and the order of those of many operands.

The order is found by ``numpy.einsum_path``, exhaustively or greedily, as in D. G. A. Smith and J. Gray, opt_einsum – A
Python package for optimizing contraction order for einsum-like expressions, Journal of Open Source Software 3 (2018)
753. No result in between is larger than the largest operand or the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, same
from symgraph.graph.node import Node
from symgraph.graph.op import placeholder
from symgraph.ops.create import iota
from symgraph.ops.declare import FLOATS, INEXACTS, INTEGERS
from symgraph.ops.einsum import einsum
from symgraph.ops.index import index
from symgraph.ops.linalg import matmul, tensordot
from symgraph.ops.reduce import any as any_
from symgraph.ops.reduce import sum
from symgraph.ops.shape import expand_dims, squeeze, transpose
from symgraph.optimizations.cost import typical
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import ALGEBRAIC, ROUNDING, rule, rules

a = placeholder("float64", (3, 4), name="a")
b = placeholder("float64", (4, 5), name="b")
p = placeholder("float64", (8, 2), name="p")
i = placeholder("int64", (3, 3), name="i")
n = placeholder("float64", ("h", "k"), name="n")

_MOST = 6
"""So many operands are ordered exhaustively; more of them greedily."""


def _read(node: Node) -> tuple[list[str], str]:
    """The letters of the operands' axes, and of the result's."""
    terms, _, output = node.attrs.spec.partition("->")  # type: ignore[union-attr]
    return terms.split(","), output


def _ordered(x: Node, letters: str, wanted: str) -> Node:
    return x if letters == wanted else transpose.op(x, axes=tuple(map(letters.index, wanted)))


# One operand


def _moved(found: Match) -> Node | None:
    """A transpose, or a diagonal."""
    terms, output = _read(found.root)
    if len(terms) > 1 or set(terms[0]) != set(output):
        return None
    taken = _diagonals(found.root.inputs[0], terms[0])
    return None if taken is None else _ordered(*taken, output)


def _summed(found: Match) -> Node | None:
    """A sum over the axes that the result lacks; of booleans, whether any is true."""
    terms, output = _read(found.root)
    if len(terms) > 1 or set(terms[0]) == set(output):
        return None
    taken = _diagonals(found.root.inputs[0], terms[0])
    return None if taken is None else _ordered(*_without(*taken, output), output)


def _diagonals(x: Node, letters: str) -> tuple[Node, str] | None:
    """The operand with each letter once: the diagonal of axes that share one comes first."""
    for letter in dict.fromkeys(letters):
        axes = [axis for axis, each in enumerate(letters) if each == letter]
        if len(axes) == 1:
            continue
        size = x.shape[axes[0]]
        if any(same(size, x.shape[axis]) is not True for axis in axes):
            return None
        others = [axis for axis in range(x.ndim) if axis not in axes]
        places = (iota(size),) * len(axes)
        x = index(transpose.op(x, axes=(*axes, *others)), places)
        letters = letter + letters.replace(letter, "")
    return x, letters


def _without(x: Node, letters: str, kept: str) -> tuple[Node, str]:
    """The sum over the axes whose letters are not kept."""
    axes = tuple(axis for axis, letter in enumerate(letters) if letter not in kept)
    if not axes:
        return x, letters
    total = (any_ if x.row.kind == "bool" else sum).op(x, axes=axes, keepdims=False)
    return total, "".join(letter for letter in letters if letter in kept)


# Two operands, and products


def _has_repeats(terms: Sequence[str]) -> bool:
    return any(len(set(term)) < len(term) for term in terms)


def _multiplied(found: Match) -> Node | None:
    """A product of arrays that are aligned and broadcast."""
    terms, output = _read(found.root)
    if len(terms) == 1 or _has_repeats(terms) or set("".join(terms)) != set(output):
        return None
    if len(terms) > 2 and _is_narrow(found.root):  # an einsum rounds once
        return None
    first, *others = (_aligned(x, term, output) for x, term in zip(found.root.inputs, terms, strict=True))
    for other in others:
        first = first * other
    return first


def _aligned(x: Node, letters: str, wanted: str) -> Node:
    x = _ordered(x, letters, "".join(letter for letter in wanted if letter in letters))
    missing = tuple(axis for axis, letter in enumerate(wanted) if letter not in letters)
    return expand_dims.op(x, axes=missing) if missing else x


def _is_narrow(node: Node) -> bool:
    return node.row.is_float and node.row.bits == 16


def contracted(admits: Callable[[Node], bool]) -> Callable[[Match], Node | None]:
    """An einsum of two operands that sums over what both have: a matmul, or a tensordot."""

    def made(found: Match) -> Node | None:
        node = found.root
        terms, output = _read(node)
        if len(terms) != 2 or _has_repeats(terms) or not admits(node):
            return None
        if any(
            (letter in terms[0]) is not (letter in terms[1]) and letter not in output
            for letter in set("".join(terms))
        ):
            return None
        (x, y), (first, second) = node.inputs, terms
        ways = (_as_product(x, y, first, second, output), _as_product(y, x, second, first, output))
        return min((way for way in ways if way is not None), key=_transposes, default=None)

    return made


def _as_product(x: Node, y: Node, first: str, second: str, output: str) -> Node | None:
    shared = "".join(letter for letter in first if letter in second and letter not in output)
    batch = "".join(letter for letter in output if letter in first and letter in second)
    left = "".join(letter for letter in first if letter not in second)
    right = "".join(letter for letter in second if letter not in first)
    sizes = [(x.shape[first.index(letter)], y.shape[second.index(letter)]) for letter in shared]
    if not shared or any(same(p, q) is not True for p, q in sizes):
        return None
    if max(len(shared), len(left), len(right)) == 1:
        x = _ordered(x, first, batch + left + shared)
        y = _ordered(y, second, batch + shared + right)
        if not batch:
            return _ordered(matmul.op(x, y), left + right, output)
        product = matmul.op(x if left else expand_dims(x, -2), y if right else expand_dims(y, -1))
        gone = tuple(axis for axis, letters in ((-2, left), (-1, right)) if not letters)
        return _ordered(squeeze(product, gone) if gone else product, batch + left + right, output)
    if batch:
        return None
    pairs = sorted((first.index(letter), second.index(letter)) for letter in shared)
    product = tensordot.op(x, y, first=tuple(p for p, _ in pairs), second=tuple(q for _, q in pairs))
    return _ordered(product, left + right, output)


def _transposes(product: Node) -> int:
    """How many transposes stand around and below a product."""
    nodes = [product]
    while nodes[-1].op in (transpose.op, squeeze.op, expand_dims.op):
        nodes.append(nodes[-1].inputs[0])
    return [x.op for each in nodes for x in (each, *each.inputs)].count(transpose.op)


# Many operands


def each_summed(admits: Callable[[Node], bool]) -> Callable[[Match], Node | None]:
    """An einsum that sums operands first over what they alone have."""

    def made(found: Match) -> Node | None:
        node = found.root
        terms, output = _read(node)
        if len(terms) == 1 or _has_repeats(terms) or not admits(node):
            return None
        parts = []
        for place, (x, term) in enumerate(zip(node.inputs, terms, strict=True)):
            parts.append(_without(x, term, output + "".join(terms[:place] + terms[place + 1 :])))
        if [letters for _, letters in parts] == terms:
            return None
        return einsum(f"{','.join(letters for _, letters in parts)}->{output}", *(x for x, _ in parts))

    return made


def in_order(admits: Callable[[Node], bool], method: Callable[[Node], str]) -> Callable[[Match], Node | None]:
    """An einsum of many operands as a chain of einsums of fewer, mostly of two."""

    def made(found: Match) -> Node | None:
        node = found.root
        terms, output = _read(node)
        if len(terms) < 3 or not admits(node):
            return None
        dummies = [np.broadcast_to(np.zeros(()), tuple(map(typical, x.shape))) for x in node.inputs]
        path: Any = np.einsum_path(node.attrs.spec, *dummies, optimize=method(node))[0][1:]  # type: ignore[union-attr]
        if len(path) < 2:
            return None
        parts = list(zip(node.inputs, terms, strict=True))
        for places in path:
            taken = [parts[place] for place in places]
            parts = [part for place, part in enumerate(parts) if place not in places]
            needed = output + "".join(term for _, term in parts)
            letters = dict.fromkeys("".join(term for _, term in taken))
            left = "".join(letter for letter in letters if letter in needed) if parts else output
            product = einsum(f"{','.join(term for _, term in taken)}->{left}", *(x for x, _ in taken))
            parts.append((product, left))
        return parts[0][0]

    return made


def is_exact(node: Node) -> bool:
    """Whether sums are the same in any order, 0 times any element is 0, and adding that changes nothing."""
    return not node.row.is_inexact


def _is_real(node: Node) -> bool:
    return not node.row.is_complex


def _is_complex(node: Node) -> bool:
    return node.row.is_complex


def _is_inexact(node: Node) -> bool:
    return node.row.is_inexact and not _is_narrow(node)


def _is_known(node: Node) -> bool:
    """Whether NumPy takes the same order at the call: it decides by the sizes."""
    sizes: list[Dim] = [size for x in node.inputs for size in x.shape]
    return _is_inexact(node) and _is_real(node) and all(isinstance(size, int) for size in sizes)


def _greedy(node: Node) -> str:
    return "greedy"


def _cheapest(node: Node) -> str:
    return "optimal" if len(node.inputs) <= _MOST else "greedy"


_WIDE = tuple(name for name in INEXACTS if name not in FLOATS[:2])

EINSUMS = rules(
    "EINSUMS",
    rule("an einsum that moves elements", einsum.op, _moved, example=lambda: einsum("ii->i", a[:, :3])),
    rule("an einsum of one operand", einsum.op, _summed, keeps=ROUNDING, example=lambda: einsum("ij->j", a)),
    rule("an einsum that sums nothing", einsum.op, _multiplied, keeps=ROUNDING,
         example=lambda: einsum("ij,j->ji", a, a[0])),
    rule("an einsum that is a product", einsum.op, contracted(_is_real), keeps=ROUNDING,
         dtypes=(*INTEGERS, *FLOATS), example=lambda: einsum("ij,jk->ki", a, b)),
    rule("an einsum of sums, of integers", einsum.op, each_summed(is_exact), dtypes=("int64",),
         example=lambda: einsum("ij,ik->i", i, i)),
    rule("an einsum in the cheapest order, of integers", einsum.op, in_order(is_exact, _cheapest), dtypes=("int64",),
         example=lambda: einsum("ij,jk,kl->il", i, i, i)),
    rule("an einsum in NumPy's order", einsum.op, in_order(_is_known, _greedy), keeps=ROUNDING,
         dtypes=("float32", "float64"),
         example=lambda: einsum("ij,jk,kl->il", p, p[:2], p.T)),
)  # fmt: skip
"""Those of floats in the order that their meaning has: sums of products in another may overflow."""

FAST_EINSUMS = rules(
    "FAST_EINSUMS",
    rule("an einsum that is a product, of complex numbers", einsum.op, contracted(_is_complex), keeps=ALGEBRAIC,
         dtypes=("complex64", "complex128"), example=lambda: einsum("ij,jk->ki", a, b)),
    rule("an einsum of sums", einsum.op, each_summed(_is_inexact), keeps=ALGEBRAIC, dtypes=_WIDE,
         example=lambda: einsum("ij,kj->j", a, a)),
    rule("an einsum in the cheapest order", einsum.op, in_order(_is_inexact, _cheapest), keeps=ALGEBRAIC, dtypes=_WIDE,
         example=lambda: einsum("hk,jk,jl->hl", n, n, n)),
)  # fmt: skip
"""What is true of real numbers: under ``fast_math`` alone."""
