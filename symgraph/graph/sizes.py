"""Sizes: integers known when a graph is built, or expressions in names that the call binds.

A `Size` is a polynomial with integer coefficients over symbols and over calls of ``//``, ``%``, ``max``,
``min``, ``isqrt`` and ``broadcast``. It is canonical and interned, so the same size is the same object, and one that
cannot vary is an int:

>>> n, m = symbol("n"), symbol("m")
>>> (n + 1) * m - m, n * 2 // 2 is n, n - n
(m*n, True, 0)

A quotient is simplified for the bindings that define it: ``n*m//m`` is ``n``.
"""

from __future__ import annotations

import keyword
import operator
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import count
from math import gcd
from threading import RLock
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeGuard
from weakref import WeakValueDictionary

from symgraph.errors import ShapeError
from symgraph.graph import polynomials
from symgraph.graph.operators import FUNCTIONS

# What one size may cost, whoever wrote it.
LARGEST = 2**63 - 1  # coefficient
LONGEST = 4000  # characters of text
DEEPEST = 32  # calls inside calls; each takes at most three levels of syntax
MOST_PRODUCTS = 10_000


class Size:
    """A symbolic integer, made by `symbol`, `fresh` and arithmetic; equal means ``is``."""

    __slots__ = ("__weakref__", "depth", "form", "key", "source", "symbols")
    __array_ufunc__ = None  # np.int64(2) * size asks the size

    form: Symbol | Call | Polynomial
    key: tuple[int, str]  # orders sizes: symbols first, then by text
    depth: int
    symbols: frozenset[Size]  # those that occur in it; none in a symbol, which would hold itself
    source: object | None
    """The node whose run decides this size; None for a size bound by an input. Set at most once."""

    def __init__(self, form: Symbol | Call | Polynomial, text: str, depth: int) -> None:
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "key", (0 if isinstance(form, Symbol) else 1, text))
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "symbols", frozenset().union(*map(symbols, _parts(form))))
        object.__setattr__(self, "source", None)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "source" or self.source is not None:
            raise AttributeError(f"{name} of size {self} cannot be set")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return self.key[1]

    def __reduce__(self) -> tuple[Callable[..., Dim], tuple[Any, ...]]:
        match self.form:
            case Symbol(name):
                return symbol, (name,)
            case Call(function, args):
                return function, args
            case Polynomial(terms):
                return polynomial, (dict(terms),)

    def __add__(self, other: Dim) -> Dim:
        return _apply(_add, self, other)

    def __radd__(self, other: Dim) -> Dim:
        return _apply(_add, other, self)

    def __sub__(self, other: Dim) -> Dim:
        return _apply(_subtract, self, other)

    def __rsub__(self, other: Dim) -> Dim:
        return _apply(_subtract, other, self)

    def __mul__(self, other: Dim) -> Dim:
        return _apply(_multiply, self, other)

    def __rmul__(self, other: Dim) -> Dim:
        return _apply(_multiply, other, self)

    def __floordiv__(self, other: Dim) -> Dim:
        return _apply(dim_floordiv, self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return _apply(dim_floordiv, other, self)

    def __mod__(self, other: Dim) -> Dim:
        return _apply(dim_mod, self, other)

    def __rmod__(self, other: Dim) -> Dim:
        return _apply(dim_mod, other, self)

    def __truediv__(self, other: object) -> Any:
        return _as_values(_divide, self, other)

    def __rtruediv__(self, other: object) -> Any:
        return _as_values(_divide, other, self)

    def __neg__(self) -> Dim:
        return _multiply(-1, self)

    def __int__(self) -> NoReturn:
        raise TypeError(f"size {self} is not known before the call, so it is no int")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"size {self} is not known before the call, so it is neither true nor false")

    def __lt__(self, other: object) -> NoReturn:
        raise TypeError(
            f"{self} and {other} have no order before the call; dim_max, dim_min and same may help"
        )

    __le__ = __gt__ = __ge__ = __lt__


Dim: TypeAlias = int | Size


class Symbol(NamedTuple):
    name: str


class Call(NamedTuple):
    """What `dim_floordiv`, `dim_mod`, `dim_max`, `dim_min`, `dim_isqrt` or `broadcast` could not simplify."""

    function: Callable[..., Dim]
    args: tuple[Dim, ...]


class Polynomial(NamedTuple):
    """A sum of coefficients times atoms (symbols and calls), in order; the constant has no atoms."""

    terms: tuple[tuple[Monomial, int], ...]


Monomial: TypeAlias = tuple[Size, ...]
Terms: TypeAlias = polynomials.Terms[Size]


def symbol(name: str) -> Size:
    """The size called `name`."""
    known = _interned.get(Symbol(name))
    if known is not None:
        return known
    name = unicodedata.normalize("NFKC", name)  # as Python reads names
    if not name.isidentifier() or keyword.iskeyword(name) or name in NAMES.values():
        raise ShapeError(f"a size cannot be called {name!r}")
    with _lock:
        _names.add(name)
        return intern(Symbol(name))


def fresh(prefix: str = "d") -> Size:
    """A symbol with a name that no symbol has had: ``d1``, ``d2``, …"""
    with _lock:
        numbers = _numbers.setdefault(prefix, count(1))
        return symbol(next(name for i in numbers if (name := f"{prefix}{i}") not in _names))


def is_symbol(dim: Dim) -> TypeGuard[Size]:
    return isinstance(dim, Size) and isinstance(dim.form, Symbol)


def symbols(dim: Dim) -> frozenset[Size]:
    """The symbols that occur in it."""
    if isinstance(dim, int):
        return _NONE
    return frozenset((dim,)) if isinstance(dim.form, Symbol) else dim.symbols


_NONE: frozenset[Size] = frozenset()


# Quotients


def dim_floordiv(top: Dim, bottom: Dim) -> Dim:
    """``top//bottom``, as the part that divides and one call for the rest, in lowest terms."""
    if bottom == 0:
        raise ShapeError(f"{top} is divided by zero")
    if isinstance(top, int) and isinstance(bottom, int):
        return top // bottom
    if _leading(bottom) < 0:
        return dim_floordiv(-top, -bottom)
    whole, rest = _long_division(top, bottom)
    if isinstance(bottom, int):
        terms = terms_of(rest)
        common = gcd(bottom, *(c for atoms, c in terms.items() if atoms))
        # (2*n + 1)//4 is n//2: the rest of the constant never counts.
        return whole + _floor(
            polynomial({atoms: c // common for atoms, c in terms.items()}), bottom // common
        )
    factor, top_left, bottom_left = _common_factor(rest, bottom)
    if top_left == 0:
        return whole
    return whole + (intern(Call(dim_floordiv, (rest, bottom))) if factor == 1 else top_left // bottom_left)


def _floor(top: Dim, bottom: int) -> Dim:
    if isinstance(top, int):
        return top // bottom
    if _leading(top) < 0:  # -n//3 is -((n + 2)//3)
        return -_floor(bottom - 1 - top, bottom)
    varying, constant = split(top)
    match varying:
        case Size(form=Call(function, (x, y))) if function is dim_floordiv:  # (x//y + 1)//3 is (x + y)//(3*y)
            return dim_floordiv(x + constant * y, y * bottom)
    return intern(Call(dim_floordiv, (top, bottom)))


def dim_mod(top: Dim, bottom: Dim) -> Dim:
    """``top % bottom`` without what divides, common factors in front."""
    if bottom == 0:
        raise ShapeError(f"{top} is divided by zero")
    if isinstance(top, int) and isinstance(bottom, int):
        return top % bottom
    if _leading(bottom) < 0:
        return -dim_mod(-top, -bottom)
    if isinstance(bottom, int):
        return _residue(terms_of(top), bottom)
    rest = _long_division(top, bottom)[1]
    factor, top_left, bottom_left = _common_factor(rest, bottom)
    if top_left == 0:
        return 0
    return intern(Call(dim_mod, (rest, bottom))) if factor == 1 else factor * (top_left % bottom_left)


def _residue(terms: Terms, bottom: int) -> Dim:
    below = (bottom - 1) // 2  # coefficients as near to 0 as can be, or -n % 8 would read 7*n % 8
    near = {atoms: (c + below) % bottom - below for atoms, c in terms.items() if atoms}
    common = gcd(bottom, *near.values())
    quotient, constant = divmod(terms.get((), 0) % bottom, common)
    rest = polynomial({atoms: c // common for atoms, c in near.items()} | {(): quotient})
    bottom //= common
    residue = rest % bottom if isinstance(rest, int) else intern(Call(dim_mod, (rest, bottom)))
    return common * residue + constant


def _long_division(top: Dim, bottom: Dim) -> tuple[Dim, Dim]:
    """Quotient and rest: term by term where `bottom` has one term, else only if there is no rest."""
    whole, rest = polynomials.divided(terms_of(top), terms_of(bottom))
    return polynomial(whole), polynomial(rest)


def _common_factor(top: Dim, bottom: Dim) -> tuple[Dim, Dim, Dim]:
    """The largest term that divides every term of both, and both divided by it."""
    factor = polynomial(polynomials.common_factor([*terms_of(top).items(), *terms_of(bottom).items()]))
    return factor, _long_division(top, factor)[0], _long_division(bottom, factor)[0]


# Sums and products


def _add(a: Dim, b: Dim) -> Dim:
    return polynomial(combined(a, b, 1))


def _subtract(a: Dim, b: Dim) -> Dim:
    return polynomial(combined(a, b, -1))


def _multiply(a: Dim, b: Dim) -> Dim:
    left, right = terms_of(a), terms_of(b)
    if len(left) * len(right) > MOST_PRODUCTS:
        raise ShapeError(f"{a!s:.60} times {b!s:.60} has too many terms")
    return polynomial(polynomials.multiplied(left, right))


def combined(a: Dim, b: Dim, sign: int) -> Terms:
    """The terms of ``a + sign * b``, of which some may be 0."""
    return polynomials.combined(terms_of(a), terms_of(b), sign)


def _apply(compute: Callable[[Dim, Dim], Dim], a: Dim, b: Dim) -> Dim:
    """What an operator of `Size` gives; any kind of integer may stand on the other side. With a float it is a node."""
    try:
        a = a if isinstance(a, Size) else int(operator.index(a))
        b = b if isinstance(b, Size) else int(operator.index(b))
    except TypeError:
        return _as_values(compute, a, b)  # type: ignore[no-any-return]
    return compute(a, b)


def _divide(a: Any, b: Any) -> NoReturn:
    raise TypeError("a quotient of sizes may be no size")


def _as_values(compute: Callable[..., Any], a: object, b: object) -> Any:
    """The node of an operator on values, where neither is one yet."""
    if all(isinstance(x, Size | int | float | complex) or type(x).__module__ == "numpy" for x in (a, b)):
        return FUNCTIONS[_OF_VALUES[compute]](a, b)
    return NotImplemented


_OF_VALUES: Mapping[Callable[..., Any], str] = {
    _add: "add",
    _subtract: "subtract",
    _multiply: "multiply",
    _divide: "divide",
    dim_floordiv: "floor_divide",
    dim_mod: "remainder",
}


# Terms


def terms_of(dim: Dim) -> Terms:
    if isinstance(dim, int):
        return {(): dim}
    return dict(dim.form.terms) if isinstance(dim.form, Polynomial) else {(dim,): 1}


def _leading(dim: Dim) -> int:
    return next(iter(terms_of(dim).values()))


def split(dim: Dim) -> tuple[Dim, int]:
    """What varies, and the constant that is added to it."""
    constant = terms_of(dim).get((), 0)
    return (dim - constant if constant else dim), constant


def polynomial(terms: Terms) -> Dim:
    """The size with these terms; an int or an atom where it is one."""
    kept = polynomials.in_order(terms)
    match kept:
        case ():
            return 0
        case (((), constant),):
            return constant
        case (((atom,), 1),):
            return atom
    if any(abs(c) > LARGEST for _, c in kept):
        raise ShapeError("a size has a coefficient of more than 64 bits")
    return intern(Polynomial(kept))


def _parts(form: Symbol | Call | Polynomial) -> Iterable[Dim]:
    match form:
        case Symbol():
            return ()
        case Call(_, args):
            return args
        case Polynomial(terms):
            return (atom for atoms, _ in terms for atom in atoms)


def rebuild_dim(size: Size, part: Callable[[Dim], Dim]) -> Dim:
    """The same expression over other parts."""
    match size.form:
        case Symbol():
            return size
        case Call(function, args):
            return function(*map(part, args))
        case Polynomial(terms):
            total: Dim = 0
            for atoms, c in terms:
                total += reduce(operator.mul, map(part, atoms), c)
            return total


# One object for each size


_interned: WeakValueDictionary[Symbol | Call | Polynomial, Size] = WeakValueDictionary()
_names: set[str] = set()  # that a symbol has had
_numbers: dict[str, Iterator[int]] = {}
_lock = RLock()


def intern(form: Symbol | Call | Polynomial) -> Size:
    """The one size with this form, which must be canonical."""
    size = _interned.get(form)
    if size is not None:
        return size
    depths = [part.depth for part in _parts(form) if isinstance(part, Size)]
    depth = max(depths, default=0) + isinstance(form, Call)
    text = _spell(form)
    if depth > DEEPEST or len(text) > LONGEST:
        raise ShapeError(f"a size is too long or too deeply nested: {text[:60]}…")
    with _lock:
        return _interned.setdefault(form, Size(form, text, depth))


# Text


def _spell(form: Symbol | Call | Polynomial) -> str:
    match form:
        case Symbol(name):
            return name
        case Polynomial(terms):
            return _spell_sum(terms)
        case Call(function, (top, bottom)) if function in _INFIX:
            product = isinstance(top, Size) and isinstance(top.form, Polynomial) and len(top.form.terms) == 1
            left = str(top) if product and _leading(top) > 0 else _spell_factor(top)
            return left + _INFIX[function] + _spell_factor(bottom)
        case Call(function, args):
            return f"{NAMES[function.__name__]}({', '.join(map(str, args))})"


def _spell_sum(terms: Sequence[tuple[Monomial, int]]) -> str:
    """Positive terms, negative terms, constant; but ``1 - n``."""
    varying = sorted((term for term in terms if term[0]), key=lambda term: term[1] < 0)
    constant = [term for term in terms if not term[0]]
    constant_first = varying[0][1] < 0 and any(c > 0 for _, c in constant)
    text = ""
    for atoms, c in constant + varying if constant_first else varying + constant:
        factors = [_spell_factor(atom) for atom in atoms]
        if abs(c) != 1 or not atoms:
            factors.insert(0, str(abs(c)))
        elif len(atoms) == 1 and (text or c > 0):  # n - m//2, but -(m//2)
            factors = [str(atoms[0])]
        sign = "-" if c < 0 else "+"
        text = f"{text} {sign} {'*'.join(factors)}" if text else sign.strip("+") + "*".join(factors)
    return text


def _spell_factor(dim: Dim) -> str:
    """Spelled to stand on either side of any operator."""
    match dim:
        case Size(form=Symbol()):
            return str(dim)
        case Size(form=Call(function)) if function not in _INFIX:
            return str(dim)
        case int() if dim >= 0:
            return str(dim)
    return f"({dim})"


_INFIX: Mapping[Callable[..., Dim], str] = {dim_floordiv: "//", dim_mod: " % "}
NAMES: Mapping[str, str] = {
    "dim_max": "max",
    "dim_min": "min",
    "dim_isqrt": "isqrt",
    "broadcast": "broadcast",
}
"""How other functions are spelled, by their names."""
