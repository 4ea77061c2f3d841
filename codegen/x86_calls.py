"""Functions that call each other, as x86 on Linux does: what they are given, what they give, and their own memory.

Integers are given in six registers, then in the stack; vectors in eight, part by part. Results are in the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.codegen.x86_code import Entry
from symgraph.codegen.x86_lines import Held
from symgraph.codegen.x86_selection import Maker, Rule, Selection
from symgraph.codegen.x86_tiles import TILES
from symgraph.codegen.x86_values import (
    ARGUMENTS,
    CALLED,
    GENERAL,
    MASK,
    R64,
    VECTOR,
    Type,
    Unknown,
    type_of,
    types_in,
)

_VECTORS = 8
"""So many may be given."""


def enter(selection: Selection, head: str) -> Entry:
    """How a function is called. Raises Unknown for one that is given something else."""
    kind, _, rest = head.partition(" @")
    name, _, rest = rest.partition("(")
    given, _, end = rest.rpartition(")")
    if end not in _ENDS:
        raise Unknown(head)
    _results(kind.removeprefix("internal "))
    words = [each.rpartition(" ") for each in given.split(", ") if each]
    arguments = [(type_of(text), argument) for text, _, argument in words]
    places = _places([type_ for type_, _ in arguments])
    for (type_, argument), own in zip(arguments, places, strict=True):
        values = [selection.new(type_) for _ in own]
        selection.give(argument, values)
        for register, (number, _) in zip(own, values, strict=True):
            if register < 0:
                selection.above.append(number)
            else:
                selection.given.append(Held(type_.kind, register, number))
    selection.handed += selection.given
    return Entry(name, is_public=not kind.startswith("internal "))


_ENDS = (" #0 {", " noinline #0 {", " alwaysinline {", " {")


def _places(types: Sequence[Type]) -> list[list[int]]:
    """The registers of arguments, part by part; -1 in the stack."""
    places, left, vectors = [], list(ARGUMENTS), 0
    for type_ in types:
        if type_.kind == GENERAL and type_.bits >= 32:
            places.append([left.pop(0) if left else -1])
        elif type_.kind == VECTOR and vectors + type_.parts <= _VECTORS:
            places.append([*range(vectors, vectors + type_.parts)])
            vectors += type_.parts
        else:
            raise Unknown(type_.text)
    return places


def _results(text: str) -> list[Type]:
    """What a function gives: nothing, a value, or several of one type in the first registers."""
    types = types_in(text)
    listed = ", ".join(type_.text for type_ in types)
    is_one = len(types) < 2 and text == (listed or "void")
    is_several = len(set(types)) == 1 and types[0].kind == VECTOR and text == f"{{ {listed} }}"
    if not (is_one or is_several) or any(
        type_.kind == MASK or (type_.kind == GENERAL and type_.bits not in (1, 32, 64)) for type_ in types
    ):
        raise Unknown(text)
    if sum(type_.parts for type_ in types) > _VECTORS:
        raise Unknown(text)
    return types


def _call(form: str, types: list[Type]) -> Rule:
    """``call sine``, after what it is given is in its registers"""
    if form in _OF_THE_PROCESSOR:
        return _OF_THE_PROCESSOR[form]
    text, _, given_types = form.partition(" ?(")
    if not form.endswith(")"):
        raise Unknown(form)
    results = _results(text.partition("call ")[2])
    arguments = [type_of(each.removesuffix(" ?")) for each in given_types[:-1].split(", ") if each]
    is_named = form.startswith("  ? = ")
    places = _places(arguments)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, name, *texts = given if is_named else ("", *given)
        if len(texts) != len(arguments):
            raise Unknown(form)
        held, above = [], []
        if name[0] == "%":
            held.append(Held(GENERAL, CALLED, s.one(name, R64)[0]))
        for text, type_, own in zip(texts, arguments, places, strict=True):
            for register, (number, _) in zip(own, s.parts(text, type_), strict=True):
                if register < 0:
                    above.append(number)
                else:
                    held.append(Held(type_.kind, register, number))
        made = s.call(name, held, above, [type_ for type_ in results for _ in range(type_.parts)])
        if len(results) > 1:
            s.fields[to] = [f"{to}.{n}" for n in range(len(results))]
        for n, type_ in enumerate(results):
            s.give(to if len(results) == 1 else f"{to}.{n}", made[: type_.parts])
            del made[: type_.parts]

    return rule


def _return(form: str, types: list[Type]) -> Rule:
    """``ret``, after what is given is in the first registers"""
    results = _results(form.removeprefix("  ret ").removesuffix(" ?"))

    def rule(s: Selection, given: Sequence[str]) -> None:
        if len(results) > 1 and given[0] not in s.fields:
            raise Unknown(form)
        texts = s.fields[given[0]] if len(results) > 1 else given
        parts = [
            (type_, number)
            for text, type_ in zip(texts, results, strict=True)
            for number, _ in s.parts(text, type_)
        ]
        s.leave([Held(type_.kind, n, number) for n, (type_, number) in enumerate(parts)])

    return rule


def _insert(form: str, types: list[Type]) -> Rule:
    """Another name for what a value is made of."""

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, whole, x, place = given
        fields = list(s.fields.get(whole, ["poison"] * (len(types) - 1)))
        fields[int(place)] = x
        s.fields[to] = fields

    return rule


def _extract(form: str, types: list[Type]) -> Rule:
    """A part under its own name."""

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, whole, place = given
        if whole not in s.fields:
            raise Unknown(form)
        s.give(to, s.parts(s.fields[whole][int(place)], types[int(place)]))

    return rule


def _mode(name: str) -> Rule:
    """``ldmxcsr [rax]``"""

    def rule(s: Selection, given: Sequence[str]) -> None:
        base, offset = s.address(given[0])
        s.change(f"{name} [{{}} + {{}}]", base, str(offset))

    return rule


_OF_THE_PROCESSOR: dict[str, Rule] = {
    **TILES,
    "  call void @llvm.x86.sse2.pause()": lambda s, given: s.change("pause"),
    **{f"  call void @llvm.x86.sse.{name}(ptr ?)": _mode(name) for name in ("ldmxcsr", "stmxcsr")},
}

_LINE = 64
"""Bytes to which all of it is aligned."""


def _room(form: str, types: list[Type]) -> Rule:
    """``lea rax, [rsp + 63]``, ``and rax, -64``"""
    what = form.removeprefix("  ? = alloca ").removesuffix(", align ?")
    count, _, one = what.strip("[]").rpartition(" x ")
    size = (int(count or 1) * type_of(one).bits // 8 + _LINE - 1) // _LINE * _LINE

    def rule(s: Selection, given: Sequence[str]) -> None:
        if len(given) > 1 and int(given[1]) > _LINE:
            raise Unknown(form)
        s.room += _LINE - 1
        place = s.room_for(size + 1)
        s.change("and {}, {}", place, str(-_LINE))
        s.give(given[0], [place])

    return rule


CALLS: dict[str, Maker] = {
    "call": _call,
    "ret": _return,
    "insertvalue": _insert,
    "extractvalue": _extract,
    "alloca": _room,
}
