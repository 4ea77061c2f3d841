"""What the functions of a module keep in memory: constants, and tables that its text has."""

from __future__ import annotations

import re

from symgraph.codegen.x86_values import Constant, Type, Unknown, pattern, type_of


class Constants:
    """What a module keeps in memory: patterns of bits by their width in bytes, and their labels."""

    def __init__(self, module: str = "") -> None:
        self._module = f"\n{module}"
        declared = (line.partition("@")[2] for line in self._module.split("\ndeclare ")[1:])
        self.outside = frozenset(each.partition("(")[0] for each in declared if not each.startswith("llvm."))
        """What functions of the module may call that are none of it."""
        self._tables: dict[str, Constant] = {}
        self._labels: dict[tuple[int, int], int] = {}
        self.sources: dict[tuple[str, Type], list[Constant]] = {}
        """What instructions read, part by part, for a constant as lines write it."""

    def label(self, bits: int, width: int) -> int:
        return self._labels.setdefault((bits, width), len(self._labels))

    def table(self, name: str) -> Constant:
        """What the module's text calls so: ``@some = private constant [2 x i32] [i32 1, i32 2]``, or a function."""
        if name in self._tables:
            return self._tables[name]
        _, found, rest = self._module.partition(f"\n{name} = private constant [")
        if not found:
            if not re.search(rf"\ndefine [^\n]*{re.escape(name)}\(", self._module):
                raise Unknown(name)
            made = self._tables[name] = Constant(f"[rip + {name[1:]}]", name[1:])
            return made
        shape, _, content = rest.partition("\n")[0].partition("] ")
        count, _, one = shape.partition(" x ")
        type_ = type_of(one)
        listed = ["0"] if content == "zeroinitializer" else content[1:-1].split(",")
        bits = sum(pattern(each, type_) << type_.bits * n for n, each in enumerate(listed))
        size = 1 << max((int(count) * type_.bits // 8 - 1).bit_length(), 6)
        label = self.label(bits, size)
        made = self._tables[name] = Constant(f"[rip + .L{label}]", label)
        return made

    @property
    def content(self) -> list[bytes]:
        """By the label."""
        return [bits.to_bytes(width, "little") for bits, width in self._labels]
