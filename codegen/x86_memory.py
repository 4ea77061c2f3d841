"""Addresses, and what is read and written there, as instructions of x86 with AVX-512."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Maker, Rule, Selection, is_near
from symgraph.codegen.x86_values import GENERAL, MASK, R64, VECTOR, Type, Unknown


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


def _of_memory(type_: Type, form: str) -> str:
    """The instruction that moves a value between memory and a register, part by part."""
    if " atomic " in form or " volatile " in form:
        raise Unknown(form)
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
    text = f"{_of_memory(type_, form)} {{}}, [{{}} + {{}}]"
    kind, names, width = type_.kind, type_.names, type_.width

    def rule(s: Selection, given: Sequence[str]) -> None:
        base, offset = s.address(given[1])
        parts = range(type_.parts)
        s.give(given[0], [s.made(kind, text, names, base, str(offset + n * width)) for n in parts])

    return rule


def _store(form: str, types: list[Type]) -> Rule:
    """``vmovups [rax], zmm0``; what is not temporal passes by the caches."""
    type_ = types[0]
    name = _of_memory(type_, form)
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


def _of_lanes(type_: Type, form: str) -> str:
    """As `_of_memory`, of the lanes of whole registers."""
    if type_.kind != VECTOR or type_.width < 16:
        raise Unknown(form)
    return _of_memory(type_, form)


def _masked_load(form: str, types: list[Type]) -> Rule:
    """``vmovups zmm0 {k1}{z}, [rax]``"""
    type_, mask = types[0], types[3]
    text = f"{_of_lanes(type_, form)} {{}} {{{{{{}}}}}}{{{{z}}}}, [{{}} + {{}}]"

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, address, _, chosen, others = given
        if others not in ("zeroinitializer", "poison"):
            raise Unknown(form)
        base, offset = s.address(address)
        masks = enumerate(s.masks(chosen, type_.parts, mask))
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
        masks = s.masks(chosen, type_.parts, mask)
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
    "llvm.prefetch": _prefetch,
    "fence": _fence,
}
