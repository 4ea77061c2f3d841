"""Index arithmetic: where an element lies, with no division that the ranges of the loops decide.

An index is a `Dim` in which loop variables are symbols. A loop variable ``i`` runs over ``0 <= i < extent``, and the
extents are sizes, known or symbolic. An index is only asked for inside its loops, so every extent is >= 1 there.
As in `symgraph.graph.dims`, sizes are >= 0 and a quotient is simplified for the bindings that define it.

>>> from symgraph.graph.dims import symbol
>>> n, i, j = symbol("n"), symbol("i"), symbol("j")
>>> reshaped((i, j), (n, 2, 3), (n, 6), {i: n, j: 6})
(i, j//3, j % 3)
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import gcd

from symgraph.codegen.ranges import (
    Facts,
    Ranges,
    extreme,
    facts_of,
    holds,
    learn,
    linear,
    product_of,
    varies,
)
from symgraph.errors import ShapeError
from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import (
    Call,
    Dim,
    Monomial,
    Size,
    dim_floordiv,
    dim_max,
    dim_min,
    dim_mod,
    rebuild_dim,
    same,
    symbols,
    terms_of,
)

__all__ = ["Merged", "Ranges", "affine", "bounds", "flatten", "merge", "reshaped", "simplify", "unflatten"]

MOST_ROUNDS = 8  # of rewriting; the second one seldom finds anything


def simplify(index: Dim, ranges: Ranges) -> Dim:
    """An index that is equal wherever the loops go, in which what they decide is gone.

    Divisions of flattened positions, choices between sizes, and quotients beside their remainders vanish:

    >>> from symgraph.graph.dims import symbol
    >>> i, j, k = symbol("i"), symbol("j"), symbol("k")
    >>> simplify((i*k + j) // k, {j: k}), simplify((i*k + j) % k, {j: k})
    (i, j)
    >>> simplify(dim_min(i + 1, k), {i: k}), simplify(i//k*k + i % k, {})
    (i + 1, i)
    """
    if isinstance(index, int):
        return index
    once = {variable: 0 for variable, extent in ranges.items() if extent == 1}
    try:
        index = substitute_dim(index, once)
        if isinstance(index, int) or index.depth == 0:
            return index
        facts = facts_of(ranges)
        for _ in range(MOST_ROUNDS):
            before, index = index, _rewritten(index, facts)
            if index is before or isinstance(index, int):
                break
    except ShapeError:  # it grew too large on the way, or divides by zero
        pass
    return index


def flatten(indices: Sequence[Dim], shape: Sequence[Dim]) -> Dim:
    """The row-major position of the element at `indices`.

    >>> from symgraph.graph.dims import symbol
    >>> flatten((symbol("i"), symbol("j")), (symbol("n"), 4))
    4*i + j
    """
    position: Dim = 0
    for index, size in zip(indices, shape, strict=True):
        position = position * size + index
    return position


def unflatten(position: Dim, shape: Sequence[Dim], ranges: Ranges) -> tuple[Dim, ...]:
    """The indices of the element at a row-major position, which lies within the shape.

    >>> from symgraph.graph.dims import symbol
    >>> unflatten(symbol("p"), (symbol("n"), 4), {})
    (p//4, p % 4)
    """
    position = simplify(position, ranges)  # a division would part what goes together
    outermost = next((axis for axis, size in enumerate(shape) if size != 1), None)
    indices: list[Dim] = []
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        if size == 1:
            indices.append(0)
        elif axis == outermost:
            indices.append(position)
        else:
            indices.append(simplify(position % size, ranges))
            position = simplify(position // size, ranges)
    return tuple(reversed(indices))


def reshaped(
    indices: Sequence[Dim], shape_from: Sequence[Dim], shape_to: Sequence[Dim], ranges: Ranges
) -> tuple[Dim, ...]:
    """Where the element that stands at `indices` of the reshaped array stands in the array itself.

    Axes that keep their elements together are taken by themselves, whatever their indices are.

    >>> from symgraph.graph.dims import symbol
    >>> n, x = symbol("n"), symbol("x")
    >>> reshaped((x, 2), (n, 2, 3), (n, 6), {})
    (x, 0, 2)
    """
    found: list[Dim] = []
    for old, new in _groups(shape_from, shape_to):
        position = flatten(indices[new], shape_to[new])
        found += unflatten(position, shape_from[old], ranges)
    return tuple(found)


def bounds(index: Dim, ranges: Ranges) -> tuple[Dim | None, Dim | None]:
    """Sizes between which an index lies, themselves included; None where none is known.

    It reaches both where it is affine.

    >>> from symgraph.graph.dims import symbol
    >>> i, j, k = symbol("i"), symbol("j"), symbol("k")
    >>> bounds(i*k - j + 3, {i: 4, j: k})
    (4 - k, 3*k + 3)
    """
    facts = facts_of(ranges)
    index = simplify(index, ranges)
    try:
        found = [extreme(index, largest, facts) for largest in (False, True)]
    except ShapeError:
        return None, None
    low, high = (None if end is None else simplify(end, ranges) for end in found)
    return low, high


def affine(index: Dim, variables: Iterable[Size]) -> tuple[dict[Size, Dim], Dim] | None:
    """A coefficient for each variable, and the rest; None where it is not affine in them.

    >>> from symgraph.graph.dims import symbol
    >>> i, j, n = symbol("i"), symbol("j"), symbol("n")
    >>> affine(i*n + 2*i + 1, (i, j))
    ({i: n + 2, j: 0}, 1)
    """
    wanted = tuple(variables)
    coefficients: dict[Size, Dim] = dict.fromkeys(wanted, 0)
    rest = index
    for variable in wanted:
        parts = linear(rest, variable)
        if parts is None:
            return None
        coefficients[variable], rest = parts
    left = symbols(rest).union(*map(symbols, coefficients.values()))
    return None if left & set(wanted) else (coefficients, rest)


@dataclass(frozen=True, slots=True)
class Merged:
    """Loops after neighbours became one, outer to inner, and what that makes of what they index.

    A merged loop keeps the variable of its innermost part. `values` has the old variables in terms of the new
    ones, for what reads a variable itself.
    """

    axes: tuple[tuple[Size, Dim], ...]
    accesses: tuple[Dim, ...]
    values: Mapping[Size, Dim]


def merge(axes: Sequence[tuple[Size, Dim]], accesses: Sequence[Dim]) -> Merged:
    """Loops that reach the same offsets in the same order, as few as steps of neighbours allow.

    Neighbours become one loop where each access steps by one outer iteration as by all inner ones, and loops of
    one iteration vanish.

    >>> from symgraph.graph.dims import symbol
    >>> i, j, n, m = symbol("i"), symbol("j"), symbol("n"), symbol("m")
    >>> merged = merge([(i, n), (j, m)], [i*m + j, 2*i*m + 2*j])
    >>> merged.axes, merged.accesses, merged.values
    (((j, m*n),), (j, 2*j), {i: j//m, j: j % m})
    """
    once: dict[Size, Dim] = {variable: 0 for variable, extent in axes if extent == 1}
    offsets = [substitute_dim(access, once) for access in accesses]
    groups: list[list[tuple[Size, Dim]]] = []
    for variable, extent in axes:
        if extent == 1:
            continue
        outer = groups[-1][-1][0] if groups else None
        if outer is not None and all(_continues(offset, outer, variable, extent) for offset in offsets):
            offsets = [substitute_dim(offset, {outer: 0}) for offset in offsets]
            groups[-1].append((variable, extent))
        else:
            groups.append([(variable, extent)])
    merged = tuple((group[-1][0], _product(extent for _, extent in group)) for group in groups)
    values = once
    for (variable, extent), group in zip(merged, groups, strict=True):
        parts = unflatten(variable, [size for _, size in group], {variable: extent})
        values |= {old: part for (old, _), part in zip(group, parts, strict=True)}
    return Merged(merged, tuple(offsets), {variable: values[variable] for variable, _ in axes})


def _continues(offset: Dim, outer: Size, inner: Size, extent: Dim) -> bool:
    found = affine(offset, (outer, inner))
    return found is not None and same(found[0][outer], found[0][inner] * extent) is True


def _groups(old: Sequence[Dim], new: Sequence[Dim]) -> list[tuple[slice, slice]]:
    """Runs of axes of both shapes, outer to inner, that hold the same elements."""
    starts = {_product(new[axis:]): axis for axis in reversed(range(len(new) + 1))}
    cuts = [(len(old), len(new))]
    for axis in reversed(range(len(old))):
        start = starts.get(_product(old[axis:]))
        if start is not None and start < cuts[-1][1]:
            cuts.append((axis, start))
    if cuts[-1] != (0, 0):
        cuts.append((0, 0))
    cuts.reverse()
    return [(slice(a, c), slice(b, d)) for (a, b), (c, d) in pairwise(cuts)]


def _product(factors: Iterable[Dim]) -> Dim:
    return reduce(operator.mul, factors, 1)


def _rewritten(dim: Dim, facts: Facts) -> Dim:
    """One round of rules, inner expressions first."""
    if isinstance(dim, int) or dim.depth == 0:
        return dim
    match dim.form:
        case Call(function, args):
            parts = [_rewritten(arg, facts) for arg in args]
            if function is dim_floordiv:
                return _divided(parts[0], parts[1], facts)[0]
            if function is dim_mod:
                return _divided(parts[0], parts[1], facts)[1]
            if function is dim_min:
                return dim_min(*_chosen(parts, lambda a, b: holds(a - b, facts)))
            if function is dim_max:
                return dim_max(*_chosen(parts, lambda a, b: holds(b - a, facts)))
            return function(*parts)
    return _recombined(rebuild_dim(dim, lambda part: _rewritten(part, facts)), facts)


def _chosen(args: list[Dim], loses: Callable[[Dim, Dim], bool]) -> list[Dim]:
    kept = list(args)
    for arg in args:
        if any(other is not arg and loses(arg, other) for other in kept):
            kept.remove(arg)
    return kept


def _recombined(dim: Dim, facts: Facts) -> Dim:
    """``x//b*b + x % b`` is ``x``, with any factor."""
    calls = _calls(dim)
    for atom, function, top, bottom in calls:
        parts = linear(dim, atom)
        if function is not dim_mod or parts is None:
            continue
        tops = [top]
        for _, other, x, y in calls:
            if other is dim_floordiv and y == bottom:
                tops += [x, bottom - 1 - x]  # -(x//b) is (b - 1 - x)//b
        for x in tops:
            if (x - top) % bottom == 0:
                whole = _divided(x, bottom, facts)[0]
                simpler = parts[1] + parts[0] * (x - whole * bottom)
                if len(_calls(simpler)) < len(calls):
                    return _recombined(simpler, facts)
    return dim


def _calls(dim: Dim) -> list[tuple[Size, Callable[..., Dim], Dim, Dim]]:
    """The quotients and remainders among its terms' factors, once for each term."""
    found = []
    for atom in (atom for atoms in terms_of(dim) for atom in atoms):
        match atom.form:
            case Call(function, (top, bottom)) if function in (dim_floordiv, dim_mod):
                found.append((atom, function, top, bottom))
    return found


def _divided(top: Dim, bottom: Dim, facts: Facts) -> tuple[Dim, Dim]:
    """Quotient and remainder.

    With ``g*q <= v < g*q + g``, ``(g*u + v)//(g*w)`` is ``(u + q)//w``, and ``v - g*q`` is added to what is left.
    """
    if bottom == 0 or (isinstance(top, int) and isinstance(bottom, int)):
        return dim_floordiv(top, bottom), dim_mod(top, bottom)
    positive = holds(bottom, facts)  # it is not 0 where the quotient is defined
    if positive:
        facts = learn(bottom - 1, facts)
    for g in _factors(top, bottom, facts):
        w = bottom // g
        if w != 1 and not positive:
            continue
        for u, v in _partings(top, g, facts):
            q = _block(v, g, facts)
            if q is not None:
                whole, rest = (u + q, 0) if w == 1 else _divided(u + q, w, facts)
                return whole, rest * g + v - q * g
    whole, rest = next(_partings(top, bottom, facts))
    return whole + _quotient(rest, bottom, positive, facts), _remainder(rest, bottom, facts)


def _quotient(top: Dim, bottom: Dim, positive: bool, facts: Facts) -> Dim:
    """``x % (a*b) // b`` as ``x//b % a``, and ``(x//a + y)//b`` as ``(x + a*y)//(a*b)``."""
    for atom, function, x, y in _calls(top) if positive else ():
        if function is dim_mod and atom is top and holds(y, facts) and y % bottom == 0:
            return _divided(_divided(x, bottom, facts)[0], y // bottom, facts)[1]
        parts = linear(top, atom)
        if function is dim_floordiv and parts is not None and parts[0] == 1:
            return _divided(x + parts[1] * y, y * bottom, facts)[0]
    return top // bottom


def _remainder(top: Dim, bottom: Dim, facts: Facts) -> Dim:
    """``(x % (a*b) + y) % b`` as ``(x + y) % b``."""
    for atom, function, x, y in _calls(top):
        parts = linear(top, atom)
        if function is dim_mod and parts is not None and parts[0] * y % bottom == 0:
            return _divided(parts[0] * x + parts[1], bottom, facts)[1]
    return top % bottom


def _factors(top: Dim, bottom: Dim, facts: Facts) -> list[Dim]:
    """Divisors of `bottom` that may divide a part of `top`, itself first."""
    found: list[Dim] = [bottom]
    divisor = list(terms_of(bottom).items())
    for term in terms_of(top).items():
        terms = [term, *divisor]
        common = reduce(operator.and_, (Counter(atoms) for atoms, _ in terms))
        found.append(product_of(common.elements(), gcd(*(c for _, c in terms))))
    found += [c for c in _collected(top, facts).values() if c != 0 and bottom % c == 0]
    return [g for g in dict.fromkeys(found) if g == bottom or not isinstance(g, int) or g > 1]


def _partings(top: Dim, g: Dim, facts: Facts) -> Iterator[tuple[Dim, Dim]]:
    """Ways of writing `top` as ``g*u + v``."""
    terms = terms_of(g)
    if len(terms) == 1:
        yield _long_division(top, g)
    else:
        u: Dim = 0
        for atoms, coefficient in _collected(top, facts).items():
            whole, rest = _long_division(coefficient, g)
            if rest == 0 or not atoms:
                u += whole * product_of(atoms, 1)
        yield u, top - u * g
    if isinstance(g, int) and g > 0:
        u = sum((product_of(atoms, c // g) for atoms, c in terms_of(top).items()), 0)
        yield u, top - u * g


def _long_division(top: Dim, bottom: Dim) -> tuple[Dim, Dim]:
    """Quotient and rest of polynomials; no term of the rest is a multiple of the first term of `bottom`.

    Cox, Little, O'Shea, *Ideals, Varieties, and Algorithms*, § 2.3.
    """
    lead, unit = next(iter(terms_of(bottom).items()))
    whole: Dim = 0
    rest: Dim = 0
    while top != 0:
        atoms, c = next(iter(terms_of(top).items()))
        left = Counter(atoms)
        left.subtract(lead)
        if c % unit or min(left.values(), default=0) < 0:
            part = product_of(atoms, c)
            rest += part
            top -= part
        else:
            part = product_of(left.elements(), c // unit)
            whole += part
            top -= part * bottom
    return whole, rest


def _collected(dim: Dim, facts: Facts) -> dict[Monomial, Dim]:
    """The coefficients, which are sizes, of products of what varies in the loops."""
    found: dict[Monomial, Dim] = {}
    for atoms, c in terms_of(dim).items():
        varying = tuple(atom for atom in atoms if varies(atom, facts))
        size = product_of((atom for atom in atoms if not varies(atom, facts)), c)
        found[varying] = found.get(varying, 0) + size
    return found


def _block(dim: Dim, size: Dim, facts: Facts) -> Dim | None:
    """``dim//size`` where that is the same wherever the loops go."""
    if dim == 0:
        return 0
    guesses = [0, -1]
    if isinstance(size, int):
        low = extreme(dim, False, facts)
        guesses = [low // size] if isinstance(low, int) else guesses
    for q in guesses:
        if holds(dim - q * size, facts) and holds(q * size + size - 1 - dim, facts):
            return q
    return None
