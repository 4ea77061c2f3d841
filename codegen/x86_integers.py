"""Integers and masks as instructions of x86 with AVX-512: of lanes, and of single numbers."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Maker, Rule, Selection, is_near, is_set, of_two
from symgraph.codegen.x86_values import GENERAL, MASK, R64, VECTOR, K, Type, Unknown, only, pattern

_OF_INTEGERS = {"add": "vpadd", "sub": "vpsub", "mul": "vpmull", "and": "vpand", "or": "vpor", "xor": "vpxor"}
_OF_MASKS = {"and": "kandq {}, {}, {}", "or": "korq {}, {}, {}", "xor": "kxorq {}, {}, {}"}
_SHIFTS = {"shl": ("sll", "shl"), "lshr": ("srl", "shr"), "ashr": ("sra", "sar")}


def _integers(name: str) -> Maker:
    """Of lanes, of masks, and of single numbers."""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if not type_.lanes:
            return _single(name, type_)
        if type_.kind == MASK:
            return _of_masks(name, type_)
        if type_.bits < 32:
            raise Unknown(form)
        text = f"{_OF_INTEGERS[name]}{type_.letter} {{}}, {{}}, {{}}"
        return of_two(text, type_, commutes=name != "sub")

    return make


def _of_masks(name: str, type_: Type) -> Rule:
    """``kandq k1, k2, k3``, ``knotq k1, k2``"""
    if name not in _OF_MASKS:
        raise Unknown(name)
    text = _OF_MASKS[name]

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        if x[0] != "%":
            x, y = y, x
        if y[0] != "%" and name == "xor" and is_set(y):
            s.give(to, [s.made(MASK, "knotq {}, {}", K, part) for part in s.values(x)])
            return
        parts = max(len(s.values(each)) for each in (x, y) if each[0] == "%")
        pairs = zip(s.masks(x, parts, type_), s.masks(y, parts, type_), strict=True)
        s.give(to, [s.made(MASK, text, K, *pair) for pair in pairs])

    return rule


def _shift(name: str) -> Maker:
    """``vpslld zmm0, zmm1, 23``, ``vpsllvd zmm0, zmm1, zmm2``, ``shlx rax, rcx, rdx``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if not type_.lanes:
            return _single_shift(name, type_)
        if type_.bits < 32:
            raise Unknown(form)
        same, each = (f"vp{_SHIFTS[name][0]}{v}{type_.letter} {{}}, {{}}, {{}}" for v in ("", "v"))
        by_lanes = of_two(each, type_, commutes=False)

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x, count = given
            if count[0] == "%":
                by_lanes(s, given)
            else:
                by = str(pattern(count, type_))
                s.give(to, [s.made(VECTOR, same, type_.names, part, by) for part in s.registers(x, type_)])

        return rule

    return make


def _single(name: str, type_: Type) -> Rule:
    """``lea rax, [rcx + rdx]``, or a copy that is changed."""
    in_place = f"{'imul' if name == 'mul' else name} {{}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        if name != "sub" and x[0] != "%":
            x, y = y, x
        if x[0] == "%" and type_.bits == 64 and name in ("add", "sub"):
            if y[0] == "%" and name == "add":
                s.give(to, [s.made(GENERAL, "lea {}, [{} + {}]", R64, s.one(x, R64), s.one(y, R64))])
                return
            if y[0] != "%" and is_near(int(y)):
                by = y if name == "add" else str(-int(y))
                s.give(to, [s.made(GENERAL, "lea {}, [{} + {}]", R64, s.one(x, R64), by)])
                return
        value = s.copied_general(x, type_)
        s.change(in_place, value, s.source(y, type_))
        s.give(to, [value])

    return rule


def _single_shift(name: str, type_: Type) -> Rule:
    """The count is less than the bits. What is above the bits of a number nobody knows, and it is not shifted in."""
    if type_.bits < 16 or (name == "ashr" and type_.bits < 32):
        raise Unknown(f"{name} {type_.text}")
    short = _SHIFTS[name][1]

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, count = given
        if name == "lshr" and type_.bits == 16 and x[0] == "%":
            raise Unknown(f"{name} {type_.text}")
        if count[0] == "%":
            text, by = short + "x {}, {}, {}", s.one(count, type_.whole)
            s.give(to, [s.made(GENERAL, text, type_.whole, s.general(x, type_), by)])
        else:
            value = s.copied_general(x, type_)
            s.change(f"{short} {{}}, {count}", value)
            s.give(to, [value])

    return rule


def _extremum(condition: str) -> Maker:
    """``cmp rax, rcx``, ``cmovg rax, rcx``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if type_.lanes or type_.bits < 32:
            raise Unknown(form)

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x, y = given
            other, value = s.general(y, type_), s.copied_general(x, type_)
            s.change("cmp {}, {}", value, other)
            s.change(f"cmov{condition} {{}}, {{}}", value, other)
            s.give(to, [value])

        return rule

    return make


INTEGERS: dict[str, Maker] = {
    **{name: _integers(name) for name in _OF_INTEGERS},
    **{name: _shift(name) for name in _SHIFTS},
    "llvm.smin": _extremum("g"),
    "llvm.smax": _extremum("l"),
    "llvm.umin": _extremum("a"),
    "llvm.umax": _extremum("b"),
}
