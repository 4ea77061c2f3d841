"""The command line: ``symgraph demo | ops | rules | show | opt | doctor``."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import symgraph
from symgraph.debug.reference import operations, ops_page, ops_table
from symgraph.debug.rulebook import rules_page, rules_table
from symgraph.errors import SymgraphError
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.report import report
from symgraph.options import Options, has_llvm
from symgraph.runtime.cache import folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 after an error that was printed, or 2 for a wrong command line."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (SymgraphError, OSError) as error:
        print(f"symgraph: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough: symgraph ops | head
        sys.stderr.close()
        return 1
    return 0


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

    show = commands.add_parser("show", help="read a program's text, check it and print it with its types")
    show.add_argument("file", type=Path, help="a file of symgraph text; - reads standard input")
    show.set_defaults(run=_show)

    book = commands.add_parser("rules", help="list every rewrite rule: its two sides, and what it keeps")
    book.add_argument("--markdown", action="store_true", help="print docs/rules.md")
    book.set_defaults(run=_rules)

    opt = commands.add_parser("opt", help="read a program's text and print it as the passes leave it")
    opt.add_argument("file", type=Path, help="a file of symgraph text; - reads standard input")
    opt.add_argument("--passes", metavar="NAME,…", help="run these passes alone, in this order")
    opt.add_argument(
        "--why", action="store_true", help="print which rules fired where, and how long each pass took"
    )
    opt.add_argument("--fast-math", action="store_true", help="allow what is true of real numbers alone")
    opt.set_defaults(run=_opt)

    doctor = commands.add_parser("doctor", help="print versions and devices, and what is missing")
    doctor.set_defaults(run=_doctor)
    return parser


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
    print(symgraph.show(_read(arguments.file)))


def _opt(arguments: argparse.Namespace) -> None:
    names = arguments.passes.split(",") if arguments.passes else None
    options = Options(fast_math=arguments.fast_math, verify=True)
    stages = optimize(_read(arguments.file), options, names)
    if arguments.why:
        print(report(stages))
    print(symgraph.show(stages[-1].graph))


def _rules(arguments: argparse.Namespace) -> None:
    print(rules_page() if arguments.markdown else rules_table(), end="")


def _read(path: Path) -> symgraph.Graph:
    text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    return symgraph.parse(text)


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
