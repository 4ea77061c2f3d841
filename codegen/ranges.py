"""What the ranges of loops say of expressions: signs, and least and largest values, proved a step at a time."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from symgraph.graph.dims import (
    Call,
    Dim,
    Size,
    broadcast,
    dim_floordiv,
    dim_max,
    dim_min,
    dim_mod,
    is_symbol,
    symbols,
    terms_of,
)

Ranges: TypeAlias = Mapping[Size, Dim]
"""The extents of loop variables."""

DEEPEST_PROOF = 8  # steps that remove a call, or try both ends of a range


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known inside the loops."""

    ranges: Ranges
    known: tuple[Dim, ...]  # each is >= 0
    least: Mapping[Size, int]  # values that symbols and calls reach


def facts_of(ranges: Ranges) -> Facts:
    assert not any(symbols(extent) & ranges.keys() for extent in ranges.values()), "extents are sizes"
    facts = Facts(ranges, (), {})
    for extent in ranges.values():
        facts = learn(extent - 1, facts)
    return facts


def learn(dim: Dim, facts: Facts) -> Facts:
    """The facts, and that `dim` is >= 0: ``n//2 >= 1`` says that ``n >= 2``."""
    if isinstance(dim, int) or dim in facts.known:
        return facts
    atoms, c = next(iter(terms_of(dim).items()))
    least = -(terms_of(dim).get((), 0) // c)
    if len(atoms) > 1 or c < 0 or len(atoms_of(dim)) > 1:
        facts = Facts(facts.ranges, (*facts.known, dim), facts.least)
    if c < 0 or any(other not in (atoms, ()) for other in terms_of(dim)):
        return facts
    if len(atoms) > 1:
        if least >= 1 and all(_atom_nonnegative(atom, facts, DEEPEST_PROOF) for atom in atoms):
            for atom in atoms:
                facts = learn(atom - 1, facts)
        return facts
    (atom,) = atoms
    if least <= facts.least.get(atom, least - 1):
        return facts
    facts = Facts(facts.ranges, facts.known, {**facts.least, atom: least})
    match atom.form:
        case Call(function, (top, bottom)) if function is dim_floordiv:
            if holds(bottom, facts):
                return learn(top - least * bottom, facts)
        case Call(function, args) if function is dim_min or (function is broadcast and least == 1):
            for arg in args:
                facts = learn(arg - least, facts)
    return facts


def holds(dim: Dim, facts: Facts, depth: int = DEEPEST_PROOF) -> bool:
    """Whether `dim` is shown to be >= 0 wherever the loops go.

    What is linear in a variable is least at an end of its range, and a call lies between what bounds it; so one
    after the other goes, until only sizes are left.
    """
    if plain(dim, facts, depth):
        return True
    atom = outermost(dim, facts)
    only_sizes = atom is None or not varies(atom, facts)
    if only_sizes and any(plain(dim - fact, facts, depth) for fact in facts.known):
        return True
    parts = None if atom is None or depth == 0 else linear(dim, atom)
    if atom is None or parts is None:
        return False
    slope, rest = parts
    rising, falling = plain(slope, facts, depth), plain(-slope, facts, depth)
    if isinstance(atom.form, Call):
        return _call_holds(slope, atom.form, rest, rising, falling, facts, depth - 1)
    last = slope * (facts.ranges[atom] - 1) + rest
    if rising or falling:
        return holds(rest if rising else last, facts, depth)
    return holds(rest, facts, depth - 1) and holds(last, facts, depth - 1)


def _call_holds(
    slope: Dim, call: Call, rest: Dim, rising: bool, falling: bool, facts: Facts, depth: int
) -> bool:
    """Whether ``slope*call + rest`` is shown to be >= 0."""

    def holds_at(value: Dim) -> bool:
        return holds(slope * value + rest, facts, depth)

    if call.function not in (dim_floordiv, dim_mod):
        enough = (
            any if (call.function is dim_min and falling) or (call.function is dim_max and rising) else all
        )
        return enough(map(holds_at, call.args))
    top, bottom = call.args
    if not (rising or falling) or not holds(bottom, facts, depth):
        return False
    if call.function is dim_mod:
        if rising:
            return holds_at(0)
        return holds_at(bottom - 1) or (holds(top, facts, depth) and holds_at(top))
    if holds(slope * (top - bottom + 1 if rising else top) + rest * bottom, facts, depth):
        return True
    end = extreme(top, falling, facts, depth)
    return end is not None and end is not top and holds_at(end // bottom)


def plain(dim: Dim, facts: Facts, depth: int) -> bool:
    """Whether all terms are >= 0 when each atom is counted from its least value."""
    if isinstance(dim, int):
        return dim >= 0
    if all(c > 0 for c in terms_of(dim).values()):
        return all(_atom_nonnegative(atom, facts, depth) for atom in atoms_of(dim))
    if not any(c > 0 and facts.least.keys() & set(atoms) for atoms, c in terms_of(dim).items()):
        return False
    shifted: Dim = 0
    for atoms, c in terms_of(dim).items():
        shifted += reduce(operator.mul, (atom + max(facts.least.get(atom, 0), 0) for atom in atoms), c)
    return all(c >= 0 for c in terms_of(shifted).values()) and all(
        _atom_nonnegative(atom, facts, depth) for atom in atoms_of(shifted)
    )


def _atom_nonnegative(atom: Size, facts: Facts, depth: int) -> bool:
    if is_symbol(atom) or facts.least.get(atom, -1) >= 0:
        return True
    if depth == 0 or not isinstance(atom.form, Call):
        return False
    match atom.form.function:
        case function if function is broadcast:
            return True
        case function if function is dim_max:
            return any(holds(arg, facts, depth - 1) for arg in atom.form.args)
        case function if function is dim_mod:
            return holds(atom.form.args[1], facts, depth - 1)
    return all(holds(arg, facts, depth - 1) for arg in atom.form.args)


def extreme(dim: Dim, largest: bool, facts: Facts, depth: int = DEEPEST_PROOF) -> Dim | None:
    """A size that `dim` does not exceed, or does not fall below."""
    while (atom := outermost(dim, facts)) is not None and varies(atom, facts):
        parts = linear(dim, atom)
        if parts is None:
            return None
        slope, rest = parts
        rising = holds(slope, facts, depth)
        if not rising and not holds(-slope, facts, depth):
            return None
        end = _atom_extreme(atom, largest is rising, facts, depth)
        if end is None:
            return None
        dim = slope * end + rest
    return dim


def _atom_extreme(atom: Size, largest: bool, facts: Facts, depth: int) -> Dim | None:
    if is_symbol(atom):
        return facts.ranges[atom] - 1 if largest else 0
    if depth == 0 or not isinstance(atom.form, Call):
        return None
    match atom.form:
        case Call(function, (top, bottom)) if function in (dim_floordiv, dim_mod):
            if symbols(bottom) & facts.ranges.keys() or not holds(bottom, facts, depth - 1):
                return None
            end = extreme(top, largest, facts, depth - 1)
            if function is dim_floordiv:
                return None if end is None else end // bottom
            if not largest:
                return 0
            fits = end is not None and holds(top, facts, depth - 1) and holds(bottom - 1 - end, facts)
            return end if fits else bottom - 1
        case Call(function, args) if function in (dim_min, dim_max):
            ends = [extreme(arg, largest, facts, depth - 1) for arg in args]
            known = [end for end in ends if end is not None]
            one_is_enough = (function is dim_min) is largest
            return function(*known) if known and (one_is_enough or len(known) == len(ends)) else None
    return None


def varies(atom: Size, facts: Facts) -> bool:
    return not symbols(atom).isdisjoint(facts.ranges)


def outermost(dim: Dim, facts: Facts) -> Size | None:
    """The atom to bound first: what contains loop variables, then those, then calls of sizes."""
    order = {atom: (varies(atom, facts), atom.depth, atom.key) for atom in atoms_of(dim)}
    order = {atom: rank for atom, rank in order.items() if rank[0] or rank[1]}
    return max(order, key=order.__getitem__, default=None)


def atoms_of(dim: Dim) -> list[Size]:
    return list(dict.fromkeys(atom for atoms in terms_of(dim) for atom in atoms))


def linear(dim: Dim, atom: Size) -> tuple[Dim, Dim] | None:
    """``a, b`` where the polynomial is ``a*atom + b``."""
    slope: Dim = 0
    rest: Dim = 0
    for atoms, c in terms_of(dim).items():
        match atoms.count(atom):
            case 0:
                rest += product_of(atoms, c)
            case 1:
                slope += product_of((other for other in atoms if other is not atom), c)
            case _:
                return None
    return slope, rest


def product_of(atoms: Iterable[Size], factor: int) -> Dim:
    return reduce(operator.mul, atoms, factor)
