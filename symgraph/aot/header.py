"""What stands beside the machine code: a C header, an example that calls it, and a file for CMake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod

from symgraph.graph.dims import Dim, Size
from symgraph.graph.types import DType, TensorType

_TYPES = {"float16": "uint16_t", "bfloat16": "uint16_t", "complex64": "float", "complex128": "double", "float32": "float",
          "float64": "double", "bool": "bool"}  # fmt: skip
_KEYWORDS = frozenset(
    [
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
        "namespace",
        "operator",
        "main",
        "memory",
    ]
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

    def count(self, x: Array, *, static: bool = False) -> str:
        """How many elements an array has, as C computes it; parts of complex numbers count."""
        sizes = [each for each in x.type.shape if each != 1]
        parts = ["2"] if x.is_pair else []
        if all(isinstance(each, int) for each in sizes):
            return str(prod(each for each in sizes if isinstance(each, int)) * (2 if x.is_pair else 1))
        assert not static
        return " * ".join([*parts, *(self.spelled(each) for each in sizes)])

    def spelled(self, dim: Dim) -> str:
        """A size of names, as it stands in a comment or a product."""
        if isinstance(dim, int):
            return str(dim)
        return self.sizes[dim] if dim in self.sizes else f"({dim})"


def c_type(row: DType) -> str:
    return _TYPES.get(row.name, f"{row.name}_t")


def header(what: Interface) -> str:
    """The text of the header."""
    lines = [
        f"/* {what.name}: made by symgraph. It keeps nothing between calls and allocates nothing, so that any number of",
        "   threads may call it at a time, each with memory and results of its own. Arrays lie in order (row by row),",
        "   and results share no memory with anything else. */",
        f"#ifndef {what.upper}_H",
        f"#define {what.upper}_H",
        "",
        "#include <stdbool.h>",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"#define {what.upper}_OK 0",
        f"#define {what.upper}_SIZES 1 /* sizes are negative, or do not fit together: nothing was done */",
        f"#define {what.upper}_INDEX 2 /* an index was out of bounds: results mean nothing, states are as before */",
        "",
    ]
    if (asked := what.memory_signature) is None:
        lines += [
            "/* Bytes of memory that a call needs. */",
            f"#define {what.upper}_MEMORY {what.memory}",
            "",
        ]
    else:
        lines += ["/* Bytes of memory that a call with these sizes needs. */", f"{asked};", ""]
    for x in what.states:
        lines += [
            f"/* What {x.name} begins with. */",
            f"extern const {x.element} {what.name}_initial_{x.name}[{what.count(x, static=True)}];",
            "",
        ]
    lines += ["/*", *_described(what), "*/", f"{what.signature};", ""]
    return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""])


def _described(what: Interface) -> Iterable[str]:
    yield "   Sizes that have names are given first." if what.sizes else "   All sizes are known."
    for title, arrays in (
        ("reads", what.inputs),
        ("reads and changes", what.states),
        ("writes", what.outputs),
    ):
        for x in arrays:
            sizes = ", ".join(map(what.spelled, x.type.shape))
            note = {
                "complex64": ", pairs",
                "complex128": ", pairs",
                "float16": ", its bits",
                "bfloat16": ", its bits",
            }
            yield f"   {title} {x.name}: {x.type.dtype.name}[{sizes}]{note.get(x.type.dtype.name, '')}"
    yield "   memory: as many bytes as said above, beginning anywhere; what was in it does not matter"


def example(what: Interface) -> str:
    """A program that calls it, on numbers from files or on zeros."""
    calls = [*what.sizes.values(), *(x.name for x in (*what.inputs, *what.states, *what.outputs))]
    usage = " ".join(
        [*(f"[{each}]" for each in what.sizes.values()), *(f"[{x.name}.bin]" for x in what.inputs)]
    )
    lines = [
        f"/* Calls {what.name} once: {what.name} {usage}".rstrip(),
        "   Sizes are 2 and inputs are zeros where nothing else is said. Results are printed, up to ten numbers of each, and",
        "   written to files called after them. */",
        "#include <stdio.h>",
        "#include <stdlib.h>",
        "#include <string.h>",
        "",
        f'#include "{what.name}.h"',
        "",
        _READING,
        "int main(int argc, char **argv)",
        "{",
    ]
    place = 1
    for each in what.sizes.values():
        lines.append(f"    int64_t {each} = argc > {place} ? strtoll(argv[{place}], NULL, 10) : 2;")
        place += 1
    lines.append("    (void)argc, (void)argv;")
    for x in what.inputs:
        lines.append(
            f"    {x.element} *{x.name} = numbers(argc > {place} ? argv[{place}] : NULL, "
            f"sizeof(*{x.name}) * (size_t)({what.count(x)}));"
        )
        place += 1
    for x in what.states:
        lines.append(f"    {x.element} *{x.name} = numbers(NULL, sizeof({what.name}_initial_{x.name}));")
        lines.append(
            f"    memcpy({x.name}, {what.name}_initial_{x.name}, sizeof({what.name}_initial_{x.name}));"
        )
    lines += [
        f"    {x.element} *{x.name} = numbers(NULL, sizeof(*{x.name}) * (size_t)({what.count(x)}));"
        for x in what.outputs
    ]
    asked = f"{what.upper}_MEMORY"
    if not isinstance(what.memory, int):
        asked = f"(size_t){what.name}_memory({', '.join(what.sizes.values())})"
    lines += [
        f"    void *memory = numbers(NULL, {asked});",
        "",
        f"    int status = {what.name}({', '.join([*calls, 'memory'])});",
        f"    if (status != {what.upper}_OK) {{",
        f'        fprintf(stderr, "{what.name}: %s\\n", status == {what.upper}_SIZES ? "sizes do not fit" : "an index is out of bounds");',
        "        return 1;",
        "    }",
    ]
    for x in (*what.outputs, *what.states):
        lines += [
            f"    size_t of_{x.name} = (size_t)({what.count(x)});",
            f'    printf("{x.name}:");',
            f"    for (size_t n = 0; n < of_{x.name} && n < 10; n++)",
            f"        {_printed(x)}",
            '    printf("\\n");',
            f'    keep("{x.name}.bin", {x.name}, sizeof(*{x.name}) * of_{x.name});',
        ]
    lines += [f"    free({x.name});" for x in (*what.inputs, *what.states, *what.outputs)]
    return "\n".join([*lines, "    free(memory);", "    return 0;", "}", ""])


_READING = """\
static void *numbers(const char *path, size_t bytes)
{
    void *found = calloc(bytes ? bytes : 1, 1);
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!found || (path && (!file || fread(found, 1, bytes, file) != bytes))) {
        fprintf(stderr, "no %zu bytes%s%s\\n", bytes, path ? " in " : " of memory", path ? path : "");
        exit(1);
    }
    if (file)
        fclose(file);
    return found;
}

static void keep(const char *path, const void *from, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(from, 1, bytes, file) != bytes || fclose(file)) {
        fprintf(stderr, "%s cannot be written\\n", path);
        exit(1);
    }
}
"""


def _printed(x: Array) -> str:
    row = x.type.dtype
    if row.kind in ("int", "uint", "bool"):
        kind, cast = ("%llu", "unsigned long long") if row.kind == "uint" else ("%lld", "long long")
    elif x.element == "uint16_t":
        kind, cast = "0x%04x", "unsigned"
    else:
        kind, cast = "%.9g" if x.element == "float" else "%.17g", "double"
    return f'printf(" {kind}", ({cast}){x.name}[n]);'


def cmake(what: Interface) -> str:
    """A library that a project links by its name, and the example."""
    blas = "find_package(BLAS REQUIRED)\n" if what.cblas else ""
    links = f"{'BLAS::BLAS ' if what.cblas else ''}$<$<BOOL:${{UNIX}}>:m>"
    return f"""\
cmake_minimum_required(VERSION 3.16)
project({what.name} LANGUAGES C)
{blas}
add_library({what.name} INTERFACE)
target_sources({what.name} INTERFACE ${{CMAKE_CURRENT_LIST_DIR}}/{what.name}.o)
set_source_files_properties(${{CMAKE_CURRENT_LIST_DIR}}/{what.name}.o PROPERTIES EXTERNAL_OBJECT TRUE)
target_include_directories({what.name} INTERFACE ${{CMAKE_CURRENT_LIST_DIR}})
target_link_libraries({what.name} INTERFACE {links})

add_executable({what.name}_example main.c)
target_link_libraries({what.name}_example PRIVATE {what.name})
"""
