"""Comparisons and choices as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen import x86_masks as masks
from symgraph.codegen.x86_selection import Maker, Rule, Selection, is_set
from symgraph.codegen.x86_values import GENERAL, MASK, R8, R32, VECTOR, K, Type, Unknown, only, pattern

_FLOAT_IS = {"oeq": 0, "olt": 1, "ole": 2, "uno": 3, "une": 4, "ord": 7, "oge": 13, "ogt": 14}
_INTEGER_IS = {"eq": 0, "lt": 1, "le": 2, "ne": 4, "ge": 5, "gt": 6}
_SWAPPED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
_JUMPS = {
    "eq": "e",
    "ne": "ne",
    "slt": "l",
    "sle": "le",
    "sgt": "g",
    "sge": "ge",
    "ult": "b",
    "ule": "be",
    "ugt": "a",
    "uge": "ae",
}


def _swapped(how: str) -> str:
    """What says the same of the operands in the other order."""
    return how[:-2] + _SWAPPED.get(how[-2:], how[-2:])


def _compare_floats(form: str, types: list[Type]) -> Rule:
    """``vcmpps k1, zmm0, zmm1, 1``; of single numbers the bit goes on to a general register."""
    type_ = only(types, form, floats=True)
    how = form.split()[3]
    if how not in _FLOAT_IS:
        raise Unknown(form)
    return _compared(
        f"vcmp{type_.suffix} {{}}, {{}}, {{}}, ", type_, _FLOAT_IS[how], _FLOAT_IS[_swapped(how)]
    )


def _compare_integers(form: str, types: list[Type]) -> Rule:
    """``vpcmpd k1, zmm0, zmm1, 1``"""
    type_ = only(types, form)
    how = form.split()[3]
    if how not in _JUMPS:
        raise Unknown(form)
    if type_.kind == MASK:
        return masks.compared(how, type_)
    if not type_.lanes:
        return _compare_single(how, type_)
    unsigned = "u" if how[0] == "u" else ""
    text = f"vpcmp{unsigned}{type_.letter} {{}}, {{}}, {{}}, "
    return _compared(text, type_, _INTEGER_IS[how[-2:]], _INTEGER_IS[_swapped(how)[-2:]])


def _compared(text: str, type_: Type, how: int, swapped: int) -> Rule:
    plain, other = f"{text}{how}", f"{text}{swapped}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        used = plain
        if x[0] != "%":
            x, y, used = y, x, other
        pairs = zip(s.registers(x, type_), s.sources(y, type_), strict=True)
        masks = [s.made(MASK, used, K, *pair) for pair in pairs]
        s.give(to, masks if type_.lanes else [s.made(GENERAL, "kmovw {}, {}", R32, masks[0])])

    return rule


def _compare_single(how: str, type_: Type) -> Rule:
    """``cmp rax, rcx``, ``setl dl``: a jump that follows needs only the first."""
    if type_.bits == 1 and how[0] == "s":
        raise Unknown(how)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        jump = _JUMPS[how]
        if x[0] != "%":
            x, y, jump = y, x, _JUMPS[_swapped(how)]
        other = s.one(y, type_.names) if y[0] == "%" else s.source(y, type_)
        s.compare(to, jump, (s.general(x, type_)[0], type_.names), other)

    return rule


def _select(form: str, types: list[Type]) -> Rule:
    """``vblendmps zmm0 {k1}, zmm1, zmm2``: the last where the mask is set."""
    mask, type_ = types[0], only(types[1:], form)
    if type_.kind == GENERAL:
        return _choose(type_)
    if type_.kind == MASK and mask.lanes:
        return masks.chosen(type_)
    if type_.kind == MASK or (type_.is_float and type_.bits < 32):
        raise Unknown(form)
    packed = f"p{type_.suffix[1]}"
    blend = (
        f"v{f'blendm{packed}' if type_.is_float else f'pblendm{type_.letter}'} {{}} {{{{{{}}}}}}, {{}}, {{}}"
    )
    move = f"mova{packed}" if type_.is_float else f"movdq{'a' if type_.bits >= 32 else 'u'}{type_.bits}"
    zeroing = f"v{move} {{}} {{{{{{}}}}}}{{{{z}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, chosen, x, y = given
        if not mask.lanes and chosen[0] != "%":
            s.give(to, s.registers(x if is_set(chosen) else y, type_))
            return
        if mask.lanes:
            chosen_parts = s.masks(chosen, type_.parts, mask)
        elif type_.lanes:  # one bit is that of all lanes
            chosen_parts = [masks.set_by(s, chosen)] * type_.parts
        else:
            chosen_parts = [s.made(MASK, "kmovw {}, {}", K, s.one(chosen, R32))]
        if x[0] == "%" and y[0] != "%" and not pattern(y, type_):
            pairs = zip(chosen_parts, s.registers(x, type_), strict=True)
            s.give(to, [s.made(VECTOR, zeroing, type_.names, *pair) for pair in pairs])
        else:
            firsts = s.sources(x, type_) if type_.lanes else s.registers(x, type_)
            parts = zip(chosen_parts, s.registers(y, type_), firsts, strict=True)
            s.give(to, [s.made(VECTOR, blend, type_.names, *part) for part in parts])

    return rule


def _choose(type_: Type) -> Rule:
    """``test dl, dl``, ``cmovne rax, rcx``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, condition, x, y = given
        if condition[0] != "%":
            s.give(to, [s.general(x if is_set(condition) else y, type_)])
            return
        first, value = s.general(x, type_), s.copied_general(y, type_)
        s.change("test {0}, {0}", s.one(condition, R8))
        s.change("cmovne {}, {}", value, first)
        s.give(to, [value])

    return rule


CHOICES: dict[str, Maker] = {
    "fcmp": _compare_floats,
    "icmp": _compare_integers,
    "select": _select,
}
