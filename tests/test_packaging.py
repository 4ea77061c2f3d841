"""The distribution: what wheel and sdist hold, and that each way to install it gives one whole package."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"symgraph": "symgraph"} | {
    name: f"symgraph.{name}" for name in ("optimizations", "codegen", "examples")
}
LINKED = [name for name in SOURCES if name != "symgraph"]

# Prints the folder of each module: all under one home, or a part came from another copy.
LOOK = """
import symgraph, symgraph.optimizations, symgraph.codegen, symgraph.graph.dims, sys
for name in ("symgraph", "symgraph.optimizations", "symgraph.codegen", "symgraph.graph.dims"):
    print(sys.modules[name].__file__)
for name in ("optimizations", "codegen"):
    try:
        __import__(name)
    except ImportError:
        pass
    else:
        raise SystemExit(f"{name} can be imported under its bare name")
"""


def test_setup_cfg_lists_the_folders():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    listed = config["options"]["packages"].split()
    mapped = dict(line.split(" = ") for line in config["options"]["package_dir"].strip().splitlines())
    folders = [
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for folder, package in SOURCES.items()
        for path in (ROOT / folder).rglob("*.py")
    ]

    assert sorted(set(folders)) == sorted(listed)
    assert mapped == {package: folder for folder, package in SOURCES.items()}
    for folder, package in SOURCES.items():
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{package}: {path.parent} has no __init__.py"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked sdist has no links")
@pytest.mark.parametrize("name", ["optimizations", "codegen"])
def test_the_links_are_relative(name):
    assert os.readlink(ROOT / "symgraph" / name) == f"../{name}"


@pytest.mark.packaging
def test_wheel_and_sdist(tmp_path):
    tree = copy_of_the_tree(tmp_path / "tree", links=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", tree, at=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")

    # `build` makes the wheel from the sdist, so the sdist has what a wheel needs.
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {n for n in archive.namelist() if ".dist-info/" not in n}
        (metadata,) = (archive.read(n).decode() for n in archive.namelist() if n.endswith("/METADATA"))
    data = {
        "symgraph/py.typed",
        "symgraph/data/README.md",
        "symgraph/data/digits.npz",
        "symgraph/codegen/prelude.cu",
        "symgraph/codegen/x86_ready.txt",
        "symgraph/runtime/emulator.h",
        "symgraph/runtime/entry.ll",
        "symgraph/runtime/inner.ll",
        "symgraph/runtime/pool.ll",
    }
    assert in_wheel == data | {
        f"{package.replace('.', '/')}/{path.relative_to(tree / folder).as_posix()}"
        for folder, package in SOURCES.items()
        for path in (tree / folder).rglob("*.py")
    }
    assert message_from_string(metadata)["Name"] == "symgraph-compiler"
    assert message_from_string(metadata)["License-Expression"] == "Apache-2.0"

    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not (unpacked / "symgraph" / "codegen").exists()
    for folder in ("tests", "examples", "bench", "docs", ".ci"):
        assert files(tree / folder) == files(unpacked / folder)
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", "setup.cfg"):
        assert (unpacked / name).is_file(), name

    for what in (wheel, sdist):
        python = environment(tmp_path / f"from-{what.suffix[1:]}", what)
        check_install(python, home=python.parents[1], at=tmp_path)
    bare = environment(tmp_path / "bare")
    check_import(bare, home=unpacked, at=unpacked)


@pytest.mark.packaging
def test_editable(tmp_path):
    tree = copy_of_the_tree(tmp_path / "tree", links=True)
    python = environment(tmp_path / "env", "--editable", tree)

    check_install(python, home=tree, at=tmp_path)


@pytest.mark.packaging
@pytest.mark.parametrize("links", [True, False])
def test_the_root_as_working_folder(tmp_path, links):
    tree = copy_of_the_tree(tmp_path / "tree", links=links)
    python = environment(tmp_path / "env")

    check_import(python, home=tree, at=tree)
    check_version(python, "-m", "symgraph", at=tree)


def check_install(python, *, home, at):
    check_import(python, home=home, at=at)
    check_version(python, "-m", "symgraph", at=at)
    check_version(python.parent / "symgraph", at=at)


def check_import(python, *, home, at):
    printed = run(python, "-W", "error", "-c", LOOK, at=at).split()
    assert len(printed) == 4
    assert all(Path(path).is_relative_to(home) for path in printed), printed


def check_version(*command, at):
    text = (ROOT / "symgraph" / "__init__.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.M)
    assert run(*command, "--version", at=at).split()[-1] == version


def environment(where, *install):
    """The Python of a new environment with what `install` names, and links to this one's other packages.

    A copy of symgraph that is installed here is left out: it cannot stand in for what is tested.
    """
    venv.create(where, symlinks=os.name != "nt")
    python = where / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", at=where).strip())
    links = where.with_name(f"{where.name}-links")
    links.mkdir()
    for folder in (Path(p) for p in sys.path if p.endswith("-packages")):
        for path in folder.iterdir():
            if path.suffix != ".pth" and "symgraph" not in path.name and not (links / path.name).exists():
                (links / path.name).symlink_to(path)
    (site / "links.pth").write_text(str(links))
    if install:
        options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        run(sys.executable, "-m", "pip", "--python", python, "install", *options, *install, at=where)
    return python


def copy_of_the_tree(where, *, links):
    """The tree without what git ignores; without `links`, as a system that has none unpacks it."""
    where.mkdir()
    for path in ROOT.iterdir():
        if path.name in (*SOURCES, "tests", "bench", "docs", ".ci"):
            shutil.copytree(
                path, where / path.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        elif path.is_file():
            shutil.copy(path, where)
    for name in LINKED:
        link = where / "symgraph" / name
        link.unlink(missing_ok=True)
        if links:
            link.symlink_to(f"../{name}")
        else:
            link.write_text(f"../{name}")  # what git leaves where it cannot make a link
    return where


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def run(*command, at):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE"))}
    done = subprocess.run(
        [str(c) for c in command],
        cwd=at,
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
