"""Polynomials with integer coefficients as dictionaries, from products of atoms to coefficients; no atoms are 1."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from math import gcd
from typing import Protocol, TypeAlias, TypeVar


class Atom(Protocol):
    """Anything that has an order."""

    @property
    def key(self) -> tuple[int, str]: ...


A = TypeVar("A", bound=Atom)
Product: TypeAlias = tuple[A, ...]
"""Atoms, by their keys."""
Terms: TypeAlias = dict[Product[A], int]

MOST = 64
"""Terms of a quotient by a sum."""


def combined(a: Terms[A], b: Terms[A], sign: int) -> Terms[A]:
    """``a + sign * b``."""
    terms = a.copy()
    for atoms, c in b.items():
        terms[atoms] = terms.get(atoms, 0) + sign * c
    return terms


def multiplied(a: Terms[A], b: Terms[A]) -> Terms[A]:
    terms: Terms[A] = {}
    for x, c in a.items():
        for y, d in b.items():
            atoms = _sorted(x + y)
            terms[atoms] = terms.get(atoms, 0) + c * d
    return terms


def divided(top: Terms[A], bottom: Terms[A]) -> tuple[Terms[A], Terms[A]]:
    """Quotient and rest: term by term where ``bottom``, which is in order, has one, else only if there is no rest."""
    lead, unit = next(iter(bottom.items()))
    whole: Terms[A] = {}
    rest = top.copy()
    if len(bottom) == 1:
        for atoms in rest:
            left = without(atoms, lead)
            if left is not None:
                c = rest[atoms]
                # Towards 0, which keeps signs, but downwards for a constant.
                whole[left] = c // unit if c >= 0 or not atoms else -(-c // unit)
                rest[atoms] = c - whole[left] * unit
        return whole, rest
    while rest and len(whole) < MOST:
        first = min(rest, key=_rank)
        left = without(first, lead)
        if left is None or rest[first] % unit:
            break
        whole[left] = rest[first] // unit
        for atoms, c in bottom.items():
            product = _sorted(left + atoms)
            rest[product] = rest.get(product, 0) - whole[left] * c
        rest = {atoms: c for atoms, c in rest.items() if c}
    return ({}, top) if rest else (whole, {})


def common_factor(terms: Sequence[tuple[Product[A], int]]) -> Terms[A]:
    """The largest term that divides every one of these."""
    atoms = _sorted(reduce(operator.and_, (Counter(atoms) for atoms, _ in terms)).elements())
    return {atoms: gcd(*(c for _, c in terms))}


def without(atoms: Product[A], part: Product[A]) -> Product[A] | None:
    """A product divided by another; None where that leaves a rest."""
    left = list(atoms)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def in_order(terms: Terms[A]) -> tuple[tuple[Product[A], int], ...]:
    """The terms that are not 0, by degree, then as words."""
    return tuple(sorted((term for term in terms.items() if term[1]), key=lambda term: _rank(term[0])))


def _rank(atoms: Product[A]) -> tuple[int, list[tuple[int, str]]]:
    """Orders terms: by degree, then as words; products keep this order, which long division needs."""
    return -len(atoms), [atom.key for atom in atoms]


def _sorted(atoms: Iterable[A]) -> Product[A]:
    return tuple(sorted(atoms, key=lambda atom: atom.key))
