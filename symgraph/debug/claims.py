"""Whether a rule keeps what it claims to keep, tried on values where claims break."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from symgraph.errors import DTypeError, VerifyError
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import Array, schedule
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, PLACEHOLDER, constant, placeholder
from symgraph.graph.types import DType, dtype
from symgraph.graph.walk import leaves, toposort
from symgraph.ops.arithmetic import astype
from symgraph.optimizations.rules import ALGEBRAIC, BITS, ROUNDING, SHARPER, Rule, wildcards

_FEW = 4.0
"""Units in the last place that rounding may cost."""

_ROWS = 40
_SIZES = ((0, 0), (1, 1), (0, 3), (2, 5), (7, 2))
_MOST, _MOST_EXACT = 20_000, 200


def check_rule(rule: Rule) -> int:
    """Try a rule in all its dtypes on zeros of both signs, infinities, NaN, tiny, huge and drawn values.

    The result is how many values were compared. ``BITS`` are compared as bits (all NaNs are one), ``ROUNDING`` within
    4 units in the last place, ``SHARPER`` by the distances of both sides from the exact value, ``ALGEBRAIC`` on tame
    values alone.

    Raises VerifyError with a value for which the claim is false, and for a rule that never holds.
    """
    compared = 0
    for name in rule.dtypes:
        for left in instances(rule, name):
            right = rule.apply(left)
            if right is None:
                continue
            if right.type != left.type:
                raise VerifyError(f"rule {rule.name!r} makes {right.type} of {left.type}")
            compared += _compare(rule, left, right, name)
    if not compared:
        raise VerifyError(f"rule {rule.name!r} never holds for its example; give one for which it does")
    return compared


def instances(rule: Rule, name: str) -> Iterator[Node]:
    """The example in a dtype; with a number for the last wildcard where it needs one."""
    if rule.example is None:
        raise VerifyError(f"rule {rule.name!r} has no example")
    if not any(x.op is PLACEHOLDER for x in leaves([rule.example])):
        yield rule.example
        return
    try:
        whole = _retyped(rule.example, name)
    except DTypeError:
        return
    if rule.apply(whole) is not None:
        yield whole
        return
    scalars = [x for x in leaves([rule.example]) if x.op is PLACEHOLDER and not x.ndim]
    for count in (1, 2):
        for parts in itertools.combinations(scalars, count):
            for numbers in itertools.product(_numbers(dtype(name)), repeat=count):
                chosen = {part.name: number for part, number in zip(parts, numbers, strict=True)}
                made = _retyped(rule.example, name, chosen)
                if rule.apply(made) is not None:
                    yield made


def _numbers(row: DType) -> tuple[float, ...]:
    if not row.is_inexact:
        return (2, 3, 0, 1)
    return (2.0, -3.0, 0.5, 0.0, -0.0, 1.0)


def _retyped(example: Node, name: str, numbers: dict[str | None, float] | None = None) -> Node:
    """The example with its own dtype replaced, on vectors for its scalars."""
    order = toposort([example])
    written = wildcards([example])[0].row
    row = dtype(name)
    made: dict[Node, Node] = {}
    for part in order:
        if part.op is PLACEHOLDER:
            kind = row if part.row is written else part.row
            if numbers and part.name in numbers:
                made[part] = constant(numbers[part.name], kind)
            else:
                made[part] = placeholder(kind, part.shape or ("k",), name=part.name)
        elif part.op is CONSTANT:
            value = part.attrs.value  # type: ignore[union-attr]
            made[part] = constant(value.astype(row.numpy) if part.row is written else value)
        elif part.op is astype.op and part.attrs.dtype is written:  # type: ignore[union-attr]
            made[part] = astype(made[part.inputs[0]], row)
        else:
            made[part] = make(part.op, tuple(made[x] for x in part.inputs), part.attrs)
    return made[example]


def _compare(rule: Rule, left: Node, right: Node, name: str) -> int:
    given = [x for x in leaves([left]) if x.op is PLACEHOLDER]
    symbols = _symbols(left)
    if symbols and not given:
        return sum(_compare_at(rule, left, right, symbols, sizes) for sizes in _SIZES)
    most = _MOST_EXACT if rule.keeps is SHARPER else _MOST
    arrays = _feeds(given, most, tame=rule.keeps is ALGEBRAIC)
    before, after = schedule([left, right], given).run(arrays)
    before, after = np.broadcast_arrays(before, after)
    if rule.keeps is BITS or not left.row.is_inexact:
        wrong = ~_same_bits(before, after)
    elif rule.keeps is ROUNDING:
        wrong = ~_same_kind(before, after) | (_apart(before, after) > _FEW)
    elif rule.keeps is ALGEBRAIC:
        wrong = ~np.isclose(_wide(before), _wide(after), rtol=1e4 * _epsilon(left), equal_nan=True)
    else:
        wrong = _further(left, given, arrays, before, after)
    if wrong.any():
        raise VerifyError(_told(rule, name, given, arrays, before, after, wrong))
    return int(wrong.size)


def _symbols(node: Node) -> tuple[Size, ...]:
    """The sizes that the attributes speak of."""
    attrs = [x.attrs for x in toposort([node]) if x.attrs is not None and x.op is not PLACEHOLDER]
    return tuple(sorted({size for each in attrs for size in each.symbols()}, key=str))


def _compare_at(
    rule: Rule, left: Node, right: Node, symbols: tuple[Size, ...], sizes: tuple[int, ...]
) -> int:
    """A rule about sizes, at some."""
    carrier = placeholder("bool", symbols, name="carrier")
    before, after = schedule([left, right], [carrier]).run([np.zeros(sizes[: len(symbols)], bool)])
    if before != after:
        where = dict(zip(symbols, sizes, strict=False))
        raise VerifyError(f"rule {rule.name!r} is false for {where}: {before} becomes {after}")
    return 1


def _further(left: Node, given: list[Node], arrays: list[Array], before: Array, after: Array) -> Array:
    """Where the right side is further from the truth than the left."""
    from symgraph.debug.exact import exact  # needs the package mpmath
    from symgraph.debug.ulps import ulps

    truth = exact([left], dict(zip(given, arrays, strict=True)))[0]
    first, second = ulps(before, truth), ulps(after, truth)
    nowhere = np.vectorize(lambda value: bool(value != value), otypes=[bool])(truth)
    lost = nowhere & ~np.isnan(_wide(before)) & ~np.isnan(_wide(after)) & ~_same_bits(before, after)
    return np.asarray(np.where(nowhere, lost, ~((second <= first) | (second <= _FEW))))


def _feeds(given: list[Node], most: int, *, tame: bool) -> list[Array]:
    """Every combination of the edge values, or drawn ones where there are too many."""
    rng = np.random.default_rng(0)
    inner = {size for x in given for size in x.shape[1:]}
    scalars = [x for x in given if x.ndim == 1]
    product = list(itertools.product(*(_edges(x, tame) for x in scalars)))
    if len(product) > most:
        product = [product[at] for at in rng.choice(len(product), most, replace=False)]
    columns = {x: np.array([row[i] for row in product], x.dtype) for i, x in enumerate(scalars)}
    arrays = []
    for x in given:
        if x in columns:
            arrays.append(columns[x])
            continue
        shape = tuple(size if isinstance(size, int) else 4 if size in inner else _ROWS for size in x.shape)
        arrays.append(rng.choice(np.array(_edges(x, tame), x.dtype), shape))
    return arrays


def _edges(x: Node, tame: bool) -> list[Any]:
    """Values of a dtype at which arithmetic is different."""
    row = x.row
    rng = np.random.default_rng(1)
    if row.kind == "bool":
        return [False, True]
    if row.is_integer:
        ends = np.iinfo(row.numpy)
        signed = [-1, -2, -7, ends.min, ends.min + 1] if row.kind == "int" else []
        return [0, 1, 2, 3, 7, 100, ends.max, ends.max - 1, *signed]
    drawn = list(rng.uniform(0.3, 3, 4)) + list(-rng.uniform(0.3, 3, 3))
    if tame:
        return drawn
    info: Any = ml_dtypes.finfo(row.numpy if not row.is_complex else np.dtype(f"f{row.bits // 16}"))  # type: ignore[no-untyped-call]
    tiny, huge, eps = float(info.smallest_subnormal), float(info.max), float(info.eps)
    odd = [tiny, float(info.tiny), eps, eps / 4, 1e-3, 20.0, 90.0, huge**0.5 * 2, huge / 2, huge]
    plain = [0.0, 1.0, 2.0, 0.5, 3.0, *odd]
    return [*plain, *(-value for value in plain), np.inf, -np.inf, np.nan, *drawn]


def _wide(x: Array) -> Array:
    return x if x.dtype.kind == "c" else x.astype(np.float64)


def _epsilon(node: Node) -> float:
    return float(ml_dtypes.finfo(node.dtype).eps)  # type: ignore[no-untyped-call]


def _same_bits(a: Array, b: Array) -> Array:
    kind = np.dtype(f"V{a.dtype.itemsize}")
    same = np.frombuffer(a.tobytes(), kind) == np.frombuffer(b.tobytes(), kind)
    nan = (a != a) & (b != b)
    return np.asarray(same.reshape(a.shape) | nan)


def _same_kind(a: Array, b: Array) -> Array:
    a, b = _wide(a), _wide(b)
    return np.asarray((np.isnan(a) == np.isnan(b)) & (np.isinf(a) == np.isinf(b)) & ~(np.isinf(a) & (a != b)))


def _apart(a: Array, b: Array) -> Array:
    """How many units in the last place lie between two arrays."""
    with np.errstate(all="ignore"):
        unit = np.maximum(np.abs(np.spacing(np.abs(a))), np.abs(np.spacing(np.abs(b)))).astype(np.float64)
        return np.asarray(np.nan_to_num(np.abs(_wide(a) - _wide(b)) / unit, nan=0.0))


def _told(
    rule: Rule, name: str, given: list[Node], arrays: list[Array], before: Array, after: Array, wrong: Array
) -> str:
    place = tuple(int(i[0]) for i in np.nonzero(wrong))
    at = ", ".join(
        f"{x.name} = {array[place] if array.shape == wrong.shape else array[place[:1]]!r}"
        for x, array in zip(given, arrays, strict=True)
    )
    return (
        f"rule {rule.name!r} does not keep {rule.keeps.value}: in {name}, for {at}, "
        f"{before[place]!r} becomes {after[place]!r} ({int(wrong.sum())} of {wrong.size} values)"
    )
