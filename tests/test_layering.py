"""Imports go downhill, have no cycles, hide in no function, and reach an outside package through its door."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Bottom up. A folder imports nothing else of its own layer; a file imports the files before it.
LAYERS = (
    ("errors", "options"),
    ("graph",),
    ("ops",),
    ("autodiff", "optimizations"),
    ("codegen",),
    ("runtime",),
    ("api",),
    ("nn", "io", "debug", "distributed"),
    ("aot",),
    ("fft", "linalg", "onnx", "random", "__init__", "cli", "__main__"),
)
FILES = {"errors", "options", "fft", "linalg", "onnx", "random", "__init__", "cli", "__main__"}

# Outside packages and the only files that import them.
DOORS = {
    "cupy": ("symgraph/runtime/cuda.py",),
    "cupyx": ("symgraph/runtime/cuda.py",),
    "llvmlite": ("symgraph/runtime/cpu.py",),
    "networkx": ("optimizations/dag.py",),
    "onnx": ("symgraph/io/onnx*.py",),
}

# Files whose functions import, and what they wait for: optional packages, and what would slow `import symgraph` or a
# first result down.
LAZY = {
    "symgraph/cli.py": {"symgraph.runtime.cpu", "symgraph.runtime.cuda", "symgraph.runtime.emulator"},
    "codegen/llvm_gamma.py": {"symgraph.codegen.llvm_zeta"},
    "codegen/llvm_quotients.py": {"fractions"},
    "optimizations/dag.py": {"networkx"},
    "optimizations/pipeline.py": {"symgraph.optimizations.passes", "tempfile"},
    "optimizations/plan.py": {"symgraph.optimizations.dag"},
    "symgraph/api/own_check.py": {"symgraph.runtime"},
    "symgraph/api/stable.py": {"symgraph.runtime.code"},
    "symgraph/debug/claims.py": {"symgraph.debug.exact", "symgraph.debug.ulps"},
    "symgraph/debug/exact_numbers.py": {"mpmath"},
    "symgraph/graph/op.py": {"hashlib"},
    "symgraph/graph/parse.py": {"difflib"},
    "symgraph/io/onnx_proto.py": {"onnx"},
    "symgraph/ops/scipy_door.py": {"scipy"},
    "symgraph/runtime/code.py": {"symgraph.codegen.llvm_printer", "zlib"},
    "symgraph/runtime/cpu.py": {
        "llvmlite",
        "symgraph.codegen.machine",
        "symgraph.codegen.x86",
        "symgraph.codegen.x86_ready",
        "tempfile",
    },
    "symgraph/runtime/cuda.py": {"cupyx"},
    "symgraph/runtime/devices.py": {
        "symgraph.runtime.cuda",
        "symgraph.runtime.gpu_program",
        "symgraph.runtime.simulator",
    },
    "symgraph/runtime/entry.py": {"symgraph.runtime.pool"},
    "symgraph/runtime/executor.py": {
        "symgraph.optimizations.plan",
        "symgraph.runtime.cuda_backend",
        "symgraph.runtime.devices",
        "symgraph.runtime.entry",
        "symgraph.runtime.fields",
        "symgraph.runtime.native_backend",
        "symgraph.runtime.numpy_backend",
        "symgraph.runtime.recalled",
        "symgraph.runtime.simulator",
    },
    "symgraph/runtime/native_backend.py": {"symgraph.runtime.kernel"},
}


@dataclass(frozen=True)
class Import:
    """``import module`` or ``from module import name``; `late` in a function, `typing` for types only."""

    line: int
    module: str
    name: str | None = None
    late: bool = False
    typing: bool = False


def sources(root: Path) -> dict[str, Path]:
    """The modules of the three source folders by the names they are imported under."""
    packages = {
        "symgraph": "symgraph",
        "optimizations": "symgraph.optimizations",
        "codegen": "symgraph.codegen",
    }
    return {
        ".".join([package, *path.relative_to(root / folder).with_suffix("").parts]).removesuffix(
            ".__init__"
        ): path
        for folder, package in packages.items()
        for path in sorted((root / folder).rglob("*.py"))  # which follows no links
    }


def imports(module: str, path: Path) -> Iterator[Import]:
    """What a file imports, with relative names made absolute; ``import_module("x")`` counts as late."""
    parents = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]

    def visit(node: ast.AST, late: bool, typing: bool) -> Iterator[Import]:
        match node:
            case ast.Import():
                yield from (Import(node.lineno, a.name, None, late, typing) for a in node.names)
            case ast.ImportFrom():
                up = parents[: len(parents) - node.level + 1] if node.level else []
                base = ".".join([*up, node.module] if node.module else up)
                yield from (Import(node.lineno, base, a.name, late, typing) for a in node.names)
            case ast.Call(
                func=ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module")
            ):
                name = (
                    node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "a name"
                )
                yield Import(node.lineno, str(name), None, True, typing)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                late = True
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                yield from (i for inner in node.body for i in visit(inner, late, True))
                yield from (i for inner in node.orelse for i in visit(inner, late, typing))
                return
        for child in ast.iter_child_nodes(node):
            yield from visit(child, late, typing)

    yield from visit(ast.parse(path.read_text("utf-8"), str(path)), False, False)


def violations(root: Path) -> list[str]:
    """Every broken rule of the tree at `root`, as ``file:line: what``."""
    modules = sources(root)
    found = []
    edges: dict[str, set[str]] = {}
    for module, path in modules.items():
        file = path.relative_to(root)
        unit = unit_of(module)
        if level(unit) is None:
            found.append(f"{file}:1: {unit} is in no layer")
            continue
        for i in imports(module, path):
            where = f"{file}:{i.line}"
            top = i.module.partition(".")[0]
            if i.late and not {top, i.module} & LAZY.get(file.as_posix(), set()):
                found.append(f"{where}: imports {i.module} late")
            if top in DOORS and not any(file.match(door) for door in DOORS[top]):
                found.append(f"{where}: imports {top}, whose door is {' or '.join(DOORS[top])}")
            if top in ("optimizations", "codegen"):
                found.append(f"{where}: imports {top}, which is symgraph.{top}")
            if top != "symgraph":
                continue
            target = f"{i.module}.{i.name}" if f"{i.module}.{i.name}" in modules else i.module
            if i.module == "symgraph" and unit not in LAYERS[-1]:
                found.append(f"{where}: imports symgraph itself")
            elif not downhill(unit, unit_of(target)):
                found.append(f"{where}: {unit} imports {unit_of(target)}, which is not below it")
            elif target in modules and target != module and not i.typing:
                edges.setdefault(module, set()).add(target)
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        found.append("import cycle: " + " -> ".join(error.args[1][::-1]))
    return list(dict.fromkeys(found))


def unit_of(module: str) -> str:
    """The file or folder of `LAYERS` that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def level(unit: str) -> int | None:
    return next((n for n, units in enumerate(LAYERS) if unit in units), None)


def downhill(unit: str, target: str) -> bool:
    here, there = level(unit), level(target)
    if here is None or there is None or here != there:
        return here is not None and there is not None and there < here
    order = LAYERS[here]
    return unit == target or ({unit, target} <= FILES and order.index(target) < order.index(unit))


def test_the_sources_keep_the_layers():
    assert [] == violations(ROOT)


def test_every_source_is_seen():
    seen = sources(ROOT)

    assert {"symgraph", "symgraph.errors", "symgraph.optimizations", "symgraph.codegen"} <= seen.keys()
    assert len(seen) == len({path.resolve() for path in seen.values()})


FINE = {
    "symgraph/__init__.py": "from symgraph import errors\nfrom symgraph.api.f import f\n",
    "symgraph/__main__.py": "import symgraph\nfrom symgraph.cli import main\n",
    "symgraph/cli.py": "import symgraph\nfrom symgraph import f\n",
    "symgraph/errors.py": "",
    "symgraph/options.py": "from symgraph.errors import E\n",
    "symgraph/graph/dims.py": "from symgraph.errors import E\n",
    "symgraph/graph/node.py": (
        "from typing import TYPE_CHECKING\nfrom symgraph.graph import dims\n"
        "if TYPE_CHECKING:\n    from symgraph.graph.op import Op\n"
    ),
    "symgraph/graph/op.py": "from .node import Node\nfrom . import dims\n",
    "symgraph/ops/scipy_door.py": "def f():\n    import scipy.special\n",
    "symgraph/autodiff/reverse.py": "import symgraph.ops.scipy_door as door\n",
    "symgraph/api/f.py": "from symgraph.codegen.lower import lower\n",
    "symgraph/io/onnx_import.py": "import onnx\n",
    "optimizations/dag.py": "import networkx as nx\nfrom symgraph.graph.node import Node\n",
    "codegen/lower.py": "from symgraph.optimizations.dag import dag\n",
}


@pytest.mark.parametrize(
    "file, text, message",
    [
        (
            "symgraph/graph/x.py",
            "from symgraph.ops.f import f",
            "1: graph imports ops, which is not below it",
        ),
        ("symgraph/graph/x.py", "from ..ops import f", "1: graph imports ops, which is not below it"),
        ("symgraph/ops/x.py", "import symgraph.api.f", "1: ops imports api, which is not below it"),
        (
            "symgraph/errors.py",
            "from symgraph.options import O",
            "1: errors imports options, which is not below it",
        ),
        ("symgraph/cli.py", "import symgraph.__main__", "1: cli imports __main__, which is not below it"),
        (
            "symgraph/graph/x.py",
            "import typing\nif typing.TYPE_CHECKING:\n    from symgraph.ops.f import f",
            "3: graph imports ops, which is not below it",
        ),
        (
            "symgraph/autodiff/x.py",
            "from symgraph.optimizations import dag",
            "1: autodiff imports optimizations, which is not below it",
        ),
        (
            "optimizations/x.py",
            "from symgraph.autodiff.reverse import grad",
            "1: optimizations imports autodiff, which is not below it",
        ),
        ("symgraph/io/x.py", "import symgraph.nn.layers", "1: io imports nn, which is not below it"),
        ("symgraph/extra/x.py", "", "1: extra is in no layer"),
        ("symgraph/graph/x.py", "import symgraph", "1: imports symgraph itself"),
        ("symgraph/graph/x.py", "from symgraph import exp", "1: imports symgraph itself"),
        ("symgraph/graph/x.py", "from symgraph import errors", "1: imports symgraph itself"),
        ("symgraph/graph/x.py", "from .. import errors, exp", "1: imports symgraph itself"),
        (
            "codegen/x.py",
            "from optimizations.dag import dag",
            "1: imports optimizations, which is symgraph.optimizations",
        ),
        ("symgraph/api/x.py", "class C:\n    def f(self):\n        import json", "3: imports json late"),
        ("symgraph/api/x.py", "f = lambda: __import__('json')", "1: imports json late"),
        ("symgraph/api/x.py", "import importlib\nimportlib.import_module('json')", "2: imports json late"),
        ("symgraph/ops/scipy_door.py", "def f():\n    import json", "2: imports json late"),
        ("symgraph/runtime/cpu.py", "import cupy", "1: imports cupy, whose door is symgraph/runtime/cuda.py"),
        (
            "codegen/cuda_printer.py",
            "from llvmlite import ir",
            "1: imports llvmlite, whose door is symgraph/runtime/cpu.py",
        ),
        (
            "optimizations/fuse.py",
            "import networkx",
            "1: imports networkx, whose door is optimizations/dag.py",
        ),
        (
            "symgraph/io/native.py",
            "import onnx.helper",
            "1: imports onnx, whose door is symgraph/io/onnx*.py",
        ),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, text, message):
    plant(tmp_path, {**FINE, file: text})

    assert [f"{file}:{message}"] == violations(tmp_path)


def test_a_planted_cycle_is_found(tmp_path):
    plant(tmp_path, {**FINE, "symgraph/graph/dims.py": "from symgraph.graph.op import Op\n"})

    (message,) = violations(tmp_path)

    assert message.startswith("import cycle: ")
    assert {"symgraph.graph.dims", "symgraph.graph.op"} <= set(
        message.removeprefix("import cycle: ").split(" -> ")
    )


def test_a_tree_that_keeps_the_layers_has_no_violation(tmp_path):
    plant(tmp_path, FINE)

    assert [] == violations(tmp_path)


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("optimizations", "codegen"):
        (root / "symgraph" / name).symlink_to(f"../{name}")
