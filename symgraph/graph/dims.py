"""Sizes: integers known when a graph is built, or expressions in names that the call binds.

A `Size` is a polynomial with integer coefficients over symbols and over calls of ``//``, ``%``, ``max``,
``min``, ``isqrt`` and ``broadcast``. It is canonical and interned, so the same size is the same object, and one that
cannot vary is an int:

>>> n, m = symbol("n"), symbol("m")
>>> (n + 1) * m - m, n * 2 // 2 is n, n - n
(m*n, True, 0)

Symbols and broadcasts are taken to be >= 0, other expressions only where that follows. Two objects may be
equal for every binding (``n - n//2`` and ``(n + 1)//2``), so ask `same` whether sizes differ. A quotient is
simplified for the bindings that define it: ``n*m//m`` is ``n``.
"""

from __future__ import annotations

import ast
import keyword
import operator
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from math import gcd, isqrt
from threading import RLock
from typing import Any, NoReturn, TypeAlias, TypeGuard
from weakref import WeakValueDictionary

from symgraph.errors import ShapeError
from symgraph.graph.operators import FUNCTIONS

# What one size may cost, whoever wrote it.
LARGEST = 2**63 - 1  # coefficient
LONGEST = 4000  # characters of text
DEEPEST = 32  # calls inside calls; each takes at most three levels of syntax
DEEPEST_SYNTAX = 100
MOST_PRODUCTS = 10_000
MOST_CHOICES = 64


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

    def __reduce__(self) -> tuple[Callable[[str], Dim], tuple[str]]:
        return _read, (str(self),)

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


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """What `dim_floordiv`, `dim_mod`, `dim_max`, `dim_min`, `dim_isqrt` or `broadcast` could not simplify."""

    function: Callable[..., Dim]
    args: tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of coefficients times atoms (symbols and calls), by `_rank`; the constant has no atoms."""

    terms: tuple[tuple[Monomial, int], ...]


Monomial: TypeAlias = tuple[Size, ...]
Terms: TypeAlias = dict[Monomial, int]


def symbol(name: str) -> Size:
    """The size called `name`."""
    known = _interned.get(Symbol(name))
    if known is not None:
        return known
    name = unicodedata.normalize("NFKC", name)  # as Python reads names
    if not name.isidentifier() or keyword.iskeyword(name) or name in _CALLS:
        raise ShapeError(f"a size cannot be called {name!r}")
    with _lock:
        _names.add(name)
        return _intern(Symbol(name))


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


def dim_max(*dims: Dim) -> Dim:
    """The largest; an argument that another one is known to reach does not appear."""
    return max(dims) if _are_ints(dims) else _choose(dim_max, _reaches, dims)


def dim_min(*dims: Dim) -> Dim:
    """The smallest; an argument that is known to reach another one does not appear."""
    return min(dims) if _are_ints(dims) else _choose(dim_min, lambda b, a: _reaches(a, b), dims)


def dim_isqrt(dim: Dim) -> Dim:
    """The root, rounded down, of a size that is not negative."""
    if isinstance(dim, Size):
        return _intern(Call(dim_isqrt, (dim,)))
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
    return _intern(Call(broadcast, args)) if len(args) > 1 else args[0] if args else 1


def same(a: Dim, b: Dim) -> bool | None:
    """Whether the two are equal: for every binding (True), for none (False), or not known (None)."""
    if a is b:
        return True
    terms = _combine(a, b, -1)
    constant = terms.pop((), 0)
    if not any(terms.values()):
        return constant == 0
    differ = constant % gcd(*terms.values()) or _reaches(a, b + 1) or _reaches(b, a + 1)
    return False if differ else None


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
            _polynomial({atoms: c // common for atoms, c in terms.items()}), bottom // common
        )
    factor, top_left, bottom_left = _common_factor(rest, bottom)
    if top_left == 0:
        return whole
    return whole + (_intern(Call(dim_floordiv, (rest, bottom))) if factor == 1 else top_left // bottom_left)


def _floor(top: Dim, bottom: int) -> Dim:
    if isinstance(top, int):
        return top // bottom
    if _leading(top) < 0:  # -n//3 is -((n + 2)//3)
        return -_floor(bottom - 1 - top, bottom)
    varying, constant = _split(top)
    match varying:
        case Size(form=Call(function, (x, y))) if function is dim_floordiv:  # (x//y + 1)//3 is (x + y)//(3*y)
            return dim_floordiv(x + constant * y, y * bottom)
    return _intern(Call(dim_floordiv, (top, bottom)))


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
    return _intern(Call(dim_mod, (rest, bottom))) if factor == 1 else factor * (top_left % bottom_left)


def _residue(terms: Terms, bottom: int) -> Dim:
    below = (bottom - 1) // 2  # coefficients as near to 0 as can be, or -n % 8 would read 7*n % 8
    near = {atoms: (c + below) % bottom - below for atoms, c in terms.items() if atoms}
    common = gcd(bottom, *near.values())
    quotient, constant = divmod(terms.get((), 0) % bottom, common)
    rest = _polynomial({atoms: c // common for atoms, c in near.items()} | {(): quotient})
    bottom //= common
    residue = rest % bottom if isinstance(rest, int) else _intern(Call(dim_mod, (rest, bottom)))
    return common * residue + constant


def _long_division(top: Dim, bottom: Dim) -> tuple[Dim, Dim]:
    """Quotient and rest: term by term where `bottom` has one term, else only if there is no rest."""
    divisor = terms_of(bottom)
    lead, unit = next(iter(divisor.items()))
    whole: Terms = {}
    rest = terms_of(top)
    if len(divisor) == 1:
        for atoms in rest:
            left = _without(atoms, lead)
            if left is not None:
                c = rest[atoms]
                # Towards 0, which keeps signs, but downwards for a constant.
                whole[left] = c // unit if c >= 0 or not atoms else -(-c // unit)
                rest[atoms] = c - whole[left] * unit
        return _polynomial(whole), _polynomial(rest)
    while rest and len(whole) < MOST_CHOICES:
        first = min(rest, key=_rank)
        left = _without(first, lead)
        if left is None or rest[first] % unit:
            break
        whole[left] = rest[first] // unit
        for atoms, c in divisor.items():
            product = _sorted(left + atoms)
            rest[product] = rest.get(product, 0) - whole[left] * c
        rest = {atoms: c for atoms, c in rest.items() if c}
    return (0, top) if rest else (_polynomial(whole), 0)


def _common_factor(top: Dim, bottom: Dim) -> tuple[Dim, Dim, Dim]:
    """The largest term that divides every term of both, and both divided by it."""
    terms = [*terms_of(top).items(), *terms_of(bottom).items()]
    atoms = _sorted(reduce(operator.and_, (Counter(atoms) for atoms, _ in terms)).elements())
    factor = _polynomial({atoms: gcd(*(c for _, c in terms))})
    return factor, _long_division(top, factor)[0], _long_division(bottom, factor)[0]


def _without(atoms: Monomial, part: Monomial) -> Monomial | None:
    left = list(atoms)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _choose(function: Callable[..., Dim], beats: Callable[[Dim, Dim], bool], dims: Iterable[Dim]) -> Dim:
    args = {arg for dim in dims for arg in _flat(function, dim)}
    if len(args) > MOST_CHOICES:
        raise ShapeError(f"{len(args)} sizes to choose from; {MOST_CHOICES} is the most")
    kept = [a for a in args if not any(a is not b and beats(b, a) for b in args)]
    return kept[0] if len(kept) == 1 else _intern(Call(function, tuple(sorted(kept, key=_key))))


def _flat(function: Callable[..., Dim], dim: Dim) -> tuple[Dim, ...]:
    """``max(a, b) + 1`` as ``a + 1, b + 1``, and so for min; ``broadcast(a, b)`` as ``a, b``."""
    varying, constant = _split(dim)
    match varying:
        case Size(form=Call(called, args)) if called is function and (
            not constant or called is not broadcast
        ):
            return tuple(arg + constant for arg in args) if constant else args
    return (dim,)


def _split(dim: Dim) -> tuple[Dim, int]:
    """What varies, and the constant that is added to it."""
    constant = terms_of(dim).get((), 0)
    return (dim - constant if constant else dim), constant


def _reaches(a: Dim, b: Dim) -> bool:
    """Whether their forms show that ``a >= b`` for every binding."""
    return _sum_nonnegative(_combine(a, b, -1).items())


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
            rest = _without(atoms, (atom,))
            if isinstance(bottom, Size):
                rest = _without(rest or (), (bottom,)) if _nonnegative(bottom) else None
                times = c
            else:
                times, left = divmod(c, bottom)
                rest = rest if bottom > 0 and not left else None
            if rest is None or not all(map(_nonnegative, rest)):
                continue
            whole = reduce(operator.mul, rest, times) * top
            return _combine(_polynomial({key: n for key, n in terms if key != atoms}), -whole, -1)
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


def _add(a: Dim, b: Dim) -> Dim:
    return _polynomial(_combine(a, b, 1))


def _subtract(a: Dim, b: Dim) -> Dim:
    return _polynomial(_combine(a, b, -1))


def _combine(a: Dim, b: Dim, sign: int) -> Terms:
    terms = terms_of(a)
    for atoms, c in terms_of(b).items():
        terms[atoms] = terms.get(atoms, 0) + sign * c
    return terms


def _multiply(a: Dim, b: Dim) -> Dim:
    left, right = terms_of(a), terms_of(b)
    if len(left) * len(right) > MOST_PRODUCTS:
        raise ShapeError(f"{a!s:.60} times {b!s:.60} has too many terms")
    terms: Terms = {}
    for x, c in left.items():
        for y, d in right.items():
            atoms = _sorted(x + y)
            terms[atoms] = terms.get(atoms, 0) + c * d
    return _polynomial(terms)


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


def _are_ints(dims: tuple[Dim, ...]) -> TypeGuard[tuple[int, ...]]:
    return all(isinstance(dim, int) for dim in dims)


def terms_of(dim: Dim) -> Terms:
    if isinstance(dim, int):
        return {(): dim}
    return dict(dim.form.terms) if isinstance(dim.form, Polynomial) else {(dim,): 1}


def _leading(dim: Dim) -> int:
    return next(iter(terms_of(dim).values()))


def _polynomial(terms: Terms) -> Dim:
    """The size with these terms; an int or an atom where it is one."""
    kept = tuple(sorted((term for term in terms.items() if term[1]), key=lambda term: _rank(term[0])))
    match kept:
        case ():
            return 0
        case (((), constant),):
            return constant
        case (((atom,), 1),):
            return atom
    if any(abs(c) > LARGEST for _, c in kept):
        raise ShapeError("a size has a coefficient of more than 64 bits")
    return _intern(Polynomial(kept))


def _key(dim: Dim) -> tuple[int, str]:
    return dim.key if isinstance(dim, Size) else (2, str(dim))


def _rank(atoms: Monomial) -> tuple[int, list[tuple[int, str]]]:
    """Orders terms: by degree, then as words; products keep this order, which long division needs."""
    return -len(atoms), [atom.key for atom in atoms]


def _sorted(atoms: Iterable[Size]) -> Monomial:
    return tuple(sorted(atoms, key=_key))


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


_interned: WeakValueDictionary[Symbol | Call | Polynomial, Size] = WeakValueDictionary()
_names: set[str] = set()  # that a symbol has had
_numbers: dict[str, Iterator[int]] = {}
_lock = RLock()


def _intern(form: Symbol | Call | Polynomial) -> Size:
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
            return f"{_NAMES[function]}({', '.join(map(str, args))})"


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
        case Size(form=Call(function)) if function in _NAMES:
            return str(dim)
        case int() if dim >= 0:
            return str(dim)
    return f"({dim})"


_INFIX: Mapping[Callable[..., Dim], str] = {dim_floordiv: "//", dim_mod: " % "}
_CALLS: Mapping[str, Callable[..., Dim]] = {
    "max": dim_max,
    "min": dim_min,
    "isqrt": dim_isqrt,
    "broadcast": broadcast,
}
_NAMES: Mapping[Callable[..., Dim], str] = {function: name for name, function in _CALLS.items()}
_OPERATORS: Mapping[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: _add,
    ast.Sub: _subtract,
    ast.Mult: _multiply,
    ast.FloorDiv: dim_floordiv,
    ast.Mod: dim_mod,
}


def parse_dim(node: ast.expr, rename: Mapping[str, Size] | None = None) -> Dim:
    """The size that a syntax tree spells; ``parse_dim(ast.parse(str(d), mode="eval").body) is d``."""
    return _parse(node, rename or {}, 0)


def _read(text: str) -> Dim:
    return parse_dim(ast.parse(text, mode="eval").body)


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
