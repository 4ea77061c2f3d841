"""The files of a library: an object file, a shared library, a header, an example and a file for CMake."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.aot.header import cmake, example, header
from symgraph.aot.interface import Array, Interface, Names
from symgraph.aot.products import Blas
from symgraph.aot.program import Compiled, program
from symgraph.api.function import CompiledFunction
from symgraph.api.variable import Variable
from symgraph.codegen.machine import Machine
from symgraph.errors import ArgumentError, DeviceError, FileError
from symgraph.graph.dims import Dim, Size, symbols
from symgraph.graph.graph import Graph, graph
from symgraph.graph.node import Node
from symgraph.graph.op import constant
from symgraph.graph.trace import stand_in
from symgraph.graph.walk import substitute
from symgraph.io.atomic import write
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from symgraph.options import Options
from symgraph.runtime.cpu import machine_of, object_file


@dataclass(frozen=True, slots=True)
class Library:
    """The files that were written, and the function as C sees it."""

    name: str
    header: Path
    object: Path
    shared: Path | None
    """None where no shared library was asked for."""
    example: Path
    cmake: Path
    signature: str
    """In C."""
    memory: int | None
    """Bytes that a call needs; None where they follow from sizes, and a function says them."""


def build(
    function: CompiledFunction,
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    cpu: str | None = None,
    target: str | None = None,
    blas: Blas = "inline",
    shared: bool = True,
) -> Library:
    """Write a compiled function as a library for C to a folder: machine code without Python that allocates nothing.

    Sizes that have names become arguments, but for those to which ``sizes`` gives numbers. Variables that the function
    updates are arguments that it changes; the header has what they begin with. Other variables are constants of the
    library. ``cpu`` names the processor as LLVM does ("x86-64-v3", "znver4", "apple-m1"), by default this one, and
    ``target`` the system ("aarch64-linux-gnu"). With ``blas="inline"`` products of matrices are the library's own code,
    and with "cblas" calls of the CBLAS that it is linked with. A ``shared`` library beside the object file is linked by
    the C compiler, ``cc`` or what the environment variable ``CC`` says; without it no compiler is needed.

    >>> x = placeholder("float32", ("n",), name="x")
    >>> library = sg.aot.build(function([x], exp(x) * 2, name="twice"), "lib/")  # doctest: +SKIP
    >>> library.signature  # doctest: +SKIP
    'int twice(int64_t n, const float *x, float *out, void *memory)'

    Raises ArgumentError for a name that is none in C, for sizes and processors that are not known; DeviceError, with
    your line, for what only libraries of Python's compute (sorting, Fourier transforms, eigenvalues, functions in
    Python) and sizes that follow from data, and where the linker fails; FileError where files cannot be written.
    """
    if not isinstance(function, CompiledFunction):
        raise ArgumentError(f"a library is made of a compiled function, not {type(function).__name__}")
    if blas not in ("inline", "cblas"):
        raise ArgumentError(f'blas is "inline" or "cblas", not {blas!r}')
    machine = machine_of(cpu, target)
    what, compiled = translated(function, function.name if name is None else name, sizes or {}, machine, blas)
    folder = Path(folder)
    library = Library(
        what.name,
        folder / f"{what.name}.h",
        folder / f"{what.name}.o",
        folder / _shared_name(what.name) if shared else None,
        folder / "main.c",
        folder / "CMakeLists.txt",
        what.signature,
        what.memory if isinstance(what.memory, int) else None,
    )
    code = compiled.constants.filled(object_file(compiled.text, machine))
    _make(folder)
    for path, content in (
        (library.object, code),
        (library.header, header(what).encode()),
        (library.example, example(what).encode()),
        (library.cmake, cmake(what).encode()),
    ):
        write(path, [content])
    if library.shared is not None:
        _link(library.object, library.shared)
    return library


def translated(
    function: CompiledFunction, name: str, sizes: Mapping[str, int], machine: Machine, blas: Blas = "inline"
) -> tuple[Interface, Compiled]:
    """How C sees a function, and its module."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or Names().add(name) != name.strip("_"):
        raise ArgumentError(f"{name!r} is no name for a function in C; name=... gives another")
    made, states = _alone(function, sizes)
    steps = plan(optimize(made, Options())[-1].graph, made.inputs, libraries=False)
    wishes = [variable.name or "state" for _, variable in states]
    what = _interface(made, wishes, _output_names(function._outputs), name, blas)
    initial = {x.name: variable.value for x, (_, variable) in zip(what.states, states, strict=True)}
    compiled = program(steps, list(what.sizes), initial, name, machine, blas)
    return replace(what, memory=compiled.memory), compiled


def _alone(function: CompiledFunction, sizes: Mapping[str, int]) -> tuple[Graph, list[tuple[Node, Variable]]]:
    """The program without variables: those that never change are constants, and the others are given after the inputs,
    and are the last outputs. Sizes have the numbers that they are given."""
    source = function.graph
    updated = {update.variable: update.value for update in source.updates}
    stands: dict[Node, Node] = {}
    states: list[tuple[Node, Variable]] = []
    for variable in dict.fromkeys([*updated, *source.variables()]):
        assert isinstance(variable, Variable)
        if variable not in updated:
            stands[variable] = constant(variable.value)
            continue
        stands[variable] = stand_in(f"_state_{len(states)}", variable.tensor)
        states.append((stands[variable], variable))
    values = [updated[variable] for _, variable in states]
    roots = substitute([*source.outputs, *values], stands)
    made = graph([*source.inputs, *(x for x, _ in states)], roots, name=source.name)
    known = {str(size): size for size in _symbols(made)}
    for name, value in sizes.items():
        if name not in known:
            raise ArgumentError(f"there is no size {name!r}; the sizes are {', '.join(known) or 'all known'}")
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ArgumentError(f"the size {name} is {value!r}; it must be an int, 0 or more")
    fixed: dict[Size, Dim] = {known[name]: int(value) for name, value in sizes.items()}
    return (made.map_sizes(lambda size: fixed.get(size, size)) if fixed else made), states


def _symbols(made: Graph) -> list[Size]:
    """The sizes that arguments have names for, in their order."""
    found = (size for x in made.inputs for dim in x.shape for size in sorted(symbols(dim), key=str))
    return list(dict.fromkeys(found))


def _interface(
    made: Graph,
    states: Sequence[str],
    outputs: Sequence[str],
    name: str,
    blas: Blas,
) -> Interface:
    names = Names()
    sizes = {size: names.add(str(size)) for size in _symbols(made)}
    wishes = [x.name or "x" for x in made.inputs[: len(made.inputs) - len(states)]]
    given = [
        Array(names.add(wish), x.tensor) for wish, x in zip([*wishes, *states], made.inputs, strict=True)
    ]
    results = [Array(names.add(wish), x.tensor) for wish, x in zip(outputs, made.outputs, strict=False)]
    return Interface(name, sizes, given[: len(wishes)], given[len(wishes) :], results, 0, blas == "cblas")


def _output_names(outputs: Any, path: str = "") -> list[str]:
    """What C calls the results: by the keys and numbers under which they stand."""
    if outputs is None:
        return []
    if isinstance(outputs, Mapping):
        return [name for key, each in outputs.items() for name in _output_names(each, f"{path}_{key}")]
    if isinstance(outputs, list | tuple):
        return [name for n, each in enumerate(outputs) for name in _output_names(each, f"{path}_{n}")]
    own = outputs.name if isinstance(outputs, Node) else None
    return [path[1:] if re.match("_[^0-9]", path) else own or f"out{path}"]


def _shared_name(name: str) -> str:
    return {"darwin": f"lib{name}.dylib", "win32": f"{name}.dll"}.get(sys.platform, f"lib{name}.so")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be made: {error.strerror or error}") from None


def _link(source: Path, target: Path) -> None:
    """By the C compiler, which knows how."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        raise DeviceError(
            f"{compiler[0]} is not there, which links shared libraries; shared=False needs none"
        )
    command = [*compiler, "-shared", "-o", str(target), str(source), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeviceError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
