"""Machine code as an object file, or as text of LLVM's assembler, beside functions that LLVM makes."""

from __future__ import annotations

import struct

from symgraph.codegen.x86_code import Image

_IDENT = b"\x7fELF\x02\x01\x01"
"""64 bits, little-endian."""
_OBJECT, _X86_64, _VERSION = 1, 62, 1
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_CODE, _SYMBOLS, _STRINGS = 1, 2, 3
"""Types of sections, and their places in the table."""
_ADDRESSES = 4
"""The same of what names addresses of the process, where there are some."""
_RELOCATION = struct.Struct("<QQq")
_WHOLE = 1
"""R_X86_64_64"""
_SHOWN = 0x10
_ALLOCATED, _EXECUTABLE = 2, 4
_SHOWN_FUNCTION = 0x12
_NAMES = b"\0.text\0.symtab\0.strtab\0.rela.text\0"


def as_object(image: Image) -> bytes:
    """Tool Interface Standard, Executable and Linking Format (1995): the header, a section of code, one of symbols and
    one of names, and the table of sections."""
    names, symbols = bytearray(_NAMES), bytearray(_SYMBOL.size)
    for name, begin in image.begins.items():
        symbols += _SYMBOL.pack(len(names), _SHOWN_FUNCTION, 0, _CODE, begin, 0)
        names += name.encode() + b"\0"
    outside = list(dict.fromkeys(name for _, name in image.outside))
    for name in outside:
        symbols += _SYMBOL.pack(len(names), _SHOWN, 0, 0, 0, 0)
        names += name.encode() + b"\0"
    before = 1 + len(image.begins)
    addresses = b"".join(
        _RELOCATION.pack(at, before + outside.index(name) << 32 | _WHOLE, 0) for at, name in image.outside
    )
    first = 64
    second = first + len(image.content) + -len(image.content) % 8
    third = second + len(symbols)
    fourth = third + len(names) + -len(names) % 8
    table = fourth + len(addresses)
    rows = (
        bytes(_SECTION.size),
        _SECTION.pack(1, _CODE, _ALLOCATED | _EXECUTABLE, 0, first, len(image.content), 0, 0, 64, 0),
        _SECTION.pack(7, _SYMBOLS, 0, 0, second, len(symbols), _STRINGS, 1, 8, _SYMBOL.size),
        _SECTION.pack(15, _STRINGS, 0, 0, third, len(names), 0, 0, 1, 0),
        _SECTION.pack(23, _ADDRESSES, 0, 0, fourth, len(addresses), _SYMBOLS, _CODE, 8, _RELOCATION.size),
    )[: 5 if addresses else 4]
    header = _HEADER.pack(
        _IDENT,
        _OBJECT,
        _X86_64,
        _VERSION,
        0,
        0,
        table,
        0,
        _HEADER.size,
        0,
        0,
        _SECTION.size,
        len(rows),
        _STRINGS,
    )
    return b"".join(
        (
            header,
            image.content,
            bytes(second - first - len(image.content)),
            symbols,
            names,
            bytes(fourth - third - len(names)),
            addresses,
            *rows,
        )
    )


def as_assembly(image: Image) -> str:
    """Lines of a module of LLVM that has the code as numbers."""
    lines, begins = [".text", ".p2align 6"], [*image.begins.values(), len(image.content)]
    for name, begin, end in zip(image.begins, begins, begins[1:], strict=False):
        lines += (f".globl {name}", f".type {name},@function", f"{name}:")
        lines.append(f".ascii \\22{''.join(_ESCAPED[each] for each in image.content[begin:end])}\\22")
    return "\n".join(f'module asm "{line}"' for line in lines)


_ESCAPED = [f"\\5C{each:03o}" for each in range(256)]
"""Bytes as the assembler reads them, of which the backslash is what LLVM's text has for it."""
