"""Lines of LLVM's text as instructions of x86 with AVX-512: a rule for each form of line.

The form of a line is its text without names and numbers. A rule is made for a form once, and is then given those of
each line. Floating-point instructions are those that LLVM selects, so the same bits come out; which registers hold the
values is decided later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

from symgraph.codegen.x86_lanes import LANES
from symgraph.codegen.x86_selection import Selection, is_near, is_set
from symgraph.codegen.x86_values import GENERAL, MASK, R8, R32, R64, VECTOR, XMM, K, Type, Unknown, pattern, types_in

Rule: TypeAlias = "Callable[[Selection, Sequence[str]], None]"
"""Selects what a line with these names and numbers does."""

Maker: TypeAlias = "Callable[[str, list[Type]], Rule]"
"""Gives the rule of a form that names these types; raises Unknown where there is none."""

_OPERAND = re.compile(
    r" (%[^ ,)]+|splat [^)]*\)|-?\d[^ ,)>]*|zeroinitializer|poison|true|false|@[^ ,()]+(?=[,)])|<i\d+ [^>]*>)"
)
"""What a form leaves out; the space at the beginning is what the search looks for first."""
_WORD = re.compile(r"(?: \? = )?(?:call .*?@llvm\.([a-z.]+?)\.[vpfi]\d|(\w+))")


def select(selection: Selection, line: str) -> None:
    """Raises Unknown for a line of which there is no rule."""
    pieces = _OPERAND.split(line)
    _rule(" ?".join(pieces[::2]))(selection, pieces[1::2])


@cache
def _rule(form: str) -> Rule:
    found = _WORD.match(form[1:] if form.startswith("  ?") else form[2:])
    name = (f"llvm.{found[1]}" if found[1] else found[2]) if found else ""
    if name not in _MAKERS:
        raise Unknown(form)
    return _MAKERS[name](form, types_in(form))


def only(types: list[Type], form: str, *, floats: bool = False) -> Type:
    """The one type of a form."""
    if len(set(types)) != 1 or (floats and not types[0].is_float):
        raise Unknown(form)
    return types[0]


# Floating point


def _arithmetic(name: str, *, commutes: bool) -> Maker:
    """``vaddps zmm0, zmm1, zmm2``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form, floats=True)
        return _of_two(f"v{name}{type_.suffix} {{}}, {{}}, {{}}", type_, commutes=commutes)

    return make


def _of_two(text: str, type_: Type, *, commutes: bool) -> Rule:
    """Of vectors or floats; the second may be in memory."""
    names = type_.names

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        if commutes and x[0] != "%":
            x, y = y, x
        pairs = zip(s.registers(x, type_), s.sources(y, type_))
        s.give(to, [s.made(VECTOR, text, names, a, b) for a, b in pairs])

    return rule


def _fma(form: str, types: list[Type]) -> Rule:
    """``vfmadd213ps zmm0, zmm1, zmm2``, which is ``zmm0 * zmm1 + zmm2``; another order where a factor is in memory."""
    type_ = only(types, form, floats=True)
    of_sum, of_factor = (f"vfmadd{order}{type_.suffix} {{}}, {{}}, {{}}" for order in (213, 132))

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y, z = given
        if x[0] != "%":
            x, y = y, x
        text = of_sum
        if y[0] != "%":
            y, z, text = z, y, of_factor
        made = []
        for first, second, third in zip(s.registers(x, type_), s.registers(y, type_), s.sources(z, type_)):
            value = s.copied(first, type_)
            s.change(text, value, second, third)
            made.append(value)
        s.give(to, made)

    return rule


def _by_sign(name: str, *, is_sign: bool) -> Maker:
    """``vxorps`` with the bits of the signs, ``vandps`` with the others."""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form, floats=True)
        text = f"v{name}p{type_.suffix[1]} {{}}, {{}}, {{}}"
        sign = 1 << type_.bits - 1
        packed = _packed(type_)

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x = given
            bits = s.memory(sign if is_sign else sign - 1, packed)
            s.give(to, [s.made(VECTOR, text, type_.names, part, bits) for part in s.registers(x, type_)])

        return rule

    return make


def _packed(type_: Type) -> Type:
    """The type of all lanes of a register."""
    return type_ if type_.lanes else types_in(f"<{128 // type_.bits} x {type_.text}>")[0]


def _copysign(form: str, types: list[Type]) -> Rule:
    """``vpternlogd zmm0, zmm1, signs, 0xd8``: the second where the third has a bit, the first elsewhere."""
    type_ = only(types, form, floats=True)
    text = f"vpternlog{type_.letter} {{}}, {{}}, {{}}, 0xd8"
    packed = _packed(type_)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, sign = given
        bits = s.memory(1 << type_.bits - 1, packed)
        made = []
        for first, second in zip(s.registers(x, type_), s.registers(sign, type_)):
            value = s.copied(first, type_)
            s.change(text, value, second, bits)
            made.append(value)
        s.give(to, made)

    return rule


def _of_one(name: str, end: str = "") -> Maker:
    """``vsqrtps zmm0, zmm1``; of single numbers the other lanes are of a register that is there twice."""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form, floats=True)
        again = "" if type_.lanes else ", {1}"
        text = f"v{name}{type_.suffix} {{0}}, {{1}}{again}{end}"

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x = given
            s.give(to, [s.made(VECTOR, text, type_.names, part) for part in s.registers(x, type_)])

        return rule

    return make


# Integers

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
        return _of_two(text, type_, commutes=name != "sub")

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
        pairs = zip(s.masks(x, parts, type_), s.masks(y, parts, type_))
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
        by_lanes = _of_two(each, type_, commutes=False)

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


_DIVISIONS = {
    "sdiv": "mov r11, {2}; mov rax, {1}; mov r10, rdx; cqo; idiv r11; mov rdx, r10; mov {0}, rax",
    "srem": "mov r11, {2}; mov rax, {1}; mov r10, rdx; cqo; idiv r11; mov r11, rdx; mov rdx, r10; mov {0}, r11",
}
"""They ask for two registers, of which one may hold something; the others hold nothing for long."""


def _division(name: str) -> Maker:
    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form)
        if type_.lanes or type_.bits != 64:
            raise Unknown(form)

        def rule(s: Selection, given: Sequence[str]) -> None:
            to, x, y = given
            s.give(to, [s.made(GENERAL, _DIVISIONS[name], R64, s.general(x, type_), s.general(y, type_))])

        return rule

    return make


# Comparisons and choices

_FLOAT_IS = {"oeq": 0, "olt": 1, "ole": 2, "uno": 3, "une": 4, "ord": 7, "oge": 13, "ogt": 14}
_INTEGER_IS = {"eq": 0, "lt": 1, "le": 2, "ne": 4, "ge": 5, "gt": 6}
_SWAPPED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
_JUMPS = {
    **{"eq": "e", "ne": "ne", "slt": "l", "sle": "le", "sgt": "g", "sge": "ge"},
    **{"ult": "b", "ule": "be", "ugt": "a", "uge": "ae"},
}


def _swapped(how: str) -> str:
    """What says the same of the operands in the other order."""
    return how[:-2] + _SWAPPED.get(how[-2:], how[-2:])


def _compare_floats(form: str, types: list[Type]) -> Rule:
    """``vcmpps k1, zmm0, zmm1, 1``; of single numbers the bit goes on to a general register."""
    type_ = only(types, form, floats=True)
    how = form.split()[3]
    return _compared(f"vcmp{type_.suffix} {{}}, {{}}, {{}}, ", type_, _FLOAT_IS[how], _FLOAT_IS[_swapped(how)])


def _compare_integers(form: str, types: list[Type]) -> Rule:
    """``vpcmpd k1, zmm0, zmm1, 1``"""
    type_ = only(types, form)
    how = form.split()[3]
    if not type_.lanes:
        return _compare_single(how, type_)
    if type_.kind == MASK:
        raise Unknown(form)
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
        pairs = zip(s.registers(x, type_), s.sources(y, type_))
        masks = [s.made(MASK, used, K, *pair) for pair in pairs]
        s.give(to, masks if type_.lanes else [s.made(GENERAL, "kmovw {}, {}", R32, masks[0])])

    return rule


def _compare_single(how: str, type_: Type) -> Rule:
    """``cmp rax, rcx``, ``setl dl``: a jump that follows at once needs only the first."""
    if type_.bits == 1:
        raise Unknown("icmp i1")

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y = given
        jump = _JUMPS[how]
        if x[0] != "%":
            x, y, jump = y, x, _JUMPS[_swapped(how)]
        other = s.one(y, type_.names) if y[0] == "%" else s.source(y, type_)
        s.change("cmp {}, {}", s.one(x, type_.names), other)
        s.give(to, [s.made(GENERAL, f"set{jump} {{}}", R8)])
        s.compared = to, jump

    return rule


def _select(form: str, types: list[Type]) -> Rule:
    """``vblendmps zmm0 {k1}, zmm1, zmm2``: the last where the mask is set."""
    mask, type_ = types[0], only(types[1:], form)
    if type_.kind == GENERAL:
        return _choose(type_)
    if type_.kind == MASK or type_.bits < 32 or (type_.lanes and not mask.lanes):
        raise Unknown(form)
    packed = f"p{type_.suffix[1]}"
    blend = f"v{f'blendm{packed}' if type_.is_float else f'pblendm{type_.letter}'} {{}} {{{{{{}}}}}}, {{}}, {{}}"
    move = f"mova{packed}" if type_.is_float else f"movdqa{type_.bits}"
    zeroing = f"v{move} {{}} {{{{{{}}}}}}{{{{z}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, chosen, x, y = given
        if mask.lanes:
            masks = s.masks(chosen, type_.parts, mask)
        else:  # one bit is that of the only lane
            masks = [s.made(MASK, "kmovw {}, {}", K, s.one(chosen, R32))]
        if x[0] == "%" and y[0] != "%" and not pattern(y, type_):
            pairs = zip(masks, s.registers(x, type_))
            s.give(to, [s.made(VECTOR, zeroing, type_.names, *pair) for pair in pairs])
        else:
            firsts = s.sources(x, type_) if type_.lanes else s.registers(x, type_)
            parts = zip(masks, s.registers(y, type_), firsts)
            s.give(to, [s.made(VECTOR, blend, type_.names, *part) for part in parts])

    return rule


def _choose(type_: Type) -> Rule:
    """``test dl, dl``, ``cmovne rax, rcx``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, condition, x, y = given
        first, value = s.general(x, type_), s.copied_general(y, type_)
        s.change("test {0}, {0}", s.one(condition, R8))
        s.change("cmovne {}, {}", value, first)
        s.give(to, [value])

    return rule


# Memory


def _address(form: str, types: list[Type]) -> Rule:
    """``lea rax, [rcx + 4*rdx]``; so many bytes after something need no instruction."""
    if len(types) != 3 or types[2].lanes or types[2].bits != 64 or types[0].lanes:
        raise Unknown(form)
    size = types[0].bits // 8
    text = f"lea {{}}, [{{}} + {size}*{{}}]" if size > 1 else "lea {}, [{} + {}]"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, base, index = given
        if base[0] != "%":
            raise Unknown(form)
        if index[0] == "%":
            s.give(to, [s.made(GENERAL, text, R64, s.one(base, R64), s.one(index, R64))])
        elif is_near(int(index) * size):
            s.place(to, base, int(index) * size)
        else:
            raise Unknown(form)

    return rule


def _of_memory(type_: Type) -> str:
    """The instruction that moves a value between memory and a register, part by part."""
    if type_.kind == MASK or (type_.kind == GENERAL and type_.bits < 32):
        raise Unknown(type_.text)
    if type_.kind == GENERAL:
        return "mov"
    if type_.width < 4:
        raise Unknown(type_.text)
    if type_.width < 16:
        return "vmovss" if type_.width == 4 else "vmovsd"
    return f"vmovup{type_.suffix[1]}" if type_.is_float else f"vmovdqu{type_.bits}"


def _load(form: str, types: list[Type]) -> Rule:
    """``vmovups zmm0, [rax]``"""
    type_ = types[0]
    text, kind, names, width = f"{_of_memory(type_)} {{}}, [{{}} + {{}}]", type_.kind, type_.names, type_.width

    def rule(s: Selection, given: Sequence[str]) -> None:
        base, offset = s.address(given[1])
        parts = range(type_.parts)
        s.give(given[0], [s.made(kind, text, names, base, str(offset + n * width)) for n in parts])

    return rule


def _store(form: str, types: list[Type]) -> Rule:
    """``vmovups [rax], zmm0``; what is not temporal passes by the caches."""
    type_ = types[0]
    name = _of_memory(type_)
    if "!nontemporal" in form:
        if type_.kind == GENERAL or type_.width < 16:
            raise Unknown(form)
        name = "vmovntps"
    text = f"{name} [{{}} + {{}}], {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, (base, offset) = given[0], s.address(given[1])
        parts = [s.general(x, type_)] if type_.kind == GENERAL else s.registers(x, type_)
        for n, part in enumerate(parts):
            s.change(text, base, str(offset + n * type_.width), part)

    return rule


def _masked_load(form: str, types: list[Type]) -> Rule:
    """``vmovups zmm0 {k1}{z}, [rax]``"""
    type_, mask = types[0], types[3]
    if type_.kind != VECTOR or type_.width < 16:
        raise Unknown(form)
    text = f"{_of_memory(type_)} {{}} {{{{{{}}}}}}{{{{z}}}}, [{{}} + {{}}]"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, address, _, chosen, others = given
        if others not in ("zeroinitializer", "poison"):
            raise Unknown(form)
        base, offset = s.address(address)
        masks = enumerate(s.masks(chosen, type_.parts, mask))
        s.give(
            to,
            [s.made(VECTOR, text, type_.names, each, base, str(offset + n * type_.width)) for n, each in masks],
        )

    return rule


def _masked_store(form: str, types: list[Type]) -> Rule:
    """``vmovups [rax] {k1}, zmm0``"""
    type_, mask = types[0], types[3]
    if type_.kind != VECTOR or type_.width < 16:
        raise Unknown(form)
    text = f"{_of_memory(type_)} [{{}} + {{}}] {{{{{{}}}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, address, _, chosen = given
        base, offset = s.address(address)
        masks = s.masks(chosen, type_.parts, mask)
        for n, (each, part) in enumerate(zip(masks, s.registers(x, type_))):
            s.change(text, base, str(offset + n * type_.width), each, part)

    return rule


_FETCHES = {"0": "prefetchnta", "1": "prefetcht2", "2": "prefetcht1", "3": "prefetcht0"}


def _prefetch(form: str, types: list[Type]) -> Rule:
    """``prefetcht1 [rax]``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        address, writes, locality, _ = given
        base, offset = s.address(address)
        name = "prefetchw" if writes == "1" else _FETCHES[locality]
        s.change(f"{name} [{{}} + {{}}]", base, str(offset))

    return rule


# Between kinds


def _bitcast(form: str, types: list[Type]) -> Rule:
    """The same register under another name, or a move to another kind."""
    type_, to_type = types
    kinds = type_.kind, to_type.kind
    if kinds in ((VECTOR, VECTOR), (GENERAL, GENERAL)):
        if type_.parts != to_type.parts or not (type_.lanes or type_.kind == GENERAL):
            raise Unknown(form)
        return lambda s, given: s.give(given[0], s.values(given[1]))
    if kinds == (GENERAL, MASK):
        move = "kmovq {}, {}" if to_type.lanes > 32 else "kmovd {}, {}"
        names = R64 if to_type.lanes > 32 else R32
        return lambda s, given: s.give(given[0], [s.made(MASK, move, K, s.one(given[1], names))])
    if kinds == (MASK, GENERAL):
        letters = {8: "b", 16: "w", 32: "d", 64: "q"}
        if type_.lanes not in letters:
            raise Unknown(form)
        out, names = f"kmov{letters[type_.lanes]} {{}}, {{}}", R64 if type_.lanes == 64 else R32
        return lambda s, given: s.give(given[0], [s.made(GENERAL, out, names, s.packed(given[1], type_))])
    if MASK in kinds or type_.lanes or to_type.lanes or type_.bits < 32:
        raise Unknown(form)
    text = f"vmov{type_.letter} {{}}, {{}}"

    def move_over(s: Selection, given: Sequence[str]) -> None:
        s.give(given[0], [s.made(to_type.kind, text, to_type.names, s.one(given[1], type_.names))])

    return move_over


def _truncate(form: str, types: list[Type]) -> Rule:
    """What is above the bits of a number, nobody knows."""
    if types[0].lanes or types[1].bits < 8:
        raise Unknown(form)
    return lambda s, given: s.give(given[0], s.values(given[1]))


def _extend(name: str) -> Maker:
    """``movzx eax, cl``, ``movsxd rax, ecx``; lanes of masks are all bits of a constant, or none."""

    def make(form: str, types: list[Type]) -> Rule:
        type_, to_type = types
        if type_.kind == MASK and to_type.kind == VECTOR:
            return _spread_mask(name, type_, to_type)
        if type_.kind != GENERAL or to_type.kind != GENERAL or (type_.bits == 1 and name == "sext"):
            raise Unknown(form)
        if name == "zext":
            text, names = ("mov {}, {}" if type_.bits == 32 else "movzx {}, {}"), R32
        else:
            text, names = ("movsxd {}, {}" if type_.bits == 32 else "movsx {}, {}"), R64

        def rule(s: Selection, given: Sequence[str]) -> None:
            s.give(given[0], [s.made(GENERAL, text, names, s.one(given[1], type_.names))])

        return rule

    return make


def _spread_mask(name: str, type_: Type, to_type: Type) -> Rule:
    """``vmovdqu8 zmm0 {k1}{z}, ones``"""
    value = 1 if name == "zext" else (1 << to_type.bits) - 1
    lanes = to_type.lanes // to_type.parts
    if to_type.width < 16:
        raise Unknown(to_type.text)
    text = f"vmovdqu{to_type.bits} {{}} {{{{{{}}}}}}{{{{z}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x = given
        ones = s.listed([value] * lanes * to_type.parts, to_type)[0]
        s.give(to, [s.made(VECTOR, text, to_type.names, each, ones) for each in s.masks(x, to_type.parts, type_)])

    return rule


def _to_float(form: str, types: list[Type]) -> Rule:
    """``vcvtdq2ps zmm0, zmm1``; ``vcvtsi2ss xmm0, xmm0, rax``, where the other lanes are 0."""
    type_, to_type = types
    if type_.bits < 32 or not to_type.is_float:
        raise Unknown(form)
    if type_.lanes:
        if type_.bits != to_type.bits:
            raise Unknown(form)
        packed = "vcvtdq2ps {}, {}" if type_.bits == 32 else "vcvtqq2pd {}, {}"

        def rule(s: Selection, given: Sequence[str]) -> None:
            s.give(given[0], [s.made(VECTOR, packed, type_.names, part) for part in s.registers(given[1], type_)])

        return rule
    text = f"vcvtsi2{to_type.suffix} {{}}, {{}}, {{}}"

    def single(s: Selection, given: Sequence[str]) -> None:
        number, zeros = s.general(given[1], type_), s.made(VECTOR, "vxorps {0}, {0}, {0}", XMM)
        s.give(given[0], [s.made(VECTOR, text, XMM, zeros, number)])

    return single


# Blocks


def _return(form: str, types: list[Type]) -> Rule:
    if form != "  ret void":
        raise Unknown(form)
    return lambda s, given: s.leave()


def _branch(form: str, types: list[Type]) -> Rule:
    if not types:
        return lambda s, given: s.jump("", given[0][1:], "")
    return lambda s, given: s.jump(given[0], given[1][1:], given[2][1:])


def _phi(form: str, types: list[Type]) -> Rule:
    type_ = only(types, form)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, *ways = given
        s.meet(to, type_, {label[1:]: x for x, label in zip(ways[::2], ways[1::2], strict=True)})

    return rule


def _call(form: str, types: list[Type]) -> Rule:
    """Of a function of the module, which is given integers and addresses."""
    found = re.fullmatch(r"  call void @([\w.]+)\((?:(?:ptr|i64) \?(?:, )?)*\)", form)
    if found is None:
        raise Unknown(form)
    name = found[1]

    def rule(s: Selection, given: Sequence[str]) -> None:
        s.call(name, [s.source(each, type_) for each, type_ in zip(given, types, strict=True)])

    return rule


_MAKERS: dict[str, Maker] = {
    "fadd": _arithmetic("add", commutes=True),
    "fsub": _arithmetic("sub", commutes=False),
    "fmul": _arithmetic("mul", commutes=True),
    "fdiv": _arithmetic("div", commutes=False),
    "fneg": _by_sign("xor", is_sign=True),
    "llvm.fabs": _by_sign("and", is_sign=False),
    "llvm.copysign": _copysign,
    "llvm.fma": _fma,
    "llvm.sqrt": _of_one("sqrt"),
    "llvm.floor": _of_one("rndscale", ", 9"),
    "llvm.ceil": _of_one("rndscale", ", 10"),
    "llvm.trunc": _of_one("rndscale", ", 11"),
    "llvm.roundeven": _of_one("rndscale", ", 8"),
    **{name: _integers(name) for name in _OF_INTEGERS},
    **{name: _shift(name) for name in _SHIFTS},
    **{name: _division(name) for name in _DIVISIONS},
    "llvm.smin": _extremum("g"),
    "llvm.smax": _extremum("l"),
    "llvm.umin": _extremum("a"),
    "llvm.umax": _extremum("b"),
    "fcmp": _compare_floats,
    "icmp": _compare_integers,
    "select": _select,
    "getelementptr": _address,
    "load": _load,
    "store": _store,
    "llvm.masked.load": _masked_load,
    "llvm.masked.store": _masked_store,
    "llvm.prefetch": _prefetch,
    **LANES,
    "bitcast": _bitcast,
    "trunc": _truncate,
    "zext": _extend("zext"),
    "sext": _extend("sext"),
    "sitofp": _to_float,
    "ret": _return,
    "br": _branch,
    "phi": _phi,
    "call": _call,
}
