"""What the names in sizes stand for: values bound by arrays, or other sizes put in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from symgraph.errors import ShapeError
from symgraph.graph.dims import Dim, Size, is_symbol, rebuild_dim, symbols, terms_of


class UnboundSize(ShapeError):
    """A value was asked of an expression with a symbol, `size`, that has none."""

    size: Size

    @classmethod
    def of(cls, size: Size) -> UnboundSize:
        error = cls(f"size {size} is not known here")
        error.size = size
        return error


def evaluate_dim(dim: Dim, sizes: Mapping[Size, int]) -> int:
    """Its value where `sizes` has those of its symbols, or of whole expressions in it."""
    if isinstance(dim, int):
        return dim
    value = sizes.get(dim)
    if value is not None:
        return value
    if is_symbol(dim):
        raise UnboundSize.of(dim)
    result = rebuild_dim(dim, lambda part: evaluate_dim(part, sizes))
    assert isinstance(result, int)
    return result


def substitute_dim(dim: Dim, mapping: Mapping[Size, Dim]) -> Dim:
    """The size with symbols, or whole expressions in it, replaced, all at once."""
    if isinstance(dim, int):
        return dim
    found = mapping.get(dim)
    if found is not None:
        return found
    return dim if is_symbol(dim) else rebuild_dim(dim, lambda part: substitute_dim(part, mapping))


def bind(declared: Sequence[Dim], actual: Sequence[int], sizes: dict[Size, int]) -> None:
    """Add to `sizes` what one array's shape says of plain symbols; other expressions are for `solve`."""
    if len(declared) != len(actual):
        raise ShapeError(f"{len(actual)} axes are given, not {len(declared)}")
    for axis, (dim, value) in enumerate(zip(declared, actual, strict=True)):
        if isinstance(dim, int):
            if dim != value:
                raise ShapeError(f"axis {axis} is {value}, not {dim}")
        elif is_symbol(dim) and sizes.setdefault(dim, value) != value:
            raise ShapeError(f"axis {axis} is {value} but {dim} is {sizes[dim]} already")


def solve(equations: Sequence[tuple[Dim, int]], sizes: dict[Size, int]) -> None:
    """Add to `sizes` what follows from each expression having its value, one linear unknown at a time.

    An equation with nothing unknown is checked; one that stays unknown binds its expression as a whole.
    """
    waiting = list(equations)
    while waiting:
        unsettled = [(dim, value) for dim, value in waiting if not _settle(dim, value, sizes)]
        if len(unsettled) == len(waiting):
            break
        waiting = unsettled
    for dim, value in waiting:
        assert isinstance(dim, Size)
        if sizes.setdefault(dim, value) != value:
            raise ShapeError(f"size {dim} is {value} here but {sizes[dim]} already")


def _settle(dim: Dim, value: int, sizes: dict[Size, int]) -> bool:
    """Whether the equation could be checked, or solved for its one unknown symbol."""
    try:
        known = evaluate_dim(dim, sizes)
    except UnboundSize:
        return _solve_linear(dim, value, sizes)
    if known != value:
        raise ShapeError(f"size {dim} is {value} here but {known} by the other sizes")
    return True


def _solve_linear(dim: Dim, value: int, sizes: dict[Size, int]) -> bool:
    unknown, *more = (s for s in symbols(dim) if s not in sizes)
    if more:
        return False
    slope, rest = 0, value
    for atoms, c in terms_of(dim).items():
        others = [atom for atom in atoms if atom is not unknown]
        if len(atoms) > len(others) + 1 or any(unknown in symbols(atom) for atom in others):
            return False
        term = prod((evaluate_dim(atom, sizes) for atom in others), start=c)
        if len(others) == len(atoms):
            rest -= term
        else:
            slope += term
    if slope == rest == 0:
        return False
    if slope == 0 or rest % slope or rest // slope < 0:
        raise ShapeError(f"size {dim} is {value} here, which no {unknown} gives")
    sizes[unknown] = rest // slope
    return True
