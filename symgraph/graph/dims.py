"""What is known of sizes before the call: which are the same, which is larger, what broadcasts; and sizes from text.

Symbols and broadcasts are taken to be >= 0, other expressions only where that follows. Two objects may be
equal for every binding (``n - n//2`` and ``(n + 1)//2``), so ask `same` whether sizes differ.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from math import gcd, isqrt
from typing import TypeGuard

from symgraph.errors import ShapeError
from symgraph.graph.polynomials import without
from symgraph.graph.sizes import (
    DEEPEST,
    LARGEST,
    NAMES,
    Call,
    Dim,
    Monomial,
    Polynomial,
    Size,
    Symbol,
    Terms,
    combined,
    dim_floordiv,
    dim_mod,
    fresh,
    intern,
    is_symbol,
    polynomial,
    rebuild_dim,
    split,
    symbol,
    symbols,
    terms_of,
)

__all__ = [
    "DEEPEST", "Call", "Dim", "Monomial", "Polynomial", "Size", "Symbol", "broadcast", "dim_floordiv", "dim_isqrt",
    "dim_max", "dim_min", "dim_mod", "fresh", "is_symbol", "parse_dim", "rebuild_dim", "same", "slice_size", "symbol",
    "symbols", "terms_of",
]  # fmt: skip

DEEPEST_SYNTAX = 100
MOST_CHOICES = 64


def dim_max(*dims: Dim) -> Dim:
    """The largest; an argument that another one is known to reach does not appear."""
    return max(dims) if _are_ints(dims) else _choose(dim_max, _reaches, dims)


def dim_min(*dims: Dim) -> Dim:
    """The smallest; an argument that is known to reach another one does not appear."""
    return min(dims) if _are_ints(dims) else _choose(dim_min, lambda b, a: _reaches(a, b), dims)


def dim_isqrt(dim: Dim) -> Dim:
    """The root, rounded down, of a size that is not negative."""
    if isinstance(dim, Size):
        return intern(Call(dim_isqrt, (dim,)))
    if dim < 0:
        raise ShapeError(f"the size {dim} has no root")
    return isqrt(dim)


def broadcast(*dims: Dim) -> Dim:
    """The size of axes that NumPy broadcasts together, which are all the same, or 1."""
    if len(dims) == 2 and dims[0] is dims[1]:
        return dims[0]
    found = {arg for dim in dims for arg in _flat(broadcast, dim)} - {1}
    known = {dim for dim in found if isinstance(dim, int)}
    if len(known) > 1 or min(known, default=0) < 0:
        raise ShapeError(f"sizes {', '.join(map(str, dims))} must agree or be 1")
    args = tuple(sorted(known or found, key=_key))
    return intern(Call(broadcast, args)) if len(args) > 1 else args[0] if args else 1


def _choose(function: Callable[..., Dim], beats: Callable[[Dim, Dim], bool], dims: Iterable[Dim]) -> Dim:
    args = {arg for dim in dims for arg in _flat(function, dim)}
    if len(args) > MOST_CHOICES:
        raise ShapeError(f"{len(args)} sizes to choose from; {MOST_CHOICES} is the most")
    kept = [a for a in args if not any(a is not b and beats(b, a) for b in args)]
    return kept[0] if len(kept) == 1 else intern(Call(function, tuple(sorted(kept, key=_key))))


def _flat(function: Callable[..., Dim], dim: Dim) -> tuple[Dim, ...]:
    """``max(a, b) + 1`` as ``a + 1, b + 1``, and so for min; ``broadcast(a, b)`` as ``a, b``."""
    varying, constant = split(dim)
    match varying:
        case Size(form=Call(called, args)) if called is function and (
            not constant or called is not broadcast
        ):
            return tuple(arg + constant for arg in args) if constant else args
    return (dim,)


def _key(dim: Dim) -> tuple[int, str]:
    return dim.key if isinstance(dim, Size) else (2, str(dim))


def _are_ints(dims: tuple[Dim, ...]) -> TypeGuard[tuple[int, ...]]:
    return all(isinstance(dim, int) for dim in dims)


# Order


def same(a: Dim, b: Dim) -> bool | None:
    """Whether the two are equal: for every binding (True), for none (False), or not known (None)."""
    if a is b:
        return True
    terms = combined(a, b, -1)
    constant = terms.pop((), 0)
    if not any(terms.values()):
        return constant == 0
    differ = constant % gcd(*terms.values()) or _reaches(a, b + 1) or _reaches(b, a + 1)
    return False if differ else None


def _reaches(a: Dim, b: Dim) -> bool:
    """Whether their forms show that ``a >= b`` for every binding."""
    return _sum_nonnegative(combined(a, b, -1).items())


def _sum_nonnegative(terms: Iterable[tuple[Monomial, int]]) -> bool:
    terms = tuple(terms)
    if all(c == 0 or (c > 0 and all(map(_nonnegative, atoms))) for atoms, c in terms):
        return True
    less = _without_quotient(terms)
    return less is not None and _sum_nonnegative(less.items())


def _without_quotient(terms: tuple[tuple[Monomial, int], ...]) -> Terms | None:
    """A sum that is no larger: ``-n`` for ``-(n//k)*k``, which is at least that. None where there is no such term."""
    for atoms, c in terms:
        for atom in atoms if c < 0 else ():
            if not (isinstance(atom.form, Call) and atom.form.function is dim_floordiv):
                continue
            top, bottom = atom.form.args
            rest = without(atoms, (atom,))
            if isinstance(bottom, Size):
                rest = without(rest or (), (bottom,)) if _nonnegative(bottom) else None
                times = c
            else:
                times, left = divmod(c, bottom)
                rest = rest if bottom > 0 and not left else None
            if rest is None or not all(map(_nonnegative, rest)):
                continue
            whole = reduce(operator.mul, rest, times) * top
            return combined(polynomial({key: n for key, n in terms if key != atoms}), -whole, -1)
    return None


def _nonnegative(dim: Dim) -> bool:
    if isinstance(dim, int):
        return dim >= 0
    match dim.form:
        case Symbol():
            return True
        case Polynomial(terms):
            return _sum_nonnegative(terms)
        case Call(function, args):
            if function is broadcast:
                return True
            if function is dim_max:
                return any(map(_nonnegative, args))
            return all(map(_nonnegative, args[1:] if function is dim_mod else args))


# Slices


def slice_size(start: Dim | None, stop: Dim | None, step: int, size: Dim) -> Dim:
    """How many elements ``x[start:stop:step]`` has where ``x`` has `size`."""
    if step == 0:
        raise ShapeError("a slice's step cannot be 0")
    # From start down to stop lie as many elements as from stop + 1 up to start + 1.
    first, last, shift = (start, stop, 0) if step > 0 else (stop, start, 1)
    end = size if last is None else dim_min(_from_front(last, size) + shift, size)
    # A first before 0 counts as 0; one beyond the end leaves a negative length.
    length = end if first is None else dim_min(end - _from_front(first, size) - shift, end)
    return dim_max(dim_floordiv(length + abs(step) - 1, abs(step)), 0)


def _from_front(index: Dim, size: Dim) -> Dim:
    """``index + size`` where `index` is negative, else `index`."""
    if _nonnegative(index):
        return index
    if _reaches(-1, index):
        return index + size
    return index - size * dim_max(dim_min(index, 0), -1)


# Text


def parse_dim(node: ast.expr, rename: Mapping[str, Size] | None = None) -> Dim:
    """The size that a syntax tree spells; ``parse_dim(ast.parse(str(d), mode="eval").body) is d``."""
    return _parse(node, rename or {}, 0)


def _parse(node: ast.expr, rename: Mapping[str, Size], depth: int) -> Dim:
    if depth > DEEPEST_SYNTAX:
        raise ShapeError("a size is too deeply nested")
    right: list[ast.BinOp] = []
    while isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:  # a long sum is deep on its left only
        right.append(node)
        node = node.left
    dim = _parse_operand(node, rename, depth)
    for operation in reversed(right):
        dim = _OPERATORS[type(operation.op)](dim, _parse(operation.right, rename, depth + 1))
        if isinstance(dim, int) and abs(dim) > LARGEST:
            raise ShapeError("a size has more than 64 bits")
    return dim


def _parse_operand(node: ast.expr, rename: Mapping[str, Size], depth: int) -> Dim:
    match node:
        case ast.Constant(int(value)) if not isinstance(value, bool) and value <= LARGEST:
            return value
        case ast.Name(name):
            return rename[name] if name in rename else symbol(name)
        case ast.UnaryOp(ast.USub(), operand):
            return -_parse(operand, rename, depth + 1)
        case ast.Call(ast.Name(name), [_, *more] as args, []) if name in _CALLS and not (
            more and name == "isqrt"
        ):
            return _CALLS[name](*(_parse(arg, rename, depth + 1) for arg in args))
    given = type(node).__name__
    raise ShapeError(
        f"a size has ints below 2**63, names, + - * // %, max, min, isqrt and broadcast, but no {given}"
    )


_CALLS: Mapping[str, Callable[..., Dim]] = {
    NAMES[function.__name__]: function for function in (dim_max, dim_min, dim_isqrt, broadcast)
}
_OPERATORS: Mapping[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: dim_floordiv,
    ast.Mod: dim_mod,
}
