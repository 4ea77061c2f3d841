"""LLVM IR that users wrote for ops of their own, put into kernels.

Lines for vectors are written out where the op stands, with the registers of the kernel in place of its parameters::

    %y = fdiv {T} %x, {2.0}        %own7.y = fdiv <16 x float> %v3, splat (float 0x4000000000000000)

A whole function of numbers becomes one of the module, and one of vectors beside it calls it for each number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

from symgraph.codegen.llvm_memory import computed_in, round_to
from symgraph.codegen.loops import Compute, LoopKernel, all_of, of_form
from symgraph.codegen.vectors import Body, Register, declarations, suffix, type_of
from symgraph.errors import DeviceError
from symgraph.graph.types import BOOL, DType, dtype
from symgraph.ops.own_scalar import ScalarOp, is_function

_NAMED = re.compile(r"\{(T|R|I|M|S)\}")
_NUMBER = re.compile(r"\{(I:)?([-+]?(?:0x[0-9a-fA-F]+|[\d.]+(?:[eE][-+]?\d+)?|inf)|nan)\}")
_HEAD = re.compile(
    r"define\s+(?:(?:internal|private|dso_local)\s+)*(\S+)\s+@(?:[\w.$-]+|\"[^\"]*\")\s*\(([^)]*)\)"
)
_REGISTER = re.compile(r'%("[^"]*"|[\w.$-]+)')
_CALL = re.compile(
    r"\bcall\s+(?:(?:fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\s+)*(.+?)\s+@(llvm\.[\w.]+)\((.*)\)"
)


def text_for(texts: Mapping[str, str] | None, row: DType) -> str | None:
    """The text for arguments of a dtype; a 16-bit float has that of the float32 that it is computed in."""
    found = texts or {}
    return found.get(row.name) or found.get(computed_in(row).name)


@of_form
def unwritten(kernel: LoopKernel) -> str | None:
    """The op of a user's that has no LLVM for what a kernel does with it; None where there is none."""
    return without_text(kernel, lambda op: op.llvm)


def without_text(kernel: LoopKernel, texts: Callable[[ScalarOp], Mapping[str, str] | None]) -> str | None:
    """The op of a user's whose texts are not for a dtype that the kernel has; None where there is none."""
    for each in all_of(kernel):
        if not isinstance(each, Compute) or not isinstance(each.op, ScalarOp):
            continue
        if text_for(texts(each.op), each.args[0].row) is None:
            return f"{each.op.name} of {each.args[0].row}, for which {each.op.place} gives none"
    return None


def compute(
    body: Body, op: ScalarOp, args: Sequence[Register], rows: Sequence[DType], row: DType
) -> Register:
    """The result of an op of numbers in registers, whose dtypes in memory are ``rows``."""
    text = text_for(op.llvm, rows[0])
    assert text is not None, f"{op.name} of {rows[0]} has no text"
    if is_function(text):
        return round_to(body, _called(body, op, text, args, computed_in(row)), row)
    return round_to(body, _written(body, op, text, args, computed_in(row)), row)


def proof(op: ScalarOp, row: DType, gives: DType, lanes: int) -> tuple[str, Mapping[int, str]]:
    """A module that is well formed if the op's text for a dtype is, for so many lanes; and by the numbers of its lines
    what the user wrote there."""
    body = Body()
    args = [Register(f"%x{n}", computed_in(row), lanes) for n in range(len(op.parameters))]
    found = compute(body, op, args, [row] * len(args), gives)
    given = ", ".join(f"{x.type} {x.text}" for x in args)
    text = text_for(op.llvm, row) or ""
    lines = [
        *declarations(body.declared).splitlines(),
        f"define {found.type} @symgraph.proof({given}) {{",
        "entry:",
        *body.lines,
        f"  ret {found.type} {found.text}",
        "}",
        "attributes #0 = { nounwind }",
    ]
    return "\n".join(lines) + "\n", _origins(lines, text, op, row)


def _origins(lines: Sequence[str], text: str, op: ScalarOp, row: DType) -> dict[int, str]:
    """The user's lines by the numbers of those that they became."""
    head = f"@{_name(op, text)}.{suffix(computed_in(row), 0)}("
    if is_function(text):
        begin = next(n for n, line in enumerate(lines, 1) if line.startswith("define") and head in line)
    else:
        begin = lines.index("entry:") + 2
    written = (line for line in _lines(text) if not line.startswith("declare "))
    return dict(enumerate(written, begin))


def unknown(assembly: str) -> str | None:
    """An intrinsic that LLVM does not have, which became the call of a function of its name."""
    found = re.search(r"llvm\.[a-z]\w*(?:\.\w+)*", assembly)
    return found[0] if found else None


def explained(message: str, op: ScalarOp, row: DType, origins: Mapping[int, str]) -> DeviceError:
    """What LLVM says of a text, in terms of the user's lines."""
    found = re.search(r":(\d+):(\d+): error: (.*)", message)
    said = found[3] if found else message.strip()
    line = origins.get(int(found[1])) if found else None
    named = re.search(r"@?(llvm\.\w+)", said)
    if line is None and named is not None:
        line = next((each for each in origins.values() if f"@{named[1]}" in each), None)
    text = text_for(op.llvm, row) or ""
    place = ""
    if line is not None:
        numbers = [n for n, each in enumerate(text.splitlines(), 1) if each.partition(";")[0].strip() == line]
        place = f", line {numbers[0]}" if numbers else ""
    quoted = line if line is not None else "\n  ".join(text.splitlines())
    return DeviceError(
        f"LLVM refuses the text of {op.name} ({op.place}) for {row.name}{place}: {said}\n  {quoted}"
    )


# Lines for vectors


def _written(body: Body, op: ScalarOp, text: str, args: Sequence[Register], row: DType) -> Register:
    given, label = dict(zip(op.parameters, args, strict=True)), body.label("own")
    first = args[0]

    def register(found: re.Match[str]) -> str:
        known = given.get(found[1])
        return known.text if known is not None else f"%{label}.{found[1].strip(chr(34))}"

    *lines, last = _filled(body, text, first, row)
    for line in lines:
        body.emit(_REGISTER.sub(register, line))
    result = re.fullmatch(r"ret\s+(<[^>]*>|[\w]+)\s+(.*)", last)
    if result is None:
        raise DeviceError(
            f"the LLVM text of {op.name} ({op.place}) ends in {last!r}, which is no ret of a value"
        )
    if result[1] != type_of(row, first.lanes):
        raise DeviceError(
            f"the LLVM text of {op.name} ({op.place}) gives {result[1]} where it should give "
            f"{type_of(row, first.lanes)}\n  {last}"
        )
    return Register(_REGISTER.sub(register, result[2]), row, first.lanes)


def _filled(body: Body, text: str, like: Register, gives: DType) -> list[str]:
    """The lines with types and numbers, for registers like one; what they call is declared."""
    row, lanes = like.row, like.lanes
    integer = dtype(f"int{row.bits}") if row is not BOOL else dtype("int8")
    words = {
        "T": type_of(row, lanes), "R": type_of(gives, lanes), "I": type_of(integer, lanes),
        "M": type_of(BOOL, lanes), "S": suffix(row, lanes),
    }  # fmt: skip

    def number(found: re.Match[str]) -> str:
        kind = integer if found[1] else row
        value = float(found[2]) if kind.is_float and "x" not in found[2] else int(found[2], 0)
        return body.constant(kind, value, lanes).text

    found = []
    for line in _lines(text):
        line = _NAMED.sub(lambda each: words[each[1]], line)
        call = _CALL.search(line)
        if call is not None:
            types = ", ".join(_type(each) for each in _parts(call[3]))
            body.declared.add(f"declare {call[1]} @{call[2]}({types})")
        if not line.startswith("declare "):
            found.append(_NUMBER.sub(number, line))
    return found


def _lines(text: str) -> list[str]:
    """Without comments and what is empty."""
    return [line for line in (each.partition(";")[0].strip() for each in text.splitlines()) if line]


def _parts(text: str) -> list[str]:
    """What stands between commas, but for those in brackets."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "<([{") - (letter in ">)]}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [each.strip() for each in found if each.strip()]


def _type(argument: str) -> str:
    """The type in front of an argument."""
    found = re.match(r"<[^>]*>|\w+", argument)
    return found[0] if found else argument


# Functions of numbers


def _name(op: ScalarOp, text: str) -> str:
    """Of the function: the text decides it, since several ops may have had one name."""
    digest = sha256(f"{op.parameters}\n{text}".encode()).hexdigest()[:12]
    return f"symgraph.own.{op.name}.{digest}"


def _called(body: Body, op: ScalarOp, text: str, args: Sequence[Register], row: DType) -> Register:
    first, lanes = args[0], args[0].lanes
    one = f"@{_name(op, text)}.{suffix(first.row, 0)}"
    whole = "\n".join(_filled(body, text, Register("", first.row, 0), row))
    head = _HEAD.match(whole)
    types = [type_of(row, 0), *[type_of(first.row, 0)] * len(args)]
    if head is None or [head[1], *map(_type, _parts(head[2]))] != types:
        raise DeviceError(
            f"the LLVM text of {op.name} ({op.place}) begins with {whole.partition(chr(10))[0]!r}, and for "
            f"{first.row.name} it should be define {types[0]} @{op.name}({', '.join(types[1:])}) {{"
        )
    body.declared.add(f"define internal {types[0]} {one}({head[2]}){whole[head.end() :]}")
    function = one if not lanes else f"@{_name(op, text)}.{suffix(first.row, lanes)}"
    if lanes:
        body.declared.add(_of_vectors(one, function, first, len(args), row))
    return body.result_of(function, row, args)


def _of_vectors(one: str, name: str, like: Register, arity: int, row: DType) -> str:
    """A function that calls another for each number of its vectors."""
    inner, lanes = Body(), like.lanes
    result, single = type_of(row, lanes), type_of(like.row, 0)
    so_far = "poison"
    for lane in range(lanes):
        parts = [inner.named(f"extractelement {like.type} %x{n}, i64 {lane}") for n in range(arity)]
        found = inner.named(f"call {type_of(row, 0)} {one}({', '.join(f'{single} {x}' for x in parts)})")
        so_far = inner.named(f"insertelement {result} {so_far}, {type_of(row, 0)} {found}, i64 {lane}")
    inner.emit(f"ret {result} {so_far}")
    parameters = ", ".join(f"{like.type} %x{n}" for n in range(arity))
    return "\n".join([f"define internal {result} {name}({parameters}) #0 {{", "entry:", *inner.lines, "}"])
