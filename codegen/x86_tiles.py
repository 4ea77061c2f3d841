"""Intel's tiles of bfloat16, for x86: what the text says of them by number, instructions name."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Rule, Selection
from symgraph.codegen.x86_values import GENERAL, R64, Value, type_of


def _begin(s: Selection, given: Sequence[str]) -> None:
    """``ldtilecfg [rax]``"""
    base, offset = s.address(given[0])
    s.change("ldtilecfg [{} + {}]", base, str(offset))


def _end(s: Selection, given: Sequence[str]) -> None:
    s.change("tilerelease")


def _zero(s: Selection, given: Sequence[str]) -> None:
    s.change(f"tilezero tmm{given[0]}")


def _load(s: Selection, given: Sequence[str]) -> None:
    """``tileloadd tmm4, [rax + 1*rcx]``"""
    s.change(f"tileloadd tmm{given[0]}, [{{}} + 1*{{}}]", *_rows(s, given))


def _store(s: Selection, given: Sequence[str]) -> None:
    """``tilestored [rax + 1*rcx], tmm0``"""
    s.change(f"tilestored [{{}} + 1*{{}}], tmm{given[0]}", *_rows(s, given))


def _rows(s: Selection, given: Sequence[str]) -> tuple[Value, Value]:
    """The first, and the bytes from one to the next."""
    base, offset = s.address(given[1])
    if offset:
        base = s.made(GENERAL, "lea {}, [{} + {}]", R64, base, str(offset))
    return base, s.general(given[2], type_of("i64"))


def _multiply(s: Selection, given: Sequence[str]) -> None:
    """``tdpbf16ps tmm0, tmm4, tmm6``"""
    s.change(f"tdpbf16ps {', '.join(f'tmm{n}' for n in given)}")


TILES: dict[str, Rule] = {
    f"  call void @llvm.x86.{form}": rule
    for form, rule in (
        ("ldtilecfg(ptr ?)", _begin),
        ("tilerelease()", _end),
        ("tilezero(i8 ?)", _zero),
        ("tileloadd64(i8 ?, ptr ?, i64 ?)", _load),
        ("tilestored64(i8 ?, ptr ?, i64 ?)", _store),
        ("tdpbf16ps(i8 ?, i8 ?, i8 ?)", _multiply),
    )
}
