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
from typing import TypeAlias

from symgraph.errors import ShapeError
from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import (
    Call,
    Dim,
    Monomial,
    Size,
    broadcast,
    dim_floordiv,
    dim_max,
    dim_min,
    dim_mod,
    is_symbol,
    rebuild_dim,
    same,
    symbols,
    terms_of,
)

__all__ = ["Merged", "Ranges", "affine", "bounds", "flatten", "merge", "reshaped", "simplify", "unflatten"]

Ranges: TypeAlias = Mapping[Size, Dim]
"""The extents of loop variables."""

MOST_ROUNDS = 8  # of rewriting; the second one seldom finds anything
DEEPEST_PROOF = 8  # steps that remove a call, or try both ends of a range


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
        facts = _facts(ranges)
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
    facts = _facts(ranges)
    index = simplify(index, ranges)
    try:
        found = [_extreme(index, largest, facts, DEEPEST_PROOF) for largest in (False, True)]
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
        parts = _linear(rest, variable)
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


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known inside the loops."""

    ranges: Ranges
    known: tuple[Dim, ...]  # each is >= 0
    least: Mapping[Size, int]  # values that symbols and calls reach


def _facts(ranges: Ranges) -> _Facts:
    assert not any(symbols(extent) & ranges.keys() for extent in ranges.values()), "extents are sizes"
    facts = _Facts(ranges, (), {})
    for extent in ranges.values():
        facts = _learn(extent - 1, facts)
    return facts


def _learn(dim: Dim, facts: _Facts) -> _Facts:
    """The facts, and that `dim` is >= 0: ``n//2 >= 1`` says that ``n >= 2``."""
    if isinstance(dim, int) or dim in facts.known:
        return facts
    atoms, c = next(iter(terms_of(dim).items()))
    least = -(terms_of(dim).get((), 0) // c)
    if len(atoms) > 1 or c < 0 or len(_atoms(dim)) > 1:
        facts = _Facts(facts.ranges, (*facts.known, dim), facts.least)
    if c < 0 or any(other not in (atoms, ()) for other in terms_of(dim)):
        return facts
    if len(atoms) > 1:
        if least >= 1 and all(_atom_nonnegative(atom, facts, DEEPEST_PROOF) for atom in atoms):
            for atom in atoms:
                facts = _learn(atom - 1, facts)
        return facts
    (atom,) = atoms
    if least <= facts.least.get(atom, least - 1):
        return facts
    facts = _Facts(facts.ranges, facts.known, {**facts.least, atom: least})
    match atom.form:
        case Call(function, (top, bottom)) if function is dim_floordiv:
            if _holds(bottom, facts):
                return _learn(top - least * bottom, facts)
        case Call(function, args) if function is dim_min or (function is broadcast and least == 1):
            for arg in args:
                facts = _learn(arg - least, facts)
    return facts


def _rewritten(dim: Dim, facts: _Facts) -> Dim:
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
                return dim_min(*_chosen(parts, lambda a, b: _holds(a - b, facts)))
            if function is dim_max:
                return dim_max(*_chosen(parts, lambda a, b: _holds(b - a, facts)))
            return function(*parts)
    return _recombined(rebuild_dim(dim, lambda part: _rewritten(part, facts)), facts)


def _chosen(args: list[Dim], loses: Callable[[Dim, Dim], bool]) -> list[Dim]:
    kept = list(args)
    for arg in args:
        if any(other is not arg and loses(arg, other) for other in kept):
            kept.remove(arg)
    return kept


def _recombined(dim: Dim, facts: _Facts) -> Dim:
    """``x//b*b + x % b`` is ``x``, with any factor."""
    calls = _calls(dim)
    for atom, function, top, bottom in calls:
        parts = _linear(dim, atom)
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


def _divided(top: Dim, bottom: Dim, facts: _Facts) -> tuple[Dim, Dim]:
    """Quotient and remainder.

    With ``g*q <= v < g*q + g``, ``(g*u + v)//(g*w)`` is ``(u + q)//w``, and ``v - g*q`` is added to what is left.
    """
    if bottom == 0 or (isinstance(top, int) and isinstance(bottom, int)):
        return dim_floordiv(top, bottom), dim_mod(top, bottom)
    positive = _holds(bottom, facts)  # it is not 0 where the quotient is defined
    if positive:
        facts = _learn(bottom - 1, facts)
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


def _quotient(top: Dim, bottom: Dim, positive: bool, facts: _Facts) -> Dim:
    """``x % (a*b) // b`` as ``x//b % a``, and ``(x//a + y)//b`` as ``(x + a*y)//(a*b)``."""
    for atom, function, x, y in _calls(top) if positive else ():
        if function is dim_mod and atom is top and _holds(y, facts) and y % bottom == 0:
            return _divided(_divided(x, bottom, facts)[0], y // bottom, facts)[1]
        parts = _linear(top, atom)
        if function is dim_floordiv and parts is not None and parts[0] == 1:
            return _divided(x + parts[1] * y, y * bottom, facts)[0]
    return top // bottom


def _remainder(top: Dim, bottom: Dim, facts: _Facts) -> Dim:
    """``(x % (a*b) + y) % b`` as ``(x + y) % b``."""
    for atom, function, x, y in _calls(top):
        parts = _linear(top, atom)
        if function is dim_mod and parts is not None and parts[0] * y % bottom == 0:
            return _divided(parts[0] * x + parts[1], bottom, facts)[1]
    return top % bottom


def _factors(top: Dim, bottom: Dim, facts: _Facts) -> list[Dim]:
    """Divisors of `bottom` that may divide a part of `top`, itself first."""
    found: list[Dim] = [bottom]
    divisor = list(terms_of(bottom).items())
    for term in terms_of(top).items():
        terms = [term, *divisor]
        common = reduce(operator.and_, (Counter(atoms) for atoms, _ in terms))
        found.append(_term(common.elements(), gcd(*(c for _, c in terms))))
    found += [c for c in _collected(top, facts).values() if c != 0 and bottom % c == 0]
    return [g for g in dict.fromkeys(found) if g == bottom or not isinstance(g, int) or g > 1]


def _partings(top: Dim, g: Dim, facts: _Facts) -> Iterator[tuple[Dim, Dim]]:
    """Ways of writing `top` as ``g*u + v``."""
    terms = terms_of(g)
    if len(terms) == 1:
        yield _long_division(top, g)
    else:
        u: Dim = 0
        for atoms, coefficient in _collected(top, facts).items():
            whole, rest = _long_division(coefficient, g)
            if rest == 0 or not atoms:
                u += whole * _term(atoms, 1)
        yield u, top - u * g
    if isinstance(g, int) and g > 0:
        u = sum((_term(atoms, c // g) for atoms, c in terms_of(top).items()), 0)
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
            part = _term(atoms, c)
            rest += part
            top -= part
        else:
            part = _term(left.elements(), c // unit)
            whole += part
            top -= part * bottom
    return whole, rest


def _collected(dim: Dim, facts: _Facts) -> dict[Monomial, Dim]:
    """The coefficients, which are sizes, of products of what varies in the loops."""
    found: dict[Monomial, Dim] = {}
    for atoms, c in terms_of(dim).items():
        varying = tuple(atom for atom in atoms if _varies(atom, facts))
        size = _term((atom for atom in atoms if not _varies(atom, facts)), c)
        found[varying] = found.get(varying, 0) + size
    return found


def _block(dim: Dim, size: Dim, facts: _Facts) -> Dim | None:
    """``dim//size`` where that is the same wherever the loops go."""
    if dim == 0:
        return 0
    guesses = [0, -1]
    if isinstance(size, int):
        low = _extreme(dim, False, facts, DEEPEST_PROOF)
        guesses = [low // size] if isinstance(low, int) else guesses
    for q in guesses:
        if _holds(dim - q * size, facts) and _holds(q * size + size - 1 - dim, facts):
            return q
    return None


def _holds(dim: Dim, facts: _Facts, depth: int = DEEPEST_PROOF) -> bool:
    """Whether `dim` is shown to be >= 0 wherever the loops go.

    What is linear in a variable is least at an end of its range, and a call lies between what bounds it; so one
    after the other goes, until only sizes are left.
    """
    if _plain(dim, facts, depth):
        return True
    atom = _outermost(dim, facts)
    only_sizes = atom is None or not _varies(atom, facts)
    if only_sizes and any(_plain(dim - fact, facts, depth) for fact in facts.known):
        return True
    parts = None if atom is None or depth == 0 else _linear(dim, atom)
    if atom is None or parts is None:
        return False
    slope, rest = parts
    rising, falling = _plain(slope, facts, depth), _plain(-slope, facts, depth)
    if isinstance(atom.form, Call):
        return _call_holds(slope, atom.form, rest, rising, falling, facts, depth - 1)
    last = slope * (facts.ranges[atom] - 1) + rest
    if rising or falling:
        return _holds(rest if rising else last, facts, depth)
    return _holds(rest, facts, depth - 1) and _holds(last, facts, depth - 1)


def _call_holds(
    slope: Dim, call: Call, rest: Dim, rising: bool, falling: bool, facts: _Facts, depth: int
) -> bool:
    """Whether ``slope*call + rest`` is shown to be >= 0."""

    def holds_at(value: Dim) -> bool:
        return _holds(slope * value + rest, facts, depth)

    if call.function not in (dim_floordiv, dim_mod):
        enough = (
            any if (call.function is dim_min and falling) or (call.function is dim_max and rising) else all
        )
        return enough(map(holds_at, call.args))
    top, bottom = call.args
    if not (rising or falling) or not _holds(bottom, facts, depth):
        return False
    if call.function is dim_mod:
        if rising:
            return holds_at(0)
        return holds_at(bottom - 1) or (_holds(top, facts, depth) and holds_at(top))
    if _holds(slope * (top - bottom + 1 if rising else top) + rest * bottom, facts, depth):
        return True
    end = _extreme(top, falling, facts, depth)
    return end is not None and end is not top and holds_at(end // bottom)


def _plain(dim: Dim, facts: _Facts, depth: int) -> bool:
    """Whether all terms are >= 0 when each atom is counted from its least value."""
    if isinstance(dim, int):
        return dim >= 0
    if all(c > 0 for c in terms_of(dim).values()):
        return all(_atom_nonnegative(atom, facts, depth) for atom in _atoms(dim))
    if not any(c > 0 and facts.least.keys() & set(atoms) for atoms, c in terms_of(dim).items()):
        return False
    shifted: Dim = 0
    for atoms, c in terms_of(dim).items():
        shifted += reduce(operator.mul, (atom + max(facts.least.get(atom, 0), 0) for atom in atoms), c)
    return all(c >= 0 for c in terms_of(shifted).values()) and all(
        _atom_nonnegative(atom, facts, depth) for atom in _atoms(shifted)
    )


def _atom_nonnegative(atom: Size, facts: _Facts, depth: int) -> bool:
    if is_symbol(atom) or facts.least.get(atom, -1) >= 0:
        return True
    if depth == 0 or not isinstance(atom.form, Call):
        return False
    match atom.form.function:
        case function if function is broadcast:
            return True
        case function if function is dim_max:
            return any(_holds(arg, facts, depth - 1) for arg in atom.form.args)
        case function if function is dim_mod:
            return _holds(atom.form.args[1], facts, depth - 1)
    return all(_holds(arg, facts, depth - 1) for arg in atom.form.args)


def _extreme(dim: Dim, largest: bool, facts: _Facts, depth: int) -> Dim | None:
    """A size that `dim` does not exceed, or does not fall below."""
    while (atom := _outermost(dim, facts)) is not None and _varies(atom, facts):
        parts = _linear(dim, atom)
        if parts is None:
            return None
        slope, rest = parts
        rising = _holds(slope, facts, depth)
        if not rising and not _holds(-slope, facts, depth):
            return None
        end = _atom_extreme(atom, largest is rising, facts, depth)
        if end is None:
            return None
        dim = slope * end + rest
    return dim


def _atom_extreme(atom: Size, largest: bool, facts: _Facts, depth: int) -> Dim | None:
    if is_symbol(atom):
        return facts.ranges[atom] - 1 if largest else 0
    if depth == 0 or not isinstance(atom.form, Call):
        return None
    match atom.form:
        case Call(function, (top, bottom)) if function in (dim_floordiv, dim_mod):
            if symbols(bottom) & facts.ranges.keys() or not _holds(bottom, facts, depth - 1):
                return None
            end = _extreme(top, largest, facts, depth - 1)
            if function is dim_floordiv:
                return None if end is None else end // bottom
            if not largest:
                return 0
            fits = end is not None and _holds(top, facts, depth - 1) and _holds(bottom - 1 - end, facts)
            return end if fits else bottom - 1
        case Call(function, args) if function in (dim_min, dim_max):
            ends = [_extreme(arg, largest, facts, depth - 1) for arg in args]
            known = [end for end in ends if end is not None]
            one_is_enough = (function is dim_min) is largest
            return function(*known) if known and (one_is_enough or len(known) == len(ends)) else None
    return None


def _varies(atom: Size, facts: _Facts) -> bool:
    return not symbols(atom).isdisjoint(facts.ranges)


def _outermost(dim: Dim, facts: _Facts) -> Size | None:
    """The atom to bound first: what contains loop variables, then those, then calls of sizes."""
    order = {atom: (_varies(atom, facts), atom.depth, atom.key) for atom in _atoms(dim)}
    order = {atom: rank for atom, rank in order.items() if rank[0] or rank[1]}
    return max(order, key=order.__getitem__, default=None)


def _atoms(dim: Dim) -> list[Size]:
    return list(dict.fromkeys(atom for atoms in terms_of(dim) for atom in atoms))


def _linear(dim: Dim, atom: Size) -> tuple[Dim, Dim] | None:
    """``a, b`` where the polynomial is ``a*atom + b``."""
    slope: Dim = 0
    rest: Dim = 0
    for atoms, c in terms_of(dim).items():
        match atoms.count(atom):
            case 0:
                rest += _term(atoms, c)
            case 1:
                slope += _term((other for other in atoms if other is not atom), c)
            case _:
                return None
    return slope, rest


def _term(atoms: Iterable[Size], factor: int) -> Dim:
    return reduce(operator.mul, atoms, factor)
