"""A function as C sees it: names, types and sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

from symgraph.graph.dims import (
    Call,
    Dim,
    Polynomial,
    Size,
    Symbol,
    broadcast,
    dim_floordiv,
    dim_isqrt,
    dim_max,
    dim_min,
    dim_mod,
)
from symgraph.graph.types import DType, TensorType

_TYPES = {
    "float16": "uint16_t",
    "bfloat16": "uint16_t",
    "float32": "float",
    "float64": "double",
    "complex64": "float",
    "complex128": "double",
    "bool": "bool",
}
_CALLS_IN_C = ("quotient", "rest", "larger", "smaller", "root", "common")
_KEYWORDS = frozenset(
    [
        *(
            "auto",
            "break",
            "case",
            "char",
            "const",
            "continue",
            "default",
            "do",
            "double",
            "else",
            "enum",
            "extern",
        ),
        *(
            "float",
            "for",
            "goto",
            "if",
            "inline",
            "int",
            "long",
            "register",
            "restrict",
            "return",
            "short",
            "signed",
        ),
        *(
            "sizeof",
            "static",
            "struct",
            "switch",
            "typedef",
            "union",
            "unsigned",
            "void",
            "volatile",
            "while",
        ),
        *(
            "bool",
            "true",
            "false",
            "asm",
            "typeof",
            "class",
            "new",
            "delete",
            "this",
            "template",
            "public",
            "private",
        ),
        *(
            "namespace",
            "operator",
            "try",
            "catch",
            "throw",
            "export",
            "virtual",
            "friend",
            "and",
            "or",
            "not",
            "xor",
        ),
        *("main", "memory", "status", "argc", "argv", "count", "place", "numbers", "keep", *_CALLS_IN_C),
    ]
)
"""Of C and of C++, and names that the example has."""
_CALLS: dict[Callable[..., Dim], str] = dict(
    zip((dim_floordiv, dim_mod, dim_max, dim_min, dim_isqrt, broadcast), _CALLS_IN_C, strict=True)
)


@dataclass(slots=True)
class Names:
    """Names of C that differ from each other."""

    taken: set[str] = field(default_factory=set)

    def add(self, wish: str) -> str:
        """The name that somebody asks for, or one that is like it and may stand in C."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", wish).strip("_") or "x"
        plain = f"x{plain}" if plain[0].isdigit() else plain
        found, n = plain, 1
        while found in self.taken or found in _KEYWORDS:
            n += 1
            found = f"{plain}_{n}"
        self.taken.add(found)
        return found


@dataclass(frozen=True, slots=True)
class Array:
    """An array that a caller gives, by its name in C."""

    name: str
    type: TensorType

    @property
    def is_pair(self) -> bool:
        return self.type.dtype.is_complex

    @property
    def element(self) -> str:
        """The type in C of an element, or of one of its two parts."""
        return c_type(self.type.dtype)


@dataclass(frozen=True, slots=True)
class Interface:
    """The function as C sees it."""

    name: str
    sizes: dict[Size, str]
    """Their names in C."""
    inputs: Sequence[Array]
    states: Sequence[Array]
    outputs: Sequence[Array]
    memory: Dim
    cblas: bool

    @property
    def upper(self) -> str:
        return self.name.upper()

    @property
    def signature(self) -> str:
        sizes = [f"int64_t {each}" for each in self.sizes.values()]
        inputs = [f"const {x.element} *{x.name}" for x in self.inputs]
        others = [f"{x.element} *{x.name}" for x in (*self.states, *self.outputs)]
        return f"int {self.name}({', '.join([*sizes, *inputs, *others, 'void *memory'])})"

    @property
    def memory_signature(self) -> str | None:
        """Of the function that says how much memory is needed; None where that is one number."""
        if isinstance(self.memory, int):
            return None
        return f"int64_t {self.name}_memory({', '.join(f'int64_t {each}' for each in self.sizes.values())})"

    def count(self, x: Array) -> str:
        """How many numbers an array has, as C computes it; a complex one is two."""
        return self.spelled(prod(x.type.shape) * (2 if x.is_pair else 1))

    def spelled(self, dim: Dim) -> str:
        """A size as C computes it, by functions that the example has where it takes more than sums and products."""
        if isinstance(dim, int):
            return str(dim)
        match dim.form:
            case Symbol():
                return self.sizes[dim]
            case Call(function=function, args=(first, *others)):
                found = self.spelled(first)
                if not others:
                    return f"{_CALLS[function]}({found})"
                for each in others:
                    found = f"{_CALLS[function]}({found}, {self.spelled(each)})"
                return found
            case Polynomial(terms=terms):
                products = [
                    " * ".join(
                        [*([str(factor)] if factor != 1 or not atoms else []), *map(self.spelled, atoms)]
                    )
                    for atoms, factor in terms
                ]
                return products[0] if len(products) == 1 else f"({' + '.join(products)})"
        raise AssertionError(dim)


def c_type(row: DType) -> str:
    return _TYPES.get(row.name, f"{row.name}_t")
