"""Object files of x86-64 in memory, without LLVM: sections get a place, addresses are put in, and the code may run.

What is not known here is refused, and is LLVM's to load. No page can be written and run at once.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Mapping
from typing import Any

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_IDENT = b"\x7fELF\x02\x01\x01"
"""64 bits, little-endian."""
_OBJECT, _X86_64 = 1, 62
_SYMBOLS, _RELOCATIONS, _NO_BITS, _UNWINDING = 2, 4, 8, 0x7000_0001
_WRITE, _ALLOC, _GROUPED, _TLS = 1, 2, 0x200, 0x400
_NOWHERE, _ABSOLUTE, _RESERVED = 0, 0xFFF1, 0xFF00
_FUNCTION_OR_DATA = (0, 1, 2, 3)
"""Types of symbols: none, an object, a function, a section."""
_SHOWN = (0x11, 0x12, 0x21, 0x22)
"""Functions and data that others may use."""
_WHOLE = struct.Struct("<Q")
_HALF = struct.Struct("<i")
_WIDTHS = {1: (_WHOLE, False), 24: (_WHOLE, True), 2: (_HALF, True), 4: (_HALF, True)}
"""R_X86_64_64, _PC64, _PC32 and _PLT32: how wide, and whether the place is taken off."""
_WORD = (1 << 64) - 1
_MOST = 1 << 28
"""Bytes of an object's sections."""
_PAGE = 1 << 12
_MAY_READ, _MAY_WRITE, _MAY_RUN, _PRIVATE, _ANONYMOUS = 1, 2, 4, 2, 0x20
"""Of mmap and mprotect, on Linux."""
_FAILED = ctypes.c_void_p(-1).value


class NotLoaded(Exception):
    """An object that has something else than what is known here."""


class _Section:
    """A row of the table of sections, and where the section lies."""

    __slots__ = ("address", "align", "flags", "info", "kind", "link", "offset", "size")

    def __init__(self, row: tuple[int, ...]) -> None:
        _, self.kind, self.flags, _, self.offset, self.size, self.link, self.info, self.align, _ = row
        self.address = 0


def is_known() -> bool:
    """Whether this system has such objects."""
    return sys.platform == "linux" and sys.maxsize > 1 << 32 and os.uname().machine == "x86_64"


def load(content: bytes, known: Mapping[str, int]) -> dict[str, int]:
    """The addresses of an object's functions and data by name, in memory that is there to the end of the process. What
    it needs is looked up in what is ``known``, and in the process.

    Raises NotLoaded.
    """
    if not is_known():
        raise NotLoaded("there is no loader for this system")
    try:
        return _load(content, known)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise NotLoaded(f"no object file: {error}") from None


def _load(content: bytes, known: Mapping[str, int]) -> dict[str, int]:
    ident, kind, machine, _, _, _, at, _, _, _, _, pitch, count, _ = _HEADER.unpack_from(content)
    if not ident.startswith(_IDENT) or (kind, machine, pitch) != (_OBJECT, _X86_64, _SECTION.size):
        raise NotLoaded("no object file of x86-64")
    sections = [_section(content, at + n * pitch) for n in range(count)]
    image, sizes = _placed(sections)
    begin = _memory(sum(sizes))
    try:
        found = _filled(content, sections, image, begin, sum(sizes), known)
        _protect(begin, sizes[0])
    except BaseException:
        _process().munmap(begin, sum(sizes))
        raise
    return found


def _filled(
    content: bytes,
    sections: list[_Section],
    image: list[_Section],
    begin: int,
    size: int,
    known: Mapping[str, int],
) -> dict[str, int]:
    """Write the image to its place; what others may use of it."""
    filled = bytearray(size)
    for section in image:
        if section.kind != _NO_BITS:
            filled[section.address : section.address + section.size] = _bytes_of(content, section)
        section.address += begin
    table = next((section for section in sections if section.kind == _SYMBOLS), None)
    if table is None:
        raise NotLoaded("it has no table of symbols")
    names = _bytes_of(content, sections[table.link])
    symbols = [
        (names[name : names.index(b"\0", name)].decode(), info, where, value)
        for name, info, _, where, value, _ in _SYMBOL.iter_unpack(_bytes_of(content, table))
    ]
    addresses = [_address(symbol, sections, known) for symbol in symbols]
    for section in sections:
        if section.kind == _RELOCATIONS and (target := sections[section.info]).address:
            _relocate(_bytes_of(content, section), target, addresses, filled, begin)
    ctypes.memmove(begin, bytes(filled), size)
    return {
        name: address
        for (name, info, where, _), address in zip(symbols, addresses, strict=True)
        if address is not None and where != _NOWHERE and info in _SHOWN
    }


def _section(content: bytes, at: int) -> _Section:
    made = _Section(_SECTION.unpack_from(content, at))
    if made.kind != _NO_BITS and made.offset + made.size > len(content):
        raise NotLoaded("a section ends after the file")
    if made.flags & (_TLS | _GROUPED) or made.align > _PAGE:
        raise NotLoaded(f"a section with flags {made.flags:#x}, aligned to {made.align}")
    return made


def _placed(sections: list[_Section]) -> tuple[list[_Section], tuple[int, int]]:
    """The sections that are needed, at addresses from 0 on: first those that nobody writes, then the others, and how
    many bytes of whole pages both have. What tells how to unwind is left out, since no exception passes through."""
    needed = [x for x in sections if x.flags & _ALLOC and x.kind != _UNWINDING and x.size]
    needed.sort(key=lambda x: bool(x.flags & _WRITE))
    end = fixed = 0
    for section in needed:
        if section.flags & _WRITE and not fixed:
            fixed = end = _pages(end)
        section.address = end = -(-end // max(1, section.align)) * max(1, section.align)
        end += section.size
        if end > _MOST:
            raise NotLoaded(f"{end} bytes are too many")
    end = _pages(end)
    fixed = fixed if any(x.flags & _WRITE for x in needed) else end
    return needed, (fixed, end - fixed)


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def _bytes_of(content: bytes, section: _Section) -> bytes:
    return content[section.offset : section.offset + section.size]


def _address(
    symbol: tuple[str, int, int, int], sections: list[_Section], known: Mapping[str, int]
) -> int | None:
    """Where a symbol lies; None for one that nothing of ours can refer to."""
    name, info, where, value = symbol
    if where == _NOWHERE:
        return _outside(name, known) if name else None
    if where == _ABSOLUTE or info & 15 not in _FUNCTION_OR_DATA:
        return None
    if where >= _RESERVED:
        raise NotLoaded(f"the symbol {name!r} lies in section {where:#x}")
    section = sections[where]
    if value > section.size:
        raise NotLoaded(f"the symbol {name!r} lies outside of its section")
    return section.address + value if section.address else None


def _outside(name: str, known: Mapping[str, int]) -> int:
    """The address of what is not in the object."""
    if name in known:
        return known[name]
    try:
        return ctypes.addressof(ctypes.c_char.in_dll(_process(), name))
    except ValueError:
        raise NotLoaded(f"there is no {name!r} in this process") from None


def _relocate(
    rows: bytes, target: _Section, addresses: list[int | None], filled: bytearray, begin: int
) -> None:
    """Put addresses into a section, whose bytes are ``filled`` in and will lie from ``begin`` on."""
    for offset, info, addend in _RELOCATION.iter_unpack(rows):
        width = _WIDTHS.get(info & 0xFFFF_FFFF)
        address = addresses[info >> 32]
        if width is None or address is None:
            raise NotLoaded(f"a relocation {info:#x}")
        form, is_relative = width
        if offset + form.size > target.size:
            raise NotLoaded("a relocation outside of its section")
        place = target.address + offset
        value = address + addend - (place if is_relative else 0)
        form.pack_into(filled, place - begin, value & _WORD if form is _WHOLE else value)


_LIBRARY: list[Any] = []


def _process() -> Any:
    """The symbols of this process."""
    if not _LIBRARY:
        library = ctypes.CDLL(None, use_errno=True)
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
        )  # fmt: skip
        library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        library.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        _LIBRARY.append(library)
    return _LIBRARY[0]


def _memory(size: int) -> int:
    """The address of new pages that can be written; no object of Python's holds them, so that code runs in them to
    the very end."""
    found = _process().mmap(None, max(size, 1), _MAY_READ | _MAY_WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    if found in (None, _FAILED):
        raise NotLoaded(f"there are no {size} bytes")
    return int(found)


def _protect(address: int, size: int) -> None:
    """These pages can be run from now on, and not be written."""
    if size and _process().mprotect(address, size, _MAY_READ | _MAY_RUN):
        raise NotLoaded("the system does not let memory become code")
