"""Addresses, and what is read and written there, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_masks import alone
from symgraph.codegen.x86_selection import Maker, Rule, Selection, is_near
from symgraph.codegen.x86_values import (
    GENERAL,
    MASK,
    R8,
    R16,
    R32,
    R64,
    VECTOR,
    XMM,
    Type,
    Unknown,
    Value,
    type_of,
)


def _address(form: str, types: list[Type]) -> Rule:
    """``lea rax, [rcx + 4*rdx]``; so many bytes after something need no instruction."""
    if len(types) != 3 or types[2].bits != 64 or types[0].lanes:
        raise Unknown(form)
    size = types[0].bits // 8
    if types[2].lanes:
        return _addresses(size)
    text = f"lea {{}}, [{{}} + {size}*{{}}]" if size > 1 else "lea {}, [{} + {}]"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, base, index = given
        if base[0] not in "%@":
            raise Unknown(form)
        if index[0] == "%":
            s.give(to, [s.made(GENERAL, text, R64, s.one(base, R64), s.one(index, R64))])
        elif is_near(int(index) * size):
            s.place(to, base, int(index) * size)
        else:
            raise Unknown(form)

    return rule


def _addresses(size: int) -> Rule:
    """Of all lanes, for what reads or writes there."""

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, base, index = given
        s.addresses[to] = base, index, size

    return rule


def quadruple(form: str) -> Rule:
    """``shl rax, 4``, ``lea rax, [rcx + rax]``: the address of a number of 128 bits; there is nothing else of these."""
    if form != "  ? = getelementptr i128, ptr ?, i64 ?":
        raise Unknown(form)
    index_type = type_of("i64")

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, base, index = given
        if index[0] != "%":
            s.place(to, base, 16 * int(index))
            return
        distance = s.copied_general(index, index_type)
        s.change("shl {}, 4", distance)
        s.give(to, [s.made(GENERAL, "lea {}, [{} + {}]", R64, s.one(base, R64), distance)])

    return rule


def _of_memory(type_: Type) -> str:
    """The instruction that moves a value of vectors between memory and a register, part by part."""
    if type_.width < 16:
        return "vmovss" if type_.width == 4 else "vmovsd"
    return f"vmovup{type_.suffix[1]}" if type_.is_float and type_.bits >= 32 else f"vmovdqu{type_.bits}"


_SIZES = {1: "byte", 2: "word"}


def _check(type_: Type, form: str) -> None:
    """Raises Unknown for what is neither read nor written here. A word that threads share is read as others are."""
    is_shared = " atomic " in form and (type_.kind != GENERAL or type_.bits < 32)
    if is_shared or " volatile " in form or type_.kind == MASK or type_.bits not in (8, 16, 32, 64):
        raise Unknown(form)


def _load(form: str, types: list[Type]) -> Rule:
    """``vmovups zmm0, [rax]``, ``movzx eax, byte ptr [rcx]``"""
    type_ = types[0]
    _check(type_, form)
    kind, names, width = type_.kind, type_.names, type_.width
    if width < 4:
        text, names = f"movzx {{}}, {_SIZES[width]} ptr [{{}} + {{}}]", R32
    else:
        text = f"{'mov' if kind == GENERAL else _of_memory(type_)} {{}}, [{{}} + {{}}]"

    def rule(s: Selection, given: Sequence[str]) -> None:
        base, offset = s.address(given[1])
        parts = range(type_.parts)
        s.give(given[0], [s.made(kind, text, names, base, str(offset + n * width)) for n in parts])

    def narrow(s: Selection, given: Sequence[str]) -> None:
        base, offset = s.address(given[1])
        number = s.made(GENERAL, text, names, base, str(offset))
        s.give(given[0], [number if kind == GENERAL else s.made(VECTOR, "vmovd {}, {}", XMM, number)])

    return narrow if width < 4 else rule


def _store(form: str, types: list[Type]) -> Rule:
    """``vmovups [rax], zmm0``; what is not temporal passes by the caches."""
    type_ = types[0]
    _check(type_, form)
    if type_.kind == GENERAL or type_.width < 4:
        if "!nontemporal" in form:
            raise Unknown(form)
        return _single_store(type_, is_ordered="seq_cst" in form)
    name = _of_memory(type_)
    if "!nontemporal" in form:
        if type_.width < 16:
            raise Unknown(form)
        name = "vmovntps"
    text = f"{name} [{{}} + {{}}], {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, (base, offset) = given[0], s.address(given[1])
        for n, part in enumerate(s.registers(x, type_)):
            s.change(text, base, str(offset + n * type_.width), part)

    return rule


def _single_store(type_: Type, *, is_ordered: bool) -> Rule:
    """``mov [rax], rcx``, ``vmovd edx, xmm0``, ``mov [rax], dx``; ``xchg`` where nothing later may be read before."""
    names = {1: R8, 2: R16, 4: R32, 8: R64}[type_.width]

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, (base, offset) = given[0], s.address(given[1])
        if type_.kind == GENERAL:
            number, _ = s.general(x, type_)
        else:
            number, _ = s.made(GENERAL, "vmovd {}, {}", R32, s.registers(x, type_)[0])
        if is_ordered:
            between = s.pinned(R64.index("r11"), names)
            s.change("mov {}, {}", between, (number, names))
            s.change("xchg [{} + {}], {}", base, str(offset), between)
        else:
            s.change("mov [{} + {}], {}", base, str(offset), (number, names))

    return rule


def _of_lanes(type_: Type, form: str) -> str:
    """As `_of_memory`, of some lanes: of those of less than a register the mask has to say nothing else."""
    if type_.kind != VECTOR or not type_.lanes:
        raise Unknown(form)
    return _of_memory(type_) if type_.width >= 16 else f"vmovdqu{type_.bits}"


def _masks(s: Selection, chosen: str, type_: Type, mask: Type) -> list[Value]:
    masks = s.masks(chosen, type_.parts, mask)
    return [alone(s, each, type_.lanes) for each in masks] if type_.width < 16 else masks


def _masked_load(form: str, types: list[Type]) -> Rule:
    """``vmovups zmm0 {k1}{z}, [rax]``"""
    type_, mask = types[0], types[3]
    text = f"{_of_lanes(type_, form)} {{}} {{{{{{}}}}}}{{{{z}}}}, [{{}} + {{}}]"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, address, _, chosen, others = given
        if others not in ("zeroinitializer", "poison"):
            raise Unknown(form)
        base, offset = s.address(address)
        masks = enumerate(_masks(s, chosen, type_, mask))
        s.give(
            to,
            [
                s.made(VECTOR, text, type_.names, each, base, str(offset + n * type_.width))
                for n, each in masks
            ],
        )

    return rule


def _masked_store(form: str, types: list[Type]) -> Rule:
    """``vmovups [rax] {k1}, zmm0``"""
    type_, mask = types[0], types[3]
    text = f"{_of_lanes(type_, form)} [{{}} + {{}}] {{{{{{}}}}}}, {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        x, address, _, chosen = given
        base, offset = s.address(address)
        masks = _masks(s, chosen, type_, mask)
        for n, (each, part) in enumerate(zip(masks, s.registers(x, type_), strict=True)):
            s.change(text, base, str(offset + n * type_.width), each, part)

    return rule


_FETCHES = {"0": "prefetchnta", "1": "prefetcht2", "2": "prefetcht1", "3": "prefetcht0"}


def _prefetch(form: str, types: list[Type]) -> Rule:
    """``prefetcht1 [rax]``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        address, writes, locality, _ = given
        if writes != "0":
            raise Unknown(form)
        base, offset = s.address(address)
        s.change(f"{_FETCHES[locality]} [{{}} + {{}}]", base, str(offset))

    return rule


def _exchanged(form: str, types: list[Type]) -> Rule:
    """``lock xadd [rax], r11``, ``xchg [rax], r11``: what was there before."""
    how = form.split()[3]
    if how not in _EXCHANGES or len(types) != 2 or types[1].bits != 64:
        raise Unknown(form)
    text = f"{_EXCHANGES[how]} [{{}} + {{}}], {{}}"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, address, number = given
        base, offset = s.address(address)
        between = s.pinned(R64.index("r11"))
        s.change("mov {}, {}", between, s.general(number, types[1]))
        s.change(text, base, str(offset), between)
        s.give(to, [s.made(GENERAL, "mov {}, {}", R64, between)])

    return rule


def _compared(form: str, types: list[Type]) -> Rule:
    """``lock cmpxchg [r10], r11``: what was there before is in rax, and the flags say whether that is changed."""
    if [type_.bits for type_ in types] != [64, 64, 64] or not form.startswith(
        "  ? = cmpxchg ptr ?, i64 ?, i64 ?"
    ):
        raise Unknown(form)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, address, expected, number = given
        (base, offset), a, at, by = (
            s.address(address),
            *(s.pinned(R64.index(name)) for name in ("rax", "r10", "r11")),
        )
        values = base, s.general(number, types[1]), s.general(expected, types[1])
        for register, value in zip((at, by, a), values, strict=True):
            s.change("mov {}, {}", register, value)
        s.change("lock cmpxchg [{} + {}], {}", at, str(offset), by)
        s.give(f"{to}.0", [s.made(GENERAL, "mov {}, {}", R64, a)])
        s.give(f"{to}.1", [s.made(GENERAL, "sete {}", R8)])
        s.fields[to] = f"{to}.0", f"{to}.1"

    return rule


_EXCHANGES = {"add": "lock xadd", "xchg": "xchg"}


def _fence(form: str, types: list[Type]) -> Rule:
    """``mfence``"""
    if form != "  fence seq_cst":
        raise Unknown(form)
    return lambda s, given: s.change("mfence")


MEMORY: dict[str, Maker] = {
    "getelementptr": _address,
    "load": _load,
    "store": _store,
    "llvm.masked.load": _masked_load,
    "llvm.masked.store": _masked_store,
    "atomicrmw": _exchanged,
    "cmpxchg": _compared,
    "llvm.prefetch": _prefetch,
    "fence": _fence,
}
