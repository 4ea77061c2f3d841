"""Masks, a bit for each lane, as instructions of x86 with AVX-512. What is above the lanes of one, nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Rule, Selection, is_set
from symgraph.codegen.x86_values import (
    GENERAL,
    MASK,
    R8,
    R32,
    R64,
    K,
    Type,
    Unknown,
    Value,
    numbers_in,
    type_of,
)

_OF_TWO = {"and": "kandq {}, {}, {}", "or": "korq {}, {}, {}", "xor": "kxorq {}, {}, {}"}
_NOT, _BUT = "knotq {}, {}", "kandnq {}, {}, {}"
_IS = {
    "eq": "kxnorq {}, {}, {}",
    "ne": "kxorq {}, {}, {}",
    "ugt": _BUT,
    "ult": _BUT,
    "ule": _BUT,
    "uge": _BUT,
}


def of_two(name: str, type_: Type) -> Rule:
    """``kandq k1, k2, k3``, ``knotq k1, k2``"""
    if name not in _OF_TWO:
        raise Unknown(name)
    text = _OF_TWO[name]

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        if x[0] != "%":
            x, y = y, x
        if y[0] != "%" and name == "xor" and is_set(y):
            s.give(to, [s.made(MASK, _NOT, K, part) for part in s.values(x)])
            return
        pairs = zip(*_alike(s, (x, y), type_), strict=True)
        s.give(to, [s.made(MASK, text, K, *pair) for pair in pairs])

    return rule


def _alike(s: Selection, names: Sequence[str], type_: Type) -> list[list[Value]]:
    """The parts of masks, as many of each."""
    parts = max([len(s.values(each)) for each in names if each[0] == "%"], default=type_.parts)
    return [s.masks(each, parts, type_) for each in names]


def compared(how: str, type_: Type) -> Rule:
    """``kandnq k1, k2, k3``: the third without the second, which is less where that is set."""
    if how not in _IS:
        raise Unknown(how)
    text, swaps, inverts = _IS[how], how in ("ugt", "ule"), how in ("ule", "uge")

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, *names = given
        first, second = _alike(s, names, type_)
        pairs = zip(second, first, strict=True) if swaps else zip(first, second, strict=True)
        made = [s.made(MASK, text, K, *pair) for pair in pairs]
        s.give(to, [s.made(MASK, _NOT, K, part) for part in made] if inverts else made)

    return rule


def chosen(type_: Type) -> Rule:
    """``kandq k1, k2, k3``, ``kandnq k4, k2, k5``, ``korq k1, k1, k4``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, *names = given
        made = []
        for mask, x, y in zip(*_alike(s, names, type_), strict=True):
            pair = s.made(MASK, _OF_TWO["and"], K, mask, x), s.made(MASK, _BUT, K, mask, y)
            made.append(s.made(MASK, _OF_TWO["or"], K, *pair))
        s.give(to, made)

    return rule


def set_by(s: Selection, x: str) -> Value:
    """A bit in all lanes: ``movzx eax, cl``, ``neg rax``, ``kmovq k1, rax``."""
    number = s.made(GENERAL, "movzx {}, {}", R32, s.one(x, R8))
    s.change("neg {}", (number[0], R64))
    return s.made(MASK, "kmovq {}, {}", K, (number[0], R64))


def first(s: Selection, x: str) -> Value:
    """The bit of the first lane: ``kmovd eax, k1``, ``and eax, 1``."""
    bit = s.made(GENERAL, "kmovd {}, {}", R32, s.one(x, K))
    s.change("and {}, 1", bit)
    return bit


def shuffled(type_: Type, to_type: Type) -> Rule:
    """The same bit in all lanes, neighbours, every bit twice, or one mask after another."""
    lanes, made = type_.lanes, to_type.lanes

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y, places = given
        if places == "zeroinitializer" and x in s.firsts:
            s.give(to, [(s.one(x, K))] * to_type.parts)
            return
        numbers = numbers_in(places)
        begin = numbers[0]
        if numbers == tuple(n // 2 for n in range(made)) and made == 2 * lanes:
            s.give(to, _twice(s, x, type_, to_type))
        elif numbers == tuple(range(2 * lanes)) and y[0] == "%":
            both = [*s.masks(x, type_.parts, type_), *s.masks(y, type_.parts, type_)]
            s.give(to, s.packed(both, to_type.parts, to_type))
        elif numbers == tuple(range(begin, begin + made)) and begin + made <= lanes and begin % made == 0:
            s.give(to, [s.masks(x, max(lanes // made, type_.parts), type_)[begin // made]])
        else:
            raise Unknown(places)

    return rule


def _twice(s: Selection, x: str, type_: Type, to_type: Type) -> list[Value]:
    """``pdep rax, rax, every second``, ``lea rax, [rax + 2*rax]``"""
    parts = []
    every = s.loaded(str((1 << 64) // 3), type_of("i64"))
    for part in s.masks(x, to_type.parts, type_):
        bits = s.made(GENERAL, "kmovq {}, {}", R64, part)
        apart = s.made(GENERAL, "pdep {}, {}, {}", R64, bits, every)
        parts.append(
            s.made(MASK, "kmovq {}, {}", K, s.made(GENERAL, "lea {}, [{} + 2*{}]", R64, apart, apart))
        )
    return parts


def alone(s: Selection, mask: Value, lanes: int) -> Value:
    """A mask of a few lanes of which nothing else is set: ``kmovb k1, k2``."""
    return (
        s.made(MASK, f"kmov{_LETTERS[lanes]} {{}}, {{}}", K, mask)
        if lanes in _LETTERS
        else _cut(s, mask, lanes)
    )


_LETTERS = {8: "b", 16: "w", 32: "d"}


def _cut(s: Selection, mask: Value, lanes: int) -> Value:
    shifted = s.made(MASK, f"kshiftlq {{}}, {{}}, {64 - lanes}", K, mask)
    return s.made(MASK, f"kshiftrq {{}}, {{}}, {64 - lanes}", K, shifted)
