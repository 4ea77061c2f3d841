"""Floating-point arithmetic as instructions of x86 with AVX-512: those that LLVM selects, for the same bits."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_selection import Maker, Rule, Selection, of_two
from symgraph.codegen.x86_values import VECTOR, Type, only, types_in


def _arithmetic(name: str, *, commutes: bool) -> Maker:
    """``vaddps zmm0, zmm1, zmm2``"""

    def make(form: str, types: list[Type]) -> Rule:
        type_ = only(types, form, floats=True)
        return of_two(f"v{name}{type_.suffix} {{}}, {{}}, {{}}", type_, commutes=commutes)

    return make


def _fma(form: str, types: list[Type]) -> Rule:
    """``vfmadd213ps zmm0, zmm1, zmm2``, which is ``zmm0 * zmm1 + zmm2``; another order where a factor is in memory, or
    where a loop adds to what it carries."""
    type_ = only(types, form, floats=True)
    of_sum, of_factor, to_sum = (f"vfmadd{order}{type_.suffix} {{}}, {{}}, {{}}" for order in (213, 132, 231))

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, x, y, z = given
        if x[0] != "%":
            x, y = y, x
        text = of_sum
        if y[0] != "%":
            y, z, text = z, y, of_factor
        elif z in s.carried:
            x, y, z, text = z, x, y, to_sum
        made = []
        for first, second, third in zip(
            s.registers(x, type_), s.registers(y, type_), s.sources(z, type_), strict=True
        ):
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
        for first, second in zip(s.registers(x, type_), s.registers(sign, type_), strict=True):
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


FLOATS: dict[str, Maker] = {
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
}
