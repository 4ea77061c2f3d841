"""The command line: ``symgraph demo | ops | rules | show | run | diff | convert | aot | opt | doctor``."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import io
import os
import platform
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import symgraph
from symgraph.debug.reference import operations, ops_page, ops_table
from symgraph.debug.rulebook import rules_page, rules_table
from symgraph.errors import ArgumentError, FileError, SymgraphError
from symgraph.io import atomic, container, native
from symgraph.io.describe import (
    Program,
    described,
    differences,
    flat_outputs,
    graph_of,
    inputs_of,
    outputs_of,
)
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.report import report
from symgraph.options import Options, has_llvm
from symgraph.runtime.cache import folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 after an error that was printed, or 2 for a wrong command line.

    ``diff`` gives 1 where files differ.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except (SymgraphError, OSError) as error:
        print(f"symgraph: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough: symgraph ops | head
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symgraph", description="A static-graph compiler for array programs."
    )
    parser.add_argument("--version", action="version", version=f"symgraph {symgraph.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train a network on real handwritten digits")
    demo.add_argument(
        "--epochs", type=_positive, default=30, help="passes over the training digits (default 30)"
    )
    demo.set_defaults(run=_demo)

    ops = commands.add_parser("ops", help="list every op with its signature, or show one")
    ops.add_argument("names", nargs="*", metavar="NAME", help="show the documentation of these ops")
    ops.add_argument("--markdown", action="store_true", help="print docs/ops.md")
    ops.set_defaults(run=_ops)

    show = commands.add_parser("show", help="print a file's programs, with what they take, give and cost")
    show.add_argument("file", type=Path, help=_FILE)
    show.add_argument("--function", metavar="NAME", help="one of several functions")
    show.set_defaults(run=_show)

    run = commands.add_parser("run", help="call a file's function with arrays in .npy files")
    run.add_argument("file", type=Path, help=_FILE)
    run.add_argument("--function", metavar="NAME", help="one of several functions")
    run.add_argument("--input", type=_named_path, action="append", default=[], metavar="NAME=FILE.npy")
    run.add_argument(
        "--output",
        type=_named_path,
        action="append",
        default=[],
        metavar="NAME=FILE.npy",
        help="where an output goes; without any, all are printed",
    )
    run.set_defaults(run=_run)

    diff = commands.add_parser("diff", help="print in what the programs and values of two files differ")
    diff.add_argument("old", type=Path, help=_FILE)
    diff.add_argument("new", type=Path, help="another")
    diff.set_defaults(run=_diff)

    convert = commands.add_parser(
        "convert", help="make a .sg file of an ONNX model, or an ONNX model of a file"
    )
    convert.add_argument("file", type=Path, metavar="FROM", help=f"a .onnx file, or {_FILE}")
    convert.add_argument("target", type=Path, metavar="TO", help="a .sg file, or a .onnx file")
    convert.add_argument("--function", metavar="NAME", help="one of several functions, to a model")
    convert.add_argument("--opset", type=_positive, help="that of the model to write (default 21)")
    convert.add_argument(
        "--variables", action="store_true", help="make variables of the model's weights, not constants"
    )
    convert.add_argument(
        "--given",
        type=_named_path,
        action="append",
        default=[],
        metavar="NAME=FILE.npy",
        help="fix an input of the model, whose values decide sizes",
    )
    convert.set_defaults(run=_convert, usage=convert.error)

    aot = commands.add_parser("aot", help="make a library for C of a file's function")
    aot.add_argument("file", type=Path, help=_FILE)
    aot.add_argument("folder", type=Path, help="where the header, the object file and the others go")
    aot.add_argument("--function", metavar="NAME", help="one of several functions")
    aot.add_argument("--name", help="what C calls it, if not its own name")
    aot.add_argument("--size", type=_named_size, action="append", default=[], metavar="NAME=NUMBER")
    aot.add_argument("--cpu", help='a processor by LLVM\'s name, as "x86-64-v3"; this one without it')
    aot.add_argument("--target", help='a system, as "aarch64-linux-gnu"; this one without it')
    aot.add_argument("--blas", choices=["inline", "cblas"], default="inline", help="who multiplies matrices")
    aot.add_argument("--no-shared", action="store_true", help="no shared library, which takes a C compiler")
    aot.set_defaults(run=_aot)

    book = commands.add_parser("rules", help="list every rewrite rule: its two sides, and what it keeps")
    book.add_argument("--markdown", action="store_true", help="print docs/rules.md")
    book.set_defaults(run=_rules)

    opt = commands.add_parser("opt", help="read a program's text and print it as the passes leave it")
    opt.add_argument("file", type=Path, help=_FILE)
    opt.add_argument("--function", metavar="NAME", help="one of several functions")
    opt.add_argument("--passes", metavar="NAME,…", help="run these passes alone, in this order")
    opt.add_argument(
        "--why", action="store_true", help="print which rules fired where, and how long each pass took"
    )
    opt.add_argument("--fast-math", action="store_true", help="allow what is true of real numbers alone")
    opt.set_defaults(run=_opt)

    doctor = commands.add_parser("doctor", help="print versions and devices, and what is missing")
    doctor.set_defaults(run=_doctor)
    return parser


_FILE = "what sg.save wrote, or symgraph text; - reads text from standard input"


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE.npy")
    return name, Path(path)


def _named_size(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER")
    return name, int(number)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def _demo(arguments: argparse.Namespace) -> None:
    program = runpy.run_module("symgraph.examples.digits")
    program["main"](epochs=arguments.epochs)
    print(f"\nThe program is {program['__file__']}")
    print("Next: symgraph ops (what can be said), symgraph doctor, and examples/tiny.py for the tour.")


def _ops(arguments: argparse.Namespace) -> None:
    if arguments.markdown:
        print(ops_page(), end="")
    elif arguments.names:
        for name in arguments.names:
            print(_documentation(name))
    else:
        print(ops_table(), end="")


def _documentation(name: str) -> str:
    function = operations().get(name)
    if function is None:
        raise SymgraphError(f"there is no op called {name}; symgraph ops lists them")
    return f"{name}{function.signature}\n    {(function.__doc__ or '').strip()}\n"


def _show(arguments: argparse.Namespace) -> None:
    for name, program in _programs(arguments.file, arguments.function).items():
        table = described(program).splitlines()
        print(symgraph.show(graph_of(program)))
        print("\n".join(f"# {line}" for line in ([name] if name else []) + table), end="\n\n")


def _run(arguments: argparse.Namespace) -> None:
    program = _one(arguments)
    function = native.of_graph(program) if isinstance(program, symgraph.Graph) else program
    known = inputs_of(function)
    for name, _ in arguments.input:
        if name not in known:
            raise ArgumentError(f"there is no input {name!r}; there are {', '.join(known) or 'none'}")
    outputs = outputs_of(function)
    for name, _ in arguments.output:
        if name not in outputs:
            raise ArgumentError(f"there is no output {name!r}; there are {', '.join(outputs) or 'none'}")
    given = {name: _array(path, known[name]) for name, path in arguments.input}
    found = flat_outputs(function, function(**given))
    for name, path in arguments.output:
        content = io.BytesIO()
        np.save(content, found[name], allow_pickle=False)
        atomic.write(path, [content.getvalue()])
    if not arguments.output:
        for name, value in found.items():
            print(f"{name}: {outputs[name].type}\n{value}")


def _diff(arguments: argparse.Namespace) -> int:
    old, new = arguments.old, arguments.new
    lines = list(differences(_programs(old), _programs(new), (str(old), str(new))))
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


def _convert(arguments: argparse.Namespace) -> None:
    source, target = arguments.file, arguments.target
    to_model = target.suffix == ".onnx"
    if to_model == (source.suffix == ".onnx") or not (to_model or target.suffix == ".sg"):
        arguments.usage(f"converts .onnx to .sg, and other files to .onnx; not {source} to {target}")
    if to_model and (arguments.variables or arguments.given):
        arguments.usage("--variables and --given are for what is read from a .onnx file")
    if not to_model and (arguments.function or arguments.opset):
        arguments.usage("--function and --opset are for what becomes a .onnx file")
    if to_model:
        program = _one(arguments)
        function = native.of_graph(program) if isinstance(program, symgraph.Graph) else program
        symgraph.onnx.save(function, target, opset=arguments.opset or 21)
    else:
        givens = {name: _array(path) for name, path in arguments.given}
        model = symgraph.onnx.load(source, variables=arguments.variables, givens=givens)
        native.save(target, model.as_function(), lines=False)  # which would be this one


def _aot(arguments: argparse.Namespace) -> None:
    program = _one(arguments)
    library = symgraph.aot.build(
        native.of_graph(program) if isinstance(program, symgraph.Graph) else program,
        arguments.folder,
        name=arguments.name,
        sizes=dict(arguments.size),
        cpu=arguments.cpu,
        target=arguments.target,
        blas=arguments.blas,
        shared=not arguments.no_shared,
    )
    print(f"{library.signature};")


def _opt(arguments: argparse.Namespace) -> None:
    names = arguments.passes.split(",") if arguments.passes else None
    options = Options(fast_math=arguments.fast_math, verify=True)
    stages = optimize(graph_of(_one(arguments)), options, names)
    if arguments.why:
        print(report(stages))
    print(symgraph.show(stages[-1].graph))


def _rules(arguments: argparse.Namespace) -> None:
    print(rules_page() if arguments.markdown else rules_table(), end="")


def _one(arguments: argparse.Namespace) -> Program:
    found = _programs(arguments.file, arguments.function)
    if len(found) > 1:
        raise ArgumentError(f"{arguments.file} has {', '.join(found)}: name one with --function")
    return next(iter(found.values()))


def _programs(path: Path, name: str | None = None) -> dict[str, Program]:
    """The programs of a file, or the one that is named; a single one has no name."""
    found = _read(path)
    programs = found if isinstance(found, dict) else {"": found}
    if name is None:
        return programs
    if name not in programs:
        raise ArgumentError(f"{path} has no function {name!r}; it has {', '.join(programs) or 'one'}")
    return {name: programs[name]}


def _read(path: Path) -> Any:
    """What `symgraph.load` gives, or the graph of a text."""
    if str(path) == "-":
        return symgraph.parse(sys.stdin.read())
    with open(path, "rb") as file:
        start = file.read(9)
    if container.is_container(start):
        return native.load(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path}: it is neither a file of sg.save's nor text") from None
    return symgraph.parse(text)


def _array(path: Path, node: symgraph.Node | None = None) -> Any:
    """The array of a .npy file; one of bfloat16, which NumPy writes as plain bytes, as what it is."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise FileError(f"{path}: it is no .npy file: {error}") from None
    if not isinstance(array, np.ndarray):
        raise FileError(f"{path}: it has several arrays; a .npy file has one")
    if node is not None and node.row.name == "bfloat16" and array.dtype.str == "|V2":
        return array.view(node.dtype)
    return array


_PACKAGES = {
    "numpy": "numpy", "scipy": "scipy", "networkx": "networkx", "llvmlite": "llvmlite", "ml_dtypes": "ml_dtypes",
    "safetensors": "safetensors", "tqdm": "tqdm",
}  # fmt: skip
_OPTIONAL = {
    "cupy": ("GPU arrays and kernels", "pip install 'symgraph-compiler[cuda12]' or '[cuda13]'"),
    "onnx": ("ONNX files", "pip install 'symgraph-compiler[onnx]'"),
}


def _doctor(arguments: argparse.Namespace) -> None:
    print(f"symgraph    {symgraph.__version__}   {Path(symgraph.__file__).parent}")
    print(f"python      {platform.python_version()}   {sys.executable}")
    print(f"machine     {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    for name in _PACKAGES:
        version = _version(name)
        print(f"{name:<11} {version or 'MISSING: pip install ' + name}")
    for name, (purpose, install) in _OPTIONAL.items():
        found = importlib.util.find_spec(name) is not None
        print(
            f"{name:<11} {(_version(name) or 'present') if found else f'not installed ({purpose}: {install})'}"
        )
    print(f"kernels     {_kernels()}")
    print(f"cuda        {_cuda()}")
    print(f"cuda-sim    {_simulator()}")
    print(f"cache       {_cache()}")


def _cuda() -> str:
    from symgraph.runtime.cuda import Cuda, missing

    return missing() or f"GPU 0, for sm_{Cuda().architecture}"


def _simulator() -> str:
    from symgraph.runtime.emulator import available

    return "a C++ compiler is there" if available() else "not there: install g++ or clang++"


def _kernels() -> str:
    if not has_llvm():
        return "loops of NumPy calls, since llvmlite is missing"
    from symgraph.runtime.cpu import host, version

    machine = host()
    return f"machine code for {machine.cpu}, vectors of {machine.bytes} bytes ({version()})"


def _cache() -> str:
    """Where compiled code is kept, and how much of it there is."""
    place = folder()
    if place is None:
        return "none: SYMGRAPH_CACHE is empty"
    sizes = [path.stat().st_size for path in place.glob("*/*.o")]
    return f"{place}   {len(sizes)} entries, {sum(sizes) / 1e6:.1f} MB; SYMGRAPH_CACHE names another folder"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
