"""What stands beside the machine code: a C header, an example that calls it, and a file for CMake."""

from __future__ import annotations

from collections.abc import Iterable

from symgraph.aot.interface import Array, Interface


def header(what: Interface) -> str:
    """The text of the header."""
    lines = [
        f"/* {what.name}: made by symgraph. It keeps nothing between calls and allocates nothing: any number of",
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
        f"#define {what.upper}_SINGULAR 3 /* a matrix is singular, or not positive definite: the same holds */",
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
            f"extern const {x.element} {what.name}_initial_{x.name}[{what.count(x)}];",
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
    lines = ["int main(int argc, char **argv)", "{"]
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
        f'        const char *why = status == {what.upper}_SIZES ? "sizes do not fit"',
        f'                        : status == {what.upper}_INDEX ? "an index is out of bounds"',
        '                        : "a matrix is singular";',
        f'        fprintf(stderr, "{what.name}: %s\\n", why);',
        "        return 1;",
        "    }",
    ]
    for x in (*what.outputs, *what.states):
        lines += [
            "    {",
            f"        size_t count = (size_t)({what.count(x)});",
            f'        printf("{x.name}:");',
            "        for (size_t place = 0; place < count && place < 10; place++)",
            f"            {_printed(x)}",
            '        printf("\\n");',
            f'        keep("{x.name}.bin", {x.name}, sizeof(*{x.name}) * count);',
            "    }",
        ]
    lines += [f"    free({x.name});" for x in (*what.inputs, *what.states, *what.outputs)]
    lines += ["    free(memory);", "    return 0;", "}", ""]
    asked_for = [text for name, text in _COMPUTING.items() if any(f"{name}(" in line for line in lines)]
    head = [
        f"/* Calls {what.name} once: {what.name} {usage}".rstrip(),
        "   Sizes are 2 and inputs are zeros where nothing else is said. Results are printed, ten numbers of each",
        "   at most, and written to files called after them. */",
        "#include <stdio.h>",
        "#include <stdlib.h>",
        "#include <string.h>",
        "",
        f'#include "{what.name}.h"',
        "",
        _READING,
    ]
    return "\n".join([*head, *asked_for, *lines])


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


_COMPUTING = {
    "quotient": """\
static int64_t quotient(int64_t a, int64_t b)
{
    return b ? a / b - (a % b != 0 && (a < 0) != (b < 0)) : 0;
}
""",
    "rest": """\
static int64_t rest(int64_t a, int64_t b)
{
    return b ? a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0) : 0;
}
""",
    "larger": """\
static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
""",
    "smaller": """\
static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
""",
    "root": """\
static int64_t root(int64_t a)
{
    int64_t found = 0;
    while ((found + 1) * (found + 1) <= a)
        found++;
    return found;
}
""",
    "common": """\
static int64_t common(int64_t a, int64_t b)
{
    return a == 1 ? b : a;
}
""",
}
"""How sizes are computed: rounded down, with the sign of the divisor, as broadcasting has it."""


def _printed(x: Array) -> str:
    row = x.type.dtype
    if row.kind in ("int", "uint", "bool"):
        kind, cast = ("%llu", "unsigned long long") if row.kind == "uint" else ("%lld", "long long")
    elif x.element == "uint16_t":
        kind, cast = "0x%04x", "unsigned"
    else:
        kind, cast = "%.9g" if x.element == "float" else "%.17g", "double"
    return f'printf(" {kind}", ({cast}){x.name}[place]);'


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
