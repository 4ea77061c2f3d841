"""What makes code is told apart: sources that changed, other packages, another processor."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph
from symgraph.runtime import identity

ROOT = Path(symgraph.__file__).parents[1]

LOOK = """
import sys
from symgraph.runtime import identity
if sys.argv[1] == "old":
    identity._SINCE = 1 << 63
print(identity.identity(), identity.is_unchanged())
"""


@pytest.fixture(autouse=True)
def sources_are_old(monkeypatch):
    monkeypatch.setattr(identity, "_SINCE", 1 << 63)
    identity.identity.cache_clear()
    yield
    identity.identity.cache_clear()


@pytest.fixture
def copied(tmp_path):
    """The package as somebody else may have it, and change it."""
    for name in ("symgraph", "codegen", "optimizations"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "examples"),
        )
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def told(root, sources="old"):
    """What a process says that imports the package from there."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-c", LOOK, sources],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=root,
    )
    return run.stdout.split()


def test_it_is_the_same_in_every_process(copied):
    first = told(copied)

    assert "None" != first[0]
    assert first == told(copied)


@pytest.mark.parametrize(
    "name",
    [
        "codegen/lower.py",
        "symgraph/autodiff/reverse.py",
        "symgraph/ops/math.py",
        "symgraph/options.py",
        "symgraph/runtime/entry.ll",
    ],
)
def test_a_source_that_changed_is_another(copied, name):
    first = told(copied)
    path = copied / name
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"a", b"a"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if nothing had happened

    assert first != told(copied)


def test_a_new_source_is_another(copied):
    first = told(copied)
    (copied / "optimizations" / "more.py").write_text("")

    assert first != told(copied)


def test_sources_that_are_newer_than_the_process_have_none(copied):
    assert ["None", "False"] == told(copied, "new")


def test_a_source_that_changed_since_is_seen(monkeypatch):
    assert identity.identity() is not None
    assert identity.is_unchanged()
    rows, newest = identity._sources()
    monkeypatch.setattr(identity, "_sources", lambda: ([*rows[1:], (*rows[0][:-1], 0)], newest))
    monkeypatch.setattr(identity, "_CHECKED", [0])

    assert not identity.is_unchanged()


@pytest.mark.parametrize("what", ["numpy", "processor", "llvm"])
def test_other_packages_and_processors_are_another(monkeypatch, what):
    first = identity.identity()
    identity.identity.cache_clear()
    match what:
        case "numpy":
            monkeypatch.setattr(np, "__version__", "2.0.0")
        case "processor":
            known = identity._processor()
            monkeypatch.setattr(identity, "_processor", lambda: [*known[:-1], "AVX1024"])
        case "llvm":
            known = identity._llvm()
            monkeypatch.setattr(
                identity, "_llvm", lambda: [(known[0][0], known[0][1] + 1, known[0][2]), *known[1:]]
            )

    assert first is not None
    assert first != identity.identity()


@pytest.mark.skipif(not Path(identity._CPUINFO).exists(), reason="the system does not tell so")
def test_a_processor_is_told_apart_where_the_system_has_no_alias(monkeypatch):
    monkeypatch.setattr(identity, "_MODALIAS", "/nowhere")
    told = identity._processor()

    assert "fpu" in told[1] or "fp" in told[1]
    assert "MHz" not in told[1]
    assert told == identity._processor()
    monkeypatch.setattr(identity, "_CPUINFO", "/nowhere")
    assert identity._processor() is None


def test_without_llvmlite_there_is_none(monkeypatch):
    monkeypatch.setattr(identity, "find_spec", lambda name: None)
    identity.identity.cache_clear()

    assert identity.identity() is None
