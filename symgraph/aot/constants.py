"""Arrays that are part of a library. Long ones do not go through LLVM, whose text would be many times as long: it makes
room that begins with a mark, and the object file gets the bytes there."""

from __future__ import annotations

from hashlib import sha256

from symgraph.errors import VerifyError

_LONG = 1 << 12
"""Bytes."""


class Constants:
    """Names of arrays, by their bytes."""

    def __init__(self) -> None:
        self._named: dict[bytes, str] = {}
        self._lines: list[str] = []
        self._marked: list[tuple[bytes, bytes]] = []

    def add(self, data: bytes) -> str:
        """The name of some bytes in LLVM, which nobody else sees."""
        if data not in self._named:
            self._named[data] = f"@constant_{len(self._named)}"
            self._define(self._named[data], data, "internal unnamed_addr ")
        return self._named[data]

    def show(self, name: str, data: bytes) -> None:
        """The same by a name that others see."""
        self._define(f"@{name}", data, "")

    @property
    def lines(self) -> list[str]:
        """Their definitions. Nobody may conclude anything from what stands in them."""
        return self._lines

    def filled(self, code: bytes) -> bytes:
        """An object file with the bytes of long arrays."""
        made = bytearray(code)
        for mark, data in self._marked:
            at = code.find(mark)
            if at < 0 or code.find(mark, at + 1) >= 0 or any(code[at + len(mark) : at + len(data)]):
                raise VerifyError("the room for a constant is not where it should be")
            made[at : at + len(data)] = data
        return bytes(made)

    def _define(self, name: str, data: bytes, how: str) -> None:
        if len(data) < _LONG:
            content = f'[{len(data)} x i8] c"{_escaped(data)}"'
        else:
            mark = sha256(name.encode() + data).digest()
            self._marked.append((mark, data))
            first, rest = f"[{len(mark)} x i8]", f"[{len(data) - len(mark)} x i8]"
            content = f'<{{ {first}, {rest} }}> <{{ {first} c"{_escaped(mark)}", {rest} zeroinitializer }}>'
        self._lines.append(f"{name} = {how}externally_initialized constant {content}, align 64")


def _escaped(data: bytes) -> str:
    return "".join([f"\\{byte:02X}" for byte in data])
